//! What is broken in AWS, and the checks that say so.

use privatelink_sim::AwsError;
use privatelink_sim::world::listeners::NewListener;
use privatelink_sim::world::load_balancer_subnets::SubnetsChange;
use privatelink_sim::world::load_balancers::LoadBalancerState;
use privatelink_sim::world::services::ServiceChange;
use privatelink_sim::world::targets::{Health, NewTargetGroup};
use privatelink_sim::world::{Caller, World};
use sqlx::PgPool;

use super::stage::{On, Stage, changed, checks, group_of};
use crate::support::CONSUMER;

type Change = fn(&mut World, &Caller, &On) -> Result<(), AwsError>;

fn sick() -> Health {
    Health {
        state: "unhealthy".into(),
        reason: Some("Target.FailedHealthChecks".into()),
        description: None,
    }
}

fn listener_of(world: &mut World, me: &Caller, on: &On) -> Result<String, AwsError> {
    Ok(world.listeners(me, Some(&on.balancer), &[])?[0].arn.clone())
}

fn set(key: &str, value: &str) -> [(String, String); 1] {
    [(key.to_owned(), value.to_owned())]
}

fn shown(code: &str) -> LoadBalancerState {
    LoadBalancerState {
        code: code.into(),
        reason: Some("said so".into()),
    }
}

