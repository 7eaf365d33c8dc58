//! What a consumer sees of what is kept here. Types of their own, narrower than the provider's: what is not in them cannot be shown to a consumer by mistake. Pure.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, VpcEndpointId};

use super::access_request::{AccessRequestState, AskedState};
use super::connection::Observed;
use super::consumer::{ConsumerState, Contact, Proof};
use super::ids::{AccessRequestId, ConnectionId, ConsumerAccountId, ConsumerId, EndpointServiceId};
use super::quota::Limits;
use super::review::ReviewState;
use super::summary::{Summary, summarise};
use super::sync::SyncState;

/// The organisation itself.
#[derive(Debug, Clone)]
pub struct OwnConsumer {
    /// Our id.
    pub id: ConsumerId,
    /// What people call it.
    pub name: String,
    /// Its short name.
    pub slug: String,
    /// Whom the provider talks to.
    pub contacts: Vec<Contact>,
    /// Active or closed.
    pub state: ConsumerState,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// An account of the organisation.
#[derive(Debug, Clone)]
pub struct OwnAccount {
    /// Our id of the membership.
    pub id: ConsumerAccountId,
    /// The account.
    pub account: AccountId,
    /// How it was proven.
    pub proof: Proof,
    /// When it was proven; `None` without a proof.
    pub proven_at: Option<DateTime<Utc>>,
    /// Since when it is known to be the organisation's.
    pub added_at: DateTime<Utc>,
}

/// What the organisation may use and uses.
#[derive(Debug, Clone, Default)]
pub struct OwnQuota {
    /// Its own figures.
    pub limits: Limits,
    /// What it uses, by service and Region.
    pub used: Vec<OwnUse>,
}

/// How many endpoints the organisation has on a service, in a Region.
#[derive(Debug, Clone)]
pub struct OwnUse {
    /// The service.
    pub service: EndpointServiceId,
    /// The Region of the endpoints where it is not the service's.
    pub endpoint_region: Option<String>,
    /// How many.
    pub endpoints: i64,
}

/// A connection of one of the organisation's accounts.
#[derive(Debug, Clone)]
pub struct OwnConnection {
    /// Our id.
    pub id: ConnectionId,
    /// The service it connects to.
    pub service: EndpointServiceId,
    /// AWS's id of the endpoint.
    pub endpoint: VpcEndpointId,
    /// The account that made it.
    pub account: AccountId,
    /// What AWS says.
    pub observed: Observed,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// What was decided.
    pub review: ReviewState,
    /// When, and what the organisation is told.
    pub decided: Option<Told>,
    /// Until when access is given, while it is.
    pub expires_at: Option<DateTime<Utc>>,
}

/// When something was decided, and what the consumer is told about it.
#[derive(Debug, Clone)]
pub struct Told {
    /// When.
    pub at: DateTime<Utc>,
    /// In which words.
    pub message: Option<String>,
}

impl OwnConnection {
    /// Where it stands, in one word. Whether the provider has trouble telling AWS is the provider's affair: then it is on its way.
    pub fn summary(&self) -> Summary {
        summarise(self.review, &self.observed.state, SyncState::Idle)
    }
}

/// A request for access of the organisation, or of one of its accounts.
#[derive(Debug, Clone)]
pub struct OwnAccessRequest {
    /// Our id.
    pub id: AccessRequestId,
    /// The account that wants to connect.
    pub account: AccountId,
    /// Where it stands.
    pub state: AccessRequestState,
    /// The services, in the order of their ids.
    pub services: Vec<OwnAsked>,
    /// Whom to talk to.
    pub contact: Contact,
    /// What whoever asks wants to say.
    pub message: Option<String>,
    /// Until when access is wanted or given.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Who made it, if it was somebody who spoke for the organisation.
    pub made_by: Option<String>,
    /// When it was answered, and what the organisation is told.
    pub answered: Option<Told>,
    /// When what was approved ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl OwnAccessRequest {
    /// Where it stands at a time: one whose time is over counts as expired before anybody has noted that.
    pub fn state_at(&self, at: DateTime<Utc>) -> AccessRequestState {
        match self.state {
            AccessRequestState::Pending if self.expires_at.is_some_and(|end| end <= at) => {
                AccessRequestState::Expired
            }
            state => state,
        }
    }
}

/// One service of such a request.
#[derive(Debug, Clone)]
pub struct OwnAsked {
    /// The service.
    pub service: EndpointServiceId,
    /// Whether access waits for an answer, stands, or is over.
    pub state: AskedState,
}

/// A service that the organisation has a connection to, or access to: what one has to know to make an endpoint.
#[derive(Debug, Clone)]
pub struct KnownService {
    /// Our id.
    pub id: EndpointServiceId,
    /// The Region it lives in.
    pub region: String,
    /// The name that one types to make an endpoint.
    pub service_name: Option<String>,
    /// Its Availability Zones, by the ids that mean the same zone in every account.
    pub availability_zone_ids: Vec<String>,
    /// Its private DNS name, once AWS has verified it.
    pub private_dns_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_request_whose_time_is_over_is_expired() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut request = OwnAccessRequest {
            id: AccessRequestId::new(at),
            account: "444455556666".parse().unwrap(),
            state: AccessRequestState::Pending,
            services: Vec::new(),
            contact: Contact {
                name: "Ann".to_owned(),
                email: "a@b".to_owned(),
                role: "technical".to_owned(),
            },
            message: None,
            expires_at: Some(at),
            made_at: at,
            made_by: None,
            answered: None,
            ended_at: None,
        };
        assert_eq!(request.state_at(at), AccessRequestState::Expired);
        let before = at - TimeDelta::seconds(1);
        assert_eq!(request.state_at(before), AccessRequestState::Pending);
        request.state = AccessRequestState::Approved;
        assert_eq!(request.state_at(at), AccessRequestState::Approved);
    }
}
