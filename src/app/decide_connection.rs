//! Accepts, rejects or revokes a connection.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::admission::{Admitted, Gate};
use super::approve::approve;
use super::code::Code;
use super::consumer_gate::{self, Asking};
use super::decision_words::{Said, Why};
use super::desk::{self, UnderReview};
use super::hearing::Hearing;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::drift_inbox::settled_by_review;
use crate::domain::ids::{ConnectionId, DecisionId};
use crate::domain::review::{Refusal, ReviewState, Verb};
use crate::domain::sync::{Plan, plan};
use crate::store::audit::{self, Entry, Subject};
use crate::store::connections::{self, Reviewed};
use crate::store::{PgConnection, agreement_work, connection_drifts, decisions, reviews};

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 1000;

/// Records a decision with its reason and makes telling AWS due, all or nothing. AWS is told by the worker, after the commit. What is denied is not
/// accepted; what goes beyond a quota only with `over_quota`. Where the service asks for two persons, the first accept is an approval and decides
/// nothing yet.
#[tracing::instrument(skip_all, fields(connection.id = %id, verb = %verb))]
pub async fn decide_connection(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    verb: Verb,
    said: &Said,
) -> Result<UnderReview, AppError> {
    let at = ctx.clock.now();
    let why = Why::checked(said, verb, at)?;
    let mut tx = ctx.begin().await?;
    let asking = match verb {
        Verb::Accept => consumer_gate::lock(&mut tx, id, said.over_quota).await?,
        Verb::Reject | Verb::Revoke => None,
    };
    // Then the service: nobody is let in once its drain has begun, and the two wait for each other.
    let admitted = Gate::of(&mut tx, id).await?.admit(verb)?;
    // Then the agreements that could pay: whoever takes the last seat of one takes it alone.
    if verb == Verb::Accept {
        agreement_work::lock_concerned(&mut tx, &[id]).await?;
    }
    // Two deciders at once: the second waits here and then sees what the first decided.
    connections::lock(&mut tx, id).await?;
    let leave = Leave { admitted, asking };
    let mut hearing = Hearing::of(&mut tx, ctx, &[id], at).await?;
    hearing.decide(&mut tx, ctx, actor, id, leave, &why).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is recorded.
    Done(DecisionId),
    /// It is one of the two approvals that the service asks for.
    Approved,
}

/// Leave to decide: what the life of the service allows and, for an accept, whom the connection belongs to.
pub(super) struct Leave {
    pub(super) admitted: Admitted,
    pub(super) asking: Option<Asking>,
}

/// Decides about a connection that the caller has locked, after its service was asked. A refusal comes before anything is written.
pub(super) async fn decide_locked(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    Leave { admitted, asking }: Leave,
    why: &Why,
    at: DateTime<Utc>,
) -> Result<Decided, AppError> {
    let verb = admitted.verb();
    let before = connections::by_id(conn, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let to = before
        .review
        .after(verb, &before.observed.state)
        .map_err(|refusal| refused(&refusal))?;
    // Whatever an accept has to pass is asked under the lock, and before anything is written.
    let approved = match &asking {
        Some(asking) if verb == Verb::Accept => {
            approve(conn, actor, &before, why, asking, at).await?
        }
        _ => Some(why.clone()),
    };
    let Some(enough) = approved else {
        return Ok(Decided::Approved);
    };
    let outcome = Outcome {
        admitted,
        to,
        asking,
    };
    let decision = record(conn, ctx, actor, &before, outcome, &enough, at).await?;
    Ok(Decided::Done(decision))
}

/// What is decided, which the life of the service allows, and the review that it leads to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) admitted: Admitted,
    pub(super) to: ReviewState,
    /// Leave to accept; nothing else needs it.
    pub(super) asking: Option<Asking>,
}

/// Writes a decision about a connection that the caller has locked: the decision, the review, the settled drifts and the audit entry.
pub(super) async fn record(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    before: &Connection,
    Outcome {
        admitted,
        to,
        asking,
    }: Outcome,
    why: &Why,
    at: DateTime<Utc>,
) -> Result<DecisionId, AppError> {
    let (id, verb) = (before.id, admitted.verb());
    let decision = DecisionId::new(at);
    let admission = match (verb, asking) {
        (Verb::Accept, Some(asking)) => {
            Some(consumer_gate::admit(conn, &asking, before, at).await?)
        }
        (Verb::Accept, None) => {
            return Err(AppError::internal(
                "nobody asked whether it may be accepted",
            ));
        }
        (Verb::Reject | Verb::Revoke, _) => None,
    };
    let reason = why.reason.as_str();
    let mut inputs = json!({
        "observed_state": before.observed.state,
        "observed_at": before.observed.at,
        "owner_account": before.owner,
        "endpoint_id": before.endpoint_id,
        "aws_service_id": before.aws_service_id,
        "review": before.review,
    });
    let mut outcome = json!({ "review": to });
    if let Some(admission) = admission {
        inputs["consumer"] = admission.consumer;
        inputs["quota"] = admission.quota;
        if let Some(exceeded) = admission.over_quota {
            outcome["over_quota"] = exceeded;
        }
    }
    if let Some(inputs) = inputs.as_object_mut() {
        inputs.extend(why.evidence.clone());
    }
    let new = decisions::New {
        id: decision,
        connection: id,
        verb,
        actor,
        reason,
        inputs,
        at,
        message: why.message.as_deref(),
        ticket_url: why.ticket_url.as_deref(),
        reason_code: why.reason_code.as_deref(),
    };
    decisions::insert(conn, new).await?;
    let owed = plan(to, &before.observed.state) != Plan::Nothing;
    let reviewed = Reviewed {
        id,
        from: before.review,
        version: before.version,
        to,
        decision,
        due: owed.then(|| (at, at + ctx.patience)),
    };
    if !connections::record_review(conn, &reviewed).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    reviews::conclude(conn, id, decision, verb, why.expires_at, at).await?;
    let settled = settled_by_review(to, &before.observed.state);
    connection_drifts::settle(conn, &[id], None, settled, actor, reason, at).await?;
    let entry = Entry {
        at,
        actor,
        action: match verb {
            Verb::Accept => "connection.accept",
            Verb::Reject => "connection.reject",
            Verb::Revoke => "connection.revoke",
        },
        subject: Subject::Connection(id),
        before: Some(json!({ "review": before.review })),
        after: Some(outcome),
        reason: Some(reason),
        decision: Some(decision),
    };
    audit::record(conn, entry).await?;
    Ok(decision)
}

pub(super) fn not_found(id: ConnectionId) -> AppError {
    AppError::new(
        Code::ConnectionNotFound,
        format!("there is no connection {id}"),
    )
}

pub(super) fn refused(refusal: &Refusal) -> AppError {
    let code = match refusal {
        Refusal::AlreadyDecided(_) => Code::ConnectionAlreadyDecided,
        Refusal::NotAccepted(_) => Code::ConnectionNotRevocable,
        Refusal::Closed(_) => Code::ConnectionClosed,
        Refusal::UnknownState(_) => Code::ConnectionStateUnknown,
    };
    AppError::new(code, refusal.to_string())
}
