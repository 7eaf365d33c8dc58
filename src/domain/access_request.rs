//! Access that somebody asks for before there is an endpoint: an account, and the services that it wants to reach. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::approval::Approval;
use super::consumer::{Contact, Said};
use super::ids::{AccessRequestId, ConsumerId, EndpointServiceId};
use super::text::text_enum;

text_enum!(
    /// Where an access request stands.
    AccessRequestState {
        /// Nobody has answered yet.
        Pending = "pending",
        /// Access is given.
        Approved = "approved",
        /// Access was refused.
        Rejected = "rejected",
        /// It was taken back before anybody answered.
        Withdrawn = "withdrawn",
        /// Its time is over, whether or not anybody had answered.
        Expired = "expired",
        /// Access was given and then taken away.
        Revoked = "revoked",
    }
);

text_enum!(
    /// What can be done about an access request.
    AccessVerb {
        /// Gives access.
        Approve = "approve",
        /// Refuses it.
        Reject = "reject",
        /// Takes the request back.
        Withdraw = "withdraw",
        /// Time ends it.
        Expire = "expire",
        /// Takes the access away.
        Revoke = "revoke",
        /// Gives back what was taken away.
        Restore = "restore",
    }
);

/// Why a verb does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAccess {
    /// Somebody answered already, or its time is over.
    #[error("the access request is {0}, so there is nothing to answer")]
    Answered(AccessRequestState),
    /// There is no access that could end.
    #[error("the access request is {0}, so there is no access to take away")]
    NotApproved(AccessRequestState),
    /// Nothing was taken away.
    #[error("the access request is {0}, so there is nothing to give back")]
    NotRevoked(AccessRequestState),
}

impl AccessRequestState {
    /// The state after `verb`; or why not.
    pub fn after(self, verb: AccessVerb) -> Result<Self, NoAccess> {
        match (self, verb) {
            (Self::Pending, AccessVerb::Approve) | (Self::Revoked, AccessVerb::Restore) => {
                Ok(Self::Approved)
            }
            (Self::Pending, AccessVerb::Reject) => Ok(Self::Rejected),
            (Self::Pending, AccessVerb::Withdraw) => Ok(Self::Withdrawn),
            (Self::Pending | Self::Approved, AccessVerb::Expire) => Ok(Self::Expired),
            (Self::Approved, AccessVerb::Revoke) => Ok(Self::Revoked),
            (
                Self::Approved | Self::Rejected | Self::Withdrawn | Self::Expired | Self::Revoked,
                AccessVerb::Approve | AccessVerb::Reject | AccessVerb::Withdraw,
            ) => Err(NoAccess::Answered(self)),
            (
                Self::Rejected | Self::Withdrawn | Self::Expired | Self::Revoked,
                AccessVerb::Expire | AccessVerb::Revoke,
            )
            | (Self::Pending, AccessVerb::Revoke) => Err(NoAccess::NotApproved(self)),
            (
                Self::Pending | Self::Approved | Self::Rejected | Self::Withdrawn | Self::Expired,
                AccessVerb::Restore,
            ) => Err(NoAccess::NotRevoked(self)),
        }
    }
}

text_enum!(
    /// Where one service of a request stands.
    AskedState {
        /// Nobody has answered yet.
        Waiting = "waiting",
        /// Access is given.
        Standing = "standing",
        /// There is none, or none any more.
        Over = "over",
    }
);

/// One service of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The service.
    pub service: EndpointServiceId,
    /// Where it stands.
    pub state: AskedState,
    /// The principal that lets the account in, and the service's version that asks for it; once it is approved.
    pub given: Option<Given>,
}

/// How a service lets the account of a request in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The principal.
    pub principal: String,
    /// The service's version that asks for it.
    pub version: i64,
    /// Whether the principal is there because of requests alone, so that it goes with the last of them.
    pub added: bool,
}

/// The answer to a request, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who, when and why.
    pub said: Said,
    /// What the consumer is told.
    pub message: Option<String>,
    /// Where the work on it is kept.
    pub ticket_url: Option<String>,
}

/// Access that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Our id.
    pub id: AccessRequestId,
    /// The account that wants to connect.
    pub account: AccountId,
    /// Whose the account shall be known to be.
    pub consumer: Option<ConsumerId>,
    /// Whom to talk to.
    pub contact: Contact,
    /// What whoever asks wants to say.
    pub message: Option<String>,
    /// Until when access is wanted, and once it is approved, until when it is given.
    pub expires_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub state: AccessRequestState,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Who made it.
    pub made_by: String,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
    /// What ended it, once that has.
    pub ended: Option<Said>,
    /// The services, in the order of their ids.
    pub services: Vec<Asked>,
    /// Who said yes while another person has to, oldest first.
    pub approvals: Vec<Approval>,
}

text_enum!(
    /// The occasions on which whoever asked is told something.
    AccessNoticeKind {
        /// Access is given.
        Approved = "approved",
        /// Access was refused.
        Rejected = "rejected",
        /// Time is over.
        Expired = "expired",
        /// Access was taken away, or will be.
        Revoked = "revoked",
        /// Access that was taken away is given again.
        Restored = "restored",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cell, written by hand from the rule: a request is answered once, and only access that was given ends.
    #[test]
    fn every_transition_is_as_the_table_says() {
        use AccessRequestState as S;
        use AccessVerb as V;
        for state in S::ALL {
            for verb in V::ALL {
                let legal = match (state, verb) {
                    (S::Pending, V::Approve) | (S::Revoked, V::Restore) => Some(S::Approved),
                    (S::Pending, V::Reject) => Some(S::Rejected),
                    (S::Pending, V::Withdraw) => Some(S::Withdrawn),
                    (S::Pending | S::Approved, V::Expire) => Some(S::Expired),
                    (S::Approved, V::Revoke) => Some(S::Revoked),
                    _ => None,
                };
                assert_eq!(state.after(*verb).ok(), legal, "{state} {verb}");
            }
        }
        let refusal = S::Rejected.after(V::Approve);
        assert_eq!(refusal, Err(NoAccess::Answered(S::Rejected)));
        let refusal = S::Pending.after(V::Revoke);
        assert_eq!(refusal, Err(NoAccess::NotApproved(S::Pending)));
    }
}
