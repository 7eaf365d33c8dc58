//! Checks about what a readiness check reads: load balancers, listeners, targets, zones, and whose credentials these are.

use std::collections::HashSet;

use crate::{InvalidId, LoadBalancerArn, TargetState};

use super::steps::{During, ensure, ensure_fails};
use super::{CheckResult, ContractWorld};

/// Type, state and zones come from the load balancer, the cross-zone switch from its attributes.
pub(super) async fn a_load_balancer_reads_back_ready(world: &dyn ContractWorld) -> CheckResult {
    let arn = world.ready_load_balancer().await?;
    let read = world
        .gateway()
        .load_balancer(&arn)
        .await
        .during("reading")?;
    ensure!(read.arn == arn, "reading {arn} gave {read:?}");
    ensure!(
        !read.name.is_empty() && arn.as_str().contains(&format!("/{}/", read.name)),
        "the name should be the one in {arn}: {read:?}"
    );
    ensure!(
        (read.kind.as_str(), read.state.as_str()) == ("network", "active"),
        "a ready load balancer is of type network and active: {read:?}"
    );
    ensure!(
        matches!(read.scheme.as_str(), "internal" | "internet-facing"),
        "the scheme should be told: {read:?}"
    );
    let zones: HashSet<_> = read.availability_zones.iter().collect();
    ensure!(zones.len() == 2, "there should be two zones: {read:?}");
    ensure!(
        !read.cross_zone,
        "cross-zone is off by default on a Network Load Balancer: {read:?}"
    );
    Ok(())
}

/// The listener forwards to the target group that the load balancer has.
pub(super) async fn listeners_and_target_groups_read_back(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let arn = world.ready_load_balancer().await?;
    let listeners = gateway.listeners(&arn).await.during("listing listeners")?;
    ensure!(
        listeners.len() == 1,
        "there should be one listener: {listeners:?}"
    );
    let groups = gateway
        .target_groups(&arn)
        .await
        .during("listing target groups")?;
    ensure!(
        groups.len() == 1,
        "there should be one target group: {groups:?}"
    );
    for (listener, group) in listeners.iter().zip(&groups) {
        ensure!(
            listener.protocol == "TCP" && listener.port > 0,
            "the listener should be TCP with a port: {listener:?}"
        );
        ensure!(
            listener.target_group_arns == [group.arn.clone()],
            "the listener should forward to {}: {listener:?}",
            group.arn
        );
        ensure!(
            !group.name.is_empty() && matches!(group.target_type.as_str(), "instance" | "ip"),
            "the target group should tell its name and type: {group:?}"
        );
    }
    Ok(())
}

/// One healthy target in each zone.
pub(super) async fn targets_read_back_healthy(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let arn = world.ready_load_balancer().await?;
    let groups = gateway
        .target_groups(&arn)
        .await
        .during("listing target groups")?;
    let mut targets = Vec::new();
    for group in &groups {
        targets.extend(
            gateway
                .target_health(&group.arn)
                .await
                .during("reading target health")?,
        );
    }
    let distinct: HashSet<_> = targets.iter().map(|target| &target.target_id).collect();
    ensure!(
        distinct.len() >= 2,
        "there should be a target in each of two zones: {targets:?}"
    );
    ensure!(
        targets
            .iter()
            .all(|target| target.state == TargetState::Healthy && target.port.is_some()),
        "every target should be healthy on a port: {targets:?}"
    );
    Ok(())
}

/// The map from a load balancer's zone names to the ids that consumers may be told.
pub(super) async fn zones_have_a_name_here_and_an_id_everywhere(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let arn = world.ready_load_balancer().await?;
    let zones = gateway.availability_zones().await.during("listing zones")?;
    let names: HashSet<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    let ids: HashSet<_> = zones.iter().map(|zone| &zone.id).collect();
    ensure!(
        names.len() == zones.len() && ids.len() == zones.len(),
        "names and ids should be unique: {zones:?}"
    );
    ensure!(
        names.iter().all(|name| name.starts_with(arn.region())),
        "these zones should be of {}: {zones:?}",
        arn.region()
    );
    let read = gateway.load_balancer(&arn).await.during("reading")?;
    for zone in &read.availability_zones {
        ensure!(
            names.contains(zone.as_str()),
            "{zone} of the load balancer is not among {zones:?}"
        );
    }
    Ok(())
}

/// A load balancer that is not there, as a whole and in parts.
pub(super) async fn an_unknown_load_balancer_is_not_found(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let real = world.ready_load_balancer().await?;
    let head = real
        .as_str()
        .split("/net/")
        .next()
        .ok_or_else(|| format!("{real} is not a Network Load Balancer"))?;
    let unknown: LoadBalancerArn = format!("{head}/net/nobody/0f0f0f0f0f0f0f0f")
        .parse()
        .map_err(|why: InvalidId| why.to_string())?;
    let step = "reading an unknown load balancer";
    ensure_fails(gateway.load_balancer(&unknown).await, "not_found", step)?;
    let step = "listing listeners of an unknown load balancer";
    ensure_fails(gateway.listeners(&unknown).await, "not_found", step)?;
    Ok(())
}

/// The credentials are the provider's, and another gateway's are not.
pub(super) async fn the_caller_is_the_provider(world: &dyn ContractWorld) -> CheckResult {
    let caller = world
        .gateway()
        .caller_account()
        .await
        .during("asking whose credentials these are")?;
    ensure!(
        caller == world.provider(),
        "the caller should be {} but is {caller}",
        world.provider()
    );
    let other = world
        .other_gateway()
        .caller_account()
        .await
        .during("asking whose the other credentials are")?;
    ensure!(
        other != caller,
        "two accounts should not share credentials: {other}"
    );
    Ok(())
}
