//! Counting endpoint-hours: for how many seconds of each hour an agreement paid for a connection that was live.
//!
//! Every time is cut to its second first. So the seconds of two agreements that share an hour add up to it, and an hour never has more than 3600.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Billing;
use crate::domain::ids::AgreementId;

const HOUR: i64 = 3600;

/// That an agreement pays, or paid, for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The agreement.
    pub agreement: AgreementId,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; `None` where it still does.
    pub until: Option<DateTime<Utc>>,
}

/// That a connection was seen to be live, or not to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: DateTime<Utc>,
    /// Whether it was live.
    pub live: bool,
}

/// What is counted: from the beginning of an hour to the end of another, but nothing that is yet to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first hour.
    pub from: DateTime<Utc>,
    /// The first hour that is not counted any more.
    pub until: DateTime<Utc>,
    /// The time.
    pub now: DateTime<Utc>,
    /// Until when the agreement pays. What is used later cannot be billed.
    pub pays_until: Option<DateTime<Utc>>,
}

/// The seconds of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Whether they can be billed.
    pub billing: Billing,
    /// How many; none, too, in an hour in which the connection was bound and not live.
    pub seconds: i32,
}

/// Counts the seconds of one connection that an agreement paid for. `bound` are all bindings of the connection; where two overlap, the later one pays. `seen` is
/// what was seen of it, in order; before the first sight it was not live.
pub fn count(of: AgreementId, bound: &[Bound], seen: &[Seen], window: Window) -> Vec<Counted> {
    let (from, until) = (window.from.timestamp(), window.until.timestamp());
    let until = until.min(window.now.timestamp());
    let paid_until = window.pays_until.map_or(i64::MAX, |at| at.timestamp());
    let live = live(seen);
    let mut hours: BTreeMap<(i64, Billing), i64> = BTreeMap::new();
    for (begin, end) in paid(of, bound) {
        let (begin, end) = (begin.max(from), end.min(until));
        let mut hour = begin.div_euclid(HOUR) * HOUR;
        while hour < end {
            let (first, last) = (begin.max(hour), end.min(hour + HOUR));
            for (billing, first, last) in [
                (Billing::Billable, first, last.min(paid_until)),
                (Billing::UnbillableGrace, first.max(paid_until), last),
            ] {
                if first < last {
                    let both = live.iter().map(|(a, b)| last.min(*b) - first.max(*a));
                    let seconds: i64 = both.filter(|seconds| *seconds > 0).sum();
                    *hours.entry((hour, billing)).or_default() += seconds;
                }
            }
            hour += HOUR;
        }
    }
    let rows = hours.into_iter().filter_map(|((hour, billing), seconds)| {
        Some(Counted {
            hour: DateTime::from_timestamp(hour, 0)?,
            billing,
            seconds: i32::try_from(seconds).ok()?,
        })
    });
    rows.collect()
}

/// When the agreement paid, in seconds.
fn paid(of: AgreementId, bound: &[Bound]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64, AgreementId)> = bound
        .iter()
        .map(|one| {
            let until = one.until.map_or(i64::MAX, |at| at.timestamp());
            (one.since.timestamp(), until, one.agreement)
        })
        .collect();
    // Of those that begin in the same second, the one that lasts longest pays.
    spans.sort_by_key(|(since, until, agreement)| (*since, *until, *agreement));
    let mut paid = Vec::new();
    for (index, (since, until, agreement)) in spans.iter().enumerate() {
        let next = spans.get(index + 1).map_or(i64::MAX, |next| next.0);
        let until = (*until).min(next);
        if *agreement == of && *since < until {
            paid.push((*since, until));
        }
    }
    paid
}

/// When the connection was live, in seconds.
fn live(seen: &[Seen]) -> Vec<(i64, i64)> {
    let mut spans = Vec::new();
    let mut since: Option<i64> = None;
    for one in seen {
        let at = one.at.timestamp();
        match (since, one.live) {
            (None, true) => since = Some(at),
            (Some(begin), false) => {
                spans.push((begin, at));
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    spans.extend(since.map(|begin| (begin, i64::MAX)));
    spans
}
