//! What a source tells of an agreement.

use chrono::{DateTime, Utc};

use super::record::Terms;
use crate::domain::listing::EndCause;

/// A notice: something that happened to an agreement at its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The source's own id of it. Of two of one time, the higher one is the later one.
    pub id: String,
    /// When it happened, by the source's clock; not when it was heard of.
    pub at: DateTime<Utc>,
    /// What happened.
    pub told: Told,
}

/// What happened to an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was made, or its terms were amended.
    Made(Terms),
    /// It may be used: its licence was issued or updated.
    Licensed,
    /// Its licence was taken back.
    Unlicensed,
    /// Somebody has to look at it: the source is not sure of it, or told something that we do not know.
    Questioned,
    /// Somebody looked, and it is good.
    Cleared,
    /// It was renewed or replaced: another one takes its place.
    Replaced,
    /// It ended before its time, or its time was over.
    Ended(EndCause),
    /// It never came to be.
    RolledBack,
}
