//! The simulator's clock: it runs with the machine's, or stands still and jumps.
//!
//! Nothing in the world is moved by a timer. Every transition is stored as the time it is due, and its state is computed
//! when somebody looks, so a jump of a week costs nothing and skips nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Milliseconds a running clock is ahead of the machine's, at the time its pace counts from.
    pub ahead_ms: i64,
    /// How fast it runs; `None` is as fast as the machine's.
    #[serde(default)]
    pub pace: Option<Pace>,
}

/// How fast a clock runs that does not keep the machine's pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Simulated milliseconds in one second of the machine.
    pub ms_per_second: u64,
    /// The machine's time from which it counts.
    pub since: DateTime<Utc>,
}

/// Why a clock was not changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// Time never goes backwards, except in a restored snapshot.
    #[error("{asked} is before the simulated time {now}: nothing goes backwards")]
    Backwards {
        /// The time that was asked for.
        asked: DateTime<Utc>,
        /// The simulated time.
        now: DateTime<Utc>,
    },
    /// A time that the protocols of AWS and the SDKs behind them cannot write: their years have four digits.
    #[error("{0} is beyond the simulated calendar, which goes from 1970 to the end of 8999")]
    Calendar(DateTime<Utc>),
    /// A speed that is no number or out of bounds.
    #[error("speed {0} is not between 0.001 and 100000")]
    Speed(f64),
}

/// The end of the simulated calendar, 9000-01-01T00:00:00Z. It leaves a thousand years for what is still to come then: years of
/// five digits are no times to AWS's protocols.
const END: DateTime<Utc> = match DateTime::from_timestamp(221_845_392_000, 0) {
    Some(end) => end,
    None => DateTime::<Utc>::MAX_UTC,
};

fn in_calendar(at: DateTime<Utc>) -> bool {
    (DateTime::UNIX_EPOCH..END).contains(&at)
}

impl ClockState {
    /// Why a clock cannot be there.
    pub(crate) fn check(self) -> Result<(), ClockError> {
        let at = unbounded(self, machine_now());
        if in_calendar(at) {
            Ok(())
        } else {
            Err(ClockError::Calendar(at))
        }
    }
}

/// A clock that all clones share.
#[derive(Debug, Clone, Default)]
pub struct SimClock {
    state: Arc<Mutex<Kept>>,
    moved: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Kept {
    state: ClockState,
    /// The latest time that was told: the machine's own clock may be set back.
    told: Option<DateTime<Utc>>,
}

impl Kept {
    fn now(&mut self) -> DateTime<Utc> {
        let now = now_of(self.state, machine_now());
        let now = self.told.map_or(now, |told| told.max(now));
        self.told = Some(now);
        now
    }

    /// Lets time go on from here at this pace, whether it stands or not.
    fn go_on(&mut self, from: DateTime<Utc>, ms_per_second: u64) {
        let machine = machine_now();
        let state = &mut self.state;
        state.pace = (ms_per_second != 1_000).then_some(Pace {
            ms_per_second,
            since: machine,
        });
        match &mut state.stopped_at {
            Some(at) => *at = from,
            None => state.ahead_ms = (from - machine).num_milliseconds(),
        }
    }

