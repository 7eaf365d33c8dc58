//! How far the drain of a service is: counts, endpoints that are in the way, whom to reject next, and what consumers are to be told.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit::{self, Entry, Subject};
use super::connections::connection_rows;
use super::{PgConnection, StoreError};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::ids::{
    AccountRegionId, ConnectionId, ConsumerId, DecisionId, EndpointServiceId, uuid_at,
};
use crate::domain::lifecycle::{Blocking, Notice, Progress};

const TABLE: &str = "connections";

/// Counts the connections of a service.
pub async fn progress(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Progress, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT observed_state, count(*) AS "count!",
                  count(*) FILTER (WHERE review_state IN ('undecided', 'accepted')
                                     AND observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')) AS "to_reject!",
                  count(*) FILTER (WHERE observed_state NOT IN ('rejected', 'expired', 'failed', 'deleting', 'deleted')) AS "live!",
                  count(*) FILTER (WHERE sync_state IN ('due', 'confirming', 'stalled')) AS "untold!",
                  count(*) FILTER (WHERE sync_state = 'stalled') AS "stalled!",
                  count(*) FILTER (WHERE observed_state NOT IN ('expired', 'failed', 'deleted')) AS "attached!"
             FROM connections
            WHERE endpoint_service_id = $1
            GROUP BY 1"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    let mut progress = Progress::default();
    for row in rows {
        progress.to_reject += row.to_reject;
        progress.live += row.live;
        progress.untold += row.untold;
        progress.stalled += row.stalled;
        progress.attached += row.attached;
        progress.by_state.insert(row.observed_state, row.count);
    }
    Ok(progress)
}

/// The first endpoints that are in the way of deleting a service, or may be: live ones first, then those that are going, then rejected ones.
pub async fn blocking(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    most: i64,
) -> Result<Vec<Blocking>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ConnectionId", endpoint_id, owner_account, observed_state, review_state, sync_state
             FROM connections
            WHERE endpoint_service_id = $1 AND observed_state NOT IN ('expired', 'failed', 'deleted')
            ORDER BY observed_state = 'rejected', observed_state = 'deleting', id
            LIMIT $2"#,
        id as _,
        most,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken =
                |what: &dyn std::fmt::Display| StoreError::inconsistent(TABLE, row.id, what);
            Ok(Blocking {
                connection: row.id,
                endpoint: row.endpoint_id.parse().map_err(|e| broken(&e))?,
                owner: row.owner_account.parse().map_err(|e| broken(&e))?,
                state: row.observed_state,
                review: row.review_state.parse().map_err(|e: String| broken(&e))?,
                sync: row.sync_state.parse().map_err(|e: String| broken(&e))?,
            })
        })
        .collect()
}

/// The next connections that are live and not decided against, locked.
pub async fn to_reject(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    most: i64,
) -> Result<Vec<Connection>, StoreError> {
    let rows = connection_rows!(
        r#"WHERE c.endpoint_service_id = $1 AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
            ORDER BY c.endpoint_id
            LIMIT $2
              FOR UPDATE OF c"#,
        id as _,
        most,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Connection::try_from).collect()
}

/// Writes a notice, with its audit entry, for the next connections of a service that are live and have not got it yet. Answers for how many. The
/// caller holds the lease, or the service.
pub async fn notify_live(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    notice: &Notice,
    actor: &Actor,
    at: DateTime<Utc>,
    most: i64,
) -> Result<usize, StoreError> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT c.id AS "id: ConnectionId" FROM connections c
            WHERE c.endpoint_service_id = $1
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND NOT EXISTS (SELECT FROM connection_notices n
                               WHERE n.connection_id = c.id AND n.kind = $2 AND n.since = $3)
            ORDER BY c.endpoint_id
            LIMIT $4"#,
        id as _,
        notice.kind.as_str(),
        notice.since,
        most,
    )
    .fetch_all(&mut *conn)
    .await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = waiting.iter().map(|_| uuid_at(at)).collect();
    let connections: Vec<Uuid> = waiting.iter().map(|id| id.uuid()).collect();
    let written = sqlx::query_scalar!(
        r#"INSERT INTO connection_notices (id, connection_id, kind, since, at, content)
           SELECT u.id, u.connection, $3, $4, $5, $6 FROM unnest($1::uuid[], $2::uuid[]) AS u (id, connection)
           ON CONFLICT ON CONSTRAINT connection_notices_once DO NOTHING
           RETURNING connection_id AS "id: ConnectionId""#,
        &ids,
        &connections,
        notice.kind.as_str(),
        notice.since,
        at,
        notice.content,
    )
    .fetch_all(&mut *conn)
    .await?;
    let after: Value = json!({ "notice": notice.kind, "content": notice.content });
    for connection in &written {
        let entry = Entry {
            at,
            actor,
            action: "connection.notify",
            subject: Subject::Connection(*connection),
            before: None,
            after: Some(after.clone()),
            reason: None,
            decision: None,
        };
        audit::record(conn, entry).await?;
    }
    Ok(written.len())
}

/// Writes, for every live connection that was told of a drain, that it was taken back: what nobody was told need not be taken back. With an audit
/// entry each, in one statement each. The caller holds the service.
pub async fn notify_of_cancel(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    drained_since: DateTime<Utc>,
    notice: &Notice,
    actor: &Actor,
) -> Result<u64, StoreError> {
    let after = json!({ "notice": notice.kind, "content": notice.content });
    let done = sqlx::query!(
        "WITH told AS (
             INSERT INTO connection_notices (id, connection_id, kind, since, at, content)
             SELECT gen_random_uuid(), c.id, $3, $4, $4, $5
               FROM connections c JOIN connection_notices n ON n.connection_id = c.id
              WHERE c.endpoint_service_id = $1 AND n.kind = 'service_draining' AND n.since = $2
                AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                AND c.review_state IN ('undecided', 'accepted')
             ON CONFLICT ON CONSTRAINT connection_notices_once DO NOTHING
             RETURNING connection_id
         )
         INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, after, request_id)
         SELECT gen_random_uuid(), $4, $6, $7, 'connection.notify', 'connection', told.connection_id, $8, $9 FROM told",
        id as _,
        drained_since,
        notice.kind.as_str(),
        notice.since,
        notice.content,
        actor.kind.as_str(),
        actor.name,
        after,
        actor.request_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
