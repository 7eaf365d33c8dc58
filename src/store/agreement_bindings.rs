//! Which agreement pays for which connection, and which one somebody said shall.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::agreement::Unbound;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::policy::Stamp;

/// That an agreement pays for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The agreement.
    pub agreement: AgreementId,
    /// The connection.
    pub connection: ConnectionId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Has an agreement pay for a connection from a time on, in place of any other. Answers whether that is new. The caller has locked both.
pub async fn bind(
    conn: &mut PgConnection,
    agreement: AgreementId,
    connection: ConnectionId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE agreement_bindings SET ended_at = greatest($3, since), ended_as = 'moved'
          WHERE connection_id = $1 AND agreement_id <> $2 AND ended_at IS NULL",
        connection as _,
        agreement as _,
        at,
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "INSERT INTO agreement_bindings (agreement_id, connection_id, since) VALUES ($1, $2, $3)
         ON CONFLICT (connection_id) WHERE ended_at IS NULL DO NOTHING",
        agreement as _,
        connection as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Has nobody pay for these connections any more. Answers those that somebody paid for. The caller has locked them.
pub async fn unbind(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
    why: Unbound,
    at: DateTime<Utc>,
) -> Result<Vec<Binding>, StoreError> {
    let connections: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Binding,
        r#"UPDATE agreement_bindings SET ended_at = greatest($3, since), ended_as = $2
            WHERE connection_id = ANY($1) AND ended_at IS NULL
           RETURNING agreement_id AS "agreement: AgreementId", connection_id AS "connection: ConnectionId", since"#,
        &connections,
        why.as_str(),
        at,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Who pays for these connections.
pub async fn of_connections(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
) -> Result<HashMap<ConnectionId, Binding>, StoreError> {
    let connections: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Binding,
        r#"SELECT agreement_id AS "agreement: AgreementId", connection_id AS "connection: ConnectionId", since
             FROM agreement_bindings WHERE connection_id = ANY($1) AND ended_at IS NULL"#,
        &connections,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.connection, row)).collect())
}

/// What somebody said which agreement shall pay for these connections.
pub async fn claims(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
) -> Result<HashMap<ConnectionId, AgreementId>, StoreError> {
    let connections: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT connection_id AS "connection: ConnectionId", agreement_id AS "agreement: AgreementId"
             FROM agreement_claims WHERE connection_id = ANY($1)"#,
        &connections,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.connection, row.agreement))
        .collect())
}

/// Says which agreement shall pay for a connection; a later word counts. The caller has locked the connection.
pub async fn claim(
    conn: &mut PgConnection,
    connection: ConnectionId,
    agreement: AgreementId,
    said: &Stamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO agreement_claims (connection_id, agreement_id, claimed_at, claimed_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT agreement_claims_pkey DO UPDATE
            SET agreement_id = EXCLUDED.agreement_id, claimed_at = EXCLUDED.claimed_at, claimed_by = EXCLUDED.claimed_by",
        connection as _,
        agreement as _,
        said.at,
        said.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// That somebody said which agreement shall pay for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The agreement.
    pub agreement: AgreementId,
    /// Who said so, and when.
    pub said: Stamp,
}

/// What somebody said last of who shall pay for a connection.
pub async fn claim_of(
    conn: &mut PgConnection,
    connection: ConnectionId,
) -> Result<Option<Claim>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT agreement_id AS "agreement: AgreementId", claimed_at, claimed_by FROM agreement_claims WHERE connection_id = $1"#,
        connection as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Claim {
        agreement: row.agreement,
        said: Stamp {
            at: row.claimed_at,
            by: row.claimed_by,
        },
    }))
}

/// What is used of an agreement, figure by figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Connections that it pays for.
    pub connections: i64,
    /// Different endpoints among them.
    pub endpoints: i64,
    /// Different Regions that they are in.
    pub regions: i64,
}

/// What is used of an agreement now.
pub async fn used(conn: &mut PgConnection, agreement: AgreementId) -> Result<Used, StoreError> {
    let used = sqlx::query_as!(
        Used,
        r#"SELECT count(*) AS "connections!", count(DISTINCT c.endpoint_id) AS "endpoints!",
                  count(DISTINCT coalesce(c.endpoint_region, a.region)) AS "regions!"
             FROM agreement_bindings b
             JOIN connections c ON c.id = b.connection_id
             JOIN account_regions a ON a.id = c.account_region_id
            WHERE b.agreement_id = $1 AND b.ended_at IS NULL"#,
        agreement as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(used)
}
