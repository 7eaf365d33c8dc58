//! VPCs, subnets and security groups on the wire.

use super::write_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::network::{SecurityGroup, Subnet, Vpc};
use crate::world::regions::{Zone, partition};
use crate::world::{Caller, World};

pub(super) fn create_vpc(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&[
        "AmazonProvidedIpv6CidrBlock",
        "Ipv6CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv6Pool",
    ])?;
    p.ignore(&["InstanceTenancy"]);
    let cidr = p.required("CidrBlock")?;
    let tags = p.tag_specifications("vpc")?;
    p.finish_ec2()?;
    let vpc = world.create_vpc(me, &cidr, tags)?;
    Ok(Xml::fragment(|xml| {
        xml.node("vpc", |xml| write_vpc(xml, me, &vpc));
    }))
}

pub(super) fn vpcs(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("VpcId")?, p.filters()?, p.paging(5)?);
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
    p.not_modelled(&[
        "Ipv6CidrBlock",
        "Ipv6Native",
        "OutpostArn",
        "Ipv4IpamPoolId",
    ])?;
    let (vpc, cidr) = (p.required("VpcId")?, p.required("CidrBlock")?);
    let zone = p.text("AvailabilityZone").or(p.text("AvailabilityZoneId"));
    let tags = p.tag_specifications("subnet")?;
    p.finish_ec2()?;
    let subnet = world.create_subnet(me, &vpc, &cidr, zone.as_deref(), tags)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.node("subnet", |xml| write_subnet(xml, me, &zones, &subnet));
    }))
}

pub(super) fn subnets(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("SubnetId")?, p.filters()?, p.paging(5)?);
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
    let (ids, filters, paging) = (p.list("GroupId")?, p.filters()?, p.paging(5)?);
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
    xml.leaf("instanceTenancy", "default");
    xml.leaf("isDefault", vpc.is_default);
    write_tags(xml, &vpc.tags);
}

fn write_subnet(xml: &mut Xml, me: &Caller, zones: &[Zone], subnet: &Subnet) {
    let zone = zones.iter().find(|zone| zone.id == subnet.zone);
    xml.leaf("subnetId", &subnet.id);
    xml.leaf("subnetArn", arn(me, "subnet", &subnet.id));
    xml.leaf("state", "available");
    xml.leaf("ownerId", &me.account);
    xml.leaf("vpcId", &subnet.vpc_id);
    xml.leaf("cidrBlock", &subnet.cidr);
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
    write_tags(xml, &group.tags);
}

fn arn(me: &Caller, kind: &str, id: &str) -> String {
    format!(
        "arn:{}:ec2:{}:{}:{kind}/{id}",
        partition(&me.region),
        me.region,
        me.account
    )
}
