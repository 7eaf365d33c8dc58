//! Endpoints of the types `Resource`, `ServiceNetwork` and `Tunnel`. They lead to VPC Lattice: no load balancer, no service, no
//! acceptance by a provider.

use chrono::{DateTime, Utc};
use privatelink::{ConnectionState, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::addresses::{self, Addresses, SubnetAddresses, check_addresses};
use super::dns_options::DnsOptions;
use super::endpoint_changes::{EndpointChange, LastError, changed, provisioning};
use super::endpoint_checks::{endpoint_groups, subnet_zones};
use super::endpoints::{ACTION, no_endpoint};
use super::lattice::ResourceKind;
use super::lifecycle::{Life, Phase};
use super::network::no_vpc_for_endpoint;
use super::payers::Payers;
use super::select::Tags;
use super::services::new_id;
use super::{Caller, Grave, World, later};
use crate::AwsError;

/// The type of an endpoint to VPC Lattice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LatticeKind {
    /// To a resource or a group of them.
    #[default]
    Resource,
    /// To a service network.
    ServiceNetwork,
    /// To blocks of addresses.
    Tunnel,
}

impl LatticeKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "Resource",
            Self::ServiceNetwork => "ServiceNetwork",
            Self::Tunnel => "Tunnel",
        }
    }

    fn takes(self, resource: ResourceKind) -> bool {
        match self {
            Self::Resource => matches!(
                resource,
                ResourceKind::Single | ResourceKind::Group | ResourceKind::Arn
            ),
            Self::Tunnel => resource == ResourceKind::Cidr,
            Self::ServiceNetwork => false,
        }
    }
}

/// What `CreateVpcEndpoint` is asked for with one of these types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewLatticeEndpoint {
    /// The type.
    pub kind: LatticeKind,
    /// The ARN of a resource configuration or of a service network.
    pub target: String,
    /// The VPC.
    pub vpc_id: String,
    /// At least one subnet, each in another zone.
    pub subnets: Vec<String>,
    /// Security groups; empty means the VPC's default group.
    pub security_groups: Vec<String>,
    /// `ipv4` (the default), `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// Whether custom domains work in the VPC.
    pub private_dns: bool,
    /// Which ones.
    pub dns: DnsOptions,
    /// Fixed addresses.
    pub fixed: Vec<SubnetAddresses>,
    /// Tags.
    pub tags: Tags,
}

/// An endpoint to VPC Lattice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatticeEndpoint {
    /// `vpce-…`.
    pub id: VpcEndpointId,
    /// The type.
    pub kind: LatticeKind,
    /// The ARN it leads to.
    pub target: String,
    /// The VPC.
    pub vpc_id: String,
    /// One subnet per zone.
    pub subnets: Vec<String>,
    /// Security groups, by id.
    pub security_groups: Vec<String>,
    /// One network interface per subnet.
    pub network_interfaces: Vec<String>,
    /// Their addresses.
    pub addresses: Vec<Addresses>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: String,
    /// Whether custom domains work in the VPC.
    pub private_dns: bool,
    /// Which ones.
    pub dns: DnsOptions,
    /// The owner's tags.
    pub tags: Tags,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Where it is in its life.
    pub life: Life,
    /// What provisioning will end in, when that is planned.
    pub failure: Option<LastError>,
    /// Who pays, by what is paid for.
    #[serde(default)]
    pub payers: Payers,
}

