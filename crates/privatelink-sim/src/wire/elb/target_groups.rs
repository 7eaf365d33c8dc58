//! Target groups on the wire.

use super::read_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::gateway_load_balancers::GENEVE;
use crate::world::health_checks::HealthCheckChange;
use crate::world::targets::{NewTargetGroup, TargetGroup};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["ProtocolVersion", "TargetControlPort"])?;
    let new = NewTargetGroup {
        name: p.required("Name")?,
        protocol: p.required("Protocol")?,
        port: p
            .number::<u16>("Port")?
            .ok_or_else(|| AwsError::missing("Port"))?,
        vpc_id: p.text("VpcId"),
        target_type: p.text("TargetType"),
        ip_address_type: p.text("IpAddressType"),
        health_check: read_health_check(p)?,
        tags: read_tags(p)?,
    };
    p.finish()?;
    let group = if new.protocol == GENEVE {
        world.create_gateway_target_group(me, new)?
    } else {
        world.create_target_group(me, new)?
    };
    Ok(shown(&group, &[]))
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, change) = (p.required("TargetGroupArn")?, read_health_check(p)?);
    p.finish()?;
    let (group, users) = world.modify_target_group(me, &arn, &change)?;
    Ok(shown(&group, &users))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let load_balancer = p.text("LoadBalancerArn");
    let (arns, names) = (p.members("TargetGroupArns")?, p.members("Names")?);
    if load_balancer.is_some() && !(arns.is_empty() && names.is_empty()) {
        return Err(AwsError::new(
            "ValidationError",
            "Names or ARNs and a load balancer ARN cannot be specified at the same time",
        ));
    }
    super::check_named(&arns, &names)?;
    let rows = world.target_groups(me, load_balancer.as_deref(), &arns, &names)?;
    let limit = world.behavior.page_size_limit;
    let page = super::page(p, "DescribeTargetGroups", limit, rows, |(group, _)| {
        group.arn.clone()
    })?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("TargetGroups", &page.items, |xml, (group, users)| {
            write(xml, group, users);
        });
        xml.optional("NextMarker", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("TargetGroupArn")?;
    p.finish()?;
    world.delete_target_group(me, &arn)?;
    Ok(String::new())
}

fn read_health_check(p: &Params<'_>) -> Result<HealthCheckChange, AwsError> {
    let mut matcher = None;
    if let Some(codes) = p.inside("Matcher") {
        codes.not_modelled(&["GrpcCode"])?;
        matcher = codes.text("HttpCode");
        codes.finish()?;
    }
    Ok(HealthCheckChange {
        enabled: p.flag("HealthCheckEnabled")?,
        protocol: p.text("HealthCheckProtocol"),
        port: p.text("HealthCheckPort"),
        path: p.text("HealthCheckPath"),
        matcher,
        interval_seconds: p.number("HealthCheckIntervalSeconds")?,
        timeout_seconds: p.number("HealthCheckTimeoutSeconds")?,
        healthy_threshold: p.number("HealthyThresholdCount")?,
        unhealthy_threshold: p.number("UnhealthyThresholdCount")?,
    })
}

fn shown(group: &TargetGroup, users: &[String]) -> String {
    Xml::fragment(|xml| {
        xml.members("TargetGroups", [group], |xml, group| {
            write(xml, group, users);
        });
    })
}

fn write(xml: &mut Xml, group: &TargetGroup, load_balancers: &[String]) {
    let check = &group.health_check;
    xml.leaf("TargetGroupArn", &group.arn);
    xml.leaf("TargetGroupName", &group.name);
    xml.leaf("Protocol", &group.protocol);
    xml.leaf("Port", group.port);
    xml.optional("VpcId", group.vpc_id.as_ref());
    xml.leaf("HealthCheckProtocol", &check.protocol);
    xml.leaf("HealthCheckPort", &check.port);
    xml.leaf("HealthCheckEnabled", true);
    xml.leaf("HealthCheckIntervalSeconds", check.interval_seconds);
    xml.leaf("HealthCheckTimeoutSeconds", check.timeout_seconds);
    xml.leaf("HealthyThresholdCount", check.healthy_threshold);
    xml.leaf("UnhealthyThresholdCount", check.unhealthy_threshold);
    xml.optional("HealthCheckPath", check.path.as_ref());
    if let Some(codes) = &check.matcher {
        xml.node("Matcher", |xml| xml.leaf("HttpCode", codes));
    }
    xml.node("LoadBalancerArns", |xml| {
        for arn in load_balancers {
            xml.leaf("member", arn);
        }
    });
    xml.leaf("TargetType", &group.target_type);
    xml.leaf("IpAddressType", &group.ip_address_type);
}
