//! VPCs, subnets and security groups: as much of them as endpoints and load balancers stand on.

use std::collections::BTreeMap;

use privatelink::{AccountId, AvailabilityZoneId, Region};
use serde::{Deserialize, Serialize};

use super::addresses::AddressPool;
use super::ids::IdSource;
use super::route_tables::RouteTable;
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, Place, World, regions};
use crate::AwsError;

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// The IPv4 block.
    pub cidr: String,
    /// The IPv6 block, when one was asked for.
    #[serde(default)]
    pub ipv6: Option<String>,
    /// Whether AWS made it with the account.
    pub is_default: bool,
    /// Whether names resolve in it.
    #[serde(default)]
    pub dns: VpcDns,
    /// The owner's tags.
    pub tags: Tags,
}

/// The two DNS attributes of a VPC. A new VPC resolves names and gives none; the default VPC does both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcDns {
    /// `enableDnsHostnames`.
    pub hostnames: bool,
    /// `enableDnsSupport`.
    pub support: bool,
}

impl Default for VpcDns {
    fn default() -> Self {
        Self {
            hostnames: false,
            support: true,
        }
    }
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// The VPC it is part of.
    pub vpc_id: String,
    /// The IPv4 block; empty in a subnet with IPv6 alone.
    pub cidr: String,
    /// The IPv6 block.
    #[serde(default)]
    pub ipv6: Option<String>,
    /// The addresses that were given out.
    #[serde(default)]
    pub pool: AddressPool,
    /// The zone, by id.
    pub zone: AvailabilityZoneId,
    /// Whether AWS made it with the account.
    pub is_default: bool,
    /// The owner's tags.
    pub tags: Tags,
}

/// A security group. Its rules are not modelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Unique in the VPC.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The VPC it is part of.
    pub vpc_id: String,
    /// The owner's tags.
    pub tags: Tags,
}

/// What an account has in a Region from the start: a VPC with one subnet per zone and a security group.
pub(super) fn default_place(ids: &IdSource, account: &AccountId, region: &Region) -> Place {
    let id =
        |prefix: &str, what: &str| ids.fixed(prefix, &[what, account.as_str(), region.as_str()]);
    let vpc = Vpc {
        id: id("vpc-", "default"),
        cidr: "172.31.0.0/16".to_owned(),
        ipv6: None,
        is_default: true,
        dns: VpcDns {
            hostnames: true,
            support: true,
        },
        tags: Tags::new(),
    };
    let group = default_group(id("sg-", "default"), &vpc.id);
    let mut place = Place::default();
    for (number, zone) in (0u8..).zip(regions::zones(ids, account, region)) {
        let subnet = Subnet {
            id: id("subnet-", zone.id.as_str()),
            vpc_id: vpc.id.clone(),
            cidr: format!("172.31.{}.0/20", number * 16),
            ipv6: None,
            pool: AddressPool::default(),
            zone: zone.id,
            is_default: true,
            tags: Tags::new(),
        };
        place.subnets.insert(subnet.id.clone(), subnet);
    }
    let table = main_table(id("rtb-", "default"), &vpc.id);
    place.route_tables.insert(table.id.clone(), table);
    place.security_groups.insert(group.id.clone(), group);
    place.vpcs.insert(vpc.id.clone(), vpc);
    place
}

pub(super) fn main_table(id: String, vpc_id: &str) -> RouteTable {
    RouteTable {
        id,
        vpc_id: vpc_id.to_owned(),
        is_main: true,
        routes: BTreeMap::new(),
        tags: Tags::new(),
    }
}

pub(super) fn default_group(id: String, vpc_id: &str) -> SecurityGroup {
    SecurityGroup {
        id,
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        vpc_id: vpc_id.to_owned(),
        tags: Tags::new(),
    }
}

