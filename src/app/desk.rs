//! What the verbs around a review have in common: the connection under its lock, the work on it, and the note that each step leaves.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::decide_connection::{not_found, refused};
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::ids::ConnectionId;
use crate::domain::review::Verb;
use crate::domain::review_desk::{Desk, ReviewStep};
use crate::domain::review_rules::Effective;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, connections, reviews};

/// A connection with the work on its review, as of a time.
#[derive(Debug, Clone)]
pub struct UnderReview {
    /// The connection.
    pub connection: Connection,
    /// What people and timers did about its review.
    pub desk: Desk,
    /// The rules that count for it.
    pub rules: Effective,
    /// When it was read: claims and holds end by themselves.
    pub at: DateTime<Utc>,
}

/// A connection with the work on its review.
pub(super) async fn read(
    conn: &mut PgConnection,
    ctx: &AppContext,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<UnderReview, AppError> {
    let connection = connections::by_id(conn, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let desk = reviews::desk(conn, id, connection.service_id).await?;
    let rules = desk.rules.effective(&ctx.reviews);
    Ok(UnderReview {
        connection,
        desk,
        rules,
        at,
    })
}

/// The same under the connection's lock, so that what is read stays true until the transaction ends.
pub(super) async fn locked(
    conn: &mut PgConnection,
    ctx: &AppContext,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<UnderReview, AppError> {
    connections::lock(conn, id).await?;
    read(conn, ctx, id, at).await
}

/// Refuses, in the words of a decision, what can no longer be decided.
pub(super) fn refuse_unless_open(connection: &Connection) -> Result<(), AppError> {
    let could_be = connection
        .review
        .after(Verb::Accept, &connection.observed.state);
    could_be.map(|_| ()).map_err(|refusal| refused(&refusal))
}

/// A step in a review, on its way to the audit trail.
pub(super) struct Note<'a> {
    pub(super) actor: &'a Actor,
    pub(super) id: ConnectionId,
    pub(super) step: ReviewStep,
    pub(super) reason: Option<&'a str>,
    pub(super) before: Option<Value>,
    pub(super) details: Option<Value>,
    pub(super) at: DateTime<Utc>,
}

impl<'a> Note<'a> {
    /// The entry that it becomes. Every step of every review passes here, whoever takes it, so this is where the outside is told of them.
    pub(super) fn entry(self) -> Entry<'a> {
        Entry {
            at: self.at,
            actor: self.actor,
            action: self.step.action(),
            subject: Subject::Connection(self.id),
            before: self.before,
            after: self.details,
            reason: self.reason,
            decision: None,
        }
    }
}

/// Notes a step in the transaction that takes it.
pub(super) async fn note(conn: &mut PgConnection, note: Note<'_>) -> Result<(), AppError> {
    Ok(audit::record(conn, note.entry()).await?)
}
