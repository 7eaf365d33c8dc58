//! What is shown of the ledger of use.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::usage::{Billing, UsageHour, UsageSource, UsageState};

/// What of an hour was used: a row of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageView {
    /// Our id.
    id: UsageHourId,
    /// Whose use it is.
    agreement_id: AgreementId,
    /// Of which dimension, by its key.
    #[schema(example = "endpoint_hours")]
    dimension: String,
    /// What the dimension counts.
    #[schema(example = "UnitHrs")]
    unit: String,
    /// Over which connection; null where the report named none.
    connection_id: Option<ConnectionId>,
    /// By which account, where the report named one.
    #[schema(example = "444455556666")]
    account_id: Option<String>,
    /// When the hour begins.
    #[schema(example = "2026-11-27T10:00:00Z")]
    hour: DateTime<Utc>,
    /// 1, and one more for each row that was added once the one before was sealed. All parts add up.
    #[schema(minimum = 1, example = 1)]
    part: i32,
    /// Where the figure comes from.
    source: UsageSource,
    /// Whether somebody can be asked to pay for it.
    billing: Billing,
    /// Of endpoint-hours: for how many seconds the connection was bound and live. Below zero in a part that takes back.
    #[schema(minimum = -3600, maximum = 3600, example = 1800)]
    seconds: Option<i32>,
    /// How much, as a decimal; of endpoint-hours rounded to eight places.
    #[schema(pattern = "^-?[0-9]+\\.[0-9]{8}$", example = "0.50000000")]
    quantity: String,
    /// What one costs; null where nothing is charged for use.
    #[schema(pattern = "^[0-9]+\\.[0-9]{8}$", example = "0.02000000")]
    price: Option<String>,
    /// In which currency.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Option<String>,
    /// What it comes to, from the exact figure, rounded to eight places; null where nothing is charged.
    #[schema(pattern = "^-?[0-9]+\\.[0-9]{8}$", example = "0.01000000")]
    amount: Option<String>,
    /// Whether it can still change.
    state: UsageState,
    /// Of a later part: why it is there.
    #[schema(example = "reported after the hour was sealed")]
    reason: Option<String>,
    /// When the row was made.
    #[schema(example = "2026-11-27T10:05:00Z")]
    recorded_at: DateTime<Utc>,
    /// When it was sealed.
    #[schema(example = "2026-11-27T11:10:00Z")]
    sealed_at: Option<DateTime<Utc>>,
}

impl From<UsageHour> for UsageView {
    fn from(row: UsageHour) -> Self {
        Self {
            id: row.id,
            agreement_id: row.agreement,
            dimension: row.dimension,
            unit: row.unit,
            connection_id: row.connection,
            account_id: row.account,
            hour: row.hour,
            part: row.part,
            source: row.source,
            billing: row.billing,
            seconds: row.seconds,
            quantity: row.quantity,
            price: row.price,
            currency: row.currency,
            amount: row.amount,
            state: row.state,
            reason: row.reason,
            recorded_at: row.recorded_at,
            sealed_at: row.sealed_at,
        }
    }
}
