//! Route tables and prefix lists on the wire.

use super::write_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::regions::partition;
use crate::world::route_tables::TableRow;
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (vpc, tags) = (p.required("VpcId")?, p.tag_specifications("route-table")?);
    p.finish_ec2()?;
    let row = world.create_route_table(me, &vpc, tags)?;
    Ok(Xml::fragment(|xml| {
        xml.node("routeTable", |xml| write(xml, me, &row));
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("RouteTableId")?, p.filters()?, p.paging(5)?);
    p.finish_ec2()?;
    let page = world.route_tables(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("routeTableSet", &page.items, |xml, row| write(xml, me, row));
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn prefix_lists(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("PrefixListId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.described_prefix_lists(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("prefixListSet", &page.items, |xml, list| {
            xml.texts("cidrSet", &list.cidrs);
            xml.leaf("prefixListId", &list.id);
            xml.leaf("prefixListName", &list.name);
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn managed_prefix_lists(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("PrefixListId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.described_prefix_lists(me, &ids, &filters, &paging)?;
    let partition = partition(&me.region);
    Ok(Xml::fragment(|xml| {
        xml.items("prefixListSet", &page.items, |xml, list| {
            xml.leaf("prefixListId", &list.id);
            xml.leaf("addressFamily", "IPv4");
            xml.leaf("state", "create-complete");
            let arn = format!(
                "arn:{partition}:ec2:{}:aws:prefix-list/{}",
                me.region, list.id
            );
            xml.leaf("prefixListArn", arn);
            xml.leaf("prefixListName", &list.name);
            xml.node("tagSet", |_| {});
            xml.leaf("ownerId", "AWS");
        });
        xml.optional("nextToken", page.next);
    }))
}

/// Associations belong to endpoints of VPC Lattice, of which there are none here.
pub(super) fn associations(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("VpcEndpointId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    filters.check(&[
        "associated-resource-accessibility",
        "associated-resource-id",
        "association-id",
        "resource-configuration-group-arn",
        "service-network-arn",
        "vpc-endpoint-id",
    ])?;
    if paging.max.is_some_and(|max| max > 100) {
        return Err(AwsError::bad_value("MaxResults", "more than 100"));
    }
    paging.after("DescribeVpcEndpointAssociations")?;
    if !ids.is_empty() {
        let (filters, paging) = Default::default();
        world.all_endpoints(me, &ids, &filters, &paging)?;
    }
    Ok(Xml::fragment(|xml| {
        xml.node("vpcEndpointAssociationSet", |_| {});
    }))
}

fn write(xml: &mut Xml, me: &Caller, row: &TableRow) {
    let table = &row.table;
    xml.leaf("routeTableId", &table.id);
    xml.leaf("vpcId", &table.vpc_id);
    xml.leaf("ownerId", &me.account);
    xml.node("routeSet", |xml| {
        xml.node("item", |xml| {
            xml.leaf("destinationCidrBlock", &row.local);
            xml.leaf("gatewayId", "local");
            xml.leaf("state", "active");
            xml.leaf("origin", "CreateRouteTable");
        });
        for (list, endpoint) in &row.routes {
            xml.node("item", |xml| {
                xml.leaf("destinationPrefixListId", list);
                xml.leaf("gatewayId", endpoint);
                xml.leaf("state", "active");
                xml.leaf("origin", "CreateRoute");
            });
        }
    });
    let main = table.is_main.then_some(&table.id);
    xml.items("associationSet", main, |xml, id| {
        xml.leaf(
            "routeTableAssociationId",
            id.replacen("rtb-", "rtbassoc-", 1),
        );
        xml.leaf("routeTableId", id);
        xml.leaf("main", true);
        xml.node("associationState", |xml| xml.leaf("state", "associated"));
    });
    xml.node("propagatingVgwSet", |_| {});
    write_tags(xml, &table.tags);
}
