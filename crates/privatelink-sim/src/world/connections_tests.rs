//! Rules of connections: the legality matrix, batches, listings, what outlives what.

use super::*;
use crate::world::testing::*;

fn state(world: &mut World, provider: &Caller, endpoint: &str) -> Option<ConnectionState> {
    let filters = Filters::one("vpc-endpoint-id", endpoint);
    let page = world
        .connections(provider, &filters, &Paging::default())
        .unwrap();
    page.items.into_iter().next().map(|row| row.state)
}

#[test]
fn an_accepted_request_is_pending_and_then_available() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    assert_eq!(
        state(&mut world, &provider, &endpoint),
        Some(ConnectionState::PendingAcceptance)
    );
    let failed = world.accept_connections(&provider, id.as_str(), std::slice::from_ref(&endpoint));
    assert!(failed.unwrap().is_empty());
    assert_eq!(
        state(&mut world, &provider, &endpoint),
        Some(ConnectionState::Pending)
    );
    let later = after(&provider, world.behavior.accept_delay_ms);
    assert_eq!(
        state(&mut world, &later, &endpoint),
        Some(ConnectionState::Available)
    );
}

#[test]
fn a_service_without_acceptance_skips_the_queue_but_not_pending() {
    let (mut world, provider, consumer, id) = shop(false);
    let endpoint = endpoint(&mut world, &consumer, &id);
    assert_eq!(
        state(&mut world, &provider, &endpoint),
        Some(ConnectionState::Pending)
    );
}

#[test]
fn every_cell_of_the_matrix_is_as_documented_or_harsher() {
    use ConnectionState as S;
    let behavior = Behavior::default();
    for state in S::DOCUMENTED {
        let accept = legality(Verdict::Accept, &state, &behavior);
        let reject = legality(Verdict::Reject, &state, &behavior);
        assert_eq!(
            accept == Legality::Allow,
            state == S::PendingAcceptance,
            "accept {state}"
        );
        let rejectable = [S::PendingAcceptance, S::Pending, S::Available].contains(&state);
        assert_eq!(reject == Legality::Allow, rejectable, "reject {state}");
    }
}

#[test]
fn the_switches_soften_the_matrix() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoints = [endpoint(&mut world, &consumer, &id)];
    world
        .reject_connections(&provider, id.as_str(), &endpoints)
        .unwrap();
    let failed = world
        .accept_connections(&provider, id.as_str(), &endpoints)
        .unwrap();
    assert_eq!(failed[0].error.code, "InvalidState");
    world.behavior.accept_after_reject = Legality::Allow;
    assert!(
        world
            .accept_connections(&provider, id.as_str(), &endpoints)
            .unwrap()
            .is_empty()
    );
    let before = world
        .connections(&provider, &Filters::default(), &Paging::default())
        .unwrap();
    world.behavior.accept_again = Legality::NoOp;
    let soon = after(&provider, 1);
    assert!(
        world
            .accept_connections(&soon, id.as_str(), &endpoints)
            .unwrap()
            .is_empty()
    );
    let later = world
        .connections(&provider, &Filters::default(), &Paging::default())
        .unwrap();
    assert_eq!(before, later, "a second accept starts nothing again");
}

#[test]
fn the_good_ids_of_a_batch_are_done_and_the_bad_ones_named() {
    let (mut world, provider, consumer, id) = shop(true);
    let good = endpoint(&mut world, &consumer, &id);
    let ids = [
        "vpce-00000000000000000".to_owned(),
        good.clone(),
        "junk".to_owned(),
    ];
    let failed = world
        .accept_connections(&provider, id.as_str(), &ids)
        .unwrap();
    let named: Vec<_> = failed.iter().map(|f| f.resource_id.as_str()).collect();
    assert_eq!(named, ["vpce-00000000000000000", "junk"]);
    assert_eq!(
        state(&mut world, &provider, &good),
        Some(ConnectionState::Pending)
    );
}

