//! The state of all simulated accounts and Regions, and the rules that change it.
//!
//! Pure and synchronous: no I/O, no timers, no clock of its own. Every operation takes a [`Caller`] (who, where, when) and
//! answers with data or an [`AwsError`]. What happens later is stored as the time it is due and computed when it is read.

pub mod addresses;
pub mod associations;
pub mod aws_services;
pub mod certificates;
mod cidr;
pub mod connections;
pub mod consumer_services;
pub mod dns_options;
pub mod elb_attributes;
pub mod elb_tags;
pub mod endpoint_changes;
mod endpoint_checks;
mod endpoint_deletion;
pub mod endpoint_kinds;
pub mod endpoint_listing;
pub mod endpoints;
mod forced_states;
pub mod gateway_endpoints;
pub mod gateway_load_balancers;
pub mod health_checks;
pub mod hosted_zones;
pub mod idempotency;
pub mod identity;
pub mod ids;
mod index;
pub mod lattice;
pub mod lattice_endpoints;
pub mod lifecycle;
pub mod listeners;
pub mod load_balancer_changes;
pub mod load_balancer_subnets;
pub mod load_balancers;
pub mod messaging;
pub mod network;
pub mod network_creation;
mod network_deletion;
pub mod network_interfaces;
pub mod notifications;
pub mod payers;
pub mod prefix_lists;
pub mod principals;
pub mod private_dns;
pub mod regions;
pub mod remote_access;
pub mod route_tables;
pub mod routes;
pub mod select;
mod service_deletion;
mod service_load_balancers;
pub mod services;
pub mod tags;
pub mod target_health;
pub mod targets;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{AccountId, LoadBalancerArn, Region, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use crate::api::Call;
use crate::throttling::Buckets;
use crate::{AwsError, Behavior};
use endpoint_changes::PlannedFailure;
use endpoints::Endpoint;
use gateway_endpoints::GatewayEndpoint;
use idempotency::UsedToken;
use identity::{Identity, IssuedKey, Role};
use ids::IdSource;
use index::Index;
use lattice::Lattice;
use lattice_endpoints::LatticeEndpoint;
use listeners::Listener;
use load_balancers::LoadBalancer;
use messaging::Messaging;
use network::{SecurityGroup, Subnet, Vpc};
use notifications::{ConnectionEvent, Notification};
use prefix_lists::ChangedList;
use regions::Zone;
use route_tables::RouteTable;
use services::Service;
use targets::TargetGroup;

/// Everything there is, in every account and Region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    ids: IdSource,
    /// The switches in force.
    pub behavior: Behavior,
    regions: Vec<Region>,
    accounts: BTreeMap<AccountId, BTreeMap<Region, Place>>,
    /// Whose each endpoint service is: consumers know it by id only.
    owners: BTreeMap<ServiceId, (AccountId, Region)>,
    roles: BTreeMap<String, Role>,
    keys: BTreeMap<String, IssuedKey>,
    tokens: BTreeMap<String, UsedToken>,
    /// The keys of `tokens`, oldest first.
    #[serde(default)]
    token_ages: VecDeque<String>,
    graves: BTreeMap<DateTime<Utc>, Vec<Grave>>,
    #[serde(default)]
    notification_log: Vec<ConnectionEvent>,
    #[serde(skip)]
    buckets: Buckets,
    #[serde(default)]
    planned_failures: Vec<PlannedFailure>,
    #[serde(default)]
    txt_records: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    dns_checks: BTreeMap<DateTime<Utc>, Vec<ServiceId>>,
    #[serde(default)]
    messaging: Messaging,
    #[serde(default)]
    lattice: Lattice,
    /// AWS's own services of the Regions that were looked at.
    #[serde(default)]
    aws_services: BTreeMap<ServiceId, Service>,
    /// Private hosted zones by VPC, besides those that endpoints hide there.
    #[serde(default)]
    hosted_zones: BTreeMap<String, BTreeSet<String>>,
    /// Prefix lists whose addresses were changed, by id.
    #[serde(default)]
    changed_prefix_lists: BTreeMap<String, ChangedList>,
    #[serde(skip)]
    index: Option<Index>,
}

