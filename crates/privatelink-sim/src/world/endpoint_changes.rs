//! `ModifyVpcEndpoint`, endpoint policies, and endpoints that are planned to fail.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, AvailabilityZoneId, ConnectionState};
use serde::{Deserialize, Serialize};

use super::endpoints::{Endpoint, check_ip_type, endpoint_groups, subnet_zones};
use super::lifecycle::Phase;
use super::{Caller, World, later};
use crate::{AwsError, Behavior};

/// The longest endpoint policy, in characters. Documented as fixed.
const MAX_POLICY: usize = 20_480;

/// Why an endpoint failed, as its consumer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// A code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// Endpoints that shall fail instead of becoming available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFailure {
    /// Whose endpoints; anybody's when it is missing.
    pub account: Option<AccountId>,
    /// How many.
    pub times: u32,
    /// What the consumer is told.
    pub error: LastError,
}

/// What `ModifyVpcEndpoint` is asked for on an interface endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointChange {
    /// Back to full access.
    pub reset_policy: bool,
    /// Another policy.
    pub policy: Option<String>,
    /// Subnets to add, each in a zone that is not used yet.
    pub add_subnets: Vec<String>,
    /// Subnets to remove.
    pub remove_subnets: Vec<String>,
    /// Security groups to add.
    pub add_security_groups: Vec<String>,
    /// Security groups to remove.
    pub remove_security_groups: Vec<String>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// Whether the service's private DNS name works in the VPC.
    pub private_dns: Option<bool>,
}

impl World {
    /// Makes the next endpoints of an account (or of anybody) fail while they are provisioned.
    pub fn plan_endpoint_failure(&mut self, failure: PlannedFailure) {
        self.planned_failures.push(failure);
    }

    /// The failure planned for this endpoint of the account, if there is one; asking uses it up.
    /// Puts other plans in the place of those there are, which are the answer.
    pub(crate) fn replace_planned_failures(
        &mut self,
        planned: Vec<PlannedFailure>,
    ) -> Vec<PlannedFailure> {
        std::mem::replace(&mut self.planned_failures, planned)
    }

    pub(super) fn take_planned_failure(&mut self, account: &AccountId) -> Option<LastError> {
        let planned = self.planned_failures.iter_mut().find(|planned| {
            planned.times > 0 && planned.account.as_ref().is_none_or(|a| a == account)
        })?;
        planned.times -= 1;
        let error = planned.error.clone();
        self.planned_failures.retain(|planned| planned.times > 0);
        Some(error)
    }

    /// Changes an endpoint. It is `pending` again while that is done, for its consumer and for the service's owner.
    pub fn modify_endpoint(
        &mut self,
        caller: &Caller,
        id: &str,
        change: &EndpointChange,
    ) -> Result<(), AwsError> {
        self.sweep(caller.now);
        let fresh = Caller {
            seen_at: caller.now,
            ..caller.clone()
        };
        let row = self.endpoint(&fresh, id)?;
        let endpoint = row.endpoint;
        let accepted = match row.state {
            ConnectionState::PendingAcceptance => false,
            ConnectionState::Pending | ConnectionState::Available => true,
            state => {
                return Err(AwsError::new(
                    self.behavior.wrong_state_code.as_str(),
                    format!("The Vpc Endpoint '{id}' is in state {state} and cannot be modified"),
                ));
            }
        };
        if change.reset_policy && change.policy.is_some() {
            return Err(AwsError::new(
                "InvalidParameterCombination",
                "ResetPolicy and PolicyDocument exclude each other",
            ));
        }
        if let Some(policy) = &change.policy {
            check_policy(policy)?;
        }
        let subnets = changed(
            "SubnetId",
            &endpoint.subnets,
            &change.add_subnets,
            &change.remove_subnets,
        )?;
        let groups = changed(
            "SecurityGroupId",
            &endpoint.security_groups,
            &change.add_security_groups,
            &change.remove_security_groups,
        )?;
        let ip_type = change
            .ip_address_type
            .clone()
            .unwrap_or(row.ip_address_type);
        let names = self.zones(&caller.account, &caller.region);
        let world = &*self;
        let missing = || AwsError::new("InvalidVpcEndpointId.NotFound", "The service is gone");
        let place = world
            .existing_place(&caller.account, &caller.region)
            .ok_or_else(missing)?;
        let service = world.service(&endpoint.service).ok_or_else(missing)?;
        if change.ip_address_type.is_some() {
            check_ip_type(&ip_type, &service.ip_address_types)?;
        }
        let zones = subnet_zones(place, &endpoint.vpc_id, &subnets)?;
        let added: Vec<_> = zones
            .iter()
            .filter(|(_, subnet)| change.add_subnets.contains(subnet))
            .cloned()
            .collect();
        service.check_zones(&added, &caller.region)?;
        endpoint_groups(place, &endpoint.vpc_id, &groups)?;
        if change.private_dns == Some(true) {
            world.check_private_dns_use(
                place,
                &endpoint.vpc_id,
                service,
                accepted,
                Some(&endpoint.id),
            )?;
        }
        let planned = Planned {
            zone_names: named(&names, &zones),
            accepted,
            subnets,
            groups,
            ip_type,
        };
        self.apply(caller, &endpoint, change, planned);
        Ok(())
    }

