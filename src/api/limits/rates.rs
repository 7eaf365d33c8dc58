//! Token buckets: who may do how much how fast. Each process counts for itself.
//!
//! A caller has a bucket for reads and one for writes, and so has its organisation, where it has one; whoever shows no good token is counted by
//! address. The counting is the `governor` crate's.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::rate::Rate;
use super::settings::RateSettings;
use super::ticks::Ticks;

/// The most keys that a bucket remembers, each in less than 100 bytes.
const MOST_KEYS: usize = 50_000;
/// How many buckets those share for whom there is no room.
const CROWDED: u64 = 1_024;
/// After how many requests full buckets are forgotten.
const SWEEP_EVERY: usize = 4_096;

/// Who pays for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payer {
    /// Somebody who is known.
    Caller {
        /// Who: one name for one caller, whatever token is shown.
        caller: String,
        /// The organisation that the caller acts for, if it acts for one.
        organisation: Option<String>,
    },
    /// Nobody known, from an address.
    Address(Option<IpAddr>),
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Read,
    Write,
}

/// What a payer was told of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The bucket, by its name in `RateLimit`.
    pub(crate) bucket: &'static str,
    /// How it is filled.
    pub(crate) rate: Rate,
    /// How many requests are left.
    pub(crate) left: u32,
    /// In how many seconds there is one more, or the bucket is full: at least 1.
    pub(crate) seconds: u64,
}

/// All buckets of a process.
#[derive(Debug)]
pub(crate) struct Rates {
    caller_reads: Bucket,
    caller_writes: Bucket,
    organisation_reads: Bucket,
    organisation_writes: Bucket,
    address: Bucket,
}

impl Rates {
    /// Full buckets.
    pub(crate) fn new(settings: &RateSettings, ticks: &Ticks) -> Self {
        let bucket = |name, rate| Bucket::new(name, rate, ticks, MOST_KEYS);
        Self {
            caller_reads: bucket("reads", settings.caller_reads),
            caller_writes: bucket("writes", settings.caller_writes),
            organisation_reads: bucket("organisation-reads", settings.organisation_reads),
            organisation_writes: bucket("organisation-writes", settings.organisation_writes),
            address: bucket("address", settings.address),
        }
    }

