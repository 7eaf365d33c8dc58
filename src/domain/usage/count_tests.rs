use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;

const BEGIN: i64 = 1_800_000_000;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BEGIN, 0).unwrap() + TimeDelta::milliseconds(millis)
}

fn agreement(number: u128) -> AgreementId {
    AgreementId::from(uuid::Uuid::from_u128(number))
}

fn window(from: i64, until: i64, now: i64) -> Window {
    Window {
        from: at(from * 1000),
        until: at(until * 1000),
        now: at(now * 1000),
        pays_until: None,
    }
}

fn bound(number: u128, since: i64, until: Option<i64>) -> Bound {
    Bound {
        agreement: agreement(number),
        since: at(since),
        until: until.map(at),
    }
}

fn seen(at_millis: i64, live: bool) -> Seen {
    Seen {
        at: at(at_millis),
        live,
    }
}

fn seconds(rows: &[Counted]) -> Vec<(i64, Billing, i32)> {
    let row = |row: &Counted| {
        let hour = (row.hour.timestamp() - BEGIN) / 3600;
        (hour, row.billing, row.seconds)
    };
    rows.iter().map(row).collect()
}

#[test]
fn an_hour_is_split_where_another_agreement_begins_to_pay() {
    let all = [
        bound(1, 600_400, Some(1_800_700)),
        bound(2, 1_800_700, None),
    ];
    let live = [seen(0, true)];
    let window = window(0, 7200, 5400);
    let first = count(agreement(1), &all, &live, window);
    let second = count(agreement(2), &all, &live, window);
    assert_eq!(seconds(&first), [(0, Billing::Billable, 1200)]);
    assert_eq!(
        seconds(&second),
        [(0, Billing::Billable, 1800), (1, Billing::Billable, 1800)]
    );
}

#[test]
fn an_hour_that_was_bound_and_not_live_has_a_row_of_nothing() {
    let all = [bound(1, 0, None)];
    let live = [seen(10_000, true), seen(20_000, false)];
    let rows = count(agreement(1), &all, &live, window(0, 7200, 7200));
    assert_eq!(
        seconds(&rows),
        [(0, Billing::Billable, 10), (1, Billing::Billable, 0)]
    );
}

#[test]
fn what_is_used_after_the_end_cannot_be_billed() {
    let all = [bound(1, 0, Some(5_400_000))];
    let ended = Window {
        pays_until: Some(at(1_800_000)),
        ..window(0, 7200, 9000)
    };
    let rows = count(agreement(1), &all, &[seen(0, true)], ended);
    assert_eq!(
        seconds(&rows),
        [
            (0, Billing::Billable, 1800),
            (0, Billing::UnbillableGrace, 1800),
            (1, Billing::UnbillableGrace, 1800)
        ]
    );
}

/// Bindings of two agreements in a row with pauses, and what was seen.
fn history() -> impl Strategy<Value = (Vec<Bound>, Vec<Seen>)> {
    let steps = prop::collection::vec((0..2u128, 0..9_000_000i64, any::<bool>()), 0..12);
    let sights = prop::collection::vec((0..60_000_000i64, any::<bool>()), 0..12);
    (steps, sights).prop_map(|(steps, mut sights)| {
        let mut time = 0;
        let mut all: Vec<Bound> = Vec::new();
        for (number, wait, pause) in steps {
            let until = time + wait;
            if !pause {
                all.push(bound(number, time, Some(until)));
            }
            time = until;
        }
        if let Some(last) = all.last_mut() {
            last.until = None;
        }
        sights.sort_unstable();
        let sights = sights.into_iter().map(|(at, live)| seen(at, live));
        (all, sights.collect())
    })
}

/// Second by second, without any of the arithmetic above.
fn exact(of: u128, all: &[Bound], sights: &[Seen], until: i64) -> i64 {
    let mut total = 0;
    for second in 0..until {
        let now = BEGIN + second;
        let mut pays = all
            .iter()
            .filter(|one| one.since.timestamp() <= now)
            .filter(|one| one.until.is_none_or(|until| until.timestamp() > now));
        let pays = pays
            .next_back()
            .is_some_and(|one| one.agreement == agreement(of));
        let live = sights
            .iter()
            .rfind(|one| one.at.timestamp() <= now)
            .is_some_and(|one| one.live);
        total += i64::from(pays && live);
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_hours_add_up_to_the_time_that_was_bound_and_live((all, sights) in history(), now in 0..40_000i64, end in 0..40_000i64) {
        let whole = Window { pays_until: Some(at(end * 1000)), ..window(0, 14 * 3600, now) };
        let mut hours: BTreeMap<i64, i64> = BTreeMap::new();
        for of in 0..2 {
            let rows = count(agreement(of), &all, &sights, whole);
            let sum: i64 = rows.iter().map(|row| i64::from(row.seconds)).sum();
            prop_assert_eq!(sum, exact(of, &all, &sights, now));
            for row in &rows {
                *hours.entry(row.hour.timestamp()).or_default() += i64::from(row.seconds);
            }
            // Hour by hour it is the same.
            let mut single = Vec::new();
            for hour in 0..14 {
                let one = Window { from: at(hour * 3_600_000), until: at((hour + 1) * 3_600_000), ..whole };
                single.extend(count(agreement(of), &all, &sights, one));
            }
            prop_assert_eq!(single, rows);
        }
        prop_assert!(hours.values().all(|seconds| *seconds <= 3600));
    }
}
