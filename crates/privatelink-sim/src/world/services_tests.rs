//! Rules of endpoint services: exclusive load balancers, tokens, deletion, zones.

use super::*;
use crate::world::testing::*;

#[test]
fn a_load_balancer_backs_one_service_only() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge");
    service(&mut world, &me, &lb, true);
    let error = world
        .create_service(&me, &new_service(&lb, true), None)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
    assert!(
        error
            .message
            .contains("already associated with another VPC Endpoint Service")
    );
}

#[test]
fn the_same_token_makes_one_service_and_another_request_is_refused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge");
    let mut create = |acceptance| {
        world
            .create_service(&me, &new_service(&lb, acceptance), Some("token"))
            .map(|s| s.id)
    };
    let first = create(true).unwrap();
    assert_eq!(create(true).unwrap(), first);
    assert_eq!(
        create(false).unwrap_err().code,
        "IdempotentParameterMismatch"
    );
}

#[test]
fn a_service_needs_a_load_balancer_of_its_own_account() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge");
    let mut new = new_service(&lb, true);
    let error = world
        .create_service(&caller(CONSUMER), &new, None)
        .unwrap_err();
    assert_eq!(error.code, "InvalidNetworkLoadBalancerArn.NotFound");
    new.load_balancers = vec!["arn:nonsense".into()];
    let error = world.create_service(&me, &new, None).unwrap_err();
    assert_eq!(error.code, "InvalidNetworkLoadBalancerArn.Malformed");
    new.load_balancers.clear();
    assert_eq!(
        world.create_service(&me, &new, None).unwrap_err().code,
        "InvalidParameter"
    );
}

#[test]
fn a_service_with_endpoints_cannot_be_deleted_or_lose_its_load_balancer() {
    let (mut world, provider, consumer, id) = shop(true);
    endpoint(&mut world, &consumer, &id);
    let refused = world.delete_services(&provider, &[id.to_string()]).unwrap();
    assert_eq!(refused[0].error.code, "ExistingVpcEndpointConnections");
    let lb = world
        .own_service(&provider, id.as_str())
        .unwrap()
        .load_balancers[0]
        .to_string();
    let change = ServiceChange {
        remove_load_balancers: vec![lb],
        ..ServiceChange::default()
    };
    let error = world
        .modify_service(&provider, id.as_str(), &change)
        .unwrap_err();
    assert_eq!(error.code, "ExistingVpcEndpointConnections");
}

#[test]
fn a_fresh_rejection_still_blocks_deletion_and_an_old_one_does_not() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    world
        .reject_connections(&provider, id.as_str(), &[endpoint])
        .unwrap();
    let ids = [id.to_string()];
    let refused = world.delete_services(&provider, &ids).unwrap();
    assert_eq!(refused[0].error.code, "ExistingVpcEndpointConnections");
    let later = after(&provider, world.behavior.reject_settle_ms);
    assert!(world.delete_services(&later, &ids).unwrap().is_empty());
}

#[test]
fn a_deleted_service_lingers_keeps_its_load_balancer_busy_and_vanishes() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge");
    let id = service(&mut world, &me, &lb, true);
    let ids = [id.to_string()];
    assert!(world.delete_services(&me, &ids).unwrap().is_empty());
    let again = world.delete_services(&me, &ids).unwrap();
    assert_eq!(again[0].error.code, "InvalidVpcEndpointService.NotFound");
    let state = |world: &mut World, me: &Caller| {
        let page = world
            .describe_services(me, &[], &Filters::default(), &Paging::default())
            .unwrap();
        page.items.first().and_then(|s| s.state_at(me.now))
    };
    assert_eq!(state(&mut world, &me), Some(ServiceState::Deleting));
    assert_eq!(
        world
            .delete_load_balancer(&me, lb.as_str())
            .unwrap_err()
            .code,
        "ResourceInUse"
    );
    let deleted = after(&me, world.behavior.service_deleting_ms);
    assert_eq!(state(&mut world, &deleted), Some(ServiceState::Deleted));
    assert!(world.delete_load_balancer(&deleted, lb.as_str()).is_ok());
    let gone = after(&deleted, world.behavior.service_linger_ms);
    assert_eq!(state(&mut world, &gone), None);
    let error = world
        .describe_services(&gone, &ids, &Filters::default(), &Paging::default())
        .unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointServiceId.NotFound");
}

#[test]
fn zones_are_read_again_only_when_the_service_is_modified() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let lb = load_balancer(&mut world, &me, "edge");
    let id = service(&mut world, &me, &lb, true);
    let all: Vec<_> = world
        .place(&me)
        .subnets
        .values()
        .map(|s| (s.zone.clone(), s.id.clone()))
        .collect();
    world.load_balancer(&me, lb.as_str()).unwrap().subnets = all;
    assert_eq!(world.own_service(&me, id.as_str()).unwrap().zones.len(), 2);
    world
        .modify_service(&me, id.as_str(), &ServiceChange::default())
        .unwrap();
    assert_eq!(world.own_service(&me, id.as_str()).unwrap().zones.len(), 3);
}

#[test]
fn turning_acceptance_off_accepts_nothing_that_waits() {
    let (mut world, provider, consumer, id) = shop(true);
    endpoint(&mut world, &consumer, &id);
    let change = ServiceChange {
        acceptance_required: Some(false),
        ..ServiceChange::default()
    };
    world
        .modify_service(&provider, id.as_str(), &change)
        .unwrap();
    let page = world
        .connections(&provider, &Filters::default(), &Paging::default())
        .unwrap();
    assert_eq!(
        page.items[0].state,
        privatelink::ConnectionState::PendingAcceptance
    );
}

#[test]
fn a_malformed_id_has_the_code_with_the_doubled_word() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let error = world.own_service(&me, "vpce-svc-x").unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointServiceIdId.Malformed");
}
