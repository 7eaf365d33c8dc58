//! What is left to do for a removal of access, and what it did.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::access_removal::Became;
use crate::domain::ids::{AccessRemovalId, ConnectionId, EndpointServiceId};

/// The next live connections that a removal takes access from and that it has not come to yet, by service and endpoint. Of what is asked for now: where
/// somebody let the account in again, it stays.
pub async fn next(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    account: Option<&AccountId>,
    limit: i64,
) -> Result<Vec<(EndpointServiceId, ConnectionId)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "service: EndpointServiceId", c.id AS "connection: ConnectionId"
             FROM access_removal_services rs
             JOIN endpoint_services s ON s.id = rs.endpoint_service_id
             JOIN connections c ON c.endpoint_service_id = s.id
            WHERE rs.access_removal_id = $1 AND ($2::text IS NULL OR c.owner_account = $2)
              AND s.lifecycle NOT IN ('deleted', 'released') AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND NOT EXISTS (SELECT FROM unnest(s.allowed_principals) AS p
                               WHERE p = '*' OR split_part(p, ':', 5) = c.owner_account)
              AND NOT EXISTS (SELECT FROM access_removal_connections done
                               WHERE done.access_removal_id = $1 AND done.connection_id = c.id)
            ORDER BY c.endpoint_service_id, c.endpoint_id
            LIMIT $3"#,
        id as _,
        account.map(AccountId::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.service, row.connection))
        .collect())
}

/// Notes what became of a connection.
pub async fn note(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    connection: ConnectionId,
    became: Became,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_removal_connections (access_removal_id, connection_id, at, became) VALUES ($1, $2, $3, $4)",
        id as _,
        connection as _,
        at,
        became.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The next connections whose plan is to be undone, in the order of all.
pub async fn planned(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT d.connection_id AS "connection: ConnectionId"
             FROM access_removal_connections d JOIN connections c ON c.id = d.connection_id
            WHERE d.access_removal_id = $1 AND d.became = 'scheduled'
            ORDER BY c.endpoint_service_id, c.endpoint_id
            LIMIT $2"#,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The next connections of which a removal still has a plan, in the order of all. Asked for when none of them stands.
pub async fn planned_for_nothing(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT p.connection_id AS "connection: ConnectionId"
             FROM planned_revocations p JOIN connections c ON c.id = p.connection_id
            WHERE p.access_removal_id = $1 AND c.review_state = 'accepted'
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
            ORDER BY c.endpoint_service_id, c.endpoint_id
            LIMIT $2"#,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Notes that a plan was undone.
pub async fn note_restored(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE access_removal_connections SET became = 'restored' WHERE access_removal_id = $1 AND connection_id = $2 AND became = 'scheduled'",
        id as _,
        connection as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many connections became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rejected at once.
    pub rejected: i64,
    /// Planned to be revoked, or revoked by that plan.
    pub scheduled: i64,
    /// Revoked by the removal itself.
    pub revoked: i64,
    /// Planned, and taken back.
    pub restored: i64,
    /// Planned, and kept by a person's word about that one connection.
    pub kept: i64,
}

/// What a removal did so far.
pub async fn progress(conn: &mut PgConnection, id: AccessRemovalId) -> Result<Tally, StoreError> {
    let row = sqlx::query_as!(
        Tally,
        r#"SELECT count(*) FILTER (WHERE became = 'rejected') AS "rejected!", count(*) FILTER (WHERE became = 'scheduled') AS "scheduled!",
                  count(*) FILTER (WHERE became = 'revoked') AS "revoked!", count(*) FILTER (WHERE became = 'restored') AS "restored!",
                  count(*) FILTER (WHERE became = 'scheduled' AND c.review_state = 'accepted'
                                     AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                                     AND NOT EXISTS (SELECT FROM planned_revocations p
                                                      WHERE p.access_removal_id = $1 AND p.connection_id = d.connection_id)) AS "kept!"
             FROM access_removal_connections d JOIN connections c ON c.id = d.connection_id
            WHERE access_removal_id = $1"#,
        id as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// Whether nothing of a removal is left: no plan of it stands, AWS was seen to have rejected what it cut off, and to be without the principals.
pub async fn is_over(conn: &mut PgConnection, id: AccessRemovalId) -> Result<bool, StoreError> {
    let over = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (
                  SELECT FROM standing_revocations p
                    JOIN connections c ON c.id = p.connection_id
                    JOIN endpoint_services s ON s.id = c.endpoint_service_id
                   WHERE p.access_removal_id = $1 AND c.review_state = 'accepted' AND s.lifecycle NOT IN ('deleted', 'released')
                     AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial'))
              AND NOT EXISTS (
                  SELECT FROM access_removal_connections d
                    JOIN connections c ON c.id = d.connection_id
                    JOIN endpoint_services s ON s.id = c.endpoint_service_id
                   WHERE d.access_removal_id = $1 AND c.review_state IN ('rejected', 'revoked') AND s.lifecycle NOT IN ('deleted', 'released')
                     AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial'))
              AND NOT EXISTS (
                  SELECT FROM access_removal_services rs JOIN endpoint_services s ON s.id = rs.endpoint_service_id
                   WHERE rs.access_removal_id = $1 AND rs.principals <> '{}' AND s.lifecycle NOT IN ('deleted', 'released')
                     AND (rs.version IS NULL OR (s.lifecycle = 'active' AND s.applied_version < rs.version))) AS "over!""#,
        id as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(over)
}

/// The removals that take access to services from accounts and that keep them from being accepted, of these pairs; a pair is not among them also where
/// somebody let the account in again. One that is done keeps out for as long as AWS has a principal that it took away, because AWS had it before and it was not
/// taken out there. Stays true for as long as the caller shares the services and holds the accounts.
pub async fn keeping_out(
    conn: &mut PgConnection,
    asked: &[(AccountId, EndpointServiceId)],
) -> Result<HashMap<(AccountId, EndpointServiceId), AccessRemovalId>, StoreError> {
    let accounts: Vec<&str> = asked.iter().map(|(account, _)| account.as_str()).collect();
    let services: Vec<Uuid> = asked.iter().map(|(_, service)| service.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (asked.n) asked.n AS "n!", r.id AS "id: AccessRemovalId"
             FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS asked (account, service, n)
             JOIN access_removal_services rs ON rs.endpoint_service_id = asked.service
             JOIN access_removals r ON r.id = rs.access_removal_id
             JOIN endpoint_services s ON s.id = rs.endpoint_service_id
            WHERE (r.state IN ('grace', 'ending')
                   OR (r.state = 'done' AND EXISTS (SELECT FROM unnest(s.observed_principals) AS there WHERE there = ANY (rs.principals))))
              AND (r.account_id IS NULL OR r.account_id = asked.account)
              AND NOT EXISTS (SELECT FROM unnest(s.allowed_principals) AS p WHERE p = '*' OR split_part(p, ':', 5) = asked.account)
            ORDER BY asked.n, r.id"#,
        &accounts as _,
        &services,
    )
    .fetch_all(conn)
    .await?;
    let pair = |n: i64| asked.get(usize::try_from(n).ok()?.checked_sub(1)?);
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((pair(row.n)?.clone(), row.id)))
        .collect())
}

/// Has principals that blocks took away not come back with them: they are taken away for good.
pub async fn forget_in_blocks(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    principals: &[String],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE block_principals SET restored_at = $3 WHERE endpoint_service_id = $1 AND principal = ANY($2) AND restored_at IS NULL",
        service as _,
        principals,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
