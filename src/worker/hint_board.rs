//! What the loops around hints say to each other within one process. Nothing of it has to survive: what must be done is in the database.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::metrics::gauge::Gauge;

use crate::app::Nudge;
use crate::domain::account_region::Listing;
use crate::domain::bucket::TokenBucket;

use super::observe;
use super::settings::delta;

/// Reads that hints may cause at once, and how many a second after that: half of what AWS lets an account read. More is left to one
/// complete listing, so forged messages cannot make us use up the account's reads.
const READS: (u32, u32) = (50, 10);
/// The least time between two listings that hints ask for. Large fleets are listed less often, as on the timer.
const LISTING_SPACING: Duration = Duration::from_secs(5);

/// Shared by the loops of one AccountRegion.
pub struct HintBoard {
    /// Wakes whoever follows hints.
    pub heard: Nudge,
    /// Wakes whoever lists.
    pub list: Nudge,
    began: Instant,
    reads: Mutex<TokenBucket>,
    /// Until when more pages than were asked for are paid off.
    in_debt_until: Mutex<Duration>,
    asked_at: Mutex<Option<DateTime<Utc>>>,
    pruned_at: Mutex<Option<DateTime<Utc>>>,
    judged_at: Mutex<Option<DateTime<Utc>>>,
    silent: Mutex<bool>,
    silent_places: Gauge,
}

impl HintBoard {
    /// An empty board. `silent_places` counts the AccountRegions whose messages are missing.
    pub fn new(silent_places: Gauge) -> Self {
        let (burst, per_second) = READS;
        Self {
            heard: Nudge::new(),
            list: Nudge::new(),
            began: Instant::now(),
            reads: Mutex::new(TokenBucket::full(burst, per_second)),
            in_debt_until: Mutex::default(),
            asked_at: Mutex::default(),
            pruned_at: Mutex::default(),
            judged_at: Mutex::default(),
            silent: Mutex::default(),
            silent_places,
        }
    }

    /// Whether one more read may be made because of hints.
    pub(super) fn may_read(&self) -> bool {
        let now = self.began.elapsed();
        if now < *locked(&self.in_debt_until) {
            return false;
        }
        let mut reads = locked(&self.reads);
        let may = reads.take(now);
        if may {
            reads.answered(false, now);
        }
        may
    }

    /// Notes how many pages a read took. A service may have a hundred, which nobody knows before.
    pub(super) fn read_took(&self, pages: u32) {
        let (_, per_second) = READS;
        let debt = Duration::from_secs(pages.saturating_sub(1).into()) / per_second;
        let now = self.began.elapsed();
        let mut until = locked(&self.in_debt_until);
        *until = now.max(*until) + debt;
    }

    /// Asks for a complete listing, unless one was asked for a moment ago. `last` is the last one.
    pub(super) fn ask_for_listing(&self, last: Option<Listing>, now: DateTime<Utc>) {
        let connections = last.map_or(0, |listing| {
            listing.connections.saturating_add(listing.unregistered)
        });
        let connections = usize::try_from(connections).unwrap_or_default();
        let spacing = delta(observe::rest(LISTING_SPACING, connections));
        if passed(&self.asked_at, spacing, now) {
            self.list.wake();
        }
    }

    /// Whether it is time to forget old hints.
    pub(super) fn prunes(&self, now: DateTime<Utc>) -> bool {
        passed(&self.pruned_at, TimeDelta::minutes(10), now)
    }

    /// Whether it is time to ask if messages are missing.
    pub(super) fn judges(&self, now: DateTime<Utc>) -> bool {
        passed(&self.judged_at, TimeDelta::seconds(10), now)
    }

    /// Notes whether messages are missing; answers whether that is news.
    pub(super) fn set_silent(&self, silent: bool) -> bool {
        let mut known = locked(&self.silent);
        let news = *known != silent;
        if news {
            *known = silent;
            if silent {
                self.silent_places.inc();
            } else {
                self.silent_places.dec();
            }
        }
        news
    }
}

impl Drop for HintBoard {
    /// Another replica counts it from now on.
    fn drop(&mut self) {
        self.set_silent(false);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether so much time has passed since this last answered yes.
fn passed(last: &Mutex<Option<DateTime<Utc>>>, spacing: TimeDelta, now: DateTime<Utc>) -> bool {
    let mut last = locked(last);
    let due = last.is_none_or(|at| now - at >= spacing);
    if due {
        *last = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (HintBoard, Gauge) {
        let gauge = Gauge::default();
        (HintBoard::new(gauge.clone()), gauge)
    }

    /// Fault 15: no message makes us read without bound.
    #[test]
    fn the_reads_of_hints_are_capped() {
        let (board, _) = board();
        let at_once = (0..1_000).filter(|_| board.may_read()).count();
        assert!((50..=60).contains(&at_once), "{at_once}");
    }

    /// A message that names a service alone may cost a hundred pages.
    #[test]
    fn pages_beyond_the_first_are_paid_off() {
        let (board, _) = board();
        board.read_took(1);
        assert!(board.may_read());
        board.read_took(101);
        assert!(!board.may_read());
        let until = *locked(&board.in_debt_until);
        assert!(until >= Duration::from_secs(10) && until < Duration::from_secs(11));
    }

    #[test]
    fn listings_that_hints_ask_for_keep_their_distance() {
        let (board, _) = board();
        let heard = board.list.listen();
        let start = DateTime::from_timestamp(1_764_000_000, 0).unwrap();
        let large = Listing {
            at: start,
            took_ms: 1,
            connections: 90_000,
            unregistered: 10_000,
        };
        let mut asked = 0;
        for (seconds, last) in [
            (0, None),
            (4, None),
            (5, None),
            (15, Some(large)),
            (25, Some(large)),
            (26, Some(large)),
        ] {
            let mut heard = heard.clone();
            heard.mark_unchanged();
            board.ask_for_listing(last, start + TimeDelta::seconds(seconds));
            asked += usize::from(heard.has_changed().unwrap());
        }
        assert_eq!(asked, 3, "at 0, 5 and, of a large fleet, 26 s");
    }

    #[test]
    fn a_place_that_is_given_up_is_not_counted_as_silent() {
        let (board, gauge) = board();
        assert!(board.set_silent(true));
        assert!(!board.set_silent(true));
        assert_eq!(gauge.get(), 1);
        drop(board);
        assert_eq!(gauge.get(), 0);
    }
}
