//! Undoes what a removal of access planned about one connection, once it was taken back, and tells the consumer. A timer that comes before revokes nothing:
//! from the word on, the plan does not stand.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::desk::{self, Note};
use super::give_access_for::shown;
use super::tell_consumer::tell_consumer;
use super::{AppError, PgConnection};
use crate::domain::access_removal::AccessRemoval;
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review_desk::{Planner, ReviewStep};
use crate::store::{access_work, planned_revocations};

/// Takes its plan back and tells the consumer, unless somebody gave the plan up before. The caller has locked the connection.
pub(super) async fn undo(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    access_work::note_restored(conn, removal.id, id).await?;
    let own = Planner::AccessRemoval(removal.id);
    let Some(planned) = planned_revocations::take_back(conn, id, own).await? else {
        return Ok(());
    };
    let (by, reason) = match &removal.cancelled {
        Some(said) => (said.by.clone(), said.reason.clone()),
        None => (
            removal.actor.name.clone(),
            "the account was let in again".to_owned(),
        ),
    };
    let actor = Actor {
        name: by,
        request_id: None,
        ..removal.actor.clone()
    };
    let note = Note {
        actor: &actor,
        id,
        step: ReviewStep::RevocationCancelled,
        reason: Some(&reason),
        before: Some(shown(&planned)),
        details: None,
        at,
    };
    desk::note(conn, note).await?;
    let kind = NoticeKind::AccessEndingCancelled;
    tell(conn, &actor, id, kind, removal, at).await
}

/// Notes what the consumer of a connection is to be told of a removal, once, with its audit entry.
pub(super) async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    id: ConnectionId,
    kind: NoticeKind,
    removal: &AccessRemoval,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let ends_at = match kind {
        NoticeKind::AccessEnded => at,
        _ => removal.ends_at,
    };
    let notice = Notice {
        kind,
        since: removal.at,
        content: json!({ "access_removal_id": removal.id, "ends_at": ends_at }),
    };
    tell_consumer(conn, actor, id, &notice, at).await
}
