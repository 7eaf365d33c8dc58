//! Gateway Load Balancers on the wire: what their requests may not say, and what is said for them.

use super::read_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::load_balancers::NewLoadBalancer;
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let mut subnets = p.members("Subnets")?;
    for mapping in p.member_structures("SubnetMappings")? {
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
        ..NewLoadBalancer::default()
    };
    p.finish()?;
    let balancer = world.create_gateway_load_balancer(me, new)?;
    let zones = world.zones(&me.account, &me.region);
    Ok(Xml::fragment(|xml| {
        xml.members("LoadBalancers", [&balancer], |xml, lb| {
            super::load_balancers::write(xml, me, &zones, lb);
        });
    }))
}

/// One listener for everything: its protocol and port are not the request's to choose.
pub(super) fn create_listener(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
    arn: &str,
) -> Result<String, AwsError> {
    for name in ["Protocol", "Port"] {
        if p.text(name).is_some() {
            return Err(AwsError::new(
                "ValidationError",
                format!("{name} cannot be specified for a listener of a gateway load balancer"),
            ));
        }
    }
    let (forward, _) = super::listeners::read_forward(p)?;
    let tags = read_tags(p)?;
    p.finish()?;
    let groups = forward.into_iter().map(|(group, _)| group).collect();
    let listener = world.create_gateway_listener(me, arn, groups, tags)?;
    Ok(super::listeners::shown(&listener))
}
