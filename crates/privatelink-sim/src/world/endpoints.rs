//! The consumer's side: interface endpoints, created, described and deleted in the consumer's account.

use std::collections::BTreeSet;
use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{ConnectionState, Region, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::connections::Connection;
use super::endpoint_changes::{LastError, check_policy, named, provisioning};
use super::ids::{hash, mix};
use super::lifecycle::{Life, Phase};
use super::network::{no_group, no_subnet, no_vpc};
use super::payers::Payers;
use super::select::{Filters, Listed, Paging, Tags};
use super::services::{Service, new_id};
use super::{Caller, Grave, Place, World, later};
use crate::AwsError;
use crate::error::Unsuccessful;

/// An interface endpoint, as its consumer keeps it. Its state is in the service's [`Connection`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `vpce-…`.
    pub id: VpcEndpointId,
    /// The service it goes to.
    pub service: ServiceId,
    /// The service's name, as the consumer gave it.
    pub service_name: String,
    /// The VPC.
    pub vpc_id: String,
    /// One subnet per zone.
    pub subnets: Vec<String>,
    /// Security groups, by id.
    pub security_groups: Vec<String>,
    /// One network interface per subnet.
    pub network_interfaces: Vec<String>,
    /// The endpoint policy; none means full access.
    pub policy: Option<String>,
    /// Whether the service's private DNS name works in the VPC.
    #[serde(default)]
    pub private_dns: bool,
    /// The consumer's tags.
    pub tags: Tags,
}

/// An endpoint with the state that is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The state.
    pub state: ConnectionState,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: String,
    /// DNS names: regional, zonal, and the private one last.
    pub dns_names: Vec<String>,
    /// The Region of the service.
    pub service_region: Region,
    /// Why it failed.
    pub last_error: Option<LastError>,
    /// Who pays, by what is paid for.
    pub payers: Payers,
    /// Security groups by id and name.
    pub groups: Vec<(String, String)>,
}

/// What `CreateVpcEndpoint` is asked for, as far as it is modelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewEndpoint {
    /// The VPC.
    pub vpc_id: String,
    /// `com.amazonaws.vpce.REGION.vpce-svc-…`.
    pub service_name: String,
    /// The Region of the service; the caller's own when it is missing.
    pub service_region: Option<String>,
    /// Subnets, each in another zone.
    pub subnets: Vec<String>,
    /// Security groups; empty means the VPC's default group.
    pub security_groups: Vec<String>,
    /// `ipv4` (the default), `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// The endpoint policy.
    pub policy: Option<String>,
    /// Whether the service's private DNS name shall work in the VPC.
    pub private_dns: bool,
    /// Tags.
    pub tags: Tags,
}

const ACTION: &str = "CreateVpcEndpoint";

pub(super) const LISTING: &str = "DescribeVpcEndpoints";

