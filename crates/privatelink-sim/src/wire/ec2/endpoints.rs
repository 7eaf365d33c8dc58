//! The consumer's endpoints on the wire.

use privatelink::ConnectionState;

use super::{lattice, write_dns, write_payers, write_return, write_tags, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::addresses::SubnetAddresses;
use crate::world::dns_options::DnsOptions;
use crate::world::endpoint_changes::EndpointChange;
use crate::world::endpoint_kinds::EndpointKind;
use crate::world::endpoint_listing::AnyEndpoint;
use crate::world::endpoints::{EndpointRow, NewEndpoint};
use crate::world::gateway_endpoints::{GatewayChange, GatewayEndpoint, NewGatewayEndpoint};
use crate::world::lattice_endpoints::LatticeKind;
use crate::world::{Caller, World};

/// The policy that AWS shows where none was given.
const FULL_ACCESS: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#;

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    match p.text("VpcEndpointType").as_deref() {
        Some("Interface") => create_private(world, me, p, EndpointKind::Interface),
        Some("GatewayLoadBalancer") => {
            create_private(world, me, p, EndpointKind::GatewayLoadBalancer)
        }
        None | Some("Gateway") => create_gateway(world, me, p),
        Some("Resource") => lattice::create(world, me, p, LatticeKind::Resource),
        Some("ServiceNetwork") => lattice::create(world, me, p, LatticeKind::ServiceNetwork),
        Some("Tunnel") => lattice::create(world, me, p, LatticeKind::Tunnel),
        Some(other) => Err(AwsError::new(
            "InvalidVpcEndpointType",
            format!("'{other}' is not a type of VPC endpoint"),
        )),
    }
}

/// Refuses parameters that belong to endpoints of other types.
pub(super) fn misplaced(p: &Params<'_>, kind: &str, names: &[&str]) -> Result<(), AwsError> {
    match names.iter().find(|name| p.is_given(name)) {
        Some(name) => Err(AwsError::new(
            "InvalidParameter",
            format!("{name} is not supported for endpoints of type {kind}"),
        )),
        None => Ok(()),
    }
}

pub(super) fn read_dns_options(p: &Params<'_>) -> Result<DnsOptions, AwsError> {
    let Some(inside) = p.inside("DnsOptions") else {
        return Ok(DnsOptions::default());
    };
    let options = DnsOptions {
        record_ip_type: inside.text("DnsRecordIpType"),
        only_for_inbound_resolver: inside.flag("PrivateDnsOnlyForInboundResolverEndpoint")?,
        preference: inside.text("PrivateDnsPreference"),
        specified_domains: inside.list("PrivateDnsSpecifiedDomain")?,
    };
    inside.finish()?;
    Ok(options)
}

pub(super) fn read_subnet_configurations(p: &Params<'_>) -> Result<Vec<SubnetAddresses>, AwsError> {
    p.structures("SubnetConfiguration")?
        .into_iter()
        .map(|item| {
            let wanted = SubnetAddresses {
                subnet: item.required("SubnetId")?,
                ipv4: item.text("Ipv4"),
                ipv6: item.text("Ipv6"),
            };
            item.finish()?;
            Ok(wanted)
        })
        .collect()
}

fn create_private(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
    kind: EndpointKind,
) -> Result<String, AwsError> {
    misplaced(
        p,
        kind.as_str(),
        &[
            "RouteTableId",
            "ServiceNetworkArn",
            "ResourceConfigurationArn",
        ],
    )?;
    let new = NewEndpoint {
        kind,
        dns: read_dns_options(p)?,
        fixed: read_subnet_configurations(p)?,
        vpc_id: p.required("VpcId")?,
        service_name: p.required("ServiceName")?,
        service_region: p.text("ServiceRegion"),
        subnets: p.list("SubnetId")?,
        security_groups: p.list("SecurityGroupId")?,
        ip_address_type: p.text("IpAddressType"),
        policy: p.text("PolicyDocument"),
        private_dns: p.flag("PrivateDnsEnabled")?.unwrap_or(false),
        tags: p.tag_specifications("vpc-endpoint")?,
    };
    let token = p.text("ClientToken");
    p.finish_ec2()?;
    let row = world.create_endpoint(me, &new, token.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("vpcEndpoint", |xml| write(xml, me, &row));
        xml.optional("clientToken", token);
    }))
}

