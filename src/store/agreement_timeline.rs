//! What has happened to an agreement: the steps in its audit trail and what its source told, as one list.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::agreement::Agreement;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Happened {
    /// When it was done or heard of here.
    pub at: DateTime<Utc>,
    /// Tells those of one time apart.
    pub key: String,
    /// Whether a source told it; otherwise it was done here.
    pub told: bool,
    /// What: an action of the audit trail, or the kind of a notice.
    pub what: String,
    /// Who did or told it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// More about it.
    pub details: Option<Value>,
}

/// Where a page begins: behind what happened at this time and has this key.
pub type After = (DateTime<Utc>, String);

/// A page, the oldest first, starting after `after`. What was told by people here is not there twice: their own steps are in the audit trail.
pub async fn page(
    conn: &mut PgConnection,
    of: &Agreement,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<Happened>, StoreError> {
    let rows = sqlx::query_as!(
        Happened,
        r#"SELECT at AS "at!", key AS "key!", told AS "told!", what AS "what!", by AS "by!", reason, details
             FROM (SELECT at, 'a' || id::text AS key, false AS told, action AS what, actor AS by, reason,
                          jsonb_strip_nulls(jsonb_build_object('before', before, 'after', after)) AS details
                     FROM audit_entries
                    WHERE subject_id = $1 AND action <> 'agreement.hear' AND ($4::timestamptz IS NULL OR at >= $4)
                    UNION ALL
                   SELECT heard_at, 'n' || event_id, true, kind, heard_by, reason,
                          jsonb_strip_nulls(jsonb_build_object('event_id', event_id, 'happened_at', at, 'cause', cause, 'terms', terms))
                     FROM agreement_notices
                    WHERE source = $2 AND reference = $3 AND event_id NOT LIKE 'portcullis:%' AND ($4::timestamptz IS NULL OR heard_at >= $4)) AS happened
            WHERE $4::timestamptz IS NULL OR (at, key COLLATE "C") > ($4, $5)
            ORDER BY at, key COLLATE "C" LIMIT $6"#,
        of.id as _,
        of.source.as_str(),
        of.reference,
        after.map(|(at, _)| *at),
        after.map(|(_, key)| key.as_str()),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
