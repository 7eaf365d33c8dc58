//! Endpoint services: made, changed, described and deleted by their owner.

mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{
    AccountId, AvailabilityZoneId, LoadBalancerArn, Region, ServiceId, ServiceState, VpcEndpointId,
};
use serde::{Deserialize, Serialize};

use super::aws_services::AwsService;
use super::connections::Connection;
use super::principals::Grants;
use super::private_dns::PrivateDns;
use super::remote_access::{RegionChanges, RemoteRegions, check_remote_zones, is_remote};
use super::select::{Filters, Listed, Paging, Tags};
use super::service_load_balancers::{BackedBy, exactly_one};
use super::{Caller, World, later};
use crate::AwsError;
pub use requests::{NewService, ServiceChange};

/// An endpoint service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, named after what it says"
)]
pub struct Service {
    /// `vpce-svc-…`.
    pub id: ServiceId,
    /// The account that owns it.
    pub owner: AccountId,
    /// The Region it is in.
    pub region: Region,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Whether connections wait for the owner.
    pub acceptance_required: bool,
    /// Its Network or Gateway Load Balancers, never both, in the order they were added.
    pub load_balancers: Vec<LoadBalancerArn>,
    /// The zones of its load balancers as of creation or the last Modify: AWS does not look in between.
    pub zones: BTreeSet<AvailabilityZoneId>,
    /// `ipv4`, `ipv6`.
    pub ip_address_types: Vec<String>,
    /// Who may connect.
    pub grants: Grants,
    /// The private DNS name and its proof.
    #[serde(default)]
    pub private_dns: Option<PrivateDns>,
    /// The other Regions that were ever opened to consumers.
    #[serde(default)]
    pub supported_regions: RemoteRegions,
    /// When the last change of another Region is finished.
    #[serde(default, skip_serializing_if = "RegionChanges::is_empty")]
    pub region_changes: RegionChanges,
    /// When it is no longer `Pending`, if it ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<DateTime<Utc>>,
    /// Whether the control API made it `Failed`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Whether the owner pays for the endpoints. Once true, always true.
    #[serde(default)]
    pub service_owner_pays: bool,
    /// The owner's tags.
    pub tags: Tags,
    /// Its connections. The consumers' endpoints refer to these records, so both sides see one truth.
    pub connections: BTreeMap<VpcEndpointId, Connection>,
    /// When it was deleted.
    pub deletion: Option<Deletion>,
    /// Whether it is no longer listed; the record stays while consumers' endpoints refer to it.
    pub vanished: bool,
    /// What only AWS's own services have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsService>,
    /// What consumers are shown instead of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_alias: Option<String>,
}

/// When a service was deleted and when that is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// When `Deleting` ends.
    pub done_at: DateTime<Utc>,
}

impl Service {
    /// `com.amazonaws.vpce.REGION.vpce-svc-…`, or AWS's own name.
    pub fn name(&self) -> String {
        if let Some(aws) = &self.aws {
            return aws.name.clone();
        }
        format!("com.amazonaws.vpce.{}.{}", self.region, self.id)
    }

    /// `vpce-svc-….REGION.vpce.amazonaws.com`.
    pub fn base_dns_name(&self) -> String {
        if let Some(aws) = &self.aws {
            let kind = if aws.gateway { "" } else { "vpce." };
            return format!("{}.{}.{kind}amazonaws.com", aws.short, self.region);
        }
        format!("{}.{}.vpce.amazonaws.com", self.id, self.region)
    }

    /// Where it is in its life at a moment; `None` when it is not listed.
    pub fn state_at(&self, at: DateTime<Utc>) -> Option<ServiceState> {
        match self.deletion {
            _ if self.vanished || at < self.created_at => None,
            Some(deletion) if at >= deletion.done_at => Some(ServiceState::Deleted),
            Some(deletion) if at >= deletion.at => Some(ServiceState::Deleting),
            _ if self.failed => Some(ServiceState::Failed),
            _ if self.pending_until.is_some_and(|until| at < until) => Some(ServiceState::Pending),
            _ => Some(ServiceState::Available),
        }
    }

