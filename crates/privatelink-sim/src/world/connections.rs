//! Connections as the owner of a service sees them: listed, accepted, rejected.

use std::fmt;
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
        let outlive = (
            self.behavior.rejected_rows_outlive_service,
            self.behavior.deleted_rows_outlive_service,
        );
        let limit = self.behavior.page_size_limit;
        let after = paging.after(LISTING)?;
        let after = after.as_deref().and_then(|key| {
            let (service, endpoint) = key.split_once(' ')?;
            Some((service.parse().ok()?, endpoint.parse().ok()?))
        });
        let named = filters.literals("vpc-endpoint-id");
        let named = named.map(|ids| self.named_connections(ids));
        let place = self.place(caller);
        let rows = candidates(place, filters, named, after.as_ref())
            .filter_map(|found| found.seen(caller.seen_at, outlive))
            .filter(|seen| filters.allow(&seen.connection.tags, |name| seen.field(name)))
            .map(|seen| (seen.key(), seen.row()));
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

    /// The services behind these endpoints, as far as there are any.
    fn named_connections(&mut self, ids: &[String]) -> Keys {
        let index = self.index();
        let mut named: Keys = ids
            .iter()
            .filter_map(|id| id.parse().ok())
            .filter_map(|id| Some((index.service_of(&id)?, id)))
            .collect();
        named.sort();
        named.dedup();
        named
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

/// Connections by what a listing sorts them by.
type Keys = Vec<(ServiceId, VpcEndpointId)>;

/// A connection that a listing looks at.
struct Found<'a> {
    service: &'a Service,
    id: &'a VpcEndpointId,
    connection: &'a Connection,
}

/// The rows a listing has to look at, in order, starting behind the last page: by direct look-up where the filters name
/// services or endpoints.
fn candidates<'a>(
    place: &'a Place,
    filters: &Filters,
    named: Option<Keys>,
    after: Option<&(ServiceId, VpcEndpointId)>,
) -> Box<dyn Iterator<Item = Found<'a>> + 'a> {
    let after = after.cloned();
    if let Some(named) = named {
        let rest = named
            .into_iter()
            .filter(move |key| after.as_ref().is_none_or(|last| key > last));
        return Box::new(rest.filter_map(|(service, endpoint)| {
            let service = place.services.get(&service)?;
            let (id, connection) = service.connections.get_key_value(&endpoint)?;
            Some(Found {
                service,
                id,
                connection,
            })
        }));
    }
    let first = after.as_ref().map(|(service, _)| service.clone());
    let services: Box<dyn Iterator<Item = &'a Service> + 'a> =
        if let Some(ids) = filters.literals("service-id") {
            let mut ids: Vec<ServiceId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            ids.sort();
            ids.dedup();
            Box::new(
                ids.into_iter()
                    .filter(move |id| first.as_ref().is_none_or(|first| id >= first))
                    .filter_map(|id| place.services.get(&id)),
            )
        } else {
            let from = first.map_or(Bound::Unbounded, Bound::Included);
            let services = place.services.range((from, Bound::Unbounded));
            Box::new(services.map(|(_, service)| service))
        };
    Box::new(services.flat_map(move |service| {
        let start = match &after {
            Some((id, endpoint)) if *id == service.id => Bound::Excluded(endpoint.clone()),
            _ => Bound::Unbounded,
        };
        let rows = service.connections.range((start, Bound::Unbounded));
        rows.map(move |(id, connection)| Found {
            service,
            id,
            connection,
        })
    }))
}

impl<'a> Found<'a> {
    /// The connection as it looks at a moment, if it is listed then.
    /// Whether rejected rows and those of deleted endpoints stay after their service is said by two switches.
    fn seen(self, at: DateTime<Utc>, (rejected, deleted): (bool, bool)) -> Option<Seen<'a>> {
        #[cfg(test)]
        super::scale_tests::looked_at();
        let state = self.connection.life.state_at(at)?;
        let service_gone = self.service.deletion.is_some_and(|d| at >= d.done_at);
        let stays = match state {
            ConnectionState::Rejected => rejected,
            ConnectionState::Deleting | ConnectionState::Deleted => deleted,
            _ => false,
        };
        if service_gone && !stays {
            return None;
        }
        Some(Seen {
            service: self.service,
            id: self.id,
            connection: self.connection,
            state,
        })
    }
}

/// A connection with the state that is seen. It becomes a row only when it is on the page.
struct Seen<'a> {
    service: &'a Service,
    id: &'a VpcEndpointId,
    connection: &'a Connection,
    state: ConnectionState,
}

/// What a page token names a connection by.
struct Key<'a>(&'a ServiceId, &'a VpcEndpointId);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

impl<'a> Seen<'a> {
    fn key(&self) -> Key<'a> {
        Key(&self.service.id, self.id)
    }

    fn is_remote(&self) -> bool {
        self.connection.endpoint_region != self.service.region
    }

    fn row(self) -> ConnectionRow {
        let (service, id) = (self.service, self.id);
        ConnectionRow {
            service_id: service.id.clone(),
            load_balancers: service.load_balancers.clone(),
            endpoint_id: id.clone(),
            dns_names: super::endpoints::dns_names(service, id, &self.connection.zone_names),
            is_remote: self.is_remote(),
            connection: self.connection.clone(),
            state: self.state,
        }
    }

    fn field(&self, name: &str) -> Vec<String> {
        match name {
            "ip-address-type" => vec![self.connection.ip_address_type.clone()],
            "service-id" => vec![self.service.id.to_string()],
            "vpc-endpoint-id" => vec![self.id.to_string()],
            "vpc-endpoint-owner" => vec![self.connection.owner.to_string()],
            "vpc-endpoint-region" => {
                let region = self.connection.endpoint_region.to_string();
                if self.is_remote() {
                    vec![region, "cross-region".to_owned()]
                } else {
                    vec![region]
                }
            }
            "vpc-endpoint-state" => vec![self.state.to_string()],
            _ => Vec::new(),
        }
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
