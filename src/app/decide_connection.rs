//! Accepts, rejects or revokes a connection.

use serde_json::json;

use super::code::Code;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, DecisionId};
use crate::domain::review::{Refusal, Verb};
use crate::domain::sync::{Plan, plan};
use crate::store::audit::{self, Entry, Subject};
use crate::store::connections::{self, Reviewed};
use crate::store::{decisions, observed};

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 1000;

/// Records a decision with its reason and makes telling AWS due, all or nothing. AWS is told by the worker, after the commit.
#[tracing::instrument(skip_all, fields(connection.id = %id, verb = %verb))]
pub async fn decide_connection(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    verb: Verb,
    reason: &str,
) -> Result<Connection, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    // Two deciders at once: the second waits here and then sees what the first decided.
    connections::lock(&mut tx, id).await?;
    let before = connections::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let to = before
        .review
        .after(verb, &before.observed.state)
        .map_err(|refusal| refused(&refusal))?;
    let decision = DecisionId::new(at);
    let inputs = json!({
        "observed_state": before.observed.state,
        "observed_at": before.observed.at,
        "owner_account": before.owner,
        "endpoint_id": before.endpoint_id,
        "aws_service_id": before.aws_service_id,
        "review": before.review,
    });
    let new = decisions::New {
        id: decision,
        connection: id,
        verb,
        actor,
        reason: &reason,
        inputs,
        at,
    };
    decisions::insert(&mut tx, new).await?;
    let owed = plan(to, &before.observed.state) != Plan::Nothing;
    let reviewed = Reviewed {
        id,
        from: before.review,
        version: before.version,
        to,
        decision,
        due: owed.then(|| (at, at + ctx.patience)),
    };
    if !connections::record_review(&mut tx, &reviewed).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    observed::resolve_drifts(&mut tx, &[id], at).await?;
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
        after: Some(json!({ "review": to })),
        reason: Some(&reason),
        decision: Some(decision),
    };
    audit::record(&mut tx, entry).await?;
    let after = connections::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    ctx.commit(tx).await?;
    Ok(after)
}

fn not_found(id: ConnectionId) -> AppError {
    AppError::new(
        Code::ConnectionNotFound,
        format!("there is no connection {id}"),
    )
}

fn refused(refusal: &Refusal) -> AppError {
    let code = match refusal {
        Refusal::AlreadyDecided(_) => Code::ConnectionAlreadyDecided,
        Refusal::NotAccepted(_) => Code::ConnectionNotRevocable,
        Refusal::Closed(_) => Code::ConnectionClosed,
        Refusal::UnknownState(_) => Code::ConnectionStateUnknown,
    };
    AppError::new(code, refusal.to_string())
}