impl World {
    /// Makes an interface endpoint. A service that does not exist, is elsewhere or is not permitted looks the same:
    /// `InvalidServiceName`.
    pub fn create_endpoint(
        &mut self,
        caller: &Caller,
        new: &NewEndpoint,
        client_token: Option<&str>,
    ) -> Result<EndpointRow, AwsError> {
        self.sweep(caller.now);
        if let Some(made) = self.replayed(caller, ACTION, client_token, new)? {
            return self.endpoint(caller, &made);
        }
        if !self.place(caller).vpcs.contains_key(&new.vpc_id) {
            return Err(no_vpc(&new.vpc_id));
        }
        if let Some(policy) = &new.policy {
            check_policy(policy)?;
        }
        let from = new.service_region.as_deref();
        let from = from.unwrap_or(caller.region.as_str());
        let service = self.visible_service_in(caller, from, &new.service_name)?;
        let service_id = service.id.clone();
        let supported = service.ip_address_types.clone();
        let waits = service.acceptance_required;
        self.check_new_endpoint_dns(caller, service, new)?;
        let ip_address_type = new
            .ip_address_type
            .clone()
            .unwrap_or_else(|| "ipv4".to_owned());
        check_ip_type(&ip_address_type, &supported)?;
        let zone_ids = subnet_zones(self.place(caller), &new.vpc_id, &new.subnets)?;
        if let Some(service) = self.service(&service_id) {
            service.check_zones(&zone_ids, &caller.region)?;
        }
        let groups = &new.security_groups;
        let security_groups = endpoint_groups(self.place(caller), &new.vpc_id, groups)?;
        let zone_names = named(&self.zones(&caller.account, &caller.region), &zone_ids);
        let failure = self.take_planned_failure(&caller.account);
        let id: VpcEndpointId = new_id(&self.ids.ec2("vpce-"))?;
        let phase = if waits {
            Phase::Waiting {
                expires_at: later(caller.now, self.behavior.expire_after_ms),
            }
        } else {
            provisioning(failure.as_ref(), caller.now, &self.behavior)
        };
        let connection = Connection {
            owner: caller.account.clone(),
            endpoint_region: caller.region.clone(),
            id: self.ids.ec2("vpce-con-"),
            created_at: caller.now,
            ip_address_type,
            zone_names,
            tags: Tags::new(),
            life: Life::begin(phase, caller.now),
            failure,
            payers: Payers::new(),
        };
        let endpoint = Endpoint {
            id: id.clone(),
            service: service_id.clone(),
            service_name: new.service_name.clone(),
            vpc_id: new.vpc_id.clone(),
            subnets: new.subnets.clone(),
            security_groups,
            network_interfaces: new.subnets.iter().map(|_| self.ids.ec2("eni-")).collect(),
            policy: new.policy.clone(),
            private_dns: new.private_dns,
            tags: new.tags.clone(),
        };
        self.index()
            .add_connection(&service_id, &id, &connection.id);
        if let Some(service) = self.service_mut(&service_id) {
            service.connections.insert(id.clone(), connection);
        }
        self.place(caller).endpoints.insert(id.clone(), endpoint);
        self.notify("Connect", &service_id, &id, caller.now);
        self.remember(caller, ACTION, client_token, new, id.as_str());
        // The answer to the one who made it is never stale.
        let fresh = Caller {
            seen_at: caller.now,
            ..caller.clone()
        };
        self.endpoint(&fresh, id.as_str())
    }

    /// One endpoint of the caller's.
    pub fn endpoint(&mut self, caller: &Caller, id: &str) -> Result<EndpointRow, AwsError> {
        let ids = [id.to_owned()];
        let found = self.endpoints(caller, &ids, &Filters::default(), &Paging::default())?;
        found
            .items
            .into_iter()
            .next()
            .ok_or_else(|| no_endpoint(id))
    }

