//! Checks about what else can be changed of a service: load balancers, the private DNS name, who pays, and how other Regions show.

use crate::{EndpointService, EndpointServiceChange, LoadBalancerArn, ServiceId};

use super::services::nobodys_service;
use super::steps::{During, a_service, an_available_connection, ensure, ensure_fails};
use super::{CheckResult, ContractWorld};

async fn change(
    world: &dyn ContractWorld,
    id: &ServiceId,
    change: EndpointServiceChange,
) -> Result<EndpointService, String> {
    let gateway = world.gateway();
    gateway
        .modify_endpoint_service(id, &change)
        .await
        .during("changing")?;
    world.settle().await?;
    gateway.endpoint_service(id).await.during("reading")
}

fn adding(arn: &LoadBalancerArn) -> EndpointServiceChange {
    EndpointServiceChange {
        add_network_load_balancer_arns: vec![arn.clone()],
        ..EndpointServiceChange::default()
    }
}

fn removing(arn: &LoadBalancerArn) -> EndpointServiceChange {
    EndpointServiceChange {
        remove_network_load_balancer_arns: vec![arn.clone()],
        ..EndpointServiceChange::default()
    }
}

/// The one load balancer of a new service.
fn only(service: &EndpointService) -> Result<LoadBalancerArn, String> {
    match service.network_load_balancer_arns.as_slice() {
        [arn] => Ok(arn.clone()),
        other => Err(format!("a new service should have one NLB: {other:?}")),
    }
}

/// A load balancer is replaced by adding the new one and then removing the old one; the last one stays.
pub(super) async fn load_balancers_are_added_and_removed_and_one_stays(
    world: &dyn ContractWorld,
) -> CheckResult {
    let service = a_service(world).await?;
    let (id, old) = (service.service_id.clone(), only(&service)?);
    let new = world.ready_load_balancer().await?;
    let mut both = change(world, &id, adding(&new))
        .await?
        .network_load_balancer_arns;
    both.sort();
    let mut wanted = vec![old.clone(), new.clone()];
    wanted.sort();
    ensure!(both == wanted, "both should be there: {both:?}");
    let left = change(world, &id, removing(&old)).await?;
    ensure!(
        left.network_load_balancer_arns == [new.clone()],
        "only the new one should be left: {left:?}"
    );
    let gateway = world.gateway();
    let attempt = gateway.modify_endpoint_service(&id, &removing(&new)).await;
    ensure_fails(attempt, "invalid", "removing the last load balancer")?;
    Ok(())
}

/// A load balancer backs one service only, also when it is added later.
pub(super) async fn a_load_balancer_of_another_service_cannot_be_added(
    world: &dyn ContractWorld,
) -> CheckResult {
    let taken = only(&a_service(world).await?)?;
    let service = a_service(world).await?;
    let attempt = world
        .gateway()
        .modify_endpoint_service(&service.service_id, &adding(&taken))
        .await;
    let error = ensure_fails(attempt, "invalid", "adding a load balancer that is taken")?;
    ensure!(
        error.code() == "InvalidParameter" && error.to_string().contains("already associated"),
        "the words should say that it is taken: {error}"
    );
    Ok(())
}

/// While endpoints are attached no load balancer can be removed, not even one of two.
pub(super) async fn a_load_balancer_in_use_stays(world: &dyn ContractWorld) -> CheckResult {
    let (id, _) = an_available_connection(world).await?;
    let gateway = world.gateway();
    let read = gateway.endpoint_service(&id).await.during("reading")?;
    let old = only(&read)?;
    let new = world.ready_load_balancer().await?;
    change(world, &id, adding(&new)).await?;
    let attempt = gateway.modify_endpoint_service(&id, &removing(&old)).await;
    let error = ensure_fails(attempt, "invalid", "removing a load balancer in use")?;
    ensure!(
        error.code() == "ExistingVpcEndpointConnections",
        "the code should name the connections: {error}"
    );
    let read = gateway.endpoint_service(&id).await.during("reading")?;
    ensure!(
        read.network_load_balancer_arns.len() == 2,
        "a refused removal should leave both: {read:?}"
    );
    Ok(())
}

