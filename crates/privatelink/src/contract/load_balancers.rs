//! Checks about what the doctor reads: load balancers, listeners, targets, zones, and whose credentials these are.

use std::collections::HashSet;

use crate::{InvalidId, ListenerAttributes, LoadBalancer, LoadBalancerArn, TargetState};

use super::steps::{During, ensure, ensure_fails};
use super::{CheckResult, ContractWorld};

/// One load balancer, by its ARN.
async fn read_one(
    world: &dyn ContractWorld,
    arn: &LoadBalancerArn,
) -> Result<LoadBalancer, String> {
    let asked = std::slice::from_ref(arn);
    let read = world.gateway().load_balancers(asked).await;
    let read = read.during("reading a load balancer")?;
    ensure!(read.len() == 1, "reading {arn} gave {read:?}");
    read.into_iter().next().ok_or_else(|| arn.to_string())
}

/// Type, state and zones come from the load balancer, the switches from its attributes.
pub(super) async fn a_load_balancer_reads_back_ready(world: &dyn ContractWorld) -> CheckResult {
    let arn = world.ready_load_balancer().await?;
    let read = read_one(world, &arn).await?;
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
    let attributes = world.gateway().load_balancer_attributes(&arn).await;
    let attributes = attributes.during("reading the attributes")?;
    ensure!(
        !attributes.cross_zone && !attributes.deletion_protection,
        "both are off by default on a Network Load Balancer: {attributes:?}"
    );
    Ok(())
}

/// Several at once; none is no question at all; one that is not there fails them all.
pub(super) async fn load_balancers_read_together(world: &dyn ContractWorld) -> CheckResult {
    let gateway = world.gateway();
    let mut arns = Vec::new();
    for _ in 0..3 {
        arns.push(world.ready_load_balancer().await?);
    }
    let read = gateway
        .load_balancers(&arns)
        .await
        .during("reading three")?;
    let read: HashSet<_> = read.into_iter().map(|balancer| balancer.arn).collect();
    let asked: HashSet<_> = arns.iter().cloned().collect();
    ensure!(read == asked, "asked for {asked:?} and got {read:?}");
    let none = gateway.load_balancers(&[]).await.during("reading none")?;
    ensure!(none.is_empty(), "asked for none and got {none:?}");
    let unknown = unknown_like(&world.ready_load_balancer().await?)?;
    arns.push(unknown);
    let step = "reading three and an unknown one";
    ensure_fails(gateway.load_balancers(&arns).await, "not_found", step).map(drop)
}

/// What AWS sets by itself: 350 seconds without traffic, no PROXY protocol, zones as the load balancer says.
pub(super) async fn listener_and_target_group_attributes_have_their_defaults(
    world: &dyn ContractWorld,
) -> CheckResult {
    let gateway = world.gateway();
    let arn = world.ready_load_balancer().await?;
    for listener in gateway.listeners(&arn).await.during("listing listeners")? {
        let read = gateway.listener_attributes(&listener.arn).await;
        let read = read.during("reading a listener's attributes")?;
        let default = ListenerAttributes::DEFAULT_TCP_IDLE_TIMEOUT_SECONDS;
        ensure!(
            read.tcp_idle_timeout_seconds == Some(default),
            "a TCP listener waits {default} s unless told otherwise: {read:?}"
        );
    }
    for group in gateway.target_groups(&arn).await.during("listing groups")? {
        let read = gateway.target_group_attributes(&group.arn).await;
        let read = read.during("reading a target group's attributes")?;
        ensure!(
            read.cross_zone.is_none() && !read.proxy_protocol_v2,
            "a target group does as its load balancer, without PROXY protocol: {read:?}"
        );
    }
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
            listener.protocol == "TCP" && listener.port > 0 && !listener.arn.is_empty(),
            "the listener should be TCP with a port and an ARN: {listener:?}"
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
    let read = read_one(world, &arn).await?;
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
    let unknown = unknown_like(&world.ready_load_balancer().await?)?;
    let step = "reading an unknown load balancer";
    let asked = std::slice::from_ref(&unknown);
    ensure_fails(gateway.load_balancers(asked).await, "not_found", step)?;
    let step = "listing listeners of an unknown load balancer";
    ensure_fails(gateway.listeners(&unknown).await, "not_found", step)?;
    let step = "reading the attributes of an unknown load balancer";
    let attributes = gateway.load_balancer_attributes(&unknown).await;
    ensure_fails(attributes, "not_found", step).map(drop)
}

/// A load balancer of the same account and Region that nobody made.
fn unknown_like(real: &LoadBalancerArn) -> Result<LoadBalancerArn, String> {
    let head = real
        .as_str()
        .split("/net/")
        .next()
        .ok_or_else(|| format!("{real} is not a Network Load Balancer"))?;
    format!("{head}/net/nobody/0f0f0f0f0f0f0f0f")
        .parse()
        .map_err(|why: InvalidId| why.to_string())
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
