//! Which agreement pays for which connection, and which one somebody said shall.

use std::collections::{HashMap, HashSet};

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

/// That an agreement shall pay for a connection from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBinding {
    /// The agreement.
    pub agreement: AgreementId,
    /// The connection.
    pub connection: ConnectionId,
    /// From when on.
    pub since: DateTime<Utc>,
}

/// Has agreements pay for connections, in place of any others. Answers the connections of which that is new. No connection is named twice. The caller has locked both.
pub async fn bind_many(
    conn: &mut PgConnection,
    all: &[NewBinding],
) -> Result<HashSet<ConnectionId>, StoreError> {
    let agreements: Vec<Uuid> = all.iter().map(|one| one.agreement.uuid()).collect();
    let connections: Vec<Uuid> = all.iter().map(|one| one.connection.uuid()).collect();
    let since: Vec<DateTime<Utc>> = all.iter().map(|one| one.since).collect();
    sqlx::query!(
        "UPDATE agreement_bindings AS b SET ended_at = greatest(u.since, b.since), ended_as = 'moved'
           FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS u (agreement_id, connection_id, since)
          WHERE b.connection_id = u.connection_id AND b.agreement_id <> u.agreement_id AND b.ended_at IS NULL",
        &agreements,
        &connections,
        &since,
    )
    .execute(&mut *conn)
    .await?;
    let new = sqlx::query_scalar!(
        r#"INSERT INTO agreement_bindings (agreement_id, connection_id, since)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
           ON CONFLICT (connection_id) WHERE ended_at IS NULL DO NOTHING
           RETURNING connection_id AS "id: ConnectionId""#,
        &agreements,
        &connections,
        &since,
    )
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().collect())
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
