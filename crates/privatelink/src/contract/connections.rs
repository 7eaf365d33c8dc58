//! Checks about connections: how they appear, move and are listed.

use crate::{ConnectionFilter, ConnectionState, EndpointServiceChange};

use super::steps::{
    During, a_service_with_requests, accept_one, all_connections, an_available_connection,
    an_open_service, ensure, ensure_complete, ensure_consumer_sees, ensure_state, find_connection,
    one_request,
};
use super::{CheckResult, ContractFault, ContractWorld};

/// The provider sees who asks, and what for; the consumer sees that it waits.
pub(super) async fn an_endpoint_appears_as_pending_acceptance_with_its_owner(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let found = find_connection(world, &service, &endpoint)
        .await?
        .ok_or_else(|| format!("{endpoint} is not listed"))?;
    ensure!(
        found.service_id == service && found.endpoint_id == endpoint,
        "reading {endpoint} of {service} gave {found:?}"
    );
    ensure!(
        found.owner == world.consumer(),
        "the owner should be {}: {found:?}",
        world.consumer()
    );
    // An adapter that matches on an SDK enum instead of the wire word ends here with an unknown state.
    ensure!(
        found.state == ConnectionState::PendingAcceptance,
        "a new connection should wait for acceptance: {found:?}"
    );
    ensure!(
        found.created_at.is_some(),
        "a connection should tell its age: {found:?}"
    );
    ensure_consumer_sees(world, &endpoint, &ConnectionState::PendingAcceptance).await
}

/// "Accepted" is recorded at once; "available" is a matter of time.
pub(super) async fn an_accepted_connection_is_pending_before_it_is_available(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    accept_one(world, &service, &endpoint).await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Pending).await?;
    ensure_consumer_sees(world, &endpoint, &ConnectionState::Pending).await?;
    world.settle().await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Available).await?;
    ensure_consumer_sees(world, &endpoint, &ConnectionState::Available).await
}

/// A service that accepts by itself never shows a connection as waiting.
pub(super) async fn without_required_acceptance_a_connection_is_born_pending(
    world: &dyn ContractWorld,
) -> CheckResult {
    let service = an_open_service(world).await?;
    let change = EndpointServiceChange {
        acceptance_required: Some(false),
        ..EndpointServiceChange::default()
    };
    world
        .gateway()
        .modify_endpoint_service(&service.service_id, &change)
        .await
        .during("switching acceptance off")?;
    world.settle().await?;
    let endpoint = world
        .create_endpoint(&service.service_name)
        .await
        .during("creating an endpoint")?;
    let id = service.service_id;
    ensure_state(world, &id, &endpoint, &ConnectionState::Pending).await?;
    world.settle().await?;
    ensure_state(world, &id, &endpoint, &ConnectionState::Available).await
}

/// No is an answer too.
pub(super) async fn a_pending_acceptance_can_be_rejected(world: &dyn ContractWorld) -> CheckResult {
    let (service, endpoint) = one_request(world).await?;
    let failures = world
        .gateway()
        .reject_connections(&service, std::slice::from_ref(&endpoint))
        .await
        .during("rejecting")?;
    ensure!(
        failures.is_empty(),
        "the reject should be recorded: {failures:?}"
    );
    world.settle().await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Rejected).await?;
    ensure_consumer_sees(world, &endpoint, &ConnectionState::Rejected).await
}

/// Rejecting is the provider's only way to revoke.
pub(super) async fn an_available_connection_can_be_rejected(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = an_available_connection(world).await?;
    let failures = world
        .gateway()
        .reject_connections(&service, std::slice::from_ref(&endpoint))
        .await
        .during("rejecting an available connection")?;
    ensure!(
        failures.is_empty(),
        "the reject should be recorded: {failures:?}"
    );
    world.settle().await?;
    ensure_state(world, &service, &endpoint, &ConnectionState::Rejected).await?;
    ensure_consumer_sees(world, &endpoint, &ConnectionState::Rejected).await
}

