//! Route tables and prefix lists on the wire.

use super::{write_return, write_tags};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::route_tables::TableRow;
use crate::world::routes::Destination;
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let token = p.text("ClientToken");
    let (vpc, tags) = (p.required("VpcId")?, p.tag_specifications("route-table")?);
    p.finish_ec2()?;
    let row = world.create_route_table(me, &vpc, tags, token.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("routeTable", |xml| write(xml, me, &row));
        xml.optional("clientToken", token);
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters) = (p.list("RouteTableId")?, p.filters()?);
    let paging = p.paging_within(5, 100)?;
    p.finish_ec2()?;
    let page = world.route_tables(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("routeTableSet", &page.items, |xml, row| write(xml, me, row));
        xml.optional("nextToken", page.next);
    }))
}

fn write(xml: &mut Xml, me: &Caller, row: &TableRow) {
    let table = &row.table;
    xml.leaf("routeTableId", &table.id);
    xml.leaf("vpcId", &table.vpc_id);
    xml.leaf("ownerId", &me.account);
    xml.node("routeSet", |xml| {
        for block in &row.local {
            xml.node("item", |xml| {
                write_destination(xml, block);
                xml.leaf("gatewayId", "local");
                xml.leaf("state", "active");
                xml.leaf("origin", "CreateRouteTable");
            });
        }
        for route in &row.routes {
            xml.node("item", |xml| {
                write_destination(xml, &route.destination);
                xml.leaf("gatewayId", &route.endpoint);
                xml.leaf("state", route.state);
                xml.leaf("origin", "CreateRoute");
            });
        }
    });
    let main = table.is_main.then_some(&table.id);
    xml.items("associationSet", main, |xml, id| {
        xml.leaf("routeTableAssociationId", table.association_id());
        xml.leaf("routeTableId", id);
        xml.leaf("main", true);
        xml.node("associationState", |xml| xml.leaf("state", "associated"));
    });
    xml.node("propagatingVgwSet", |_| {});
    write_tags(xml, &table.tags);
}

fn write_destination(xml: &mut Xml, to: &str) {
    let name = if to.starts_with("pl-") {
        "destinationPrefixListId"
    } else if to.contains(':') {
        "destinationIpv6CidrBlock"
    } else {
        "destinationCidrBlock"
    };
    xml.leaf(name, to);
}

fn read_destination(p: &Params<'_>) -> Destination {
    Destination {
        ipv4: p.text("DestinationCidrBlock"),
        ipv6: p.text("DestinationIpv6CidrBlock"),
        prefix_list: p.text("DestinationPrefixListId"),
    }
}

/// The endpoint a route leads to; every other kind of target is AWS's, not the simulator's.
fn read_next_hop(p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&[
        "CarrierGatewayId",
        "CoreNetworkArn",
        "EgressOnlyInternetGatewayId",
        "InstanceId",
        "LocalGatewayId",
        "LocalTarget",
        "NatGatewayId",
        "NetworkInterfaceId",
        "OdbNetworkArn",
        "TransitGatewayId",
        "VpcPeeringConnectionId",
    ])?;
    match (p.text("VpcEndpointId"), p.text("GatewayId")) {
        (Some(endpoint), None) => Ok(endpoint),
        (None, Some(gateway)) if gateway.starts_with("vpce-") => Ok(gateway),
        (None, Some(_)) => Err(AwsError::not_modelled("A route to a gateway")),
        (None, None) => Err(AwsError::missing("gatewayId")),
        (Some(_), Some(_)) => Err(AwsError::new(
            "InvalidParameterCombination",
            "Exactly one target must be given",
        )),
    }
}

pub(super) fn create_route(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (table, to) = (p.required("RouteTableId")?, read_destination(p));
    let hop = read_next_hop(p)?;
    p.finish_ec2()?;
    world.create_route(me, &table, &to, &hop)?;
    Ok(write_return())
}

pub(super) fn replace_route(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (table, to) = (p.required("RouteTableId")?, read_destination(p));
    let hop = read_next_hop(p)?;
    p.finish_ec2()?;
    world.replace_route(me, &table, &to, &hop)?;
    Ok(write_return())
}

pub(super) fn delete_route(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (table, to) = (p.required("RouteTableId")?, read_destination(p));
    p.finish_ec2()?;
    world.delete_route(me, &table, &to)?;
    Ok(write_return())
}
