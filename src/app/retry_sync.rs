//! The operator's verb for what the worker gave up on: try again from the start.

use serde_json::json;

use super::admission::{Gate, is_looked_after};
use super::code::Code;
use super::{AppContext, AppError, consumer_gate};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::drift::DriftKind;
use crate::domain::drift_inbox::DriftState;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::review::{ReviewState, Verb};
use crate::domain::sync::{Act, Plan, plan};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{connection_drifts, connections, endpoint_services};

/// Makes a connection that is stalled or was given up due again. Where it stalled because somebody acted behind our back, this is what overwrites it.
pub async fn retry_connection(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
) -> Result<Connection, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let missing = || {
        AppError::new(
            Code::ConnectionNotFound,
            format!("there is no connection {id}"),
        )
    };
    let asking = consumer_gate::lock(&mut tx, id, false).await?;
    let gate = Gate::of(&mut tx, id).await?;
    let before = connections::by_id(&mut tx, id).await?.ok_or_else(missing)?;
    gate.admit(match before.review {
        ReviewState::Undecided | ReviewState::Accepted => Verb::Accept,
        ReviewState::Rejected | ReviewState::Revoked => Verb::Reject,
    })?;
    // An accept that AWS was never told is not told after a denial.
    if let (Some(asking), Plan::Act(Act::Accept)) =
        (asking, plan(before.review, &before.observed.state))
    {
        consumer_gate::refuse_telling(&mut tx, &asking, &before, at).await?;
    }
    if !connections::retry(&mut tx, id, at, at + ctx.patience).await? {
        return Err(AppError::new(
            Code::ConnectionNotStalled,
            format!(
                "its sync is {}, so there is nothing to retry",
                before.sync.state
            ),
        ));
    }
    // Rejecting again what came back to life is what reverts it. Where AWS offers no way back the retry settles nothing.
    let kind = Some(DriftKind::AcceptedOutside);
    let (state, why) = (DriftState::Reverted, "its sync was retried");
    connection_drifts::settle(&mut tx, &[id], kind, state, actor, why, at).await?;
    let entry = Entry {
        at,
        actor,
        action: "connection.retry_sync",
        subject: Subject::Connection(id),
        before: Some(json!({ "code": before.sync.code, "message": before.sync.message })),
        after: None,
        reason: None,
        decision: before.decision_id,
    };
    audit::record(&mut tx, entry).await?;
    let after = connections::by_id(&mut tx, id).await?.ok_or_else(missing)?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Makes a service due again that is stalled, or that waits and would be tried again later.
pub async fn retry_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
) -> Result<RegisteredService, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    let before = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    is_looked_after(&before)?;
    if !endpoint_services::retry(&mut tx, id, at).await? {
        return Err(AppError::new(
            Code::ServiceNotStalled,
            format!(
                "its sync is {}, so there is nothing to retry",
                before.sync.state
            ),
        ));
    }
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.retry_sync",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "code": before.sync.code, "message": before.sync.message })),
        after: None,
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    ctx.commit(tx).await?;
    Ok(after)
}
