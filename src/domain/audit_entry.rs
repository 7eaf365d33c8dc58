//! Entries of the audit trail: who did what, to what, when and why. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::actor::ActorKind;
use super::ids::{
    AccessRemovalId, AccessRequestId, AccountRegionId, AgreementId, AuditEntryId, BlockId,
    ConnectionId, ConsumerId, DecisionId, DenialId, EndpointServiceId, ListingId, OfferId,
    PolicyId, RejudgementId, ServiceTokenId,
};
use super::text::text_enum;

/// Declares the kinds of subjects once: the kind, its word, the id.
macro_rules! subjects {
    ($($(#[$doc:meta])* $variant:ident($id:ident) = $word:tt;)+) => {
        text_enum!(
            /// What kind of thing an entry is about.
            SubjectKind {
                $($(#[$doc])* $variant = $word,)+
            }
        );

        /// What an entry is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Subject {
            $($(#[$doc])* $variant($id),)+
        }

        impl Subject {
            /// The kind alone.
            pub fn kind(self) -> SubjectKind {
                match self { $(Self::$variant(_) => SubjectKind::$variant),+ }
            }

            /// The bare id.
            pub fn uuid(self) -> Uuid {
                match self { $(Self::$variant(id) => id.uuid()),+ }
            }

            /// The subject of a kind with a bare id.
            pub fn of(kind: SubjectKind, id: Uuid) -> Self {
                match kind { $(SubjectKind::$variant => Self::$variant(id.into())),+ }
            }
        }

        impl fmt::Display for Subject {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant(id) => id.fmt(f)),+ }
            }
        }

        impl FromStr for Subject {
            type Err = String;

            /// Reads an id of ours; its prefix says what it is of.
            fn from_str(text: &str) -> Result<Self, String> {
                $(if let Ok(id) = text.parse() { return Ok(Self::$variant(id)); })+
                Err("it is no id of anything that has an audit trail".to_owned())
            }
        }
    };
}

subjects! {
    /// An AccountRegion.
    AccountRegion(AccountRegionId) = "account_region";
    /// A registered service.
    EndpointService(EndpointServiceId) = "endpoint_service";
    /// A connection.
    Connection(ConnectionId) = "connection";
    /// A consumer.
    Consumer(ConsumerId) = "consumer";
    /// An entry of the deny list.
    Denial(DenialId) = "denial";
    /// A block.
    Block(BlockId) = "block";
    /// A policy.
    Policy(PolicyId) = "policy";
    /// Access that was asked for.
    AccessRequest(AccessRequestId) = "access_request";
    /// Access that is taken away.
    AccessRemoval(AccessRemovalId) = "access_removal";
    /// A re-judgement.
    Rejudgement(RejudgementId) = "rejudgement";
    /// A token of a program.
    ServiceToken(ServiceTokenId) = "service_token";
    /// A listing, with its revisions.
    Listing(ListingId) = "listing";
    /// An offer.
    Offer(OfferId) = "offer";
    /// An agreement.
    Agreement(AgreementId) = "agreement";
}

/// An entry, as it is read.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Our id.
    pub id: AuditEntryId,
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of actor.
    pub actor_kind: ActorKind,
    /// Who.
    pub actor: String,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what.
    pub subject: Subject,
    /// The part that changed, as it was.
    pub before: Option<Value>,
    /// The part that changed, as it is.
    pub after: Option<Value>,
    /// Why.
    pub reason: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// The decision behind it.
    pub decision: Option<DecisionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_known_by_its_id() {
        for kind in SubjectKind::ALL {
            let subject = Subject::of(*kind, Uuid::from_u128(7));
            assert_eq!(subject.kind(), *kind);
            assert_eq!(subject.to_string().parse(), Ok(subject), "{kind}");
        }
        let decision = "dec_00000000000000000000000000000007";
        assert!(decision.parse::<Subject>().is_err());
    }
}
