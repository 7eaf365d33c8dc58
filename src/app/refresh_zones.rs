//! The operator's verb for a load balancer that got a new zone: AWS reads the zones of a service's load balancers only when the service is
//! changed, an empty change included.

use serde_json::json;

use super::admission::may_change;
use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::EndpointServiceId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{endpoint_services, service_changes};

/// Records the wish and makes the service due, also when it was stalled.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn refresh_zones(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
) -> Result<RegisteredService, AppError> {
    let at = ctx.clock.now();
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    let mut tx = ctx.begin().await?;
    service_changes::lock(&mut tx, id).await?;
    let before = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    may_change(&before)?;
    let Some(seen) = &before.observed else {
        let detail = "there are no zones to read again before AWS has told the first ones";
        return Err(AppError::new(Code::ServiceNotObserved, detail));
    };
    service_changes::ask_for_zones(&mut tx, id, at).await?;
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.refresh_zones",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "availability_zone_ids": seen.service.availability_zone_ids })),
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
