//! `ModifyVpcEndpoint`, endpoint policies, and endpoints that are planned to fail.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, AvailabilityZoneId, ConnectionState};
use serde::{Deserialize, Serialize};

use super::addresses::{self, Addresses, SubnetAddresses, check_addresses};
use super::dns_options::DnsOptions;
use super::endpoint_checks::{check_ip_type, endpoint_groups, subnet_zones};
use super::endpoint_kinds::EndpointKind;
use super::endpoints::Endpoint;
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
    /// Which records the names have; what is missing stays.
    pub dns: DnsOptions,
    /// Fixed addresses, each of which replaces the network interface of its subnet.
    pub fixed: Vec<SubnetAddresses>,
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
        let unready = row.state == ConnectionState::Pending
            && change.private_dns == Some(true)
            && !endpoint.private_dns
            && !self.behavior.private_dns_while_pending;
        if unready {
            return Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "Private DNS can only be enabled once the endpoint {id} is available, and it is pending"
                ),
            ));
        }
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
        if endpoint.kind == EndpointKind::GatewayLoadBalancer {
            check_next_hop_change(change)?;
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
        let dns = endpoint.dns.changed(&change.dns);
        dns.check_records(&ip_type)?;
        if !change.dns.is_empty() {
            dns.check_interface(place, &endpoint.vpc_id, service)?;
        }
        let zones = subnet_zones(place, &endpoint.vpc_id, &subnets)?;
        check_addresses(place, &subnets, &change.fixed, &ip_type)?;
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
            dns,
        };
        self.apply(caller, &endpoint, change, planned);
        Ok(())
    }

    /// The network interface in a subnet after a change: the one there is, unless its addresses are others now.
    fn interface_in(
        &mut self,
        caller: &Caller,
        endpoint: &Endpoint,
        change: &EndpointChange,
        subnet: &str,
        ip_type: &str,
    ) -> (String, Addresses) {
        let kept = endpoint
            .subnets
            .iter()
            .zip(&endpoint.network_interfaces)
            .zip(&endpoint.addresses)
            .find(|((id, _), _)| *id == subnet)
            .map(|((_, interface), addresses)| (interface.clone(), *addresses));
        let fits = |held: &Addresses| {
            (held.ipv4.is_some(), held.ipv6.is_some()) == (ip_type != "ipv6", ip_type != "ipv4")
        };
        let fixed = change.fixed.iter().any(|wanted| wanted.subnet == subnet);
        match kept {
            Some((interface, held)) if !fixed && fits(&held) => (interface, held),
            kept => {
                // Documented for fixed addresses: the interface is replaced by a new one.
                let interface = match kept {
                    Some((interface, _)) if !fixed => interface,
                    _ => self.ids.ec2("eni-"),
                };
                let found = self.place(caller).subnets.get_mut(subnet);
                let given = found
                    .map(|subnet| addresses::assign(subnet, &interface, &change.fixed, ip_type));
                (interface, given.unwrap_or_default())
            }
        }
    }

    /// Does a change that was checked.
    fn apply(
        &mut self,
        caller: &Caller,
        endpoint: &Endpoint,
        change: &EndpointChange,
        to: Planned,
    ) {
        let interfaces: Vec<(String, Addresses)> = to
            .subnets
            .iter()
            .map(|subnet| self.interface_in(caller, endpoint, change, subnet, &to.ip_type))
            .collect();
        let place = self.place(caller);
        for (subnet, held) in endpoint.subnets.iter().zip(&endpoint.addresses) {
            if !interfaces.iter().any(|(_, kept)| kept == held) {
                addresses::release(place.subnets.get_mut(subnet), Some(held));
            }
        }
        let behavior = self.behavior.clone();
        if let Some(kept) = self.place(caller).endpoints.get_mut(&endpoint.id) {
            kept.subnets = to.subnets;
            kept.security_groups = to.groups;
            (kept.network_interfaces, kept.addresses) = interfaces.into_iter().unzip();
            kept.dns = to.dns;
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

/// Refuses changes that a next hop cannot have.
fn check_next_hop_change(change: &EndpointChange) -> Result<(), AwsError> {
    let groups = change.add_security_groups.len() + change.remove_security_groups.len();
    let subnets = change.add_subnets.len() + change.remove_subnets.len();
    let policy = change.policy.is_some() || change.reset_policy;
    if groups + subnets > 0 || policy || change.private_dns == Some(true) || !change.dns.is_empty()
    {
        return Err(AwsError::new(
            "InvalidParameter",
            "Endpoints of type GatewayLoadBalancer have one subnet and no security groups, policy or private DNS",
        ));
    }
    Ok(())
}

/// What an endpoint will have after a change.
struct Planned {
    subnets: Vec<String>,
    groups: Vec<String>,
    zone_names: Vec<String>,
    ip_type: String,
    dns: DnsOptions,
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

pub(super) fn changed(
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