/// What is broken in AWS, and which checks say so.
const BROKEN: &[(&str, Change, &[&str])] = &[
    (
        "the load balancer has failed",
        |world, me, on| world.set_load_balancer_state(me, &on.balancer, Some(shown("failed"))),
        &["load_balancer_is_active fail"],
    ),
    (
        "the load balancer is impaired",
        |world, me, on| {
            world.set_load_balancer_state(me, &on.balancer, Some(shown("active_impaired")))
        },
        &["load_balancer_is_active warn"],
    ),
    (
        "the load balancer is gone",
        |world, me, on| {
            let elsewhere = on.balancer.replace("/net/edge/", "/net/gone/");
            world.load_balancer(me, &on.balancer)?.arn = elsewhere.parse().unwrap();
            Ok(())
        },
        &[
            "address_family absent",
            "availability_zones absent",
            "deletion_protection absent",
            "idle_timeout absent",
            "listener_targets absent",
            "listeners absent",
            "load_balancer_exists fail",
            "load_balancer_is_active absent",
            "load_balancer_is_network absent",
            "load_balancer_scheme absent",
            "proxy_protocol absent",
            "security_groups absent",
            "target_health absent",
            "target_zones absent",
            "targets_unused absent",
            "zones_known absent",
            "zones_served unknown",
        ],
    ),
    (
        "the load balancer faces the internet",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.scheme = "internet-facing".into();
            Ok(())
        },
        &["load_balancer_scheme warn"],
    ),
    (
        "the load balancer can be deleted",
        |world, me, on| {
            let off = set("deletion_protection.enabled", "false");
            world
                .modify_load_balancer_attributes(me, &on.balancer, &off)
                .map(drop)
        },
        &["deletion_protection warn"],
    ),
    (
        "security groups are enforced",
        |world, me, on| {
            let balancer = world.load_balancer(me, &on.balancer)?;
            balancer.security_groups = vec!["sg-0123456789abcdef0".into()];
            balancer.enforce_on_private_link = true;
            Ok(())
        },
        &["security_groups warn"],
    ),
    (
        "ipv6 is offered over ipv4",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.ip_address_type = "dualstack".into();
            let change = ServiceChange {
                add_ip_address_types: vec!["ipv6".into()],
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)?;
            world.load_balancer(me, &on.balancer)?.ip_address_type = "ipv4".into();
            Ok(())
        },
        &["address_family fail"],
    ),
    (
        "nothing listens",
        |world, me, on| {
            let arn = listener_of(world, me, on)?;
            world.delete_listener(me, &arn)
        },
        &["listeners fail", "target_health fail"],
    ),
    (
        "a listener leads to an empty group",
        |world, me, on| {
            let vpc = world.load_balancer(me, &on.balancer)?.vpc_id.clone();
            let group = NewTargetGroup {
                name: "empty".into(),
                protocol: "TCP".into(),
                port: 8443,
                vpc_id: Some(vpc),
                target_type: Some("ip".into()),
                ..NewTargetGroup::default()
            };
            let group = world.create_target_group(me, group)?.arn;
            let listener = NewListener {
                load_balancer: on.balancer.clone(),
                port: 8443,
                protocol: "TCP".into(),
                forward: vec![(group, None)],
                ..NewListener::default()
            };
            world.create_listener(me, listener).map(drop)
        },
        &[
            "listener_targets fail",
            "target_health fail",
            "target_zones warn",
        ],
    ),
    (
        "every target is sick",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            world
                .set_group_health(me, &group, None, Some(&sick()))
                .map(drop)
        },
        &["target_health fail", "target_zones warn"],
    ),
    (
        "one zone is sick",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world
                .set_group_health(me, &group, zone, Some(&sick()))
                .map(drop)
        },
        &["target_health warn", "target_zones warn"],
    ),
    (
        "one zone is sick and traffic crosses zones",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world.set_group_health(me, &group, zone, Some(&sick()))?;
            let on_for_all = set("load_balancing.cross_zone.enabled", "true");
            world
                .modify_load_balancer_attributes(me, &on.balancer, &on_for_all)
                .map(drop)
        },
        &["target_health warn"],
    ),
    (
        "one zone is sick and the group crosses zones",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world.set_group_health(me, &group, zone, Some(&sick()))?;
            let on_for_it = set("load_balancing.cross_zone.enabled", "true");
            world
                .modify_target_group_attributes(me, &group, &on_for_it)
                .map(drop)
        },
        &["target_health warn"],
    ),
    (
        "targets are sent the PROXY protocol",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let on = set("proxy_protocol_v2.enabled", "true");
            world
                .modify_target_group_attributes(me, &group, &on)
                .map(drop)
        },
        &["proxy_protocol warn"],
    ),
    (
        "the idle time-out is not AWS's",
        |world, me, on| {
            let listener = listener_of(world, me, on)?;
            let longer = set("tcp.idle_timeout.seconds", "600");
            world
                .modify_listener_attributes(me, &listener, &longer)
                .map(drop)
        },
        &["idle_timeout warn"],
    ),
    (
        "the load balancer has a zone more than the service",
        |world, me, on| {
            let wider = world.load_balancer(me, &on.wider)?.subnets.clone();
            let change = SubnetsChange {
                subnets: wider.into_iter().map(|(_, subnet)| subnet).collect(),
                ..SubnetsChange::default()
            };
            world.set_subnets(me, &on.balancer, change).map(drop)
        },
        &["target_zones warn", "zones_known warn"],
    ),
    (
        "the load balancer lost a zone",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.subnets.truncate(1);
            Ok(())
        },
        &[
            "availability_zones warn",
            "targets_unused warn",
            "zones_served fail",
        ],
    ),
    (
        "a second load balancer listens elsewhere",
        |world, me, on| {
            let listener = world.listeners(me, Some(&on.wider), &[])?[0].arn.clone();
            let group = world.listeners(me, Some(&on.wider), &[])?[0].target_groups[0].clone();
            world.delete_listener(me, &listener)?;
            let other = NewListener {
                load_balancer: on.wider.clone(),
                port: 8443,
                protocol: "TCP".into(),
                forward: vec![(group, None)],
                ..NewListener::default()
            };
            world.create_listener(me, other)?;
            let protect = set("deletion_protection.enabled", "true");
            world.modify_load_balancer_attributes(me, &on.wider, &protect)?;
            let change = ServiceChange {
                add_load_balancers: vec![on.wider.clone()],
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)
        },
        &[
            "address_family wide pass",
            "availability_zones wide pass",
            "deletion_protection wide pass",
            "idle_timeout wide pass",
            "listener_targets wide pass",
            "listeners wide pass",
            "listeners_equal fail",
            "load_balancer_exists wide pass",
            "load_balancer_is_active wide pass",
            "load_balancer_is_network wide pass",
            "load_balancer_scheme wide pass",
            "proxy_protocol wide pass",
            "security_groups wide pass",
            "target_health wide pass",
            "target_zones wide pass",
            "targets_unused wide pass",
            "zones_known wide pass",
        ],
    ),
    (
        "nobody is told",
        |world, me, on| {
            let filters = privatelink_sim::world::select::Filters::one("service-id", &on.service);
            let paging = privatelink_sim::world::select::Paging::default();
            let all = world.notifications(me, None, &filters, &paging)?.items;
            let ids: Vec<String> = all.iter().map(|n| n.id.clone()).collect();
            world.delete_notifications(me, &ids).map(drop)
        },
        &["notifications warn"],
    ),
    (
        "nobody is allowed",
        |world, me, on| {
            let consumer = format!("arn:aws:iam::{CONSUMER}:root");
            world
                .modify_principals(me, &on.service, &[], &[consumer])
                .map(drop)
        },
        &["principals fail", "settings warn"],
    ),
    (
        "everybody is let in unasked",
        |world, me, on| {
            world.modify_principals(me, &on.service, &["*".into()], &[])?;
            let change = ServiceChange {
                acceptance_required: Some(false),
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)
        },
        &["acceptance warn", "settings warn"],
    ),
];

#[sqlx::test(migrations = "./migrations")]
async fn what_is_broken_shows_in_its_own_check_and_is_gone_when_mended(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.checks().await;
    let diagnosis = stage.diagnosis().await;
    assert!(
        before.values().all(|status| status == "pass"),
        "{diagnosis:#}"
    );
    assert_eq!(diagnosis["status"], "pass");
    let world = stage.app.sim().snapshot();
    for (what, breaks, want) in BROKEN {
        stage.change(breaks);
        stage.look().await;
        let diagnosis = stage.diagnosis().await;
        assert_eq!(
            &changed(&before, &checks(&diagnosis)),
            want,
            "{what}: {diagnosis:#}"
        );
        for check in diagnosis["checks"].as_array().unwrap() {
            let passed = check["status"] == "pass";
            assert_eq!(check["cause"].is_null(), passed, "{what}: {check}");
            assert_eq!(check["fix"].is_null(), passed, "{what}: {check}");
            assert!(check["evidence"].is_string(), "{what}: {check}");
        }
        stage.app.sim().restore(world.clone()).unwrap();
        stage.look().await;
        assert_eq!(
            changed(&before, &stage.checks().await),
            [""; 0],
            "{what}, mended"
        );
    }
}
