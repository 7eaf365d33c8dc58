//! Endpoints to VPC Lattice on the wire, where states and address types are spelt differently, and their associations.

use std::collections::BTreeMap;

use privatelink::ConnectionState;

use super::endpoints::{
    misplaced, read_dns_options, read_subnet_configurations, write_dns_options, write_groups,
};
use super::{write_payers, write_tags};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::endpoint_listing::pascal;
use crate::world::lattice_endpoints::{LatticeEndpoint, LatticeKind, NewLatticeEndpoint};
use crate::world::{Caller, World};

/// The hosted zone that the DNS entries of associations show.
const HOSTED_ZONE: &str = "Z03265862FOUNWMZOKUF4";

/// The largest page that the model allows.
const MAX_PAGE: usize = 100;

pub(super) fn create(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
    kind: LatticeKind,
) -> Result<String, AwsError> {
    let (target, other) = match kind {
        LatticeKind::ServiceNetwork => ("ServiceNetworkArn", "ResourceConfigurationArn"),
        LatticeKind::Resource | LatticeKind::Tunnel => {
            ("ResourceConfigurationArn", "ServiceNetworkArn")
        }
    };
    let name = kind.as_str();
    misplaced(
        p,
        name,
        &["PolicyDocument", "RouteTableId", "ServiceName", other],
    )?;
    if p.text("ServiceRegion")
        .is_some_and(|region| region != me.region.as_str())
    {
        return Err(AwsError::new(
            "InvalidParameter",
            format!("ServiceRegion is not supported for endpoints of type {name}"),
        ));
    }
    let new = NewLatticeEndpoint {
        kind,
        target: p.required(target)?,
        vpc_id: p.required("VpcId")?,
        subnets: p.list("SubnetId")?,
        security_groups: p.list("SecurityGroupId")?,
        ip_address_type: p.text("IpAddressType"),
        private_dns: p.flag("PrivateDnsEnabled")?.unwrap_or(false),
        dns: read_dns_options(p)?,
        fixed: read_subnet_configurations(p)?,
        tags: p.tag_specifications("vpc-endpoint")?,
    };
    let token = p.text("ClientToken");
    p.finish_ec2()?;
    let made = world.create_lattice_endpoint(me, &new, token.as_deref())?;
    let state = made
        .life
        .state_at(me.now)
        .unwrap_or(ConnectionState::Pending);
    let groups = world.group_names(me);
    Ok(Xml::fragment(|xml| {
        xml.node("vpcEndpoint", |xml| write(xml, me, &made, &state, &groups));
        xml.optional("clientToken", token);
    }))
}

pub(super) fn write(
    xml: &mut Xml,
    me: &Caller,
    row: &LatticeEndpoint,
    state: &ConnectionState,
    names: &BTreeMap<String, String>,
) {
    xml.leaf("vpcEndpointId", &row.id);
    xml.leaf("vpcEndpointType", row.kind.as_str());
    xml.leaf("vpcId", &row.vpc_id);
    xml.leaf("state", pascal(state));
    xml.texts("subnetIdSet", &row.subnets);
    let groups: Vec<(String, String)> = row
        .security_groups
        .iter()
        .map(|id| (id.clone(), names.get(id).cloned().unwrap_or_default()))
        .collect();
    write_groups(xml, &groups);
    xml.leaf("ipAddressType", row.ip_address_type.to_ascii_uppercase());
    if !row.dns.is_empty() {
        write_dns_options(xml, &row.dns, &row.ip_address_type);
    }
    xml.leaf("privateDnsEnabled", row.private_dns);
    if *state == ConnectionState::Available {
        xml.texts("networkInterfaceIdSet", &row.network_interfaces);
        write_prefixes(xml, row);
    }
    xml.leaf("creationTimestamp", time(row.created_at));
    write_tags(xml, &row.tags);
    xml.leaf("ownerId", &me.account);
    if let Some(error) = row
        .failure
        .as_ref()
        .filter(|_| *state == ConnectionState::Failed)
    {
        xml.node("lastError", |xml| {
            xml.leaf("message", &error.message);
            xml.leaf("code", &error.code);
        });
        xml.leaf("failureReason", &error.message);
    }
    let target = match row.kind {
        LatticeKind::ServiceNetwork => "serviceNetworkArn",
        LatticeKind::Resource | LatticeKind::Tunnel => "resourceConfigurationArn",
    };
    xml.leaf(target, &row.target);
    write_payers(xml, &row.payers);
}

/// A service network needs many addresses: AWS gives its interfaces blocks of 16, or of 2 to the power of 48.
fn write_prefixes(xml: &mut Xml, row: &LatticeEndpoint) {
    if row.kind != LatticeKind::ServiceNetwork {
        return;
    }
    let rows = || row.subnets.iter().zip(&row.addresses);
    let four = rows().filter_map(|(subnet, held)| Some((subnet, held.ipv4_prefix()?)));
    let six = rows().filter_map(|(subnet, held)| Some((subnet, held.ipv6_prefix()?)));
    write_prefix_set(xml, "ipv4PrefixSet", four);
    write_prefix_set(xml, "ipv6PrefixSet", six);
}

fn write_prefix_set<'a>(
    xml: &mut Xml,
    name: &str,
    rows: impl Iterator<Item = (&'a String, String)>,
) {
    xml.items(name, rows, |xml, (subnet, prefix)| {
        xml.leaf("subnetId", subnet);
        xml.texts("ipPrefixSet", [prefix]);
    });
}

pub(super) fn associations(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (ids, filters) = (p.list("VpcEndpointId")?, p.filters()?);
    let paging = p.paging_within(1, MAX_PAGE)?;
    p.finish_ec2()?;
    let page = world.associations(me, &ids, &filters, &paging)?;
    let documented = world.behavior.documented_association_states;
    Ok(Xml::fragment(|xml| {
        xml.items("vpcEndpointAssociationSet", &page.items, |xml, row| {
            xml.leaf("id", &row.id);
            xml.leaf("vpcEndpointId", &row.endpoint);
            if let Some((arn, name)) = &row.network {
                xml.leaf("serviceNetworkArn", arn);
                xml.leaf("serviceNetworkName", name);
            }
            let state = row.accessibility(documented);
            xml.leaf("associatedResourceAccessibility", state);
            if let Some(error) = &row.failure {
                xml.leaf("failureReason", &error.message);
                xml.leaf("failureCode", &error.code);
            }
            write_entry(xml, "dnsEntry", Some(&row.dns_name));
            write_entry(xml, "privateDnsEntry", row.private_name.as_ref());
            xml.leaf("associatedResourceArn", &row.resource);
            xml.optional("resourceConfigurationGroupArn", row.group.as_ref());
        });
        xml.optional("nextToken", page.next);
    }))
}

fn write_entry(xml: &mut Xml, element: &str, name: Option<&String>) {
    if let Some(name) = name {
        xml.node(element, |xml| {
            xml.leaf("dnsName", name);
            xml.leaf("hostedZoneId", HOSTED_ZONE);
        });
    }
}
