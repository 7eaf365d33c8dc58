//! Rules of listeners.

use super::*;
use crate::world::load_balancers::NewLoadBalancer;
use crate::world::testing::{PROVIDER, caller, load_balancer, target_group, world};

fn new(balancer: &str, port: u16, protocol: &str, group: &str) -> NewListener {
    NewListener {
        load_balancer: balancer.into(),
        port,
        protocol: protocol.into(),
        forward: vec![(group.into(), None)],
        ..NewListener::default()
    }
}

#[test]
fn a_port_takes_one_listener_and_the_same_one_again() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let (tcp, udp) = (
        target_group(&mut world, &me, "tcp", "TCP"),
        target_group(&mut world, &me, "udp", "UDP"),
    );
    let first = world
        .create_listener(&me, new(&lb, 443, "TCP", &tcp))
        .unwrap();
    let again = world
        .create_listener(&me, new(&lb, 443, "TCP", &tcp))
        .unwrap();
    assert_eq!(again.arn, first.arn);
    let error = world
        .create_listener(&me, new(&lb, 443, "UDP", &udp))
        .unwrap_err();
    assert_eq!(error.code, "DuplicateListener");
    assert!(
        world
            .create_listener(&me, new(&lb, 53, "UDP", &udp))
            .is_ok()
    );
}

#[test]
fn the_protocol_of_the_listener_decides_about_that_of_the_target_group() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let groups = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];
    for (port, (listener, fits)) in (1_u16..).zip(PROTOCOLS) {
        if listener == "TLS" {
            continue; // Needs a certificate; the rule is the same.
        }
        for group in groups {
            let name = group.replace('_', "-");
            let arn = target_group(&mut world, &me, &name, group);
            let made = world.create_listener(&me, new(&lb, port, listener, &arn));
            let code = made.as_ref().map_err(|error| error.code.as_str());
            if fits.contains(&group) {
                let made = made.unwrap();
                world.delete_listener(&me, &made.arn).unwrap();
            } else {
                assert_eq!(
                    code.unwrap_err(),
                    "IncompatibleProtocols",
                    "{listener} to {group}"
                );
            }
        }
    }
    let tcp = target_group(&mut world, &me, "TCP", "TCP");
    for (protocol, port, code) in [
        ("HTTP", 80, "UnsupportedProtocol"),
        ("GENEVE", 6081, "UnsupportedProtocol"),
        ("TCP", 0, "ValidationError"),
    ] {
        let error = world.create_listener(&me, new(&lb, port, protocol, &tcp));
        assert_eq!(error.unwrap_err().code, code);
    }
}

#[test]
fn a_target_group_serves_one_load_balancer() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let one = load_balancer(&mut world, &me, "one").to_string();
    let two = load_balancer(&mut world, &me, "two").to_string();
    let tg = target_group(&mut world, &me, "tg", "TCP");
    world
        .create_listener(&me, new(&one, 443, "TCP", &tg))
        .unwrap();
    assert!(
        world
            .create_listener(&me, new(&one, 444, "TCP", &tg))
            .is_ok()
    );
    let error = world
        .create_listener(&me, new(&two, 443, "TCP", &tg))
        .unwrap_err();
    assert_eq!(error.code, "TargetGroupAssociationLimit");
    let error = world
        .create_listener(&me, new(&two, 443, "TCP", "arn:x"))
        .unwrap_err();
    assert_eq!(error.code, "TargetGroupNotFound");
}

#[test]
fn the_fifty_first_listener_is_one_too_many() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let tg = target_group(&mut world, &me, "tg", "TCP");
    for port in 1..=50 {
        assert!(
            world
                .create_listener(&me, new(&lb, port, "TCP", &tg))
                .is_ok()
        );
    }
    let error = world
        .create_listener(&me, new(&lb, 51, "TCP", &tg))
        .unwrap_err();
    assert_eq!(error.code, "TooManyListeners");
}