/// The default type. What only the other types take is refused, not ignored.
fn create_gateway(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    misplaced(
        p,
        "Gateway",
        &[
            "DnsOptions",
            "IpAddressType",
            "ResourceConfigurationArn",
            "SecurityGroupId",
            "ServiceNetworkArn",
            "SubnetConfiguration",
            "SubnetId",
        ],
    )?;
    let elsewhere = p.flag("PrivateDnsEnabled")? == Some(true)
        || p.text("ServiceRegion")
            .is_some_and(|region| region != me.region.as_str());
    let new = NewGatewayEndpoint {
        vpc_id: p.required("VpcId")?,
        service_name: p.required("ServiceName")?,
        route_tables: p.list("RouteTableId")?,
        policy: p.text("PolicyDocument"),
        tags: p.tag_specifications("vpc-endpoint")?,
    };
    let token = p.text("ClientToken");
    p.finish_ec2()?;
    if elsewhere {
        return Err(AwsError::new(
            "InvalidParameter",
            "A gateway endpoint has route tables and a policy, and is in the Region of its service",
        ));
    }
    let made = world.create_gateway_endpoint(me, &new, token.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("vpcEndpoint", |xml| {
            write_gateway(xml, me, &made, &ConnectionState::Available);
        });
        xml.optional("clientToken", token);
    }))
}

fn write_gateway(xml: &mut Xml, me: &Caller, row: &GatewayEndpoint, state: &ConnectionState) {
    xml.leaf("vpcEndpointId", &row.id);
    xml.leaf("vpcEndpointType", "Gateway");
    xml.leaf("vpcId", &row.vpc_id);
    xml.leaf("serviceName", &row.service_name);
    xml.leaf("state", state);
    xml.leaf(
        "policyDocument",
        row.policy.as_deref().unwrap_or(FULL_ACCESS),
    );
    xml.texts("routeTableIdSet", &row.route_tables);
    xml.node("subnetIdSet", |_| {});
    xml.node("groupSet", |_| {});
    xml.leaf("privateDnsEnabled", false);
    xml.leaf("requesterManaged", false);
    xml.node("networkInterfaceIdSet", |_| {});
    xml.node("dnsEntrySet", |_| {});
    xml.leaf("creationTimestamp", time(row.created_at));
    write_tags(xml, &row.tags);
    xml.leaf("ownerId", &me.account);
    xml.leaf("serviceRegion", &me.region);
}

