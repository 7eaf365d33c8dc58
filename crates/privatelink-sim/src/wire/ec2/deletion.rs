//! Deleting parts of a network on the wire.

use super::write_return;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::{Caller, World};

pub(super) fn vpc(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("VpcId")?;
    p.finish_ec2()?;
    world.delete_vpc(me, &id)?;
    Ok(write_return())
}

pub(super) fn subnet(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("SubnetId")?;
    p.finish_ec2()?;
    world.delete_subnet(me, &id)?;
    Ok(write_return())
}

pub(super) fn group(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["GroupName"])?;
    let id = p.required("GroupId")?;
    p.finish_ec2()?;
    world.delete_security_group(me, &id)?;
    Ok(Xml::fragment(|xml| {
        xml.leaf("return", true);
        xml.leaf("groupId", &id);
    }))
}

pub(super) fn table(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("RouteTableId")?;
    p.finish_ec2()?;
    world.delete_route_table(me, &id)?;
    Ok(write_return())
}