    fn pace(&self) -> u64 {
        self.state.pace.map_or(1_000, |pace| pace.ms_per_second)
    }
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
            ..ClockState::default()
        });
        clock
    }

    /// The simulated time, in whole milliseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.kept().now()
    }

    /// Moves time forward, whether the clock runs or stands. A step that leads beyond the year 8999 is not made.
    pub fn advance(&self, by: Duration) {
        let step = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        self.change(|kept| {
            let (now, pace) = (kept.now(), kept.pace());
            if let Some(then) = now
                .checked_add_signed(step)
                .filter(|then| in_calendar(*then))
            {
                kept.go_on(then, pace);
            }
        });
    }

    /// Whether so much later is still in the calendar.
    pub(crate) fn can_advance(&self, by: Duration) -> bool {
        TimeDelta::from_std(by)
            .is_ok_and(|step| self.now().checked_add_signed(step).is_some_and(in_calendar))
    }

    /// Moves time forward to this one, whether the clock runs or stands.
    pub fn set(&self, to: DateTime<Utc>) -> Result<(), ClockError> {
        self.change(|kept| {
            let (now, pace) = (kept.now(), kept.pace());
            if to < now {
                return Err(ClockError::Backwards { asked: to, now });
            }
            if !in_calendar(to) {
                return Err(ClockError::Calendar(to));
            }
            kept.go_on(to, pace);
            Ok(())
        })
    }

    /// Lets a running clock run so many times as fast as the machine's from now on; a stopped one when it runs again.
    pub fn set_speed(&self, factor: f64) -> Result<(), ClockError> {
        let ms_per_second = pace_of(factor)?;
        self.change(|kept| {
            let now = kept.now();
            kept.go_on(now, ms_per_second);
        });
        Ok(())
    }

    /// How many times as fast as the machine's the clock runs, or will when it runs again.
    pub fn speed(&self) -> f64 {
        // At most 100,000,000: exact in a float.
        u32::try_from(self.kept().pace()).map_or(f64::INFINITY, f64::from) / 1_000.0
    }

    /// Stops the clock at the present time.
    pub fn stop(&self) {
        self.change(|kept| kept.state.stopped_at = Some(kept.now()));
    }

    /// Lets the clock run on from where it stands.
    pub fn run(&self) {
        self.change(|kept| {
            if let Some(at) = kept.state.stopped_at.take() {
                let pace = kept.pace();
                kept.go_on(at, pace);
            }
        });
    }

    /// Where the clock is, for a snapshot.
    pub fn state(&self) -> ClockState {
        self.kept().state
    }

    /// Puts the clock where a snapshot says.
    pub fn restore(&self, to: ClockState) {
        self.change(|kept| {
            *kept = Kept {
                state: to,
                told: None,
            };
        });
    }

    /// How long by the machine's clock until this time; `None` while the clock stands.
    pub(crate) fn wait_until(&self, at: DateTime<Utc>) -> Option<Duration> {
        let mut kept = self.kept();
        if kept.state.stopped_at.is_some() {
            return None;
        }
        let wait = (at - kept.now()).to_std().unwrap_or_default();
        let millis = wait.as_millis().saturating_mul(1_000) / u128::from(kept.pace().max(1));
        // The simulated clock counts whole milliseconds.
        Some(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1),
        ))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let result = change(&mut self.kept());
        self.moved.notify_waiters();
        result
    }

    /// Whether a time is further than this from the simulated time and from the machine's. Whoever signs a request has the
    /// machine's time and knows nothing of a jump.
    pub(crate) fn is_far(&self, at: DateTime<Utc>, by: TimeDelta) -> bool {
        [self.now(), machine_now()]
            .into_iter()
            .all(|now| (now - at).abs() > by)
    }

    /// Tells those who wait for a time that the clock was stopped, started or moved.
    pub(crate) fn moved(&self) -> &Notify {
        &self.moved
    }
}

/// Simulated milliseconds in a second of the machine.
fn pace_of(factor: f64) -> Result<u64, ClockError> {
    if !(0.001..=100_000.0).contains(&factor) {
        return Err(ClockError::Speed(factor));
    }
    u64::try_from(Duration::from_secs_f64(factor).as_millis())
        .map_err(|_| ClockError::Speed(factor))
}

/// The time of a clock; a fast one stops at the end of the calendar.
fn now_of(state: ClockState, machine: DateTime<Utc>) -> DateTime<Utc> {
    let last = END - TimeDelta::milliseconds(1);
    unbounded(state, machine)
        .clamp(DateTime::UNIX_EPOCH, last)
        .trunc_subsecs(3)
}