    /// Whether consumers can connect to it: neither `Pending`, `Failed` nor deleted.
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.is_live() && self.state_at(at) == Some(ServiceState::Available)
    }

    /// Whether it can be changed.
    pub fn is_live(&self) -> bool {
        self.deletion.is_none()
    }

    /// Whether it keeps a load balancer busy: until its deletion is finished.
    pub fn uses(&self, arn: &LoadBalancerArn, now: DateTime<Utc>) -> bool {
        self.load_balancers.contains(arn) && self.deletion.is_none_or(|d| now < d.done_at)
    }
}

fn no_private_name() -> AwsError {
    AwsError::new(
        "InvalidParameter",
        "Private DNS names are not supported for services of type GatewayLoadBalancer",
    )
}

const ACTION: &str = "CreateVpcEndpointServiceConfiguration";

const LISTING: &str = "DescribeVpcEndpointServiceConfigurations";

/// Whether a change of the private DNS name can be; `bound` when endpoints keep it where it is.
fn check_renaming(change: &ServiceChange, bound: bool) -> Result<(), AwsError> {
    if change.remove_private_dns_name && change.private_dns_name.is_some() {
        return Err(AwsError::new(
            "InvalidParameterCombination",
            "PrivateDnsName and RemovePrivateDnsName exclude each other",
        ));
    }
    let renamed = change.remove_private_dns_name || change.private_dns_name.is_some();
    if renamed && bound {
        return Err(AwsError::new(
            "ExistingVpcEndpointConnections",
            "The private DNS name cannot change while endpoints are attached to the service",
        ));
    }
    Ok(())
}

impl World {
    /// Makes an endpoint service. A load balancer can back one service only.
    pub fn create_service(
        &mut self,
        caller: &Caller,
        new: &NewService,
        client_token: Option<&str>,
    ) -> Result<Service, AwsError> {
        self.sweep(caller.now);
        if let Some(made) = self.replayed(caller, ACTION, client_token, new)? {
            return self.own_service(caller, &made).cloned();
        }
        let (kind, arns) = exactly_one(&new.load_balancers, &new.gateway_load_balancers)?;
        check_ip_types(&new.ip_address_types)?;
        let load_balancers = self.free_load_balancers(caller, kind, arns, None)?;
        self.check_dualstack(caller, &new.ip_address_types, &load_balancers)?;
        if kind == BackedBy::Gateway && new.private_dns_name.is_some() {
            return Err(no_private_name());
        }
        let zones = self.zones_of(caller, &load_balancers);
        let none = RemoteRegions::new();
        let regions = self.changed_regions(&caller.region, &none, &new.regions, &[])?;
        if !regions.is_empty() {
            check_remote_zones(&zones)?;
            self.check_idle_timeouts(caller, &load_balancers)?;
        }
        let private_dns = match &new.private_dns_name {
            Some(name) => Some(self.new_private_dns(name)?),
            None => None,
        };
        let id: ServiceId = new_id(&self.ids.ec2("vpce-svc-"))?;
        let pending = self.behavior.service_pending_ms;
        let service = Service {
            id: id.clone(),
            owner: caller.account.clone(),
            region: caller.region.clone(),
            created_at: caller.now,
            acceptance_required: new.acceptance_required,
            load_balancers,
            zones,
            ip_address_types: if new.ip_address_types.is_empty() {
                vec!["ipv4".to_owned()]
            } else {
                new.ip_address_types.clone()
            },
            grants: Grants::new(),
            private_dns,
            region_changes: self.region_changes(caller.now, &none, &regions),
            supported_regions: regions,
            pending_until: (pending > 0).then(|| later(caller.now, pending)),
            failed: false,
            service_owner_pays: false,
            tags: new.tags.clone(),
            connections: BTreeMap::new(),
            deletion: None,
            vanished: false,
            aws: None,
            owner_alias: None,
        };
        self.owners
            .insert(id.clone(), (caller.account.clone(), caller.region.clone()));
        self.place(caller)
            .services
            .insert(id.clone(), service.clone());
        self.remember(caller, ACTION, client_token, new, id.as_str());
        Ok(service)
    }

