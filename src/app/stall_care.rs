//! What people do about what the worker gave up on, beside trying again: take care of it, leave it to others, or accept it.

use serde_json::{Value, json};

use super::code::Code;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::connection::Connection;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::stall::Stall;
use crate::domain::sync::SyncState;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, connections, endpoint_services, service_changes, stalls};

/// Whether somebody takes care from now on, or nobody does any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// The actor takes care. Refused while somebody else does.
    Claim,
    /// Nobody does any more, whoever did.
    Release,
}

/// Changes who takes care of a stalled connection.
pub async fn care_for_connection(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    care: Care,
) -> Result<Connection, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    connections::lock(&mut tx, id).await?;
    let before = connection(&mut tx, id).await?;
    let not_stalled = || not_stalled(Code::ConnectionNotStalled, before.sync.state);
    let stall = before.stall.as_ref().ok_or_else(not_stalled)?;
    let owner = owner_after(stall, actor, care)?;
    if !stalls::set_owner_of_connection(&mut tx, id, owner, at).await? {
        return Err(not_stalled());
    }
    let subject = Subject::Connection(id);
    record(&mut tx, ctx, actor, subject, stall, owner).await?;
    let after = connection(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Changes who takes care of a stalled service.
pub async fn care_for_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    care: Care,
) -> Result<RegisteredService, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    service_changes::lock(&mut tx, id).await?;
    let before = service(&mut tx, id).await?;
    let not_stalled = || not_stalled(Code::ServiceNotStalled, before.sync.state);
    let stall = before.stall.as_ref().ok_or_else(not_stalled)?;
    let owner = owner_after(stall, actor, care)?;
    if !stalls::set_owner_of_service(&mut tx, id, owner, at).await? {
        return Err(not_stalled());
    }
    let subject = Subject::EndpointService(id);
    record(&mut tx, ctx, actor, subject, stall, owner).await?;
    let after = service(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Accepts that AWS cannot be brought in step about a connection. Its sync comes to rest; what AWS shows next, a new decision or a retry wakes
/// it again.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn give_up_connection(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    reason: &str,
) -> Result<Connection, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    connections::lock(&mut tx, id).await?;
    let before = connection(&mut tx, id).await?;
    if !stalls::give_up(&mut tx, id, &actor.name, &reason, at).await? {
        return Err(not_stalled(Code::ConnectionNotStalled, before.sync.state));
    }
    let entry = Entry {
        at,
        actor,
        action: "connection.give_up",
        subject: Subject::Connection(id),
        before: Some(json!({ "code": before.sync.code, "message": before.sync.message })),
        after: Some(json!({ "review": before.review, "observed": before.observed.state })),
        reason: Some(&reason),
        decision: before.decision_id,
    };
    audit::record(&mut tx, entry).await?;
    let after = connection(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Accepts that AWS cannot be brought in step about a service. It is left as it is until somebody changes what is desired, drains it or retries.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn give_up_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    reason: &str,
) -> Result<RegisteredService, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    service_changes::lock(&mut tx, id).await?;
    let before = service(&mut tx, id).await?;
    if !stalls::give_up_service(&mut tx, id, &actor.name, &reason, at).await? {
        return Err(not_stalled(Code::ServiceNotStalled, before.sync.state));
    }
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.give_up",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "code": before.sync.code, "message": before.sync.message })),
        after: Some(
            json!({ "version": before.version, "applied_version": before.applied_version }),
        ),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = service(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Who takes care after this.
fn owner_after<'a>(
    stall: &Stall,
    actor: &'a Actor,
    care: Care,
) -> Result<Option<&'a str>, AppError> {
    match (care, &stall.owner) {
        (Care::Release, _) => Ok(None),
        (Care::Claim, Some((owner, since))) if *owner != actor.name => Err(AppError::new(
            Code::StallClaimed,
            format!("{owner} takes care of it since {since}"),
        )),
        (Care::Claim, _) => Ok(Some(&actor.name)),
    }
}

async fn record(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    subject: Subject,
    stall: &Stall,
    owner: Option<&str>,
) -> Result<(), AppError> {
    let as_json = |owner: Option<&str>| -> Value { json!({ "owner": owner }) };
    let action = match (subject, owner) {
        (Subject::EndpointService(_), Some(_)) => "endpoint_service.claim_stall",
        (Subject::EndpointService(_), None) => "endpoint_service.release_stall",
        (_, Some(_)) => "connection.claim_stall",
        (_, None) => "connection.release_stall",
    };
    let entry = Entry {
        at: ctx.clock.now(),
        actor,
        action,
        subject,
        before: Some(as_json(stall.owner.as_ref().map(|(name, _)| name.as_str()))),
        after: Some(as_json(owner)),
        reason: None,
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}

async fn connection(conn: &mut PgConnection, id: ConnectionId) -> Result<Connection, AppError> {
    connections::by_id(conn, id).await?.ok_or_else(|| {
        AppError::new(
            Code::ConnectionNotFound,
            format!("there is no connection {id}"),
        )
    })
}

async fn service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<RegisteredService, AppError> {
    endpoint_services::by_id(conn, id)
        .await?
        .ok_or_else(|| AppError::new(Code::ServiceNotFound, format!("there is no service {id}")))
}

fn not_stalled(code: Code, state: SyncState) -> AppError {
    AppError::new(
        code,
        format!("its sync is {state}, so there is nothing to take care of"),
    )
}
