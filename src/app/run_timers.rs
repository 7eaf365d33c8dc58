//! What time does to one connection: reminders, escalations, and decisions that somebody wanted at this time. The worker calls it, in a
//! transaction that has proven the lease.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::admission::Gate;
use super::decide_connection::{Leave, decide_locked};
use super::decision_words::Why;
use super::desk::{self, Note, UnderReview};
use super::gather_facts::gather;
use super::spare::spare;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::approval::ApprovalEnd;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::review_desk::{Planner, ReviewStep};
use crate::domain::review_timer::{Facts, TimerStep, steps};
use crate::store::{
    PgConnection, agreement_bindings, agreement_work, agreements, approvals, rejudgements,
    review_timers,
};

/// Does all that is due for a connection, under its lock, and answers what that was. What is not due any more is left alone, so doing it
/// twice, or by two, is the same as doing it once.
pub async fn run_timers(
    conn: &mut PgConnection,
    ctx: &AppContext,
    id: ConnectionId,
) -> Result<Vec<TimerStep>, AppError> {
    let at = ctx.clock.now();
    // Services before connections, as everywhere.
    let gate = Gate::of(conn, id).await?;
    if gate.has_ended() {
        return Ok(Vec::new());
    }
    let mut before = desk::locked(conn, ctx, id, at).await?;
    let mut due = steps(&facts(&before), at);
    while due.contains(&TimerStep::RevokeScheduled) {
        match wanted(conn, ctx, &before, at).await? {
            Wanted::Yes => break,
            Wanted::Later => due.retain(|step| *step != TimerStep::RevokeScheduled),
            Wanted::NoMore => {
                before = desk::read(conn, ctx, id, at).await?;
                due = steps(&facts(&before), at);
            }
        }
    }
    for step in &due {
        take(conn, ctx, gate, &before, *step, at).await?;
    }
    Ok(due)
}

/// Whether a planned revocation that is due is carried out.
enum Wanted {
    /// It is.
    Yes,
    /// Somebody is at what it is a part of. The next pass asks again.
    Later,
    /// It was taken back. There may be another one.
    NoMore,
}

/// Whether the planned revocation stays wanted until the caller's transaction ends. What plans for many is asked under a lock of its own: an access removal is
/// not taken back while its services are shared, and a re-judgement not while it is.
async fn wanted(
    conn: &mut PgConnection,
    ctx: &AppContext,
    before: &UnderReview,
    at: DateTime<Utc>,
) -> Result<Wanted, AppError> {
    let planner = before.desk.revocation.as_ref().map(|plan| plan.planner);
    let rejudgement = match planner {
        Some(Planner::Rejudgement(rejudgement)) => rejudgement,
        Some(Planner::Agreement(id)) => {
            let stays = is_agreement_sure(conn, before, id, at).await?;
            return Ok(if stays { Wanted::Yes } else { Wanted::Later });
        }
        Some(Planner::Person | Planner::AccessRemoval(_)) | None => return Ok(Wanted::Yes),
    };
    if !rejudgements::share_standing(conn, rejudgement).await? {
        return Ok(Wanted::Later);
    }
    if spare(conn, ctx, before.connection.id, rejudgement, at).await? {
        return Ok(Wanted::NoMore);
    }
    Ok(Wanted::Yes)
}

/// Whether an agreement still cuts what it planned to. What it plans is up to date unless it should have been looked at before the time of the plan: another may have taken its
/// place meanwhile. That it is to be looked at since, because the first of its connections was cut, keeps none of the others. And nobody is cut for whom another agreement has
/// room: both are looked at first.
async fn is_agreement_sure(
    conn: &mut PgConnection,
    before: &UnderReview,
    planner: AgreementId,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let cut_at = before.desk.revocation.as_ref().map_or(at, |plan| plan.at);
    let agreement = agreements::by_id(conn, planner).await?;
    let due = agreement.and_then(|agreement| agreement.due_at);
    if due.is_some_and(|due| due < cut_at) {
        return Ok(false);
    }
    let id = before.connection.id;
    if !agreement_work::may_have_another_payer(conn, id, planner, at).await? {
        return Ok(true);
    }
    let pays = agreement_bindings::of_connections(conn, &[id]).await?;
    let pays = pays.get(&id).map(|row| row.agreement);
    let mut other = pays.filter(|pays| *pays != planner);
    if other.is_none() {
        let found = gather(conn, &[id], at).await?;
        // What somebody rejected in AWS by hand goes to nobody else: no place is taken for it.
        if found.is_live(id) {
            other = found.other_payer(id, planner);
        }
    }
    let Some(other) = other else { return Ok(true) };
    agreement_work::wake(conn, &[planner, other]).await?;
    Ok(false)
}