    /// Takes a request out of each bucket that it counts for. Answers what to tell of the one with the least left, if there is a limit at
    /// all; fails with the one that is empty.
    pub(crate) fn charge(&self, payer: &Payer, weight: Weight) -> Result<Option<Told>, Told> {
        match payer {
            Payer::Address(address) => self.address.take(&network(*address)),
            Payer::Caller {
                caller,
                organisation,
            } => {
                let (own, shared) = match weight {
                    Weight::Read => (&self.caller_reads, &self.organisation_reads),
                    Weight::Write => (&self.caller_writes, &self.organisation_writes),
                };
                let own = own.take(caller)?;
                let shared = match organisation {
                    Some(organisation) => shared.take(organisation)?,
                    None => None,
                };
                Ok(own.into_iter().chain(shared).min_by_key(|told| told.left))
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the 64 bits of an IPv6 address that a subscriber usually has all of.
fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    match address?.to_canonical() {
        IpAddr::V4(four) => Some(four.into()),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Some(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
        }
    }
}

type Limiter = RateLimiter<u64, Bounded, Ticks, StateInformationMiddleware>;

/// Buckets of one kind, one for each key. Keys are hashed with a secret, so that none takes more room than another and none can be made to collide.
struct Bucket {
    name: &'static str,
    rate: Rate,
    quota: Option<(Quota, Limiter)>,
    ticks: Ticks,
    hasher: RandomState,
    uses: AtomicUsize,
}

impl Bucket {
    fn new(name: &'static str, rate: Rate, ticks: &Ticks, most: usize) -> Self {
        let quota = rate.quota().map(|quota| {
            let limiter: Limiter = RateLimiter::new(quota, Bounded::new(most), ticks.clone());
            (quota, limiter)
        });
        Self {
            name,
            rate,
            quota,
            ticks: ticks.clone(),
            hasher: RandomState::new(),
            uses: AtomicUsize::new(1),
        }
    }

    fn take(&self, key: &impl Hash) -> Result<Option<Told>, Told> {
        let Some((quota, limiter)) = &self.quota else {
            return Ok(None);
        };
        let uses = self.uses.fetch_add(1, Ordering::Relaxed);
        if uses.is_multiple_of(SWEEP_EVERY) {
            limiter.retain_recent();
        }
        let told = |left: u32, wait: Duration| Told {
            bucket: self.name,
            rate: self.rate,
            left,
            seconds: wait
                .as_millis()
                .div_ceil(1000)
                .max(1)
                .try_into()
                .unwrap_or(u64::MAX),
        };
        match limiter.check_key(&self.hasher.hash_one(key)) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let missing = quota.burst_size().get().saturating_sub(left);
                Ok(Some(told(left, quota.replenish_interval() * missing)))
            }
            Err(not_until) => Err(told(0, not_until.wait_time_from(self.ticks.now()))),
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// States by key, in bounded memory. When there is no room for another key, it shares one of some states with others, until those that rest are forgotten.
struct Bounded {
    known: DashMapStateStore<u64>,
    crowd: Vec<InMemoryState>,
    most: usize,
    count: AtomicUsize,
    full: AtomicBool,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self {
            known: DashMapStateStore::default(),
            crowd: (0..CROWDED).map(|_| InMemoryState::default()).collect(),
            most,
            count: AtomicUsize::new(0),
            full: AtomicBool::new(false),
        }
    }

    /// Whether a key has a state of its own; makes room for a new one if there is any.
    fn has_room(&self, key: u64) -> bool {
        if self.known.contains_key(&key) {
            return true;
        }
        if self.full.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before >= self.most {
            self.full.store(true, Ordering::Relaxed);
        }
        before < self.most
    }
}

impl StateStore for Bounded {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if self.has_room(*key) {
            return self.known.measure_and_replace(key, f);
        }
        let cell = usize::try_from(key % CROWDED).unwrap_or_default();
        match self.crowd.get(cell) {
            Some(state) => state.measure_and_replace(&NotKeyed::NonKey, f),
            None => self.known.measure_and_replace(key, f),
        }
    }
}

impl ShrinkableKeyedStateStore<u64> for Bounded {
    fn retain_recent(&self, drop_below: Nanos) {
        self.known.retain_recent(drop_below);
        let count = self.known.len();
        self.count.store(count, Ordering::Relaxed);
        self.full.store(count >= self.most, Ordering::Relaxed);
    }

    fn shrink_to_fit(&self) {
        self.known.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.known.len()
    }

    fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn stopped() -> (Ticks, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(0));
        (Ticks::Told(millis.clone()), millis)
    }

    fn caller(name: &str, organisation: Option<&str>) -> Payer {
        Payer::Caller {
            caller: name.to_owned(),
            organisation: organisation.map(str::to_owned),
        }
    }

    fn settings() -> RateSettings {
        RateSettings {
            caller_reads: Rate::per_second(2, 4),
            caller_writes: Rate::per_second(1, 1),
            organisation_reads: Rate::per_second(1, 6),
            organisation_writes: Rate::Off,
            address: Rate::per_second(1, 2),
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (ticks, millis) = stopped();
        let rates = Rates::new(&settings(), &ticks);
        let sam = caller("sam", None);
        for left in [3, 2, 1, 0] {
            let told = rates
                .charge(&sam, Weight::Read)
                .expect("allowed")
                .expect("told");
            assert_eq!((told.bucket, told.left), ("reads", left));
        }
        let refused = rates.charge(&sam, Weight::Read).expect_err("empty");
        assert_eq!((refused.left, refused.seconds), (0, 1));
        // Somebody else, and other requests, are not concerned.
        assert!(rates.charge(&caller("kim", None), Weight::Read).is_ok());
        assert!(rates.charge(&sam, Weight::Write).is_ok());
        assert!(rates.charge(&sam, Weight::Write).is_err());
        millis.store(500, Ordering::Relaxed);
        assert!(rates.charge(&sam, Weight::Read).is_ok());
        assert!(rates.charge(&sam, Weight::Read).is_err());
        millis.store(60_000, Ordering::Relaxed);
        let allowed = (0..10).filter(|_| rates.charge(&sam, Weight::Read).is_ok());
        assert_eq!(allowed.count(), 4, "what is not used is not saved up");
    }

    #[test]
    fn an_organisation_pays_for_all_of_its_callers() {
        let (ticks, _) = stopped();
        let rates = Rates::new(&settings(), &ticks);
        let mut refused = Vec::new();
        for name in ["a", "b", "c"] {
            for _ in 0..3 {
                let told = rates.charge(&caller(name, Some("acme")), Weight::Read);
                refused.extend(told.err().map(|told| told.bucket));
            }
        }
        assert_eq!(refused, ["organisation-reads"; 3]);
        assert!(
            rates
                .charge(&caller("d", Some("other")), Weight::Read)
                .is_ok()
        );
        assert!(
            rates
                .charge(&caller("e", Some("acme")), Weight::Write)
                .is_ok()
        );
    }

    #[test]
    fn an_address_is_a_network_that_one_subscriber_has() {
        let (ticks, _) = stopped();
        let rates = Rates::new(&settings(), &ticks);
        let from = |text: &str| Payer::Address(Some(text.parse().expect("an address")));
        for text in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"] {
            assert!(rates.charge(&from(text), Weight::Read).is_ok());
        }
        let told = rates.charge(&from("2001:db8:1:2::77"), Weight::Write);
        assert_eq!(told.expect_err("the same network").bucket, "address");
        assert!(rates.charge(&from("2001:db8:1:3::1"), Weight::Read).is_ok());
        for text in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(rates.charge(&from(text), Weight::Read).is_ok());
        }
        assert!(rates.charge(&from("192.0.2.1"), Weight::Read).is_err());
        assert!(rates.charge(&from("192.0.2.2"), Weight::Read).is_ok());
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_memory_and_leaves_the_known_alone() {
        let (ticks, millis) = stopped();
        let bucket = Bucket::new("address", Rate::per_second(1, 2), &ticks, 1_000);
        let size = |bucket: &Bucket| {
            bucket
                .quota
                .as_ref()
                .map_or(0, |(_, limiter)| limiter.len())
        };
        assert!(bucket.take(&"known").is_ok());
        let mut refused = 0;
        for key in 0..100_000 {
            refused += usize::from(bucket.take(&key).is_err());
        }
        assert!(size(&bucket) <= 1_000, "{}", size(&bucket));
        // The crowd shares what some have.
        assert!(refused > 90_000, "{refused}");
        assert!(bucket.take(&"known").is_ok());
        assert!(bucket.take(&"known").is_err());
        // Once they rest, they are forgotten, and there is room again.
        millis.store(10_000, Ordering::Relaxed);
        for key in 0..SWEEP_EVERY {
            let _ = bucket.take(&(key % 10));
        }
        assert!(size(&bucket) < 100, "{}", size(&bucket));
        assert!(bucket.take(&"new").is_ok());
        assert!(size(&bucket) > 0);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let (ticks, _) = stopped();
        let bucket = Bucket::new("reads", Rate::Off, &ticks, 10);
        assert!((0..100_000).all(|_| bucket.take(&"sam") == Ok(None)));
    }
}
