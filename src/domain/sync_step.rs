//! The next step for one connection whose sync is due: the plan, tempered by what was already tried. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{Advice, GatewayError};

use super::connection::Connection;
use super::observe::{REJECTED_OUTSIDE, REJECTED_OUTSIDE_MESSAGE};
use super::sync::{Act, Plan, SyncState, plan};

/// The code of a connection that AWS did not bring to where it was decided to be in time.
pub const NOT_CONFIRMED: &str = "not_confirmed";

/// How careful to be.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a read may still show the state from before a call that AWS recorded.
    pub stale_read_grace: TimeDelta,
    /// Calls for one decision before it stalls.
    pub max_attempts: i32,
    /// How long AWS may take to show a decision before the connection stalls.
    pub patience: TimeDelta,
    /// The delay before the first repeat of a call; doubles with each further one.
    pub retry_base: std::time::Duration,
}

/// What to do next about one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another loop or process already brought it to rest.
    Skip,
    /// AWS shows what was decided, or nothing can be done any more.
    Settle,
    /// Look again at this time.
    LookAt(DateTime<Utc>),
    /// Make this call.
    Call(Act),
    /// Give up until a person asks for more.
    Stall {
        /// Why, as a code.
        code: String,
        /// Why, as a sentence.
        message: String,
    },
}

/// Decides the next step after a fresh read. `shown` tells whether that read showed the connection at all.
pub fn next_step(connection: &Connection, shown: bool, now: DateTime<Utc>, rules: Rules) -> Step {
    match connection.sync.state {
        SyncState::Idle | SyncState::Stalled | SyncState::GivenUp => return Step::Skip,
        SyncState::Due | SyncState::Confirming => {}
    }
    let overdue = connection
        .sync
        .deadline_at
        .is_some_and(|deadline| deadline <= now);
    match plan(connection.review, &connection.observed.state) {
        Plan::Nothing => Step::Settle,
        Plan::Surface => Step::Stall {
            code: REJECTED_OUTSIDE.to_owned(),
            message: REJECTED_OUTSIDE_MESSAGE.to_owned(),
        },
        Plan::Wait | Plan::Act(_) if overdue => stall(connection),
        Plan::Wait => Step::LookAt(now + pause(connection, now)),
        // Not in the answer: gone, or AWS's reads lag behind. The next complete listing tells.
        Plan::Act(_) if !shown => {
            Step::LookAt(now + pause(connection, now).max(TimeDelta::seconds(1)))
        }
        Plan::Act(act) => match connection.sync.act {
            Some((last, at))
                if last == act
                    // A code means that the call may not have worked: then the read is taken at its word.
                    && connection.sync.code.is_none()
                    && now < at + rules.stale_read_grace =>
            {
                Step::LookAt(now + pause(connection, now))
            }
            _ if connection.sync.attempts >= rules.max_attempts => stall(connection),
            _ => Step::Call(act),
        },
    }
}

fn stall(connection: &Connection) -> Step {
    Step::Stall {
        code: connection
            .sync
            .code
            .clone()
            .unwrap_or_else(|| NOT_CONFIRMED.to_owned()),
        message: connection.sync.message.clone().unwrap_or_else(|| {
            format!(
                "AWS shows {} after {} calls",
                connection.observed.state, connection.sync.attempts
            )
        }),
    }
}

/// How long to wait before looking again: a quarter of the time since the call, so that a quick change is seen quickly and a slow one
/// costs few reads.
fn pause(connection: &Connection, now: DateTime<Utc>) -> TimeDelta {
    let since = connection
        .sync
        .act
        .map_or(TimeDelta::zero(), |(_, at)| now - at);
    (since / 4).clamp(TimeDelta::milliseconds(100), TimeDelta::seconds(30))
}

/// What a failed call means for each connection in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again after a back-off. `counts` tells whether it was an attempt that AWS may have seen.
    Again {
        /// Whether it counts towards the limit.
        counts: bool,
        /// The least that AWS asked to wait.
        at_least: TimeDelta,
    },
    /// Give up until a person asks for more.
    Stall,
}

/// Reads the error's own advice.
pub fn after_failure(error: &GatewayError) -> AfterFailure {
    match error.advice() {
        Advice::Later(wait) => {
            let at_least = wait
                .and_then(|w| TimeDelta::from_std(w).ok())
                .unwrap_or(TimeDelta::zero());
            AfterFailure::Again {
                counts: false,
                at_least,
            }
        }
        // The call may have worked: the next pass looks before it acts.
        Advice::LookFirst => AfterFailure::Again {
            counts: true,
            at_least: TimeDelta::zero(),
        },
        Advice::AskAPerson => AfterFailure::Stall,
    }
}

#[cfg(test)]
mod tests;
