//! Requests that may be sent twice, with what they were answered.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::idempotency::{Kept, KeptAnswer, Named};

/// Takes the key for the rest of the transaction. Answers false where somebody else has it.
pub async fn take(conn: &mut PgConnection, named: &Named) -> Result<bool, StoreError> {
    let taken = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended(jsonb_build_array('idempotency', $1::text, $2::text)::text, 0)) AS "taken!""#,
        named.caller,
        named.key.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(taken)
}

/// The answer that is kept for a key, if it is not older than `since`. The caller has taken the key.
pub async fn kept(
    conn: &mut PgConnection,
    named: &Named,
    since: DateTime<Utc>,
) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query!(
        "SELECT request_hash, at, status, headers, body FROM idempotent_requests WHERE subject = $1 AND key = $2 AND at > $3",
        named.caller,
        named.key.as_str(),
        since,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let broken =
            |what: String| StoreError::inconsistent("idempotent_requests", &named.key, what);
        let headers = serde_json::from_value(row.headers).map_err(|e| broken(e.to_string()))?;
        let status = u16::try_from(row.status).map_err(|e| broken(e.to_string()))?;
        Ok(Kept {
            hash: row.request_hash,
            at: row.at,
            answer: KeptAnswer {
                status,
                headers,
                body: row.body,
            },
        })
    })
    .transpose()
}

/// Keeps an answer; one that is too old makes room. The caller has taken the key.
pub async fn keep(
    conn: &mut PgConnection,
    named: &Named,
    answer: &KeptAnswer,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let inconsistent =
        |what: String| StoreError::inconsistent("idempotent_requests", &named.key, what);
    let headers = serde_json::to_value(&answer.headers).map_err(|e| inconsistent(e.to_string()))?;
    let status = i16::try_from(answer.status).map_err(|e| inconsistent(e.to_string()))?;
    sqlx::query!(
        "INSERT INTO idempotent_requests (subject, key, request_hash, at, status, headers, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (subject, key) DO UPDATE
            SET request_hash = EXCLUDED.request_hash, at = EXCLUDED.at, status = EXCLUDED.status, headers = EXCLUDED.headers,
                body = EXCLUDED.body",
        named.caller,
        named.key.as_str(),
        &named.hash[..],
        at,
        status,
        headers,
        answer.body,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets answers that were given before, some at a time. One that is being replaced is left alone.
pub async fn forget(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM idempotent_requests
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotent_requests WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
