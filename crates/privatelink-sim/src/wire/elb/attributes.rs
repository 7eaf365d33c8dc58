//! Attributes and tags of load balancers on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::load_balancers::LoadBalancer;
use crate::world::select::Tags;
use crate::world::{Caller, World};

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const PROTECTION: &str = "deletion_protection.enabled";

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    p.finish()?;
    let balancer = world.load_balancer(me, &arn)?;
    Ok(write(balancer))
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("LoadBalancerArn")?;
    let mut changes = Vec::new();
    for attribute in p.member_structures("Attributes")? {
        let (key, value) = (attribute.required("Key")?, attribute.required("Value")?);
        attribute.finish()?;
        let on = value.parse::<bool>().map_err(|_| {
            AwsError::new(
                "ValidationError",
                format!("'{value}' is not valid for {key}"),
            )
        })?;
        if key != CROSS_ZONE && key != PROTECTION {
            return Err(AwsError::not_modelled(&format!(
                "The load balancer attribute {key}"
            )));
        }
        changes.push((key, on));
    }
    p.finish()?;
    let balancer = world.load_balancer(me, &arn)?;
    for (key, on) in changes {
        if key == CROSS_ZONE {
            balancer.cross_zone = on;
        } else {
            balancer.deletion_protection = on;
        }
    }
    Ok(write(balancer))
}

fn write(balancer: &LoadBalancer) -> String {
    let attributes = [
        (CROSS_ZONE, balancer.cross_zone),
        (PROTECTION, balancer.deletion_protection),
    ];
    Xml::fragment(|xml| {
        xml.members("Attributes", attributes, |xml, (key, on)| {
            xml.leaf("Key", key);
            xml.leaf("Value", on);
        });
    })
}

pub(super) fn tags(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arns = p.members("ResourceArns")?;
    p.finish()?;
    let mut found: Vec<(String, Tags)> = Vec::new();
    for arn in arns {
        let tags = if arn.contains(":loadbalancer/") {
            world.load_balancer(me, &arn)?.tags.clone()
        } else if arn.contains(":targetgroup/") {
            world.target_group(me, &arn)?.tags.clone()
        } else {
            let listeners = world.listeners(me, None, std::slice::from_ref(&arn))?;
            listeners
                .into_iter()
                .next()
                .map(|l| l.tags)
                .unwrap_or_default()
        };
        found.push((arn, tags));
    }
    Ok(Xml::fragment(|xml| {
        xml.members("TagDescriptions", &found, |xml, (arn, tags)| {
            xml.leaf("ResourceArn", arn);
            xml.members("Tags", tags, |xml, (key, value)| {
                xml.leaf("Key", key);
                xml.leaf("Value", value);
            });
        });
    }))
}
