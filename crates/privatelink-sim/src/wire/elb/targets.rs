//! Target groups and target health on the wire.

use super::read_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::gateway_load_balancers::GENEVE;
use crate::world::targets::{NewTargetGroup, TargetGroup, TargetRef};
use crate::world::{Caller, World};

/// Health-check settings: taken, since they change nothing in a world without traffic.
const HEALTH_CHECK: [&str; 8] = [
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
];

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.ignore(&HEALTH_CHECK);
    p.ignore(&["Matcher", "IpAddressType", "ProtocolVersion"]);
    let new = NewTargetGroup {
        name: p.required("Name")?,
        protocol: p.required("Protocol")?,
        port: p
            .number::<u16>("Port")?
            .ok_or_else(|| AwsError::missing("Port"))?,
        vpc_id: p.text("VpcId"),
        target_type: p.text("TargetType"),
        tags: read_tags(p)?,
    };
    p.finish()?;
    let group = if new.protocol == GENEVE {
        world.create_gateway_target_group(me, new)?
    } else {
        world.create_target_group(me, new)?
    };
    Ok(Xml::fragment(|xml| {
        xml.members("TargetGroups", [&group], |xml, group| {
            write(xml, group, &[]);
        });
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let load_balancer = p.text("LoadBalancerArn");
    let (arns, names) = (p.members("TargetGroupArns")?, p.members("Names")?);
    let rows = world.target_groups(me, load_balancer.as_deref(), &arns, &names)?;
    let (rows, next) = super::page(p, world.behavior.page_size_limit, rows)?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("TargetGroups", &rows, |xml, (group, users)| {
            write(xml, group, users);
        });
        xml.optional("NextMarker", next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("TargetGroupArn")?;
    p.finish()?;
    world.delete_target_group(me, &arn)?;
    Ok(String::new())
}

pub(super) fn register(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, targets) = (p.required("TargetGroupArn")?, read_targets(p)?);
    p.finish()?;
    world.register_targets(me, &arn, &targets)?;
    Ok(String::new())
}

pub(super) fn deregister(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, targets) = (p.required("TargetGroupArn")?, read_targets(p)?);
    p.finish()?;
    world.deregister_targets(me, &arn, &targets)?;
    Ok(String::new())
}

pub(super) fn health(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["Include"])?;
    let (arn, targets) = (p.required("TargetGroupArn")?, read_targets(p)?);
    p.finish()?;
    let rows = world.target_health(me, &arn, &targets)?;
    Ok(Xml::fragment(|xml| {
        xml.members(
            "TargetHealthDescriptions",
            &rows,
            |xml, (target, health)| {
                xml.node("Target", |xml| {
                    xml.leaf("Id", &target.id);
                    xml.leaf("Port", target.port);
                    xml.optional("AvailabilityZone", target.availability_zone.as_ref());
                });
                xml.leaf("HealthCheckPort", target.port);
                xml.node("TargetHealth", |xml| {
                    xml.leaf("State", &health.state);
                    xml.optional("Reason", health.reason.as_ref());
                    xml.optional("Description", health.description.as_ref());
                });
            },
        );
    }))
}

fn read_targets(p: &Params<'_>) -> Result<Vec<TargetRef>, AwsError> {
    let targets = p.member_structures("Targets")?.into_iter().map(|target| {
        let read = TargetRef {
            id: target.required("Id")?,
            port: target.number("Port")?,
            availability_zone: target.text("AvailabilityZone"),
        };
        target.finish()?;
        Ok(read)
    });
    targets.collect()
}

fn write(xml: &mut Xml, group: &TargetGroup, load_balancers: &[String]) {
    xml.leaf("TargetGroupArn", &group.arn);
    xml.leaf("TargetGroupName", &group.name);
    xml.leaf("Protocol", &group.protocol);
    xml.leaf("Port", group.port);
    xml.optional("VpcId", group.vpc_id.as_ref());
    xml.leaf("HealthCheckProtocol", "TCP");
    xml.leaf("HealthCheckPort", "traffic-port");
    xml.leaf("HealthCheckEnabled", true);
    xml.node("LoadBalancerArns", |xml| {
        for arn in load_balancers {
            xml.leaf("member", arn);
        }
    });
    xml.leaf("TargetType", &group.target_type);
    xml.leaf("IpAddressType", "ipv4");
}
