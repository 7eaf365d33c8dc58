//! Making VPCs, subnets and security groups, and giving them IPv6 blocks.

use super::addresses::AddressPool;
use super::network::{
    SecurityGroup, Subnet, Vpc, VpcDns, default_group, main_table, no_subnet, no_vpc,
};
use super::select::Tags;
use super::{Caller, World, cidr};
use crate::AwsError;

/// What `CreateSubnet` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSubnet {
    /// The VPC.
    pub vpc_id: String,
    /// The IPv4 block; missing in a subnet with IPv6 alone.
    pub cidr: Option<String>,
    /// The IPv6 block, a /64 of the VPC's.
    pub ipv6: Option<String>,
    /// The zone, by name or id; without one AWS chooses.
    pub zone: Option<String>,
    /// Tags.
    pub tags: Tags,
}

impl World {
    /// Makes a VPC with its default security group.
    pub fn create_vpc(&mut self, caller: &Caller, cidr: &str, tags: Tags) -> Result<Vpc, AwsError> {
        check_cidr(cidr)?;
        let vpc = Vpc {
            id: self.ids.ec2("vpc-"),
            cidr: cidr.to_owned(),
            ipv6: None,
            is_default: false,
            dns: VpcDns::default(),
            tags,
        };
        let group = default_group(self.ids.ec2("sg-"), &vpc.id);
        let table = main_table(self.ids.ec2("rtb-"), &vpc.id);
        let place = self.place(caller);
        place.route_tables.insert(table.id.clone(), table);
        place.security_groups.insert(group.id.clone(), group);
        place.vpcs.insert(vpc.id.clone(), vpc.clone());
        Ok(vpc)
    }

    /// Gives a VPC an IPv6 block of AWS's choice: here a /56 of the block for documentation. It keeps the one it has.
    pub fn associate_vpc_ipv6(&mut self, caller: &Caller, vpc_id: &str) -> Result<Vpc, AwsError> {
        let number = self.ids.fixed_number(&["ipv6", vpc_id]);
        let vpc = self.place(caller).vpcs.get_mut(vpc_id);
        let vpc = vpc.ok_or_else(|| no_vpc(vpc_id))?;
        if vpc.ipv6.is_none() {
            let (high, low) = ((number >> 16) & 0xffff, number & 0xff00);
            vpc.ipv6 = Some(format!("2001:db8:{high:x}:{low:x}::/56"));
        }
        Ok(vpc.clone())
    }

    /// Makes a subnet.
    pub fn create_subnet(&mut self, caller: &Caller, new: NewSubnet) -> Result<Subnet, AwsError> {
        if let Some(cidr) = &new.cidr {
            check_cidr(cidr)?;
        }
        let zones = self.zones(&caller.account, &caller.region);
        let zone = match &new.zone {
            Some(asked) => zones
                .into_iter()
                .find(|zone| zone.name == *asked || zone.id.as_str() == asked)
                .ok_or_else(|| AwsError::bad_value("availabilityZone", asked))?,
            None => zones
                .into_iter()
                .next()
                .ok_or_else(|| AwsError::not_modelled("a Region without zones"))?,
        };
        let id = self.ids.ec2("subnet-");
        let place = self.place(caller);
        let vpc = place.vpcs.get(&new.vpc_id);
        let vpc = vpc.ok_or_else(|| no_vpc(&new.vpc_id))?;
        let ipv6 = match &new.ipv6 {
            Some(block) => Some(ipv6_block(vpc, block)?),
            None if new.cidr.is_none() => return Err(AwsError::missing("cidrBlock")),
            None => None,
        };
        let cidr = new.cidr.unwrap_or_default();
        let block = cidr::V4::parse(&cidr);
        let outer = cidr::V4::parse(&vpc.cidr);
        if block.is_some_and(|block| !outer.is_some_and(|outer| outer.covers(block))) {
            return Err(AwsError::new(
                "InvalidSubnet.Range",
                format!("The CIDR '{cidr}' is invalid."),
            ));
        }
        let overlaps = |other: &Subnet| {
            let other = cidr::V4::parse(&other.cidr);
            let both = block.zip(other);
            both.is_some_and(|(one, other)| one.covers(other) || other.covers(one))
        };
        let clash = place.subnets.values().any(|subnet| {
            subnet.vpc_id == new.vpc_id
                && (overlaps(subnet) || (ipv6.is_some() && subnet.ipv6 == ipv6))
        });
        if clash {
            return Err(AwsError::new(
                "InvalidSubnet.Conflict",
                format!("The CIDR '{cidr}' conflicts with another subnet"),
            ));
        }
        let subnet = Subnet {
            id,
            vpc_id: new.vpc_id,
            cidr,
            ipv6,
            pool: AddressPool::default(),
            zone: zone.id,
            is_default: false,
            tags: new.tags,
        };
        place.subnets.insert(subnet.id.clone(), subnet.clone());
        Ok(subnet)
    }

