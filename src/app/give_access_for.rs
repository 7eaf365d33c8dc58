//! Access for a time: renewing it, and planning to take it away.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::code::Code;
use super::decide_connection::{LONGEST_REASON, refused};
use super::decision_words::in_the_future;
use super::desk::{self, Note, UnderReview};
use super::tell_consumer::tell_consumer;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review::{ReviewState, Verb};
use crate::domain::review_desk::{Planner, ReviewStep, ScheduledRevocation};
use crate::store::{PgConnection, planned_revocations, reviews};

/// Gives access until another time, or without an end.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn renew(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    expires_at: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let expires_at = expires_at
        .map(|end| in_the_future("expires_at", end, at))
        .transpose()?;
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    refuse_unless_given(&before)?;
    if !reviews::set_expiry(&mut tx, id, expires_at).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::Renewed,
        reason: Some(&reason),
        before: Some(json!({ "expires_at": before.desk.expires_at })),
        details: Some(json!({ "expires_at": expires_at })),
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Plans to take access away at a time. It takes the place of all that was planned about the connection before, by whomever but agreements: this is the later word about it. The
/// earliest counts.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn schedule_revocation(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    revoke_at: DateTime<Utc>,
    reason: &str,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let planned = ScheduledRevocation {
        at: in_the_future("at", revoke_at, at)?,
        reason,
        by: actor.name.clone(),
        planner: Planner::Person,
    };
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    refuse_unless_given(&before)?;
    planned_revocations::clear_all_but_agreements(&mut tx, id).await?;
    if !planned_revocations::add(&mut tx, id, &planned).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::RevocationScheduled,
        reason: Some(&planned.reason),
        before: before.desk.revocation.as_ref().map(shown),
        details: Some(shown(&planned)),
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    tell(&mut tx, actor, (&before, &after), at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Gives up all that was planned, by whomever but agreements.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn cancel_revocation(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    reason: &str,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    let Some(planned) = &before.desk.revocation else {
        let detail = "no revocation is scheduled";
        return Err(AppError::new(Code::RevocationNotScheduled, detail));
    };
    let is_cleared = planned_revocations::clear_all_but_agreements(&mut tx, id).await?;
    if let (Planner::Agreement(agreement), false) = (planned.planner, is_cleared) {
        let until = planned.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let detail = format!(
            "agreement {agreement} takes the access away at {until}: renew or amend it, attach the account, or make another one with room"
        );
        return Err(AppError::new(Code::RevocationByAgreement, detail));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::RevocationCancelled,
        reason: Some(&reason),
        before: Some(shown(planned)),
        details: None,
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    tell(&mut tx, actor, (&before, &after), at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Notes what the consumer is to be told of the end of access: when it comes now, or that what was planned does not. Whatever was told before, this is the later word; where
/// access ends when it did before, there is none.
async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    (before, after): (&UnderReview, &UnderReview),
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let end = |of: &UnderReview| of.desk.revocation.as_ref().map(|plan| plan.at);
    let (kind, ends_at) = match (end(before), end(after)) {
        (before, after) if before == after => return Ok(()),
        (_, Some(ends_at)) => (NoticeKind::AccessEnding, ends_at),
        (Some(planned), None) => (NoticeKind::AccessEndingCancelled, planned),
        (None, None) => return Ok(()),
    };
    let notice = Notice {
        kind,
        since: at,
        content: json!({ "ends_at": ends_at }),
    };
    tell_consumer(conn, actor, after.connection.id, &notice, at).await
}

/// Refuses where there is no access, or where the endpoint is gone.
fn refuse_unless_given(before: &UnderReview) -> Result<(), AppError> {
    let connection = &before.connection;
    if connection.review != ReviewState::Accepted {
        let detail = format!(
            "the connection is {}, so there is no access",
            connection.review
        );
        return Err(AppError::new(Code::ConnectionNotAccepted, detail));
    }
    let could_be = connection
        .review
        .after(Verb::Revoke, &connection.observed.state);
    could_be.map(|_| ()).map_err(|refusal| refused(&refusal))
}

pub(super) fn shown(planned: &ScheduledRevocation) -> Value {
    json!({ "at": planned.at, "reason": planned.reason, "scheduled_by": planned.by })
}
