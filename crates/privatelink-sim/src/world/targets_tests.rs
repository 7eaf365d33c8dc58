//! Rules of target groups.

use super::*;
use crate::world::listeners::NewListener;
use crate::world::testing::{PROVIDER, caller, load_balancer, target_group, world};

fn asked(world: &mut World, me: &Caller) -> NewTargetGroup {
    let vpc_id = world.place(me).vpcs.keys().next().cloned();
    NewTargetGroup {
        name: "tg".into(),
        protocol: "TCP".into(),
        port: 443,
        vpc_id,
        ..NewTargetGroup::default()
    }
}

#[test]
fn the_same_name_answers_with_the_same_group_or_is_refused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let good = asked(&mut world, &me);
    let first = world.create_target_group(&me, good.clone()).unwrap();
    assert_eq!(
        world.create_target_group(&me, good.clone()).unwrap().arn,
        first.arn
    );
    let other = NewTargetGroup { port: 80, ..good };
    let error = world.create_target_group(&me, other).unwrap_err();
    assert_eq!(error.code, "DuplicateTargetGroupName");
}

#[test]
fn a_group_that_a_network_load_balancer_cannot_use_is_refused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let good = asked(&mut world, &me);
    let text = |text: &str| Some(text.to_owned());
    for (bad, code) in [
        (
            NewTargetGroup {
                vpc_id: None,
                ..good.clone()
            },
            "ValidationError",
        ),
        (
            NewTargetGroup {
                vpc_id: text("vpc-0"),
                ..good.clone()
            },
            "InvalidConfigurationRequest",
        ),
        (
            NewTargetGroup {
                port: 0,
                ..good.clone()
            },
            "ValidationError",
        ),
        (
            NewTargetGroup {
                protocol: "SCTP".into(),
                ..good.clone()
            },
            "ValidationError",
        ),
        (
            NewTargetGroup {
                protocol: "HTTP".into(),
                ..good.clone()
            },
            "UnsupportedOperation",
        ),
        (
            NewTargetGroup {
                target_type: text("lambda"),
                ..good.clone()
            },
            "UnsupportedOperation",
        ),
        (
            NewTargetGroup {
                target_type: text("ship"),
                ..good.clone()
            },
            "ValidationError",
        ),
        (
            NewTargetGroup {
                target_type: text("alb"),
                protocol: "UDP".into(),
                ..good.clone()
            },
            "InvalidConfigurationRequest",
        ),
    ] {
        let error = world.create_target_group(&me, bad.clone()).unwrap_err();
        assert_eq!(error.code, code, "{bad:?}");
    }
}

#[test]
fn a_group_in_use_cannot_be_deleted_and_knows_its_load_balancer() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let new = NewListener {
        load_balancer: lb.clone(),
        port: 443,
        protocol: "TCP".into(),
        forward: vec![(arn.clone(), None)],
        ..NewListener::default()
    };
    let listener = world.create_listener(&me, new).unwrap();
    let change = HealthCheckChange {
        interval_seconds: Some(10),
        ..HealthCheckChange::default()
    };
    let (changed, users) = world.modify_target_group(&me, &arn, &change).unwrap();
    assert_eq!(changed.health_check.interval_seconds, 10);
    assert_eq!(users, [lb]);
    assert_eq!(
        world.delete_target_group(&me, &arn).unwrap_err().code,
        "ResourceInUse"
    );
    world.delete_listener(&me, &listener.arn).unwrap();
    assert!(world.delete_target_group(&me, &arn).is_ok());
    assert!(world.delete_target_group(&me, &arn).is_ok());
}

#[test]
fn a_group_from_an_older_snapshot_can_be_read() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let group = world.target_group(&me, &arn).unwrap().clone();
    let mut old = serde_json::to_value(&group).unwrap();
    for newer in ["ip_address_type", "health_check", "attributes"] {
        old.as_object_mut().unwrap().remove(newer).unwrap();
    }
    assert_eq!(serde_json::from_value::<TargetGroup>(old).unwrap(), group);
}