    /// Gives a subnet an IPv6 block.
    pub fn associate_subnet_ipv6(
        &mut self,
        caller: &Caller,
        subnet_id: &str,
        block: &str,
    ) -> Result<Subnet, AwsError> {
        let place = self.place(caller);
        let subnet = place.subnets.get(subnet_id);
        let subnet = subnet.ok_or_else(|| no_subnet(subnet_id))?;
        let vpc = place.vpcs.get(&subnet.vpc_id);
        let block = ipv6_block(vpc.ok_or_else(|| no_vpc(&subnet.vpc_id))?, block)?;
        if subnet.ipv6.is_some()
            || place
                .subnets
                .values()
                .any(|s| s.ipv6.as_ref() == Some(&block))
        {
            return Err(AwsError::new(
                "InvalidSubnet.Conflict",
                format!("The CIDR '{block}' conflicts with another subnet"),
            ));
        }
        let Some(subnet) = place.subnets.get_mut(subnet_id) else {
            return Err(no_subnet(subnet_id));
        };
        subnet.ipv6 = Some(block);
        Ok(subnet.clone())
    }

    /// Makes a security group, in the default VPC when none is named.
    pub fn create_security_group(
        &mut self,
        caller: &Caller,
        name: &str,
        description: &str,
        vpc_id: Option<&str>,
        tags: Tags,
    ) -> Result<SecurityGroup, AwsError> {
        let id = self.ids.ec2("sg-");
        let place = self.place(caller);
        let vpc = match vpc_id {
            Some(id) => place.vpcs.get(id).ok_or_else(|| no_vpc(id))?,
            None => place
                .vpcs
                .values()
                .find(|vpc| vpc.is_default)
                .ok_or_else(|| {
                    AwsError::new("VPCIdNotSpecified", "No default VPC for this user")
                })?,
        };
        let vpc_id = vpc.id.clone();
        if place
            .security_groups
            .values()
            .any(|group| group.vpc_id == vpc_id && group.name == name)
        {
            return Err(AwsError::new(
                "InvalidGroup.Duplicate",
                format!("The security group '{name}' already exists for VPC '{vpc_id}'"),
            ));
        }
        let group = SecurityGroup {
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            vpc_id,
            tags,
        };
        place
            .security_groups
            .insert(group.id.clone(), group.clone());
        Ok(group)
    }
}

/// A /64 inside the block of the VPC.
fn ipv6_block(vpc: &Vpc, text: &str) -> Result<String, AwsError> {
    let outer = vpc.ipv6.as_deref().and_then(cidr::V6::parse);
    match (outer, cidr::V6::parse(text)) {
        (Some(outer), Some(block)) if outer.covers(block) && block.bits() == 64 => {
            Ok(block.canonical())
        }
        (_, None) => Err(AwsError::bad_value("ipv6CidrBlock", text)),
        _ => Err(AwsError::new(
            "InvalidSubnet.Range",
            format!("The CIDR '{text}' is invalid: it is not a /64 of the VPC's IPv6 block"),
        )),
    }
}

fn check_cidr(text: &str) -> Result<(), AwsError> {
    let length = text.split_once('/').and_then(|(_, bits)| bits.parse().ok());
    let good =
        cidr::V4::parse(text).is_some() && length.is_some_and(|bits: u8| (16..=28).contains(&bits));
    if good {
        Ok(())
    } else {
        Err(AwsError::bad_value("cidrBlock", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{CONSUMER, caller, world};

    #[test]
    fn a_subnet_lies_inside_its_vpc_and_beside_the_others() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let vpc = world.create_vpc(&me, "10.0.0.0/16", Tags::new()).unwrap();
        let mut create = |cidr: &str| {
            let new = NewSubnet {
                vpc_id: vpc.id.clone(),
                cidr: Some(cidr.to_owned()),
                ..NewSubnet::default()
            };
            world.create_subnet(&me, new).map_err(|error| error.code)
        };
        assert_eq!(create("10.1.0.0/24").unwrap_err(), "InvalidSubnet.Range");
        create("10.0.0.0/24").unwrap();
        for taken in ["10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"] {
            assert_eq!(create(taken).unwrap_err(), "InvalidSubnet.Conflict");
        }
        create("10.0.1.0/24").unwrap();
    }

    #[test]
    fn ipv6_blocks_come_from_the_vpc() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let vpc = world.create_vpc(&me, "10.0.0.0/16", Tags::new()).unwrap();
        let new = |ipv6: Option<&str>| NewSubnet {
            vpc_id: vpc.id.clone(),
            ipv6: ipv6.map(str::to_owned),
            ..NewSubnet::default()
        };
        let error = world.create_subnet(&me, new(None)).unwrap_err();
        assert_eq!(error.code, "MissingParameter");
        let error = world
            .create_subnet(&me, new(Some("2001:db8::/64")))
            .unwrap_err();
        assert_eq!(error.code, "InvalidSubnet.Range", "the VPC has none");
        let outer = world
            .associate_vpc_ipv6(&me, &vpc.id)
            .unwrap()
            .ipv6
            .unwrap();
        assert_eq!(
            world
                .associate_vpc_ipv6(&me, &vpc.id)
                .unwrap()
                .ipv6
                .unwrap(),
            outer
        );
        let inner = outer.replace("/56", "/64");
        let made = world.create_subnet(&me, new(Some(&inner))).unwrap();
        assert_eq!((made.cidr.as_str(), made.ipv6), ("", Some(inner.clone())));
        let error = world.create_subnet(&me, new(Some(&inner))).unwrap_err();
        assert_eq!(error.code, "InvalidSubnet.Conflict");
        let error = world.create_subnet(&me, new(Some(&outer))).unwrap_err();
        assert_eq!(error.code, "InvalidSubnet.Range", "a /56 is no /64");
    }
}
