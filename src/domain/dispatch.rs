//! Which calls go now, and which wait for company. Pure.
//!
//! Accepts and rejects are few: ten at once and one a second, for a whole AccountRegion. While the bucket is full a call costs nobody
//! anything, so it goes at once, even for one connection. The emptier the bucket, the longer a call that is not full yet waits for
//! more of its service: a person hardly notices, and a thousand decisions do not take a thousand calls.
//!
//! What a person waits for goes first, then what a policy decided, then what was tried before and failed; within each, the oldest deadline.
//! A call is one token however many endpoints it names, so company of a lower rank fills it up for nothing.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::ServiceId;

use super::actor::ActorKind;
use super::ids::EndpointServiceId;
use super::sync::Act;

/// How long a call that is not full waits over an empty bucket.
const LONGEST_WAIT: f64 = 1_000.0;

/// Who waits for a call. The first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A person decided and waits for it, or half of its time is over.
    Person,
    /// A rule decided.
    Policy,
    /// It was tried before and failed.
    Sweep,
}

impl Urgency {
    /// Of a decision by this kind of actor, for which so many calls were made. `hurried` tells whether half of its time is over. The function
    /// `sync_rank` in the database is the same table.
    pub fn of(actor: ActorKind, attempts: i32, hurried: bool) -> Self {
        match (hurried, attempts, actor) {
            (false, 1.., _) => Self::Sweep,
            (true, ..) | (false, _, ActorKind::Person) => Self::Person,
            (
                false,
                _,
                ActorKind::ServiceToken | ActorKind::Policy | ActorKind::Worker | ActorKind::Aws,
            ) => Self::Policy,
        }
    }

    /// The same as a number, as the database has it.
    pub fn rank(self) -> i32 {
        match self {
            Self::Person => 0,
            Self::Policy => 1,
            Self::Sweep => 2,
        }
    }

    /// What the database's number stands for.
    pub fn from_rank(rank: i32) -> Option<Self> {
        [Self::Person, Self::Policy, Self::Sweep]
            .into_iter()
            .find(|urgency| urgency.rank() == rank)
    }

    /// Tokens that are left for others: a rule that decides by the thousand leaves two, so that a person's next decision goes at once.
    pub fn keeps(self) -> u32 {
        match self {
            Self::Person => 0,
            Self::Policy => 2,
            Self::Sweep => 3,
        }
    }
}

/// Connections of one service that wait for the same call with the same urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// How urgent they are.
    pub urgency: Urgency,
    /// How many there are.
    pub count: usize,
    /// Since when the first of them waits.
    pub since: DateTime<Utc>,
    /// When the first of them has to be done.
    pub deadline: Option<DateTime<Utc>>,
}

/// Connections of one service that wait for the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The service.
    pub service: EndpointServiceId,
    /// The same by AWS's id.
    pub aws_id: ServiceId,
    /// What they wait for.
    pub act: Act,
    /// The most urgent first; at least one while anything waits.
    pub ranks: Vec<Rank>,
}

impl Waiting {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ranks.iter().map(|rank| rank.count).sum()
    }

    /// How urgent the most urgent are.
    pub fn urgency(&self) -> Urgency {
        self.ranks
            .first()
            .map_or(Urgency::Sweep, |rank| rank.urgency)
    }

    /// Since when the first of them waits.
    pub fn since(&self) -> DateTime<Utc> {
        let all = self.ranks.iter().map(|rank| rank.since);
        all.min().unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Takes so many off, the most urgent first.
    pub fn took(&mut self, mut count: usize) {
        for rank in &mut self.ranks {
            let taken = rank.count.min(count);
            rank.count -= taken;
            count -= taken;
        }
        self.ranks.retain(|rank| rank.count > 0);
    }

    /// From when on the call may go, while the bucket is so full (0 to 1) and a call takes so many connections at most.
    pub fn goes_at(&self, most: usize, fullness: f64) -> DateTime<Utc> {
        let since = self.since();
        if self.count() >= most {
            return since;
        }
        let empty = 1.0 - fullness.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between 0 and LONGEST_WAIT"
        )]
        let wait = (LONGEST_WAIT * empty * empty) as i64;
        since + TimeDelta::milliseconds(wait)
    }
}

