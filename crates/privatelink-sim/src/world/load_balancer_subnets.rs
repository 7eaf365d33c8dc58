//! Where a load balancer has its nodes: one subnet per zone, with the addresses that were asked for.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use privatelink::{AvailabilityZoneId, LoadBalancerArn};
use serde::{Deserialize, Serialize};

use super::load_balancers::{LoadBalancer, check_prefix, invalid, one_of, validation};
use super::network::Subnet;
use super::{Caller, Place, World, ids, network};
use crate::AwsError;

/// One `SubnetMappings` entry of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubnetMapping {
    /// The subnet.
    pub subnet_id: String,
    /// The addresses asked for.
    pub address: NodeAddress,
}

/// The fixed addresses of a load balancer's node in one subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// An Elastic IP address, by allocation id. Elastic IP addresses are not modelled: any well-formed id is one of the
    /// caller's.
    pub allocation_id: Option<String>,
    /// An IPv4 address of the subnet, for internal load balancers.
    pub private_ipv4: Option<String>,
    /// An IPv6 address.
    pub ipv6: Option<String>,
    /// A prefix for source NAT, or `auto_assigned`.
    pub source_nat_prefix: Option<String>,
}

impl NodeAddress {
    /// The public address behind the allocation id. Invented, from a range that is kept for documentation.
    pub fn public_ip(&self) -> Option<Ipv4Addr> {
        let id = self.allocation_id.as_ref()?;
        let [last, ..] = ids::mix(ids::hash(id)).to_le_bytes();
        Some(Ipv4Addr::new(203, 0, 113, last))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `SetSubnets` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubnetsChange {
    /// Subnets, all that shall be enabled; or the mappings.
    pub subnets: Vec<String>,
    /// Subnets with fixed addresses, instead of `subnets`.
    pub mappings: Vec<SubnetMapping>,
    /// The IP address type; unchanged when missing.
    pub ip_address_type: Option<String>,
    /// `EnablePrefixForIpv6SourceNat`; unchanged when missing.
    pub source_nat_prefix: Option<bool>,
}

/// Subnets that were checked.
#[derive(Debug)]
pub(super) struct WantedSubnets {
    pub(super) vpc_id: String,
    pub(super) subnets: Vec<(AvailabilityZoneId, String)>,
    pub(super) addresses: BTreeMap<String, NodeAddress>,
}

impl World {
    /// Chooses the subnets of a Network Load Balancer anew. A zone with another subnet must be removed first and then added.
    /// Nothing is removed while endpoints are attached to a service behind it; ELBv2 documents that, not the code.
    pub fn set_subnets(
        &mut self,
        caller: &Caller,
        arn: &str,
        change: SubnetsChange,
    ) -> Result<LoadBalancer, AwsError> {
        let balancer = self.network_load_balancer(caller, arn)?.clone();
        let ip_type = one_of(
            change
                .ip_address_type
                .or(Some(balancer.ip_address_type.clone())),
            &["ipv4", "dualstack"],
            "IpAddressType",
        )?;
        let prefix = change
            .source_nat_prefix
            .unwrap_or(balancer.source_nat_prefix);
        check_prefix(prefix, &ip_type)?;
        let place = self.place(caller);
        place.check_udp(&balancer.arn, &ip_type, prefix)?;
        place.check_ipv6_services(&balancer.arn, &ip_type, caller)?;
        let mut wanted = place.wanted_subnets(
            &change.subnets,
            &change.mappings,
            &balancer.scheme,
            &ip_type,
        )?;
        if wanted.vpc_id != balancer.vpc_id {
            return Err(invalid(
                "All subnets must belong to the load balancer's VPC",
            ));
        }
        for (zone, subnet) in &balancer.subnets {
            match wanted.subnets.iter().find(|(z, _)| z == zone) {
                Some((_, same)) if same == subnet => wanted.keep_address(&balancer, subnet)?,
                Some(_) => {
                    return Err(invalid(
                        "The subnet of an Availability Zone cannot be replaced: remove it first, then add the other one",
                    ));
                }
                None if place.has_endpoints(&balancer.arn, caller) => {
                    return Err(invalid(
                        "A subnet cannot be removed while the load balancer has active VPC endpoint associations",
                    ));
                }
                None => {}
            }
        }
        place.check_addresses_free(&wanted.addresses, Some(&balancer.arn))?;
        let balancer = self.network_load_balancer(caller, arn)?;
        balancer.subnets = wanted.subnets;
        balancer.addresses = wanted.addresses;
        balancer.ip_address_type = ip_type;
        balancer.source_nat_prefix = prefix;
        Ok(balancer.clone())
    }
}

impl WantedSubnets {
    /// A subnet that stays keeps its addresses; others cannot be asked for.
    fn keep_address(&mut self, balancer: &LoadBalancer, subnet: &str) -> Result<(), AwsError> {
        let before = balancer.addresses.get(subnet);
        match (before, self.addresses.get(subnet)) {
            (Some(old), None) => {
                self.addresses.insert(subnet.to_owned(), old.clone());
                Ok(())
            }
            (old, new) if old == new => Ok(()),
            _ => Err(invalid(
                "The addresses of a subnet that is enabled cannot be changed",
            )),
        }
    }
}

impl Place {
    /// Checks the subnets of a request: they exist in the caller's account, in one VPC, one per zone.
    pub(super) fn wanted_subnets(
        &self,
        subnets: &[String],
        mappings: &[SubnetMapping],
        scheme: &str,
        ip_type: &str,
    ) -> Result<WantedSubnets, AwsError> {
        if !subnets.is_empty() && !mappings.is_empty() {
            return Err(validation(
                "You must specify either subnets or subnet mappings, not both",
            ));
        }
        let plain = subnets.iter().map(|id| (id, None));
        let mapped = mappings.iter().map(|m| (&m.subnet_id, Some(&m.address)));
        let mut chosen: Vec<(AvailabilityZoneId, String)> = Vec::new();
        let mut addresses = BTreeMap::new();
        let mut vpc_id = None;
        for (id, address) in plain.chain(mapped) {
            let subnet = self.subnets.get(id).ok_or_else(|| {
                AwsError::new(
                    "SubnetNotFound",
                    format!("The subnet ID '{id}' does not exist"),
                )
            })?;
            if *vpc_id.get_or_insert_with(|| subnet.vpc_id.clone()) != subnet.vpc_id {
                return Err(invalid("All subnets must belong to the same VPC"));
            }
            if chosen.iter().any(|(zone, _)| *zone == subnet.zone) {
                return Err(invalid(
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                ));
            }
            if let Some(address) = address.filter(|address| !address.is_empty()) {
                check_address(address, subnet, scheme, ip_type)?;
                addresses.insert(id.clone(), address.clone());
            }
            chosen.push((subnet.zone.clone(), id.clone()));
        }
        Ok(WantedSubnets {
            vpc_id: vpc_id.ok_or_else(|| validation("At least one subnet must be specified"))?,
            subnets: chosen,
            addresses,
        })
    }

    /// Security groups must be the caller's and in the load balancer's VPC.
    pub(super) fn check_security_groups(&self, ids: &[String], vpc: &str) -> Result<(), AwsError> {
        network::all_exist(
            ids,
            |id| self.security_groups.contains_key(id),
            |id| {
                AwsError::new(
                    "InvalidSecurityGroup",
                    format!("The security group '{id}' does not exist"),
                )
            },
        )?;
        let elsewhere = |id: &&String| {
            self.security_groups
                .get(*id)
                .is_some_and(|g| g.vpc_id != vpc)
        };
        match ids.iter().find(elsewhere) {
            Some(id) => Err(invalid(&format!(
                "Security group '{id}' does not belong to VPC '{vpc}'"
            ))),
            None => Ok(()),
        }
    }

    /// No two load balancers have the same Elastic IP address or the same address in a subnet.
    pub(super) fn check_addresses_free(
        &self,
        wanted: &BTreeMap<String, NodeAddress>,
        mine: Option<&LoadBalancerArn>,
    ) -> Result<(), AwsError> {
        for (subnet, address) in wanted {
            let others = self
                .load_balancers
                .values()
                .filter(|lb| Some(&lb.arn) != mine);
            for (other_subnet, other) in others.flat_map(|lb| &lb.addresses) {
                let same_public =
                    address.allocation_id.is_some() && address.allocation_id == other.allocation_id;
                let same_private = address.private_ipv4.is_some()
                    && other_subnet == subnet
                    && address.private_ipv4 == other.private_ipv4;
                if same_public || same_private {
                    return Err(AwsError::new(
                        "ResourceInUse",
                        format!("An address for the subnet '{subnet}' is in use"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// A dual-stack load balancer takes UDP traffic only with an IPv6 prefix to send it on from.
    pub(super) fn check_udp(
        &self,
        arn: &LoadBalancerArn,
        ip_type: &str,
        prefix: bool,
    ) -> Result<(), AwsError> {
        let has_udp = self
            .listeners
            .values()
            .any(|l| l.load_balancer == *arn && carries_udp(&l.protocol));
        if ip_type == "dualstack" && !prefix && has_udp {
            return Err(invalid(
                "A dualstack load balancer with UDP listeners needs an IPv6 prefix for source NAT",
            ));
        }
        Ok(())
    }

    fn has_endpoints(&self, arn: &LoadBalancerArn, caller: &Caller) -> bool {
        self.services
            .values()
            .any(|s| s.uses(arn, caller.now) && s.has_attached(caller.now))
    }
}

/// Whether listeners and target groups of this protocol take UDP datagrams.
pub(super) fn carries_udp(protocol: &str) -> bool {
    ["UDP", "TCP_UDP", "QUIC", "TCP_QUIC"].contains(&protocol)
}

fn check_address(
    address: &NodeAddress,
    subnet: &Subnet,
    scheme: &str,
    ip_type: &str,
) -> Result<(), AwsError> {
    if let Some(id) = &address.allocation_id {
        let tail = id.strip_prefix("eipalloc-").unwrap_or_default();
        if !(8..=17).contains(&tail.len()) || !tail.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(AwsError::new(
                "AllocationIdNotFound",
                format!("The allocation ID '{id}' does not exist"),
            ));
        }
        if scheme == "internal" {
            return Err(invalid(
                "Elastic IP addresses cannot be specified for internal load balancers",
            ));
        }
    }
    if let Some(text) = &address.private_ipv4 {
        if scheme != "internal" {
            return Err(invalid(
                "Private IPv4 addresses can be specified for internal load balancers only",
            ));
        }
        let usable = text.parse().is_ok_and(|ip| is_usable(&subnet.cidr, ip));
        if !usable {
            return Err(invalid(&format!(
                "The address '{text}' is not a usable address of the subnet '{}'",
                subnet.id
            )));
        }
    }
    let v6 = address.ipv6.as_ref().or(address.source_nat_prefix.as_ref());
    if v6.is_some() && ip_type != "dualstack" {
        return Err(invalid(
            "IPv6 addresses need the IP address type 'dualstack'",
        ));
    }
    if let Some(text) = address
        .ipv6
        .as_ref()
        .filter(|ip| ip.parse::<Ipv6Addr>().is_err())
    {
        return Err(validation(&format!("'{text}' is not an IPv6 address")));
    }
    if let Some(text) = &address.source_nat_prefix {
        let block = text.strip_suffix("/80");
        let good =
            text == "auto_assigned" || block.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
        if !good {
            return Err(validation(&format!(
                "'{text}' is not an IPv6 prefix with 80 bits"
            )));
        }
    }
    Ok(())
}

/// Whether an address is in an IPv4 block.
pub(super) fn contains(cidr: &str, ip: Ipv4Addr) -> bool {
    bounds(cidr).is_some_and(|(first, last)| (first..=last).contains(&u32::from(ip)))
}

/// Whether an address can be given away: AWS keeps the first four of a block and the last one.
fn is_usable(cidr: &str, ip: Ipv4Addr) -> bool {
    bounds(cidr)
        .is_some_and(|(first, last)| (first.saturating_add(4)..last).contains(&u32::from(ip)))
}

fn bounds(cidr: &str) -> Option<(u32, u32)> {
    let (address, length) = cidr.split_once('/')?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
    let first = u32::from(address.parse::<Ipv4Addr>().ok()?) & !hosts;
    Some((first, first | hosts))
}

#[cfg(test)]
#[path = "load_balancer_subnets_tests.rs"]
mod tests;