/// What the timers of a connection look at.
pub fn facts(before: &UnderReview) -> Facts {
    let (connection, desk) = (&before.connection, &before.desk);
    let held = desk.hold.as_ref().filter(|hold| hold.stands(before.at));
    Facts {
        review: connection.review,
        observed: connection.observed.state.clone(),
        first_seen_at: connection.first_seen_at,
        rules: before.rules,
        held_by_person: held.is_some_and(|hold| hold.by_kind.is_caller()),
        reminded_at: desk.reminded_at,
        escalated_at: desk.escalated_at,
        expires_at: desk.expires_at,
        expiring_at: desk.expiring_at,
        revoke_at: desk.revocation.as_ref().map(|planned| planned.at),
        approved: !desk.approvals.is_empty(),
    }
}

async fn take(
    conn: &mut PgConnection,
    ctx: &AppContext,
    gate: Gate,
    before: &UnderReview,
    step: TimerStep,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let id = before.connection.id;
    let timer = Actor::timer();
    if let Some(verb) = step.verb() {
        let (admitted, why) = (gate.admit(verb)?, why(before, step));
        let leave = Leave {
            admitted,
            asking: None,
        };
        decide_locked(conn, ctx, &timer, id, leave, &why, at).await?;
        return Ok(());
    }
    let due_at = before.rules.due_at(before.connection.first_seen_at);
    let (taken, noted, details) = match step {
        TimerStep::Remind => {
            let taken = review_timers::mark_reminded(conn, id, at).await?;
            (taken, ReviewStep::Reminded, json!({ "due_at": due_at }))
        }
        TimerStep::Escalate => {
            let taken = review_timers::mark_escalated(conn, id, at).await?;
            (taken, ReviewStep::Escalated, json!({ "due_at": due_at }))
        }
        TimerStep::MarkExpiring => {
            let taken = review_timers::mark_expiring(conn, id, at).await?;
            let ends_at = before
                .desk
                .expires_at
                .map(|end| end + before.rules.expiry_grace);
            let details = json!({ "expires_at": before.desk.expires_at, "ends_at": ends_at });
            (taken, ReviewStep::Expiring, details)
        }
        TimerStep::Lapse => {
            approvals::end(conn, id, None, ApprovalEnd::Lapsed, at).await?;
            review_timers::clear(conn, id).await?;
            (true, ReviewStep::Lapsed, lapsed(before))
        }
        TimerStep::RejectOverdue | TimerStep::Expire | TimerStep::RevokeScheduled => {
            return Err(AppError::internal("a decision was taken for a note"));
        }
    };
    if !taken {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor: &timer,
        id,
        step: noted,
        reason: None,
        before: None,
        details: Some(details),
        at,
    };
    desk::note(conn, note).await
}

/// Why time decides, in words and with what it went by.
fn why(before: &UnderReview, step: TimerStep) -> Why {
    let said = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (connection, desk) = (&before.connection, &before.desk);
    let grace = before.rules.expiry_grace;
    let mut why = match step {
        TimerStep::RevokeScheduled => Why::because(
            desk.revocation
                .as_ref()
                .map_or_else(String::new, |planned| planned.reason.clone()),
        ),
        TimerStep::Expire => Why::because(desk.expires_at.map_or_else(String::new, |end| {
            format!("the approval expired at {} and was not renewed", said(end))
        })),
        _ => Why::because(format!(
            "nobody decided until {}",
            said(before.rules.due_at(connection.first_seen_at))
        )),
    };
    why.reason_code = step.reason_code().map(Cow::Borrowed);
    let planned = desk.revocation.as_ref();
    let timer = json!({
        "step": step,
        "due_at": before.rules.due_at(connection.first_seen_at),
        "expires_at": desk.expires_at,
        "grace_seconds": grace.num_seconds(),
        "revoke_at": planned.map(|planned| planned.at),
        "scheduled_by": planned.map(|planned| planned.by.clone()),
    });
    why.evidence.insert("timer".to_owned(), timer);
    why
}

fn lapsed(before: &UnderReview) -> Value {
    let approvers: Vec<&str> = before
        .desk
        .approvals
        .iter()
        .map(|one| one.approver.as_str())
        .collect();
    json!({
        "observed": before.connection.observed.state,
        "approvers": approvers,
        "expires_at": before.desk.expires_at,
        "revoke_at": before.desk.revocation.as_ref().map(|planned| planned.at),
    })
}
