//! What a decision is made from: stored with it as JSON, so that it can be explained and made again a year later.
//!
//! Facts are gathered by the caller at one moment, under the lock that counts quotas; nothing here looks anything up. What is unknown is absent, and a gate that needs
//! it holds. The format has a version: facts that another version wrote are refused and never guessed at.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::{AccountId, AvailabilityZoneId, Region, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::commerce::{Agreement, Licences, Listing, Plan};
use crate::domain::ids::{AccessRemovalId, ConsumerId, DenialId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;
use crate::domain::text::text_enum;

/// The format of [`Facts`] that this version writes and reads.
pub const FACTS_VERSION: u16 = 1;

/// Everything that a decision may depend on, of one connection at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FACTS_VERSION`].
    pub version: u16,
    /// When the facts were gathered. Everything that depends on time depends on this one.
    pub at: DateTime<Utc>,
    /// The connection.
    pub connection: ConnectionFacts,
    /// Whose it is.
    pub account: AccountFacts,
    /// What it connects to.
    pub service: ServiceFacts,
    /// Limits that concern it, each counted with this connection included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
    /// What the consumer has besides this connection.
    pub counts: Counts,
    /// Whether a person already approved this consumer for this service.
    #[serde(default)]
    pub approved: bool,
    /// The removal that takes the account's access to this service away, while one does and no principal lets it in again. Absent also in facts that are older
    /// than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ending: Option<AccessRemovalId>,
    /// What the service is sold by. Absent without one; then no agreement is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
    /// What the consumer bought, or would buy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What the consumer agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Licences that could pay for the connection. Absent where there is no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licences: Option<Licences>,
}

text_enum!(
    /// Whether a connection asks to be let in or is in.
    Standing {
        /// It waits for a decision, or is asked again while it waits.
        Requested = "requested",
        /// It was accepted and is judged again. To hold it changes nothing about its access.
        Live = "live",
    }
);

/// The consumer's endpoint, as far as AWS tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionFacts {
    /// AWS's id.
    pub endpoint_id: VpcEndpointId,
    /// Whether it asks or is in.
    pub standing: Standing,
    /// How long it has been known, in seconds.
    pub waited_seconds: u64,
    /// Its Region, where it is not the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Its Availability Zones, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<BTreeSet<AvailabilityZoneId>>,
    /// `ipv4`, `dualstack` or `ipv6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
}

/// The account that owns the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFacts {
    /// The account.
    pub id: AccountId,
    /// Whether it was proven to be the consumer's.
    pub proven: bool,
    /// The consumer that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerFacts>,
    /// Entries of the deny list that stand now, for the account or its consumer, anywhere or on this service.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub denials: BTreeSet<DenialId>,
    /// Whether what was asked of the consumer at registration is there.
    pub registered: bool,
}

/// A registered consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerFacts {
    /// Our id.
    pub id: ConsumerId,
    /// What people call it.
    pub name: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The service that the endpoint connects to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFacts {
    /// Our id.
    pub id: EndpointServiceId,
    /// What people call it.
    pub name: String,
    /// The provider's account.
    pub account: AccountId,
    /// The Region it lives in.
    pub region: Region,
    /// The other Regions that consumers may connect from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub other_regions: BTreeSet<Region>,
    /// Where it is in its life.
    pub lifecycle: LifecycleState,
    /// Whether everybody is denied on it: the kill switch.
    #[serde(default)]
    pub blocked: bool,
    /// Whether it asks for the approval of two persons.
    #[serde(default)]
    pub two_persons: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A limit, counted at the moment of the decision under the lock that keeps two requests from taking the last place both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// What is counted.
    pub figure: QuotaFigure,
    /// How many there are if this connection is accepted.
    pub would_be: i64,
    /// How many may be.
    pub limit: i64,
}

impl Quota {
    /// Whether accepting would break it.
    pub fn is_exceeded(&self) -> bool {
        self.would_be > self.limit
    }
}

/// What the consumer, or the account when it is nobody's, has besides this connection. For policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Connections that are accepted, or that came up without a decision.
    pub connections: u32,
    /// Those of them to this service.
    pub on_service: u32,
    /// The Regions that they are in.
    pub regions: u32,
}

impl Facts {
    /// The endpoint's Region: its own, or the service's when AWS names none.
    pub fn endpoint_region(&self) -> &Region {
        self.connection
            .region
            .as_ref()
            .unwrap_or(&self.service.region)
    }

    /// Whether the connection was accepted before.
    pub fn is_live(&self) -> bool {
        self.connection.standing == Standing::Live
    }

    /// The facts as they are stored.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    /// Whether stored facts say the same, apart from what moves with the clock alone: when they were gathered, and how long the connection has waited.
    ///
    /// They are compared as facts and not as JSON, so neither the order of members nor a default that is not written makes a difference. Facts that
    /// this version cannot read say something else.
    pub fn are_but_for_time(&self, stored: &serde_json::Value) -> bool {
        let Ok(mut before) = Self::from_json(stored) else {
            return false;
        };
        before.at = self.at;
        before.connection.waited_seconds = self.connection.waited_seconds;
        before == *self
    }

    /// Reads stored facts.
    pub fn from_json(stored: &serde_json::Value) -> Result<Self, UnreadableFacts> {
        match stored["version"].as_u64() {
            Some(version) if version == u64::from(FACTS_VERSION) => {}
            Some(version) => return Err(UnreadableFacts::Version(version)),
            None => return Err(UnreadableFacts::NoVersion),
        }
        Self::deserialize(stored).map_err(|e| UnreadableFacts::Shape(e.to_string()))
    }
}

/// Why stored facts cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableFacts {
    /// Another version wrote them.
    #[error("the facts have version {0}; this version reads {FACTS_VERSION}")]
    Version(u64),
    /// They do not say which version wrote them.
    #[error("the facts have no version")]
    NoVersion,
    /// They have the version and not its shape.
    #[error("the facts cannot be read: {0}")]
    Shape(String),
}