impl World {
    /// Changes one DNS attribute of a VPC or both.
    pub fn set_vpc_dns(
        &mut self,
        caller: &Caller,
        vpc_id: &str,
        hostnames: Option<bool>,
        support: Option<bool>,
    ) -> Result<VpcDns, AwsError> {
        let vpc = self.place(caller).vpcs.get_mut(vpc_id);
        let dns = &mut vpc.ok_or_else(|| no_vpc(vpc_id))?.dns;
        dns.hostnames = hostnames.unwrap_or(dns.hostnames);
        dns.support = support.unwrap_or(dns.support);
        Ok(*dns)
    }

    /// Lists VPCs.
    pub fn vpcs(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<Vpc>, AwsError> {
        filters.check(&[
            "cidr",
            "cidr-block",
            "is-default",
            "owner-id",
            "state",
            "tag-key",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let rows = &self.place(caller).vpcs;
        all_exist(ids, |id| rows.contains_key(id), no_vpc)?;
        let after = paging.after("DescribeVpcs")?;
        let rows = rows.iter().filter(|(id, vpc)| {
            is_named(ids, id, after.as_deref())
                && filters.allow(&vpc.tags, |name| match name {
                    "vpc-id" => vec![vpc.id.clone()],
                    "cidr" | "cidr-block" => vec![vpc.cidr.clone()],
                    "is-default" => vec![vpc.is_default.to_string()],
                    "owner-id" => vec![caller.account.to_string()],
                    "state" => vec!["available".to_owned()],
                    _ => Vec::new(),
                })
        });
        Ok(paging.take("DescribeVpcs", limit, rows).map(Clone::clone))
    }

    /// Lists subnets.
    pub fn subnets(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<Subnet>, AwsError> {
        filters.check(&[
            "availability-zone",
            "availability-zone-id",
            "cidr-block",
            "default-for-az",
            "owner-id",
            "state",
            "subnet-id",
            "tag-key",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let zones = self.zones(&caller.account, &caller.region);
        let rows = &self.place(caller).subnets;
        all_exist(ids, |id| rows.contains_key(id), no_subnet)?;
        let after = paging.after("DescribeSubnets")?;
        let rows = rows.iter().filter(|(id, subnet)| {
            is_named(ids, id, after.as_deref())
                && filters.allow(&subnet.tags, |name| match name {
                    "availability-zone" => zones
                        .iter()
                        .filter(|zone| zone.id == subnet.zone)
                        .map(|zone| zone.name.clone())
                        .collect(),
                    "availability-zone-id" => vec![subnet.zone.to_string()],
                    "cidr-block" => vec![subnet.cidr.clone()],
                    "default-for-az" => vec![subnet.is_default.to_string()],
                    "owner-id" => vec![caller.account.to_string()],
                    "state" => vec!["available".to_owned()],
                    "subnet-id" => vec![subnet.id.clone()],
                    "vpc-id" => vec![subnet.vpc_id.clone()],
                    _ => Vec::new(),
                })
        });
        Ok(paging
            .take("DescribeSubnets", limit, rows)
            .map(Clone::clone))
    }

    /// The names of the caller's security groups, by id.
    pub fn group_names(&mut self, caller: &Caller) -> BTreeMap<String, String> {
        let groups = self.place(caller).security_groups.values();
        groups
            .map(|group| (group.id.clone(), group.name.clone()))
            .collect()
    }

    /// Lists security groups.
    pub fn security_groups(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<SecurityGroup>, AwsError> {
        filters.check(&[
            "description",
            "group-id",
            "group-name",
            "owner-id",
            "tag-key",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let rows = &self.place(caller).security_groups;
        all_exist(ids, |id| rows.contains_key(id), no_group)?;
        let after = paging.after("DescribeSecurityGroups")?;
        let rows = rows.iter().filter(|(id, group)| {
            is_named(ids, id, after.as_deref())
                && filters.allow(&group.tags, |name| match name {
                    "description" => vec![group.description.clone()],
                    "group-id" => vec![group.id.clone()],
                    "group-name" => vec![group.name.clone()],
                    "owner-id" => vec![caller.account.to_string()],
                    "vpc-id" => vec![group.vpc_id.clone()],
                    _ => Vec::new(),
                })
        });
        Ok(paging
            .take("DescribeSecurityGroups", limit, rows)
            .map(Clone::clone))
    }
}

/// Whether a row is on the page: asked for by id (or nothing was asked for) and behind the last page's end.
pub(super) fn is_named(ids: &[String], id: &str, after: Option<&str>) -> bool {
    after.is_none_or(|last| id > last) && (ids.is_empty() || ids.iter().any(|asked| asked == id))
}

/// Fails the whole call on the first id that does not exist, as EC2 Describes do.
pub(super) fn all_exist(
    ids: &[String],
    exists: impl Fn(&String) -> bool,
    error: impl Fn(&str) -> AwsError,
) -> Result<(), AwsError> {
    ids.iter()
        .find(|id| !exists(id))
        .map_or(Ok(()), |id| Err(error(id)))
}

/// [`no_vpc`] for `CreateVpcEndpoint`, which alone spells the code so.
pub(super) fn no_vpc_for_endpoint(id: &str) -> AwsError {
    AwsError {
        code: "InvalidVpcId.NotFound".to_owned(),
        ..no_vpc(id)
    }
}

pub(super) fn no_vpc(id: &str) -> AwsError {
    AwsError::new(
        "InvalidVpcID.NotFound",
        format!("The vpc ID '{id}' does not exist"),
    )
}

pub(super) fn no_subnet(id: &str) -> AwsError {
    AwsError::new(
        "InvalidSubnetID.NotFound",
        format!("The subnet ID '{id}' does not exist"),
    )
}

pub(super) fn no_group(id: &str) -> AwsError {
    AwsError::new(
        "InvalidGroup.NotFound",
        format!("The security group '{id}' does not exist"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{caller, world};

    fn everything() -> (Filters, Paging) {
        (Filters::default(), Paging::default())
    }

    #[test]
    fn an_account_starts_with_a_default_vpc_and_a_subnet_in_each_zone() {
        let (mut world, me) = (world(), caller("111111111111"));
        let (filters, paging) = everything();
        let vpcs = world.vpcs(&me, &[], &filters, &paging).unwrap().items;
        let subnets = world.subnets(&me, &[], &filters, &paging).unwrap().items;
        let groups = world
            .security_groups(&me, &[], &filters, &paging)
            .unwrap()
            .items;
        assert_eq!((vpcs.len(), subnets.len(), groups.len()), (1, 3, 1));
        assert!(vpcs[0].is_default && subnets.iter().all(|s| s.vpc_id == vpcs[0].id));
    }

    #[test]
    fn one_accounts_network_is_unknown_to_another() {
        let mut world = world();
        let (me, other) = (caller("111111111111"), caller("222222222222"));
        let vpc = world.create_vpc(&me, "10.0.0.0/16", Tags::new()).unwrap();
        let (filters, paging) = everything();
        let error = world
            .vpcs(&other, &[vpc.id], &filters, &paging)
            .unwrap_err();
        assert_eq!(error.code, "InvalidVpcID.NotFound");
    }

    #[test]
    fn a_subnet_is_found_by_the_name_of_its_zone() {
        let (mut world, me) = (world(), caller("111111111111"));
        let filters = Filters::one("availability-zone", "eu-west-1b");
        let found = world
            .subnets(&me, &[], &filters, &Paging::default())
            .unwrap();
        assert_eq!(found.items.len(), 1);
    }

    #[test]
    fn a_cidr_that_is_none_is_refused() {
        let (mut world, me) = (world(), caller("111111111111"));
        for cidr in ["", "10.0.0.0", "10.0.0.0/8", "10.0.0.0/x", "300.0.0.0/16"] {
            let error = world.create_vpc(&me, cidr, Tags::new()).unwrap_err();
            assert_eq!(error.code, "InvalidParameterValue", "{cidr:?}");
        }
    }
}
