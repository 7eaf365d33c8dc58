//! The steps that checks have in common, and the words in which they complain.

use std::collections::HashSet;
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::{
    AllowedPrincipal, Connection, ConnectionFilter, ConnectionState, EndpointService, GatewayError,
    ItemFailure, LoadBalancerArn, NewEndpointService, PageToken, PrivateLink, ServiceId,
    VpcEndpointId,
};

use super::ContractWorld;

/// Fails a check with a sentence unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(super) use ensure;

/// Names the step in which something that should have worked did not.
pub(super) trait During<T> {
    /// Turns the error into "while …: error".
    fn during(self, step: &str) -> Result<T, String>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, step: &str) -> Result<T, String> {
        self.map_err(|why| format!("while {step}: {why}"))
    }
}

/// Checks that a call failed in one of the five ways, by [`GatewayError::kind`].
pub(super) fn ensure_fails<T: Debug>(
    result: Result<T, GatewayError>,
    kind: &str,
    step: &str,
) -> Result<GatewayError, String> {
    match result {
        Ok(value) => Err(format!("{step} should be {kind} but gave {value:?}")),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(format!(
            "{step} should be {kind} but is {}: {error}",
            error.kind()
        )),
    }
}

/// Checks that exactly this id failed, with some code.
pub(super) fn ensure_only_failure(
    failures: &[ItemFailure],
    endpoint: &VpcEndpointId,
) -> Result<(), String> {
    ensure!(
        failures.len() == 1,
        "one item should fail, but these did: {failures:?}"
    );
    for failure in failures {
        ensure!(
            failure.resource_id.as_deref() == Some(endpoint.as_str()),
            "the failure should name {endpoint}: {failure:?}"
        );
        ensure!(
            !failure.code.is_empty() && failure.code != "Missing",
            "the failure should have a code: {failure:?}"
        );
    }
    Ok(())
}

/// A client token that no other run of the checks has used.
pub(super) fn fresh_token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("contract-{:016x}-{:016x}", random(), random())
}

/// A request for a service that needs acceptance, with a fresh token.
pub(super) fn new_service(load_balancer: LoadBalancerArn) -> NewEndpointService {
    NewEndpointService {
        client_token: fresh_token(),
        acceptance_required: true,
        network_load_balancer_arns: vec![load_balancer],
        supported_ip_address_types: vec!["ipv4".to_owned()],
        tags: vec![("purpose".to_owned(), "contract".to_owned())],
    }
}

/// A new service on a new load balancer, which nobody may use yet.
pub(super) async fn a_service(world: &dyn ContractWorld) -> Result<EndpointService, String> {
    let load_balancer = world.ready_load_balancer().await?;
    let service = world
        .gateway()
        .create_endpoint_service(&new_service(load_balancer))
        .await
        .during("creating a service")?;
    world.settle().await?;
    Ok(service)
}

/// A new service that the consumer may use.
pub(super) async fn an_open_service(world: &dyn ContractWorld) -> Result<EndpointService, String> {
    let service = a_service(world).await?;
    let principal = AllowedPrincipal::account_root(&world.consumer());
    world
        .gateway()
        .modify_principals(&service.service_id, &[principal], &[])
        .await
        .during("allowing the consumer")?;
    world.settle().await?;
    Ok(service)
}

/// A new service with this many endpoints that wait for acceptance.
pub(super) async fn a_service_with_requests(
    world: &dyn ContractWorld,
    count: usize,
) -> Result<(ServiceId, Vec<VpcEndpointId>), String> {
    let service = an_open_service(world).await?;
    let mut endpoints = Vec::with_capacity(count);
    for _ in 0..count {
        endpoints.push(
            world
                .create_endpoint(&service.service_name)
                .await
                .during("creating an endpoint")?,
        );
    }
    Ok((service.service_id, endpoints))
}

/// A new service with one connection that is available.
pub(super) async fn an_available_connection(
    world: &dyn ContractWorld,
) -> Result<(ServiceId, VpcEndpointId), String> {
    let (service, endpoint) = one_request(world).await?;
    accept_one(world, &service, &endpoint).await?;
    world.settle().await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Available).await?;
    Ok((service, endpoint))
}

/// A new service with one connection that waits for acceptance.
pub(super) async fn one_request(
    world: &dyn ContractWorld,
) -> Result<(ServiceId, VpcEndpointId), String> {
    let (service, mut endpoints) = a_service_with_requests(world, 1).await?;
    let endpoint = endpoints.pop().ok_or("the world made no endpoint")?;
    Ok((service, endpoint))
}

