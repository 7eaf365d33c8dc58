//! Letting go of whole months of the tables that grow for ever.

use audit_chain::{Hash, Head, Retirement, Signature};
use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};

const TABLE: &str = "audit_retirements";

/// Waits no longer than a moment for a table: writers would wait behind. Until the end of the transaction.
pub async fn be_brief(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT set_config('lock_timeout', '500ms', true)")
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Whether a table has months that ended before a time.
pub async fn any_before(
    conn: &mut PgConnection,
    table: &str,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM month_partitions_before($1, $2)) AS "any!""#,
        table,
        before,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}

/// Drops the months of a table that ended before a time. Answers how many.
pub async fn drop_before(
    conn: &mut PgConnection,
    table: &str,
    before: DateTime<Utc>,
) -> Result<i32, StoreError> {
    let dropped = sqlx::query_scalar!(
        r#"SELECT drop_month_partitions($1, $2) AS "dropped!""#,
        table,
        before,
    )
    .fetch_one(conn)
    .await?;
    Ok(dropped)
}

/// Whether something of the ledger of use from before a time can still change, or is still to be counted.
pub async fn open_usage_before(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM usage_hours WHERE hour < $1 AND state = 'open')
                  OR EXISTS (SELECT FROM usage_marks WHERE due_at IS NOT NULL AND least(sealed_until, recount_from) < $1) AS "any!""#,
        before,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}

/// Has the ledger of use begin there, for good.
pub async fn move_usage_on(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE usage_kept SET from_hour = greatest(from_hour, $1)",
        before
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes reports whose rows were let go of, some at a time. Answers how many.
pub async fn forget_reports(conn: &mut PgConnection, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM usage_reports
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_reports WHERE hour < (SELECT from_hour FROM usage_kept) ORDER BY hour LIMIT $1))",
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Has the feed begin with the oldest event that is still there.
pub async fn move_feed_on(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE event_feed SET first = COALESCE((SELECT position FROM events ORDER BY position LIMIT 1), last + 1)"
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether entries from before a time wait for their seal.
pub async fn unsealed_before(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM audit_unsealed WHERE at < $1) AS "any!""#,
        before,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}

/// The word that old entries were let go, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredRetirement {
    /// What it says.
    pub said: Retirement,
    /// Its hash, as it was stored.
    pub hash: Hash,
    /// Who signed the hash.
    pub signature: Option<Signature>,
}

/// Adds one.
pub async fn record(conn: &mut PgConnection, new: &StoredRetirement) -> Result<(), StoreError> {
    let head = new.said.head;
    let time = |micros| {
        DateTime::<Utc>::from_timestamp_micros(micros)
            .ok_or_else(|| StoreError::inconsistent(TABLE, head.number, "its time"))
    };
    sqlx::query!(
        "INSERT INTO audit_retirements (number, before, at, seal, seal_hash, hash, key_id, signature)
         SELECT COALESCE(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM audit_retirements",
        time(new.said.before)?,
        time(new.said.at)?,
        i64::try_from(head.number).unwrap_or(i64::MAX),
        &head.hash[..],
        &new.hash[..],
        new.signature.as_ref().map(|signature| signature.key.as_str()),
        new.signature.as_ref().map(|signature| signature.bytes.as_slice()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All of them, in their order.
pub async fn retirements(conn: &mut PgConnection) -> Result<Vec<StoredRetirement>, StoreError> {
    let rows = sqlx::query!(
        "SELECT number, before, at, seal, seal_hash, hash, key_id, signature FROM audit_retirements ORDER BY number"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: &str| StoreError::inconsistent(TABLE, row.number, what);
            let hash = |bytes: &[u8]| {
                bytes
                    .try_into()
                    .map_err(|_| broken("a hash of another size"))
            };
            Ok(StoredRetirement {
                said: Retirement {
                    before: row.before.timestamp_micros(),
                    at: row.at.timestamp_micros(),
                    head: Head {
                        number: row.seal.try_into().map_err(|_| broken("its seal"))?,
                        hash: hash(&row.seal_hash)?,
                    },
                },
                hash: hash(&row.hash)?,
                signature: row
                    .key_id
                    .zip(row.signature)
                    .map(|(key, bytes)| Signature { key, bytes }),
            })
        })
        .collect()
}
