//! Drains a registered service, and deletes it once it is drained, where that is wanted. The worker does both.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::admission::refused;
use super::code::Code;
use super::preconditions::ExpectedVersion;
use super::{AppContext, AppError, PgConnection, sold_services, text};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::{Origin, RegisteredService};
use crate::domain::ids::{EndpointServiceId, ListingId};
use crate::domain::lifecycle::LifecycleVerb;
use crate::store::audit::{self, Entry, Subject};
use crate::store::endpoint_services;
use crate::store::lifecycles::{self, Begun};

/// The longest notice.
const LONGEST_NOTICE: TimeDelta = TimeDelta::days(366);

/// When consumers that are connected are rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectWhen {
    /// So many seconds from now.
    AfterSeconds(u32),
    /// Then, or at once where that is past.
    At(DateTime<Utc>),
}

/// What a drain is asked for with.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// Why.
    pub reason: String,
    /// When live connections are rejected. A deletion of a service that is being drained has none: the drain's stands.
    pub reject: Option<RejectWhen>,
    /// Whether the service is deleted in AWS then.
    pub then_delete: bool,
    /// Whether it is known that a deletion cannot be taken back.
    pub confirm_delete: bool,
    /// The listing that is known to sell the service.
    pub sold_by: Option<ListingId>,
}

/// Begins a drain: from the commit on nobody is let in.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn drain_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    wish: Wish,
) -> Result<RegisteredService, AppError> {
    retire(ctx, actor, id, wish, LifecycleVerb::Drain).await
}

/// Begins a drain that ends in the deletion; or has the one that is under way end so.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn delete_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    wish: Wish,
) -> Result<RegisteredService, AppError> {
    let wish = Wish {
        then_delete: true,
        ..wish
    };
    retire(ctx, actor, id, wish, LifecycleVerb::Delete).await
}

async fn retire(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    wish: Wish,
    verb: LifecycleVerb,
) -> Result<RegisteredService, AppError> {
    let reason = text::checked(
        "reason",
        &wish.reason,
        super::decide_connection::LONGEST_REASON,
    )?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = locked(&mut tx, id, wish.version, verb).await?;
    if wish.then_delete && !wish.confirm_delete {
        let detail = "AWS cannot bring a deleted service back, and its name goes with it; confirm it with confirm_delete";
        return Err(AppError::new(Code::ConfirmationRequired, detail).field("confirm_delete"));
    }
    if before.origin == Origin::Adopted && before.observed.is_none() {
        let detail = "it was not read from AWS yet, so nothing is known of who is connected; release it, or wait";
        return Err(AppError::new(Code::ServiceNotObserved, detail));
    }
    let draining = before.lifecycle.drain.as_ref().map(|drain| drain.reject_at);
    let reject_at = match (before.lifecycle.state.is_retiring(), wish.reject) {
        (false, reject) => reject_at(reject, at)?,
        (true, None) => draining.unwrap_or(at),
        (true, Some(_)) => {
            let detail = "the service is being drained, and that notice stands; cancel the drain to give another";
            return Err(AppError::new(Code::InvalidRequest, detail).field("reject_at"));
        }
    };
    let sold_by = sold_services::confirm_end(&mut tx, id, wish.sold_by).await?;
    let done = if before.lifecycle.state.is_retiring() {
        lifecycles::ask_to_delete(&mut tx, id, before.version, at).await?
    } else {
        let begun = Begun {
            at,
            by: &actor.name,
            reason: &reason,
            reject_at,
            then_delete: wish.then_delete,
        };
        lifecycles::begin_drain(&mut tx, id, before.version, begun).await?
    };
    if !done {
        let detail = "it is being drained, and is to be deleted then already";
        return Err(AppError::new(Code::ServiceDraining, detail));
    }
    let entry = Entry {
        at,
        actor,
        action: match verb {
            LifecycleVerb::Delete => "endpoint_service.delete",
            _ => "endpoint_service.drain",
        },
        subject: Subject::EndpointService(id),
        before: Some(json!({ "lifecycle": before.lifecycle.state, "version": before.version })),
        after: Some(json!({
            "lifecycle": "draining", "reject_at": reject_at, "then_delete": wish.then_delete, "version": before.version + 1,
            "sold_by": sold_by,
        })),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

fn reject_at(reject: Option<RejectWhen>, now: DateTime<Utc>) -> Result<DateTime<Utc>, AppError> {
    let (at, field) = match reject {
        Some(RejectWhen::AfterSeconds(seconds)) => (
            now + TimeDelta::seconds(seconds.into()),
            "reject_after_seconds",
        ),
        Some(RejectWhen::At(at)) => (at.max(now), "reject_at"),
        None => {
            let detail = "say when live connections are rejected: reject_after_seconds, 0 for at once, or reject_at";
            return Err(AppError::new(Code::InvalidRequest, detail).field("reject_after_seconds"));
        }
    };
    if at - now > LONGEST_NOTICE {
        let detail = format!("a notice has at most {} days", LONGEST_NOTICE.num_days());
        return Err(AppError::new(Code::InvalidRequest, detail).field(field));
    }
    Ok(at)
}

/// The service, locked, where its life allows the verb and its version is the one that the caller has read.
pub(super) async fn locked(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: ExpectedVersion,
    verb: LifecycleVerb,
) -> Result<RegisteredService, AppError> {
    lifecycles::lock(conn, id).await?;
    let service = read(conn, id).await?;
    // Before the version: what happened to the service says more than that something did.
    service.lifecycle.state.after(verb).map_err(refused)?;
    version.check(service.version, Code::ServiceChanged)?;
    Ok(service)
}

pub(super) async fn read(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<RegisteredService, AppError> {
    endpoint_services::by_id(conn, id)
        .await?
        .ok_or_else(|| AppError::new(Code::ServiceNotFound, format!("there is no service {id}")))
}
