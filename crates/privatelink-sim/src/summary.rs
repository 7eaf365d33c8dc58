//! The world at a glance: what there is of everything, and the connections of each service by state.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState, Region, ServiceId, VpcEndpointId};
use serde::Serialize;

use crate::simulator::Simulator;
use crate::world::Place;
use crate::world::services::Service;

/// The whole world in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The simulated time.
    pub now: DateTime<Utc>,
    /// Calls since the start.
    pub calls: u64,
    /// Faults that are planned.
    pub faults: usize,
    /// Calls that wait now, such as receives from empty queues.
    pub waiting: usize,
    /// The accounts and Regions that were ever used.
    pub places: Vec<PlaceSummary>,
}

/// An account in a Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceSummary {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// How many load balancers it has.
    pub load_balancers: usize,
    /// How many target groups it has.
    pub target_groups: usize,
    /// Its endpoint services that are listed.
    pub services: Vec<ServiceSummary>,
    /// How many interface endpoints it has, those that linger included.
    pub endpoints: usize,
}

/// An endpoint service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSummary {
    /// Its id.
    pub service_id: ServiceId,
    /// The name that consumers use.
    pub service_name: String,
    /// Such as `Available`.
    pub state: Option<String>,
    /// Whether its connections wait for acceptance.
    pub acceptance_required: bool,
    /// Who may see it.
    pub principals: Vec<String>,
    /// How many connections there are in each state.
    pub connections: BTreeMap<String, u64>,
}

/// A connection and where it is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionSummary {
    /// The account of the service.
    pub account: AccountId,
    /// The Region of the service.
    pub region: Region,
    /// The service.
    pub service_id: ServiceId,
    /// The endpoint.
    pub endpoint_id: VpcEndpointId,
    /// The state, as it is and not as a lagging read would show it.
    pub state: ConnectionState,
}

impl Simulator {
    /// Every connection that is listed now. It is the truth: no fault touches it, and no call is logged.
    pub fn connections(&self) -> Vec<ConnectionSummary> {
        let now = self.clock().now();
        let world = self.world();
        let mut found = Vec::new();
        for (account, region, place) in world.places() {
            for service in place.services.values() {
                for (endpoint, connection) in &service.connections {
                    if let Some(state) = connection.life.state_at(now) {
                        found.push(ConnectionSummary {
                            account: account.clone(),
                            region: region.clone(),
                            service_id: service.id.clone(),
                            endpoint_id: endpoint.clone(),
                            state,
                        });
                    }
                }
            }
        }
        found
    }

    /// The world at a glance.
    pub fn summary(&self) -> Summary {
        let now = self.clock().now();
        let places = self
            .world()
            .places()
            .map(|(account, region, place)| of_place(account, region, place, now))
            .collect();
        Summary {
            now,
            calls: self.calls().count(),
            faults: self.faults().list().len(),
            waiting: self.waiting(),
            places,
        }
    }
}

fn of_place(
    account: &AccountId,
    region: &Region,
    place: &Place,
    now: DateTime<Utc>,
) -> PlaceSummary {
    let services = place.services.values();
    PlaceSummary {
        account: account.clone(),
        region: region.clone(),
        load_balancers: place.load_balancers.len(),
        target_groups: place.target_groups.len(),
        services: services
            .filter(|service| service.state_at(now).is_some())
            .map(|service| of_service(service, now))
            .collect(),
        endpoints: place.endpoints.len(),
    }
}

fn of_service(service: &Service, now: DateTime<Utc>) -> ServiceSummary {
    let mut connections = BTreeMap::new();
    for state in service
        .connections
        .values()
        .filter_map(|c| c.life.state_at(now))
    {
        *connections.entry(state.to_string()).or_insert(0) += 1;
    }
    ServiceSummary {
        service_id: service.id.clone(),
        service_name: service.name(),
        state: service.state_at(now).map(|state| state.to_string()),
        acceptance_required: service.acceptance_required,
        principals: service.grants.keys().map(ToString::to_string).collect(),
        connections,
    }
}