#[test]
fn a_dualstack_load_balancer_takes_udp_only_with_a_prefix() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let subnets = world.place(&me).subnets.keys().cloned().collect();
    let both = NewLoadBalancer {
        name: "both".into(),
        ip_address_type: Some("dualstack".into()),
        subnets,
        ..NewLoadBalancer::default()
    };
    let lb = world
        .create_load_balancer(&me, both)
        .unwrap()
        .arn
        .to_string();
    let udp = target_group(&mut world, &me, "udp", "UDP");
    let error = world
        .create_listener(&me, new(&lb, 53, "UDP", &udp))
        .unwrap_err();
    assert_eq!(error.code, "InvalidConfigurationRequest");
    world.load_balancer(&me, &lb).unwrap().source_nat_prefix = true;
    assert!(
        world
            .create_listener(&me, new(&lb, 53, "UDP", &udp))
            .is_ok()
    );
}

#[test]
fn a_changed_listener_keeps_the_rules_of_a_new_one() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let tg = target_group(&mut world, &me, "tg", "TCP");
    let other = target_group(&mut world, &me, "other", "TCP");
    world
        .create_listener(&me, new(&lb, 80, "TCP", &tg))
        .unwrap();
    let arn = world
        .create_listener(&me, new(&lb, 443, "TCP", &tg))
        .unwrap()
        .arn;
    let change = ListenerChange {
        port: Some(8443),
        forward: vec![(other.clone(), Some(5)), (tg.clone(), Some(0))],
        ..ListenerChange::default()
    };
    let changed = world.modify_listener(&me, &arn, change).unwrap();
    assert_eq!((changed.port, changed.arn.as_str()), (8443, arn.as_str()));
    assert_eq!(changed.target_groups, [other.clone(), tg]);
    assert_eq!(changed.weights[&other], 5);
    for (change, code) in [
        (
            ListenerChange {
                port: Some(80),
                ..ListenerChange::default()
            },
            "DuplicateListener",
        ),
        (
            ListenerChange {
                protocol: Some("UDP".into()),
                ..ListenerChange::default()
            },
            "IncompatibleProtocols",
        ),
        (
            ListenerChange {
                forward: vec![(other, Some(1000))],
                ..ListenerChange::default()
            },
            "ValidationError",
        ),
    ] {
        let error = world.modify_listener(&me, &arn, change).unwrap_err();
        assert_eq!(error.code, code);
    }
    let error = world
        .modify_listener(&me, &format!("{arn}0"), ListenerChange::default())
        .unwrap_err();
    assert_eq!(error.code, "ListenerNotFound");
}

#[test]
fn listeners_go_with_their_load_balancer() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let tg = target_group(&mut world, &me, "tg", "TCP");
    world
        .create_listener(&me, new(&lb, 443, "TCP", &tg))
        .unwrap();
    world.delete_load_balancer(&me, &lb).unwrap();
    assert!(world.listeners(&me, None, &[]).unwrap().is_empty());
    let error = world.listeners(&me, Some(&lb), &[]).unwrap_err();
    assert_eq!(error.code, "LoadBalancerNotFound");
    let error = world.listeners(&me, Some("arn:x"), &[]).unwrap_err();
    assert_eq!(error.code, "ValidationError");
}

#[test]
fn an_arn_of_nothing_or_of_another_region_is_not_valid() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge").to_string();
    let tg = target_group(&mut world, &me, "tg", "TCP");
    let listener = world
        .create_listener(&me, new(&lb, 443, "TCP", &tg))
        .unwrap()
        .arn;
    for (arn, what) in [
        (&lb, "load balancer"),
        (&tg, "target group"),
        (&listener, "listener"),
    ] {
        let elsewhere = arn.replace(":eu-west-1:", ":eu-west-2:");
        for wrong in [
            "nothing",
            "arn:x",
            &elsewhere,
            &arn.replace("elastic", "static"),
        ] {
            let error = match what {
                "load balancer" => world.load_balancer(&me, wrong).err(),
                "target group" => world.target_group(&me, wrong).err(),
                _ => world.listener(&me, wrong).err(),
            };
            let error = error.unwrap();
            assert_eq!(error.code, "ValidationError");
            assert_eq!(
                error.message,
                format!("'{wrong}' is not a valid {what} ARN")
            );
        }
    }
}