    /// Does a change that was checked.
    fn apply(
        &mut self,
        caller: &Caller,
        endpoint: &Endpoint,
        change: &EndpointChange,
        to: Planned,
    ) {
        let interfaces: Vec<String> = to
            .subnets
            .iter()
            .map(|subnet| {
                let kept = endpoint.subnets.iter().position(|s| s == subnet);
                kept.and_then(|at| endpoint.network_interfaces.get(at).cloned())
                    .unwrap_or_else(|| self.ids.ec2("eni-"))
            })
            .collect();
        let behavior = self.behavior.clone();
        if let Some(kept) = self.place(caller).endpoints.get_mut(&endpoint.id) {
            kept.subnets = to.subnets;
            kept.security_groups = to.groups;
            kept.network_interfaces = interfaces;
            if change.reset_policy {
                kept.policy = None;
            } else if let Some(policy) = &change.policy {
                kept.policy = Some(policy.clone());
            }
            if let Some(private_dns) = change.private_dns {
                kept.private_dns = private_dns;
            }
        }
        let service = self.service_mut(&endpoint.service);
        if let Some(connection) = service.and_then(|s| s.connections.get_mut(&endpoint.id)) {
            connection.zone_names = to.zone_names;
            connection.ip_address_type = to.ip_type;
            if to.accepted && behavior.modify_reenters_pending {
                let phase = provisioning(connection.failure.as_ref(), caller.now, &behavior);
                connection.life.enter(phase, caller.now);
            }
        }
    }
}

/// What an endpoint will have after a change.
struct Planned {
    subnets: Vec<String>,
    groups: Vec<String>,
    zone_names: Vec<String>,
    ip_type: String,
    accepted: bool,
}

/// What follows an acceptance: available after a while, or failed when that is planned.
pub(super) fn provisioning(
    failure: Option<&LastError>,
    now: DateTime<Utc>,
    behavior: &Behavior,
) -> Phase {
    let done = later(now, behavior.accept_delay_ms);
    match failure {
        Some(_) => Phase::Failing { failed_at: done },
        None => Phase::Accepted { available_at: done },
    }
}

/// A policy must be a JSON object with a statement and not too long.
pub(super) fn check_policy(policy: &str) -> Result<(), AwsError> {
    let read: Option<serde_json::Value> = serde_json::from_str(policy).ok();
    let statement = read.as_ref().and_then(|value| value.get("Statement"));
    let good = statement.is_some_and(|s| s.is_array() || s.is_object());
    if !good || policy.chars().count() > MAX_POLICY {
        return Err(AwsError::new(
            "InvalidPolicyDocument",
            "The specified policy document is not a valid JSON policy document.",
        ));
    }
    Ok(())
}

/// The names of zones in the consumer's account.
pub(super) fn named(
    names: &[super::regions::Zone],
    zones: &[(AvailabilityZoneId, String)],
) -> Vec<String> {
    zones
        .iter()
        .filter_map(|(zone, _)| names.iter().find(|n| n.id == *zone).map(|n| n.name.clone()))
        .collect()
}

fn changed(
    what: &str,
    present: &[String],
    add: &[String],
    remove: &[String],
) -> Result<Vec<String>, AwsError> {
    if let Some(absent) = remove.iter().find(|id| !present.contains(id)) {
        return Err(AwsError::new(
            "InvalidParameter",
            format!("{absent} is not part of the endpoint and cannot be removed"),
        ));
    }
    let mut left: Vec<String> = present.to_vec();
    left.retain(|id| !remove.contains(id));
    for id in add {
        if !left.contains(id) {
            left.push(id.clone());
        }
    }
    if left.is_empty() && !present.is_empty() {
        return Err(AwsError::new(
            "InvalidParameter",
            format!("At least one {what} must stay"),
        ));
    }
    Ok(left)
}

#[cfg(test)]
#[path = "endpoint_changes_tests.rs"]
mod tests;
