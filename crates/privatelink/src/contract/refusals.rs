//! Checks about accepts and rejects that AWS refuses: item by item inside an HTTP 200, or as a whole.

use crate::{ConnectionState, VpcEndpointId};

use super::services::nobodys_service;
use super::steps::{
    During, an_available_connection, ensure_fails, ensure_only_failure, ensure_state, one_request,
};
use super::{CheckResult, ContractWorld};

/// AWS does not document what a repeated accept gives; the contract is the harsher reading, so that nobody relies on the milder
/// one: a failure of that item, and the connection as it was.
pub(super) async fn a_second_accept_is_an_item_failure(world: &dyn ContractWorld) -> CheckResult {
    let (service, endpoint) = an_available_connection(world).await?;
    let failures = world
        .gateway()
        .accept_connections(&service, std::slice::from_ref(&endpoint))
        .await
        .during("accepting again")?;
    ensure_only_failure(&failures, &endpoint)?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Available).await
}

/// One bad id does not spoil the batch.
pub(super) async fn an_unknown_endpoint_fails_alone(world: &dyn ContractWorld) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let unknown = nobodys_endpoint()?;
    let failures = world
        .gateway()
        .accept_connections(&service, &[unknown.clone(), endpoint.clone()])
        .await
        .during("accepting a batch with an unknown endpoint")?;
    ensure_only_failure(&failures, &unknown)?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Pending).await
}

/// An endpoint that waits at another service is none of this one's.
pub(super) async fn an_endpoint_of_another_service_fails_alone(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let (other_service, other_endpoint) = one_request(world).await?;
    let failures = world
        .gateway()
        .accept_connections(&service, &[endpoint.clone(), other_endpoint.clone()])
        .await
        .during("accepting a batch with another service's endpoint")?;
    ensure_only_failure(&failures, &other_endpoint)?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Pending).await?;
    let waiting = ConnectionState::PendingAcceptance;
    ensure_state(world, &other_service, &other_endpoint, &waiting).await
}

/// Rejecting follows the rules of accepting.
pub(super) async fn rejecting_an_unknown_endpoint_is_an_item_failure(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let unknown = nobodys_endpoint()?;
    let failures = world
        .gateway()
        .reject_connections(&service, &[unknown.clone(), endpoint.clone()])
        .await
        .during("rejecting a batch with an unknown endpoint")?;
    ensure_only_failure(&failures, &unknown)?;
    world.settle().await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Rejected).await
}

/// An unknown service fails the call as a whole.
pub(super) async fn accepting_on_an_unknown_service_is_not_found(
    world: &dyn ContractWorld,
) -> CheckResult {
    let nobodys = nobodys_service()?;
    let endpoint = nobodys_endpoint()?;
    let gateway = world.gateway();
    ensure_fails(
        gateway
            .accept_connections(&nobodys, std::slice::from_ref(&endpoint))
            .await,
        "not_found",
        "accepting on an unknown service",
    )?;
    ensure_fails(
        gateway.reject_connections(&nobodys, &[endpoint]).await,
        "not_found",
        "rejecting on an unknown service",
    )?;
    Ok(())
}

/// Only the owner of the service decides.
pub(super) async fn another_account_cannot_accept(world: &dyn ContractWorld) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let attempt = world
        .other_gateway()
        .accept_connections(&service, std::slice::from_ref(&endpoint))
        .await;
    ensure_fails(attempt, "not_found", "accepting for another account")?;
    let waiting = ConnectionState::PendingAcceptance;
    ensure_state(world, &service, &endpoint, &waiting).await
}

/// An id of the right shape that nobody has.
fn nobodys_endpoint() -> Result<VpcEndpointId, String> {
    "vpce-0f0f0f0f0f0f0f0f0"
        .parse()
        .map_err(|why: crate::InvalidId| why.to_string())
}
