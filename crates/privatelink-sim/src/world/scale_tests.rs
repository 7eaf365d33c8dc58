//! That the cost of a call is what it answers with, not what there is. Work is counted, not timed.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::json;

use super::select::{Filter, Filters, Paging};
use super::{Caller, World};
use crate::{SimConfig, Simulator};

const CONNECTIONS: usize = 20_000;

thread_local! {
    static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
}

/// Counts a connection that a listing looks at.
pub(super) fn looked_at() {
    LOOKED_AT.set(LOOKED_AT.get() + 1);
}

/// How many connections were looked at meanwhile.
fn work<T>(act: impl FnOnce() -> T) -> (T, usize) {
    LOOKED_AT.set(0);
    let result = act();
    (result, LOOKED_AT.get())
}

fn large_world() -> (Simulator, Caller) {
    let simulator = Simulator::new(SimConfig::default()).unwrap();
    let wanted = json!({
        "account": "111111111111", "region": "eu-west-1", "services": 20, "consumers": 50, "connections": CONNECTIONS,
        "states": {"pendingAcceptance": 0.5, "available": 0.5},
    });
    simulator
        .populate(&serde_json::from_value(wanted).unwrap())
        .unwrap();
    let me = simulator.caller(
        &"111111111111".parse().unwrap(),
        &"eu-west-1".parse().unwrap(),
    );
    (simulator, me)
}

fn page(
    world: &mut World,
    me: &Caller,
    filters: &Filters,
    size: usize,
    token: Option<String>,
) -> (Vec<(String, String)>, Option<String>) {
    let paging = Paging {
        max: Some(size),
        token,
        ..Paging::default()
    };
    let listed = world.connections(me, filters, &paging).unwrap();
    let ids = listed
        .items
        .into_iter()
        .map(|row| (row.service_id.to_string(), row.endpoint_id.to_string()));
    (ids.collect(), listed.next)
}

#[test]
fn a_call_costs_what_it_answers_with() {
    let (simulator, me) = large_world();
    let mut world = simulator.world();
    let world = &mut *world;
    let everything = || {
        let (mut rows, mut token) = (Vec::new(), None);
        loop {
            let (items, next) = page(world, &me, &Filters::default(), 1_000, token);
            rows.extend(items);
            token = next;
            if token.is_none() {
                return rows;
            }
        }
    };
    let (rows, looked) = work(everything);
    let pages = CONNECTIONS / 1_000;
    assert_eq!(rows.len(), CONNECTIONS);
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), CONNECTIONS);
    assert!(looked <= CONNECTIONS + pages, "{looked} for a full listing");

    let (service, endpoint) = rows[CONNECTIONS / 2].clone();
    let of_service = Filters::one("service-id", &service);
    let ((items, token), looked) = work(|| page(world, &me, &of_service, 10, None));
    assert_eq!((items.len(), looked), (10, 11));
    let ((items, _), looked) = work(|| page(world, &me, &of_service, 10, token));
    assert_eq!((items.len(), looked), (10, 11));

    let by_id = Filters(vec![Filter {
        name: "vpc-endpoint-id".to_owned(),
        values: rows
            .iter()
            .step_by(2_000)
            .map(|(_, id)| id.clone())
            .collect(),
    }]);
    let ((items, _), looked) = work(|| page(world, &me, &by_id, 1_000, None));
    assert_eq!((items.len(), looked), (10, 10));

    let both = Filters(vec![
        Filters::one("service-id", &rows[0].0).0.remove(0),
        Filters::one("vpc-endpoint-id", &endpoint).0.remove(0),
    ]);
    let ((items, _), looked) = work(|| page(world, &me, &both, 1_000, None));
    assert_eq!(
        (items.len(), looked),
        (0, 1),
        "an endpoint of another service"
    );
}
