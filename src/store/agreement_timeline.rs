//! What has happened to an agreement: the steps in its audit trail, what its source told, and what became of the connections that it paid for, as one list.

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
    /// Where it is from.
    pub from: Origin,
    /// What: an action of the audit trail, the kind of a notice, or that a connection was observed.
    pub what: String,
    /// Who did or told it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// More about it.
    pub details: Option<Value>,
}

/// Where something that happened is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was done here.
    Done,
    /// A source told it.
    Told,
    /// AWS was seen so.
    Observed,
}

struct Row {
    at: DateTime<Utc>,
    key: String,
    what: String,
    by: String,
    reason: Option<String>,
    details: Option<Value>,
}

impl From<Row> for Happened {
    fn from(row: Row) -> Self {
        let from = match row.key.as_bytes().first() {
            Some(b'n') => Origin::Told,
            Some(b'o') => Origin::Observed,
            _ => Origin::Done,
        };
        Self {
            at: row.at,
            key: row.key,
            from,
            what: row.what,
            by: row.by,
            reason: row.reason,
            details: row.details,
        }
    }
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
        Row,
        r#"WITH paid AS (
               -- What AWS makes of a connection is seen after nobody pays for it any more: it belongs to the one that paid last.
               SELECT b.connection_id, b.since,
                      coalesce((SELECT min(n.since) FROM agreement_bindings AS n WHERE n.connection_id = b.connection_id AND n.since > b.since), 'infinity') AS until
                 FROM agreement_bindings AS b WHERE b.agreement_id = $1)
           SELECT at AS "at!", key AS "key!", what AS "what!", by AS "by!", reason, details
             FROM (SELECT at, 'a' || id::text AS key, action AS what, actor AS by, reason,
                          jsonb_strip_nulls(jsonb_build_object('before', before, 'after', after)) AS details
                     FROM audit_entries
                    WHERE subject_id = $1 AND action <> 'agreement.hear' AND ($4::timestamptz IS NULL OR at >= $4)
                    UNION ALL
                   SELECT heard_at, 'n' || event_id, kind, heard_by, reason,
                          jsonb_strip_nulls(jsonb_build_object('event_id', event_id, 'happened_at', at, 'cause', cause, 'terms', terms))
                     FROM agreement_notices
                    WHERE source = $2 AND reference = $3 AND event_id NOT LIKE 'portcullis:%' AND ($4::timestamptz IS NULL OR heard_at >= $4)
                    UNION ALL
                   SELECT e.at, 'a' || e.id::text, e.action, e.actor, e.reason,
                          jsonb_strip_nulls(jsonb_build_object('connection_id', 'con_' || replace(e.subject_id::text, '-', ''), 'before', e.before, 'after', e.after))
                     FROM paid JOIN audit_entries AS e ON e.subject_id = paid.connection_id AND e.at >= paid.since AND e.at < paid.until
                    WHERE e.action IN ('connection.accept', 'connection.notify', 'connection.reject', 'connection.revoke') AND ($4::timestamptz IS NULL OR e.at >= $4)
                    UNION ALL
                   SELECT o.at, 'o' || o.id::text, 'connection.observe', 'aws', NULL,
                          jsonb_strip_nulls(jsonb_build_object('connection_id', 'con_' || replace(o.connection_id::text, '-', ''), 'before', o.from_state, 'after', o.to_state))
                     FROM paid JOIN observations AS o ON o.connection_id = paid.connection_id AND o.at >= paid.since AND o.at < paid.until
                    WHERE $4::timestamptz IS NULL OR o.at >= $4) AS happened
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
    Ok(rows.into_iter().map(Happened::from).collect())
}
