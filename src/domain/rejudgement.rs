//! Re-judgements: what is live, judged again on purpose, with a preview, a grace and a way back. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{AccountId, VpcEndpointId};

use super::consumer::Said;
use super::ids::{ConnectionId, ConsumerId, EndpointServiceId, RejudgementId};
use super::review_desk::ScheduledRevocation;
use super::text::text_enum;

/// The longest time between applying and the end of access.
pub const LONGEST_GRACE: TimeDelta = TimeDelta::days(90);

/// How the reason of a planned revocation begins.
const MARK: &str = "re-judged as ";

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
    /// What became of a connection that would lose its access.
    LosingState {
        /// Nothing was done about it yet.
        Found = "found",
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
        /// Its access ends by then anyway: somebody had planned that before.
        PlannedBefore = "planned_before",
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
            reason: format!("{}{sentence} ({})", self.mark(), applied.said.reason),
            by: applied.said.by.clone(),
        }
    }

    /// Whether a planned revocation is one that it made: not another one that somebody has put in its place.
    pub fn has_planned(&self, planned: &ScheduledRevocation) -> bool {
        self.applied.as_ref().is_some_and(|applied| {
            planned.at == applied.revoke_at
                && planned.by == applied.said.by
                && planned.reason.starts_with(&self.mark())
        })
    }

    fn mark(&self) -> String {
        format!("{MARK}{}: ", self.id)
    }

    /// The re-judgement that a planned revocation says it is of.
    pub fn of_plan(reason: &str) -> Option<RejudgementId> {
        reason.strip_prefix(MARK)?.split(':').next()?.parse().ok()
    }
}

/// A connection that would lose its access, or loses it.
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
    /// The code of the first reason that it is rejected for.
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

    fn applied(by: &str, at: DateTime<Utc>) -> Applied {
        Applied {
            said: Said {
                at,
                by: by.to_owned(),
                reason: "the policy is new".to_owned(),
            },
            request_id: None,
            grace: TimeDelta::zero(),
            confirmed: 1,
            revoke_at: at,
            planned: 0,
            kept: 0,
            carried_out_at: None,
        }
    }

    fn rejudgement(at: DateTime<Utc>) -> Rejudgement {
        Rejudgement {
            id: RejudgementId::new(at),
            scope: Scope::Everything,
            state: RejudgementState::Applying,
            asked: applied("ann", at).said,
            place: None,
            found: Found::default(),
            previewed_at: Some(at),
            applied: Some(applied("ann", at)),
            cancelled: None,
        }
    }

    /// It knows its own plans, and nobody else's: another time, another person, another re-judgement.
    #[test]
    fn a_plan_is_known_by_its_time_its_author_and_its_mark() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (one, other) = (rejudgement(at), rejudgement(at));
        let own = one.revocation(&applied("ann", at), "You have not paid.");
        assert!(
            own.reason
                .ends_with("You have not paid. (the policy is new)"),
            "{}",
            own.reason
        );
        assert!(one.has_planned(&own));
        assert!(!other.has_planned(&own));
        let mut later = own.clone();
        later.at += TimeDelta::seconds(1);
        let mut by_bob = own.clone();
        by_bob.by = "bob".to_owned();
        let mut for_another_reason = own;
        for_another_reason.reason = "the contract ends".to_owned();
        for theirs in [later, by_bob, for_another_reason] {
            assert!(!one.has_planned(&theirs), "{theirs:?}");
        }
        let mut preview = one.clone();
        preview.applied = None;
        assert!(!preview.has_planned(&one.revocation(&applied("ann", at), "")));
    }

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
