//! Hints that arrived.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::hint::{HintSource, Named};
use crate::domain::ids::{AccountRegionId, uuid_at};

/// A hint as it arrives.
#[derive(Debug)]
pub struct NewHint<'a> {
    /// How it came.
    pub source: HintSource,
    /// The sender's own id of the message.
    pub message_id: &'a str,
    /// What it names.
    pub named: &'a Named,
    /// When it arrived.
    pub at: DateTime<Utc>,
}

/// Whether a message was stored before.
pub async fn is_known(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    message_id: &str,
) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM hints WHERE account_region_id = $1 AND message_id = $2) AS "known!""#,
        account_region as _,
        message_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(known)
}

/// Stores a hint. Answers `false`, and stores nothing, when the message is known already.
pub async fn insert(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    hint: &NewHint<'_>,
) -> Result<bool, StoreError> {
    let services: Vec<String> = hint
        .named
        .services
        .iter()
        .map(ToString::to_string)
        .collect();
    let endpoints: Vec<String> = hint
        .named
        .endpoints
        .iter()
        .map(ToString::to_string)
        .collect();
    let done = sqlx::query!(
        "INSERT INTO hints (id, account_region_id, source, message_id, service_ids, endpoint_ids, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT ON CONSTRAINT hints_message_unique DO NOTHING",
        uuid_at(hint.at),
        account_region as _,
        hint.source.as_str(),
        hint.message_id,
        &services,
        &endpoints,
        hint.at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
