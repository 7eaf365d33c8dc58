//! A connection as Portcullis keeps it: three facts with three writers, side by side.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState, DnsEntry, ServiceId, VpcEndpointId};

use super::consumer::ConsumerRef;
use super::ids::{AccountRegionId, ConnectionId, DecisionId, EndpointServiceId};
use super::review::ReviewState;
use super::stall::{GivenUp, Stall};
use super::summary::{Summary, summarise};
use super::sync::{Act, SyncState};

/// A consumer's endpoint on a registered service.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Our id.
    pub id: ConnectionId,
    /// The service it connects to.
    pub service_id: EndpointServiceId,
    /// The same service by AWS's id.
    pub aws_service_id: Option<ServiceId>,
    /// Where it lives.
    pub account_region_id: AccountRegionId,
    /// AWS's id of the consumer's endpoint.
    pub endpoint_id: VpcEndpointId,
    /// The consumer's account.
    pub owner: AccountId,
    /// Whose account that is, if it is known.
    pub consumer: Option<ConsumerRef>,
    /// What AWS says.
    pub observed: Observed,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// What the business decided.
    pub review: ReviewState,
    /// The decision behind the review.
    pub decision_id: Option<DecisionId>,
    /// Whether AWS is told yet.
    pub sync: ConnectionSync,
    /// Rises with every decision.
    pub version: i64,
    /// While it is stalled: since when, and who takes care.
    pub stall: Option<Stall>,
    /// Whether and why a person gave it up.
    pub given_up: Option<GivenUp>,
}

/// What AWS says about a connection. Written only by observers.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The state.
    pub state: ConnectionState,
    /// When the read that saw it, or its last change, began.
    pub at: DateTime<Utc>,
    /// When the consumer made the endpoint.
    pub created_at: Option<DateTime<Utc>>,
    /// `vpce-con-…`.
    pub connection_id: Option<String>,
    /// The consumer's Region where it differs.
    pub endpoint_region: Option<String>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// The endpoint's DNS names.
    pub dns_entries: Vec<DnsEntry>,
}

/// How far AWS is told about a decision. Written only by the worker; a decision makes it due.
#[derive(Debug, Clone)]
pub struct ConnectionSync {
    /// Idle, due, confirming, stalled or given up.
    pub state: SyncState,
    /// When the worker looks next.
    pub due_at: Option<DateTime<Utc>>,
    /// When it gives up.
    pub deadline_at: Option<DateTime<Utc>>,
    /// Calls made for the current decision.
    pub attempts: i32,
    /// The last call for the current decision that AWS recorded or, where there is a code, may have recorded, and when.
    pub act: Option<(Act, DateTime<Utc>)>,
    /// The last AWS error code.
    pub code: Option<String>,
    /// AWS's words.
    pub message: Option<String>,
}

impl Connection {
    /// Where it stands, in one word.
    pub fn summary(&self) -> Summary {
        summarise(self.review, &self.observed.state, self.sync.state)
    }
}
