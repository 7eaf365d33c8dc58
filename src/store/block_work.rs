//! What is left to do for a block: what of it lives, which principals let it in, and which it took away.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::block::Reach;
use crate::domain::ids::{BlockId, ConnectionId, EndpointServiceId, uuid_at};

/// How many connections there are of one service in one state that a block cuts off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCount {
    /// The service.
    pub service: EndpointServiceId,
    /// What people call it.
    pub service_name: String,
    /// AWS's state.
    pub state: String,
    /// How many.
    pub count: i64,
}

fn words(accounts: &[AccountId]) -> Vec<&str> {
    accounts.iter().map(AccountId::as_str).collect()
}

/// What lives and would be cut off, by service and state.
pub async fn live(conn: &mut PgConnection, reach: &Reach) -> Result<Vec<LiveCount>, StoreError> {
    // Two statements, so that each has its own index.
    match reach {
        Reach::Accounts(accounts) => {
            let rows = sqlx::query_as!(
                LiveCount,
                r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", s.name AS service_name, c.observed_state AS state,
                          count(*) AS "count!"
                     FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
                    WHERE c.owner_account = ANY($1) AND s.lifecycle NOT IN ('deleted', 'released') AND c.review_state IN ('undecided', 'accepted')
                      AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                    GROUP BY 1, 2, 3
                    ORDER BY 2, 1, 3"#,
                &words(accounts) as _,
            )
            .fetch_all(conn)
            .await?;
            Ok(rows)
        }
        Reach::Service(service) => {
            let rows = sqlx::query_as!(
                LiveCount,
                r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", s.name AS service_name, c.observed_state AS state,
                          count(*) AS "count!"
                     FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
                    WHERE c.endpoint_service_id = $1 AND s.lifecycle NOT IN ('deleted', 'released') AND c.review_state IN ('undecided', 'accepted')
                      AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                    GROUP BY 1, 2, 3
                    ORDER BY 2, 1, 3"#,
                *service as _,
            )
            .fetch_all(conn)
            .await?;
            Ok(rows)
        }
    }
}

/// The next connections to cut off, by service and endpoint. For looking: their services are locked before they are.
pub async fn next_live(
    conn: &mut PgConnection,
    reach: &Reach,
    limit: i64,
) -> Result<Vec<(EndpointServiceId, ConnectionId)>, StoreError> {
    match reach {
        Reach::Accounts(accounts) => {
            let rows = sqlx::query!(
                r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", c.id AS "id: ConnectionId"
                     FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
                    WHERE c.owner_account = ANY($1) AND s.lifecycle NOT IN ('deleted', 'released')
                      AND c.review_state IN ('undecided', 'accepted')
                      AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                    ORDER BY c.endpoint_service_id, c.endpoint_id
                    LIMIT $2"#,
                &words(accounts) as _,
                limit,
            )
            .fetch_all(conn)
            .await?;
            Ok(rows.into_iter().map(|row| (row.service, row.id)).collect())
        }
        Reach::Service(service) => {
            let rows = sqlx::query!(
                r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", c.id AS "id: ConnectionId"
                     FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
                    WHERE c.endpoint_service_id = $1 AND s.lifecycle NOT IN ('deleted', 'released')
                      AND c.review_state IN ('undecided', 'accepted')
                      AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                    ORDER BY c.endpoint_service_id, c.endpoint_id
                    LIMIT $2"#,
                *service as _,
                limit,
            )
            .fetch_all(conn)
            .await?;
            Ok(rows.into_iter().map(|row| (row.service, row.id)).collect())
        }
    }
}

