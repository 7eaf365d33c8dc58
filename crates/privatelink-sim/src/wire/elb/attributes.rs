//! Attributes of load balancers, target groups and listeners on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::elb_attributes::Attribute;
use crate::world::{Caller, World};

const LOAD_BALANCER: &str = "LoadBalancerArn";
const TARGET_GROUP: &str = "TargetGroupArn";
const LISTENER: &str = "ListenerArn";

pub(super) fn describe_load_balancer(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = only(p, LOAD_BALANCER)?;
    world.load_balancer_attributes(me, &arn).map(write)
}

pub(super) fn modify_load_balancer(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, changes) = read(p, LOAD_BALANCER)?;
    let rows = world.modify_load_balancer_attributes(me, &arn, &changes);
    rows.map(write)
}

pub(super) fn describe_target_group(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = only(p, TARGET_GROUP)?;
    world.target_group_attributes(me, &arn).map(write)
}

pub(super) fn modify_target_group(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, changes) = read(p, TARGET_GROUP)?;
    let rows = world.modify_target_group_attributes(me, &arn, &changes);
    rows.map(write)
}

pub(super) fn describe_listener(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = only(p, LISTENER)?;
    world.listener_attributes(me, &arn).map(write)
}

pub(super) fn modify_listener(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, changes) = read(p, LISTENER)?;
    let rows = world.modify_listener_attributes(me, &arn, &changes);
    rows.map(write)
}

fn only(p: &Params<'_>, name: &str) -> Result<String, AwsError> {
    let arn = p.required(name)?;
    p.finish()?;
    Ok(arn)
}

fn read(p: &Params<'_>, name: &str) -> Result<(String, Vec<Attribute>), AwsError> {
    let arn = p.required(name)?;
    let changes = p.member_structures("Attributes")?.into_iter();
    let changes = changes.map(|attribute| {
        // An empty value is a value: the name of a bucket can be taken away.
        let value = attribute.raw("Value").unwrap_or_default();
        let pair = (attribute.required("Key")?, value);
        attribute.finish()?;
        Ok(pair)
    });
    let changes: Vec<Attribute> = changes.collect::<Result<_, AwsError>>()?;
    p.finish()?;
    if changes.is_empty() {
        return Err(AwsError::missing("Attributes"));
    }
    Ok((arn, changes))
}

fn write(rows: Vec<Attribute>) -> String {
    Xml::fragment(|xml| {
        xml.members("Attributes", rows, |xml, (key, value)| {
            xml.leaf("Key", key);
            xml.leaf("Value", value);
        });
    })
}
