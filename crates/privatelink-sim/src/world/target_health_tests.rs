//! Rules of targets and their health.

use super::*;
use crate::world::listeners::NewListener;
use crate::world::load_balancers::NewLoadBalancer;
use crate::world::targets::NewTargetGroup;
use crate::world::testing::{PROVIDER, after, caller, load_balancer, target_group, world};

fn at(id: &str) -> TargetRef {
    TargetRef {
        id: id.into(),
        ..TargetRef::default()
    }
}

/// Outside of the VPC, so that the zone must be said.
fn outside(id: &str) -> TargetRef {
    TargetRef {
        availability_zone: Some("all".into()),
        ..at(id)
    }
}

fn listen(world: &mut World, me: &Caller, group: &str) {
    let new = NewListener {
        load_balancer: load_balancer(world, me, "edge").to_string(),
        port: 443,
        protocol: "TCP".into(),
        forward: vec![(group.into(), None)],
        ..NewListener::default()
    };
    world.create_listener(me, new).unwrap();
}

fn seen(world: &mut World, me: &Caller, arn: &str) -> Vec<(String, String)> {
    let rows = world.target_health(me, arn, &[]).unwrap();
    rows.into_iter()
        .map(|(_, health)| (health.state, health.reason.unwrap_or_default()))
        .collect()
}

fn is(state: &str, reason: &str) -> Vec<(String, String)> {
    vec![(state.to_owned(), reason.to_owned())]
}

#[test]
fn a_target_is_unused_then_registered_then_checked_then_healthy() {
    let (mut world, me) = (world(), caller(PROVIDER));
    world.behavior.target_initial_ms = 1_000;
    let arn = target_group(&mut world, &me, "tg", "TCP");
    world
        .register_targets(&me, &arn, &[outside("10.0.0.1")])
        .unwrap();
    assert_eq!(seen(&mut world, &me, &arn), is("unused", "Target.NotInUse"));
    listen(&mut world, &me, &arn);
    for (ms, state, reason) in [
        (0, "initial", "Elb.RegistrationInProgress"),
        (500, "initial", "Elb.InitialHealthChecking"),
        (999, "initial", "Elb.InitialHealthChecking"),
        (1_000, "healthy", ""),
    ] {
        assert_eq!(seen(&mut world, &after(&me, ms), &arn), is(state, reason));
    }
}

#[test]
fn a_deregistered_target_drains_for_the_delay_and_can_come_back() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let target = [outside("10.0.0.1")];
    listen(&mut world, &me, &arn);
    world.register_targets(&me, &arn, &target).unwrap();
    world.deregister_targets(&me, &arn, &target).unwrap();
    let draining = is("draining", "Target.DeregistrationInProgress");
    assert_eq!(seen(&mut world, &after(&me, 299_999), &arn), draining);
    assert!(seen(&mut world, &after(&me, 300_000), &arn).is_empty());
    world
        .register_targets(&after(&me, 1_000), &arn, &target)
        .unwrap();
    assert_eq!(
        seen(&mut world, &after(&me, 400_000), &arn),
        is("healthy", "")
    );
    let delay = ("deregistration_delay.timeout_seconds".into(), "0".into());
    world
        .modify_target_group_attributes(&me, &arn, &[delay])
        .unwrap();
    world.deregister_targets(&me, &arn, &target).unwrap();
    assert!(seen(&mut world, &me, &arn).is_empty());
    // What is not registered is out already.
    assert!(world.deregister_targets(&me, &arn, &target).is_ok());
    let asked = world.target_health(&me, &arn, &target).unwrap();
    assert_eq!(asked[0].1.reason.as_deref(), Some("Target.NotRegistered"));
}

#[test]
fn a_target_that_nobody_uses_does_not_drain() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let target = [outside("10.0.0.1")];
    world.register_targets(&me, &arn, &target).unwrap();
    world.deregister_targets(&me, &arn, &target).unwrap();
    assert!(seen(&mut world, &me, &arn).is_empty());
}

#[test]
fn a_target_in_a_zone_without_a_node_is_unused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    listen(&mut world, &me, &arn);
    // The load balancer of the tests leaves the last zone out.
    let mut subnets: Vec<_> = world.place(&me).subnets.values().cloned().collect();
    subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    let inside = |n: usize| subnets[n].cidr.replace(".0/20", ".20");
    for n in [0, 2] {
        world
            .register_targets(&me, &arn, &[at(&inside(n))])
            .unwrap();
    }
    let state = |world: &mut World, n: usize| {
        let rows = world.target_health(&me, &arn, &[at(&inside(n))]).unwrap();
        assert!(rows[0].0.availability_zone.is_some());
        rows[0].1.state.clone()
    };
    assert_eq!(state(&mut world, 0), "healthy");
    assert_eq!(state(&mut world, 2), "unused");
}

