//! The world's rows as the port's types.

use privatelink::{
    Connection, DnsEntry, EndpointService, ItemFailure, LoadBalancer, Page, PageToken,
    PrivateDnsName, RemoteRegion,
};

use crate::error::Unsuccessful;
use crate::world::connections::ConnectionRow;
use crate::world::elb_attributes::Attribute;
use crate::world::ids;
use crate::world::load_balancers::LoadBalancer as Balancer;
use crate::world::regions::Zone;
use crate::world::select::{Filter, Listed, Paging};
use crate::world::services::Service;
use crate::world::{Caller, World};

pub(super) fn strings<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// A page for this caller and these filters; a token of other ones is refused.
pub(super) fn paging(from: Option<&PageToken>, me: &Caller, filters: &[Filter]) -> Paging {
    let asked = format!("{} {} {filters:?}", me.account, me.region);
    Paging {
        scope: ids::hash(&asked),
        ..Paging::from(from.map(|token| token.0.as_str()))
    }
}

pub(super) fn page<T>(listed: Listed<T>) -> Page<T> {
    Page {
        items: listed.items,
        unreadable: 0,
        next: listed.next.map(PageToken),
    }
}

pub(super) fn items(failures: Vec<Unsuccessful>) -> Vec<ItemFailure> {
    failures
        .into_iter()
        .map(|failure| ItemFailure {
            resource_id: Some(failure.resource_id),
            code: failure.error.code,
            message: failure.error.message,
        })
        .collect()
}

pub(super) fn endpoint_service(world: &World, me: &Caller, service: &Service) -> EndpointService {
    let names = world.zones(&me.account, &me.region);
    EndpointService {
        service_id: service.id.clone(),
        service_name: service.name(),
        state: service
            .state_at(me.now)
            .unwrap_or(privatelink::ServiceState::Deleted),
        acceptance_required: service.acceptance_required,
        network_load_balancer_arns: service
            .load_balancers
            .iter()
            .filter(|arn| arn.is_network())
            .cloned()
            .collect(),
        availability_zones: names
            .into_iter()
            .filter(|zone| service.zones.contains(&zone.id))
            .map(|zone| zone.name)
            .collect(),
        availability_zone_ids: service.zones.iter().cloned().collect(),
        supported_ip_address_types: service.ip_address_types.clone(),
        supported_regions: service
            .supported_regions
            .keys()
            // One that is being opened is no longer missing: whoever compares need not add it again.
            .filter(|region| {
                let state = service.region_state_at(region, me.now);
                matches!(state, Some("Available" | "Pending"))
            })
            .map(ToString::to_string)
            .collect(),
        remote_regions: service
            .supported_regions
            .keys()
            .filter(|region| **region != me.region)
            .map(|region| RemoteRegion {
                region: region.to_string(),
                state: service.region_state_at(region, me.now).map(str::to_owned),
            })
            .collect(),
        base_endpoint_dns_names: vec![service.base_dns_name()],
        private_dns_name: service.private_dns.as_ref().map(|dns| PrivateDnsName {
            name: dns.name.clone(),
            state: (!dns.hidden).then(|| dns.state.as_str().to_owned()),
            txt_name: (!dns.hidden).then(|| dns.record_name.clone()),
            txt_value: (!dns.hidden).then(|| dns.record_value.clone()),
        }),
        tags: service.tags.clone().into_iter().collect(),
        payer_responsibility: service
            .service_owner_pays
            .then(|| "ServiceOwner".to_owned()),
    }
}

pub(super) fn connection(row: ConnectionRow) -> Connection {
    Connection {
        service_id: row.service_id,
        endpoint_id: row.endpoint_id,
        owner: row.connection.owner,
        state: row.state,
        created_at: Some(row.connection.created_at),
        connection_id: Some(row.connection.id),
        endpoint_region: Some(row.connection.endpoint_region),
        ip_address_type: Some(row.connection.ip_address_type),
        dns_entries: row
            .dns_names
            .into_iter()
            .map(|dns_name| DnsEntry {
                dns_name,
                hosted_zone_id: Some(crate::wire::HOSTED_ZONE.to_owned()),
            })
            .collect(),
    }
}

pub(super) fn load_balancer(found: &Balancer, zones: &[Zone], me: &Caller) -> LoadBalancer {
    LoadBalancer {
        arn: found.arn.clone(),
        name: found.name.clone(),
        kind: found.kind().as_str().to_owned(),
        state: found.state_at(me.now).to_owned(),
        state_reason: found.state_reason().map(str::to_owned),
        scheme: found.scheme.clone(),
        ip_address_type: Some(found.ip_address_type.clone()),
        availability_zones: found
            .subnets
            .iter()
            .filter_map(|(id, _)| zones.iter().find(|z| z.id == *id))
            .map(|zone| zone.name.clone())
            .collect(),
        security_groups: found.security_groups.clone(),
        enforce_security_groups_on_private_link: found.enforcement().map(|word| word == "on"),
    }
}

/// The value of an attribute.
pub(super) fn attribute<'a>(all: &'a [Attribute], key: &str) -> Option<&'a str> {
    let found = all.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}

pub(super) fn is_true(all: &[Attribute], key: &str) -> bool {
    attribute(all, key) == Some("true")
}
