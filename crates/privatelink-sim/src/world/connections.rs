//! Connections as the owner of a service sees them: listed, accepted, rejected.

use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState, LoadBalancerArn, Region, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::endpoint_changes::{LastError, provisioning};
use super::lifecycle::{Life, Phase};
use super::payers::Payers;
use super::select::{Filters, Listed, Paging, Tags};
use super::services::Service;
use super::{Caller, Place, World, later};
use crate::error::Unsuccessful;
use crate::{AwsError, Behavior, Legality};

/// One connection: the shared record of the provider's connection and the consumer's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The consumer's account.
    pub owner: AccountId,
    /// The consumer's Region.
    pub endpoint_region: Region,
    /// `vpce-con-…`.
    pub id: String,
    /// When the consumer created the endpoint.
    pub created_at: DateTime<Utc>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: String,
    /// The zones of the consumer's subnets, by the names they have in the consumer's account.
    pub zone_names: Vec<String>,
    /// The provider's tags on the connection.
    pub tags: Tags,
    /// Where it is in its life.
    pub life: Life,
    /// What provisioning will end in, when that is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<LastError>,
    /// Who pays, by what is paid for.
    #[serde(default, skip_serializing_if = "Payers::is_empty")]
    pub payers: Payers,
}

/// One row of `DescribeVpcEndpointConnections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The service.
    pub service_id: ServiceId,
    /// The service's load balancers.
    pub load_balancers: Vec<LoadBalancerArn>,
    /// The consumer's endpoint.
    pub endpoint_id: VpcEndpointId,
    /// The state that is seen.
    pub state: ConnectionState,
    /// The rest.
    pub connection: Connection,
    /// DNS names, regional first.
    pub dns_names: Vec<String>,
    /// Whether the consumer is in another Region than the service.
    pub is_remote: bool,
}

/// Filters of `DescribeVpcEndpointConnections`.
const FILTERS: [&str; 6] = [
    "ip-address-type",
    "service-id",
    "vpc-endpoint-id",
    "vpc-endpoint-owner",
    "vpc-endpoint-region",
    "vpc-endpoint-state",
];

const LISTING: &str = "DescribeVpcEndpointConnections";

