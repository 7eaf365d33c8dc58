//! The control API about states that no call brings about: a service or a Region that failed, an endpoint that is `partial`.

use actix_web::HttpResponse;
use privatelink::Region;
use serde::Deserialize;

use super::control::{Asked, Sim, failed, refused};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceFailure {
    service_id: String,
    /// One of the service's other Regions; missing or null means the service itself.
    region: Option<Region>,
    failed: bool,
}

pub(super) async fn fail_service(simulator: Sim, change: Asked<ServiceFailure>) -> HttpResponse {
    let change = change.into_inner().0;
    match simulator.with_world(|world| {
        world.set_service_failed(&change.service_id, change.region.as_ref(), change.failed)
    }) {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartialEndpoint {
    endpoint_id: String,
    for_ms: u64,
}

pub(super) async fn partial_endpoint(simulator: Sim, what: Asked<PartialEndpoint>) -> HttpResponse {
    let what = what.into_inner().0;
    let now = simulator.clock().now();
    match simulator
        .with_world(|world| world.set_endpoint_partial(&what.endpoint_id, what.for_ms, now))
    {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}
