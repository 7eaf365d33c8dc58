//! Load balancers on the wire.

use super::read_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::gateway_load_balancers::is_gateway;
use crate::world::load_balancers::{LoadBalancer, NewLoadBalancer};
use crate::world::regions::Zone;
use crate::world::{Caller, World};

/// AWS takes at most this many ARNs in one Describe.
const MAX_ARNS: usize = 20;

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    match p.text("Type").as_deref() {
        Some("network") => {}
        Some("gateway") => return super::gateway::create(world, me, p),
        None => {
            return Err(AwsError::not_modelled(
                "A load balancer of type application (the default type)",
            ));
        }
        Some(kind) => {
            return Err(AwsError::not_modelled(&format!(
                "A load balancer of type {kind}"
            )));
        }
    }
    p.not_modelled(&[
        "CustomerOwnedIpv4Pool",
        "EnablePrefixForIpv6SourceNat",
        "IpamPools",
    ])?;
    let mut subnets = p.members("Subnets")?;
    for mapping in p.member_structures("SubnetMappings")? {
        mapping.not_modelled(&[
            "AllocationId",
            "PrivateIPv4Address",
            "IPv6Address",
            "SourceNatIpv6Prefix",
        ])?;
        subnets.push(mapping.required("SubnetId")?);
        mapping.finish()?;
    }
    let new = NewLoadBalancer {
        name: p.required("Name")?,
        scheme: p.text("Scheme"),
        ip_address_type: p.text("IpAddressType"),
        subnets,
        security_groups: p.members("SecurityGroups")?,
        tags: read_tags(p)?,
    };
    p.finish()?;
    let balancer = world.create_load_balancer(me, new)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.members("LoadBalancers", [&balancer], |xml, lb| {
            write(xml, me, &zones, lb);
        });
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arns, names) = (p.members("LoadBalancerArns")?, p.members("Names")?);
    if arns.len() > MAX_ARNS {
        return Err(AwsError::new(
            "ValidationError",
            format!("At most {MAX_ARNS} load balancers in one call"),
        ));
    }
    let rows = world.load_balancers(me, &arns, &names)?;
    let (rows, next) = super::page(p, world.behavior.page_size_limit, rows)?;
    p.finish()?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.members("LoadBalancers", &rows, |xml, lb| write(xml, me, &zones, lb));
        xml.optional("NextMarker", next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    p.finish()?;
    world.delete_load_balancer(me, &arn)?;
    Ok(String::new())
}

pub(super) fn write(xml: &mut Xml, me: &Caller, zones: &[Zone], lb: &LoadBalancer) {
    xml.leaf("LoadBalancerArn", &lb.arn);
    let gateway = is_gateway(&lb.arn);
    if !gateway {
        xml.leaf("DNSName", lb.dns_name());
        xml.leaf("CanonicalHostedZoneId", "Z2IFOLAFXWLO4F");
    }
    xml.leaf("CreatedTime", time(lb.created_at));
    xml.leaf("LoadBalancerName", &lb.name);
    if !gateway {
        xml.leaf("Scheme", &lb.scheme);
    }
    xml.leaf("VpcId", &lb.vpc_id);
    xml.node("State", |xml| xml.leaf("Code", lb.state_at(me.now)));
    xml.leaf("Type", if gateway { "gateway" } else { "network" });
    xml.members("AvailabilityZones", &lb.subnets, |xml, (zone, subnet)| {
        let name = zones.iter().find(|z| z.id == *zone).map(|z| &z.name);
        xml.optional("ZoneName", name);
        xml.leaf("SubnetId", subnet);
        xml.node("LoadBalancerAddresses", |_| {});
    });
    if !lb.security_groups.is_empty() {
        xml.node("SecurityGroups", |xml| {
            for group in &lb.security_groups {
                xml.leaf("member", group);
            }
        });
        xml.leaf("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "on");
    }
    xml.leaf("IpAddressType", &lb.ip_address_type);
}
