//! The consumer's side: interface endpoints, created, described and deleted in the consumer's account.

use std::collections::BTreeSet;
use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{ConnectionState, Region, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::addresses::{self, Addresses, SubnetAddresses, check_addresses};
use super::connections::Connection;
use super::dns_options::DnsOptions;
use super::endpoint_changes::{LastError, check_policy, named, provisioning};
use super::endpoint_checks::{check_ip_type, endpoint_groups, subnet_zones};
use super::endpoint_kinds::{EndpointKind, check_gateway_load_balancer_endpoint, wrong_type};
use super::ids::{hash, mix};
use super::lifecycle::{Life, Phase};
use super::network::no_vpc_for_endpoint;
use super::payers::Payers;
use super::select::{Filters, Listed, Paging, Tags};
use super::services::{Service, new_id};
use super::{Caller, Place, World, later};
use crate::AwsError;

/// An interface or Gateway Load Balancer endpoint, as its consumer keeps it. Its state is in the service's [`Connection`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `vpce-…`.
    pub id: VpcEndpointId,
    /// Its type.
    #[serde(default)]
    pub kind: EndpointKind,
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
    /// The addresses of the network interfaces, in their order.
    #[serde(default)]
    pub addresses: Vec<Addresses>,
    /// Which records its names have.
    #[serde(default, skip_serializing_if = "DnsOptions::is_empty")]
    pub dns: DnsOptions,
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
    /// The type of the endpoint, which must be the service's.
    pub kind: EndpointKind,
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
    /// Which records the names shall have.
    pub dns: DnsOptions,
    /// Fixed addresses; a subnet that is named here need not be among `subnets`.
    pub fixed: Vec<SubnetAddresses>,
    /// Tags.
    pub tags: Tags,
}

/// A request that can be done.
struct Checked {
    service: ServiceId,
    waits: bool,
    ip_address_type: String,
    subnets: Vec<String>,
    zone_names: Vec<String>,
    security_groups: Vec<String>,
}

pub(super) const ACTION: &str = "CreateVpcEndpoint";

pub(super) const LISTING: &str = "DescribeVpcEndpoints";

