//! Where a page of something about an agreement begins.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::arguments::time_of_cursor;

/// The longest key: an event's id and a letter.
const LONGEST_KEY: usize = 160;

/// A time in microseconds and what tells those of one time apart.
#[derive(Debug, Clone)]
pub(super) struct TimeCursor(pub(super) (DateTime<Utc>, String));

impl fmt::Display for TimeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self((at, key)) = self;
        write!(f, "{}_{key}", at.timestamp_micros())
    }
}

impl FromStr for TimeCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "pass the next_cursor of the page before";
        let (micros, key) = text.split_once('_').ok_or(expected)?;
        let at = time_of_cursor(micros).ok_or(expected)?;
        let good = (1..=LONGEST_KEY).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if good {
            Ok(Self((at, key.to_owned())))
        } else {
            Err(expected)
        }
    }
}

impl<'de> Deserialize<'de> for TimeCursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
