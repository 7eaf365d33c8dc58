//! What of a registered service differs from what is desired, found in the transaction that records what AWS shows.

use chrono::{DateTime, Utc};
use privatelink::EndpointService;

use super::Place;
use super::settings::delta;
use super::sync_services::Shown;
use crate::domain::ids::EndpointServiceId;
use crate::domain::service_drift::of_service;
use crate::store::drifts::{self, Scope};
use crate::store::{PgConnection, StoreError, endpoint_services, service_changes};

/// Compares a read that began at `at`. Nothing is concluded while a change of ours is on its way, nor so soon after one that the read may
/// show the state from before it.
pub(super) async fn compare(
    conn: &mut PgConnection,
    place: &Place,
    id: EndpointServiceId,
    shown: &EndpointService,
    principals: &[String],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let grace = delta(place.shared.settings.stale_read_grace);
    let applied_at = service_changes::applied_at(conn, id).await?;
    if applied_at.is_some_and(|applied| at < applied + grace) {
        return Ok(());
    }
    reconcile(conn, place, id, shown, principals, at).await
}

/// Compares the read that has just proven that AWS followed: it shows our changes, and so cannot be one from before them.
pub(super) async fn compare_proven(
    conn: &mut PgConnection,
    place: &Place,
    id: EndpointServiceId,
    seen: &Shown,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    reconcile(conn, place, id, &seen.service, &seen.principals, at).await
}

async fn reconcile(
    conn: &mut PgConnection,
    place: &Place,
    id: EndpointServiceId,
    shown: &EndpointService,
    principals: &[String],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    // As it is now: somebody may have changed it while AWS was being read.
    let Some(service) = endpoint_services::by_id(conn, id).await? else {
        return Ok(());
    };
    // One that is on its way out differs because we made it so.
    if service.applied_version < service.version || service.lifecycle.state.may_change().is_err() {
        return Ok(());
    }
    let found = of_service(&service, shown, principals);
    let scope = Scope::Service(service.account_region_id, id);
    let new = drifts::reconcile(conn, scope, &found, true, at).await?;
    place.shared.metrics.drifts.inc_by(new as u64);
    if new > 0 {
        tracing::warn!(service.id = %id, new, "a service was changed behind our back");
    }
    Ok(())
}
