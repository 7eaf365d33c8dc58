//! Rules of load balancers: names, types, states, deletion.

use super::*;
use crate::world::testing::{
    CONSUMER, PROVIDER, caller, load_balancer, new_service, service, world,
};

fn new(world: &mut World, me: &Caller, name: &str) -> NewLoadBalancer {
    NewLoadBalancer {
        name: name.into(),
        subnets: world.place(me).subnets.keys().cloned().collect(),
        ..NewLoadBalancer::default()
    }
}

#[test]
fn a_load_balancer_in_use_cannot_be_deleted() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge");
    service(&mut world, &me, &arn, true);
    let error = world.delete_load_balancer(&me, arn.as_str()).unwrap_err();
    assert_eq!(error.code, "ResourceInUse");
    assert_eq!(
        error.message,
        format!(
            "Load balancer '{arn}' cannot be deleted because it is currently associated with another service"
        )
    );
}

#[test]
fn a_protected_load_balancer_cannot_be_deleted() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge");
    world
        .load_balancer(&me, arn.as_str())
        .unwrap()
        .deletion_protection = true;
    let error = world.delete_load_balancer(&me, arn.as_str()).unwrap_err();
    assert_eq!(error.code, "OperationNotPermitted");
}

#[test]
fn a_deleted_load_balancer_is_not_found_and_deleting_it_again_succeeds() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    world.delete_load_balancer(&me, &arn).unwrap();
    let error = world
        .load_balancers(&me, std::slice::from_ref(&arn), &[])
        .unwrap_err();
    assert_eq!(error.code, "LoadBalancerNotFound");
    assert!(world.delete_load_balancer(&me, &arn).is_ok());
    let error = world.delete_load_balancer(&me, "arn:x").unwrap_err();
    assert_eq!(error.code, "ValidationError");
}

#[test]
fn a_new_load_balancer_is_provisioning_for_a_while_if_asked_to() {
    let (mut world, mut me) = (world(), caller(PROVIDER));
    world.behavior.load_balancer_provisioning_ms = 1_000;
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let state = |world: &mut World, me: &Caller| {
        let lb = world.load_balancer(me, &arn).unwrap();
        lb.state_at(me.now).to_owned()
    };
    assert_eq!(state(&mut world, &me), "provisioning");
    me.now = later(me.now, 1_000);
    assert_eq!(state(&mut world, &me), "active");
}

#[test]
fn the_same_name_answers_with_the_same_load_balancer_or_is_refused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let asked = new(&mut world, &me, "edge");
    let first = world.create_load_balancer(&me, asked.clone()).unwrap();
    let mut turned = asked.clone();
    turned.subnets.reverse();
    let again = world.create_load_balancer(&me, turned).unwrap();
    assert_eq!(again.arn, first.arn);
    for other in [
        NewLoadBalancer {
            scheme: Some("internal".into()),
            ..asked.clone()
        },
        NewLoadBalancer {
            kind: LoadBalancerKind::Application,
            ..asked.clone()
        },
        NewLoadBalancer {
            ip_address_type: Some("dualstack".into()),
            ..asked.clone()
        },
    ] {
        let error = world.create_load_balancer(&me, other).unwrap_err();
        assert_eq!(error.code, "DuplicateLoadBalancerName");
    }
    // Names are unique in an account, not in the world.
    let other = caller(CONSUMER);
    let theirs = new(&mut world, &other, "edge");
    assert!(world.create_load_balancer(&other, theirs).is_ok());
}

#[test]
fn names_have_at_most_thirty_two_letters_digits_and_hyphens() {
    let (mut world, me) = (world(), caller(PROVIDER));
    for bad in [
        "",
        "-edge",
        "edge-",
        "ed_ge",
        "internal-edge",
        &"e".repeat(33),
    ] {
        let asked = new(&mut world, &me, bad);
        let error = world.create_load_balancer(&me, asked).unwrap_err();
        assert_eq!(error.code, "ValidationError", "{bad:?}");
    }
    let asked = new(&mut world, &me, &"e".repeat(32));
    assert!(world.create_load_balancer(&me, asked).is_ok());
}

#[test]
fn an_application_load_balancer_is_told_apart_and_backs_no_service() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let asked = NewLoadBalancer {
        kind: LoadBalancerKind::Application,
        ..new(&mut world, &me, "web")
    };
    let balancer = world.create_load_balancer(&me, asked.clone()).unwrap();
    assert!(balancer.arn.as_str().contains(":loadbalancer/app/web/"));
    assert_eq!(balancer.kind(), LoadBalancerKind::Application);
    let error = world
        .create_service(&me, &new_service(&balancer.arn, true), None)
        .unwrap_err();
    assert_eq!(error.code, "InvalidNetworkLoadBalancerArn.Malformed");
    let error = world
        .network_load_balancer(&me, balancer.arn.as_str())
        .unwrap_err();
    assert_eq!(error.code, "UnsupportedOperation");
    let one_zone = NewLoadBalancer {
        name: "small".into(),
        subnets: asked.subnets[..1].to_vec(),
        ..asked
    };
    let error = world.create_load_balancer(&me, one_zone).unwrap_err();
    assert_eq!(error.code, "ValidationError");
    assert!(
        world
            .delete_load_balancer(&me, balancer.arn.as_str())
            .is_ok()
    );
}

#[test]
fn a_load_balancer_from_an_older_snapshot_can_be_read() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let lb = world.load_balancer(&me, &arn).unwrap().clone();
    let mut old = serde_json::to_value(&lb).unwrap();
    for newer in [
        "addresses",
        "enforce_on_private_link",
        "source_nat_prefix",
        "forced_state",
        "attributes",
    ] {
        old.as_object_mut().unwrap().remove(newer).unwrap();
    }
    let read: LoadBalancer = serde_json::from_value(old).unwrap();
    assert_eq!(read, lb);
}
