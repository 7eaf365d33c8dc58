//! What people say to each other about a connection.

use serde_json::json;

use super::decide_connection::not_found;
use super::desk::{self, Note};
use super::read::Listed;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::ids::{CommentId, ConnectionId};
use crate::domain::review_desk::ReviewStep;
use crate::store::comments::{self, Comment};
use crate::store::connections;

/// The longest comment, in characters.
pub const LONGEST_COMMENT: usize = 4000;

/// Adds a comment, to any connection in any state: it decides nothing.
#[tracing::instrument(skip_all, fields(connection.id = %connection))]
pub async fn comment(
    ctx: &AppContext,
    actor: &Actor,
    connection: ConnectionId,
    body: &str,
) -> Result<Comment, AppError> {
    let body = text::checked("body", body, LONGEST_COMMENT)?;
    let at = ctx.clock.now();
    let new = Comment {
        id: CommentId::new(at),
        author: actor.name.clone(),
        body,
        at,
    };
    let mut tx = ctx.begin().await?;
    if connections::by_id(&mut tx, connection).await?.is_none() {
        return Err(not_found(connection));
    }
    comments::insert(&mut tx, connection, &new).await?;
    let note = Note {
        actor,
        id: connection,
        step: ReviewStep::Commented,
        reason: None,
        before: None,
        details: Some(json!({ "comment_id": new.id, "body": new.body })),
        at,
    };
    desk::note(&mut tx, note).await?;
    ctx.commit(tx).await?;
    Ok(new)
}

/// The comments on a connection, newest first.
pub async fn comments(
    ctx: &AppContext,
    connection: ConnectionId,
    before: Option<CommentId>,
    limit: i64,
) -> Result<Listed<Comment, CommentId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    if connections::by_id(conn, connection).await?.is_none() {
        return Err(not_found(connection));
    }
    let rows = comments::page(conn, connection, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}
