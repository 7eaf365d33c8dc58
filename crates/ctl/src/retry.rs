//! Which requests are repeated, and after how long. Pure.

use std::time::Duration;

/// The longest wait that a server may ask for and get.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that we choose ourselves.
const OWN_LONGEST: Duration = Duration::from_secs(5);

/// How a try ended without an answer to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// No connection: the request was not sent.
    NoConnection,
    /// The request may have been sent, and no whole answer came.
    NoAnswer,
    /// An answer that asks for patience, with the wait that it names.
    Status(u16, Option<Duration>),
}

/// What a request does when it is sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// The same as once: a read, or a write that carries an `Idempotency-Key`.
    Harmless,
    /// Perhaps something else.
    Unknown,
}

/// The wait before the next try after `done` tries, or none where the request must not be repeated. `chance` in 0..1 spreads clients apart.
pub(crate) fn wait(met: Met, twice: Twice, done: u32, chance: f64) -> Option<Duration> {
    let repeatable = match met {
        // Neither of these did anything.
        Met::NoConnection | Met::Status(429, _) => true,
        // A 409 with a wait: the same request, sent before, is not over yet.
        Met::NoAnswer | Met::Status(503, _) | Met::Status(409, Some(_)) => twice == Twice::Harmless,
        Met::Status(..) => false,
    };
    if !repeatable {
        return None;
    }
    if let Met::Status(_, Some(asked)) = met {
        return (asked <= LONGEST).then_some(asked);
    }
    let most = Duration::from_millis(200).saturating_mul(1 << done.min(10));
    Some(most.min(OWN_LONGEST).mul_f64(0.5 + chance / 2.0))
}

/// Reads `Retry-After`: seconds. The other form, a date, is not used by the API.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(met: Met, twice: Twice) -> bool {
        wait(met, twice, 0, 0.0).is_some()
    }

    #[test]
    fn what_may_have_been_done_is_repeated_only_where_that_is_harmless() {
        for met in [Met::NoAnswer, Met::Status(503, None)] {
            assert!(repeats(met, Twice::Harmless), "{met:?}");
            assert!(!repeats(met, Twice::Unknown), "{met:?}");
        }
        for met in [Met::NoConnection, Met::Status(429, None)] {
            assert!(repeats(met, Twice::Unknown), "{met:?}");
        }
    }

    #[test]
    fn answers_are_final() {
        for status in [200, 400, 401, 403, 404, 409, 422, 500, 502] {
            assert!(
                !repeats(Met::Status(status, None), Twice::Harmless),
                "{status}"
            );
        }
    }

    #[test]
    fn the_server_says_how_long_within_reason() {
        let asked = |seconds| Met::Status(429, Some(Duration::from_secs(seconds)));
        assert_eq!(
            wait(asked(7), Twice::Unknown, 3, 0.9),
            Some(Duration::from_secs(7))
        );
        assert_eq!(wait(asked(3600), Twice::Unknown, 0, 0.0), None);
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let of = |done| wait(Met::NoConnection, Twice::Harmless, done, 1.0).expect("a wait");
        assert_eq!(of(0), Duration::from_millis(200));
        assert!(of(1) > of(0) && of(3) > of(2));
        assert_eq!(of(40), OWN_LONGEST);
    }

    #[test]
    fn only_seconds_are_read() {
        assert_eq!(retry_after(" 5 "), Some(Duration::from_secs(5)));
        for other in ["", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(retry_after(other), None, "{other}");
        }
    }
}
