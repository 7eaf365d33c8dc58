//! Tags of load balancers, listeners and target groups on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::select::Tags;
use crate::world::{Caller, World};

pub(super) fn add(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arns, tags) = (arns(p)?, super::read_tags(p)?);
    p.finish()?;
    if tags.is_empty() {
        return Err(AwsError::missing("Tags"));
    }
    world.add_elb_tags(me, &arns, &tags)?;
    Ok(String::new())
}

pub(super) fn remove(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arns, keys) = (arns(p)?, p.members("TagKeys")?);
    p.finish()?;
    if keys.is_empty() {
        return Err(AwsError::missing("TagKeys"));
    }
    world.remove_elb_tags(me, &arns, &keys)?;
    Ok(String::new())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arns = arns(p)?;
    p.finish()?;
    let mut found: Vec<(String, Tags)> = Vec::new();
    for arn in arns {
        let tags = world.elb_tags(me, &arn)?.clone();
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

fn arns(p: &Params<'_>) -> Result<Vec<String>, AwsError> {
    let arns = p.members("ResourceArns")?;
    if arns.is_empty() {
        return Err(AwsError::missing("ResourceArns"));
    }
    super::check_named(&arns, &[])?;
    Ok(arns)
}
