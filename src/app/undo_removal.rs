//! Undoes what a removal of access planned about one connection, once it was taken back. The worker does it part by part; a timer that comes first does it
//! too, so that nothing is revoked after the word.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::desk::{self, Note, UnderReview};
use super::{AppError, PgConnection};
use crate::domain::access_removal::AccessRemoval;
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review::ReviewState;
use crate::domain::review_desk::ReviewStep;
use crate::store::access_work::{self, Planned};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{access_removals, reviews};

/// Undoes plans of removals that were taken back, for a connection that the caller has locked and whose service it shares. Answers whether there were any.
pub(super) async fn undo_taken_back(
    conn: &mut PgConnection,
    before: &UnderReview,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    if before.desk.revocation.is_none() {
        return Ok(false);
    }
    let plans = access_work::taken_back(conn, before.connection.id).await?;
    let any = !plans.is_empty();
    for (id, planned) in plans {
        if let Some(removal) = access_removals::by_id(conn, id).await? {
            undo(conn, &removal, before, &planned, at).await?;
        }
    }
    Ok(any)
}

/// Puts the plan back that was there before, or none, unless somebody has planned something else since.
pub(super) async fn undo(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    before: &UnderReview,
    planned: &Planned,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let id = before.connection.id;
    access_work::note_restored(conn, removal.id, id).await?;
    let ours = before.desk.revocation.as_ref().is_some_and(|plan| {
        plan.at == removal.ends_at
            && plan.by == removal.actor.name
            && plan.reason == removal.words()
    });
    if !ours || before.connection.review != ReviewState::Accepted {
        return Ok(());
    }
    if !reviews::set_revocation(conn, id, planned.earlier.as_ref()).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let (by, reason) = match &removal.cancelled {
        Some(said) => (said.by.clone(), said.reason.clone()),
        None => (removal.actor.name.clone(), removal.reason.clone()),
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
        before: Some(json!({ "at": removal.ends_at, "access_removal_id": removal.id })),
        details: None,
        at,
    };
    desk::note(conn, note).await?;
    tell(
        conn,
        &actor,
        id,
        NoticeKind::AccessEndingCancelled,
        removal,
        at,
    )
    .await
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
    let notice = Notice {
        kind,
        since: removal.at,
        content: json!({ "access_removal_id": removal.id, "ends_at": removal.ends_at }),
    };
    if !access_work::notify(conn, id, &notice, at).await? {
        return Ok(());
    }
    let entry = Entry {
        at,
        actor,
        action: "connection.notify",
        subject: Subject::Connection(id),
        before: None,
        after: Some(json!({ "notice": notice.kind, "content": notice.content })),
        reason: None,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}
