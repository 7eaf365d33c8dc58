//! Holding a request: a person says that it is not to be decided for now, and why.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::decision_words::in_the_future;
use super::desk::{self, Note, UnderReview};
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::review_desk::{HELD_BY_PERSON, Hold, ReviewStep};
use crate::store::judge_wakes::{self, Next};
use crate::store::reviews;

/// Holds a request that nobody decided yet, until a time or until somebody ends it. It takes the place of a hold that stands.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn hold_review(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    reason: &str,
    until: Option<DateTime<Utc>>,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let until = until
        .map(|until| in_the_future("until", until, at))
        .transpose()?;
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    desk::refuse_unless_open(&before.connection)?;
    let hold = Hold {
        code: HELD_BY_PERSON.to_owned(),
        reason: reason.clone(),
        until,
        by_kind: actor.kind,
        by: actor.name.clone(),
        at,
    };
    if !reviews::set_hold(&mut tx, id, Some(&hold)).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::Held,
        reason: Some(&reason),
        before: before.desk.hold.as_ref().map(shown),
        details: Some(shown(&hold)),
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Ends a hold, whoever made it.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn unhold_review(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    reason: &str,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    let standing = before.desk.hold.as_ref().filter(|hold| hold.stands(at));
    let Some(hold) = standing else {
        return Err(AppError::new(Code::ConnectionNotHeld, "nothing holds it"));
    };
    if !reviews::set_hold(&mut tx, id, None).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::Unheld,
        reason: Some(&reason),
        before: Some(shown(hold)),
        details: None,
        at,
    };
    desk::note(&mut tx, note).await?;
    // It may be decided again, also by a policy.
    judge_wakes::put_off(&mut tx, &[Next::unjudged(id, at)]).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// A hold as the audit trail keeps it.
pub(super) fn shown(hold: &Hold) -> Value {
    json!({ "code": hold.code, "reason": hold.reason, "until": hold.until, "held_by": hold.by })
}
