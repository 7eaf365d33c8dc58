//! What a notice may look like. What it says is believed: a source knows better than we do what happened there.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use super::notice::{Notice, Told};
use super::purchase;
use super::record::Terms;
use crate::domain::listing::Wrong;

/// How far a source's clock may go before ours.
pub const FASTEST_CLOCK: TimeDelta = TimeDelta::minutes(5);
/// The longest id of an event, and of an agreement at its source.
pub const LONGEST_ID: usize = 128;
/// What the ids of our own events begin with. No source has such ones.
pub const OWN_EVENTS: &str = "portcullis:";
/// The most dimensions that a quantity can be told of.
const MOST_QUANTITIES: usize = 50;
/// The longest key of a dimension.
const LONGEST_KEY: usize = 100;
/// The years that a source tells of.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

/// What is wrong with an id that a source gives: it has 1 to 128 printable ASCII characters and no blanks.
pub fn foreign_id(field: &str, id: &str) -> Option<Wrong> {
    let good =
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let detail = if good && id.starts_with(OWN_EVENTS) {
        format!("ids that begin with {OWN_EVENTS} are given here")
    } else if good {
        return None;
    } else {
        format!("give 1 to {LONGEST_ID} printable ASCII characters without blanks")
    };
    Some(said(field, detail))
}

/// What is wrong with when something is said to have happened.
pub fn happened(field: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Wrong> {
    let detail = if at > now + FASTEST_CLOCK {
        let minutes = FASTEST_CLOCK.num_minutes();
        format!("it has happened: its time lies at most {minutes} minutes ahead of ours")
    } else if YEARS.contains(&at.year()) {
        return None;
    } else {
        format!(
            "give a time of the years {} to {}",
            YEARS.start(),
            YEARS.end()
        )
    };
    Some(said(field, detail))
}

/// What is wrong with a notice as it was told.
pub fn told(notice: &Notice, now: DateTime<Utc>) -> Vec<Wrong> {
    let mut wrong: Vec<Wrong> = foreign_id("event_id", &notice.id).into_iter().collect();
    wrong.extend(happened("at", notice.at, now));
    if let Told::Made(terms) = &notice.told {
        wrong.extend(shape(terms));
    }
    wrong
}

/// What is wrong with terms, whatever plan they are of.
fn shape(terms: &Terms) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (field, at) in [
        ("terms.starts_at", Some(terms.starts_at)),
        ("terms.ends_at", terms.ends_at),
    ] {
        if at.is_some_and(|at| !YEARS.contains(&at.year())) {
            let detail = format!(
                "give a time of the years {} to {}",
                YEARS.start(),
                YEARS.end()
            );
            wrong.push(said(field, detail));
        }
    }
    if terms.ends_at.is_some_and(|ends| ends <= terms.starts_at) {
        wrong.push(said("terms.ends_at", "it ends after it begins"));
    }
    if terms.quantities.len() > MOST_QUANTITIES {
        let detail = format!("there may be {MOST_QUANTITIES} quantities");
        wrong.push(said("terms.quantities", detail));
    }
    let key = |key: &&String| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !terms.quantities.keys().all(|it| key(&it)) {
        wrong.push(said(
            "terms.quantities",
            "a key has 1 to 100 letters, digits, _, . and -",
        ));
    }
    let quotas = purchase::quotas(&terms.quotas).into_iter();
    wrong.extend(quotas.map(|one| Wrong {
        field: format!("terms.{}", one.field),
        detail: one.detail,
    }));
    wrong
}

fn said(field: &str, detail: impl Into<String>) -> Wrong {
    Wrong {
        field: field.to_owned(),
        detail: detail.into(),
    }
}
