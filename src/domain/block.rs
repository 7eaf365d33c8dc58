//! The kill switch: what a block covers and what it does to each connection. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState};

use super::consumer::Said;
use super::ids::{BlockId, ConsumerId, DenialId, EndpointServiceId};
use super::review::{ReviewState, Verb};
use super::service_plan::EVERYBODY;
use super::text::text_enum;

text_enum!(
    /// What kind of subject a block has.
    BlockKind {
        /// One account.
        Account = "account",
        /// A consumer, with all its accounts.
        Consumer = "consumer",
        /// A service, with everybody who connects to it.
        Service = "service",
    }
);

text_enum!(
    /// Where a block stands.
    BlockState {
        /// Something of it may still live.
        Cutting = "cutting",
        /// Nothing of it lives, and what comes is cut off too.
        Standing = "standing",
        /// It was lifted, and principals come back.
        Restoring = "restoring",
        /// It is over.
        Lifted = "lifted",
    }
);

impl BlockState {
    /// Whether connections are cut off.
    pub fn cuts(self) -> bool {
        match self {
            Self::Cutting | Self::Standing => true,
            Self::Restoring | Self::Lifted => false,
        }
    }
}

/// What is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// One account.
    Account(AccountId),
    /// A consumer, with every account that it has.
    Consumer(ConsumerId),
    /// A service.
    Service(EndpointServiceId),
}

impl Blocked {
    /// The kind alone.
    pub fn kind(&self) -> BlockKind {
        match self {
            Self::Account(_) => BlockKind::Account,
            Self::Consumer(_) => BlockKind::Consumer,
            Self::Service(_) => BlockKind::Service,
        }
    }
}

/// What a block covers now: a consumer's accounts change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// These accounts, on every service.
    Accounts(Vec<AccountId>),
    /// Everybody, on one service.
    Service(EndpointServiceId),
}

impl Reach {
    /// Whether a principal of a service lets somebody in whom the block keeps out. `*` names nobody, so only a service's block takes it.
    pub fn covers(&self, service: EndpointServiceId, principal: &str) -> bool {
        match self {
            Self::Service(blocked) => *blocked == service,
            Self::Accounts(accounts) => account_of(principal)
                .is_some_and(|account| accounts.iter().any(|blocked| blocked.as_str() == account)),
        }
    }
}

/// The account that a principal belongs to; `None` for everybody.
pub fn account_of(principal: &str) -> Option<&str> {
    if principal == EVERYBODY {
        return None;
    }
    // arn:partition:iam::account:resource
    principal
        .split(':')
        .nth(4)
        .filter(|account| !account.is_empty())
}

/// How many of what, as it was shown and confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Connections that are cut off.
    pub connections: i64,
    /// Principals that are taken away, counted once for each service.
    pub principals: i64,
}

/// The kill switch, thrown.
#[derive(Debug, Clone)]
pub struct Block {
    /// Our id.
    pub id: BlockId,
    /// What is blocked.
    pub subject: Blocked,
    /// What keeps new connections from being accepted.
    pub denial: DenialId,
    /// Where it stands.
    pub state: BlockState,
    /// Who blocked, when and why.
    pub said: Said,
    /// The request that blocked.
    pub request_id: Option<String>,
    /// What was shown and confirmed before.
    pub confirmed: Extent,
    /// Connections that were cut off for it so far.
    pub cut: i64,
    /// When nothing of it lived any more, for the first time.
    pub cut_at: Option<DateTime<Utc>>,
    /// Who took it back.
    pub lifted: Option<Said>,
    /// When the last principal was back.
    pub restored_at: Option<DateTime<Utc>>,
}

/// How a connection is cut off: a request is rejected, access that was given is revoked. `None` where nothing lives or AWS shows what this version does
/// not know.
pub fn cut(review: ReviewState, observed: &ConnectionState) -> Option<Verb> {
    match observed {
        ConnectionState::PendingAcceptance
        | ConnectionState::Pending
        | ConnectionState::Available
        | ConnectionState::Partial => {}
        ConnectionState::Rejected
        | ConnectionState::Expired
        | ConnectionState::Failed
        | ConnectionState::Deleting
        | ConnectionState::Deleted
        | ConnectionState::Unknown(_) => return None,
    }
    match review {
        ReviewState::Undecided => Some(Verb::Reject),
        ReviewState::Accepted => Some(Verb::Revoke),
        ReviewState::Rejected | ReviewState::Revoked => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is cut off can be decided so, is not live as far as we are concerned afterwards, and is not cut off twice.
    #[test]
    fn cutting_off_is_a_legal_decision_that_ends_it() {
        for review in ReviewState::ALL {
            for observed in ConnectionState::DOCUMENTED {
                let what = format!("{review} {observed}");
                let Some(verb) = cut(*review, &observed) else {
                    let live = ["pendingAcceptance", "pending", "available", "partial"];
                    let open = [ReviewState::Undecided, ReviewState::Accepted];
                    assert!(
                        !live.contains(&observed.as_str()) || !open.contains(review),
                        "{what}"
                    );
                    continue;
                };
                let after = review.after(verb, &observed);
                let after = after.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(cut(after, &observed), None, "{what}");
            }
        }
        let odd = ConnectionState::Unknown("quarantined".to_owned());
        assert_eq!(cut(ReviewState::Accepted, &odd), None);
    }

    #[test]
    fn a_principal_is_covered_by_its_account_or_its_service() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let [here, there] = [EndpointServiceId::new(now), EndpointServiceId::new(now)];
        let accounts = Reach::Accounts(vec!["444455556666".parse().unwrap()]);
        for principal in [
            "arn:aws:iam::444455556666:root",
            "arn:aws-cn:iam::444455556666:role/edge",
            "arn:aws:iam::444455556666:user/ann",
        ] {
            assert!(accounts.covers(here, principal), "{principal}");
        }
        for principal in ["*", "", "444455556666", "arn:aws:iam::111122223333:root"] {
            assert!(!accounts.covers(here, principal), "{principal}");
        }
        let service = Reach::Service(here);
        assert!(service.covers(here, "*") && !service.covers(there, "*"));
    }
}
