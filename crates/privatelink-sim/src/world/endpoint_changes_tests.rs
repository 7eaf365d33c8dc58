//! Rules of changing endpoints and of endpoints that fail.

use super::*;
use crate::world::testing::{after, endpoint, new_endpoint, shop};

fn planned(account: Option<AccountId>) -> PlannedFailure {
    PlannedFailure {
        account,
        times: 1,
        error: LastError {
            code: "InsufficientCapacity".to_owned(),
            message: "No room".to_owned(),
        },
    }
}

fn state(world: &mut World, me: &Caller, id: &str) -> ConnectionState {
    world.endpoint(me, id).unwrap().state
}

fn other_subnet(world: &mut World, consumer: &Caller, used: &str) -> String {
    let zones = {
        let services = world.places().flat_map(|(_, _, p)| p.services.values());
        services.last().unwrap().zones.clone()
    };
    let place = world.place(consumer);
    let mut subnets = place.subnets.values();
    subnets
        .find(|s| s.id != used && zones.contains(&s.zone))
        .unwrap()
        .id
        .clone()
}

#[test]
fn a_changed_endpoint_is_pending_again_for_both_sides() {
    let (mut world, _, consumer, service) = shop(false);
    let id = endpoint(&mut world, &consumer, &service);
    let consumer = after(&consumer, 1_000);
    assert_eq!(
        state(&mut world, &consumer, &id),
        ConnectionState::Available
    );
    let before = world.endpoint(&consumer, &id).unwrap().endpoint;
    let subnet = other_subnet(&mut world, &consumer, &before.subnets[0]);
    let change = EndpointChange {
        add_subnets: vec![subnet],
        policy: Some(r#"{"Statement":[]}"#.to_owned()),
        ..EndpointChange::default()
    };
    world.modify_endpoint(&consumer, &id, &change).unwrap();
    let row = world.endpoint(&consumer, &id).unwrap();
    assert_eq!(row.state, ConnectionState::Pending);
    assert_eq!(row.endpoint.network_interfaces.len(), 2);
    assert_eq!(
        row.endpoint.network_interfaces[0],
        before.network_interfaces[0]
    );
    assert_eq!(row.dns_names.len(), 3);
    assert!(row.endpoint.policy.is_some());
    let consumer = after(&consumer, 1_000);
    assert_eq!(
        state(&mut world, &consumer, &id),
        ConnectionState::Available
    );
    let change = EndpointChange {
        reset_policy: true,
        remove_subnets: before.subnets,
        ..EndpointChange::default()
    };
    world.modify_endpoint(&consumer, &id, &change).unwrap();
    let row = world.endpoint(&consumer, &id).unwrap();
    assert_eq!((row.endpoint.subnets.len(), row.endpoint.policy), (1, None));
}

#[test]
fn a_change_before_the_acceptance_does_not_accept() {
    let (mut world, _, consumer, service) = shop(true);
    let id = endpoint(&mut world, &consumer, &service);
    let change = EndpointChange {
        policy: Some(r#"{"Statement":[]}"#.to_owned()),
        ..EndpointChange::default()
    };
    world.modify_endpoint(&consumer, &id, &change).unwrap();
    assert_eq!(
        state(&mut world, &after(&consumer, 1_000), &id),
        ConnectionState::PendingAcceptance
    );
}

#[test]
fn wrong_changes_are_refused_and_change_nothing() {
    let (mut world, provider, consumer, service) = shop(true);
    let id = endpoint(&mut world, &consumer, &service);
    let before = world.endpoint(&consumer, &id).unwrap();
    let base = EndpointChange::default();
    for (change, code) in [
        (
            EndpointChange {
                policy: Some("{".into()),
                ..base.clone()
            },
            "InvalidPolicyDocument",
        ),
        (
            EndpointChange {
                add_subnets: vec!["subnet-0".into()],
                ..base.clone()
            },
            "InvalidSubnetID.NotFound",
        ),
        (
            EndpointChange {
                remove_subnets: before.endpoint.subnets.clone(),
                ..base.clone()
            },
            "InvalidParameter",
        ),
        (
            EndpointChange {
                remove_subnets: vec!["subnet-0".into()],
                ..base.clone()
            },
            "InvalidParameter",
        ),
        (
            EndpointChange {
                add_security_groups: vec!["sg-0".into()],
                ..base.clone()
            },
            "InvalidGroup.NotFound",
        ),
        (
            EndpointChange {
                ip_address_type: Some("ipv6".into()),
                ..base.clone()
            },
            "InvalidParameter",
        ),
    ] {
        let error = world.modify_endpoint(&consumer, &id, &change).unwrap_err();
        assert_eq!(error.code, code, "{change:?}");
    }
    assert_eq!(world.endpoint(&consumer, &id).unwrap(), before);
    world
        .reject_connections(&provider, service.as_str(), std::slice::from_ref(&id))
        .unwrap();
    let error = world.modify_endpoint(&consumer, &id, &base).unwrap_err();
    assert_eq!(error.code, "InvalidState");
}

#[test]
fn a_planned_endpoint_fails_after_it_was_accepted_and_only_that_one() {
    let (mut world, provider, consumer, service) = shop(true);
    world.plan_endpoint_failure(planned(Some(provider.account.clone())));
    world.plan_endpoint_failure(planned(Some(consumer.account.clone())));
    let bad = endpoint(&mut world, &consumer, &service);
    let good = endpoint(&mut world, &consumer, &service);
    let ids = [bad.clone(), good.clone()];
    world
        .accept_connections(&provider, service.as_str(), &ids)
        .unwrap();
    assert_eq!(state(&mut world, &consumer, &bad), ConnectionState::Pending);
    let consumer = after(&consumer, 1_000);
    let row = world.endpoint(&consumer, &bad).unwrap();
    assert_eq!(row.state, ConnectionState::Failed);
    assert_eq!(row.last_error.unwrap().code, "InsufficientCapacity");
    let row = world.endpoint(&consumer, &good).unwrap();
    assert_eq!(
        (row.state, row.last_error),
        (ConnectionState::Available, None)
    );
}

#[test]
fn a_policy_that_is_no_policy_is_refused_at_birth() {
    let (mut world, _, consumer, service) = shop(true);
    let mut new = new_endpoint(&mut world, &consumer, &service);
    for policy in [
        "nonsense".to_owned(),
        "{}".to_owned(),
        format!(r#"{{"Statement":[],"a":"{}"}}"#, "x".repeat(MAX_POLICY)),
    ] {
        new.policy = Some(policy);
        let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
        assert_eq!(error.code, "InvalidPolicyDocument");
    }
}
