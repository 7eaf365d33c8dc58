//! The life of a connection as stored facts, and its state at any moment computed from them.
//!
//! The phase before the last change is kept, so that a stale read (an earlier moment) sees what was true then.

use chrono::{DateTime, Utc};
use privatelink::ConnectionState;
use serde::{Deserialize, Serialize};

/// What was last decided about a connection, with the times at which the rest follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for the provider until it expires.
    Waiting {
        /// When it becomes `expired`.
        expires_at: DateTime<Utc>,
    },
    /// Accepted; available from then on.
    Accepted {
        /// When `pending` ends.
        available_at: DateTime<Utc>,
    },
    /// Accepted, but provisioning will not succeed.
    Failing {
        /// When `pending` ends in `failed`.
        failed_at: DateTime<Utc>,
    },
    /// Refused or cut off.
    Rejected,
    /// The consumer deleted the endpoint.
    Deleted {
        /// When `deleting` ends.
        deleted_at: DateTime<Utc>,
        /// When the row is no longer listed.
        gone_at: DateTime<Utc>,
    },
}

/// A phase, when it began, and the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    phase: Phase,
    since: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Phase>,
    born: DateTime<Utc>,
    /// From when until when it is `partial` instead of `available`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Life {
    /// A life that begins now.
    pub fn begin(phase: Phase, now: DateTime<Utc>) -> Self {
        Self {
            phase,
            since: now,
            before: None,
            born: now,
            partial: None,
        }
    }

    /// Makes it `partial` from now until then, whenever it would be `available`.
    pub(crate) fn be_partial(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) {
        self.partial = Some((now, until));
    }

    /// Enters another phase.
    pub fn enter(&mut self, phase: Phase, now: DateTime<Utc>) {
        self.before = Some(std::mem::replace(&mut self.phase, phase));
        self.since = now;
    }

    /// Whether its end was asked for.
    pub fn is_deleted(&self) -> bool {
        matches!(self.phase, Phase::Deleted { .. })
    }

    /// When the present phase began.
    pub fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// The state at a moment; `None` before it was born and after it has vanished.
    pub fn state_at(&self, at: DateTime<Utc>) -> Option<ConnectionState> {
        if at < self.born {
            return None;
        }
        let phase = match &self.before {
            Some(before) if at < self.since => before,
            _ => &self.phase,
        };
        match phase {
            Phase::Waiting { expires_at } if at >= *expires_at => Some(ConnectionState::Expired),
            Phase::Waiting { .. } => Some(ConnectionState::PendingAcceptance),
            Phase::Accepted { available_at }
                if at >= *available_at
                    && self
                        .partial
                        .is_some_and(|(from, until)| (from..until).contains(&at)) =>
            {
                Some(ConnectionState::Partial)
            }
            Phase::Accepted { available_at } if at >= *available_at => {
                Some(ConnectionState::Available)
            }
            Phase::Failing { failed_at } if at >= *failed_at => Some(ConnectionState::Failed),
            Phase::Accepted { .. } | Phase::Failing { .. } => Some(ConnectionState::Pending),
            Phase::Rejected => Some(ConnectionState::Rejected),
            Phase::Deleted { gone_at, .. } if at >= *gone_at => None,
            Phase::Deleted { deleted_at, .. } if at >= *deleted_at => {
                Some(ConnectionState::Deleted)
            }
            Phase::Deleted { .. } => Some(ConnectionState::Deleting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::later;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn an_accepted_connection_is_pending_first_and_available_later() {
        let mut life = Life::begin(
            Phase::Waiting {
                expires_at: later(START, 10_000),
            },
            START,
        );
        assert_eq!(
            life.state_at(START),
            Some(ConnectionState::PendingAcceptance)
        );
        let now = later(START, 1_000);
        let available_at = later(now, 300);
        life.enter(Phase::Accepted { available_at }, now);
        assert_eq!(life.state_at(now), Some(ConnectionState::Pending));
        assert_eq!(
            life.state_at(available_at),
            Some(ConnectionState::Available)
        );
    }

    #[test]
    fn a_look_into_the_past_sees_what_was_true_then() {
        let mut life = Life::begin(
            Phase::Waiting {
                expires_at: later(START, 10_000),
            },
            later(START, 100),
        );
        life.enter(Phase::Rejected, later(START, 1_000));
        assert_eq!(life.state_at(START), None);
        assert_eq!(
            life.state_at(later(START, 999)),
            Some(ConnectionState::PendingAcceptance)
        );
        assert_eq!(
            life.state_at(later(START, 1_000)),
            Some(ConnectionState::Rejected)
        );
    }

    #[test]
    fn a_request_nobody_answers_expires() {
        let life = Life::begin(
            Phase::Waiting {
                expires_at: later(START, 5),
            },
            START,
        );
        assert_eq!(
            life.state_at(later(START, 5)),
            Some(ConnectionState::Expired)
        );
    }

    #[test]
    fn a_deleted_endpoint_lingers_and_then_vanishes() {
        let life = Life::begin(
            Phase::Deleted {
                deleted_at: later(START, 10),
                gone_at: later(START, 20),
            },
            START,
        );
        assert_eq!(life.state_at(START), Some(ConnectionState::Deleting));
        assert_eq!(
            life.state_at(later(START, 10)),
            Some(ConnectionState::Deleted)
        );
        assert_eq!(life.state_at(later(START, 20)), None);
    }
}