/// AWS lists the row for a while, then no more; never as anything else.
pub(super) async fn a_deleted_endpoint_ends_as_deleted_or_absent(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, endpoint) = an_available_connection(world).await?;
    world.delete_endpoint(&endpoint).await?;
    let found = find_connection(world, &service, &endpoint).await?;
    ensure!(
        found.as_ref().is_none_or(|row| matches!(
            row.state,
            ConnectionState::Deleting | ConnectionState::Deleted
        )),
        "a deleted endpoint should be going: {found:?}"
    );
    world.settle().await?;
    let found = find_connection(world, &service, &endpoint).await?;
    ensure!(
        found
            .as_ref()
            .is_none_or(|row| row.state == ConnectionState::Deleted),
        "a deleted endpoint should be gone: {found:?}"
    );
    Ok(())
}

/// A service's listing is that service's; the listing of everything has both.
pub(super) async fn a_service_filter_lists_only_that_service(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let (first, first_endpoint) = one_request(world).await?;
    let (second, second_endpoint) = one_request(world).await?;
    let (rows, _) = all_connections(&*gateway, &ConnectionFilter::Service(first.clone())).await?;
    let listed: Vec<_> = rows.iter().map(|row| &row.endpoint_id).collect();
    ensure!(
        listed == [&first_endpoint],
        "{first} should list {first_endpoint} only: {rows:?}"
    );
    let (rows, _) = all_connections(&*gateway, &ConnectionFilter::All).await?;
    for (service, endpoint) in [(&first, &first_endpoint), (&second, &second_endpoint)] {
        ensure!(
            rows.iter()
                .any(|row| row.service_id == *service && row.endpoint_id == *endpoint),
            "the listing of everything misses {endpoint} of {service}"
        );
    }
    Ok(())
}

/// Asked for two of three, AWS gives two; asked under the wrong service, none.
pub(super) async fn an_endpoint_filter_lists_only_those_endpoints(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let (service, mut endpoints) = a_service_with_requests(world, 3).await?;
    let (other_service, _) = one_request(world).await?;
    endpoints.truncate(2);
    let filter = ConnectionFilter::Endpoints(service, endpoints.clone());
    let (rows, _) = all_connections(&*gateway, &filter).await?;
    let mut listed: Vec<_> = rows.iter().map(|row| row.endpoint_id.clone()).collect();
    listed.sort();
    let mut wanted = endpoints.clone();
    wanted.sort();
    ensure!(listed == wanted, "should list {wanted:?}: {listed:?}");

    let filter = ConnectionFilter::Endpoints(other_service.clone(), endpoints);
    let (rows, _) = all_connections(&*gateway, &filter).await?;
    ensure!(
        rows.is_empty(),
        "{other_service} has none of these endpoints: {rows:?}"
    );
    Ok(())
}

/// An empty filter would mean everything to AWS. It must mean nothing here, so AWS must not be asked: the call would be denied.
pub(super) async fn an_empty_endpoint_filter_lists_nothing_without_a_call(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (service, _) = one_request(world).await?;
    world
        .plan_fault("DescribeVpcEndpointConnections", ContractFault::Deny)
        .await?;
    let page = world
        .gateway()
        .connections(&ConnectionFilter::Endpoints(service, Vec::new()), None)
        .await;
    world.clear_faults().await?;
    let page = page.during("listing no endpoints (it should make no call)")?;
    ensure!(
        page.items.is_empty() && page.next.is_none(),
        "an empty filter listed {page:?}"
    );
    Ok(())
}

/// Rows are on some page, once, however small the pages are.
pub(super) async fn listing_connections_takes_several_pages_and_misses_none(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let (service, endpoints) = a_service_with_requests(world, 2 * world.page_size() + 1).await?;
    let wanted: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    for filter in [
        ConnectionFilter::Service(service.clone()),
        ConnectionFilter::Endpoints(service, endpoints),
        ConnectionFilter::All,
    ] {
        let (rows, pages) = all_connections(&*gateway, &filter).await?;
        ensure!(pages >= 3, "the world should have forced pages: {pages}");
        let listed: Vec<String> = rows.iter().map(|row| row.endpoint_id.to_string()).collect();
        ensure_complete(&listed, &wanted, "connections")?;
    }
    Ok(())
}
