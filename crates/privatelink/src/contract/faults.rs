//! Checks about calls that end badly: each lands on the right one of the five errors, and what was done is as it says.

use crate::{ConnectionFilter, ConnectionState};

use super::steps::{
    During, all_services, ensure, ensure_fails, ensure_state, find_connection, new_service,
    one_request,
};
use super::{CheckResult, ContractFault, ContractWorld};

const ACCEPT: &str = "AcceptVpcEndpointConnections";
const CREATE: &str = "CreateVpcEndpointServiceConfiguration";
const DESCRIBE: &str = "DescribeVpcEndpointConnections";

/// Throttled calls did nothing: on EC2, reading and writing, and on ELBv2.
pub(super) async fn a_throttled_call_is_busy(world: &dyn ContractWorld) -> CheckResult {
    refused_everywhere(world, ContractFault::Throttle, "busy").await
}

/// Denied calls did nothing.
pub(super) async fn a_denied_call_is_denied(world: &dyn ContractWorld) -> CheckResult {
    refused_everywhere(world, ContractFault::Deny, "denied").await
}

/// Plans the fault for one read and one write of EC2 and one read of ELBv2, and checks how each call ends.
async fn refused_everywhere(
    world: &dyn ContractWorld,
    fault: ContractFault,
    kind: &str,
) -> CheckResult {
    let gateway = world.gateway();
    let (service, endpoint) = one_request(world).await?;
    let load_balancer = world.ready_load_balancer().await?;
    for action in [ACCEPT, DESCRIBE, "DescribeLoadBalancers"] {
        world.plan_fault(action, fault).await?;
    }
    let accept = gateway
        .accept_connections(&service, std::slice::from_ref(&endpoint))
        .await;
    let describe = gateway
        .connections(&ConnectionFilter::Service(service.clone()), None)
        .await;
    let asked = std::slice::from_ref(&load_balancer);
    let balancer = gateway.load_balancers(asked).await;
    world.clear_faults().await?;
    ensure_fails(accept, kind, "accepting")?;
    ensure_fails(describe, kind, "listing connections")?;
    ensure_fails(balancer, kind, "reading a load balancer")?;
    let waiting = ConnectionState::PendingAcceptance;
    ensure_state(world, &service, &endpoint, &waiting).await
}

/// The caller cannot know; here nothing happened.
pub(super) async fn an_error_before_the_work_is_unknown_and_nothing_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    let state = state_after_a_bad_accept(world, ContractFault::ErrorBefore).await?;
    ensure!(
        state == Some(ConnectionState::PendingAcceptance),
        "nothing should have been done, but the connection is {state:?}"
    );
    Ok(())
}

/// The caller cannot know; here the accept worked.
pub(super) async fn an_error_after_the_work_is_unknown_and_the_work_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    done_all_the_same(world, ContractFault::ErrorAfter).await
}

/// A connection that breaks before the answer is as uncertain as a 5xx.
pub(super) async fn a_dropped_answer_is_unknown_and_the_work_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    done_all_the_same(world, ContractFault::DropAnswer).await
}

/// So is one that is reset.
pub(super) async fn a_reset_connection_is_unknown_and_the_work_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    done_all_the_same(world, ContractFault::Reset).await
}

/// An answer that stops half-way is no answer.
pub(super) async fn half_an_answer_is_unknown_and_the_work_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    done_all_the_same(world, ContractFault::Truncate).await
}

/// HTTP 200 is not success: a proxy may have said it.
pub(super) async fn an_answer_that_says_nothing_is_unknown_and_the_work_is_done(
    world: &dyn ContractWorld,
) -> CheckResult {
    done_all_the_same(world, ContractFault::Garbled).await
}

async fn done_all_the_same(world: &dyn ContractWorld, fault: ContractFault) -> CheckResult {
    let state = state_after_a_bad_accept(world, fault).await?;
    ensure!(
        state == Some(ConnectionState::Pending),
        "the accept should have been done, but the connection is {state:?}"
    );
    Ok(())
}

/// Accepts under a fault, wants the outcome unknown, and reads what became of the connection.
async fn state_after_a_bad_accept(
    world: &dyn ContractWorld,
    fault: ContractFault,
) -> Result<Option<ConnectionState>, String> {
    let (service, endpoint) = one_request(world).await?;
    world.plan_fault(ACCEPT, fault).await?;
    let accept = world
        .gateway()
        .accept_connections(&service, std::slice::from_ref(&endpoint))
        .await;
    world.clear_faults().await?;
    ensure_fails(accept, "unknown", "accepting")?;
    let found = find_connection(world, &service, &endpoint).await?;
    Ok(found.map(|connection| connection.state))
}

/// The whole point of the client token: after an unknown outcome, the same call finds the first one's service.
pub(super) async fn a_create_with_an_unknown_outcome_can_be_repeated(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let new = new_service(world.ready_load_balancer().await?);
    world.plan_fault(CREATE, ContractFault::ErrorAfter).await?;
    let first = gateway.create_endpoint_service(&new).await;
    world.clear_faults().await?;
    ensure_fails(first, "unknown", "creating")?;

    let (rows, _) = all_services(&*gateway).await?;
    let made: Vec<_> = rows
        .iter()
        .filter(|row| row.network_load_balancer_arns == new.network_load_balancer_arns)
        .map(|row| &row.service_id)
        .collect();
    let again = gateway
        .create_endpoint_service(&new)
        .await
        .during("repeating the create")?;
    ensure!(
        made == [&again.service_id],
        "the repeat should find the one service {made:?} but gave {}",
        again.service_id
    );
    Ok(())
}

/// Were a failed listing taken for an empty one, every connection would count as deleted.
pub(super) async fn a_listing_that_fails_is_not_an_empty_listing(
    world: &dyn ContractWorld,
) -> CheckResult {
    for fault in [
        ContractFault::ErrorBefore,
        ContractFault::DropAnswer,
        ContractFault::Truncate,
        ContractFault::Garbled,
    ] {
        world.plan_fault(DESCRIBE, fault).await?;
        let page = world
            .gateway()
            .connections(&ConnectionFilter::All, None)
            .await;
        world.clear_faults().await?;
        ensure_fails(page, "unknown", "listing connections")?;
    }
    Ok(())
}
