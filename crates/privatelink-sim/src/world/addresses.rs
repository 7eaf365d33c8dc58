//! The addresses of endpoint network interfaces: chosen by AWS, or fixed by the request.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::ids::{hash, mix};
use super::network::Subnet;
use super::{Place, cidr};
use crate::AwsError;

/// What a `SubnetConfiguration.N` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SubnetAddresses {
    /// The subnet.
    pub subnet: String,
    /// The IPv4 address.
    pub ipv4: Option<String>,
    /// The IPv6 address.
    pub ipv6: Option<String>,
}

/// The addresses of one network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
}

impl Addresses {
    /// The block of 16 around the IPv4 address.
    pub fn ipv4_prefix(self) -> Option<String> {
        let block = cidr::V4::parse(&format!("{}/28", self.ipv4?))?;
        Some(block.canonical())
    }

    /// The /80 around the IPv6 address.
    pub fn ipv6_prefix(self) -> Option<String> {
        let block = cidr::V6::parse(&format!("{}/80", self.ipv6?))?;
        Some(block.canonical())
    }
}

/// AWS keeps the first four addresses of a subnet and the last one.
const RESERVED_FIRST: u32 = 4;

/// The IPv4 addresses that AWS gave out in a subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPool {
    next: u32,
    taken: BTreeSet<Ipv4Addr>,
}

impl AddressPool {
    /// The next free address. A full subnet gives out addresses twice: like every quota, this one is not enforced.
    fn take(&mut self, block: cidr::V4) -> Ipv4Addr {
        let usable = block.size().saturating_sub(RESERVED_FIRST + 1).max(1);
        let full = self.taken.len() >= usize::try_from(usable).unwrap_or(usize::MAX);
        loop {
            let at = block.nth(RESERVED_FIRST + self.next % usable);
            self.next = self.next.wrapping_add(1);
            if full || self.taken.insert(at) {
                return at;
            }
        }
    }
}

impl Subnet {
    /// How many IPv4 addresses are left to give out.
    pub fn available(&self) -> usize {
        let usable = cidr::V4::parse(&self.cidr)
            .map_or(0, |block| block.size().saturating_sub(RESERVED_FIRST + 1));
        let usable = usize::try_from(usable).unwrap_or(usize::MAX);
        usable.saturating_sub(self.pool.taken.len())
    }
}

/// Checks fixed addresses and that the subnets have the addresses the endpoint's type needs.
pub(super) fn check_addresses(
    place: &Place,
    subnets: &[String],
    fixed: &[SubnetAddresses],
    ip_address_type: &str,
) -> Result<(), AwsError> {
    let refuse = |why: String| Err(AwsError::new("InvalidParameter", why));
    for id in subnets {
        let Some(subnet) = place.subnets.get(id) else {
            continue;
        };
        let has = (!subnet.cidr.is_empty(), subnet.ipv6.is_some());
        let good = match ip_address_type {
            "ipv4" => has.0,
            // Documented: only subnets without IPv4.
            "ipv6" => has == (false, true),
            _ => has == (true, true),
        };
        if !good {
            return refuse(format!(
                "The subnet {id} does not support endpoints with the IP address type {ip_address_type}"
            ));
        }
    }
    let mut seen = BTreeSet::new();
    for wanted in fixed {
        let Some(subnet) = place
            .subnets
            .get(&wanted.subnet)
            .filter(|subnet| subnets.contains(&subnet.id))
        else {
            return refuse(format!(
                "The subnet {} of a subnet configuration is not one of the endpoint's subnets",
                wanted.subnet
            ));
        };
        if !seen.insert(&wanted.subnet) {
            return refuse(format!(
                "The subnet {} has two subnet configurations",
                wanted.subnet
            ));
        }
        let needs = (ip_address_type != "ipv6", ip_address_type != "ipv4");
        if needs != (wanted.ipv4.is_some(), wanted.ipv6.is_some()) {
            return refuse(format!(
                "The subnet configuration of {} must have the addresses of an endpoint with the IP address type {ip_address_type}",
                wanted.subnet
            ));
        }
        check_fixed(place, subnet, wanted)?;
    }
    Ok(())
}