impl World {
    /// Makes an endpoint to a resource, to a service network or to blocks of addresses.
    pub fn create_lattice_endpoint(
        &mut self,
        caller: &Caller,
        new: &NewLatticeEndpoint,
        client_token: Option<&str>,
    ) -> Result<LatticeEndpoint, AwsError> {
        self.sweep(caller.now);
        if let Some(made) = self.replayed(caller, ACTION, client_token, new)? {
            return self.lattice_endpoint(caller, &made);
        }
        let (subnets, security_groups) = self.checked_lattice(caller, new)?;
        let failure = self.take_planned_failure(&caller.account);
        let phase = provisioning(failure.as_ref(), caller.now, &self.behavior);
        let id: VpcEndpointId = new_id(&self.ids.ec2("vpce-"))?;
        let ip_address_type = new.ip_address_type.as_deref().unwrap_or("ipv4").to_owned();
        let interfaces: Vec<String> = subnets.iter().map(|_| self.ids.ec2("eni-")).collect();
        let place = self.place(caller);
        let mut held = Vec::new();
        for (subnet, interface) in subnets.iter().zip(&interfaces) {
            let subnet = place.subnets.get_mut(subnet);
            let given =
                subnet.map(|s| addresses::assign(s, interface, &new.fixed, &ip_address_type));
            held.push(given.unwrap_or_default());
        }
        let made = LatticeEndpoint {
            id: id.clone(),
            kind: new.kind,
            target: new.target.clone(),
            vpc_id: new.vpc_id.clone(),
            subnets,
            security_groups,
            network_interfaces: interfaces,
            addresses: held,
            ip_address_type,
            private_dns: new.private_dns,
            dns: new.dns.clone(),
            tags: new.tags.clone(),
            created_at: caller.now,
            life: Life::begin(phase, caller.now),
            failure,
            payers: Payers::new(),
        };
        place.lattice_endpoints.insert(id.clone(), made.clone());
        self.remember(caller, ACTION, client_token, new, id.as_str());
        Ok(made)
    }