impl World {
    /// Lists connections. Without a filter: those of every service of the account in the Region, as AWS does.
    pub fn connections(
        &mut self,
        caller: &Caller,
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<ConnectionRow>, AwsError> {
        filters.check(&FILTERS)?;
        let outlive = self.behavior.rejected_rows_outlive_service;
        let limit = self.behavior.page_size_limit;
        let after = paging.after(LISTING)?;
        let after = after.as_deref().and_then(|key| {
            let (service, endpoint) = key.split_once(' ')?;
            Some((service.parse().ok()?, endpoint.parse().ok()?))
        });
        let place = self.place(caller);
        let rows = candidates(place, filters, after.as_ref())
            .filter_map(|(service, id, connection)| {
                row(service, id, connection, caller.seen_at, outlive)
            })
            .filter(|row| filters.allow(&row.connection.tags, |name| field(row, name)))
            .map(|row| (format!("{} {}", row.service_id, row.endpoint_id), row));
        Ok(paging.take(LISTING, limit, rows))
    }

    /// Accepts connections of one service. Each id that could not be accepted is an item of the answer.
    pub fn accept_connections(
        &mut self,
        caller: &Caller,
        service: &str,
        endpoints: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.decide(caller, service, endpoints, Verdict::Accept)
    }

    /// Rejects connections of one service, also available ones. Results as for accepting.
    pub fn reject_connections(
        &mut self,
        caller: &Caller,
        service: &str,
        endpoints: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.decide(caller, service, endpoints, Verdict::Reject)
    }

    fn decide(
        &mut self,
        caller: &Caller,
        service: &str,
        endpoints: &[String],
        verdict: Verdict,
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.sweep(caller.now);
        let behavior = self.behavior.clone();
        let service = self.own_service_mut(caller, service)?;
        if endpoints.is_empty() {
            return Err(AwsError::missing("VpcEndpointId"));
        }
        if endpoints.len() > behavior.max_ids_per_decision {
            return Err(AwsError::new(
                "InvalidParameterValue",
                format!(
                    "At most {} endpoints in one call",
                    behavior.max_ids_per_decision
                ),
            ));
        }
        let (mut refused, mut changed) = (Vec::new(), Vec::new());
        for id in endpoints {
            let judged = caller
                .forced_failure(id)
                .map_or_else(|| judge(service, id, verdict, caller.now, &behavior), Err);
            match judged {
                Ok(change) => changed.extend(change),
                Err(error) => refused.push(Unsuccessful {
                    resource_id: id.clone(),
                    error,
                }),
            }
        }
        let service = service.id.clone();
        for endpoint in changed {
            self.notify(verdict.event(), &service, &endpoint, caller.now);
        }
        Ok(refused)
    }
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Accept,
    Reject,
}

/// Does what was decided about one endpoint; answers with its id when that changed something.
fn judge(
    service: &mut Service,
    id: &str,
    verdict: Verdict,
    now: DateTime<Utc>,
    behavior: &Behavior,
) -> Result<Option<VpcEndpointId>, AwsError> {
    let found = id
        .parse::<VpcEndpointId>()
        .ok()
        .and_then(|id| Some((service.connections.get_mut(&id)?, id)))
        .and_then(|(connection, id)| Some((connection.life.state_at(now)?, connection, id)));
    let Some((state, connection, endpoint)) = found else {
        return Err(AwsError::new(
            behavior.unknown_endpoint_code.as_str(),
            format!("The Vpc Endpoint Id '{id}' does not exist"),
        ));
    };
    match legality(verdict, &state, behavior) {
        Legality::NoOp => Ok(None),
        Legality::Error => Err(AwsError::new(
            behavior.wrong_state_code.as_str(),
            format!(
                "The Vpc Endpoint '{id}' is in state {state} and cannot be {}",
                verdict.word()
            ),
        )),
        Legality::Allow => {
            let phase = match verdict {
                Verdict::Accept => provisioning(connection.failure.as_ref(), now, behavior),
                Verdict::Reject => Phase::Rejected,
            };
            connection.life.enter(phase, now);
            Ok(Some(endpoint))
        }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Reject => "rejected",
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::Reject => "Reject",
        }
    }
}

/// The legality matrix of accept and reject by state.
fn legality(verdict: Verdict, state: &ConnectionState, behavior: &Behavior) -> Legality {
    use ConnectionState as S;
    match (verdict, state) {
        (_, S::PendingAcceptance) | (Verdict::Reject, S::Pending | S::Available) => Legality::Allow,
        (Verdict::Accept, S::Rejected) => behavior.accept_after_reject,
        (Verdict::Reject, S::Rejected) => behavior.reject_again,
        // Accepting again must never restart the clock of a connection that works.
        (Verdict::Accept, S::Pending | S::Available) => match behavior.accept_again {
            Legality::Error => Legality::Error,
            Legality::NoOp | Legality::Allow => Legality::NoOp,
        },
        _ => Legality::Error,
    }
}

