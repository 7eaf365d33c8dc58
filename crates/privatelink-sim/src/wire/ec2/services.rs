//! Endpoint services on the wire, as their owner and as a consumer sees them.

use super::{write_load_balancers, write_return, write_tags, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::private_dns::DnsState;
use crate::world::services::{NewService, Service, ServiceChange};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let said = p.flag("AcceptanceRequired")?;
    let new = NewService {
        acceptance_required: said.unwrap_or(true),
        acceptance_omitted: said.is_none() && world.behavior.client_token_as_sent,
        load_balancers: p.list("NetworkLoadBalancerArn")?,
        gateway_load_balancers: p.list("GatewayLoadBalancerArn")?,
        ip_address_types: p.list("SupportedIpAddressType")?,
        private_dns_name: p.text("PrivateDnsName"),
        regions: p.list("SupportedRegion")?,
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
    let id = p.required("ServiceId")?;
    let change = ServiceChange {
        acceptance_required: p.flag("AcceptanceRequired")?,
        add_load_balancers: p.list("AddNetworkLoadBalancerArn")?,
        remove_load_balancers: p.list("RemoveNetworkLoadBalancerArn")?,
        add_gateway_load_balancers: p.list("AddGatewayLoadBalancerArn")?,
        remove_gateway_load_balancers: p.list("RemoveGatewayLoadBalancerArn")?,
        add_ip_address_types: p.list("AddSupportedIpAddressType")?,
        remove_ip_address_types: p.list("RemoveSupportedIpAddressType")?,
        private_dns_name: p.text("PrivateDnsName"),
        remove_private_dns_name: p.flag("RemovePrivateDnsName")?.unwrap_or(false),
        add_regions: p.list("AddSupportedRegion")?,
        remove_regions: p.list("RemoveSupportedRegion")?,
    };
    p.finish_ec2()?;
    world.modify_service(me, &id, &change)?;
    Ok(write_return())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("ServiceId")?, p.filters()?, p.paging(5)?);
    p.finish_ec2()?;
    paging.check_beside(&ids, world.behavior.ids_with_max_results)?;
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
    let regions = p.list("ServiceRegion")?;
    let (names, filters, paging) = (p.list("ServiceName")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    paging.check_beside(&names, world.behavior.ids_with_max_results)?;
    let page = world.visible_services(me, &names, &regions, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.texts(
            "serviceNameSet",
            page.items.iter().map(|row| row.service.name()),
        );
        xml.items("serviceDetailSet", &page.items, |xml, row| {
            let service = &row.service;
            xml.leaf("serviceName", service.name());
            xml.leaf("serviceId", &service.id);
            write_type(xml, service);
            xml.leaf("serviceRegion", &service.region);
            // A consumer in another Region is told no zones.
            let near = service.region == me.region;
            let zones = service.zones.iter().filter(|_| near);
            xml.texts("availabilityZoneIdSet", zones);
            xml.texts("availabilityZoneSet", &row.zone_names);
            xml.leaf("owner", service.owner_shown());
            write_base_name(xml, service);
            write_visible_names(xml, service);
            write_payer(xml, service);
            xml.leaf("vpcEndpointPolicySupported", !service.is_gateway());
            xml.leaf("acceptanceRequired", service.acceptance_required);
            xml.leaf("managesVpcEndpoints", false);
            write_tags(xml, &service.tags);
            xml.texts("supportedIpAddressTypeSet", &service.ip_address_types);
        });
        // Unlike its neighbours this action ends its listing with an empty token.
        xml.leaf("nextToken", page.next.unwrap_or_default());
    }))
}

fn write_visible_names(xml: &mut Xml, service: &Service) {
    let names = service.private_names();
    let Some(first) = names.first() else {
        return;
    };
    xml.leaf("privateDnsName", first);
    xml.items("privateDnsNameSet", &names, |xml, name| {
        xml.leaf("privateDnsName", name);
    });
    let state = service.private_dns.as_ref().map(|dns| dns.state);
    let state = state.unwrap_or(DnsState::Verified);
    xml.leaf("privateDnsNameVerificationState", state.as_str());
}

fn write(xml: &mut Xml, world: &World, me: &Caller, service: &Service) {
    let names = world.zones(&me.account, &me.region);
    let names = names
        .iter()
        .filter(|zone| service.zones.contains(&zone.id))
        .map(|zone| &zone.name);
    write_type(xml, service);
    xml.leaf("serviceId", &service.id);
    xml.leaf("serviceName", service.name());
    xml.optional("serviceState", service.state_at(me.now));
    xml.texts("availabilityZoneSet", names);
    xml.texts("availabilityZoneIdSet", &service.zones);
    xml.leaf("acceptanceRequired", service.acceptance_required);
    xml.leaf("managesVpcEndpoints", false);
    xml.leaf("remoteAccessEnabled", service.is_remote());
    write_load_balancers(xml, &service.load_balancers);
    xml.texts("supportedIpAddressTypeSet", &service.ip_address_types);
    write_base_name(xml, service);
    write_private_dns(xml, service);
    write_payer(xml, service);
    write_regions(xml, world, me, service);
    write_tags(xml, &service.tags);
}

fn write_private_dns(xml: &mut Xml, service: &Service) {
    let Some(dns) = &service.private_dns else {
        return;
    };
    xml.leaf("privateDnsName", &dns.name);
    if !dns.hidden {
        xml.node("privateDnsNameConfiguration", |xml| {
            xml.leaf("state", dns.state.as_str());
            xml.leaf("type", "TXT");
            xml.leaf("value", &dns.record_value);
            xml.leaf("name", &dns.record_name);
        });
    }
}

fn write_payer(xml: &mut Xml, service: &Service) {
    let payer = service.service_owner_pays.then_some("ServiceOwner");
    xml.optional("payerResponsibility", payer);
}

fn write_regions(xml: &mut Xml, world: &World, me: &Caller, service: &Service) {
    let home = world.behavior.home_region_listed && !service.supported_regions.is_empty();
    let home = home.then_some((&service.region, "Available"));
    let others = service
        .supported_regions
        .keys()
        .filter_map(|region| Some((region, service.region_state_at(region, me.now)?)));
    let rows = home.into_iter().chain(others);
    xml.items("supportedRegionSet", rows, |xml, (region, state)| {
        xml.leaf("region", region);
        xml.leaf("serviceState", state);
    });
}

pub(super) fn start_verification(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let id = p.required("ServiceId")?;
    p.finish_ec2()?;
    world.start_private_dns_verification(me, &id)?;
    Ok(write_return())
}

pub(super) fn modify_payer(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (id, payer) = (p.required("ServiceId")?, p.required("PayerResponsibility")?);
    p.finish_ec2()?;
    world.modify_service_payer(me, &id, &payer)?;
    Ok(write_return())
}

fn write_type(xml: &mut Xml, service: &Service) {
    xml.items("serviceType", [service.type_name()], |xml, kind| {
        xml.leaf("serviceType", kind);
    });
}

/// A service of next hops has no names.
fn write_base_name(xml: &mut Xml, service: &Service) {
    if !service.is_gateway() {
        xml.texts("baseEndpointDnsNameSet", [service.base_dns_name()]);
    }
}
