//! Rejects what is live on a service whose notice is over: decisions like any other, in the name of whoever asked for the drain.

use chrono::{DateTime, Utc};

use super::admission::Gate;
use super::decide_connection::{Outcome, record};
use super::decision_words::Why;
use super::{AppContext, AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::lifecycle::Said;
use crate::domain::review::{ReviewState, Verb};
use crate::store::{drain_progress, lifecycles};

/// Whoever asked for the drain, long after the request.
pub fn drainer(said: &Said) -> Actor {
    Actor::caller(said.by.as_str(), None)
}

/// Decides about the next connections, at most so many, in the caller's transaction, which has proven the lease. Answers about how many; none
/// when the drain was taken back.
pub async fn reject_some(
    conn: &mut PgConnection,
    ctx: &AppContext,
    service: &RegisteredService,
    at: DateTime<Utc>,
    most: i64,
) -> Result<usize, AppError> {
    let Some(said) = &service.lifecycle.said else {
        return Ok(0);
    };
    if !lifecycles::shared_while_draining(conn, service.id, service.version).await? {
        return Ok(0);
    }
    let (gate, actor) = (Gate::of_draining(), drainer(said));
    let why = Why::because(said.reason.as_str());
    let next = drain_progress::to_reject(conn, service.id, most).await?;
    for connection in &next {
        let verb = match connection.review {
            ReviewState::Accepted => Verb::Revoke,
            ReviewState::Undecided | ReviewState::Rejected | ReviewState::Revoked => Verb::Reject,
        };
        let to = connection
            .review
            .after(verb, &connection.observed.state)
            .map_err(|refusal| AppError::internal(refusal.to_string()))?;
        let admitted = gate.admit(verb)?;
        let outcome = Outcome {
            admitted,
            to,
            asking: None,
        };
        record(conn, ctx, &actor, connection, outcome, &why, at).await?;
    }
    Ok(next.len())
}