    /// Changes an endpoint service and reads the zones of its load balancers again.
    pub fn modify_service(
        &mut self,
        caller: &Caller,
        id: &str,
        change: &ServiceChange,
    ) -> Result<(), AwsError> {
        self.sweep(caller.now);
        let dns_moves = self.behavior.private_dns_changes_with_connections;
        let removable = self.behavior.ip_type_removal_with_endpoints;
        let service = self.own_service(caller, id)?;
        let id = service.id.clone();
        let kind = service.backed_by();
        let (add, remove) = change.of_kind(kind)?;
        if kind == BackedBy::Gateway && change.private_dns_name.is_some() {
            return Err(no_private_name());
        }
        let removed: Vec<LoadBalancerArn> = remove
            .iter()
            .map(|arn| kind.parse(arn))
            .collect::<Result<_, _>>()?;
        if !removed.is_empty() && service.has_attached(caller.now) {
            return Err(AwsError::new(
                "ExistingVpcEndpointConnections",
                "Load balancers cannot be removed while endpoints are attached to the service",
            ));
        }
        let bound = service.private_dns.is_some() && service.has_attached(caller.now) && !dns_moves;
        check_renaming(change, bound)?;
        service.check_settled(&change.add_regions, caller.now)?;
        service.check_settled(&change.remove_regions, caller.now)?;
        let in_use =
            !removable && service.uses_ip_types(&change.remove_ip_address_types, caller.now);
        let before = service.supported_regions.clone();
        let mut load_balancers = service.load_balancers.clone();
        let mut types = service.ip_address_types.clone();
        load_balancers.retain(|arn| !removed.contains(arn));
        for arn in self.free_load_balancers(caller, kind, add, Some(&id))? {
            if !load_balancers.contains(&arn) {
                load_balancers.push(arn);
            }
        }
        if load_balancers.is_empty() {
            return Err(AwsError::new(
                "InvalidParameter",
                "At least one load balancer must stay associated with the service",
            ));
        }
        check_ip_types(&change.add_ip_address_types)?;
        if in_use {
            return Err(AwsError::new(
                "ExistingVpcEndpointConnections",
                "An IP address type cannot be removed while endpoints of that type are attached to the service",
            ));
        }
        types.retain(|kind| !change.remove_ip_address_types.contains(kind));
        types.extend(change.add_ip_address_types.iter().cloned());
        types.sort();
        types.dedup();
        if types.is_empty() {
            return Err(AwsError::new(
                "InvalidParameter",
                "At least one IP address type must stay supported",
            ));
        }
        self.check_dualstack(caller, &types, &load_balancers)?;
        let zones = self.zones_of(caller, &load_balancers);
        let regions = self.changed_regions(
            &caller.region,
            &before,
            &change.add_regions,
            &change.remove_regions,
        )?;
        if !change.add_regions.is_empty() {
            check_remote_zones(&zones)?;
        }
        if is_remote(&regions) {
            self.check_idle_timeouts(caller, &load_balancers)?;
        }
        let private_dns = match &change.private_dns_name {
            Some(name) => Some(Some(self.new_private_dns(name)?)),
            None if change.remove_private_dns_name => Some(None),
            None => None,
        };
        let moving = self.region_changes(caller.now, &before, &regions);
        let service = self.own_service_mut(caller, id.as_str())?;
        service.supported_regions = regions;
        service.region_changes.extend(moving);
        if let Some(private_dns) = private_dns {
            service.private_dns = private_dns;
        }
        service.load_balancers = load_balancers;
        service.zones = zones;
        service.ip_address_types = types;
        if let Some(required) = change.acceptance_required {
            service.acceptance_required = required;
        }
        Ok(())
    }

