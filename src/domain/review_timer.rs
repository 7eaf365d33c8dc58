//! What time does to a review: pure, the time is passed in. `store::review_timers` finds the connections for which this answers anything, by
//! the same rule in SQL; a test compares the two.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::ConnectionState;

use super::review::{Refusal, ReviewState, Verb};
use super::review_rules::{Effective, OnOverdue};
use super::text::text_enum;

text_enum!(
    /// Something that is due.
    TimerStep {
        /// People are told that a request has waited for long.
        Remind = "remind",
        /// People are told that it has waited for too long.
        Escalate = "escalate",
        /// It is rejected because nobody decided in time.
        RejectOverdue = "reject_overdue",
        /// People are told that the time that access was given for is over.
        MarkExpiring = "mark_expiring",
        /// Access is taken away because that time and the grace are over.
        Expire = "expire",
        /// Access is taken away because somebody wanted it at this time.
        RevokeScheduled = "revoke_scheduled",
        /// The endpoint is gone: what was approved or scheduled about it is void.
        Lapse = "lapse",
    }
);

impl TimerStep {
    /// The verb, where the step is a decision.
    pub const fn verb(self) -> Option<Verb> {
        match self {
            Self::RejectOverdue => Some(Verb::Reject),
            Self::Expire | Self::RevokeScheduled => Some(Verb::Revoke),
            Self::Remind | Self::Escalate | Self::MarkExpiring | Self::Lapse => None,
        }
    }

    /// The stable word for why, where the step is a decision.
    pub const fn reason_code(self) -> Option<&'static str> {
        match self {
            Self::RejectOverdue => Some("review_overdue"),
            Self::Expire => Some("approval_expired"),
            Self::RevokeScheduled => Some("revocation_scheduled"),
            Self::Remind | Self::Escalate | Self::MarkExpiring | Self::Lapse => None,
        }
    }
}

/// What the timers of one connection look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What was decided.
    pub review: ReviewState,
    /// What AWS says.
    pub observed: ConnectionState,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// The service's rules.
    pub rules: Effective,
    /// Whether a person holds it at present.
    pub held_by_person: bool,
    /// When people were reminded.
    pub reminded_at: Option<DateTime<Utc>>,
    /// When they were told that it is overdue.
    pub escalated_at: Option<DateTime<Utc>>,
    /// Until when access was given.
    pub expires_at: Option<DateTime<Utc>>,
    /// When people were told that this time is over.
    pub expiring_at: Option<DateTime<Utc>>,
    /// When access shall be taken away.
    pub revoke_at: Option<DateTime<Utc>>,
    /// Whether approvals stand.
    pub approved: bool,
}

/// Everything that is due now, in order. A step that was taken is not due again: what was told counts for the deadline before which it lies,
/// so a deadline that was moved is told of anew.
pub fn steps(facts: &Facts, now: DateTime<Utc>) -> Vec<TimerStep> {
    match facts.review {
        ReviewState::Undecided if facts.observed == ConnectionState::PendingAcceptance => {
            waiting(facts, now)
        }
        ReviewState::Undecided if facts.approved && is_gone(&facts.observed) => {
            vec![TimerStep::Lapse]
        }
        ReviewState::Accepted => accepted(facts, now),
        ReviewState::Undecided | ReviewState::Rejected | ReviewState::Revoked => Vec::new(),
    }
}

fn waiting(facts: &Facts, now: DateTime<Utc>) -> Vec<TimerStep> {
    let due_at = facts.rules.due_at(facts.first_seen_at);
    let remind_at = facts.first_seen_at + facts.rules.remind_after;
    let told = |at: Option<DateTime<Utc>>, of: DateTime<Utc>| at.is_some_and(|at| at >= of);
    let mut steps = Vec::new();
    if now < due_at {
        if now >= remind_at && !told(facts.reminded_at, remind_at) {
            steps.push(TimerStep::Remind);
        }
        return steps;
    }
    if !told(facts.escalated_at, due_at) {
        steps.push(TimerStep::Escalate);
    }
    if facts.rules.on_overdue == OnOverdue::Reject && !facts.held_by_person {
        steps.push(TimerStep::RejectOverdue);
    }
    steps
}

fn accepted(facts: &Facts, now: DateTime<Utc>) -> Vec<TimerStep> {
    let over = |at: Option<DateTime<Utc>>, grace: TimeDelta| at.is_some_and(|at| at + grace <= now);
    let expired = over(facts.expires_at, TimeDelta::zero());
    let step = if over(facts.revoke_at, TimeDelta::zero()) {
        TimerStep::RevokeScheduled
    } else if over(facts.expires_at, facts.rules.expiry_grace) {
        TimerStep::Expire
    } else if expired && facts.expiring_at < facts.expires_at {
        TimerStep::MarkExpiring
    } else {
        return Vec::new();
    };
    match ReviewState::Accepted.after(Verb::Revoke, &facts.observed) {
        Ok(_) => vec![step],
        Err(Refusal::Closed(_)) => vec![TimerStep::Lapse],
        // Deciding blind would be a guess: when AWS shows a state that is known, the time is still over.
        Err(Refusal::UnknownState(_) | Refusal::AlreadyDecided(_) | Refusal::NotAccepted(_)) => {
            Vec::new()
        }
    }
}

/// Whether the endpoint can never be decided any more.
fn is_gone(observed: &ConnectionState) -> bool {
    matches!(
        ReviewState::Undecided.after(Verb::Accept, observed),
        Err(Refusal::Closed(_))
    )
}

#[cfg(test)]
mod tests;
