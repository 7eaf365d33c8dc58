//! How many endpoints one accept or reject names. Pure.
//!
//! AWS documents no bound and counts calls, not endpoints, so a larger call is a cheaper one. The size grows while AWS takes full calls
//! quickly, and is halved where AWS refuses a call for nothing but its length. What was refused once is not tried again.

use std::time::Duration;

/// A call that takes longer is large enough.
const QUICK: Duration = Duration::from_secs(1);

/// The size of one AccountRegion's calls, as it was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    size: usize,
    first: usize,
    most: usize,
}

impl BatchSize {
    /// Begins with `first`, and never goes above `most`.
    pub fn new(first: usize, most: usize) -> Self {
        let most = most.max(1);
        let first = first.clamp(1, most);
        Self {
            size: first,
            first,
            most,
        }
    }

    /// How many to send now.
    pub fn get(self) -> usize {
        self.size
    }

    /// AWS took a call with so many in it, and took so long over it. A full one that was quick doubles the size.
    pub fn taken(&mut self, count: usize, took: Duration) {
        if count >= self.size && took < QUICK {
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }

    /// AWS refused a call with so many in it and took its parts: it was too long, and so is everything that is longer.
    pub fn refused(&mut self, count: usize) {
        self.most = self.most.min((count / 2).max(1));
        self.size = self.size.min(self.most);
    }

    /// Nobody knows what became of a call with so many in it, perhaps because it was too much to be answered in time: smaller again, but not
    /// below where it began.
    pub fn unanswered(&mut self, count: usize) {
        let least = self.first.min(self.most);
        self.size = self.size.min((count / 2).max(least));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAST: Duration = Duration::from_millis(20);

    #[test]
    fn it_grows_to_the_most_while_aws_takes_full_calls() {
        let mut size = BatchSize::new(100, 1_000);
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(size.get());
            size.taken(size.get(), FAST);
        }
        assert_eq!(seen, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn neither_a_call_that_is_not_full_nor_a_slow_one_makes_it_grow() {
        let mut size = BatchSize::new(100, 1_000);
        size.taken(99, FAST);
        size.taken(100, QUICK);
        assert_eq!(size.get(), 100);
    }

    #[test]
    fn what_was_refused_is_remembered() {
        let mut size = BatchSize::new(100, 1_000);
        size.taken(100, FAST);
        size.refused(200);
        for _ in 0..5 {
            assert_eq!(size.get(), 100);
            size.taken(100, FAST);
        }
    }

    #[test]
    fn a_call_without_an_answer_makes_it_smaller_for_a_while() {
        let mut size = BatchSize::new(100, 1_000);
        for _ in 0..3 {
            size.taken(size.get(), FAST);
        }
        size.unanswered(800);
        assert_eq!(size.get(), 400);
        for _ in 0..5 {
            size.unanswered(size.get());
        }
        assert_eq!(size.get(), 100);
        size.taken(100, FAST);
        assert_eq!(size.get(), 200, "it may grow again");
    }

    proptest! {
        /// Against an AWS with a bound that nobody knows: few refusals, and from then on calls that are at least a quarter of what it takes.
        #[test]
        fn it_finds_the_bound_with_few_refusals(bound in 1_usize..1_500, first in 1_usize..1_000) {
            let mut size = BatchSize::new(first, 1_000);
            let mut refusals = 0;
            for _ in 0..30 {
                let count = size.get();
                prop_assert!((1..=1_000).contains(&count));
                if count <= bound {
                    size.taken(count, FAST);
                } else {
                    refusals += 1;
                    size.refused(count);
                }
            }
            prop_assert!(refusals <= 11, "{refusals} refusals");
            prop_assert!(size.get() <= bound);
            prop_assert!(size.get() * 4 > bound.min(1_000), "{} of {bound}", size.get());
        }
    }
}
