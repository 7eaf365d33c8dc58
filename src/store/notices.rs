//! What consumers are to be told. What sends it reads these rows.

use chrono::{DateTime, Utc};
use serde_json::Value;

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