/// The rows a listing has to look at, in order, starting behind the last page: by direct look-up where the filters name
/// services or endpoints.
fn candidates<'a>(
    place: &'a Place,
    filters: &'a Filters,
    after: Option<&(ServiceId, VpcEndpointId)>,
) -> Box<dyn Iterator<Item = (&'a Service, &'a VpcEndpointId, &'a Connection)> + 'a> {
    let from = after.map_or(Bound::Unbounded, |(service, _)| {
        Bound::Included(service.clone())
    });
    let after = after.cloned();
    let named = filters.literals("service-id");
    let services: Box<dyn Iterator<Item = &'a Service> + 'a> = match named {
        Some(ids) => {
            let mut ids: Vec<ServiceId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            ids.sort();
            ids.dedup();
            let first = after.as_ref().map(|(service, _)| service.clone());
            Box::new(
                ids.into_iter()
                    .filter(move |id| first.as_ref().is_none_or(|first| id >= first))
                    .filter_map(|id| place.services.get(&id)),
            )
        }
        None => Box::new(
            place
                .services
                .range((from, Bound::Unbounded))
                .map(|(_, s)| s),
        ),
    };
    let endpoints: Option<Vec<VpcEndpointId>> = filters.literals("vpc-endpoint-id").map(|ids| {
        let mut ids: Vec<VpcEndpointId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        ids.sort();
        ids.dedup();
        ids
    });
    Box::new(services.flat_map(move |service| {
        let start = match &after {
            Some((id, endpoint)) if *id == service.id => Bound::Excluded(endpoint.clone()),
            _ => Bound::Unbounded,
        };
        let rows: Box<dyn Iterator<Item = (&'a VpcEndpointId, &'a Connection)> + 'a> =
            match &endpoints {
                Some(ids) => Box::new(
                    ids.clone()
                        .into_iter()
                        .filter(move |id| !matches!(&start, Bound::Excluded(last) if id <= last))
                        .filter_map(|id| service.connections.get_key_value(&id)),
                ),
                None => Box::new(service.connections.range((start, Bound::Unbounded))),
            };
        rows.map(move |(id, connection)| (service, id, connection))
    }))
}

fn row(
    service: &Service,
    id: &VpcEndpointId,
    connection: &Connection,
    at: DateTime<Utc>,
    rejected_outlive: bool,
) -> Option<ConnectionRow> {
    let state = connection.life.state_at(at)?;
    let service_gone = service.deletion.is_some_and(|d| at >= d.done_at);
    if service_gone && !(rejected_outlive && state == ConnectionState::Rejected) {
        return None;
    }
    Some(ConnectionRow {
        service_id: service.id.clone(),
        load_balancers: service.load_balancers.clone(),
        endpoint_id: id.clone(),
        state,
        dns_names: super::endpoints::dns_names(service, id, &connection.zone_names),
        is_remote: connection.endpoint_region != service.region,
        connection: connection.clone(),
    })
}

fn field(row: &ConnectionRow, name: &str) -> Vec<String> {
    match name {
        "ip-address-type" => vec![row.connection.ip_address_type.clone()],
        "service-id" => vec![row.service_id.to_string()],
        "vpc-endpoint-id" => vec![row.endpoint_id.to_string()],
        "vpc-endpoint-owner" => vec![row.connection.owner.to_string()],
        "vpc-endpoint-region" => {
            let region = row.connection.endpoint_region.to_string();
            if row.is_remote {
                vec![region, "cross-region".to_owned()]
            } else {
                vec![region]
            }
        }
        "vpc-endpoint-state" => vec![row.state.to_string()],
        _ => Vec::new(),
    }
}

impl Service {
    /// Whether an endpoint hangs on the service in a way that forbids taking a load balancer away.
    pub(super) fn has_attached(&self, now: DateTime<Utc>) -> bool {
        self.attached(now).next().is_some()
    }

    /// Whether an attached endpoint has addresses of one of these types.
    pub(super) fn uses_ip_types(&self, types: &[String], now: DateTime<Utc>) -> bool {
        self.attached(now).any(|connection| {
            let kind = connection.ip_address_type.as_str();
            types.iter().any(|t| kind == t || kind == "dualstack")
        })
    }

    fn attached(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Connection> {
        self.connections.values().filter(move |connection| {
            matches!(
                connection.life.state_at(now),
                Some(
                    ConnectionState::PendingAcceptance
                        | ConnectionState::Pending
                        | ConnectionState::Available
                )
            )
        })
    }

    /// Whether a connection keeps the service from being deleted; freshly rejected and deleting ones do for a while.
    pub(super) fn blocks_deletion(&self, now: DateTime<Utc>, settle_ms: u64) -> bool {
        self.connections.values().any(|connection| {
            let life = &connection.life;
            match life.state_at(now) {
                Some(
                    ConnectionState::PendingAcceptance
                    | ConnectionState::Pending
                    | ConnectionState::Available
                    | ConnectionState::Deleting,
                ) => true,
                Some(ConnectionState::Rejected) => now < later(life.since(), settle_ms),
                _ => false,
            }
        })
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
