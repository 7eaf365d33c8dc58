//! Re-judgements: what is live, judged again on purpose, with a preview, a grace and a way back. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{AccountId, VpcEndpointId};

use super::consumer::Said;
use super::ids::{ConnectionId, ConsumerId, EndpointServiceId, RejudgementId};
use super::review_desk::{Planner, ScheduledRevocation};
use super::text::text_enum;

/// The longest time between applying and the end of access.
pub const LONGEST_GRACE: TimeDelta = TimeDelta::days(90);

text_enum!(
    /// Where a re-judgement stands.
    RejudgementState {
        /// What lives is being judged. Nothing is touched.
        Previewing = "previewing",
        /// All of it was judged, and somebody may apply it.
        Previewed = "previewed",
        /// Revocations are being planned.
        Applying = "applying",
        /// All are planned; time carries them out.
        Applied = "applied",
        /// Planned revocations are being taken back.
        Cancelling = "cancelling",
        /// It is over.
        Cancelled = "cancelled",
    }
);

impl RejudgementState {
    /// Where cancelling leads; `None` where it is cancelled already. What has planned nothing has nothing to take back.
    pub fn after_cancel(self) -> Option<Self> {
        match self {
            Self::Previewing | Self::Previewed => Some(Self::Cancelled),
            Self::Applying | Self::Applied => Some(Self::Cancelling),
            Self::Cancelling | Self::Cancelled => None,
        }
    }
}

text_enum!(
    /// What became of a connection that would not be accepted again.
    LosingState {
        /// It would be rejected, and nothing was done about it yet.
        Found = "found",
        /// It would be held for a person, were it new. It keeps its access.
        Held = "held",
        /// Its revocation was planned.
        Planned = "planned",
        /// It was left as it is.
        Kept = "kept",
        /// Its revocation was planned, and taken back before it was carried out.
        TakenBack = "taken_back",
    }
);

text_enum!(
    /// Why a connection was left as it is.
    KeptAs {
        /// It is not rejected any more.
        NotRejected = "not_rejected",
        /// It has ended, or its access was taken away.
        NotLive = "not_live",
    }
);

/// Which live connections are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All there are.
    Everything,
    /// Those of a service.
    Service(EndpointServiceId),
    /// Those of every account that a consumer has.
    Consumer(ConsumerId),
    /// Those of an account.
    Account(AccountId),
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Live connections that were judged.
    pub judged: i64,
    /// Those that would be rejected.
    pub losing: i64,
    /// Those that would be held; they keep their access.
    pub held: i64,
}

/// That somebody applied it.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Who, when and why.
    pub said: Said,
    /// The request that did.
    pub request_id: Option<String>,
    /// How much time the consumers get.
    pub grace: TimeDelta,
    /// How many were shown and confirmed before.
    pub confirmed: i64,
    /// When access ends.
    pub revoke_at: DateTime<Utc>,
    /// Revocations that were planned so far.
    pub planned: i64,
    /// Connections that were left as they are.
    pub kept: i64,
    /// When nothing was left to plan.
    pub carried_out_at: Option<DateTime<Utc>>,
}

/// That somebody cancelled it.
#[derive(Debug, Clone)]
pub struct Cancelled {
    /// Who, when and why.
    pub said: Said,
    /// The request that did.
    pub request_id: Option<String>,
    /// The last connection that was looked at.
    pub after: Option<ConnectionId>,
    /// Revocations that were taken back so far.
    pub taken_back: i64,
    /// When nothing was left to take back.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What is live, judged again.
#[derive(Debug, Clone)]
pub struct Rejudgement {
    /// Our id.
    pub id: RejudgementId,
    /// What is judged.
    pub scope: Scope,
    /// Where it stands.
    pub state: RejudgementState,
    /// Who asked for it, when and why.
    pub asked: Said,
    /// The last connection that was judged.
    pub place: Option<(AccountId, EndpointServiceId, VpcEndpointId)>,
    /// What was counted so far.
    pub found: Found,
    /// When all was judged.
    pub previewed_at: Option<DateTime<Utc>>,
    /// Who applied it.
    pub applied: Option<Applied>,
    /// Who cancelled it.
    pub cancelled: Option<Cancelled>,
}

impl Rejudgement {
    /// The revocation that it plans for a connection that is rejected with this sentence.
    pub fn revocation(&self, applied: &Applied, sentence: &str) -> ScheduledRevocation {
        ScheduledRevocation {
            at: applied.revoke_at,
            reason: format!(
                "re-judged as {}: {sentence} ({})",
                self.id, applied.said.reason
            ),
            by: applied.said.by.clone(),
            planner: Planner::Rejudgement(self.id),
        }
    }
}

/// A connection that would not be accepted again.
#[derive(Debug, Clone)]
pub struct Losing {
    /// The connection.
    pub connection: ConnectionId,
    /// Its service.
    pub service: EndpointServiceId,
    /// AWS's id of its endpoint.
    pub endpoint: String,
    /// The account that owns the endpoint.
    pub owner: String,
    /// The code of the first reason that it is rejected or held for.
    pub code: String,
    /// The reasons, as the consumer may read them.
    pub sentence: String,
    /// What became of it.
    pub state: LosingState,
    /// Why it was left as it is.
    pub kept_as: Option<KeptAs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what may have planned something passes through taking back, and nothing is cancelled twice.
    #[test]
    fn what_has_planned_something_takes_it_back_first() {
        use RejudgementState::{Applied, Applying, Cancelled, Cancelling, Previewed, Previewing};
        for (state, after) in [
            (Previewing, Some(Cancelled)),
            (Previewed, Some(Cancelled)),
            (Applying, Some(Cancelling)),
            (Applied, Some(Cancelling)),
            (Cancelling, None),
            (Cancelled, None),
        ] {
            assert_eq!(state.after_cancel(), after, "{state}");
        }
    }
}
