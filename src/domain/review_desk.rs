//! The review as work that people do: who works on it, why it is held, how long it waits, and until when access was given.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, VpcEndpointId};

use super::actor::{Actor, ActorKind};
use super::approval::Approval;
use super::ids::{AccessRemovalId, AgreementId, ConnectionId, EndpointServiceId, RejudgementId};
use super::review_rules::ReviewRules;
use super::text::text_enum;

/// The code of a hold that a person made. Others are a policy's own.
pub const HELD_BY_PERSON: &str = "held_by_person";

text_enum!(
    /// A step in a review that decides nothing. Each is an audit entry, and shows in the history.
    ReviewStep {
        /// Somebody works on it.
        Claimed = "claimed",
        /// Nobody works on it any more.
        Released = "released",
        /// It is not decided for now.
        Held = "held",
        /// It may be decided again.
        Unheld = "unheld",
        /// One of two persons said yes.
        Approved = "approved",
        /// They took it back.
        ApprovalWithdrawn = "approval_withdrawn",
        /// The endpoint is gone, and with it what was approved, held or scheduled.
        Lapsed = "lapsed",
        /// Somebody said something.
        Commented = "commented",
        /// It has waited for long.
        Reminded = "reminded",
        /// It has waited for too long.
        Escalated = "escalated",
        /// The time that access was given for is over; the grace begins.
        Expiring = "expiring",
        /// Access was given for another time.
        Renewed = "renewed",
        /// Access shall be taken away at a time.
        RevocationScheduled = "revocation_scheduled",
        /// It shall not.
        RevocationCancelled = "revocation_cancelled",
    }
);

impl ReviewStep {
    /// The action in the audit trail.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Claimed => "connection.claim",
            Self::Released => "connection.release",
            Self::Held => "connection.hold",
            Self::Unheld => "connection.unhold",
            Self::Approved => "connection.approve",
            Self::ApprovalWithdrawn => "connection.withdraw_approval",
            Self::Lapsed => "connection.lapse",
            Self::Commented => "connection.comment",
            Self::Reminded => "connection.remind",
            Self::Escalated => "connection.escalate",
            Self::Expiring => "connection.expire",
            Self::Renewed => "connection.renew",
            Self::RevocationScheduled => "connection.schedule_revocation",
            Self::RevocationCancelled => "connection.cancel_revocation",
        }
    }

    /// The step of an action, if it is one.
    pub fn of_action(action: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|step| step.action() == action)
    }
}

/// Somebody works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: DateTime<Utc>,
    /// When it ends by itself.
    pub ends_at: DateTime<Utc>,
}

impl Claim {
    /// Whether it still stands.
    pub fn stands(&self, now: DateTime<Utc>) -> bool {
        now < self.ends_at
    }
}

/// Why it is not decided now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// A stable word: [`HELD_BY_PERSON`], or a policy's own.
    pub code: String,
    /// Why, as a sentence.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<DateTime<Utc>>,
    /// A person or a policy.
    pub by_kind: ActorKind,
    /// Who.
    pub by: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

impl Hold {
    /// Whether it still stands.
    pub fn stands(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Access that somebody wants taken away at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledRevocation {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub by: String,
    /// What it is a part of.
    pub planner: Planner,
}

/// What a planned revocation is a part of. Each plans one for a connection, and the earliest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planner {
    /// Somebody's word about this very connection.
    Person,
    /// Access that is taken away from an account.
    AccessRemoval(AccessRemovalId),
    /// A re-judgement that was applied.
    Rejudgement(RejudgementId),
    /// An agreement whose grace will be over, or that grants less than is connected.
    Agreement(AgreementId),
}

/// All that people and timers did about the review of one connection, beside deciding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desk {
    /// Who works on it.
    pub claim: Option<Claim>,
    /// Why it is not decided now.
    pub hold: Option<Hold>,
    /// When people were reminded.
    pub reminded_at: Option<DateTime<Utc>>,
    /// When they were told that it is overdue.
    pub escalated_at: Option<DateTime<Utc>>,
    /// Until when access was given.
    pub expires_at: Option<DateTime<Utc>>,
    /// When people were told that this time is over.
    pub expiring_at: Option<DateTime<Utc>>,
    /// The earliest time at which access is going to be taken away.
    pub revocation: Option<ScheduledRevocation>,
    /// Approvals that stand.
    pub approvals: Vec<Approval>,
    /// How the service wants it reviewed.
    pub rules: ReviewRules,
}

