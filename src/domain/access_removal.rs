//! Access that is taken away: why, from when on, and what becomes of each connection. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState};

use super::actor::Actor;
use super::block::{Extent, cut};
use super::consumer::Said;
use super::ids::{
    AccessRemovalId, AccessRequestId, ConsumerAccountId, ConsumerId, EndpointServiceId,
};
use super::review::{ReviewState, Verb};
use super::review_desk::{Planner, ScheduledRevocation};
use super::text::text_enum;

text_enum!(
    /// What kind of thing is taken away.
    RemovalKind {
        /// A principal of a service.
        Principal = "principal",
        /// An account of a consumer.
        Account = "account",
        /// An access request that was approved.
        AccessRequest = "access_request",
    }
);

/// What is taken away. Agreements and policies will have arms of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A principal of a service.
    Principal {
        /// The service.
        service: EndpointServiceId,
        /// The principal, in the form that AWS stores.
        principal: String,
    },
    /// An account of a consumer.
    Account {
        /// The consumer.
        consumer: ConsumerId,
        /// The account.
        account: AccountId,
    },
    /// What an access request gave.
    AccessRequest(AccessRequestId),
}

impl Cause {
    /// The kind alone.
    pub fn kind(&self) -> RemovalKind {
        match self {
            Self::Principal { .. } => RemovalKind::Principal,
            Self::Account { .. } => RemovalKind::Account,
            Self::AccessRequest(_) => RemovalKind::AccessRequest,
        }
    }
}

text_enum!(
    /// Where a removal stands.
    RemovalState {
        /// Principals are taken away; connections have time.
        Grace = "grace",
        /// Connections are cut off.
        Ending = "ending",
        /// Nothing of it is left.
        Done = "done",
        /// It was taken back, and what was planned is undone.
        Cancelling = "cancelling",
        /// It was taken back.
        Cancelled = "cancelled",
    }
);

impl RemovalState {
    /// Whether it takes away what it finds.
    pub fn takes(self) -> bool {
        match self {
            Self::Grace | Self::Ending => true,
            Self::Done | Self::Cancelling | Self::Cancelled => false,
        }
    }
}

/// Access that is taken away.
#[derive(Debug, Clone)]
pub struct AccessRemoval {
    /// Our id.
    pub id: AccessRemovalId,
    /// What is taken away.
    pub cause: Cause,
    /// Who loses access; `None` where the principal was everybody.
    pub account: Option<AccountId>,
    /// Where it stands.
    pub state: RemovalState,
    /// Whose word it is.
    pub actor: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// When access ends.
    pub ends_at: DateTime<Utc>,
    /// What was shown and confirmed before.
    pub confirmed: Extent,
    /// The membership that was closed for it.
    pub membership: Option<ConsumerAccountId>,
    /// When nothing of it was left.
    pub done_at: Option<DateTime<Utc>>,
    /// Who took it back.
    pub cancelled: Option<Said>,
}

impl AccessRemoval {
    /// Why each connection loses access, in words.
    pub fn words(&self) -> String {
        format!("access ended as {}: {}", self.id, self.reason)
    }

    /// The revocation that it plans for each.
    pub fn revocation(&self) -> ScheduledRevocation {
        ScheduledRevocation {
            at: self.ends_at,
            reason: self.words(),
            by: self.actor.name.clone(),
            planner: Planner::AccessRemoval(self.id),
        }
    }
}

text_enum!(
    /// What became of a connection that loses access.
    Became {
        /// Its revocation is planned.
        Scheduled = "scheduled",
        /// It was rejected at once, because it had no access yet.
        Rejected = "rejected",
        /// It was revoked.
        Revoked = "revoked",
        /// The plan was taken back.
        Restored = "restored",
    }
);

/// What a removal does to a connection. Only access that was given has time until it ends; what waits is refused at once. `None` where nothing lives or AWS
/// shows what this version does not know.
pub fn ending(review: ReviewState, observed: &ConnectionState, over: bool) -> Option<Became> {
    match cut(review, observed)? {
        Verb::Reject => Some(Became::Rejected),
        Verb::Revoke if over => Some(Became::Revoked),
        Verb::Revoke => Some(Became::Scheduled),
        // Nothing is cut off by accepting it.
        Verb::Accept => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_access_that_was_given_has_time() {
        let live = [
            ConnectionState::PendingAcceptance,
            ConnectionState::Pending,
            ConnectionState::Available,
            ConnectionState::Partial,
        ];
        for observed in ConnectionState::DOCUMENTED {
            let is_live = live.contains(&observed);
            for review in ReviewState::ALL {
                for over in [false, true] {
                    let expected = match review {
                        _ if !is_live => None,
                        ReviewState::Undecided => Some(Became::Rejected),
                        ReviewState::Accepted if over => Some(Became::Revoked),
                        ReviewState::Accepted => Some(Became::Scheduled),
                        ReviewState::Rejected | ReviewState::Revoked => None,
                    };
                    let what = format!("{review} {observed} {over}");
                    assert_eq!(ending(*review, &observed, over), expected, "{what}");
                }
            }
        }
    }
}
