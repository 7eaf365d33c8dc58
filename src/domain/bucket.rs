//! A token bucket of AWS as this side believes it to stand. Pure: the time is passed in.
//!
//! AWS does not show its buckets, so three things are done to stay on the safe side of them. While a call is under way the bucket does not
//! fill to the brim, because AWS may take the token as late as it answers. A throttled answer empties the bucket: AWS has just said that
//! its own is. And it lowers the rate at which tokens are expected back, since somebody else may use the same account's bucket; the rate
//! recovers with time.

use std::time::Duration;

/// What a throttled answer leaves of the rate.
const CUT: f64 = 0.7;
/// The rate never falls below this part of AWS's own.
const LOWEST: f64 = 1.0 / 16.0;
/// How long the rate takes from nothing back to AWS's own.
const RECOVERY: Duration = Duration::from_mins(2);

/// One bucket. Times are counted from any fixed point and do not go backwards.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    size: f64,
    /// Tokens a second that AWS documents.
    documented: f64,
    /// Tokens a second that are expected.
    rate: f64,
    level: f64,
    under_way: u32,
    at: Duration,
    cut_at: Option<Duration>,
}

impl TokenBucket {
    /// A full bucket of `size` tokens, of which `per_second` come back each second.
    pub fn full(size: u32, per_second: u32) -> Self {
        let (size, rate) = (f64::from(size.max(1)), f64::from(per_second.max(1)));
        Self {
            size,
            documented: rate,
            rate,
            level: size,
            under_way: 0,
            at: Duration::ZERO,
            cut_at: None,
        }
    }

    /// How long until a token can be taken that leaves `keep` others in the bucket. Nothing if it can be now.
    pub fn wait(&mut self, keep: u32, now: Duration) -> Duration {
        self.pass_time(now);
        // A bucket that can never hold so many still has to serve.
        let wanted = (1.0 + f64::from(keep)).min(self.size);
        if self.level >= wanted {
            return Duration::ZERO;
        }
        let wait = Duration::try_from_secs_f64((wanted - self.level) / self.rate);
        // Rounded up, so that who waits this long does not wait again for a nanosecond.
        wait.unwrap_or(RECOVERY) + Duration::from_micros(1)
    }

