//! What several operations take in the same way: page sizes and AWS identifiers.

use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Deserializer};

use crate::app::AppError;
use crate::app::code::Code;

/// How many rows a page has unless told otherwise.
const DEFAULT_LIMIT: i64 = 50;
/// The most rows that a page has.
const MOST: i64 = 200;

/// How many rows a page shall have: 1 to 200, 50 unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Limit(pub(in crate::api) i64);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = i64::deserialize(from)?;
        if (1..=MOST).contains(&given) {
            Ok(Self(given))
        } else {
            Err(serde::de::Error::custom(format!(
                "limit must be 1 to {MOST}, not {given}"
            )))
        }
    }
}

/// Tells a member that is null from one that is absent: `Some(None)` from `None`. Goes with `#[serde(default)]`.
#[expect(clippy::option_option, reason = "null is not absent")]
pub(super) fn given<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}

/// A time as RFC 3339 has it: of the years 0 to 9999. The parser takes years of six digits too, which nobody could be told in an answer, and of which PostgreSQL
/// does not have all.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
    let at = DateTime::<Utc>::deserialize(from)?;
    if is_told(at) {
        Ok(at)
    } else {
        Err(serde::de::Error::custom(
            "a time lies in the years 0000 to 9999",
        ))
    }
}

/// The same where it may be absent or null. Goes with `#[serde(default)]`.
pub(super) fn optional_time<'de, D>(from: D) -> Result<Option<DateTime<Utc>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "time")] DateTime<Utc>);

    Ok(Option::<Time>::deserialize(from)?.map(|Time(at)| at))
}

/// The time that a cursor begins with, in microseconds.
pub(super) fn time_of_cursor(micros: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros.parse().ok()?).filter(|at| is_told(*at))
}

fn is_told(at: DateTime<Utc>) -> bool {
    (0..=9999).contains(&at.year())
}

/// Reads an AWS identifier from a body and blames the field when it is malformed.
pub(super) fn aws_id<T>(field: &str, given: &str) -> Result<T, AppError>
where
    T: FromStr<Err = privatelink::InvalidId>,
{
    given.parse().map_err(|e: privatelink::InvalidId| {
        AppError::new(Code::InvalidRequest, e.to_string()).field(field)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_that_no_answer_could_have_are_refused() {
        for good in [
            "2026-11-27T09:30:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert!(time(json!(good)).is_ok(), "{good}");
        }
        for bad in [
            "+262000-01-01T00:00:00Z",
            "-262000-01-01T00:00:00Z",
            "-0001-12-31T00:00:00Z",
            "+10000-01-01T00:00:00Z",
        ] {
            assert!(time(json!(bad)).is_err(), "{bad}");
            assert!(optional_time(json!(bad)).is_err(), "{bad}");
        }
        assert_eq!(optional_time(json!(null)).ok(), Some(None));
    }

    #[test]
    fn a_cursor_begins_in_the_years_that_there_are() {
        assert!(time_of_cursor("1795759808000000").is_some());
        for bad in [
            "-8000000000000000000",
            "8200000000000000000",
            "",
            "x",
            "1.5",
        ] {
            assert!(time_of_cursor(bad).is_none(), "{bad}");
        }
    }
}
