//! Connections on the wire: the provider's listing, accept and reject. States are camel case here, as on AWS's wire.

use super::{write_dns, write_load_balancers, write_payers, write_tags, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::connections::ConnectionRow;
use crate::world::{Caller, World};

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (filters, paging) = (p.filters()?, p.paging(5)?);
    p.finish_ec2()?;
    let page = world.connections(me, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("vpcEndpointConnectionSet", &page.items, write);
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn accept(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (id, endpoints) = (p.required("ServiceId")?, p.list("VpcEndpointId")?);
    p.finish_ec2()?;
    Ok(write_unsuccessful(
        &world.accept_connections(me, &id, &endpoints)?,
    ))
}

pub(super) fn reject(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (id, endpoints) = (p.required("ServiceId")?, p.list("VpcEndpointId")?);
    p.finish_ec2()?;
    Ok(write_unsuccessful(
        &world.reject_connections(me, &id, &endpoints)?,
    ))
}

fn write(xml: &mut Xml, row: &ConnectionRow) {
    xml.leaf("serviceId", &row.service_id);
    xml.leaf("vpcEndpointId", &row.endpoint_id);
    xml.leaf("vpcEndpointOwner", &row.connection.owner);
    xml.leaf("vpcEndpointState", &row.state);
    xml.leaf("creationTimestamp", time(row.connection.created_at));
    write_dns(xml, &row.dns_names);
    write_load_balancers(xml, &row.load_balancers);
    xml.leaf("ipAddressType", &row.connection.ip_address_type);
    xml.leaf("vpcEndpointConnectionId", &row.connection.id);
    write_tags(xml, &row.connection.tags);
    xml.leaf("vpcEndpointRegion", &row.connection.endpoint_region);
    write_payers(xml, &row.connection.payers);
}
