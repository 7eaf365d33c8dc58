//! Lets go of a registered service: AWS keeps it as it is, and nothing is done about it here any more.

use serde_json::json;

use super::drain_service::{locked, read};
use super::preconditions::ExpectedVersion;
use super::{AppContext, AppError, sold_services, text};
use crate::domain::actor::Actor;
use crate::domain::drift_inbox::DriftState;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{EndpointServiceId, ListingId};
use crate::domain::lifecycle::LifecycleVerb;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{drifts, lifecycles};

/// Closes the row, the syncs of its connections and its drifts. The connections stay as they were last seen. AWS's id can be registered again.
/// One that is sold takes the listing's id.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn release_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    version: ExpectedVersion,
    reason: &str,
    sold_by: Option<ListingId>,
) -> Result<RegisteredService, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = locked(&mut tx, id, version, LifecycleVerb::Release).await?;
    let sold_by = sold_services::confirm_end(&mut tx, id, sold_by).await?;
    let said = (at, actor.name.as_str(), reason.as_str());
    if !lifecycles::release(&mut tx, id, before.version, said).await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    let untold = lifecycles::close_syncs(&mut tx, id).await?;
    let standing = drifts::standing_about(&mut tx, id).await?;
    let state = DriftState::Resolved;
    let why = "the service was released";
    drifts::settle_standing(&mut tx, &standing, state, actor, why, at).await?;
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.release",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "lifecycle": before.lifecycle.state, "version": before.version })),
        after: Some(json!({
            "lifecycle": "released", "version": before.version + 1, "aws_service_id": before.aws_service_id,
            "connections_not_told": untold, "drifts_closed": standing.len(), "sold_by": sold_by,
        })),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}