fn modify_gateway(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
    id: &str,
) -> Result<String, AwsError> {
    misplaced(
        p,
        "Gateway",
        &[
            "AddSecurityGroupId",
            "AddSubnetId",
            "DnsOptions",
            "IpAddressType",
            "PrivateDnsEnabled",
            "RemoveSecurityGroupId",
            "RemoveSubnetId",
            "SubnetConfiguration",
        ],
    )?;
    let change = GatewayChange {
        reset_policy: p.flag("ResetPolicy")?.unwrap_or(false),
        policy: p.text("PolicyDocument"),
        add_route_tables: p.list("AddRouteTableId")?,
        remove_route_tables: p.list("RemoveRouteTableId")?,
    };
    p.finish_ec2()?;
    world.modify_gateway_endpoint(me, id, &change)?;
    Ok(write_return())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("VpcEndpointId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    paging.check_beside(&ids, world.behavior.ids_with_max_results)?;
    let page = world.all_endpoints(me, &ids, &filters, &paging)?;
    let groups = world.group_names(me);
    Ok(Xml::fragment(|xml| {
        xml.items("vpcEndpointSet", &page.items, |xml, row| match row {
            AnyEndpoint::Interface(row) => write(xml, me, row),
            AnyEndpoint::Gateway(row, state) => write_gateway(xml, me, row, state),
            AnyEndpoint::Lattice(row, state) => {
                lattice::write(xml, me, row, state, &groups);
            }
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let ids = p.list("VpcEndpointId")?;
    p.finish_ec2()?;
    Ok(write_unsuccessful(&world.delete_endpoints(me, &ids)?))
}

fn write(xml: &mut Xml, me: &Caller, row: &EndpointRow) {
    let endpoint = &row.endpoint;
    xml.leaf("vpcEndpointId", &endpoint.id);
    xml.leaf("vpcEndpointType", endpoint.kind.as_str());
    xml.leaf("vpcId", &endpoint.vpc_id);
    xml.leaf("serviceName", &endpoint.service_name);
    xml.leaf("state", &row.state);
    let named = endpoint.kind == EndpointKind::Interface;
    if named {
        let policy = endpoint.policy.as_deref().unwrap_or(FULL_ACCESS);
        xml.leaf("policyDocument", policy);
    }
    xml.node("routeTableIdSet", |_| {});
    xml.texts("subnetIdSet", &endpoint.subnets);
    write_groups(xml, &row.groups);
    xml.leaf("ipAddressType", &row.ip_address_type);
    if named {
        write_dns_options(xml, &endpoint.dns, &row.ip_address_type);
    }
    xml.leaf("privateDnsEnabled", endpoint.private_dns);
    xml.leaf("requesterManaged", false);
    xml.texts("networkInterfaceIdSet", &endpoint.network_interfaces);
    write_dns(xml, &row.dns_names);
    xml.leaf("creationTimestamp", time(row.created_at));
    write_tags(xml, &endpoint.tags);
    xml.leaf("ownerId", &me.account);
    if let Some(error) = &row.last_error {
        xml.node("lastError", |xml| {
            xml.leaf("message", &error.message);
            xml.leaf("code", &error.code);
        });
        xml.leaf("failureReason", &error.message);
    }
    xml.leaf("serviceRegion", &row.service_region);
    write_payers(xml, &row.payers);
}

pub(super) fn write_groups(xml: &mut Xml, groups: &[(String, String)]) {
    xml.items("groupSet", groups, |xml, (id, name)| {
        xml.leaf("groupId", id);
        xml.leaf("groupName", name);
    });
}

pub(super) fn write_dns_options(xml: &mut Xml, options: &DnsOptions, ip_address_type: &str) {
    xml.node("dnsOptions", |xml| {
        xml.leaf("dnsRecordIpType", options.record_type(ip_address_type));
        xml.optional(
            "privateDnsOnlyForInboundResolverEndpoint",
            options.only_for_inbound_resolver,
        );
        xml.optional("privateDnsPreference", options.preference.as_ref());
        if !options.specified_domains.is_empty() {
            xml.texts("privateDnsSpecifiedDomainSet", &options.specified_domains);
        }
    });
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("VpcEndpointId")?;
    if world.is_gateway_endpoint(me, &id) {
        return modify_gateway(world, me, p, &id);
    }
    misplaced(p, "Interface", &["AddRouteTableId", "RemoveRouteTableId"])?;
    let lattice = world.is_lattice_endpoint(me, &id);
    if lattice {
        misplaced(p, "Resource", &["PolicyDocument", "ResetPolicy"])?;
    }
    let change = EndpointChange {
        reset_policy: p.flag("ResetPolicy")?.unwrap_or(false),
        policy: p.text("PolicyDocument"),
        add_subnets: p.list("AddSubnetId")?,
        remove_subnets: p.list("RemoveSubnetId")?,
        add_security_groups: p.list("AddSecurityGroupId")?,
        remove_security_groups: p.list("RemoveSecurityGroupId")?,
        ip_address_type: p.text("IpAddressType"),
        private_dns: p.flag("PrivateDnsEnabled")?,
        dns: read_dns_options(p)?,
        fixed: read_subnet_configurations(p)?,
    };
    p.finish_ec2()?;
    if lattice {
        world.modify_lattice_endpoint(me, &id, &change)?;
    } else {
        world.modify_endpoint(me, &id, &change)?;
    }
    Ok(write_return())
}

pub(super) fn modify_payer(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (service, id) = (p.text("ServiceId"), p.required("VpcEndpointId")?);
    let (scope, payer) = (p.required("Scope")?, p.required("PayerResponsibility")?);
    p.finish_ec2()?;
    let payers = world.modify_endpoint_payer(me, service.as_deref(), &id, (&scope, &payer))?;
    Ok(Xml::fragment(|xml| {
        xml.leaf("vpcEndpointId", &id);
        write_payers(xml, &payers);
    }))
}
