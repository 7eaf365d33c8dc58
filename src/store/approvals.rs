//! Approvals where a service asks for two persons. Whoever writes here holds the lock of the connection's row.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::approval::{Approval, ApprovalEnd};
use crate::domain::ids::{ApprovalId, ConnectionId};

/// The approvals of one connection that stand, oldest first.
pub async fn standing(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Vec<Approval>, StoreError> {
    Ok(standing_of_many(conn, &[id])
        .await?
        .remove(&id)
        .unwrap_or_default())
}

/// The approvals of these connections that stand, oldest first.
pub(super) async fn standing_of_many(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<HashMap<ConnectionId, Vec<Approval>>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT connection_id AS "connection_id: ConnectionId", id AS "id: ApprovalId", approver, reason, message, ticket_url,
                  expires_at, approved_at
             FROM approvals WHERE connection_id = ANY($1) AND ended_at IS NULL ORDER BY id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<ConnectionId, Vec<Approval>> = HashMap::new();
    for row in rows {
        all.entry(row.connection_id).or_default().push(Approval {
            id: row.id,
            approver: row.approver,
            reason: row.reason,
            message: row.message,
            ticket_url: row.ticket_url,
            expires_at: row.expires_at,
            at: row.approved_at,
        });
    }
    Ok(all)
}

/// Records one, where the connection still waits for it. Answers whether it does. A second one by the same person breaks
/// `approvals_one_standing`.
pub async fn insert(
    conn: &mut PgConnection,
    id: ConnectionId,
    new: &Approval,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO approvals (id, connection_id, approver, reason, message, ticket_url, expires_at, approved_at)
         SELECT $2, id, $3, $4, $5, $6, $7, $8 FROM connections
          WHERE id = $1 AND review_state = 'undecided'
            AND observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')",
        id as _,
        new.id as _,
        new.approver,
        new.reason,
        new.message,
        new.ticket_url,
        new.expires_at,
        new.at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends approvals without a decision: one person's, or all that stand. Answers how many.
pub async fn end(
    conn: &mut PgConnection,
    id: ConnectionId,
    approver: Option<&str>,
    end: ApprovalEnd,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE approvals SET ended_at = $4, ended_as = $3
          WHERE connection_id = $1 AND ended_at IS NULL AND ($2::text IS NULL OR approver = $2)",
        id as _,
        approver,
        end.as_str(),
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
