//! Are messages missing? Listings that go on finding new connections which no message told of say so. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// How long after the last message a connection has to be made to count as missed: clocks differ, and messages take their time.
pub const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// So many missed connections are soon enough to say that messages do not come…
const FEW: i64 = 3;
/// …if the first was seen so long ago.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// One that was missed for so long is enough by itself.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// New connections that a listing found after the last message, although AWS should have told of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missed {
    /// How many.
    pub count: i64,
    /// When the first of them was seen.
    pub first_at: Option<DateTime<Utc>>,
}

/// Messages do not come any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// When a listing first found what no message told of.
    pub since: DateTime<Utc>,
    /// How many connections that were.
    pub missed: i64,
}

/// Whether messages do not come any more.
pub fn silence(missed: Missed, now: DateTime<Utc>) -> Option<Silence> {
    let since = missed.first_at?;
    let long = now - since;
    let silent = (missed.count >= FEW && long >= SOON) || (missed.count >= 1 && long >= LATE);
    silent.then_some(Silence {
        since,
        missed: missed.count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_believed_soon_and_one_is_believed_late() {
        let now = DateTime::from_timestamp(1_764_000_000, 0).unwrap();
        for (count, seconds, silent) in [
            (0, 10_000, false),
            (1, 0, false),
            (1, 899, false),
            (1, 900, true),
            (2, 899, false),
            (2, 900, true),
            (3, 59, false),
            (3, 60, true),
            (500, 59, false),
            (500, 60, true),
        ] {
            let since = now - TimeDelta::seconds(seconds);
            let missed = Missed {
                count,
                first_at: (count > 0).then_some(since),
            };
            let wanted = silent.then_some(Silence {
                since,
                missed: count,
            });
            assert_eq!(silence(missed, now), wanted, "{count} for {seconds} s");
        }
    }

    #[test]
    fn a_clock_that_went_backwards_is_no_alarm() {
        let now = DateTime::from_timestamp(1_764_000_000, 0).unwrap();
        let missed = Missed {
            count: 9,
            first_at: Some(now + TimeDelta::hours(1)),
        };
        assert_eq!(silence(missed, now), None);
    }
}