/// One line of the review queue.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The connection.
    pub id: ConnectionId,
    /// The service that it wants to connect to.
    pub service_id: EndpointServiceId,
    /// The service's name.
    pub service_name: String,
    /// AWS's id of the consumer's endpoint.
    pub endpoint_id: VpcEndpointId,
    /// The consumer's account.
    pub owner: AccountId,
    /// When it was first seen; its age counts from here.
    pub first_seen_at: DateTime<Utc>,
    /// When the consumer made the endpoint, as AWS says.
    pub created_at: Option<DateTime<Utc>>,
    /// Until when it should be decided.
    pub due_at: DateTime<Utc>,
    /// What people did about it.
    pub desk: Desk,
    /// How many comments there are.
    pub comments: i64,
}

/// The queue in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueSummary {
    /// How many wait.
    pub waiting: i64,
    /// How many of them for too long.
    pub overdue: i64,
    /// How many are held.
    pub held: i64,
    /// How many nobody works on.
    pub unclaimed: i64,
    /// Since when the oldest waits.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Why somebody's claim or release does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoClaim {
    /// Somebody else works on it.
    #[error("{by} works on it until {}", ends_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))]
    Others {
        /// Who.
        by: String,
        /// Until when.
        ends_at: DateTime<Utc>,
    },
    /// There is nothing to release.
    #[error("nobody works on it")]
    Nobodys,
}

/// The claim after `actor` claims. One's own is claimed again, for as long as a new one.
pub fn claimed(
    before: Option<&Claim>,
    actor: &Actor,
    now: DateTime<Utc>,
    ttl: chrono::TimeDelta,
) -> Result<Claim, NoClaim> {
    match before.filter(|claim| claim.stands(now)) {
        Some(claim) if claim.by != actor.name => Err(NoClaim::Others {
            by: claim.by.clone(),
            ends_at: claim.ends_at,
        }),
        own => Ok(Claim {
            by: actor.name.clone(),
            at: own.map_or(now, |claim| claim.at),
            ends_at: now + ttl,
        }),
    }
}

/// Whether `actor` may end this claim: whoever made it, and whoever manages.
pub fn may_release(
    before: Option<&Claim>,
    actor: &Actor,
    manages: bool,
    now: DateTime<Utc>,
) -> Result<(), NoClaim> {
    match before.filter(|claim| claim.stands(now)) {
        None => Err(NoClaim::Nobodys),
        Some(claim) if claim.by == actor.name || manages => Ok(()),
        Some(claim) => Err(NoClaim::Others {
            by: claim.by.clone(),
            ends_at: claim.ends_at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minutes * 60, 0).unwrap()
    }

    #[test]
    fn every_step_has_an_action_of_its_own() {
        for step in ReviewStep::ALL {
            assert_eq!(ReviewStep::of_action(step.action()), Some(*step));
        }
        assert_eq!(ReviewStep::of_action("connection.accept"), None);
    }

    #[test]
    fn a_claim_is_somebodys_until_it_ends() {
        let (ada, bob) = (Actor::person("ada", ""), Actor::person("bob", ""));
        let ttl = TimeDelta::minutes(10);
        let first = claimed(None, &ada, at(0), ttl).unwrap();
        assert_eq!((first.at, first.ends_at), (at(0), at(10)));
        assert!(claimed(Some(&first), &bob, at(9), ttl).is_err());
        let again = claimed(Some(&first), &ada, at(9), ttl).unwrap();
        assert_eq!((again.at, again.ends_at), (at(0), at(19)));
        let taken = claimed(Some(&first), &bob, at(10), ttl).unwrap();
        assert_eq!((taken.by.as_str(), taken.at), ("bob", at(10)));
    }

    #[test]
    fn a_claim_is_ended_by_its_owner_or_by_whoever_manages() {
        let (ada, bob) = (Actor::person("ada", ""), Actor::person("bob", ""));
        let claim = claimed(None, &ada, at(0), TimeDelta::minutes(10)).unwrap();
        let may = |actor, manages, minutes| may_release(Some(&claim), actor, manages, at(minutes));
        assert_eq!(may(&ada, false, 5), Ok(()));
        assert_eq!(may(&bob, true, 5), Ok(()));
        assert!(matches!(may(&bob, false, 5), Err(NoClaim::Others { .. })));
        assert_eq!(may(&ada, false, 10), Err(NoClaim::Nobodys));
        assert_eq!(may_release(None, &ada, true, at(0)), Err(NoClaim::Nobodys));
    }
}