    /// Lists the caller's endpoints. An unknown id fails the call.
    pub fn endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<EndpointRow>, AwsError> {
        filters.check(&[
            "ip-address-type",
            "service-name",
            "service-region",
            "tag-key",
            "vpc-endpoint-id",
            "vpc-endpoint-state",
            "vpc-endpoint-type",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let after: Option<VpcEndpointId> = paging.after(LISTING)?.and_then(|key| key.parse().ok());
        self.place(caller);
        let world = &*self;
        let Some(place) = world.existing_place(&caller.account, &caller.region) else {
            return Ok(Listed {
                items: Vec::new(),
                next: None,
            });
        };
        let mut asked = BTreeSet::new();
        for id in ids {
            let known = parse_endpoint(id)?;
            let exists = place
                .endpoints
                .get(&known)
                .is_some_and(|e| world.endpoint_row(place, e, caller).is_some());
            if !exists {
                return Err(no_endpoint(id));
            }
            asked.insert(known);
        }
        let from = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let literals = filters
            .literals("vpc-endpoint-id")
            .filter(|_| asked.is_empty());
        let all = asked.is_empty() && literals.is_none();
        asked.extend(
            literals
                .into_iter()
                .flatten()
                .filter_map(|id| id.parse().ok()),
        );
        let rows: Box<dyn Iterator<Item = &Endpoint>> = if all {
            Box::new(
                place
                    .endpoints
                    .range((from, Bound::Unbounded))
                    .map(|(_, e)| e),
            )
        } else {
            Box::new(
                asked
                    .iter()
                    .filter(|id| after.as_ref().is_none_or(|last| *id > last))
                    .filter_map(|id| place.endpoints.get(id)),
            )
        };
        let rows = rows
            .filter_map(|endpoint| world.endpoint_row(place, endpoint, caller))
            .filter(|row| filters.allow(&row.endpoint.tags, |name| field(row, name)))
            .map(|row| (row.endpoint.id.to_string(), row));
        Ok(paging.take(LISTING, limit, rows))
    }

    /// Deletes endpoints one by one. Each that could not be deleted is an item of the answer.
    pub fn delete_endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.sweep(caller.now);
        if ids.is_empty() {
            return Err(AwsError::missing("VpcEndpointId"));
        }
        Ok(ids
            .iter()
            .filter_map(|id| {
                let done = caller
                    .forced_failure(id)
                    .map_or_else(|| self.delete_endpoint(caller, id), Err);
                done.err().map(|error| Unsuccessful {
                    resource_id: id.clone(),
                    error,
                })
            })
            .collect())
    }

    fn delete_endpoint(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let deleted_at = later(caller.now, self.behavior.endpoint_deleting_ms);
        let gone_at = later(deleted_at, self.behavior.endpoint_linger_ms);
        // The per-item code has no "Id" in its name, unlike the code of Describe.
        let missing = || {
            AwsError::new(
                "InvalidVpcEndpoint.NotFound",
                format!("The Vpc Endpoint '{id}' does not exist"),
            )
        };
        let endpoint = parse_endpoint(id)?;
        if self.delete_gateway_endpoint(caller, &endpoint) {
            return Ok(());
        }
        let service = self
            .place(caller)
            .endpoints
            .get(&endpoint)
            .map(|endpoint| endpoint.service.clone())
            .ok_or_else(missing)?;
        let life = self
            .service_mut(&service)
            .and_then(|service| service.connections.get_mut(&endpoint))
            .map(|connection| &mut connection.life)
            .ok_or_else(missing)?;
        match life.state_at(caller.now) {
            None | Some(ConnectionState::Deleted) => return Err(missing()),
            Some(ConnectionState::Deleting) => return Ok(()),
            Some(_) => life.enter(
                Phase::Deleted {
                    deleted_at,
                    gone_at,
                },
                caller.now,
            ),
        }
        self.notify("Delete", &service, &endpoint, caller.now);
        let grave = Grave::Endpoint {
            owner: caller.account.clone(),
            region: caller.region.clone(),
            endpoint,
        };
        self.graves.entry(gone_at).or_default().push(grave);
        Ok(())
    }

    fn endpoint_row(
        &self,
        place: &Place,
        endpoint: &Endpoint,
        caller: &Caller,
    ) -> Option<EndpointRow> {
        let service = self.service(&endpoint.service)?;
        let connection = service.connections.get(&endpoint.id)?;
        let state = connection.life.state_at(caller.seen_at)?;
        let mut dns_names = dns_names(service, &endpoint.id, &connection.zone_names);
        if endpoint.private_dns {
            dns_names.extend(service.private_dns.iter().map(|dns| dns.name.clone()));
        }
        Some(EndpointRow {
            last_error: connection
                .failure
                .clone()
                .filter(|_| state == ConnectionState::Failed),
            state,
            service_region: service.region.clone(),
            payers: connection.payers.clone(),
            created_at: connection.created_at,
            ip_address_type: connection.ip_address_type.clone(),
            dns_names,
            groups: endpoint
                .security_groups
                .iter()
                .map(|id| {
                    let name = place.security_groups.get(id).map(|g| g.name.clone());
                    (id.clone(), name.unwrap_or_default())
                })
                .collect(),
            endpoint: endpoint.clone(),
        })
    }
}

/// The DNS names of an endpoint: regional, then one per zone by the consumer's zone names.
pub(super) fn dns_names(
    service: &Service,
    id: &VpcEndpointId,
    zone_names: &[String],
) -> Vec<String> {
    let digest = mix(hash(id.as_str())) & 0xffff_ffff;
    let base = service.base_dns_name();
    std::iter::once(format!("{id}-{digest:08x}.{base}"))
        .chain(
            zone_names
                .iter()
                .map(|zone| format!("{id}-{digest:08x}-{zone}.{base}")),
        )
        .collect()
}

fn field(row: &EndpointRow, name: &str) -> Vec<String> {
    match name {
        "ip-address-type" => vec![row.ip_address_type.clone()],
        "service-name" => vec![row.endpoint.service_name.clone()],
        "service-region" => vec![row.service_region.to_string()],
        "vpc-endpoint-id" => vec![row.endpoint.id.to_string()],
        "vpc-endpoint-state" => vec![row.state.to_string()],
        "vpc-endpoint-type" => vec!["Interface".to_owned()],
        "vpc-id" => vec![row.endpoint.vpc_id.clone()],
        _ => Vec::new(),
    }
}

pub(super) fn check_ip_type(wanted: &str, supported: &[String]) -> Result<(), AwsError> {
    let needs: &[&str] = match wanted {
        "ipv4" => &["ipv4"],
        "ipv6" => &["ipv6"],
        "dualstack" => &["ipv4", "ipv6"],
        other => return Err(AwsError::bad_value("IpAddressType", other)),
    };
    if needs.iter().all(|kind| supported.iter().any(|s| s == kind)) {
        return Ok(());
    }
    Err(AwsError::new(
        "InvalidParameter",
        format!("The service does not support the IP address type {wanted}"),
    ))
}

/// The zones of subnets, which must be in the VPC and in different zones.
pub(super) fn subnet_zones(
    place: &Place,
    vpc_id: &str,
    subnets: &[String],
) -> Result<Vec<(privatelink::AvailabilityZoneId, String)>, AwsError> {
    let mut zones: Vec<(privatelink::AvailabilityZoneId, String)> = Vec::new();
    for id in subnets {
        let subnet = place.subnets.get(id).ok_or_else(|| no_subnet(id))?;
        if subnet.vpc_id != vpc_id {
            return Err(AwsError::new(
                "InvalidParameter",
                format!("The subnet {id} is not in the VPC {vpc_id}"),
            ));
        }
        if zones.iter().any(|(zone, _)| *zone == subnet.zone) {
            return Err(AwsError::new(
                "DuplicateSubnetsInSameZone",
                format!("Found another VPC endpoint subnet in the availability zone of {id}"),
            ));
        }
        zones.push((subnet.zone.clone(), id.clone()));
    }
    Ok(zones)
}

/// Security groups, which must be in the VPC; its default one when none is named.
pub(super) fn endpoint_groups(
    place: &Place,
    vpc_id: &str,
    groups: &[String],
) -> Result<Vec<String>, AwsError> {
    if groups.is_empty() {
        let default = place
            .security_groups
            .values()
            .find(|group| group.vpc_id == vpc_id && group.name == "default");
        return Ok(default.map(|group| group.id.clone()).into_iter().collect());
    }
    for id in groups {
        let known = place.security_groups.get(id);
        if known.is_none_or(|group| group.vpc_id != vpc_id) {
            return Err(no_group(id));
        }
    }
    Ok(groups.to_vec())
}

pub(super) fn parse_endpoint(id: &str) -> Result<VpcEndpointId, AwsError> {
    id.parse().map_err(|_| {
        let shown: String = id.chars().take(64).collect();
        AwsError::new(
            "InvalidVpcEndpointId.Malformed",
            format!("Invalid Id: '{shown}' (expecting 'vpce-...')"),
        )
    })
}

pub(super) fn no_endpoint(id: &str) -> AwsError {
    AwsError::new(
        "InvalidVpcEndpointId.NotFound",
        format!("The Vpc Endpoint Id '{id}' does not exist"),
    )
}

#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