fn unbounded(state: ClockState, machine: DateTime<Utc>) -> DateTime<Utc> {
    state.stopped_at.unwrap_or_else(|| {
        let gained = state.pace.map_or(0, |pace| {
            let passed = i128::from((machine - pace.since).num_milliseconds());
            passed * (i128::from(pace.ms_per_second) - 1_000) / 1_000
        });
        i64::try_from(i128::from(state.ahead_ms) + gained)
            .ok()
            .and_then(TimeDelta::try_milliseconds)
            .and_then(|ahead| machine.checked_add_signed(ahead))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one clock of the simulator"
)]
fn machine_now() -> DateTime<Utc> {
    // Whole milliseconds, so that how far ahead a clock is can be said exactly.
    Utc::now().trunc_subsecs(3)
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

    #[test]
    fn no_clock_reaches_a_year_of_five_digits() {
        assert_eq!(END.to_rfc3339(), "9000-01-01T00:00:00+00:00");
        let late = "9999-12-31T00:00:00Z".parse().unwrap();
        for clock in [
            SimClock::running(),
            SimClock::stopped_at(DateTime::UNIX_EPOCH),
        ] {
            let error = clock.set(late).unwrap_err();
            assert_eq!(error, ClockError::Calendar(late));
            let step = (late - clock.now()).to_std().unwrap();
            assert!(!clock.can_advance(step));
            clock.advance(step);
            assert!(clock.now() < END);
        }
        let stopped = |at| ClockState {
            stopped_at: Some(at),
            ..ClockState::default()
        };
        assert!(stopped(late).check().is_err());
        assert!(stopped(END).check().is_err());
        assert!(stopped(DateTime::<Utc>::MIN_UTC).check().is_err());
        assert!(stopped(END - TimeDelta::milliseconds(1)).check().is_ok());
        let ahead = ClockState {
            ahead_ms: i64::MAX,
            ..ClockState::default()
        };
        assert!(ahead.check().is_err());
        assert!(now_of(ahead, machine_now()) < END);
        assert!(SimClock::stopped_at(late).now() < END);
    }

    #[test]
    fn a_clock_is_set_forward_and_never_back() {
        for clock in [
            SimClock::running(),
            SimClock::stopped_at(SimClock::running().now()),
        ] {
            let now = clock.now();
            let hour = TimeDelta::hours(1);
            clock.set(now + hour).unwrap();
            assert!(clock.now() >= now + hour);
            let error = clock.set(now).unwrap_err();
            assert!(matches!(error, ClockError::Backwards { asked, .. } if asked == now));
            assert!(clock.now() >= now + hour);
        }
    }

    #[test]
    fn a_clock_runs_at_its_speed_from_where_it_was() {
        let machine = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let at = |ms_per_second, passed| {
            let state = ClockState {
                stopped_at: None,
                ahead_ms: 5_000,
                pace: Some(Pace {
                    ms_per_second,
                    since: machine,
                }),
            };
            let now = now_of(state, machine + TimeDelta::milliseconds(passed));
            (now - machine).num_milliseconds()
        };
        assert_eq!(at(60_000, 0), 5_000);
        assert_eq!(at(60_000, 1_000), 65_000);
        assert_eq!(at(500, 1_000), 5_500);
        let clock = SimClock::stopped_at(machine);
        clock.set_speed(2.5).unwrap();
        assert_eq!((clock.now(), clock.speed()), (machine, 2.5));
        clock.set_speed(1.0).unwrap();
        assert_eq!(clock.state().pace, None);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 100_001.0] {
            assert!(clock.set_speed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wait_is_as_much_shorter_as_the_clock_is_faster() {
        let clock = SimClock::running();
        clock.set_speed(100.0).unwrap();
        let wait = clock
            .wait_until(clock.now() + TimeDelta::seconds(100))
            .unwrap();
        assert!(wait <= Duration::from_millis(1_001), "{wait:?}");
        clock.stop();
        assert_eq!(clock.wait_until(clock.now()), None);
    }

    #[test]
    fn the_time_told_never_falls_although_the_machine_is_set_back() {
        let clock = SimClock::running();
        let told = clock.now() + TimeDelta::days(1);
        clock.kept().told = Some(told);
        assert_eq!(clock.now(), told);
        clock.stop();
        assert_eq!(clock.state().stopped_at, Some(told));
    }

    #[test]
    fn an_older_state_without_a_pace_can_be_read() {
        let state: ClockState =
            serde_json::from_str(r#"{"stopped_at":null,"ahead_ms":7}"#).unwrap();
        assert_eq!((state.ahead_ms, state.pace), (7, None));
    }
}