    fn checked_lattice(
        &mut self,
        caller: &Caller,
        new: &NewLatticeEndpoint,
    ) -> Result<(Vec<String>, Vec<String>), AwsError> {
        let vpc = self.place(caller).vpcs.get(&new.vpc_id);
        let attributes = vpc.ok_or_else(|| no_vpc_for_endpoint(&new.vpc_id))?.dns;
        if new.private_dns && !(attributes.hostnames && attributes.support) {
            return Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for {}",
                    new.vpc_id
                ),
            ));
        }
        if new.kind == LatticeKind::ServiceNetwork {
            self.lattice.network(&new.target)?;
        } else {
            let resource = self.lattice.resource(&new.target)?;
            if !new.kind.takes(resource.kind) {
                return Err(AwsError::new(
                    "InvalidParameter",
                    format!(
                        "The resource configuration {} is not of a type that endpoints of type {} lead to",
                        new.target,
                        new.kind.as_str()
                    ),
                ));
            }
        }
        let ip_type = new.ip_address_type.as_deref().unwrap_or("ipv4");
        if !["ipv4", "dualstack", "ipv6"].contains(&ip_type) {
            return Err(AwsError::bad_value("IpAddressType", ip_type));
        }
        new.dns.check_records(ip_type)?;
        new.dns.check_lattice(new.private_dns)?;
        let mut subnets = new.subnets.clone();
        for fixed in &new.fixed {
            if !subnets.contains(&fixed.subnet) {
                subnets.push(fixed.subnet.clone());
            }
        }
        if subnets.is_empty() {
            return Err(AwsError::missing("SubnetId"));
        }
        let place = self.place(caller);
        subnet_zones(place, &new.vpc_id, &subnets)?;
        check_addresses(place, &subnets, &new.fixed, ip_type)?;
        let groups = endpoint_groups(place, &new.vpc_id, &new.security_groups)?;
        Ok((subnets, groups))
    }

    fn lattice_endpoint(&mut self, caller: &Caller, id: &str) -> Result<LatticeEndpoint, AwsError> {
        let known = id.parse::<VpcEndpointId>().ok();
        let place = self.place(caller);
        let found = known.and_then(|id| place.lattice_endpoints.get(&id));
        found.cloned().ok_or_else(|| no_endpoint(id))
    }

    /// Whether this is an endpoint to VPC Lattice of the caller's.
    pub fn is_lattice_endpoint(&mut self, caller: &Caller, id: &str) -> bool {
        self.lattice_endpoint(caller, id).is_ok()
    }

    /// Changes an endpoint to VPC Lattice; it is `Pending` again while that is done.
    pub fn modify_lattice_endpoint(
        &mut self,
        caller: &Caller,
        id: &str,
        change: &EndpointChange,
    ) -> Result<(), AwsError> {
        self.sweep(caller.now);
        let before = self.lattice_endpoint(caller, id)?;
        match before.life.state_at(caller.now) {
            Some(ConnectionState::Pending | ConnectionState::Available) => {}
            None | Some(ConnectionState::Deleted) => return Err(no_endpoint(id)),
            Some(state) => {
                return Err(AwsError::new(
                    self.behavior.wrong_state_code.as_str(),
                    format!("The Vpc Endpoint '{id}' is in state {state} and cannot be modified"),
                ));
            }
        }
        let wanted = NewLatticeEndpoint {
            kind: before.kind,
            target: before.target.clone(),
            vpc_id: before.vpc_id.clone(),
            subnets: changed(
                "SubnetId",
                &before.subnets,
                &change.add_subnets,
                &change.remove_subnets,
            )?,
            security_groups: changed(
                "SecurityGroupId",
                &before.security_groups,
                &change.add_security_groups,
                &change.remove_security_groups,
            )?,
            ip_address_type: change
                .ip_address_type
                .clone()
                .or(Some(before.ip_address_type.clone())),
            private_dns: change.private_dns.unwrap_or(before.private_dns),
            dns: before.dns.changed(&change.dns),
            fixed: change.fixed.clone(),
            tags: before.tags.clone(),
        };
        let (subnets, security_groups) = self.checked_lattice(caller, &wanted)?;
        let ip_type = wanted.ip_address_type.unwrap_or_default();
        let (mut interfaces, mut held) = (Vec::new(), Vec::new());
        for subnet in &subnets {
            let at = before.subnets.iter().position(|kept| kept == subnet);
            let same = before.ip_address_type == ip_type
                && !change.fixed.iter().any(|fixed| fixed.subnet == *subnet);
            let kept = at.filter(|_| same).and_then(|at| {
                let interface = before.network_interfaces.get(at)?;
                Some((interface.clone(), *before.addresses.get(at)?))
            });
            let (interface, addresses) = if let Some(kept) = kept {
                kept
            } else {
                let interface = self.ids.ec2("eni-");
                let found = self.place(caller).subnets.get_mut(subnet);
                let given =
                    found.map(|s| addresses::assign(s, &interface, &change.fixed, &ip_type));
                (interface, given.unwrap_or_default())
            };
            interfaces.push(interface);
            held.push(addresses);
        }
        let phase = provisioning(before.failure.as_ref(), caller.now, &self.behavior);
        let pending = self.behavior.modify_reenters_pending;
        let place = self.place(caller);
        for (subnet, gone) in before.subnets.iter().zip(&before.addresses) {
            if !held.contains(gone) {
                addresses::release(place.subnets.get_mut(subnet), Some(gone));
            }
        }
        if let Some(kept) = place.lattice_endpoints.get_mut(&before.id) {
            kept.subnets = subnets;
            kept.security_groups = security_groups;
            kept.network_interfaces = interfaces;
            kept.addresses = held;
            kept.ip_address_type = ip_type;
            kept.private_dns = wanted.private_dns;
            kept.dns = wanted.dns;
            if pending {
                kept.life.enter(phase, caller.now);
            }
        }
        Ok(())
    }

    /// Deletes an endpoint to VPC Lattice; false when there is none of this id.
    pub(super) fn delete_lattice_endpoint(&mut self, caller: &Caller, id: &VpcEndpointId) -> bool {
        let deleted_at = later(caller.now, self.behavior.endpoint_deleting_ms);
        let gone_at = later(deleted_at, self.behavior.endpoint_linger_ms);
        let place = self.place(caller);
        let Some(endpoint) = place.lattice_endpoints.get_mut(id) else {
            return false;
        };
        match endpoint.life.state_at(caller.now) {
            None | Some(ConnectionState::Deleted) => return false,
            Some(ConnectionState::Deleting) => return true,
            Some(_) => {}
        }
        let phase = Phase::Deleted {
            deleted_at,
            gone_at,
        };
        endpoint.life.enter(phase, caller.now);
        endpoint.network_interfaces.clear();
        let held = std::mem::take(&mut endpoint.addresses);
        for (subnet, gone) in endpoint.subnets.iter().zip(&held) {
            addresses::release(place.subnets.get_mut(subnet), Some(gone));
        }
        let grave = Grave::Endpoint {
            owner: caller.account.clone(),
            region: caller.region.clone(),
            endpoint: id.clone(),
        };
        self.graves.entry(gone_at).or_default().push(grave);
        true
    }
}

#[cfg(test)]
#[path = "lattice_tests.rs"]
mod tests;
