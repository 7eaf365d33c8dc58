//! The ledger of use: how much of each dimension an agreement used, hour by hour.
//!
//! A row is open while its hour is not over, and sealed some minutes later. What is sealed never changes: what becomes known of its hour afterwards is a row of its own,
//! the next part, with the difference. So the parts of an hour add up to what is known now, and those that were there yesterday are there today. Figures are whole seconds
//! and exact decimals; no float is read, kept or written. Pure.

mod count;
#[cfg(test)]
mod count_tests;
mod quantity;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

pub use count::{Bound, Counted, Seen, Window, count};
pub use quantity::{InvalidQuantity, Quantity};

use super::ids::{AgreementId, ConnectionId, UsageHourId};
use super::text::text_enum;

text_enum!(
    /// Where a figure comes from.
    UsageSource {
        /// How long connections were bound and live, counted here.
        EndpointHours = "endpoint_hours",
        /// The provider's own software reported it.
        Reported = "reported",
    }
);

text_enum!(
    /// Whether somebody can be asked to pay.
    Billing {
        /// Yes, if the dimension has a price.
        Billable = "billable",
        /// No: it was used after the agreement's end, in its grace.
        UnbillableGrace = "unbillable_grace",
    }
);

text_enum!(
    /// Whether a figure can still change.
    UsageState {
        /// Its hour is not over, or was over a moment ago.
        Open = "open",
        /// Never again.
        Sealed = "sealed",
    }
);

/// What of an hour was used: one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageHour {
    /// Our id; of two, the higher one was recorded later.
    pub id: UsageHourId,
    /// Whose use it is.
    pub agreement: AgreementId,
    /// Of which dimension, by its key.
    pub dimension: String,
    /// What the dimension counts.
    pub unit: String,
    /// Over which connection.
    pub connection: Option<ConnectionId>,
    /// By which account, as the provider reported it.
    pub account: Option<String>,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Where the figure comes from.
    pub source: UsageSource,
    /// Whether it can be billed.
    pub billing: Billing,
    /// 1, and one more for each row that was added once the one before was sealed.
    pub part: i32,
    /// Of endpoint-hours: the exact figure.
    pub seconds: Option<i32>,
    /// How much, as a decimal.
    pub quantity: String,
    /// What one costs, as a decimal.
    pub price: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
    /// What it comes to, as a decimal of eight places. `None` where nothing is charged.
    pub amount: Option<String>,
    /// Whether it can still change.
    pub state: UsageState,
    /// Of a later part: why it is there.
    pub reason: Option<String>,
    /// When the row was made.
    pub recorded_at: DateTime<Utc>,
    /// When it was sealed.
    pub sealed_at: Option<DateTime<Utc>>,
}

/// When the hour of a time begins.
pub fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}
