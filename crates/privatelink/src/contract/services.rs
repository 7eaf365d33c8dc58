//! Checks about endpoint services: create, read, list, change, delete.

use crate::{EndpointServiceChange, ServiceId};

use super::steps::{
    During, a_service, all_services, an_available_connection, ensure, ensure_complete,
    ensure_fails, new_service,
};
use super::{CheckResult, ContractWorld};

/// An id of the right shape that nobody owns.
pub(super) const NOBODYS_SERVICE: &str = "vpce-svc-0f0f0f0f0f0f0f0f0";

/// What was asked for is in the answer, and a later read says the same.
pub(super) async fn a_created_service_reads_back_as_asked(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let new = new_service(world.ready_load_balancer().await?);
    let created = gateway
        .create_endpoint_service(&new)
        .await
        .during("creating")?;
    ensure!(
        created.acceptance_required,
        "acceptance was asked for: {created:?}"
    );
    ensure!(
        created.service_name.ends_with(created.service_id.as_str()),
        "the service name should end in the id: {created:?}"
    );
    world.settle().await?;
    let read = gateway
        .endpoint_service(&created.service_id)
        .await
        .during("reading")?;
    ensure!(
        read.service_id == created.service_id && read.service_name == created.service_name,
        "reading {} gave {read:?}",
        created.service_id
    );
    ensure!(
        read.state == crate::ServiceState::Available,
        "a new service should be available once AWS has settled: {:?}",
        read.state
    );
    ensure!(
        read.acceptance_required,
        "acceptance was asked for: {read:?}"
    );
    ensure!(
        read.network_load_balancer_arns == new.network_load_balancer_arns,
        "the load balancer should be {:?}: {:?}",
        new.network_load_balancer_arns,
        read.network_load_balancer_arns
    );
    ensure!(
        read.availability_zones.len() == 2,
        "the service should have its load balancer's two zones: {:?}",
        read.availability_zones
    );
    ensure!(
        new.tags.iter().all(|tag| read.tags.contains(tag)),
        "the tags should be {:?}: {:?}",
        new.tags,
        read.tags
    );
    ensure!(
        read.supported_ip_address_types == new.supported_ip_address_types,
        "the address types should be {:?}: {:?}",
        new.supported_ip_address_types,
        read.supported_ip_address_types
    );
    Ok(())
}

/// The token makes a repeat safe after a lost answer.
pub(super) async fn creating_twice_with_one_token_makes_one_service(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let new = new_service(world.ready_load_balancer().await?);
    let first = gateway
        .create_endpoint_service(&new)
        .await
        .during("creating")?;
    let second = gateway
        .create_endpoint_service(&new)
        .await
        .during("creating again with the same token")?;
    ensure!(
        first.service_id == second.service_id,
        "one token made two services: {} and {}",
        first.service_id,
        second.service_id
    );
    Ok(())
}

/// A token that is used for something else is a mistake, not a new request.
pub(super) async fn one_token_with_other_parameters_is_invalid(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let mut new = new_service(world.ready_load_balancer().await?);
    gateway
        .create_endpoint_service(&new)
        .await
        .during("creating")?;
    new.acceptance_required = false;
    let again = gateway.create_endpoint_service(&new).await;
    ensure_fails(again, "invalid", "the same token with other parameters")?;
    Ok(())
}

/// The refusal that tells a restarted provisioner to look for a service to adopt.
pub(super) async fn a_load_balancer_backs_one_service_only(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let load_balancer = world.ready_load_balancer().await?;
    gateway
        .create_endpoint_service(&new_service(load_balancer.clone()))
        .await
        .during("creating")?;
    let second = gateway
        .create_endpoint_service(&new_service(load_balancer))
        .await;
    ensure_fails(second, "invalid", "a second service on one load balancer")?;
    Ok(())
}

/// Reading, changing and listing principals of a service that does not exist.
pub(super) async fn an_unknown_service_is_not_found(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let nobodys = nobodys_service()?;
    ensure_fails(
        gateway.endpoint_service(&nobodys).await,
        "not_found",
        "reading an unknown service",
    )?;
    let change = EndpointServiceChange {
        acceptance_required: Some(false),
        ..EndpointServiceChange::default()
    };
    ensure_fails(
        gateway.modify_endpoint_service(&nobodys, &change).await,
        "not_found",
        "changing an unknown service",
    )?;
    ensure_fails(
        gateway.principals(&nobodys, None).await,
        "not_found",
        "listing principals of an unknown service",
    )?;
    Ok(())
}