impl World {
    /// Makes an interface or Gateway Load Balancer endpoint. A service that does not exist, is elsewhere or is not permitted
    /// looks the same: `InvalidServiceName`.
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
        let checked = self.checked(caller, new)?;
        let failure = self.take_planned_failure(&caller.account);
        let id: VpcEndpointId = new_id(&self.ids.ec2("vpce-"))?;
        let phase = if checked.waits {
            Phase::Waiting {
                expires_at: later(caller.now, self.behavior.expire_after_ms),
            }
        } else {
            provisioning(failure.as_ref(), caller.now, &self.behavior)
        };
        let network_interfaces: Vec<String> = checked
            .subnets
            .iter()
            .map(|_| self.ids.ec2("eni-"))
            .collect();
        let connection_id = self.ids.ec2("vpce-con-");
        let place = self.place(caller);
        let addresses = checked
            .subnets
            .iter()
            .zip(&network_interfaces)
            .map(|(subnet, interface)| match place.subnets.get_mut(subnet) {
                Some(subnet) => {
                    addresses::assign(subnet, interface, &new.fixed, &checked.ip_address_type)
                }
                None => Addresses::default(),
            })
            .collect();
        let endpoint = Endpoint {
            id: id.clone(),
            kind: new.kind,
            service: checked.service.clone(),
            service_name: new.service_name.clone(),
            vpc_id: new.vpc_id.clone(),
            subnets: checked.subnets,
            security_groups: checked.security_groups,
            network_interfaces,
            addresses,
            dns: new.dns.clone(),
            policy: new.policy.clone(),
            private_dns: new.private_dns,
            tags: new.tags.clone(),
        };
        place.endpoints.insert(id.clone(), endpoint);
        let connection = Connection {
            owner: caller.account.clone(),
            endpoint_region: caller.region.clone(),
            id: connection_id,
            created_at: caller.now,
            ip_address_type: checked.ip_address_type,
            zone_names: checked.zone_names,
            tags: Tags::new(),
            life: Life::begin(phase, caller.now),
            failure,
            payers: Payers::new(),
        };
        self.index()
            .add_connection(&checked.service, &id, &connection.id);
        if let Some(service) = self.service_mut(&checked.service) {
            service.connections.insert(id.clone(), connection);
        }
        self.notify("Connect", &checked.service, &id, caller.now);
        self.remember(caller, ACTION, client_token, new, id.as_str());
        // The answer to the one who made it is never stale.
        let fresh = Caller {
            seen_at: caller.now,
            ..caller.clone()
        };
        self.endpoint(&fresh, id.as_str())
    }

    /// Everything that AWS checks before it makes an endpoint.
    fn checked(&mut self, caller: &Caller, new: &NewEndpoint) -> Result<Checked, AwsError> {
        if !self.place(caller).vpcs.contains_key(&new.vpc_id) {
            return Err(no_vpc_for_endpoint(&new.vpc_id));
        }
        if let Some(policy) = &new.policy {
            check_policy(policy)?;
        }
        if let Some(most) = self.behavior.endpoints_per_vpc {
            let place = self.place(caller).endpoints.values();
            let there = place.filter(|endpoint| {
                endpoint.vpc_id == new.vpc_id && !endpoint.network_interfaces.is_empty()
            });
            if there.count() >= most {
                return Err(AwsError::new(
                    "VpcEndpointLimitExceeded",
                    format!(
                        "The maximum number of VPC endpoints in {} has been reached",
                        new.vpc_id
                    ),
                ));
            }
        }
        let from = new.service_region.as_deref();
        let from = from.unwrap_or(caller.region.as_str());
        let mut subnets = new.subnets.clone();
        for fixed in &new.fixed {
            if !subnets.contains(&fixed.subnet) {
                subnets.push(fixed.subnet.clone());
            }
        }
        self.furnish_asked(caller, &[from.to_owned()]);
        let world = &*self;
        let service = world.visible_service_in(caller, from, &new.service_name)?;
        if service.kind() != new.kind {
            return Err(wrong_type(new.kind.as_str(), service.kind().as_str()));
        }
        if new.kind == EndpointKind::GatewayLoadBalancer {
            check_gateway_load_balancer_endpoint(new, &subnets)?;
        }
        world.check_new_endpoint_dns(caller, service, new)?;
        let ip_address_type = new.ip_address_type.as_deref().unwrap_or("ipv4").to_owned();
        check_ip_type(&ip_address_type, &service.ip_address_types)?;
        new.dns.check_records(&ip_address_type)?;
        let place = world
            .existing_place(&caller.account, &caller.region)
            .ok_or_else(|| no_vpc_for_endpoint(&new.vpc_id))?;
        new.dns.check_interface(place, &new.vpc_id, service)?;
        let zone_ids = subnet_zones(place, &new.vpc_id, &subnets)?;
        service.check_zones(&zone_ids, &caller.region)?;
        check_addresses(place, &subnets, &new.fixed, &ip_address_type)?;
        let security_groups = match new.kind {
            EndpointKind::Interface => endpoint_groups(place, &new.vpc_id, &new.security_groups)?,
            EndpointKind::GatewayLoadBalancer => Vec::new(),
        };
        Ok(Checked {
            service: service.id.clone(),
            waits: service.acceptance_required,
            zone_names: named(&world.zones(&caller.account, &caller.region), &zone_ids),
            ip_address_type,
            subnets,
            security_groups,
        })
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
            dns_names.extend(service.private_names());
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

/// The DNS names of an endpoint: regional, then one per zone by the consumer's zone names. A next hop has none.
pub(super) fn dns_names(
    service: &Service,
    id: &VpcEndpointId,
    zone_names: &[String],
) -> Vec<String> {
    if service.is_gateway() {
        return Vec::new();
    }
    let digest = mix(hash(id.as_str())) & 0xffff_ffff;
    let base = service.base_dns_name();
    // Bucket names go in front of the names of S3.
    let bucket = service.aws.as_ref().is_some_and(|aws| aws.short == "s3");
    let head = if bucket { "*." } else { "" };
    std::iter::once(format!("{head}{id}-{digest:08x}.{base}"))
        .chain(
            zone_names
                .iter()
                .map(|zone| format!("{head}{id}-{digest:08x}-{zone}.{base}")),
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
        "vpc-endpoint-type" => vec![row.endpoint.kind.as_str().to_owned()],
        "vpc-id" => vec![row.endpoint.vpc_id.clone()],
        _ => Vec::new(),
    }
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

#[cfg(test)]
#[path = "endpoint_addresses_tests.rs"]
mod address_tests;