/// The name comes with the record that proves it, at the latest on the second read, and goes only when its removal is asked for.
pub(super) async fn a_private_dns_name_is_set_and_removed(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let named = EndpointServiceChange {
        private_dns_name: Some("*.api.example.com".to_owned()),
        ..EndpointServiceChange::default()
    };
    change(world, &id, named).await?;
    let read = gateway
        .endpoint_service(&id)
        .await
        .during("reading again")?;
    let Some(dns) = read.private_dns_name else {
        return Err("the private DNS name should be shown".to_owned());
    };
    ensure!(
        dns.name == "*.api.example.com" && dns.state.as_deref() == Some("pendingVerification"),
        "a new name should wait for its proof: {dns:?}"
    );
    let value = dns.txt_value.as_deref().unwrap_or_default();
    ensure!(
        dns.txt_name.as_ref().is_some_and(|name| !name.is_empty()) && value.starts_with("vpce:"),
        "the record should be told: {dns:?}"
    );
    gateway
        .start_private_dns_verification(&id)
        .await
        .during("asking for a check")?;
    let nothing = change(world, &id, EndpointServiceChange::default()).await?;
    ensure!(
        nothing.private_dns_name.is_some(),
        "a change that does not name it should leave it"
    );
    let removal = EndpointServiceChange {
        remove_private_dns_name: true,
        ..EndpointServiceChange::default()
    };
    let read = change(world, &id, removal).await?;
    ensure!(
        read.private_dns_name.is_none(),
        "a removed name should be gone: {read:?}"
    );
    Ok(())
}

/// There is nothing to verify.
pub(super) async fn verification_without_a_private_dns_name_is_invalid(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let attempt = gateway.start_private_dns_verification(&id).await;
    ensure_fails(attempt, "invalid", "verifying no name")?;
    let attempt = gateway
        .start_private_dns_verification(&nobodys_service()?)
        .await;
    ensure_fails(attempt, "not_found", "verifying on an unknown service")?;
    Ok(())
}

/// Once the owner pays, the service says so; asking again changes nothing.
pub(super) async fn the_owner_pays_from_then_on(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let service = a_service(world).await?;
    ensure!(
        service.payer_responsibility.is_none(),
        "nobody asked for the owner to pay: {service:?}"
    );
    let id = service.service_id;
    for _ in 0..2 {
        gateway
            .make_service_owner_pay(&id)
            .await
            .during("making the owner pay")?;
        let read = gateway.endpoint_service(&id).await.during("reading")?;
        ensure!(
            read.payer_responsibility.as_deref() == Some("ServiceOwner"),
            "the owner should pay: {read:?}"
        );
    }
    let attempt = gateway.make_service_owner_pay(&nobodys_service()?).await;
    ensure_fails(attempt, "not_found", "paying for an unknown service")?;
    Ok(())
}

/// A Region that was closed again stays listed, as closed, and consumers cannot come from it; the service's own is not among them.
pub(super) async fn every_other_region_tells_its_state(world: &dyn ContractWorld) -> CheckResult {
    let service = a_service(world).await?;
    let id = service.service_id;
    let home = service.service_name.split('.').nth(3).unwrap_or_default();
    let other = if home == "us-east-1" {
        "eu-west-1"
    } else {
        "us-east-1"
    };
    let region = || vec![other.to_owned()];
    let opened = EndpointServiceChange {
        add_supported_regions: region(),
        ..EndpointServiceChange::default()
    };
    let closed = EndpointServiceChange {
        remove_supported_regions: region(),
        ..EndpointServiceChange::default()
    };
    for (asked, state, serves) in [(opened, "Available", true), (closed, "Closed", false)] {
        let read = change(world, &id, asked).await?;
        ensure!(
            read.remote_regions.iter().all(|row| row.region != home),
            "{home} is the service's own: {read:?}"
        );
        let shown = read.remote_regions.iter().find(|row| row.region == other);
        ensure!(
            shown.and_then(|row| row.state.as_deref()) == Some(state),
            "{other} should be {state}: {read:?}"
        );
        ensure!(
            read.supported_regions.contains(&other.to_owned()) == serves,
            "whether consumers come from {other} should be {serves}: {read:?}"
        );
    }
    Ok(())
}
