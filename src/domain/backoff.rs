//! Capped exponential back-off with full jitter. Randomness is passed in.

use std::time::Duration;

/// The longest that any retry waits.
pub const LONGEST: Duration = Duration::from_mins(1);

/// How long to wait before attempt number `attempt` (the first is 1), for a `jitter` between 0 and 1.
///
/// Full jitter: anything between nothing and the cap, which spreads a crowd best; but never under a tenth of the cap, so that
/// a lucky zero cannot become a hot loop.
pub fn delay(base: Duration, attempt: u32, jitter: f64) -> Duration {
    delay_up_to(LONGEST, base, attempt, jitter)
}

/// The same with another cap, for what waits for people rather than for AWS.
pub fn delay_up_to(longest: Duration, base: Duration, attempt: u32, jitter: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let cap = base.saturating_mul(1 << doublings).min(longest);
    cap.mul_f64(jitter.clamp(0.1, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap_and_jitters_below_it() {
        let base = Duration::from_millis(500);
        assert_eq!(delay(base, 1, 1.0), Duration::from_millis(500));
        assert_eq!(delay(base, 3, 1.0), Duration::from_secs(2));
        assert_eq!(delay(base, 40, 1.0), LONGEST);
        assert_eq!(delay(base, 3, 0.0), Duration::from_millis(200));
    }
}