#[test]
fn a_foreign_service_is_an_error_of_the_whole_call() {
    let (mut world, _, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    let error = world
        .accept_connections(&consumer, id.as_str(), &[endpoint])
        .unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointServiceId.NotFound");
}

#[test]
fn an_unfiltered_listing_has_every_service_and_pages_join() {
    let (mut world, provider, consumer, first) = shop(true);
    let lb = load_balancer(&mut world, &provider, "second");
    let second = service(&mut world, &provider, &lb, true);
    world
        .modify_principals(&provider, second.as_str(), &["*".into()], &[])
        .unwrap();
    let mut made: Vec<String> = (0..7)
        .flat_map(|_| {
            [
                endpoint(&mut world, &consumer, &first),
                endpoint(&mut world, &consumer, &second),
            ]
        })
        .collect();
    world.behavior.page_size_limit = Some(3);
    for (filters, expected) in [
        (Filters::default(), 14),
        (Filters::one("service-id", first.as_str()), 7),
    ] {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let paging = Paging::from(token.as_deref());
            let page = world.connections(&provider, &filters, &paging).unwrap();
            assert!(page.items.len() <= 3);
            seen.extend(
                page.items
                    .into_iter()
                    .map(|row| row.endpoint_id.to_string()),
            );
            match page.next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected);
        seen.sort();
        made.sort();
        if expected == made.len() {
            assert_eq!(seen, made);
        }
    }
}

#[test]
fn filters_use_the_wires_camel_case() {
    let (mut world, provider, consumer, id) = shop(true);
    endpoint(&mut world, &consumer, &id);
    for (value, rows) in [
        ("pendingAcceptance", 1),
        ("PendingAcceptance", 0),
        ("pending*", 1),
    ] {
        let filters = Filters::one("vpc-endpoint-state", value);
        let page = world
            .connections(&provider, &filters, &Paging::default())
            .unwrap();
        assert_eq!(page.items.len(), rows, "{value}");
    }
}

#[test]
fn a_rejected_row_outlives_its_service_and_cannot_be_decided_any_more() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoints = [endpoint(&mut world, &consumer, &id)];
    world
        .reject_connections(&provider, id.as_str(), &endpoints)
        .unwrap();
    let settled = after(&provider, world.behavior.reject_settle_ms);
    assert!(
        world
            .delete_services(&settled, &[id.to_string()])
            .unwrap()
            .is_empty()
    );
    let gone = after(
        &settled,
        world.behavior.service_deleting_ms + world.behavior.service_linger_ms,
    );
    world.sweep(gone.now);
    assert_eq!(
        state(&mut world, &gone, &endpoints[0]),
        Some(ConnectionState::Rejected)
    );
    let error = world
        .reject_connections(&gone, id.as_str(), &endpoints)
        .unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointServiceId.NotFound");
    world.behavior.rejected_rows_outlive_service = false;
    assert_eq!(state(&mut world, &gone, &endpoints[0]), None);
}

#[test]
fn rows_of_deleted_endpoints_linger_on_after_their_service() {
    let (mut world, provider, consumer, id) = shop(true);
    let rows = [(); 2].map(|()| endpoint(&mut world, &consumer, &id));
    let behavior = world.behavior.clone();
    world
        .reject_connections(&provider, id.as_str(), &rows[1..])
        .unwrap();
    world.delete_endpoints(&consumer, &rows[..1]).unwrap();
    let settled = after(
        &provider,
        behavior.reject_settle_ms + behavior.endpoint_deleting_ms,
    );
    let left = world.delete_services(&settled, &[id.to_string()]).unwrap();
    assert!(left.is_empty());
    let gone = after(
        &settled,
        behavior.service_deleting_ms + behavior.service_linger_ms,
    );
    world.sweep(gone.now);
    let deleted = Some(ConnectionState::Deleted);
    assert_eq!(state(&mut world, &gone, &rows[0]), deleted);
    // One that was rejected is deleted by its consumer after the service is gone.
    let late = Caller {
        account: consumer.account.clone(),
        ..gone.clone()
    };
    let left = world.delete_endpoints(&late, &rows[1..]).unwrap();
    assert!(left.is_empty());
    let deleting = Some(ConnectionState::Deleting);
    assert_eq!(state(&mut world, &gone, &rows[1]), deleting);
    world.behavior.deleted_rows_outlive_service = false;
    for row in &rows {
        assert_eq!(state(&mut world, &gone, row), None);
    }
    world.behavior.deleted_rows_outlive_service = true;
    let over = after(&gone, 2 * behavior.endpoint_linger_ms);
    world.sweep(over.now);
    assert_eq!(state(&mut world, &over, &rows[1]), None);
    assert!(world.service(&id).is_none(), "nothing is left behind");
}

#[test]
fn taking_a_principal_away_leaves_its_connections() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    let root = format!("arn:aws:iam::{CONSUMER}:root");
    world
        .modify_principals(&provider, id.as_str(), &[], &[root])
        .unwrap();
    let failed = world.accept_connections(&provider, id.as_str(), std::slice::from_ref(&endpoint));
    assert!(failed.unwrap().is_empty());
    assert_eq!(
        state(&mut world, &provider, &endpoint),
        Some(ConnectionState::Pending)
    );
}
