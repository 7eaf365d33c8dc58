//! What the rule tests need again and again.

use chrono::{DateTime, Utc};
use privatelink::{LoadBalancerArn, ServiceId};

use super::endpoints::NewEndpoint;
use super::load_balancers::NewLoadBalancer;
use super::services::NewService;
use super::targets::NewTargetGroup;
use super::{Caller, World, later};
use crate::Behavior;

pub(crate) const START: DateTime<Utc> = DateTime::UNIX_EPOCH;
pub(crate) const PROVIDER: &str = "111111111111";
pub(crate) const CONSUMER: &str = "222222222222";

pub(crate) fn world() -> World {
    // Scenery is ready when it is made: what takes its time is asked for by the test that is about it.
    let behavior = Behavior {
        remote_region_pending_ms: 0,
        remote_region_deleting_ms: 0,
        load_balancer_provisioning_ms: 0,
        target_initial_ms: 0,
        ..Behavior::default()
    };
    World::new(1, Vec::new(), behavior)
}

pub(crate) fn caller(account: &str) -> Caller {
    Caller::root(
        account.parse().unwrap(),
        "eu-west-1".parse().unwrap(),
        START,
    )
}

/// The same caller, so much later.
pub(crate) fn after(caller: &Caller, ms: u64) -> Caller {
    let now = later(caller.now, ms);
    Caller {
        now,
        seen_at: now,
        ..caller.clone()
    }
}

/// A load balancer over all zones but the last, so that one zone is left for what a service does not cover.
pub(crate) fn load_balancer(world: &mut World, me: &Caller, name: &str) -> LoadBalancerArn {
    let mut subnets: Vec<_> = world.place(me).subnets.values().cloned().collect();
    subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    subnets.pop();
    let new = NewLoadBalancer {
        name: name.to_owned(),
        subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
        ..NewLoadBalancer::default()
    };
    world.create_load_balancer(me, new).unwrap().arn
}

/// A Gateway Load Balancer over all zones but the last.
pub(crate) fn gateway_load_balancer(world: &mut World, me: &Caller, name: &str) -> LoadBalancerArn {
    let mut subnets: Vec<_> = world.place(me).subnets.values().cloned().collect();
    subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    subnets.pop();
    let new = NewLoadBalancer {
        name: name.to_owned(),
        subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
        ..NewLoadBalancer::default()
    };
    world.create_gateway_load_balancer(me, new).unwrap().arn
}

/// A target group for IP addresses in the default VPC. The same name and protocol again give the same one.
pub(crate) fn target_group(world: &mut World, me: &Caller, name: &str, protocol: &str) -> String {
    let vpcs = world.place(me).vpcs.values();
    let vpc_id = vpcs
        .clone()
        .find(|vpc| vpc.is_default)
        .map(|vpc| vpc.id.clone());
    let new = NewTargetGroup {
        name: name.to_owned(),
        protocol: protocol.to_owned(),
        port: 443,
        vpc_id,
        target_type: Some("ip".to_owned()),
        ..NewTargetGroup::default()
    };
    world.create_target_group(me, new).unwrap().arn
}

pub(crate) fn new_service(
    load_balancer: &LoadBalancerArn,
    acceptance_required: bool,
) -> NewService {
    NewService {
        acceptance_required,
        load_balancers: vec![load_balancer.to_string()],
        ..NewService::default()
    }
}

pub(crate) fn service(
    world: &mut World,
    me: &Caller,
    load_balancer: &LoadBalancerArn,
    acceptance_required: bool,
) -> ServiceId {
    let new = new_service(load_balancer, acceptance_required);
    world.create_service(me, &new, None).unwrap().id
}

/// A request of the consumer's for an endpoint in the first zone.
pub(crate) fn new_endpoint(
    world: &mut World,
    consumer: &Caller,
    service: &ServiceId,
) -> NewEndpoint {
    let kind = world.service(service).unwrap().kind();
    let place = world.place(consumer);
    let vpc_id = place.vpcs.keys().next().cloned().unwrap();
    let first = place
        .subnets
        .values()
        .min_by(|a, b| a.zone.cmp(&b.zone))
        .unwrap();
    NewEndpoint {
        kind,
        vpc_id,
        service_name: format!("com.amazonaws.vpce.{}.{service}", consumer.region),
        subnets: vec![first.id.clone()],
        ..NewEndpoint::default()
    }
}

/// A provider with a service that the consumer may use, and both as callers.
pub(crate) fn shop(acceptance_required: bool) -> (World, Caller, Caller, ServiceId) {
    let (mut world, provider, consumer) = (world(), caller(PROVIDER), caller(CONSUMER));
    let lb = load_balancer(&mut world, &provider, "edge");
    let id = service(&mut world, &provider, &lb, acceptance_required);
    let root = format!("arn:aws:iam::{CONSUMER}:root");
    world
        .modify_principals(&provider, id.as_str(), &[root], &[])
        .unwrap();
    (world, provider, consumer, id)
}

/// As [`shop`], with a service behind a Gateway Load Balancer.
pub(crate) fn firewall(acceptance_required: bool) -> (World, Caller, Caller, ServiceId) {
    let (mut world, provider, consumer) = (world(), caller(PROVIDER), caller(CONSUMER));
    let lb = gateway_load_balancer(&mut world, &provider, "wall");
    let new = NewService {
        acceptance_required,
        gateway_load_balancers: vec![lb.to_string()],
        ..NewService::default()
    };
    let id = world.create_service(&provider, &new, None).unwrap().id;
    let root = format!("arn:aws:iam::{CONSUMER}:root");
    world
        .modify_principals(&provider, id.as_str(), &[root], &[])
        .unwrap();
    (world, provider, consumer, id)
}

/// A new endpoint of the consumer's.
pub(crate) fn endpoint(world: &mut World, consumer: &Caller, service: &ServiceId) -> String {
    let new = new_endpoint(world, consumer, service);
    world
        .create_endpoint(consumer, &new, None)
        .unwrap()
        .endpoint
        .id
        .to_string()
}
