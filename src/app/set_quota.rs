//! Sets how much a consumer may use, and how much those may that have no figure of their own.

use serde_json::json;

use super::code::Code;
use super::{AppContext, AppError, change_consumer, text};
use crate::domain::actor::Actor;
use crate::domain::ids::{ConsumerId, EndpointServiceId};
use crate::domain::judgement::Wake;
use crate::domain::quota::Limits;
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::quotas::{self, Quota};
use crate::store::{consumers, endpoint_services, service_changes};

/// Sets a consumer's quota, all figures of it. What goes beyond it stays.
#[tracing::instrument(skip_all, fields(consumer.id = %id))]
pub async fn of_consumer(
    ctx: &AppContext,
    actor: &Actor,
    id: ConsumerId,
    limits: Limits,
    reason: &str,
) -> Result<Quota, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    check(limits)?;
    let mut tx = ctx.begin().await?;
    consumers::lock(&mut tx, id).await?;
    consumers::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| change_consumer::missing(id))?;
    let before = quotas::of_consumer(&mut tx, id).await?;
    let quota = new(ctx, actor, limits);
    quotas::set_of_consumer(&mut tx, id, &quota).await?;
    let subject = Subject::Consumer(id);
    let entry = entry(actor, subject, before.as_ref(), &quota, &reason);
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Consumer(id), quota.set_at).await?;
    ctx.commit(tx).await?;
    Ok(quota)
}

/// Sets what each consumer may use that has no figure of its own, when it connects to this service. What goes beyond it stays.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn of_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    limits: Limits,
    reason: &str,
) -> Result<Quota, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    check(limits)?;
    let mut tx = ctx.begin().await?;
    service_changes::lock(&mut tx, id).await?;
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    let before = quotas::of_service(&mut tx, id).await?;
    let quota = new(ctx, actor, limits);
    quotas::set_of_service(&mut tx, id, &quota).await?;
    let subject = Subject::EndpointService(id);
    let entry = entry(actor, subject, before.as_ref(), &quota, &reason);
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Service(id), quota.set_at).await?;
    ctx.commit(tx).await?;
    Ok(quota)
}

fn check(limits: Limits) -> Result<(), AppError> {
    for (field, figure) in [
        ("connections", limits.connections),
        ("endpoints_per_service", limits.endpoints_per_service),
        ("regions", limits.regions),
    ] {
        if figure.is_some_and(|figure| !(0..=1_000_000).contains(&figure)) {
            let detail = format!("{field} must be 0 to 1000000, or null for no limit");
            return Err(AppError::new(Code::InvalidRequest, detail).field(field));
        }
    }
    Ok(())
}

fn new(ctx: &AppContext, actor: &Actor, limits: Limits) -> Quota {
    Quota {
        limits,
        set_at: ctx.clock.now(),
        set_by: actor.name.clone(),
    }
}

fn entry<'a>(
    actor: &'a Actor,
    subject: Subject,
    before: Option<&Quota>,
    after: &Quota,
    reason: &'a str,
) -> Entry<'a> {
    Entry {
        at: after.set_at,
        actor,
        action: match subject {
            Subject::EndpointService(_) => "endpoint_service.set_quota",
            _ => "consumer.set_quota",
        },
        subject,
        before: before.map(|quota| json!(quota.limits)),
        after: Some(json!(after.limits)),
        reason: Some(reason),
        decision: None,
    }
}
