//! Where the sync of a connection goes after a look or a call. Pure: time and chance are passed in.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};

use super::backoff;
use super::connection::Connection;
use super::ids::{ConnectionId, DecisionId};
use super::outcome::Outcome;
use super::sync::{Act, SyncState};
use super::sync_step::{AfterFailure, Rules, after_failure};

/// Where the sync of one connection goes next, and what that was concluded from. It is void where one of the latter no longer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which connection.
    pub id: ConnectionId,
    /// The decision that was acted on. If there is another by now, this settlement is void.
    pub decision: Option<DecisionId>,
    /// The state of the sync when it was read. If an observer has moved it since, this settlement is void.
    pub was: SyncState,
    /// For coming to rest: what AWS showed when it was read. If AWS shows something else by now, this settlement is void.
    pub only_if_observed: Option<String>,
    /// The new state; `due_at` goes with due and confirming.
    pub state: SyncState,
    /// When to look next.
    pub due_at: Option<DateTime<Utc>>,
    /// How many calls were made for this decision.
    pub attempts: i32,
    /// The last call that AWS recorded.
    pub act: Option<(Act, DateTime<Utc>)>,
    /// The last AWS error code.
    pub code: Option<String>,
    /// AWS's words.
    pub message: Option<String>,
}

impl Settlement {
    /// Nothing is owed to AWS.
    pub fn at_rest(connection: &Connection) -> Self {
        Self {
            only_if_observed: Some(connection.observed.state.as_str().to_owned()),
            ..Self::of(connection, SyncState::Idle)
        }
    }

    /// Nothing to do but to look again at this time.
    pub fn look_again(connection: &Connection, when: DateTime<Utc>) -> Self {
        Self {
            due_at: Some(when),
            code: connection.sync.code.clone(),
            message: connection.sync.message.clone(),
            ..Self::of(connection, SyncState::Confirming)
        }
    }

    /// A call has to be made again, in its turn and from the tokens that are there for it.
    pub fn call_again(connection: &Connection, now: DateTime<Utc>) -> Self {
        Self {
            due_at: Some(now),
            code: connection.sync.code.clone(),
            message: connection.sync.message.clone(),
            ..Self::of(connection, SyncState::Due)
        }
    }

    /// The worker gives up: a person has to see it.
    pub fn stalled(connection: &Connection, code: String, message: String) -> Self {
        Self {
            code: Some(code),
            message: Some(message),
            ..Self::of(connection, SyncState::Stalled)
        }
    }

    /// Where a connection goes after a call that ended at `now`. `chance` is between 0 and 1 and spreads repeats.
    pub fn after_call(
        connection: &Connection,
        act: Act,
        outcome: Outcome,
        now: DateTime<Utc>,
        chance: f64,
        rules: Rules,
    ) -> Self {
        let tried = connection.sync.attempts.saturating_add(1);
        let again = |attempts: i32, at_least: TimeDelta, code: String, message: String| {
            let turn = u32::try_from(attempts).unwrap_or(1).max(1);
            let wait = backoff::delay(rules.retry_base, turn, chance);
            let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
            Self {
                due_at: Some(now + wait.max(at_least)),
                attempts,
                code: Some(code),
                message: Some(message),
                ..Self::of(connection, SyncState::Due)
            }
        };
        match outcome {
            // Recorded is not done: read back at once.
            Outcome::Recorded => Self {
                due_at: Some(now),
                attempts: tried,
                act: Some((act, now)),
                ..Self::of(connection, SyncState::Confirming)
            },
            // The next pass looks before it repeats; often the refusal means that AWS is there already.
            Outcome::Refused(failure) => {
                again(tried, TimeDelta::zero(), failure.code, failure.message)
            }
            // It may have worked: remember when it was sent, so that a stale read afterwards is known for one.
            Outcome::Unproven(failure) => Self {
                act: Some((act, now)),
                ..again(tried, TimeDelta::zero(), failure.code, failure.message)
            },
            Outcome::Failed(error) => {
                let (code, message) = (error.code().to_owned(), error.to_string());
                match after_failure(&error) {
                    AfterFailure::Again {
                        counts: true,
                        at_least,
                    } => Self {
                        act: Some((act, now)),
                        ..again(tried, at_least, code, message)
                    },
                    // Not an attempt, so attempts cannot space the repeats: the time that it has been due does.
                    AfterFailure::Again {
                        counts: false,
                        at_least,
                    } => {
                        let spacing = at_least.max(spacing(connection, now, rules));
                        again(connection.sync.attempts, spacing, code, message)
                    }
                    AfterFailure::Stall => Self {
                        attempts: tried,
                        ..Self::stalled(connection, code, message)
                    },
                }
            }
        }
    }

    /// What every settlement of a connection says.
    fn of(connection: &Connection, state: SyncState) -> Self {
        Self {
            id: connection.id,
            decision: connection.decision_id,
            was: connection.sync.state,
            only_if_observed: None,
            state,
            due_at: None,
            attempts: connection.sync.attempts,
            act: connection.sync.act,
            code: None,
            message: None,
        }
    }
}

/// How far apart repeats of a throttled call are: a quarter of the time since its decision fell due, at most half a minute.
fn spacing(connection: &Connection, now: DateTime<Utc>, rules: Rules) -> TimeDelta {
    let waited = connection
        .sync
        .deadline_at
        .map_or(TimeDelta::zero(), |deadline| {
            rules.patience - (deadline - now)
        });
    (waited / 4).clamp(TimeDelta::zero(), TimeDelta::seconds(30))
}
