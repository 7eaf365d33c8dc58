//! VPCs, subnets and security groups on the wire.

use privatelink::AccountId;

use super::write_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::network::{SecurityGroup, Subnet, Vpc};
use crate::world::network_creation::NewSubnet;
use crate::world::regions::{Zone, partition};
use crate::world::{Caller, World};

pub(super) fn create_vpc(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&[
        "Ipv6CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv6IpamPoolId",
        "Ipv6Pool",
        "VpcEncryptionControl",
    ])?;
    let ipv6 = p.flag("AmazonProvidedIpv6CidrBlock")? == Some(true);
    p.ignore(&["InstanceTenancy"]);
    let cidr = p.required("CidrBlock")?;
    let tags = p.tag_specifications("vpc")?;
    p.finish_ec2()?;
    let mut vpc = world.create_vpc(me, &cidr, tags)?;
    if ipv6 {
        vpc = world.associate_vpc_ipv6(me, &vpc.id)?;
    }
    Ok(Xml::fragment(|xml| {
        xml.node("vpc", |xml| write_vpc(xml, me, &vpc));
    }))
}

pub(super) fn vpcs(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("VpcId")?, p.filters()?, p.paging_within(5, 1_000)?);
    p.finish_ec2()?;
    let page = world.vpcs(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("vpcSet", &page.items, |xml, vpc| write_vpc(xml, me, vpc));
        xml.optional("nextToken", page.next);
    }))
}

/// One attribute at a time, as on AWS.
pub(super) fn modify_vpc(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&["EnableNetworkAddressUsageMetrics"])?;
    let id = p.required("VpcId")?;
    let value = |name: &str| match p.inside(name) {
        Some(inside) => {
            let value = inside.flag("Value")?;
            inside.finish()?;
            Ok::<_, AwsError>(value)
        }
        None => Ok(None),
    };
    let (hostnames, support) = (value("EnableDnsHostnames")?, value("EnableDnsSupport")?);
    p.finish_ec2()?;
    if hostnames.is_some() == support.is_some() {
        return Err(AwsError::new(
            "InvalidParameterCombination",
            "Exactly one of EnableDnsHostnames and EnableDnsSupport must be given",
        ));
    }
    world.set_vpc_dns(me, &id, hostnames, support)?;
    Ok(super::write_return())
}

pub(super) fn vpc_attribute(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (id, attribute) = (p.required("VpcId")?, p.required("Attribute")?);
    p.finish_ec2()?;
    let dns = world.set_vpc_dns(me, &id, None, None)?;
    let value = match attribute.as_str() {
        "enableDnsHostnames" => dns.hostnames,
        "enableDnsSupport" => dns.support,
        "enableNetworkAddressUsageMetrics" => {
            return Err(AwsError::not_modelled(&format!(
                "The attribute {attribute}"
            )));
        }
        other => return Err(AwsError::bad_value("Attribute", other)),
    };
    Ok(Xml::fragment(|xml| {
        xml.leaf("vpcId", &id);
        xml.node(&attribute, |xml| xml.leaf("value", value));
    }))
}

pub(super) fn create_subnet(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&["OutpostArn", "Ipv4IpamPoolId", "Ipv6IpamPoolId"])?;
    let native = p.flag("Ipv6Native")? == Some(true);
    let new = NewSubnet {
        vpc_id: p.required("VpcId")?,
        cidr: p.text("CidrBlock"),
        ipv6: p.text("Ipv6CidrBlock"),
        zone: p.text("AvailabilityZone").or(p.text("AvailabilityZoneId")),
        tags: p.tag_specifications("subnet")?,
    };
    p.finish_ec2()?;
    if native == new.cidr.is_some() {
        return Err(if native {
            AwsError::new(
                "InvalidParameterCombination",
                "An IPv6-native subnet has no IPv4 block",
            )
        } else {
            AwsError::missing("cidrBlock")
        });
    }
    let subnet = world.create_subnet(me, new)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.node("subnet", |xml| write_subnet(xml, me, &zones, &subnet));
    }))
}

pub(super) fn subnets(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (
        p.list("SubnetId")?,
        p.filters()?,
        p.paging_within(5, 1_000)?,
    );
    p.finish_ec2()?;
    let page = world.subnets(me, &ids, &filters, &paging)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.items("subnetSet", &page.items, |xml, subnet| {
            write_subnet(xml, me, &zones, subnet);
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn create_security_group(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (name, description) = (p.required("GroupName")?, p.required("GroupDescription")?);
    let vpc = p.text("VpcId");
    let tags = p.tag_specifications("security-group")?;
    p.finish_ec2()?;
    let group = world.create_security_group(me, &name, &description, vpc.as_deref(), tags)?;
    Ok(Xml::fragment(|xml| {
        xml.leaf("return", true);
        xml.leaf("groupId", &group.id);
        write_tags(xml, &group.tags);
        xml.leaf("securityGroupArn", arn(me, "security-group", &group.id));
    }))
}

pub(super) fn security_groups(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&["GroupName"])?;
    let (ids, filters, paging) = (p.list("GroupId")?, p.filters()?, p.paging_within(5, 1_000)?);
    p.finish_ec2()?;
    let page = world.security_groups(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("securityGroupInfo", &page.items, |xml, group| {
            write_group(xml, me, group);
        });
        xml.optional("nextToken", page.next);
    }))
}

