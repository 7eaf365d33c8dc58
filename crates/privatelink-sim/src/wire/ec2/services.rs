//! Endpoint services on the wire, as their owner and as a consumer sees them.

use super::{write_return, write_tags, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::services::{NewService, Service, ServiceChange};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&[
        "GatewayLoadBalancerArn",
        "PrivateDnsName",
        "SupportedRegion",
    ])?;
    let new = NewService {
        acceptance_required: p.flag("AcceptanceRequired")?.unwrap_or(true),
        load_balancers: p.list("NetworkLoadBalancerArn")?,
        ip_address_types: p.list("SupportedIpAddressType")?,
        tags: p.tag_specifications("vpc-endpoint-service")?,
    };
    let token = p.text("ClientToken");
    p.finish_ec2()?;
    let service = world.create_service(me, &new, token.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("serviceConfiguration", |xml| {
            write(xml, world, me, &service);
        });
        xml.optional("clientToken", token);
    }))
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&[
        "PrivateDnsName",
        "RemovePrivateDnsName",
        "AddGatewayLoadBalancerArn",
        "RemoveGatewayLoadBalancerArn",
        "AddSupportedRegion",
        "RemoveSupportedRegion",
    ])?;
    let id = p.required("ServiceId")?;
    let change = ServiceChange {
        acceptance_required: p.flag("AcceptanceRequired")?,
        add_load_balancers: p.list("AddNetworkLoadBalancerArn")?,
        remove_load_balancers: p.list("RemoveNetworkLoadBalancerArn")?,
        add_ip_address_types: p.list("AddSupportedIpAddressType")?,
        remove_ip_address_types: p.list("RemoveSupportedIpAddressType")?,
    };
    p.finish_ec2()?;
    world.modify_service(me, &id, &change)?;
    Ok(write_return())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("ServiceId")?, p.filters()?, p.paging(5)?);
    p.finish_ec2()?;
    let page = world.describe_services(me, &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("serviceConfigurationSet", &page.items, |xml, service| {
            write(xml, world, me, service);
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let ids = p.list("ServiceId")?;
    p.finish_ec2()?;
    Ok(write_unsuccessful(&world.delete_services(me, &ids)?))
}

pub(super) fn describe_visible(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    p.not_modelled(&["ServiceRegion"])?;
    let (names, filters, paging) = (p.list("ServiceName")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.visible_services(me, &names, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.texts(
            "serviceNameSet",
            page.items.iter().map(|row| row.service.name()),
        );
        xml.items("serviceDetailSet", &page.items, |xml, row| {
            let service = &row.service;
            xml.leaf("serviceName", service.name());
            xml.leaf("serviceId", &service.id);
            write_type(xml);
            xml.leaf("serviceRegion", &service.region);
            xml.texts("availabilityZoneIdSet", &service.zones);
            xml.texts("availabilityZoneSet", &row.zone_names);
            xml.leaf("owner", &service.owner);
            xml.texts("baseEndpointDnsNameSet", [service.base_dns_name()]);
            xml.leaf("vpcEndpointPolicySupported", true);
            xml.leaf("acceptanceRequired", service.acceptance_required);
            xml.leaf("managesVpcEndpoints", false);
            write_tags(xml, &service.tags);
            xml.texts("supportedIpAddressTypeSet", &service.ip_address_types);
        });
        // Unlike its neighbours this action ends its listing with an empty token.
        xml.leaf("nextToken", page.next.unwrap_or_default());
    }))
}

fn write(xml: &mut Xml, world: &World, me: &Caller, service: &Service) {
    let names = world.zones(&me.account, &me.region);
    let names = names
        .iter()
        .filter(|zone| service.zones.contains(&zone.id))
        .map(|zone| &zone.name);
    write_type(xml);
    xml.leaf("serviceId", &service.id);
    xml.leaf("serviceName", service.name());
    xml.optional("serviceState", service.state_at(me.now));
    xml.texts("availabilityZoneSet", names);
    xml.texts("availabilityZoneIdSet", &service.zones);
    xml.leaf("acceptanceRequired", service.acceptance_required);
    xml.leaf("managesVpcEndpoints", false);
    xml.leaf("remoteAccessEnabled", false);
    xml.texts("networkLoadBalancerArnSet", &service.load_balancers);
    xml.texts("supportedIpAddressTypeSet", &service.ip_address_types);
    xml.texts("baseEndpointDnsNameSet", [service.base_dns_name()]);
    write_tags(xml, &service.tags);
}

fn write_type(xml: &mut Xml) {
    xml.items("serviceType", ["Interface"], |xml, kind| {
        xml.leaf("serviceType", kind);
    });
}
