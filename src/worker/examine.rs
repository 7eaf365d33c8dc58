//! Looks at what is behind a service, has the doctor check it, and records both.

use chrono::{DateTime, Utc};
use privatelink::EndpointService;

use super::place::Place;
use super::settings::delta;
use super::sync_services::look;
use super::{PassError, probe, runner};
use crate::domain::doctor;
use crate::domain::endpoint_service::RegisteredService;
use crate::store::{self, StoreError};

/// Looks, checks and records. Answers whether the checks will soon come out otherwise. `began` is when the service was found due: whoever asks for
/// a look after that is not answered by this one.
pub(super) async fn examine(
    place: &Place,
    service: &RegisteredService,
    seen: Option<&EndpointService>,
    began: DateTime<Utc>,
) -> Result<bool, PassError> {
    let before = place
        .read(async |conn| store::doctor::facts(conn, service.id).await)
        .await?;
    let interval = delta(place.shared.settings.attributes_interval);
    let ask = probe::Ask {
        arns: seen.map_or(&service.load_balancer_arns, |seen| {
            &seen.network_load_balancer_arns
        }),
        service: seen.map(|seen| &seen.service_id),
        before: before.as_ref(),
        // Whoever asks for a look wants all of it to be new.
        since: match service.check_requested_at {
            Some(_) => None,
            None => began.checked_sub_signed(interval),
        },
        now: began,
    };
    let probe::Seen { facts, unfinished } = probe::look(place.gateway.as_ref(), &ask).await?;
    let checks = doctor::infrastructure(&facts, seen);
    let mut tx = place.begin().await?;
    store::doctor::record(&mut tx, service.id, &facts, &checks, began).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(unfinished || doctor::is_settling(&facts))
}

/// Looks at what is behind a stalled service, because somebody asked: that is often where the reason is. Nothing is changed or retried.
pub(super) async fn stalled(
    place: &Place,
    service: &RegisteredService,
    began: DateTime<Utc>,
) -> Result<(), PassError> {
    // What it looks like in AWS may have changed since the worker gave up.
    let shown = match &service.aws_service_id {
        Some(id) => look(place, service, id).await.ok(),
        None => None,
    };
    let before = service.observed.as_ref().map(|seen| &seen.service);
    let seen = shown.as_ref().map(|shown| &shown.service).or(before);
    match examine(place, service, seen, began).await {
        Ok(_) => {}
        Err(error @ PassError::Store(StoreError::LostLease | StoreError::Unavailable(_))) => {
            return Err(error);
        }
        // The old checks stay, with their time. Whoever waits asks again; a fault of this one row must not keep the others.
        Err(error) => {
            let chain = runner::chain(&error);
            tracing::warn!(service.id = %service.id, error = %chain, "could not look at a stalled service");
        }
    }
    let mut tx = place.begin().await?;
    store::doctor::answered(&mut tx, service.id, began).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}
