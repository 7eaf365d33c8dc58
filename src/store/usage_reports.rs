//! What the provider's own software reported, event by event. Append-only.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::usage::Quantity;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose use it is.
    pub agreement: AgreementId,
    /// The reporter's own id of it.
    pub event_id: String,
    /// The row that it went to.
    pub row: UsageHourId,
    /// Of which dimension.
    pub dimension: String,
    /// When it was used.
    pub at: DateTime<Utc>,
    /// Over which connection.
    pub connection: Option<ConnectionId>,
    /// By which account.
    pub account: Option<String>,
    /// How much.
    pub quantity: Quantity,
    /// Of a correction: why.
    pub reason: Option<String>,
}

impl Report {
    /// Whether another says the same, wherever it went to.
    pub fn says_the_same(&self, other: &Self) -> bool {
        // PostgreSQL keeps microseconds. Quantities are compared as numbers: 2 is 2.0.
        let at = |of: &Self| of.at.timestamp_micros();
        at(self) == at(other)
            && self.dimension == other.dimension
            && self.connection == other.connection
            && self.account == other.account
            && self.quantity == other.quantity
            && self.reason == other.reason
    }
}

/// One by the reporter's id of it.
pub async fn by_event(
    conn: &mut PgConnection,
    agreement: AgreementId,
    event_id: &str,
) -> Result<Option<Report>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT usage_hour_id AS "row: UsageHourId", dimension, at, connection_id AS "connection: ConnectionId", account_id,
                  trim_scale(quantity)::text AS "quantity!", reason
             FROM usage_reports WHERE agreement_id = $1 AND event_id = $2"#,
        agreement as _,
        event_id,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let quantity = row.quantity.parse::<Quantity>();
    Ok(Some(Report {
        agreement,
        event_id: event_id.to_owned(),
        row: row.row,
        dimension: row.dimension,
        at: row.at,
        connection: row.connection,
        account: row.account_id,
        quantity: quantity.map_err(|e| StoreError::inconsistent("usage_reports", event_id, e))?,
        reason: row.reason,
    }))
}

/// Keeps a report. The caller has locked the agreement, and knows that the event is new.
pub async fn insert(
    conn: &mut PgConnection,
    new: &Report,
    at: DateTime<Utc>,
    by: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO usage_reports (agreement_id, event_id, usage_hour_id, dimension, at, connection_id, account_id, quantity, reason, reported_at, reported_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::numeric, $9, $10, $11)",
        new.agreement as _,
        new.event_id,
        new.row as _,
        new.dimension,
        new.at,
        new.connection.map(ConnectionId::uuid),
        new.account,
        new.quantity.to_string(),
        new.reason,
        at,
        by,
    )
    .execute(conn)
    .await?;
    Ok(())
}
