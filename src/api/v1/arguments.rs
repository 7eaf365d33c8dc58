//! What several operations take in the same way: page sizes and AWS identifiers.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::app::AppError;
use crate::app::code::Code;

/// How many rows a page has unless told otherwise.
const DEFAULT_LIMIT: i64 = 50;
/// The most rows that a page has.
const MOST: i64 = 200;

/// How many rows a page shall have: 1 to 200, 50 unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) i64);

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

/// Reads an AWS identifier from a body and blames the field when it is malformed.
pub(super) fn aws_id<T>(field: &str, given: &str) -> Result<T, AppError>
where
    T: FromStr<Err = privatelink::InvalidId>,
{
    given.parse().map_err(|e: privatelink::InvalidId| {
        AppError::new(Code::InvalidRequest, e.to_string()).field(field)
    })
}
