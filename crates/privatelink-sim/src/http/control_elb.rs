//! The control API about load balancers: the health of targets and the state of load balancers.

use actix_web::HttpResponse;
use privatelink::{AccountId, Region};
use serde::Deserialize;
use serde_json::json;

use super::control::{Asked, Sim, failed, refused};
use crate::AwsError;
use crate::world::load_balancers::LoadBalancerState;
use crate::world::targets::Health;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthChange {
    account: AccountId,
    region: Region,
    /// Missing for every group, which is only meant for a zone.
    target_group_arn: Option<String>,
    /// Missing for all targets of the group, or of the zone.
    target_id: Option<String>,
    /// A zone by its name in the account.
    availability_zone: Option<String>,
    /// Missing or null gives the targets back to their own checks.
    health: Option<Health>,
}

pub(super) async fn set_health(simulator: Sim, change: Asked<HealthChange>) -> HttpResponse {
    let caller = simulator.caller(&change.account, &change.region);
    let health = change.health.as_ref();
    let chosen = (
        change.target_group_arn.as_deref(),
        change.target_id.as_deref(),
        change.availability_zone.as_deref(),
    );
    let result = simulator.with_world(|world| match chosen {
        (Some(arn), Some(target), None) => world.set_target_health(&caller, arn, target, health),
        (Some(arn), None, zone) => world.set_group_health(&caller, arn, zone, health),
        (None, None, Some(zone)) => world.set_zone_health(&caller, zone, health),
        _ => Err(AwsError::new(
            "ValidationError",
            "health is set for a target of a group, for a group, for a zone of a group, or for a zone",
        )),
    });
    match result {
        Ok(Ok(targets)) => HttpResponse::Ok().json(json!({ "targets": targets })),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateChange {
    account: AccountId,
    region: Region,
    load_balancer_arn: String,
    /// Missing or null gives the load balancer back to its own life.
    state: Option<LoadBalancerState>,
}

pub(super) async fn set_state(simulator: Sim, change: Asked<StateChange>) -> HttpResponse {
    let change = change.into_inner().0;
    let caller = simulator.caller(&change.account, &change.region);
    let set = simulator.with_world(|world| {
        world.set_load_balancer_state(&caller, &change.load_balancer_arn, change.state)
    });
    match set {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}
