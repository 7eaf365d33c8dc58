//! Load balancers on the wire.

use super::read_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::load_balancer_subnets::{NodeAddress, SubnetMapping, SubnetsChange};
use crate::world::load_balancers::{LoadBalancer, LoadBalancerKind, NewLoadBalancer, on_or_off};
use crate::world::regions::Zone;
use crate::world::{Caller, World};

const ENFORCE: &str = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic";
const PREFIX: &str = "EnablePrefixForIpv6SourceNat";

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let kind = match p.text("Type").as_deref() {
        Some("network") => LoadBalancerKind::Network,
        Some("application") | None => LoadBalancerKind::Application,
        Some("gateway") => return super::gateway::create(world, me, p),
        Some(other) => {
            return Err(AwsError::new(
                "ValidationError",
                format!("'{other}' is not a valid value for 'Type'"),
            ));
        }
    };
    p.not_modelled(&["CustomerOwnedIpv4Pool", "IpamPools"])?;
    let new = NewLoadBalancer {
        name: p.required("Name")?,
        kind,
        scheme: p.text("Scheme"),
        ip_address_type: p.text("IpAddressType"),
        subnets: p.members("Subnets")?,
        mappings: read_mappings(p)?,
        security_groups: p.members("SecurityGroups")?,
        source_nat_prefix: switch(p, PREFIX)?.unwrap_or(false),
        tags: read_tags(p)?,
    };
    if kind == LoadBalancerKind::Application {
        p.not_modelled(&["SubnetMappings", PREFIX])?;
    }
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
    super::check_named(&arns, &names)?;
    let rows = world.load_balancers(me, &arns, &names)?;
    let limit = world.behavior.page_size_limit;
    let page = super::page(p, "DescribeLoadBalancers", limit, rows, |lb| {
        lb.arn.to_string()
    })?;
    p.finish()?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.members("LoadBalancers", &page.items, |xml, lb| {
            write(xml, me, &zones, lb);
        });
        xml.optional("NextMarker", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    p.finish()?;
    world.delete_load_balancer(me, &arn)?;
    Ok(String::new())
}

pub(super) fn set_subnets(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    let change = SubnetsChange {
        subnets: p.members("Subnets")?,
        mappings: read_mappings(p)?,
        ip_address_type: p.text("IpAddressType"),
        source_nat_prefix: switch(p, PREFIX)?,
    };
    p.finish()?;
    let balancer = world.set_subnets(me, &arn, change)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        write_zones(xml, &zones, &balancer);
        xml.leaf("IpAddressType", &balancer.ip_address_type);
        xml.leaf(PREFIX, on_or_off(balancer.source_nat_prefix));
    }))
}

pub(super) fn set_security_groups(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    let (groups, enforce) = (p.members("SecurityGroups")?, p.text(ENFORCE));
    p.finish()?;
    let balancer = world.set_security_groups(me, &arn, groups, enforce.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("SecurityGroupIds", |xml| {
            for group in &balancer.security_groups {
                xml.leaf("member", group);
            }
        });
        xml.optional(ENFORCE, balancer.enforcement());
    }))
}

pub(super) fn set_ip_address_type(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, kind) = (p.required("LoadBalancerArn")?, p.required("IpAddressType")?);
    p.finish()?;
    let now = world.set_ip_address_type(me, &arn, &kind)?;
    Ok(Xml::fragment(|xml| xml.leaf("IpAddressType", now)))
}

fn read_mappings(p: &Params<'_>) -> Result<Vec<SubnetMapping>, AwsError> {
    let mappings = p.member_structures("SubnetMappings")?.into_iter();
    let mappings = mappings.map(|mapping| {
        let read = SubnetMapping {
            subnet_id: mapping.required("SubnetId")?,
            address: NodeAddress {
                allocation_id: mapping.text("AllocationId"),
                private_ipv4: mapping.text("PrivateIPv4Address"),
                ipv6: mapping.text("IPv6Address"),
                source_nat_prefix: mapping.text("SourceNatIpv6Prefix"),
            },
        };
        mapping.finish()?;
        Ok(read)
    });
    mappings.collect()
}

/// `on` or `off`.
fn switch(p: &Params<'_>, name: &str) -> Result<Option<bool>, AwsError> {
    match p.text(name).as_deref() {
        None => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) => Err(AwsError::new(
            "ValidationError",
            format!("'{other}' is not a valid value for '{name}'"),
        )),
    }
}

pub(super) fn write(xml: &mut Xml, me: &Caller, zones: &[Zone], lb: &LoadBalancer) {
    xml.leaf("LoadBalancerArn", &lb.arn);
    let named = lb.kind() != LoadBalancerKind::Gateway;
    if named {
        xml.leaf("DNSName", lb.dns_name());
        xml.leaf("CanonicalHostedZoneId", "Z2IFOLAFXWLO4F");
    }
    xml.leaf("CreatedTime", time(lb.created_at));
    xml.leaf("LoadBalancerName", &lb.name);
    if named {
        xml.leaf("Scheme", &lb.scheme);
    }
    xml.leaf("VpcId", &lb.vpc_id);
    xml.node("State", |xml| {
        xml.leaf("Code", lb.state_at(me.now));
        xml.optional("Reason", lb.state_reason());
    });
    xml.leaf("Type", lb.kind().as_str());
    write_zones(xml, zones, lb);
    if !lb.security_groups.is_empty() {
        xml.node("SecurityGroups", |xml| {
            for group in &lb.security_groups {
                xml.leaf("member", group);
            }
        });
    }
    xml.optional(ENFORCE, lb.enforcement());
    xml.leaf("IpAddressType", &lb.ip_address_type);
    if lb.kind() == LoadBalancerKind::Network {
        xml.leaf(PREFIX, on_or_off(lb.source_nat_prefix));
    }
}

fn write_zones(xml: &mut Xml, zones: &[Zone], lb: &LoadBalancer) {
    xml.members("AvailabilityZones", &lb.subnets, |xml, (zone, subnet)| {
        let name = zones.iter().find(|z| z.id == *zone).map(|z| &z.name);
        let address = lb.addresses.get(subnet);
        xml.optional("ZoneName", name);
        xml.leaf("SubnetId", subnet);
        xml.members("LoadBalancerAddresses", address, |xml, address| {
            xml.optional("IpAddress", address.public_ip());
            xml.optional("AllocationId", address.allocation_id.as_ref());
            xml.optional("PrivateIPv4Address", address.private_ipv4.as_ref());
            xml.optional("IPv6Address", address.ipv6.as_ref());
        });
        let prefix = address.and_then(|a| a.source_nat_prefix.as_ref());
        xml.node("SourceNatIpv6Prefixes", |xml| {
            xml.optional("member", prefix);
        });
    });
}
