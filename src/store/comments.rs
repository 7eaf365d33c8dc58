//! Comments on connections. Append-only: the table refuses updates and deletes.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::{CommentId, ConnectionId};

/// What somebody said about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// Who.
    pub author: String,
    /// What.
    pub body: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Records a comment.
pub async fn insert(
    conn: &mut PgConnection,
    connection: ConnectionId,
    new: &Comment,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO connection_comments (id, connection_id, author, body, commented_at) VALUES ($1, $2, $3, $4, $5)",
        new.id as _,
        connection as _,
        new.author,
        new.body,
        new.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    connection: ConnectionId,
    before: Option<CommentId>,
    limit: i64,
) -> Result<Vec<Comment>, StoreError> {
    let rows = sqlx::query_as!(
        Comment,
        r#"SELECT id AS "id: CommentId", author, body, commented_at AS at FROM connection_comments
            WHERE connection_id = $1 AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3"#,
        connection as _,
        before.map(CommentId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
