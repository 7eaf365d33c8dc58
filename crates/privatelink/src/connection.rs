//! A connection: a consumer's VPC endpoint as the owner of the endpoint service sees it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{AccountId, Region, ServiceId, VpcEndpointId};

/// The state of a connection, as AWS reports it.
///
/// The SDKs' enums are Pascal case (`PendingAcceptance`), but the EC2 wire carries camel case (`pendingAcceptance`) for
/// interface and Gateway Load Balancer endpoints, and sometimes Pascal case for others. Matching on an SDK enum therefore
/// silently matches nothing. [`ConnectionState::parse`] is the one place where the wire word is read, without regard to case;
/// a word that AWS has not documented yet is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ConnectionState {
    /// Waits for the service owner to accept or reject.
    PendingAcceptance,
    /// Accepted, being provisioned. Entered again whenever the consumer changes the endpoint.
    Pending,
    /// Traffic flows.
    Available,
    /// The consumer is deleting the endpoint.
    Deleting,
    /// Gone. AWS lists it for a while, then not at all.
    Deleted,
    /// Refused, or cut off after it was available. The consumer's endpoint still exists and still costs them.
    Rejected,
    /// Provisioning failed.
    Failed,
    /// Nobody accepted in time.
    Expired,
    /// Some zones or associations work.
    Partial,
    /// A word this version does not know, kept as it came.
    Unknown(String),
}

impl ConnectionState {
    /// The nine documented states, in the order of a connection's life.
    pub const DOCUMENTED: [Self; 9] = [
        Self::PendingAcceptance,
        Self::Pending,
        Self::Available,
        Self::Deleting,
        Self::Deleted,
        Self::Rejected,
        Self::Failed,
        Self::Expired,
        Self::Partial,
    ];

    /// Reads a state off the wire, whatever its case.
    pub fn parse(raw: &str) -> Self {
        Self::DOCUMENTED
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(raw))
            .unwrap_or_else(|| Self::Unknown(raw.to_owned()))
    }

    /// The state in the wire's camel case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::PendingAcceptance => "pendingAcceptance",
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Partial => "partial",
            Self::Unknown(raw) => raw,
        }
    }
}

impl From<String> for ConnectionState {
    fn from(raw: String) -> Self {
        Self::parse(&raw)
    }
}

impl From<ConnectionState> for String {
    fn from(state: ConnectionState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of `DescribeVpcEndpointConnections`.
///
/// `owner` is all that AWS tells about the consumer: not the VPC, the subnets, the user or the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The service the endpoint connects to.
    pub service_id: ServiceId,
    /// The consumer's endpoint; with the service it names the connection.
    pub endpoint_id: VpcEndpointId,
    /// The consumer's account.
    pub owner: AccountId,
    /// Where AWS says the connection is.
    pub state: ConnectionState,
    /// When the consumer created the endpoint (not when it was accepted).
    pub created_at: Option<DateTime<Utc>>,
    /// `vpce-con-…`: the handle that carries the provider's tags. Absent in older accounts.
    pub connection_id: Option<String>,
    /// The consumer's Region where it differs from the service's (cross-Region access).
    pub endpoint_region: Option<Region>,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// DNS names of the endpoint, regional first. Never derived from ids: Marketplace services have vanity names.
    pub dns_entries: Vec<DnsEntry>,
}

/// A DNS name of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsEntry {
    /// The name, as the consumer's resolver should be asked for it.
    pub dns_name: String,
    /// The hosted zone that AWS keeps it in.
    pub hosted_zone_id: Option<String>,
}

/// Which connections to list. Never made from an unchecked string: see [`crate::ids`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionFilter {
    /// Every connection of every service of this account in this Region.
    All,
    /// Every connection of one service.
    Service(ServiceId),
    /// These endpoints of one service, at most [`ConnectionFilter::MAX_ENDPOINTS`] of them. An empty list lists nothing.
    Endpoints(ServiceId, Vec<VpcEndpointId>),
}

impl ConnectionFilter {
    /// AWS allows 200 values in one request's filters; one is the service.
    pub const MAX_ENDPOINTS: usize = 199;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_in_wire_case_and_in_sdk_case() {
        assert_eq!(
            ConnectionState::parse("pendingAcceptance"),
            ConnectionState::PendingAcceptance
        );
        assert_eq!(
            ConnectionState::parse("PendingAcceptance"),
            ConnectionState::PendingAcceptance
        );
        assert_eq!(
            ConnectionState::parse("available"),
            ConnectionState::Available
        );
    }

    #[test]
    fn an_undocumented_state_survives_a_round_trip() {
        let state = ConnectionState::parse("quarantined");
        assert_eq!(state, ConnectionState::Unknown("quarantined".to_owned()));
        assert_eq!(String::from(state), "quarantined");
    }

    #[test]
    fn every_documented_state_parses_back_to_itself() {
        for state in ConnectionState::DOCUMENTED {
            assert_eq!(ConnectionState::parse(state.as_str()), state);
        }
    }
}