#[test]
fn health_is_set_for_a_target_a_zone_or_a_group_and_given_back() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let here = TargetRef {
        availability_zone: Some("eu-west-1a".into()),
        ..at("10.0.0.2")
    };
    world
        .register_targets(&me, &arn, &[outside("10.0.0.1"), here])
        .unwrap();
    let sick = Health {
        state: "unhealthy".into(),
        reason: Some("Target.FailedHealthChecks".into()),
        description: None,
    };
    let count = |world: &mut World| {
        let rows = world.target_health(&me, &arn, &[]).unwrap();
        rows.iter().filter(|(_, health)| *health == sick).count()
    };
    world
        .set_target_health(&me, &arn, "10.0.0.1", Some(&sick))
        .unwrap();
    assert_eq!(count(&mut world), 1);
    world
        .set_target_health(&me, &arn, "10.0.0.1", None)
        .unwrap();
    assert_eq!(count(&mut world), 0);
    let zone = Some("eu-west-1a");
    assert_eq!(
        world
            .set_group_health(&me, &arn, zone, Some(&sick))
            .unwrap(),
        1
    );
    assert_eq!(count(&mut world), 1);
    assert_eq!(
        world
            .set_group_health(&me, &arn, None, Some(&sick))
            .unwrap(),
        2
    );
    assert_eq!(count(&mut world), 2);
    assert!(
        world
            .set_target_health(&me, &arn, "10.0.0.9", None)
            .is_err()
    );
    let odd = Health {
        state: "tired".into(),
        ..sick.clone()
    };
    let with_reason = Health {
        state: "healthy".into(),
        ..sick.clone()
    };
    let of_another = Health {
        state: "initial".into(),
        ..sick.clone()
    };
    for odd in [odd, with_reason, of_another] {
        let error = world
            .set_group_health(&me, &arn, None, Some(&odd))
            .unwrap_err();
        assert_eq!(error.code, "ValidationError", "{odd:?}");
    }
}

#[test]
fn an_address_must_be_private_and_its_zone_fit() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = target_group(&mut world, &me, "tg", "TCP");
    let inside = world.place(&me).subnets.values().next().unwrap().clone();
    let inside = inside.cidr.replace(".0/20", ".20");
    for (target, code) in [
        (at("example.com"), "InvalidTarget"),
        (outside("8.8.8.8"), "InvalidTarget"),
        (outside("2001:db8::1"), "InvalidTarget"),
        (at("10.0.0.1"), "ValidationError"),
        (outside(&inside), "ValidationError"),
        (
            TargetRef {
                quic_server_id: Some("0x0123456789abcdef".into()),
                ..outside("10.0.0.1")
            },
            "ValidationError",
        ),
    ] {
        let error = world.register_targets(&me, &arn, std::slice::from_ref(&target));
        assert_eq!(error.unwrap_err().code, code, "{target:?}");
    }
    assert!(
        world
            .register_targets(&me, &arn, &[outside("100.64.0.1")])
            .is_ok()
    );
}

#[test]
fn instances_load_balancers_and_quic_targets_have_rules_of_their_own() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let (vpc_id, subnets) = {
        let place = world.place(&me);
        let subnets: Vec<_> = place.subnets.keys().cloned().collect();
        (place.vpcs.keys().next().cloned(), subnets)
    };
    let mut group = |name: &str, kind: &str, protocol: &str| {
        let new = NewTargetGroup {
            name: name.into(),
            protocol: protocol.into(),
            port: 443,
            vpc_id: vpc_id.clone(),
            target_type: Some(kind.into()),
            ..NewTargetGroup::default()
        };
        world.create_target_group(&me, new).unwrap().arn
    };
    let (instances, balancers) = (group("i", "instance", "TCP"), group("alb", "alb", "TCP"));
    let quic = group("quic", "instance", "QUIC");
    let mut web = |name: &str| {
        let new = NewLoadBalancer {
            name: name.into(),
            kind: LoadBalancerKind::Application,
            subnets: subnets.clone(),
            ..NewLoadBalancer::default()
        };
        world
            .create_load_balancer(&me, new)
            .unwrap()
            .arn
            .to_string()
    };
    let (one, two) = (web("one"), web("two"));
    let network = load_balancer(&mut world, &me, "edge").to_string();
    let instance = "i-0123456789abcdef0";
    let with_id = |id: &str| TargetRef {
        quic_server_id: Some(id.into()),
        ..at(instance)
    };
    for (arn, target, code) in [
        (&instances, at("10.0.0.1"), "InvalidTarget"),
        (&instances, outside(instance), "ValidationError"),
        (&balancers, at(&network), "InvalidTarget"),
        (&quic, at(instance), "ValidationError"),
        (&quic, with_id("0x0123456789ABCDEF"), "ValidationError"),
    ] {
        let error = world.register_targets(&me, arn, std::slice::from_ref(&target));
        assert_eq!(error.unwrap_err().code, code, "{target:?}");
    }
    world
        .register_targets(&me, &instances, &[at(instance)])
        .unwrap();
    world
        .register_targets(&me, &quic, &[with_id("0x0123456789abcdef")])
        .unwrap();
    world
        .register_targets(&me, &balancers, &[at(&one)])
        .unwrap();
    let error = world
        .register_targets(&me, &balancers, &[at(&two)])
        .unwrap_err();
    assert_eq!(error.code, "TooManyTargets");
}