/// Accepts one connection and wants it recorded.
pub(super) async fn accept_one(
    world: &dyn ContractWorld,
    service: &ServiceId,
    endpoint: &VpcEndpointId,
) -> Result<(), String> {
    let failures = world
        .gateway()
        .accept_connections(service, std::slice::from_ref(endpoint))
        .await
        .during("accepting")?;
    ensure!(
        failures.is_empty(),
        "the accept should be recorded: {failures:?}"
    );
    Ok(())
}

/// Checks the state of one connection as the provider reads it.
pub(super) async fn ensure_state(
    world: &dyn ContractWorld,
    service: &ServiceId,
    endpoint: &VpcEndpointId,
    wanted: &ConnectionState,
) -> Result<(), String> {
    let found = find_connection(world, service, endpoint).await?;
    let state = found.map(|connection| connection.state);
    ensure!(
        state.as_ref() == Some(wanted),
        "{endpoint} should be {wanted} for the provider but is {state:?}"
    );
    Ok(())
}

/// Checks the state of an endpoint as its consumer reads it.
pub(super) async fn ensure_consumer_sees(
    world: &dyn ContractWorld,
    endpoint: &VpcEndpointId,
    wanted: &ConnectionState,
) -> Result<(), String> {
    let state = world.endpoint_state(endpoint).await?;
    ensure!(
        state.as_ref() == Some(wanted),
        "{endpoint} should be {wanted} for the consumer but is {state:?}"
    );
    Ok(())
}

/// Reads one connection directly, by the ids of service and endpoint.
pub(super) async fn find_connection(
    world: &dyn ContractWorld,
    service: &ServiceId,
    endpoint: &VpcEndpointId,
) -> Result<Option<Connection>, String> {
    let filter = ConnectionFilter::Endpoints(service.clone(), vec![endpoint.clone()]);
    let (rows, _) = all_connections(&*world.gateway(), &filter).await?;
    ensure!(
        rows.len() <= 1,
        "one endpoint id gave several rows: {rows:?}"
    );
    Ok(rows.into_iter().next())
}

/// A listing that goes round in circles is cut off here.
const MOST_PAGES: usize = 10_000;

/// Reads all pages of a listing of connections; also says how many pages there were.
pub(super) async fn all_connections(
    gateway: &dyn PrivateLink,
    filter: &ConnectionFilter,
) -> Result<(Vec<Connection>, usize), String> {
    let (mut rows, mut next) = (Vec::new(), None);
    for pages in 1..=MOST_PAGES {
        let page = gateway
            .connections(filter, next.as_ref())
            .await
            .during("listing connections")?;
        rows.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok((rows, pages));
        }
        ensure_token(next.as_ref())?;
    }
    Err("the listing of connections does not end".to_owned())
}

/// Reads all pages of the listing of services; also says how many pages there were.
pub(super) async fn all_services(
    gateway: &dyn PrivateLink,
) -> Result<(Vec<EndpointService>, usize), String> {
    let (mut rows, mut next) = (Vec::new(), None);
    for pages in 1..=MOST_PAGES {
        let page = gateway
            .endpoint_services(next.as_ref())
            .await
            .during("listing services")?;
        rows.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok((rows, pages));
        }
        ensure_token(next.as_ref())?;
    }
    Err("the listing of services does not end".to_owned())
}

/// Reads all pages of a service's principals; also says how many pages there were.
pub(super) async fn all_principals(
    gateway: &dyn PrivateLink,
    service: &ServiceId,
) -> Result<(Vec<AllowedPrincipal>, usize), String> {
    let (mut rows, mut next) = (Vec::new(), None);
    for pages in 1..=MOST_PAGES {
        let page = gateway
            .principals(service, next.as_ref())
            .await
            .during("listing principals")?;
        rows.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok((rows, pages));
        }
        ensure_token(next.as_ref())?;
    }
    Err("the listing of principals does not end".to_owned())
}

/// AWS ends some listings with an empty token; passed on, it would start the listing again.
fn ensure_token(next: Option<&PageToken>) -> Result<(), String> {
    ensure!(
        next.is_none_or(|token| !token.0.is_empty()),
        "an empty page token must mean the end of the listing"
    );
    Ok(())
}

/// Checks that a listing has no row twice and every wanted one.
pub(super) fn ensure_complete(
    listed: &[String],
    wanted: &[String],
    what: &str,
) -> Result<(), String> {
    let distinct: HashSet<&String> = listed.iter().collect();
    ensure!(
        distinct.len() == listed.len(),
        "the listing of {what} has rows twice: {listed:?}"
    );
    for id in wanted {
        ensure!(distinct.contains(id), "the listing of {what} misses {id}");
    }
    Ok(())
}
