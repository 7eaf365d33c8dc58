//! The simulator's clock: it runs with the machine's, or stands still and jumps.
//!
//! Nothing in the world is moved by a timer. Every transition is stored as the time it is due, and its state is computed
//! when somebody looks, so a jump of a week costs nothing and skips nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The position of a clock, as it is written to snapshots and shown by the control API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockState {
    /// The time it stands at; `None` while it runs.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Milliseconds a running clock is ahead of the machine's.
    pub ahead_ms: i64,
}

/// A clock that all clones share.
#[derive(Debug, Clone, Default)]
pub struct SimClock {
    state: Arc<Mutex<ClockState>>,
    moved: Arc<Notify>,
}

impl SimClock {
    /// A clock that runs with the machine's.
    pub fn running() -> Self {
        Self::default()
    }

    /// A clock that stands at this time until it is advanced.
    pub fn stopped_at(at: DateTime<Utc>) -> Self {
        let clock = Self::default();
        clock.restore(ClockState {
            stopped_at: Some(at),
            ahead_ms: 0,
        });
        clock
    }

    /// The simulated time, in whole milliseconds.
    pub fn now(&self) -> DateTime<Utc> {
        now_of(self.state())
    }

    /// Moves time forward, whether the clock runs or stands. Times beyond what a date can say are cut off.
    pub fn advance(&self, by: Duration) {
        let step = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        self.change(|state| match state.stopped_at {
            Some(at) => state.stopped_at = at.checked_add_signed(step).or(Some(at)),
            None => state.ahead_ms = state.ahead_ms.saturating_add(step.num_milliseconds()),
        });
    }

    /// Stops the clock at the present time.
    pub fn stop(&self) {
        self.change(|state| state.stopped_at = Some(now_of(*state)));
    }

    /// Lets the clock run on from where it stands.
    pub fn run(&self) {
        self.change(|state| {
            if let Some(at) = state.stopped_at.take() {
                state.ahead_ms = (at - machine_now()).num_milliseconds();
            }
        });
    }

    /// Where the clock is, for a snapshot.
    pub fn state(&self) -> ClockState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the clock where a snapshot says.
    pub fn restore(&self, to: ClockState) {
        self.change(|state| *state = to);
    }

    fn change(&self, change: impl FnOnce(&mut ClockState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_waiters();
    }

    /// Tells those who wait for a time that the clock was stopped, started or moved.
    pub(crate) fn moved(&self) -> &Notify {
        &self.moved
    }
}

fn now_of(state: ClockState) -> DateTime<Utc> {
    let at = state.stopped_at.unwrap_or_else(|| {
        let now = machine_now();
        TimeDelta::try_milliseconds(state.ahead_ms)
            .and_then(|ahead| now.checked_add_signed(ahead))
            .unwrap_or(now)
    });
    at.trunc_subsecs(3)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one clock of the simulator"
)]
fn machine_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_it_is_advanced() {
        let start = DateTime::UNIX_EPOCH;
        let clock = SimClock::stopped_at(start);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_millis(250));
        assert_eq!(clock.now() - start, TimeDelta::milliseconds(250));
    }

    #[test]
    fn a_running_clock_keeps_its_jump() {
        let clock = SimClock::running();
        let before = clock.now();
        clock.advance(Duration::from_hours(1));
        assert!(clock.now() - before >= TimeDelta::hours(1));
    }

    #[test]
    fn a_clock_runs_on_from_where_it_stood() {
        let clock = SimClock::stopped_at(DateTime::UNIX_EPOCH);
        clock.run();
        let gone = clock.now() - DateTime::UNIX_EPOCH;
        assert!(gone >= TimeDelta::zero() && gone < TimeDelta::minutes(1));
    }

    #[test]
    fn a_jump_beyond_the_calendar_is_survived() {
        let clock = SimClock::stopped_at(DateTime::UNIX_EPOCH);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
    }
}
