//! Targets and their health on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::targets::TargetRef;
use crate::world::{Caller, World};

pub(super) fn register(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, targets) = (p.required("TargetGroupArn")?, some_targets(p)?);
    p.finish()?;
    world.register_targets(me, &arn, &targets)?;
    Ok(String::new())
}

pub(super) fn deregister(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, targets) = (p.required("TargetGroupArn")?, some_targets(p)?);
    p.finish()?;
    world.deregister_targets(me, &arn, &targets)?;
    Ok(String::new())
}

pub(super) fn health(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, targets) = (p.required("TargetGroupArn")?, read_targets(p)?);
    // Anomaly detection belongs to Application Load Balancers: here it has nothing to include.
    let include = p.members("Include")?;
    let known = |word: &String| ["AnomalyDetection", "All"].contains(&word.as_str());
    if let Some(other) = include.iter().find(|word| !known(word)) {
        return Err(AwsError::new(
            "ValidationError",
            format!("'{other}' is not a valid value for 'Include'"),
        ));
    }
    p.finish()?;
    let rows = world.target_health(me, &arn, &targets)?;
    let group = world.target_group(me, &arn)?.clone();
    Ok(Xml::fragment(|xml| {
        xml.members(
            "TargetHealthDescriptions",
            &rows,
            |xml, (target, health)| {
                xml.node("Target", |xml| {
                    xml.leaf("Id", &target.id);
                    xml.leaf("Port", target.port);
                    xml.optional("AvailabilityZone", target.availability_zone.as_ref());
                    xml.optional("QuicServerId", target.quic_server_id.as_ref());
                });
                if group.health_check.port == "traffic-port" {
                    xml.leaf("HealthCheckPort", target.port);
                } else {
                    xml.leaf("HealthCheckPort", &group.health_check.port);
                }
                xml.node("TargetHealth", |xml| {
                    xml.leaf("State", &health.state);
                    xml.optional("Reason", health.reason.as_ref());
                    xml.optional("Description", health.description.as_ref());
                });
                xml.node("AdministrativeOverride", |xml| {
                    xml.leaf("State", "no_override");
                    xml.leaf("Reason", "AdministrativeOverride.NoOverride");
                    xml.leaf("Description", "No override is currently active on target");
                });
            },
        );
    }))
}

/// The targets of a change: at least one.
fn some_targets(p: &Params<'_>) -> Result<Vec<TargetRef>, AwsError> {
    let targets = read_targets(p)?;
    if targets.is_empty() {
        return Err(AwsError::missing("Targets"));
    }
    Ok(targets)
}

fn read_targets(p: &Params<'_>) -> Result<Vec<TargetRef>, AwsError> {
    let targets = p.member_structures("Targets")?.into_iter().map(|target| {
        let read = TargetRef {
            id: target.required("Id")?,
            port: target.number("Port")?,
            availability_zone: target.text("AvailabilityZone"),
            quic_server_id: target.text("QuicServerId"),
        };
        target.finish()?;
        Ok(read)
    });
    targets.collect()
}
