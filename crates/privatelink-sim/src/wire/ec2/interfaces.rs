//! Network interfaces on the wire.

use super::endpoints::write_groups;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::network_interfaces::NetworkInterface;
use crate::world::{Caller, World};

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters) = (p.list("NetworkInterfaceId")?, p.filters()?);
    let paging = p.paging_within(5, 1_000)?;
    p.flag("IncludeManagedResources")?;
    p.finish_ec2()?;
    let page = world.network_interfaces(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("networkInterfaceSet", &page.items, |xml, row| {
            write(xml, me, row);
        });
        xml.optional("nextToken", page.next);
    }))
}

fn write(xml: &mut Xml, me: &Caller, row: &NetworkInterface) {
    xml.leaf("networkInterfaceId", &row.id);
    xml.leaf("interfaceType", row.kind);
    xml.leaf("description", row.description());
    xml.leaf("vpcId", &row.vpc_id);
    xml.leaf("subnetId", &row.subnet);
    xml.leaf("availabilityZone", &row.zone.0);
    xml.leaf("availabilityZoneId", &row.zone.1);
    xml.leaf("ownerId", &me.account);
    xml.leaf("requesterManaged", true);
    xml.leaf("status", "in-use");
    xml.leaf("macAddress", row.mac());
    xml.optional("privateDnsName", row.private_dns_name.as_ref());
    xml.optional("privateIpAddress", row.addresses.ipv4);
    xml.items(
        "privateIpAddressesSet",
        row.addresses.ipv4,
        |xml, address| {
            xml.leaf("primary", true);
            xml.optional("privateDnsName", row.private_dns_name.as_ref());
            xml.leaf("privateIpAddress", address);
        },
    );
    xml.optional("ipv6Address", row.addresses.ipv6);
    xml.items("ipv6AddressesSet", row.addresses.ipv6, |xml, address| {
        xml.leaf("ipv6Address", address);
    });
    xml.leaf("sourceDestCheck", true);
    write_groups(xml, &row.groups);
    xml.node("tagSet", |_| {});
}