fn check_fixed(place: &Place, subnet: &Subnet, wanted: &SubnetAddresses) -> Result<(), AwsError> {
    let outside = |address: &str| {
        AwsError::new(
            "InvalidParameterValue",
            format!("Address {address} does not fall within the subnet's address range"),
        )
    };
    let in_use = |address: &str| {
        AwsError::new(
            "InvalidIPAddress.InUse",
            format!("Address {address} is in use."),
        )
    };
    let live = || {
        let all = place.endpoints.values();
        all.flat_map(|endpoint| endpoint.addresses.iter())
    };
    if let Some(text) = &wanted.ipv4 {
        let address: Ipv4Addr = text
            .parse()
            .map_err(|_| AwsError::bad_value("SubnetConfiguration.Ipv4", text))?;
        let block = cidr::V4::parse(&subnet.cidr).ok_or_else(|| outside(text))?;
        let usable = RESERVED_FIRST..block.size().saturating_sub(1);
        if !block.offset(address).is_some_and(|at| usable.contains(&at)) {
            return Err(outside(text));
        }
        if subnet.pool.taken.contains(&address) {
            return Err(in_use(text));
        }
    }
    if let Some(text) = &wanted.ipv6 {
        let address: Ipv6Addr = text
            .parse()
            .map_err(|_| AwsError::bad_value("SubnetConfiguration.Ipv6", text))?;
        let block = subnet.ipv6.as_deref().and_then(cidr::V6::parse);
        if !block.is_some_and(|block| block.contains(address)) {
            return Err(outside(text));
        }
        if live().any(|used| used.ipv6 == Some(address)) {
            return Err(in_use(text));
        }
    }
    Ok(())
}

/// Gives an interface its addresses in a subnet: the fixed ones, or the next free.
pub(super) fn assign(
    subnet: &mut Subnet,
    interface: &str,
    fixed: &[SubnetAddresses],
    ip_address_type: &str,
) -> Addresses {
    let fixed = fixed.iter().find(|wanted| wanted.subnet == subnet.id);
    if let Some(wanted) = fixed {
        let addresses = Addresses {
            ipv4: wanted.ipv4.as_ref().and_then(|text| text.parse().ok()),
            ipv6: wanted.ipv6.as_ref().and_then(|text| text.parse().ok()),
        };
        subnet.pool.taken.extend(addresses.ipv4);
        return addresses;
    }
    let v4 = cidr::V4::parse(&subnet.cidr).filter(|_| ip_address_type != "ipv6");
    let v6 = subnet.ipv6.as_deref().and_then(cidr::V6::parse);
    Addresses {
        ipv4: v4.map(|block| subnet.pool.take(block)),
        ipv6: v6
            .filter(|_| ip_address_type != "ipv4")
            .map(|block| block.nth(mix(hash(interface)))),
    }
}

/// Gives the addresses of an interface back.
pub(super) fn release(subnet: Option<&mut Subnet>, addresses: Option<&Addresses>) {
    if let (Some(subnet), Some(address)) = (subnet, addresses.and_then(|a| a.ipv4)) {
        subnet.pool.taken.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_skips_what_aws_keeps_and_what_is_taken() {
        let block = cidr::V4::parse("10.0.0.0/28").unwrap();
        let mut pool = AddressPool::default();
        pool.taken.insert(Ipv4Addr::new(10, 0, 0, 5));
        let given: Vec<String> = (0..10).map(|_| pool.take(block).to_string()).collect();
        assert_eq!(given[..2], ["10.0.0.4", "10.0.0.6"]);
        let all: BTreeSet<&String> = given.iter().collect();
        assert_eq!(all.len(), 10);
        assert!(!all.contains(&"10.0.0.15".to_owned()));
        let again = pool.take(block).to_string();
        assert!(again.starts_with("10.0.0."), "a full subnet goes on giving");
    }
}
