//! The consumer's endpoints on the wire.

use super::{write_dns, write_tags, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::time;
use crate::wire::xml::Xml;
use crate::world::endpoints::{EndpointRow, NewEndpoint};
use crate::world::{Caller, World};

/// The policy that AWS shows where none was given.
const FULL_ACCESS: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}"#;

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    match p.text("VpcEndpointType").as_deref() {
        Some("Interface") => {}
        None | Some("Gateway") => {
            return Err(AwsError::not_modelled(
                "A VPC endpoint of type Gateway (the default type)",
            ));
        }
        Some(kind @ ("GatewayLoadBalancer" | "Resource" | "ServiceNetwork" | "Tunnel")) => {
            return Err(AwsError::not_modelled(&format!(
                "A VPC endpoint of type {kind}"
            )));
        }
        Some(other) => {
            return Err(AwsError::new(
                "InvalidVpcEndpointType",
                format!("'{other}' is not a type of VPC endpoint"),
            ));
        }
    }
    p.not_modelled(&[
        "RouteTableId",
        "DnsOptions",
        "SubnetConfiguration",
        "ServiceNetworkArn",
        "ResourceConfigurationArn",
    ])?;
    if p.text("ServiceRegion")
        .is_some_and(|region| region != me.region.as_str())
    {
        return Err(AwsError::not_modelled(
            "Cross-Region access (ServiceRegion)",
        ));
    }
    let new = NewEndpoint {
        vpc_id: p.required("VpcId")?,
        service_name: p.required("ServiceName")?,
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

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("VpcEndpointId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.endpoints(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("vpcEndpointSet", &page.items, |xml, row| {
            write(xml, me, row);
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
    xml.leaf("vpcEndpointType", "Interface");
    xml.leaf("vpcId", &endpoint.vpc_id);
    xml.leaf("serviceName", &endpoint.service_name);
    xml.leaf("state", &row.state);
    xml.leaf(
        "policyDocument",
        endpoint.policy.as_deref().unwrap_or(FULL_ACCESS),
    );
    xml.node("routeTableIdSet", |_| {});
    xml.texts("subnetIdSet", &endpoint.subnets);
    xml.items("groupSet", &row.groups, |xml, (id, name)| {
        xml.leaf("groupId", id);
        xml.leaf("groupName", name);
    });
    xml.leaf("ipAddressType", &row.ip_address_type);
    xml.leaf("privateDnsEnabled", false);
    xml.leaf("requesterManaged", false);
    xml.texts("networkInterfaceIdSet", &endpoint.network_interfaces);
    write_dns(xml, &row.dns_names);
    xml.leaf("creationTimestamp", time(row.created_at));
    write_tags(xml, &endpoint.tags);
    xml.leaf("ownerId", &me.account);
    xml.leaf("serviceRegion", &me.region);
}
