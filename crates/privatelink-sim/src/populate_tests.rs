use std::time::Duration;

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::world::connections::ConnectionRow;
use crate::world::endpoints::EndpointRow;
use crate::world::select::{Filters, Paging};
use crate::{SimClock, SimConfig};

const PROVIDER: &str = "111111111111";
const CONSUMER: &str = "200000000000";

fn simulator() -> Simulator {
    let clock = SimClock::stopped_at(DateTime::UNIX_EPOCH);
    clock.advance(Duration::from_hours(24 * 365));
    Simulator::new(SimConfig {
        seed: 5,
        clock,
        ..SimConfig::default()
    })
    .unwrap()
}

fn population(extra: &serde_json::Value) -> Population {
    let mut whole = json!({"account": PROVIDER, "region": "eu-west-1"});
    for (key, value) in extra.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn listed(simulator: &Simulator, filters: &Filters) -> Vec<ConnectionRow> {
    let me = simulator.caller(&PROVIDER.parse().unwrap(), &"eu-west-1".parse().unwrap());
    let mut paging = Paging::default();
    let mut rows = Vec::new();
    loop {
        let page = simulator
            .with_world(|world| world.connections(&me, filters, &paging).unwrap())
            .unwrap();
        rows.extend(page.items);
        match page.next {
            Some(next) => paging.token = Some(next),
            None => return rows,
        }
    }
}

fn endpoint(simulator: &Simulator, id: &str) -> EndpointRow {
    let me = simulator.caller(&CONSUMER.parse().unwrap(), &"eu-west-1".parse().unwrap());
    simulator
        .with_world(|world| world.endpoint(&me, id).unwrap())
        .unwrap()
}

#[test]
fn every_state_can_be_asked_for_and_is_there_as_often_as_asked() {
    let simulator = simulator();
    let states = json!({"pendingAcceptance": 7, "pending": 6, "available": 5, "rejected": 4, "failed": 3, "expired": 2,
                        "deleting": 2, "deleted": 1});
    let made = simulator
        .populate(&population(
            &json!({"services": 4, "consumers": 3, "states": states}),
        ))
        .unwrap();
    assert_eq!((made.services.len(), made.consumers.len()), (4, 3));
    let rows = listed(&simulator, &Filters::default());
    let mut seen = BTreeMap::new();
    for row in &rows {
        *seen.entry(row.state.to_string()).or_insert(0) += 1;
    }
    assert_eq!(json!(seen), states);
    assert_eq!(seen, made.connections);
    let owners: BTreeSet<_> = rows.iter().map(|row| &row.connection.owner).collect();
    assert_eq!(owners.len(), 3);
}

#[test]
fn shares_are_rounded_so_that_all_connections_are_there() {
    let states = json!({"pendingAcceptance": 0.2, "available": 0.7, "rejected": 0.1});
    for (connections, expected) in [
        (
            1_000,
            json!({"available": 700, "pendingAcceptance": 200, "rejected": 100}),
        ),
        (3, json!({"available": 2, "pendingAcceptance": 1})),
    ] {
        let made = simulator()
            .populate(&population(
                &json!({"connections": connections, "states": states}),
            ))
            .unwrap();
        assert_eq!(json!(made.connections), expected);
    }
}

/// Both sides of a connection as text, without the ids of the row and of its service.
fn shape(simulator: &Simulator, row: &ConnectionRow) -> String {
    let endpoint = endpoint(simulator, row.endpoint_id.as_str());
    let (head, _) = row.dns_names[0].split_once('.').unwrap();
    let (_, digest) = head.rsplit_once('-').unwrap();
    let mut text = format!("{row:?} {endpoint:?}");
    let ids = endpoint.endpoint.network_interfaces.into_iter().chain([
        row.connection.id.clone(),
        row.endpoint_id.to_string(),
        row.service_id.to_string(),
        row.load_balancers[0].to_string(),
        digest.to_owned(),
    ]);
    let interfaces = endpoint.endpoint.addresses.into_iter();
    let addresses = interfaces.filter_map(|held| held.ipv4.map(|address| address.to_string()));
    for id in ids.chain(addresses) {
        text = text.replace(&id, "ID");
    }
    text
}

#[test]
fn a_populated_row_is_what_calls_would_have_made() {
    let simulator = simulator();
    let empty = simulator.populate(&population(&json!({"connections": 1})));
    let service = empty.unwrap().services[0].clone();
    simulator.clock().advance(Duration::from_mins(1));
    let consumer = simulator.consumer(CONSUMER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let name = format!("com.amazonaws.vpce.eu-west-1.{service}");
    let accepted = consumer.create_endpoint(&name).unwrap();
    let provider = simulator.caller(&PROVIDER.parse().unwrap(), &"eu-west-1".parse().unwrap());
    simulator
        .with_world(|world| {
            world.accept_connections(&provider, service.as_str(), &[accepted.to_string()])
        })
        .unwrap()
        .unwrap();
    simulator.clock().advance(Duration::from_millis(300));
    let waiting = consumer.create_endpoint(&name).unwrap();
    // Now the same again in one call: accepted 300 ms ago, and waiting since now.
    let made = simulator
        .populate(&population(
            &json!({"states": {"pendingAcceptance": 1, "available": 1}}),
        ))
        .unwrap();
    let populated = listed(
        &simulator,
        &Filters::one("service-id", made.services[0].as_str()),
    );
    for (called, state) in [(accepted, "available"), (waiting, "pendingAcceptance")] {
        let called = &listed(
            &simulator,
            &Filters::one("vpc-endpoint-id", called.as_str()),
        )[0];
        let populated = populated.iter().find(|row| row.state.as_str() == state);
        assert_eq!(
            shape(&simulator, called),
            shape(&simulator, populated.unwrap())
        );
    }
}

#[test]
fn the_same_seed_populates_the_same_world() {
    let wanted = population(&json!({"services": 3, "consumers": 5, "connections": 60,
        "states": {"pendingAcceptance": 0.5, "available": 0.5}}));
    let snapshots: Vec<String> = (0..2)
        .map(|_| {
            let simulator = simulator();
            simulator.populate(&wanted).unwrap();
            serde_json::to_string(&simulator.snapshot()).unwrap()
        })
        .collect();
    assert_eq!(snapshots[0], snapshots[1]);
}

#[test]
fn a_world_can_be_populated_again_and_used_afterwards() {
    let simulator = simulator();
    let wanted = population(&json!({"connections": 2}));
    let first = simulator.populate(&wanted).unwrap();
    let second = simulator.populate(&wanted).unwrap();
    assert_ne!(first.services, second.services);
    let consumer = simulator.consumer(CONSUMER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let name = format!("com.amazonaws.vpce.eu-west-1.{}", second.services[0]);
    consumer.create_endpoint(&name).unwrap();
    assert_eq!(listed(&simulator, &Filters::default()).len(), 5);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let simulator = simulator();
    let before = serde_json::to_string(&simulator.snapshot()).unwrap();
    for wanted in [
        json!({"services": 0}),
        json!({"services": 10_001}),
        json!({"consumers": 0}),
        json!({"connections": 1_000_001}),
        json!({"region": "us-gov-west-1"}),
        json!({"states": {"available": 0.5}}),
        json!({"states": {"available": -1}}),
        json!({"states": {"Available": 1}}),
        json!({"states": {"partial": 1}}),
        json!({"connections": 10, "states": {"available": 0.5}}),
        json!({"acceptance_required": false, "states": {"pendingAcceptance": 1}}),
        json!({"acceptance_required": false, "states": {"expired": 1}}),
    ] {
        let error = simulator.populate(&population(&wanted)).unwrap_err();
        assert_eq!(error.code, "InvalidPopulation", "{wanted}");
    }
    let after = serde_json::to_string(&simulator.snapshot()).unwrap();
    assert_eq!(before, after);
}

#[test]
fn planned_failures_wait_for_endpoints_that_calls_make() {
    let simulator = simulator();
    let failure = PlannedFailure {
        account: None,
        times: 1,
        error: LastError {
            code: "Planned".to_owned(),
            message: String::new(),
        },
    };
    simulator
        .with_world(|world| world.plan_endpoint_failure(failure))
        .unwrap();
    let wanted = population(&json!({"states": {"available": 3, "failed": 1}}));
    let made = simulator.populate(&wanted).unwrap();
    assert_eq!(
        listed(&simulator, &Filters::one("vpc-endpoint-state", "failed")).len(),
        1
    );
    let consumer = simulator.consumer(CONSUMER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let name = format!("com.amazonaws.vpce.eu-west-1.{}", made.services[0]);
    let id = consumer.create_endpoint(&name).unwrap();
    let rows = listed(&simulator, &Filters::one("vpc-endpoint-id", id.as_str()));
    assert_eq!(rows[0].connection.failure.as_ref().unwrap().code, "Planned");
}
