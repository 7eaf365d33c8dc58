//! Rules of services behind Gateway Load Balancers and of the endpoints to them.

use super::*;
use crate::world::endpoint_changes::EndpointChange;
use crate::world::endpoint_kinds::EndpointKind;
use crate::world::testing::{
    PROVIDER, after, caller, endpoint, firewall, gateway_load_balancer, load_balancer,
    new_endpoint, shop, world,
};

#[test]
fn a_service_stands_on_load_balancers_of_exactly_one_type() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let wall = gateway_load_balancer(&mut world, &me, "wall").to_string();
    let edge = load_balancer(&mut world, &me, "edge").to_string();
    let new = |network: &[&String], gateway: &[&String]| NewService {
        load_balancers: network.iter().map(ToString::to_string).collect(),
        gateway_load_balancers: gateway.iter().map(ToString::to_string).collect(),
        ..NewService::default()
    };
    for (request, code) in [
        (new(&[], &[]), "InvalidParameter"),
        (new(&[&edge], &[&wall]), "InvalidParameter"),
        (
            new(&[&wall], &[]),
            "InvalidNetworkLoadBalancerArn.Malformed",
        ),
        (
            new(&[], &[&edge]),
            "InvalidGatewayLoadBalancerArn.Malformed",
        ),
        (
            new(&[], &[&wall.replace("wall", "hall")]),
            "InvalidGatewayLoadBalancerArn.NotFound",
        ),
    ] {
        let error = world.create_service(&me, &request, None).unwrap_err();
        assert_eq!(error.code, code, "{request:?}");
    }
    let made = world
        .create_service(&me, &new(&[], &[&wall]), None)
        .unwrap();
    assert!(made.is_gateway());
    let error = world
        .create_service(&me, &new(&[], &[&wall]), None)
        .unwrap_err();
    assert!(error.message.contains("already associated"));
    let error = world.delete_load_balancer(&me, &wall).unwrap_err();
    assert_eq!(error.code, "ResourceInUse");
}

#[test]
fn load_balancers_of_the_other_type_and_private_names_are_refused_later_too() {
    let (mut world, me, _, id) = firewall(true);
    let edge = load_balancer(&mut world, &me, "edge").to_string();
    let second = gateway_load_balancer(&mut world, &me, "second").to_string();
    for change in [
        ServiceChange {
            add_load_balancers: vec![edge],
            ..ServiceChange::default()
        },
        ServiceChange {
            private_dns_name: Some("api.example.com".into()),
            ..ServiceChange::default()
        },
    ] {
        let error = world.modify_service(&me, id.as_str(), &change).unwrap_err();
        assert_eq!(error.code, "InvalidParameter", "{change:?}");
    }
    let change = ServiceChange {
        add_gateway_load_balancers: vec![second],
        ..ServiceChange::default()
    };
    world.modify_service(&me, id.as_str(), &change).unwrap();
    assert_eq!(
        world
            .own_service(&me, id.as_str())
            .unwrap()
            .load_balancers
            .len(),
        2
    );
}

#[test]
fn an_endpoint_is_in_one_subnet_and_has_nothing_but_its_interface() {
    let (mut world, _, me, id) = firewall(true);
    let good = new_endpoint(&mut world, &me, &id);
    let other = world
        .place(&me)
        .subnets
        .keys()
        .find(|subnet| **subnet != good.subnets[0])
        .cloned()
        .unwrap();
    let mut two = good.clone();
    two.subnets.push(other);
    let mut none = good.clone();
    none.subnets.clear();
    let mut policy = good.clone();
    policy.policy = Some(r#"{"Statement":[]}"#.into());
    let mut dns = good.clone();
    dns.private_dns = true;
    let mut kind = good.clone();
    kind.kind = EndpointKind::Interface;
    for new in [two, none, policy, dns, kind] {
        let error = world.create_endpoint(&me, &new, None).unwrap_err();
        assert_eq!(error.code, "InvalidParameter", "{new:?}");
    }
    let row = world.create_endpoint(&me, &good, None).unwrap();
    assert_eq!(row.state.to_string(), "pendingAcceptance");
    assert_eq!(row.endpoint.network_interfaces.len(), 1);
    assert!(row.dns_names.is_empty() && row.groups.is_empty());
    let change = EndpointChange {
        private_dns: Some(true),
        ..EndpointChange::default()
    };
    let error = world
        .modify_endpoint(&me, row.endpoint.id.as_str(), &change)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
}

#[test]
fn an_endpoint_waits_for_acceptance_like_any_other() {
    let (mut world, provider, me, service) = firewall(true);
    let id = endpoint(&mut world, &me, &service);
    let ids = [id.clone()];
    world
        .accept_connections(&provider, service.as_str(), &ids)
        .unwrap();
    let me = after(&me, 1_000);
    let row = world.endpoint(&me, &id).unwrap();
    assert_eq!(row.state.to_string(), "available");
    let page = world
        .endpoints(
            &me,
            &[],
            &Filters::one("vpc-endpoint-type", "GatewayLoadBalancer"),
            &Paging::default(),
        )
        .unwrap();
    assert_eq!(page.items.len(), 1);
}

#[test]
fn an_interface_service_refuses_the_other_type_and_notifications_need_one() {
    let (mut world, _, me, service) = shop(true);
    let mut new = new_endpoint(&mut world, &me, &service);
    new.kind = EndpointKind::GatewayLoadBalancer;
    let error = world.create_endpoint(&me, &new, None).unwrap_err();
    assert!(
        error
            .message
            .contains("does not match available service types")
    );
    let (mut world, provider, _, service) = firewall(true);
    world.behavior.notification_topic_must_exist = false;
    let new = crate::world::notifications::NewNotification {
        service_id: Some(service.to_string()),
        topic_arn: format!("arn:aws:sns:eu-west-1:{PROVIDER}:requests"),
        events: vec!["Connect".into()],
        ..Default::default()
    };
    let error = world
        .create_notification(&provider, &new, None)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
}