/// Puts first what goes first: by urgency, then by the oldest deadline, then by who has waited longest.
pub fn put_in_order(waiting: &mut [Waiting]) {
    waiting.sort_by_key(|w| {
        let deadline = w.ranks.first().and_then(|rank| rank.deadline);
        // Without a deadline goes last.
        (w.urgency(), deadline.is_none(), deadline, w.since())
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank(urgency: Urgency, count: usize, deadline: i64) -> Rank {
        Rank {
            urgency,
            count,
            since: DateTime::UNIX_EPOCH,
            deadline: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(deadline)),
        }
    }

    fn of_ranks(ranks: Vec<Rank>) -> Waiting {
        Waiting {
            service: EndpointServiceId::new(DateTime::UNIX_EPOCH),
            aws_id: "vpce-svc-00000000000000001".parse().unwrap(),
            act: Act::Accept,
            ranks,
        }
    }

    fn waiting(count: usize) -> Waiting {
        of_ranks(vec![rank(Urgency::Person, count, 900)])
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

    #[test]
    fn who_waits_decides_until_half_of_the_time_is_over() {
        use ActorKind as A;
        assert_eq!(Urgency::of(A::Person, 0, false), Urgency::Person);
        assert_eq!(Urgency::of(A::Policy, 0, false), Urgency::Policy);
        assert_eq!(Urgency::of(A::ServiceToken, 0, false), Urgency::Policy);
        for actor in [A::Person, A::Policy] {
            assert_eq!(Urgency::of(actor, 1, false), Urgency::Sweep);
            assert_eq!(Urgency::of(actor, 4, true), Urgency::Person);
        }
        for urgency in [Urgency::Person, Urgency::Policy, Urgency::Sweep] {
            assert_eq!(Urgency::from_rank(urgency.rank()), Some(urgency));
        }
    }

    #[test]
    fn after_the_urgent_ones_are_sent_the_rest_is_as_urgent_as_it_is() {
        let mut waiting = of_ranks(vec![
            rank(Urgency::Person, 1, 900),
            rank(Urgency::Sweep, 250, 100),
        ]);
        assert_eq!((waiting.urgency(), waiting.count()), (Urgency::Person, 251));
        waiting.took(100);
        assert_eq!((waiting.urgency(), waiting.count()), (Urgency::Sweep, 151));
        waiting.took(500);
        assert_eq!(waiting.count(), 0);
    }

    fn any_waiting() -> impl Strategy<Value = Waiting> {
        let ranks = [Urgency::Person, Urgency::Policy, Urgency::Sweep].map(|urgency| {
            prop::option::of((1_usize..300, 0_i64..900))
                .prop_map(move |some| some.map(|(count, deadline)| rank(urgency, count, deadline)))
        });
        ranks.prop_map(|ranks| of_ranks(ranks.into_iter().flatten().collect()))
    }

    proptest! {
        /// Nothing that is less urgent stands before something that is more so, and among equals the oldest deadline is first.
        #[test]
        fn they_stand_in_order(mut all in prop::collection::vec(any_waiting(), 0..12)) {
            put_in_order(&mut all);
            for pair in all.windows(2) {
                prop_assert!(pair[0].urgency() <= pair[1].urgency());
                let first = |w: &Waiting| w.ranks.first().and_then(|r| r.deadline);
                if pair[0].urgency() == pair[1].urgency()
                    && let (Some(one), Some(two)) = (first(&pair[0]), first(&pair[1]))
                {
                    prop_assert!(one <= two);
                }
            }
        }

        /// Taking some off never loses or invents any, and never makes what is left more urgent.
        #[test]
        fn taking_some_off_leaves_the_others(mut one in any_waiting(), count in 0_usize..1_000) {
            let (before, urgency) = (one.count(), one.urgency());
            one.took(count);
            prop_assert_eq!(one.count(), before.saturating_sub(count));
            prop_assert!(one.urgency() >= urgency);
        }
    }
}