    /// Takes a token for a call that begins now, if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        self.pass_time(now);
        let there = self.level >= 1.0;
        if there {
            self.level -= 1.0;
            self.under_way += 1;
        }
        there
    }

    /// Notes that a call has ended, and whether AWS throttled it.
    pub fn answered(&mut self, throttled: bool, now: Duration) {
        self.pass_time(now);
        self.under_way = self.under_way.saturating_sub(1);
        if !throttled {
            return;
        }
        self.level = 0.0;
        // Calls that were under way together are one piece of news.
        let news = self
            .cut_at
            .is_none_or(|at| (now.saturating_sub(at)).as_secs_f64() * self.documented >= 1.0);
        if news {
            self.rate = (self.rate * CUT).max(self.documented * LOWEST);
            self.cut_at = Some(now);
        }
    }

    /// How many tokens can be taken now that leave `keep` others in the bucket.
    pub fn tokens(&mut self, keep: u32, now: Duration) -> usize {
        self.pass_time(now);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0 and at most the size"
        )]
        let tokens = (self.level - f64::from(keep)).max(0.0) as usize;
        tokens
    }

    /// How full it is, from 0 to 1.
    pub fn fullness(&mut self, now: Duration) -> f64 {
        self.pass_time(now);
        self.level / self.size
    }

    fn pass_time(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let most = self.size - f64::from(self.under_way);
        self.level = (self.level + self.rate * passed).min(most).max(0.0);
        let recovered = self.documented * passed / RECOVERY.as_secs_f64();
        self.rate = (self.rate + recovered).min(self.documented);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn emptied(size: u32, per_second: u32) -> TokenBucket {
        let mut bucket = TokenBucket::full(size, per_second);
        while bucket.take(ms(0)) {
            bucket.answered(false, ms(0));
        }
        bucket
    }

    #[test]
    fn a_full_bucket_gives_its_burst_at_once_and_then_one_token_a_second() {
        let mut bucket = TokenBucket::full(10, 1);
        for _ in 0..10 {
            assert_eq!(bucket.wait(0, ms(0)), ms(0));
            assert!(bucket.take(ms(0)));
            bucket.answered(false, ms(0));
        }
        assert!(!bucket.take(ms(999)));
        let wait = bucket.wait(0, ms(999));
        assert!(wait > ms(0) && wait < ms(2), "{wait:?}");
        assert!(bucket.take(ms(1_001)));
    }

    #[test]
    fn what_is_kept_for_people_is_left_alone_by_others() {
        let mut bucket = TokenBucket::full(10, 1);
        for _ in 0..8 {
            assert_eq!(bucket.wait(2, ms(0)), ms(0));
            assert!(bucket.take(ms(0)));
        }
        assert!(bucket.wait(2, ms(0)) > ms(990), "two are left");
        assert_eq!(bucket.wait(0, ms(0)), ms(0), "and a person has them");
    }

    #[test]
    fn a_throttled_answer_empties_the_bucket_and_lowers_the_rate_until_time_mends_it() {
        let mut bucket = TokenBucket::full(10, 1);
        assert!(bucket.take(ms(0)));
        bucket.answered(true, ms(0));
        let first = bucket.wait(0, ms(0));
        assert!(first > ms(1_400) && first < ms(1_450), "{first:?}");
        assert!(bucket.take(ms(2_000)));
        bucket.answered(true, ms(2_000));
        assert!(bucket.wait(0, ms(2_000)) > ms(1_900), "lower again");
        // Long after, it is AWS's own rate again.
        let mut later = emptied_at(bucket, ms(200_000));
        let wait = later.wait(0, ms(200_000));
        assert!(wait > ms(990) && wait < ms(1_010), "{wait:?}");
    }

    fn emptied_at(mut bucket: TokenBucket, now: Duration) -> TokenBucket {
        while bucket.take(now) {
            bucket.answered(false, now);
        }
        // What is left is less than a token.
        bucket.level = 0.0;
        bucket
    }

    #[test]
    fn calls_that_are_throttled_together_lower_the_rate_once() {
        let (mut one, mut three) = (TokenBucket::full(10, 1), TokenBucket::full(10, 1));
        assert!(one.take(ms(0)));
        one.answered(true, ms(10));
        for _ in 0..3 {
            assert!(three.take(ms(0)));
        }
        for _ in 0..3 {
            three.answered(true, ms(10));
        }
        assert_eq!(one.wait(0, ms(10)), three.wait(0, ms(10)));
    }

    #[test]
    fn the_rate_never_falls_to_nothing() {
        let mut bucket = emptied(10, 1);
        let mut now = ms(0);
        for _ in 0..100 {
            now += bucket.wait(0, now);
            assert!(bucket.take(now));
            bucket.answered(true, now);
        }
        assert!(bucket.wait(0, now) <= Duration::from_secs(17));
    }

    /// A call as AWS saw it.
    struct Call {
        taken: Duration,
        ends: Duration,
    }

    proptest! {
        /// AWS's bucket, which is debited at any moment between a call's beginning and its end, has a token for every call that ours
        /// lets through, however long calls take and two at a time.
        #[test]
        fn aws_has_a_token_for_every_call(
            calls in prop::collection::vec((0_u64..1_500, 0_u64..3_000, 0.0_f64..=1.0), 1..200)
        ) {
            let mut ours = TokenBucket::full(10, 1);
            let mut now = Duration::ZERO;
            let mut under_way: Vec<Call> = Vec::new();
            let mut taken: Vec<Duration> = Vec::new();
            for (pause, latency, part) in calls {
                now += ms(pause);
                loop {
                    // Whatever ends before this call begins, in its order.
                    under_way.sort_by_key(|call| call.ends);
                    let begins = now + ours.clone().wait(0, now);
                    let next = under_way.first().map(|call| call.ends);
                    match next {
                        Some(ends) if ends <= begins || under_way.len() > 1 => {
                            taken.push(under_way.remove(0).taken);
                            now = now.max(ends);
                            ours.answered(false, now);
                        }
                        _ => {
                            now = begins;
                            break;
                        }
                    }
                }
                prop_assert!(ours.take(now));
                let latency = ms(latency);
                under_way.push(Call { taken: now + latency.mul_f64(part), ends: now + latency });
            }
            taken.extend(under_way.iter().map(|call| call.taken));
            taken.sort_unstable();
            let (mut level, mut at) = (10.0_f64, Duration::ZERO);
            for moment in taken {
                level = (level + moment.saturating_sub(at).as_secs_f64()).min(10.0);
                at = moment;
                prop_assert!(level >= 1.0 - 1e-6, "AWS throttles at {moment:?}: {level}");
                level -= 1.0;
            }
        }
    }
}