/// One account in one Region.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Place {
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    pub(crate) subnets: BTreeMap<String, Subnet>,
    pub(crate) security_groups: BTreeMap<String, SecurityGroup>,
    pub(crate) load_balancers: BTreeMap<LoadBalancerArn, LoadBalancer>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
    pub(crate) services: BTreeMap<ServiceId, Service>,
    pub(crate) endpoints: BTreeMap<VpcEndpointId, Endpoint>,
    #[serde(default)]
    pub(crate) route_tables: BTreeMap<String, RouteTable>,
    #[serde(default)]
    pub(crate) gateway_endpoints: BTreeMap<VpcEndpointId, GatewayEndpoint>,
    #[serde(default)]
    pub(crate) lattice_endpoints: BTreeMap<VpcEndpointId, LatticeEndpoint>,
    #[serde(default)]
    pub(crate) notifications: BTreeMap<String, Notification>,
}

/// Something that vanishes at its time: rows are swept so that a long run does not fill the memory with the dead.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Grave {
    Endpoint {
        owner: AccountId,
        region: Region,
        endpoint: VpcEndpointId,
    },
    Service(ServiceId),
}

/// A per-item failure that a planned fault asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForcedFailure {
    /// The fault that planned it.
    pub fault: u64,
    /// The id that fails.
    pub resource_id: String,
    /// What the item says.
    pub error: AwsError,
}

/// Who calls, where and when.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account whose world is seen.
    pub account: AccountId,
    /// The Region of the request.
    pub region: Region,
    /// The identity inside the account.
    pub identity: Identity,
    /// The time of the request.
    pub now: DateTime<Utc>,
    /// The time that reads see: earlier than `now` while a stale-reads fault is planned.
    pub seen_at: DateTime<Utc>,
    /// Items that must fail.
    pub forced: Vec<ForcedFailure>,
    /// The faults among `forced` that were used.
    pub used: RefCell<Vec<u64>>,
}

impl Caller {
    /// An account's root identity, with nothing planned.
    pub fn root(account: AccountId, region: Region, now: DateTime<Utc>) -> Self {
        Self {
            identity: Identity::root(&account, &region),
            account,
            region,
            now,
            seen_at: now,
            forced: Vec::new(),
            used: RefCell::default(),
        }
    }

    /// The failure planned for this id, if there is one; asking uses it up.
    pub fn forced_failure(&self, id: &str) -> Option<AwsError> {
        let mut used = self.used.borrow_mut();
        let forced = self
            .forced
            .iter()
            .find(|f| f.resource_id == id && !used.contains(&f.fault))?;
        used.push(forced.fault);
        Some(forced.error.clone())
    }
}

impl World {
    /// An empty world. Accounts exist as soon as somebody calls from them.
    pub fn new(seed: u64, regions: Vec<Region>, behavior: Behavior) -> Self {
        let known = regions::all();
        Self {
            ids: IdSource::new(seed),
            behavior,
            regions: if regions.is_empty() {
                known
            } else {
                regions.into_iter().filter(|r| known.contains(r)).collect()
            },
            accounts: BTreeMap::new(),
            owners: BTreeMap::new(),
            roles: BTreeMap::new(),
            keys: BTreeMap::new(),
            tokens: BTreeMap::new(),
            token_ages: VecDeque::new(),
            graves: BTreeMap::new(),
            notification_log: Vec::new(),
            buckets: Buckets::default(),
            planned_failures: Vec::new(),
            txt_records: BTreeMap::new(),
            dns_checks: BTreeMap::new(),
            messaging: Messaging::default(),
            lattice: Lattice::default(),
            aws_services: BTreeMap::new(),
            hosted_zones: BTreeMap::new(),
            changed_prefix_lists: BTreeMap::new(),
            index: None,
        }
    }

    /// A world as this one was at the start: the same seed unless there is another, the same Regions and switches.
    pub(crate) fn emptied(&self, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or(self.seed());
        Self::new(seed, self.regions.clone(), self.behavior.clone())
    }

    /// The seed that ids come from.
    pub fn seed(&self) -> u64 {
        self.ids.seed()
    }

    /// The Regions of this world.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Takes a token for a call, when calls are throttled.
    pub(crate) fn throttle(&mut self, call: &Call, now: DateTime<Utc>) -> Result<(), AwsError> {
        self.buckets.take(&self.behavior.throttling, call, now)
    }