fn write_vpc(xml: &mut Xml, me: &Caller, vpc: &Vpc) {
    xml.leaf("vpcId", &vpc.id);
    xml.leaf("ownerId", &me.account);
    xml.leaf("state", "available");
    xml.leaf("cidrBlock", &vpc.cidr);
    if let Some(block) = &vpc.ipv6 {
        write_ipv6(xml, &vpc.id, block);
    }
    xml.items("cidrBlockAssociationSet", [&vpc.cidr], |xml, block| {
        let id = vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1);
        xml.leaf("associationId", id);
        xml.leaf("cidrBlock", block);
        xml.node("cidrBlockState", |xml| xml.leaf("state", "associated"));
    });
    xml.leaf("instanceTenancy", "default");
    xml.leaf("isDefault", vpc.is_default);
    write_tags(xml, &vpc.tags);
}

fn write_ipv6(xml: &mut Xml, owner: &str, block: &str) {
    xml.items("ipv6CidrBlockAssociationSet", [block], |xml, block| {
        write_ipv6_association(xml, owner, block);
    });
}

fn write_ipv6_association(xml: &mut Xml, owner: &str, block: &str) {
    let (kind, tail) = owner.split_once('-').unwrap_or(("vpc", owner));
    xml.leaf("associationId", format!("{kind}-cidr-assoc-{tail}"));
    xml.leaf("ipv6CidrBlock", block);
    xml.node("ipv6CidrBlockState", |xml| xml.leaf("state", "associated"));
}

/// The one block that the simulator gives is AWS's; others cannot be asked for.
pub(super) fn associate_vpc(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let id = p.required("VpcId")?;
    if p.flag("AmazonProvidedIpv6CidrBlock")? != Some(true) {
        return Err(AwsError::not_modelled(
            "AssociateVpcCidrBlock without AmazonProvidedIpv6CidrBlock",
        ));
    }
    p.finish_ec2()?;
    let vpc = world.associate_vpc_ipv6(me, &id)?;
    Ok(Xml::fragment(|xml| {
        xml.node("ipv6CidrBlockAssociation", |xml| {
            write_ipv6_association(xml, &vpc.id, vpc.ipv6.as_deref().unwrap_or_default());
        });
        xml.leaf("vpcId", &vpc.id);
    }))
}

pub(super) fn associate_subnet(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (id, block) = (p.required("SubnetId")?, p.required("Ipv6CidrBlock")?);
    p.finish_ec2()?;
    let subnet = world.associate_subnet_ipv6(me, &id, &block)?;
    Ok(Xml::fragment(|xml| {
        xml.node("ipv6CidrBlockAssociation", |xml| {
            write_ipv6_association(xml, &subnet.id, subnet.ipv6.as_deref().unwrap_or_default());
        });
        xml.leaf("subnetId", &subnet.id);
    }))
}

fn write_subnet(xml: &mut Xml, me: &Caller, zones: &[Zone], subnet: &Subnet) {
    let zone = zones.iter().find(|zone| zone.id == subnet.zone);
    xml.leaf("subnetId", &subnet.id);
    xml.leaf("subnetArn", arn(me, "subnet", &subnet.id));
    xml.leaf("state", "available");
    xml.leaf("ownerId", &me.account);
    xml.leaf("vpcId", &subnet.vpc_id);
    if !subnet.cidr.is_empty() {
        xml.leaf("cidrBlock", &subnet.cidr);
    }
    xml.leaf("availableIpAddressCount", subnet.available());
    if let Some(block) = &subnet.ipv6 {
        write_ipv6(xml, &subnet.id, block);
    }
    xml.leaf("ipv6Native", subnet.cidr.is_empty());
    xml.optional("availabilityZone", zone.map(|zone| &zone.name));
    xml.leaf("availabilityZoneId", &subnet.zone);
    xml.leaf("defaultForAz", subnet.is_default);
    xml.leaf("mapPublicIpOnLaunch", subnet.is_default);
    write_tags(xml, &subnet.tags);
}

fn write_group(xml: &mut Xml, me: &Caller, group: &SecurityGroup) {
    xml.leaf("ownerId", &me.account);
    xml.leaf("groupId", &group.id);
    xml.leaf("groupName", &group.name);
    xml.leaf("groupDescription", &group.description);
    xml.leaf("vpcId", &group.vpc_id);
    xml.leaf("securityGroupArn", arn(me, "security-group", &group.id));
    write_rules(xml, me, group);
    write_tags(xml, &group.tags);
}

/// The rules that AWS gives a group at birth; no action changes them. The default group of a VPC lets its own members in.
fn write_rules(xml: &mut Xml, me: &Caller, group: &SecurityGroup) {
    let own = (group.name == "default").then_some(&group.id);
    xml.items("ipPermissions", own, |xml, id| {
        write_rule(xml, Some((&me.account, id)), None);
    });
    xml.items("ipPermissionsEgress", ["0.0.0.0/0"], |xml, everywhere| {
        write_rule(xml, None, Some(everywhere));
    });
}

/// A rule for every protocol, which is why it has no ports.
fn write_rule(xml: &mut Xml, from: Option<(&AccountId, &String)>, cidr: Option<&str>) {
    xml.leaf("ipProtocol", "-1");
    xml.items("groups", from, |xml, (account, id)| {
        xml.leaf("userId", account);
        xml.leaf("groupId", id);
    });
    xml.items("ipRanges", cidr, |xml, cidr| xml.leaf("cidrIp", cidr));
    xml.node("ipv6Ranges", |_| {});
    xml.node("prefixListIds", |_| {});
}

fn arn(me: &Caller, kind: &str, id: &str) -> String {
    format!(
        "arn:{}:ec2:{}:{}:{kind}/{id}",
        partition(&me.region),
        me.region,
        me.account
    )
}