/// Accounts do not see each other's services, neither by id nor in the listing.
pub(super) async fn a_service_of_another_account_is_not_found(
    world: &dyn ContractWorld,
) -> CheckResult {
    let service = a_service(world).await?;
    let other = world.other_gateway();
    ensure_fails(
        other.endpoint_service(&service.service_id).await,
        "not_found",
        "reading another account's service",
    )?;
    let (theirs, _) = all_services(&*other).await?;
    ensure!(
        theirs
            .iter()
            .all(|row| row.service_id != service.service_id),
        "another account's listing has {}",
        service.service_id
    );
    Ok(())
}

/// Rows are on some page, once, however small the pages are.
pub(super) async fn listing_services_takes_several_pages_and_misses_none(
    world: &dyn ContractWorld,
) -> CheckResult {
    let mut made = Vec::new();
    for _ in 0..=2 * world.page_size() {
        made.push(a_service(world).await?.service_id.to_string());
    }
    let (rows, pages) = all_services(&*world.gateway()).await?;
    ensure!(pages >= 3, "the world should have forced pages: {pages}");
    let listed: Vec<String> = rows.iter().map(|row| row.service_id.to_string()).collect();
    ensure_complete(&listed, &made, "services")
}

/// The change is not in the answer; the next read has it.
pub(super) async fn changing_the_acceptance_flag_reads_back(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    for wanted in [false, true] {
        let change = EndpointServiceChange {
            acceptance_required: Some(wanted),
            ..EndpointServiceChange::default()
        };
        gateway
            .modify_endpoint_service(&id, &change)
            .await
            .during("changing")?;
        world.settle().await?;
        let read = gateway.endpoint_service(&id).await.during("reading")?;
        ensure!(
            read.acceptance_required == wanted,
            "the flag should be {wanted}: {read:?}"
        );
    }
    Ok(())
}

/// Address types that AWS cannot serve are refused, and the service stays as it was: IPv6 over a load balancer without it, and none
/// at all.
pub(super) async fn an_impossible_address_type_is_invalid(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let ipv6 = EndpointServiceChange {
        add_supported_ip_address_types: vec!["ipv6".to_owned()],
        ..EndpointServiceChange::default()
    };
    let attempt = gateway.modify_endpoint_service(&id, &ipv6).await;
    ensure_fails(attempt, "invalid", "adding ipv6 over an ipv4 load balancer")?;
    let none = EndpointServiceChange {
        remove_supported_ip_address_types: vec!["ipv4".to_owned()],
        ..EndpointServiceChange::default()
    };
    let attempt = gateway.modify_endpoint_service(&id, &none).await;
    ensure_fails(attempt, "invalid", "removing the last address type")?;
    let read = gateway.endpoint_service(&id).await.during("reading")?;
    ensure!(
        read.supported_ip_address_types == ["ipv4"],
        "ipv4 should be left: {:?}",
        read.supported_ip_address_types
    );
    Ok(())
}

/// Other Regions open and close; the service's own is never among them, and AWS refuses to be told it.
pub(super) async fn changing_the_regions_reads_back(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let service = a_service(world).await?;
    let id = service.service_id;
    let home = service.service_name.split('.').nth(3).unwrap_or_default();
    let other = if home == "us-east-1" {
        "eu-west-1"
    } else {
        "us-east-1"
    };
    for (opens, wanted) in [(true, vec![other.to_owned()]), (false, Vec::new())] {
        let (add, remove) = if opens {
            (vec![other.to_owned()], Vec::new())
        } else {
            (Vec::new(), vec![other.to_owned()])
        };
        let change = EndpointServiceChange {
            add_supported_regions: add,
            remove_supported_regions: remove,
            ..EndpointServiceChange::default()
        };
        gateway
            .modify_endpoint_service(&id, &change)
            .await
            .during("changing the Regions")?;
        world.settle().await?;
        let read = gateway.endpoint_service(&id).await.during("reading")?;
        ensure!(
            read.supported_regions == wanted,
            "the other Regions should be {wanted:?}: {:?}",
            read.supported_regions
        );
    }
    let change = EndpointServiceChange {
        add_supported_regions: vec![home.to_owned()],
        ..EndpointServiceChange::default()
    };
    let attempt = gateway.modify_endpoint_service(&id, &change).await;
    ensure_fails(attempt, "invalid", "adding the service's own Region")?;
    Ok(())
}

