//! Which calls go now, and which wait for company. Pure.
//!
//! Accepts and rejects are few: ten at once and one a second, for a whole AccountRegion. While the bucket is full a call costs nobody
//! anything, so it goes at once, even for one connection. The emptier the bucket, the longer a call that is not full yet waits for
//! more of its service: a person hardly notices, and a thousand decisions do not take a thousand calls.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::ServiceId;

use super::ids::EndpointServiceId;
use super::sync::Act;

/// How long a call that is not full waits over an empty bucket.
const LONGEST_WAIT: f64 = 1_000.0;

/// Connections of one service that wait for the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The service.
    pub service: EndpointServiceId,
    /// The same by AWS's id.
    pub aws_id: ServiceId,
    /// What they wait for.
    pub act: Act,
    /// How many there are.
    pub count: usize,
    /// Since when the first of them waits.
    pub since: DateTime<Utc>,
}

impl Waiting {
    /// From when on the call may go, while the bucket is so full (0 to 1) and a call takes so many connections at most.
    pub fn goes_at(&self, most: usize, fullness: f64) -> DateTime<Utc> {
        if self.count >= most {
            return self.since;
        }
        let empty = 1.0 - fullness.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between 0 and LONGEST_WAIT"
        )]
        let wait = (LONGEST_WAIT * empty * empty) as i64;
        self.since + TimeDelta::milliseconds(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(count: usize) -> Waiting {
        Waiting {
            service: EndpointServiceId::new(DateTime::UNIX_EPOCH),
            aws_id: "vpce-svc-00000000000000001".parse().unwrap(),
            act: Act::Accept,
            count,
            since: DateTime::UNIX_EPOCH,
        }
    }

    fn wait(count: usize, fullness: f64) -> i64 {
        (waiting(count).goes_at(100, fullness) - DateTime::UNIX_EPOCH).num_milliseconds()
    }

    #[test]
    fn over_a_full_bucket_one_connection_goes_at_once() {
        assert_eq!(wait(1, 1.0), 0);
    }

    #[test]
    fn a_full_call_never_waits_for_company() {
        assert_eq!(wait(100, 0.0), 0);
        assert_eq!(wait(5_000, 0.0), 0);
    }

    #[test]
    fn the_emptier_the_bucket_the_longer_a_call_waits_for_company_but_never_over_a_second() {
        let waits: Vec<i64> = (0..=10)
            .map(|level| wait(99, f64::from(level) / 10.0))
            .collect();
        assert!(waits.is_sorted_by(|a, b| a > b), "{waits:?}");
        assert_eq!(waits[0], 1_000);
        assert!(waits[9] <= 10, "{waits:?}");
    }
}