    /// The zones of the caller's Region, by the names they have in the caller's account.
    pub fn zones(&self, account: &AccountId, region: &Region) -> Vec<Zone> {
        regions::zones(&self.ids, account, region)
    }

    /// A word that no other resource has in its name.
    pub(crate) fn unique_word(&mut self) -> String {
        self.ids.next_hex16()
    }

    /// The accounts and Regions that were ever used.
    pub fn places(&self) -> impl Iterator<Item = (&AccountId, &Region, &Place)> {
        self.accounts.iter().flat_map(|(account, regions)| {
            regions
                .iter()
                .map(move |(region, place)| (account, region, place))
        })
    }

    /// The caller's own place, furnished with a default VPC on first use.
    pub(crate) fn place(&mut self, caller: &Caller) -> &mut Place {
        self.place_of(&caller.account, &caller.region)
    }

    pub(crate) fn place_of(&mut self, account: &AccountId, region: &Region) -> &mut Place {
        let regions = self.accounts.entry(account.clone()).or_default();
        regions.entry(region.clone()).or_insert_with(|| {
            // Made from fixed ids, so that it does not matter which call came first.
            network::default_place(&self.ids, account, region)
        })
    }

    pub(crate) fn existing_place(&self, account: &AccountId, region: &Region) -> Option<&Place> {
        self.accounts.get(account)?.get(region)
    }

    /// Removes what has vanished by now and does what has become due.
    pub(crate) fn sweep(&mut self, now: DateTime<Utc>) {
        self.settle_private_dns(now);
        while let Some(entry) = self.graves.first_entry() {
            if *entry.key() > now {
                break;
            }
            for grave in entry.remove() {
                self.bury(grave);
            }
        }
    }

    fn bury(&mut self, grave: Grave) {
        match grave {
            Grave::Endpoint {
                owner,
                region,
                endpoint,
            } => {
                let place = self.place_of(&owner, &region);
                place.gateway_endpoints.remove(&endpoint);
                place.lattice_endpoints.remove(&endpoint);
                let Some(gone) = place.endpoints.remove(&endpoint) else {
                    return;
                };
                let service = gone.service;
                let record = self.service_mut(&service);
                if let Some(row) = record.and_then(|s| s.connections.remove(&endpoint)) {
                    self.index().remove_connection(&endpoint, &row.id);
                }
                self.forget_service_if_done(&service);
            }
            Grave::Service(id) => {
                if let Some(service) = self.service_mut(&id) {
                    service.vanished = true;
                }
                self.forget_service_if_done(&id);
            }
        }
    }

    /// A deleted service's record stays while endpoints still point at it: their consumers can describe and delete them.
    fn forget_service_if_done(&mut self, id: &ServiceId) {
        let done = self
            .service(id)
            .is_some_and(|s| s.vanished && s.connections.is_empty());
        if done && let Some((account, region)) = self.owners.remove(id) {
            self.place_of(&account, &region).services.remove(id);
        }
    }

    pub(crate) fn service(&self, id: &ServiceId) -> Option<&Service> {
        match self.owners.get(id) {
            Some((account, region)) => self.existing_place(account, region)?.services.get(id),
            None => self.aws_services.get(id),
        }
    }

    pub(crate) fn service_mut(&mut self, id: &ServiceId) -> Option<&mut Service> {
        match self.owners.get(id).cloned() {
            Some((account, region)) => self.place_of(&account, &region).services.get_mut(id),
            None => self.aws_services.get_mut(id),
        }
    }
}

/// The last time that is stored: no clock gets there, and it can still be written with a year of four digits.
const NEVER: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(last) => last,
    None => DateTime::<Utc>::MAX_UTC,
};

/// A time so many milliseconds later; the end of the year 9999 when that is beyond it.
pub(crate) fn later(at: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    i64::try_from(ms)
        .ok()
        .and_then(TimeDelta::try_milliseconds)
        .and_then(|delta| at.checked_add_signed(delta))
        .map_or(NEVER, |then| then.min(NEVER))
}

/// A time so many milliseconds before; the beginning of the calendar when that is before it.
pub(crate) fn earlier(at: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    i64::try_from(ms)
        .ok()
        .and_then(TimeDelta::try_milliseconds)
        .and_then(|delta| at.checked_sub_signed(delta))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod scale_tests;
#[cfg(test)]
pub(crate) mod testing;
