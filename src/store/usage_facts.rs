//! What endpoint-hours are counted from: who paid for connections, and what was seen of them. Live is here what AWS shows as accepted: `pending`, `available` and
//! `partial`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::usage::{Bound, Seen};

/// All bindings of the connections that an agreement pays for, or paid for after a time; those of other agreements with them, in order.
pub async fn bound(
    conn: &mut PgConnection,
    agreement: AgreementId,
    after: DateTime<Utc>,
) -> Result<HashMap<ConnectionId, Vec<Bound>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT b.connection_id AS "connection: ConnectionId", b.agreement_id AS "agreement: AgreementId", b.since, b.ended_at
             FROM agreement_bindings b
            WHERE b.connection_id IN (SELECT connection_id FROM agreement_bindings WHERE agreement_id = $1 AND (ended_at IS NULL OR ended_at > $2))
              AND (b.ended_at IS NULL OR b.ended_at > $2)
            ORDER BY b.connection_id, b.since, b.ended_at NULLS LAST"#,
        agreement as _,
        after,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<ConnectionId, Vec<Bound>> = HashMap::new();
    for row in rows {
        all.entry(row.connection).or_default().push(Bound {
            agreement: row.agreement,
            since: row.since,
            until: row.ended_at,
        });
    }
    Ok(all)
}

/// What was seen of connections up to a time, and what they were like before `from`, in order. Of a connection whose first observations are not kept any more, what
/// it was like then is told by the oldest one that is, or by what it is like now.
pub async fn seen(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<HashMap<ConnectionId, Vec<Seen>>, StoreError> {
    let connections: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let mut all: HashMap<ConnectionId, Vec<Seen>> = HashMap::new();
    let before = sqlx::query!(
        r#"SELECT c.id AS "connection: ConnectionId", c.first_seen_at,
                  coalesce(last.to_state, first.to_state) IS NULL AS "unseen!",
                  coalesce(last.to_state, CASE WHEN first.to_state IS NULL THEN c.observed_state ELSE first.from_state END)
                      IN ('pending', 'available', 'partial') AS live
             FROM connections c
             LEFT JOIN LATERAL (SELECT to_state FROM observations o WHERE o.connection_id = c.id AND o.at <= $2 ORDER BY o.at DESC, o.id DESC LIMIT 1)
                  AS last ON true
             LEFT JOIN LATERAL (SELECT from_state, to_state FROM observations o WHERE o.connection_id = c.id ORDER BY o.at, o.id LIMIT 1)
                  AS first ON last.to_state IS NULL
            WHERE c.id = ANY($1)"#,
        &connections,
        from,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in before {
        all.entry(row.connection).or_default().push(Seen {
            at: if row.unseen { row.first_seen_at } else { from },
            live: row.live.unwrap_or(false),
        });
    }
    let rows = sqlx::query!(
        r#"SELECT connection_id AS "connection: ConnectionId", at, to_state IN ('pending', 'available', 'partial') AS "live!"
             FROM observations WHERE connection_id = ANY($1) AND at > $2 AND at <= $3 ORDER BY connection_id, at, id"#,
        &connections,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        all.entry(row.connection).or_default().push(Seen {
            at: row.at,
            live: row.live,
        });
    }
    Ok(all)
}

/// Whether an agreement pays for a connection now.
pub async fn is_paying(
    conn: &mut PgConnection,
    agreement: AgreementId,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM agreement_bindings WHERE agreement_id = $1 AND ended_at IS NULL) AS "any!""#,
        agreement as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}

/// Whether an agreement pays for a connection, or ever did.
pub async fn ever_paid(
    conn: &mut PgConnection,
    agreement: AgreementId,
    connection: ConnectionId,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM agreement_bindings WHERE agreement_id = $1 AND connection_id = $2) AS "any!""#,
        agreement as _,
        connection as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}
