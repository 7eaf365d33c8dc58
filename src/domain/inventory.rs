//! The inventory: what endpoint services an AccountRegion has in AWS, and which of them can be taken over. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{EndpointService, LoadBalancerArn, ServiceId};
use serde_json::{Value, json};

use super::account_region::ListingError;
use super::drift::DriftKind;
use super::drift_inbox::Found;
use super::ids::EndpointServiceId;
use super::service_plan::TAG;
use super::text::text_enum;

/// How fresh the inventory of an AccountRegion is.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The last complete listing of service configurations.
    pub listing: Option<InventoryListing>,
    /// When somebody last asked for a fresh one.
    pub wanted_at: Option<DateTime<Utc>>,
    /// Why the last listing failed, until one goes through.
    pub error: Option<ListingError>,
}

/// The figures of a complete listing of service configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventoryListing {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// How many services it saw.
    pub services: i64,
}

/// However long a listing takes, there is one a day.
const DAY_MS: i64 = 86_400_000;

impl Inventory {
    /// When the next listing is due: at once (`None`) where there is none, when somebody asked for one since, else after `interval`. One that
    /// takes long is made less often, so that listing takes at most a ninth of the time.
    pub fn due_at(&self, interval: TimeDelta) -> Option<DateTime<Utc>> {
        let listing = self.listing?;
        let wanted = self.wanted_at.filter(|wanted| *wanted > listing.at);
        let rest = interval.max(TimeDelta::milliseconds(
            listing.took_ms.saturating_mul(8).min(DAY_MS),
        ));
        Some(wanted.unwrap_or(listing.at + rest))
    }
}

/// One service of the inventory.
#[derive(Debug, Clone)]
pub struct InventoryService {
    /// The last Describe.
    pub described: EndpointService,
    /// Who may connect, where it was read.
    pub principals: Option<Vec<String>>,
    /// How many connections there are by state, where it was counted.
    pub connections: Option<BTreeMap<String, i64>>,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// Since when a complete listing does not show it.
    pub gone_at: Option<DateTime<Utc>>,
    /// The registration of it here.
    pub registered_as: Option<EndpointServiceId>,
    /// Whether its tag names a registration that waits for the answer to its create.
    pub being_created: bool,
}

text_enum!(
    /// Why a service is not taken over.
    NotAdopted {
        /// It is registered here already.
        Registered = "already_registered",
        /// A registration here is creating it just now.
        BeingCreated = "being_created",
        /// AWS is deleting it, has deleted it, or could not make it.
        Gone = "gone",
        /// It stands behind no Network Load Balancer.
        NoLoadBalancer = "no_network_load_balancer",
        /// The inventory does not know it.
        NotFound = "not_found",
    }
);

impl InventoryService {
    /// AWS's id.
    pub fn id(&self) -> &ServiceId {
        &self.described.service_id
    }

    /// What people call it: its tag `Name`, else AWS's id.
    pub fn name(&self) -> String {
        let named = self.tag("Name").map(str::trim).filter(|name| {
            !name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control)
        });
        named.unwrap_or(self.id().as_str()).to_owned()
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let tags = &self.described.tags;
        tags.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Why it is not taken over; `None` where it can be.
    pub fn unfit(&self) -> Option<NotAdopted> {
        if self.registered_as.is_some() {
            Some(NotAdopted::Registered)
        } else if self.gone_at.is_some() || self.described.state.is_gone() {
            Some(NotAdopted::Gone)
        } else if self.being_created {
            Some(NotAdopted::BeingCreated)
        } else if self.described.network_load_balancer_arns.is_empty() {
            Some(NotAdopted::NoLoadBalancer)
        } else {
            None
        }
    }

    /// The drift that it is, where it is one: a service that stands and that nobody here registered. `ours` are the load balancers of
    /// registered services.
    pub fn unknown(&self, ours: &BTreeMap<LoadBalancerArn, EndpointServiceId>) -> Option<Found> {
        match self.unfit() {
            Some(NotAdopted::Registered | NotAdopted::BeingCreated | NotAdopted::Gone) => {
                return None;
            }
            Some(NotAdopted::NoLoadBalancer | NotAdopted::NotFound) | None => {}
        }
        let shown = &self.described;
        let shares: Vec<Value> = shown
            .network_load_balancer_arns
            .iter()
            .filter_map(|arn| {
                Some(json!({ "load_balancer_arn": arn, "service_id": ours.get(arn)? }))
            })
            .collect();
        Some(Found {
            kind: DriftKind::UnknownService,
            subject: shown.service_id.to_string(),
            before: Value::Null,
            after: json!({
                "acceptance_required": shown.acceptance_required,
                "load_balancer_arns": shown.network_load_balancer_arns,
                "allowed_principals": self.principals,
            }),
            evidence: json!({
                "name": self.name(),
                "service_name": shown.service_name,
                "state": shown.state,
                "uses_load_balancers_of": shares,
                "portcullis_tag": self.tag(TAG),
            }),
        })
    }
}

/// The same description with its lists in order: AWS sends them in no stable one, and what is merely shuffled is not new.
pub fn sorted(mut described: EndpointService) -> EndpointService {
    described
        .network_load_balancer_arns
        .sort_by(|a, b| a.as_str().cmp(b.as_str()));
    described.availability_zones.sort();
    described
        .availability_zone_ids
        .sort_by(|a, b| a.as_str().cmp(b.as_str()));
    described.supported_ip_address_types.sort();
    described.supported_regions.sort();
    described.base_endpoint_dns_names.sort();
    described.tags.sort();
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_due_at_once_when_there_is_none_or_somebody_asked() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0);
        let interval = TimeDelta::seconds(900);
        assert_eq!(Inventory::default().due_at(interval), None);
        let mut inventory = Inventory {
            listing: at(0).map(|at| InventoryListing {
                at,
                took_ms: 5,
                services: 1,
            }),
            ..Inventory::default()
        };
        assert_eq!(inventory.due_at(interval), at(900));
        inventory.wanted_at = at(10);
        assert_eq!(inventory.due_at(interval), at(10));
        inventory.wanted_at = at(-10);
        assert_eq!(inventory.due_at(interval), at(900));
        inventory.listing = at(0).map(|at| InventoryListing {
            at,
            took_ms: 200_000,
            services: 4_000,
        });
        assert_eq!(inventory.due_at(interval), at(1_600));
    }
}
