//! Two persons' yes: what an accept comes to where a service asks for two, and how one takes it back.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::code::Code;
use super::consumer_gate::{self, Asking};
use super::decide_connection::LONGEST_REASON;
use super::decision_words::Why;
use super::desk::{self, Note, UnderReview};
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::approval::{Approval, ApprovalEnd, NoYes, Yes, earliest, yes};
use crate::domain::connection::Connection;
use crate::domain::ids::{ApprovalId, ConnectionId};
use crate::domain::review_desk::ReviewStep;
use crate::store::{PgConnection, approvals, review_rules};

/// Counts the actor's yes to a connection that the caller has locked and found open. Answers why it is accepted, or nothing while another
/// person has to say yes.
pub(super) async fn approve(
    conn: &mut PgConnection,
    actor: &Actor,
    before: &Connection,
    why: &Why,
    asking: &Asking,
    at: DateTime<Utc>,
) -> Result<Option<Why>, AppError> {
    let rules = review_rules::of_service(conn, before.service_id).await?;
    let mut standing = approvals::standing(conn, before.id).await?;
    let comes_to =
        yes(rules.approvals_required, &standing, actor).map_err(|refusal| refused(&refusal))?;
    let expires_at = earliest(&standing, why.expires_at);
    if comes_to != Yes::Decides {
        // Nobody approves what could not be accepted. Where one person is enough, the decision asks this.
        consumer_gate::admit(conn, asking, before, at).await?;
        let approval = record(conn, actor, before.id, why, at).await?;
        standing.push(approval);
    }
    if comes_to == Yes::Waits {
        return Ok(None);
    }
    let mut enough = why.clone();
    enough.expires_at = expires_at;
    if !standing.is_empty() {
        let all: Vec<Value> = standing.iter().map(shown).collect();
        enough.evidence.insert("approvals".to_owned(), all.into());
    }
    Ok(Some(enough))
}

/// Refuses to accept in one step where the service asks for two persons.
pub(super) async fn refuse_alone(
    conn: &mut PgConnection,
    connection: &Connection,
) -> Result<(), AppError> {
    let rules = review_rules::of_service(conn, connection.service_id).await?;
    if rules.approvals_required > 1 {
        let detail =
            "the service asks for the approval of two persons: accept the connection instead";
        return Err(AppError::new(Code::ApprovalsRequired, detail));
    }
    Ok(())
}

/// Takes the actor's approval back.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn withdraw_approval(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    reason: &str,
) -> Result<UnderReview, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    let (name, end) = (Some(actor.name.as_str()), ApprovalEnd::Withdrawn);
    if approvals::end(&mut tx, id, name, end, at).await? == 0 {
        let detail = format!("{} has given no approval that stands", actor.name);
        return Err(AppError::new(Code::ApprovalMissing, detail));
    }
    let own = before.desk.approvals.iter();
    let own = own
        .filter(|one| one.approver == actor.name)
        .map(|one| one.id);
    let note = Note {
        actor,
        id,
        step: ReviewStep::ApprovalWithdrawn,
        reason: Some(&reason),
        before: None,
        details: Some(json!({ "approval_ids": own.collect::<Vec<_>>() })),
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    id: ConnectionId,
    why: &Why,
    at: DateTime<Utc>,
) -> Result<Approval, AppError> {
    let approval = Approval {
        id: ApprovalId::new(at),
        approver: actor.name.clone(),
        reason: why.reason.clone(),
        message: why.message.clone(),
        ticket_url: why.ticket_url.clone(),
        expires_at: why.expires_at,
        at,
    };
    if !approvals::insert(conn, id, &approval).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::Approved,
        reason: Some(&why.reason),
        before: None,
        details: Some(shown(&approval)),
        at,
    };
    desk::note(conn, note).await?;
    Ok(approval)
}

/// An approval as decisions and the audit trail keep it.
fn shown(approval: &Approval) -> Value {
    json!({
        "approval_id": approval.id,
        "approver": approval.approver,
        "approved_at": approval.at,
        "message": approval.message,
        "ticket_url": approval.ticket_url,
        "expires_at": approval.expires_at,
    })
}

fn refused(refusal: &NoYes) -> AppError {
    let code = match refusal {
        NoYes::SamePerson(_) => Code::ApprovalBySamePerson,
        NoYes::NotAPerson => Code::ApprovalsRequired,
    };
    AppError::new(code, refusal.to_string())
}