/// Tags are set and removed by key; those with other keys stay, and naming none changes nothing.
pub(super) async fn tags_are_set_and_removed_by_key(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let service = a_service(world).await?;
    let id = service.service_id;
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let first = [tag("team", "edge"), tag("stage", "test")];
    gateway
        .set_service_tags(&id, &first)
        .await
        .during("setting tags")?;
    gateway
        .set_service_tags(&id, &[tag("team", "core")])
        .await
        .during("setting a tag anew")?;
    let keys = ["stage".to_owned(), "never-there".to_owned()];
    gateway
        .remove_service_tags(&id, &keys)
        .await
        .during("removing tags")?;
    gateway
        .remove_service_tags(&id, &[])
        .await
        .during("removing nothing")?;
    gateway
        .set_service_tags(&id, &[])
        .await
        .during("setting nothing")?;
    let mut wanted = service.tags;
    wanted.push(tag("team", "core"));
    wanted.sort();
    let mut read = gateway.endpoint_service(&id).await.during("reading")?.tags;
    read.sort();
    ensure!(read == wanted, "the tags should be {wanted:?}: {read:?}");
    let attempt = gateway.set_service_tags(&nobodys_service()?, &wanted).await;
    ensure_fails(attempt, "not_found", "tagging an unknown service")?;
    Ok(())
}

/// Deleted services are gone, or listed for a while as going.
pub(super) async fn a_service_without_connections_can_be_deleted(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let id = a_service(world).await?.service_id;
    let refusal = gateway
        .delete_endpoint_service(&id)
        .await
        .during("deleting")?;
    ensure!(
        refusal.is_none(),
        "the delete should be recorded: {refusal:?}"
    );
    world.settle().await?;
    match gateway.endpoint_service(&id).await {
        Ok(service) if !service.state.is_gone() => {
            Err(format!("a deleted service is still {}", service.state))
        }
        Err(error) if !error.is_not_found() => Err(format!(
            "reading a deleted service failed otherwise: {error}"
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Delete answers HTTP 200 whatever happened; the truth is in the list of failures.
pub(super) async fn deleting_an_unknown_service_is_a_refusal_inside_success(
    world: &dyn ContractWorld,
) -> CheckResult {
    let nobodys = nobodys_service()?;
    let refusal = world
        .gateway()
        .delete_endpoint_service(&nobodys)
        .await
        .during("deleting an unknown service")?;
    ensure!(
        refusal.as_ref().is_some_and(|item| {
            item.resource_id.as_deref() == Some(nobodys.as_str()) && item.code.contains("NotFound")
        }),
        "deleting {nobodys} should be refused as not found: {refusal:?}"
    );
    Ok(())
}

/// Nobody is told of connections until somebody asks to be, and a service that is not there notifies nobody either.
pub(super) async fn a_new_service_notifies_nobody(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let service = a_service(world).await?.service_id;
    for id in [service, nobodys_service()?] {
        let told = gateway.service_notifications(&id).await;
        let told = told.during("listing notifications")?;
        ensure!(told.is_empty(), "{id} should notify nobody: {told:?}");
    }
    Ok(())
}

/// A service with live connections stays.
pub(super) async fn deleting_a_service_with_connections_is_a_refusal_inside_success(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let (service, _) = an_available_connection(world).await?;
    let refusal = gateway
        .delete_endpoint_service(&service)
        .await
        .during("deleting a service in use")?;
    ensure!(
        refusal.as_ref().is_some_and(|item| {
            item.resource_id.as_deref() == Some(service.as_str())
                && item.code == "ExistingVpcEndpointConnections"
        }),
        "deleting {service} should be refused for its connections: {refusal:?}"
    );
    let read = gateway.endpoint_service(&service).await.during("reading")?;
    ensure!(
        !read.state.is_gone(),
        "a refused delete should leave the service: {}",
        read.state
    );
    Ok(())
}

/// [`NOBODYS_SERVICE`] as an id.
pub(super) fn nobodys_service() -> Result<ServiceId, String> {
    NOBODYS_SERVICE
        .parse()
        .map_err(|why: crate::InvalidId| why.to_string())
}
