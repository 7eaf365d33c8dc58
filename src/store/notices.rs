//! What consumers are to be told. What sends it reads these rows.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{ConnectionId, uuid_at};
use crate::domain::lifecycle::Notice;

/// Notes what the consumer of a connection is to be told, once for each occasion. Answers whether that is news.
pub async fn insert(
    conn: &mut PgConnection,
    connection: ConnectionId,
    notice: &Notice,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let content: &Value = &notice.content;
    let done = sqlx::query!(
        "INSERT INTO connection_notices (id, connection_id, kind, since, at, content) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT connection_notices_once DO NOTHING",
        uuid_at(at),
        connection as _,
        notice.kind.as_str(),
        notice.since,
        at,
        content,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes what the consumers of connections are to be told, in one statement. Answers of which connections that is news.
pub async fn insert_many(
    conn: &mut PgConnection,
    all: &[(ConnectionId, Notice)],
    at: DateTime<Utc>,
) -> Result<HashSet<ConnectionId>, StoreError> {
    let ids: Vec<Uuid> = all.iter().map(|_| uuid_at(at)).collect();
    let connections: Vec<Uuid> = all.iter().map(|(id, _)| id.uuid()).collect();
    let kinds: Vec<&str> = all.iter().map(|(_, notice)| notice.kind.as_str()).collect();
    let since: Vec<DateTime<Utc>> = all.iter().map(|(_, notice)| notice.since).collect();
    let contents: Vec<&Value> = all.iter().map(|(_, notice)| &notice.content).collect();
    let news = sqlx::query_scalar!(
        r#"INSERT INTO connection_notices (id, connection_id, kind, since, content, at)
           SELECT u.*, $6 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::jsonb[]) AS u
           ON CONFLICT ON CONSTRAINT connection_notices_once DO NOTHING
           RETURNING connection_id AS "connection: ConnectionId""#,
        &ids,
        &connections,
        &kinds as &[&str],
        &since,
        &contents as &[&Value],
        at,
    )
    .fetch_all(conn)
    .await?;
    Ok(news.into_iter().collect())
}