/// Takes the locks of these connections, in the order of all, until the transaction ends.
pub async fn lock(conn: &mut PgConnection, ids: &[ConnectionId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "SELECT FROM connections WHERE id = ANY($1) ORDER BY endpoint_service_id, endpoint_id FOR UPDATE",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// A service that lets somebody in whom a block keeps out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The service.
    pub service: EndpointServiceId,
    /// What people call it.
    pub service_name: String,
    /// Principals that are asked for, and are taken away.
    pub wanted: Vec<String>,
    /// Principals that AWS shows and nobody here asked for. They stay.
    pub unknown: Vec<String>,
}

/// Which services let in whom a block keeps out, and by which principals.
pub async fn doors(conn: &mut PgConnection, reach: &Reach) -> Result<Vec<Door>, StoreError> {
    let (accounts, service) = match reach {
        Reach::Accounts(accounts) => (Some(words(accounts)), None),
        Reach::Service(service) => (None, Some(service.uuid())),
    };
    // An account's principal is arn:partition:iam::account:resource; `domain::block::Reach::covers` says the same.
    let rows = sqlx::query_as!(
        Door,
        r#"SELECT s.id AS "service: EndpointServiceId", s.name AS service_name, w.wanted AS "wanted!: Vec<String>",
                  w.unknown AS "unknown!: Vec<String>"
             FROM endpoint_services s
            CROSS JOIN LATERAL (
                  SELECT ARRAY(SELECT p FROM unnest(s.allowed_principals) AS p
                                WHERE $1::text[] IS NULL OR split_part(p, ':', 5) = ANY($1) ORDER BY p) AS wanted,
                         ARRAY(SELECT p FROM unnest(s.observed_principals) AS p
                                WHERE ($1::text[] IS NULL OR split_part(p, ':', 5) = ANY($1))
                                  AND p <> ALL (s.allowed_principals) AND p <> ALL (s.granted_principals) ORDER BY p) AS unknown) AS w
            -- One that is being drained lets nobody in, and what is desired of it cannot be changed.
            WHERE s.lifecycle = 'active' AND ($2::uuid IS NULL OR s.id = $2) AND (cardinality(w.wanted) > 0 OR cardinality(w.unknown) > 0)
            ORDER BY s.id"#,
        accounts as _,
        service,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A principal that a block took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The row.
    pub id: Uuid,
    /// From which service.
    pub service: EndpointServiceId,
    /// The principal.
    pub principal: String,
    /// Whether everybody could connect unasked, and somebody had confirmed that.
    pub was_open: bool,
}

/// Notes which principals a block takes away from a service. The caller has locked both.
pub async fn note_taken(
    conn: &mut PgConnection,
    block: BlockId,
    service: EndpointServiceId,
    principals: &[String],
    was_open: bool,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = principals.iter().map(|_| uuid_at(at)).collect();
    sqlx::query!(
        "INSERT INTO block_principals (id, block_id, endpoint_service_id, principal, was_open, removed_at)
         SELECT u.id, $2, $3, u.principal, $5 AND u.principal = '*', $6
           FROM unnest($1::uuid[], $4::text[]) AS u (id, principal)
         -- Somebody had put it back, and it is taken away again.
         ON CONFLICT (block_id, endpoint_service_id, principal) WHERE restored_at IS NULL DO NOTHING",
        &ids,
        block as _,
        service as _,
        principals,
        was_open,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a block took away and did not give back yet.
pub async fn taken(conn: &mut PgConnection, block: BlockId) -> Result<Vec<Taken>, StoreError> {
    let rows = sqlx::query_as!(
        Taken,
        r#"SELECT id, endpoint_service_id AS "service: EndpointServiceId", principal, was_open
             FROM block_principals WHERE block_id = $1 AND restored_at IS NULL
            ORDER BY endpoint_service_id, principal"#,
        block as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Hands a principal that was taken away over to another block that keeps it out, or closes the row where that has one of its own.
pub async fn hand_over(
    conn: &mut PgConnection,
    taken: &Taken,
    to: BlockId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "UPDATE block_principals AS p SET block_id = $2
          WHERE p.id = $1 AND p.restored_at IS NULL
            AND NOT EXISTS (SELECT FROM block_principals o
                             WHERE o.block_id = $2 AND o.endpoint_service_id = p.endpoint_service_id
                               AND o.principal = p.principal AND o.restored_at IS NULL)",
        taken.id,
        to as _,
    )
    .execute(&mut *conn)
    .await?;
    if moved.rows_affected() == 0 {
        close(conn, &[taken.id], at).await?;
    }
    Ok(())
}

/// Notes that principals are back.
pub async fn close(
    conn: &mut PgConnection,
    rows: &[Uuid],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE block_principals SET restored_at = $2 WHERE id = ANY($1) AND restored_at IS NULL",
        rows,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another block, the oldest, that cuts and keeps a principal of this account out of this service.
pub async fn other(
    conn: &mut PgConnection,
    block: BlockId,
    service: EndpointServiceId,
    account: Option<&str>,
) -> Result<Option<BlockId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: BlockId" FROM blocks
            WHERE state IN ('cutting', 'standing') AND id <> $1
              AND (endpoint_service_id = $2 OR account_id = $3
                   OR consumer_id = (SELECT consumer_id FROM consumer_accounts WHERE account_id = $3 AND removed_at IS NULL))
            ORDER BY id
            LIMIT 1"#,
        block as _,
        service as _,
        account,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}
