//! A sound service and ways to break it, for the tests of checks.

use chrono::DateTime;
use privatelink::{
    AvailabilityZone, EndpointService, Listener, ListenerAttributes, LoadBalancer,
    LoadBalancerAttributes, PrivateDnsName, ServiceNotification, ServiceState, TargetGroup,
    TargetGroupAttributes,
};

use super::facts::{BalancerFacts, Facts, GroupFacts, ListenerFacts, Read, TargetCount};
use super::{CheckName, CheckStatus, infrastructure};

pub(super) const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge/0123456789abcdef";

fn told<T>(value: T) -> Read<T> {
    Read::Told {
        at: DateTime::UNIX_EPOCH,
        value,
    }
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// What is behind a service that has nothing wrong with it.
pub(super) fn sound() -> Facts {
    let zone = |name: &str, id: &str| AvailabilityZone {
        name: name.into(),
        id: id.parse().unwrap(),
    };
    let healthy = |zone: &str| TargetCount {
        zone: Some(zone.into()),
        state: "healthy".into(),
        reason: None,
        count: 1,
    };
    Facts {
        balancers: vec![BalancerFacts {
            arn: ARN.into(),
            balancer: told(LoadBalancer {
                arn: ARN.parse().unwrap(),
                name: "edge".into(),
                kind: "network".into(),
                state: "active".into(),
                state_reason: None,
                scheme: "internal".into(),
                ip_address_type: Some("dualstack".into()),
                availability_zones: words(&["eu-west-1a", "eu-west-1b"]),
                security_groups: vec![],
                enforce_security_groups_on_private_link: None,
            }),
            attributes: told(LoadBalancerAttributes {
                cross_zone: false,
                deletion_protection: true,
            }),
            listeners: told(vec![ListenerFacts {
                listener: Listener {
                    arn: "listener".into(),
                    port: 443,
                    protocol: "TCP".into(),
                    target_group_arns: words(&["tg"]),
                },
                attributes: told(ListenerAttributes {
                    tcp_idle_timeout_seconds: Some(350),
                }),
            }]),
            groups: told(vec![GroupFacts {
                group: TargetGroup {
                    arn: "tg".into(),
                    name: "edge".into(),
                    target_type: "ip".into(),
                },
                attributes: told(TargetGroupAttributes {
                    cross_zone: None,
                    proxy_protocol_v2: false,
                }),
                health: told(vec![healthy("eu-west-1a"), healthy("eu-west-1b")]),
            }]),
        }],
        zones: told(vec![
            zone("eu-west-1a", "euw1-az3"),
            zone("eu-west-1b", "euw1-az1"),
            zone("eu-west-1c", "euw1-az2"),
        ]),
        notifications: told(vec![ServiceNotification {
            topic_arn: "arn:aws:sns:eu-west-1:123456789012:connections".into(),
            events: words(&ServiceNotification::EVENTS),
            enabled: true,
        }]),
    }
}

/// The service before it, which offers IPv6 too.
pub(super) fn sound_service() -> EndpointService {
    EndpointService {
        service_id: "vpce-svc-0123456789abcdef0".parse().unwrap(),
        service_name: "com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0".into(),
        state: ServiceState::Available,
        acceptance_required: true,
        network_load_balancer_arns: vec![ARN.parse().unwrap()],
        availability_zones: words(&["eu-west-1a", "eu-west-1b"]),
        availability_zone_ids: vec!["euw1-az3".parse().unwrap(), "euw1-az1".parse().unwrap()],
        supported_ip_address_types: words(&["ipv4", "ipv6"]),
        supported_regions: vec![],
        remote_regions: vec![],
        payer_responsibility: None,
        base_endpoint_dns_names: vec![],
        private_dns_name: Some(PrivateDnsName {
            name: "api.example.com".into(),
            state: Some("verified".into()),
            txt_name: Some("_vpce".into()),
            txt_value: Some("vpce:proof".into()),
        }),
        tags: vec![],
    }
}

pub(super) fn balancer(facts: &mut Facts) -> &mut LoadBalancer {
    inner(&mut facts.balancers[0].balancer)
}

pub(super) fn listener(facts: &mut Facts) -> &mut ListenerFacts {
    &mut inner(&mut facts.balancers[0].listeners)[0]
}

pub(super) fn group(facts: &mut Facts) -> &mut GroupFacts {
    &mut inner(&mut facts.balancers[0].groups)[0]
}

pub(super) fn attributes(facts: &mut Facts) -> &mut TargetGroupAttributes {
    inner(&mut group(facts).attributes)
}

pub(super) fn notification(facts: &mut Facts) -> &mut ServiceNotification {
    &mut inner(&mut facts.notifications)[0]
}

fn inner<T>(read: &mut Read<T>) -> &mut T {
    match read {
        Read::Told { value, .. } => value,
        Read::Refused(_) | Read::NotYet => panic!("it was told"),
    }
}

/// Gives the targets of one of the two zones another state.
pub(super) fn set_state(group: &mut GroupFacts, zone: usize, state: &str, reason: Option<&str>) {
    let count = &mut inner(&mut group.health)[zone];
    count.state = state.into();
    count.reason = reason.map(str::to_owned);
}

/// A way to break a sound service, and the one check that says so.
pub(super) type Broken = (CheckName, CheckStatus, fn(&mut Facts));

/// Breaks one thing after the other; nothing else may change.
pub(super) fn table(broken: &[Broken]) {
    for (name, want, by) in broken {
        let mut facts = sound();
        by(&mut facts);
        table_of(&facts, &[(*name, *want)]);
    }
}

/// Exactly these checks do not pass.
pub(super) fn table_of(facts: &Facts, want: &[(CheckName, CheckStatus)]) {
    let checks = infrastructure(facts, Some(&sound_service()));
    for check in &checks {
        let name = check.name().unwrap();
        let expected = want
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(CheckStatus::Pass, |(_, status)| *status);
        assert_eq!(check.status, expected, "{want:?}: {check:#?}");
        let passed = check.status == CheckStatus::Pass;
        assert_eq!(check.cause.is_none(), passed, "{check:#?}");
        assert_eq!(check.fix.is_none(), passed, "{check:#?}");
    }
    for (name, _) in want {
        assert!(checks.iter().any(|c| c.name() == Some(*name)), "{name:?}");
    }
}