    /// Lists the caller's own services. An unknown id fails the call.
    pub fn describe_services(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<Service>, AwsError> {
        filters.check(&[
            "service-id",
            "service-name",
            "service-state",
            "supported-ip-address-types",
            "tag-key",
        ])?;
        let limit = self.behavior.page_size_limit;
        let seen_at = caller.seen_at;
        self.sweep(caller.now);
        let services = &self.place(caller).services;
        let mut asked = BTreeSet::new();
        for id in ids {
            let id = parse_service(id)?;
            if services
                .get(&id)
                .is_none_or(|s| s.state_at(seen_at).is_none())
            {
                return Err(no_service(id.as_str()));
            }
            asked.insert(id);
        }
        let literals = filters.literals("service-id").filter(|_| ids.is_empty());
        let named = !ids.is_empty() || literals.is_some();
        asked.extend(
            literals
                .into_iter()
                .flatten()
                .filter_map(|id| id.parse().ok()),
        );
        let after: Option<ServiceId> = paging.after(LISTING)?.and_then(|key| key.parse().ok());
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (from, Bound::Unbounded);
        let rows: Box<dyn Iterator<Item = (&ServiceId, &Service)>> = if named {
            let asked = asked.range::<ServiceId, _>(range);
            Box::new(asked.filter_map(|id| services.get_key_value(id)))
        } else {
            Box::new(services.range::<ServiceId, _>(range))
        };
        let rows = rows.filter(|(_, service)| {
            service.state_at(seen_at).is_some_and(|state| {
                filters.allow(&service.tags, |name| match name {
                    "service-id" => vec![service.id.to_string()],
                    "service-name" => vec![service.name()],
                    "service-state" => vec![state.to_string()],
                    "supported-ip-address-types" => service.ip_address_types.clone(),
                    _ => Vec::new(),
                })
            })
        });
        let page = paging
            .take(LISTING, limit, rows)
            .map(Service::without_connections);
        for shown in &page.items {
            // Hidden once: the next description shows the record.
            let kept = self.place(caller).services.get_mut(&shown.id);
            if let Some(dns) = kept.and_then(|service| service.private_dns.as_mut()) {
                dns.hidden = false;
            }
        }
        Ok(page)
    }

    /// A live service of the caller's; `InvalidVpcEndpointServiceId.NotFound` otherwise.
    pub(crate) fn own_service(&mut self, caller: &Caller, id: &str) -> Result<&Service, AwsError> {
        self.own_service_mut(caller, id).map(|service| &*service)
    }

    pub(crate) fn own_service_mut(
        &mut self,
        caller: &Caller,
        id: &str,
    ) -> Result<&mut Service, AwsError> {
        let id = parse_service(id)?;
        self.place(caller)
            .services
            .get_mut(&id)
            .filter(|service| service.is_live())
            .ok_or_else(|| no_service(id.as_str()))
    }
}

impl Service {
    /// The service as a listing shows it: the connections are not part of it and may be many.
    pub(crate) fn without_connections(&self) -> Self {
        Self {
            connections: BTreeMap::new(),
            id: self.id.clone(),
            owner: self.owner.clone(),
            region: self.region.clone(),
            created_at: self.created_at,
            acceptance_required: self.acceptance_required,
            load_balancers: self.load_balancers.clone(),
            zones: self.zones.clone(),
            ip_address_types: self.ip_address_types.clone(),
            grants: self.grants.clone(),
            private_dns: self.private_dns.clone(),
            supported_regions: self.supported_regions.clone(),
            region_changes: self.region_changes.clone(),
            pending_until: self.pending_until,
            failed: self.failed,
            service_owner_pays: self.service_owner_pays,
            tags: self.tags.clone(),
            deletion: self.deletion,
            vanished: self.vanished,
            aws: self.aws.clone(),
            owner_alias: self.owner_alias.clone(),
        }
    }
}

pub(super) fn new_id<T: std::str::FromStr>(id: &str) -> Result<T, AwsError> {
    id.parse()
        .map_err(|_| AwsError::with_status(500, "InternalError", "An id could not be made"))
}

pub(super) fn parse_service(id: &str) -> Result<ServiceId, AwsError> {
    id.parse().map_err(|_| {
        let shown: String = id.chars().take(64).collect();
        AwsError::new(
            // The doubled "Id" is AWS's own.
            "InvalidVpcEndpointServiceIdId.Malformed",
            format!("Invalid Id: '{shown}' (expecting 'vpce-svc-...')"),
        )
    })
}

fn check_ip_types(types: &[String]) -> Result<(), AwsError> {
    match types
        .iter()
        .find(|t| !["ipv4", "ipv6"].contains(&t.as_str()))
    {
        Some(unknown) => Err(AwsError::bad_value("SupportedIpAddressType", unknown)),
        None => Ok(()),
    }
}

pub(super) fn no_service(id: &str) -> AwsError {
    AwsError::new(
        "InvalidVpcEndpointServiceId.NotFound",
        format!("The VpcEndpointService Id '{id}' does not exist"),
    )
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "gateway_services_tests.rs"]
mod gateway_tests;
