//! One test a rule: a sound service, then one thing broken at a time.

use super::*;

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge/0123456789abcdef";

fn sound() -> Facts {
    let zone = |name: &str, id: &str| AvailabilityZone {
        name: name.into(),
        id: id.parse().unwrap(),
    };
    let target = |id: &str, zone: &str| TargetHealth {
        target_id: id.into(),
        port: Some(443),
        availability_zone: Some(zone.into()),
        state: TargetState::Healthy,
        reason: None,
    };
    let group = TargetGroup {
        arn: "tg".into(),
        name: "edge".into(),
        target_type: "ip".into(),
    };
    Facts {
        balancers: vec![BalancerFacts {
            arn: ARN.into(),
            balancer: Ok(LoadBalancer {
                arn: ARN.parse().unwrap(),
                name: "edge".into(),
                kind: "network".into(),
                state: "active".into(),
                state_reason: None,
                scheme: "internal".into(),
                ip_address_type: Some("ipv4".into()),
                availability_zones: vec!["eu-west-1a".into(), "eu-west-1b".into()],
                security_groups: vec![],
                enforce_security_groups_on_private_link: None,
                cross_zone: false,
            }),
            listeners: Ok(vec![Listener {
                port: 443,
                protocol: "TCP".into(),
                target_group_arns: vec![],
            }]),
            targets: Ok(vec![(
                group,
                vec![
                    target("10.0.0.1", "eu-west-1a"),
                    target("10.0.1.1", "eu-west-1b"),
                ],
            )]),
        }],
        zones: vec![
            zone("eu-west-1a", "euw1-az3"),
            zone("eu-west-1b", "euw1-az1"),
        ],
        service_zones: vec![],
    }
}

fn status(facts: &Facts, name: &str) -> CheckStatus {
    run(facts)
        .iter()
        .find(|c| c.check == name)
        .unwrap_or_else(|| panic!("no check {name}"))
        .status
}

fn with_balancer(change: impl FnOnce(&mut LoadBalancer)) -> Facts {
    let mut facts = sound();
    change(facts.balancers[0].balancer.as_mut().unwrap());
    facts
}

#[test]
fn a_sound_service_passes_every_check_and_shows_zone_ids() {
    let checks = run(&sound());
    assert!(
        checks
            .iter()
            .all(|c| c.status == CheckStatus::Pass && c.fix.is_none()),
        "{checks:#?}"
    );
    assert!(is_ready(&checks));
    assert!(
        checks
            .iter()
            .any(|c| c.evidence == "zones euw1-az1, euw1-az3"),
        "{checks:#?}"
    );
}

#[test]
fn nothing_read_is_not_ready() {
    assert!(!is_ready(&[]));
}

#[test]
fn an_application_load_balancer_fails() {
    assert_eq!(
        status(
            &with_balancer(|b| b.kind = "application".into()),
            "load_balancer_is_network"
        ),
        CheckStatus::Fail
    );
}

#[test]
fn a_load_balancer_that_lets_nothing_through_fails() {
    for (state, wanted) in [
        ("active", CheckStatus::Pass),
        ("active_impaired", CheckStatus::Warn),
        ("provisioning", CheckStatus::Fail),
        ("failed", CheckStatus::Fail),
    ] {
        let facts = with_balancer(|b| b.state = state.into());
        assert_eq!(status(&facts, "load_balancer_is_active"), wanted, "{state}");
    }
}

#[test]
fn one_zone_warns() {
    assert_eq!(
        status(
            &with_balancer(|b| b.availability_zones.truncate(1)),
            "availability_zones"
        ),
        CheckStatus::Warn
    );
}

#[test]
fn a_zone_that_the_service_has_not_picked_up_warns() {
    let mut facts = sound();
    facts.service_zones = vec!["eu-west-1a".into()];
    assert_eq!(status(&facts, "availability_zones"), CheckStatus::Warn);
}

#[test]
fn enforced_security_groups_warn() {
    let facts = with_balancer(|b| {
        b.security_groups = vec!["sg-0123456789abcdef0".into()];
        b.enforce_security_groups_on_private_link = Some(true);
    });
    assert_eq!(status(&facts, "security_groups"), CheckStatus::Warn);
}

#[test]
fn no_usable_listener_fails() {
    let mut facts = sound();
    facts.balancers[0].listeners = Ok(vec![]);
    assert_eq!(status(&facts, "listeners"), CheckStatus::Fail);
}

#[test]
fn no_healthy_target_fails_and_a_bare_zone_warns_unless_cross_zone_is_on() {
    let mut facts = sound();
    facts.balancers[0].targets.as_mut().unwrap()[0]
        .1
        .truncate(1);
    assert_eq!(status(&facts, "target_health"), CheckStatus::Warn);
    facts.balancers[0].balancer.as_mut().unwrap().cross_zone = true;
    assert_eq!(status(&facts, "target_health"), CheckStatus::Pass);
    facts.balancers[0].targets.as_mut().unwrap()[0].1.clear();
    assert_eq!(status(&facts, "target_health"), CheckStatus::Fail);
}

#[test]
fn what_aws_does_not_know_fails_and_what_it_would_not_tell_is_unknown() {
    let mut facts = sound();
    facts.balancers[0].balancer = Err("LoadBalancerNotFound".into());
    assert_eq!(status(&facts, "load_balancer_exists"), CheckStatus::Fail);
    facts.balancers[0].balancer = Err("AccessDenied".into());
    assert_eq!(status(&facts, "load_balancer_exists"), CheckStatus::Unknown);
    let mut facts = sound();
    facts.balancers[0].targets = Err("AccessDenied".into());
    assert_eq!(status(&facts, "target_health"), CheckStatus::Unknown);
}

#[test]
fn load_balancers_that_listen_differently_fail() {
    let mut facts = sound();
    let mut second = facts.balancers[0].clone();
    second.listeners.as_mut().unwrap()[0].port = 8443;
    facts.balancers.push(second);
    assert_eq!(status(&facts, "listeners_equal"), CheckStatus::Fail);
}

#[test]
fn only_what_comes_up_by_itself_is_settling() {
    assert!(!is_settling(&sound()));
    assert!(is_settling(&with_balancer(
        |b| b.state = "provisioning".into()
    )));
    assert!(!is_settling(&with_balancer(|b| b.state = "failed".into())));
    for (state, settling) in [
        (TargetState::Initial, true),
        (TargetState::Unhealthy, false),
        (TargetState::Unused, false),
    ] {
        let mut facts = sound();
        facts.balancers[0].targets.as_mut().unwrap()[0].1[1].state = state.clone();
        assert_eq!(is_settling(&facts), settling, "{state:?}");
    }
    // What could not be read does not come up: it is looked at in its turn.
    let mut unread = sound();
    unread.balancers[0].balancer = Err("AccessDenied".into());
    unread.balancers[0].targets = Err("AccessDenied".into());
    assert!(!is_settling(&unread));
}
