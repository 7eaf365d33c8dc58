//! How long this replica's lease on an AccountRegion surely lasts, by this machine's monotonic clock, and which calls that allows.
//!
//! A lease is short, so that a dead replica's AccountRegions are taken over soon. Reads may begin while it lasts: what they show is written
//! under the fence or not at all. A call that changes something in AWS must not land after another replica took over, so before each one the lease
//! is extended, in the database, to outlast the longest call. That also proves, a moment before the call is sent, that the lease was not
//! lost and the AccountRegion not disabled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use privatelink::GatewayError;
use tokio::sync::Notify;

use crate::domain::account_region::Lease;
use crate::store::{PgPool, leases};

/// The longest that a call to AWS may take, its second try included; the adapter is set up with it. A call that changes something is started
/// only under a lease that lasts longer.
pub const LONGEST_CALL: Duration = Duration::from_secs(5);

/// How long it may take to write down how a call ended.
const RECORDING: Duration = Duration::from_millis(300);

/// How long the database may take to extend a lease for a call. With a slower one no call that changes something is made.
const EXTENDING: Duration = Duration::from_millis(1_500);

/// The code of a call that was not made because the lease was about to end.
pub const LEASE_EXPIRING: &str = "LeaseExpiring";
/// The code of a call that was not made because the AccountRegion is being given back.
pub const HANDING_OVER: &str = "HandingOver";

/// Whether this is no answer of AWS's, but a call that was not made: nothing is to be recorded of it.
pub fn not_made(error: &GatewayError) -> bool {
    matches!(error.code(), LEASE_EXPIRING | HANDING_OVER)
}

/// Where a lease is extended.
#[derive(Debug)]
struct Cover {
    pool: PgPool,
    lease: Lease,
}

/// The term of a lease, counted from before the renewal was sent, so that it never outlasts the database's own idea of it.
#[derive(Debug)]
pub struct LeaseTerm {
    ttl: Duration,
    until: RwLock<Instant>,
    cover: Option<Cover>,
    /// Set when the AccountRegion is to be given back: no new calls.
    leaving: AtomicBool,
    /// Calls under way that change something, and when the last one ended.
    changes: AtomicUsize,
    ended: Mutex<Option<Instant>>,
    /// Somebody refused our credentials.
    doubted: Notify,
}

impl LeaseTerm {
    /// The term of a lease that was asked for at `asked_at`.
    pub fn new(ttl: Duration, asked_at: Instant) -> Self {
        Self {
            ttl,
            until: RwLock::new(asked_at + ttl),
            cover: None,
            leaving: AtomicBool::new(false),
            changes: AtomicUsize::new(0),
            ended: Mutex::new(None),
            doubted: Notify::new(),
        }
    }

    /// The same for a lease that is extended in the database where a call needs it.
    #[must_use]
    pub fn extended_in(mut self, pool: PgPool, lease: Lease) -> Self {
        self.cover = Some(Cover { pool, lease });
        self
    }

    /// Notes that the lease was renewed by a request sent at `asked_at`.
    pub fn renewed(&self, asked_at: Instant) {
        self.lasts_until(asked_at + self.ttl);
    }

    /// Whether a call that changes nothing may start now.
    pub fn allows_call(&self) -> bool {
        !self.is_leaving() && self.lasts()
    }

    /// Whether the lease lasts.
    pub fn lasts(&self) -> bool {
        Instant::now() < self.until()
    }

    /// Makes the lease outlast a call that changes something and starts now. Answers whether it does; until what it answers is dropped, the call
    /// counts as under way.
    pub async fn cover_change(&self) -> Option<Change<'_>> {
        if !self.allows_call() {
            return None;
        }
        // Counted first: whoever waits for calls to end then knows of this one.
        let change = Change::of(self);
        if let Some(cover) = &self.cover {
            let asked_at = Instant::now();
            let longest = LONGEST_CALL + RECORDING + EXTENDING;
            let covered = async {
                let mut conn = cover.pool.acquire().await?;
                leases::cover(&mut conn, &cover.lease, longest).await
            };
            match covered.await {
                Ok(true) => self.lasts_until(asked_at + longest),
                Ok(false) => return None,
                Err(error) => {
                    tracing::warn!(%error, "could not extend a lease for a call");
                    return None;
                }
            }
        }
        let ends = Instant::now() + LONGEST_CALL;
        (!self.is_leaving() && ends < self.until()).then_some(change)
    }

    /// From now on no call is started.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether the AccountRegion is being given back.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Waits until the calls that were under way have ended and had the time to be written down. Not longer than a call may take.
    pub async fn quiet(&self) {
        let until = Instant::now() + LONGEST_CALL + RECORDING;
        while Instant::now() < until {
            let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = ended.is_some_and(|at| at.elapsed() < RECORDING);
            if self.changes.load(Ordering::SeqCst) == 0 && !recent {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Notes that AWS does not take our credentials.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Waits until AWS did not take our credentials.
    pub async fn doubted(&self) {
        self.doubted.notified().await;
    }

    fn until(&self) -> Instant {
        *self.until.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lasts_until(&self, until: Instant) {
        let mut known = self.until.write().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(until);
    }
}

/// A call under way that changes something in AWS.
#[derive(Debug)]
#[must_use = "the call is over when this is dropped"]
pub struct Change<'a> {
    term: &'a LeaseTerm,
}

impl<'a> Change<'a> {
    fn of(term: &'a LeaseTerm) -> Self {
        term.changes.fetch_add(1, Ordering::SeqCst);
        Self { term }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut ended = self
            .term
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *ended = Some(Instant::now());
        self.term.changes.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_term_allows_reads_and_no_change_until_it_lasts_longer() {
        let now = Instant::now();
        let term = LeaseTerm::new(LONGEST_CALL, now);
        assert!(term.allows_call());
        assert!(term.cover_change().await.is_none());
        term.renewed(now + Duration::from_secs(1));
        assert!(term.cover_change().await.is_some());
    }

    #[tokio::test]
    async fn a_term_that_is_over_allows_nothing() {
        let now = Instant::now();
        let term = LeaseTerm::new(Duration::ZERO, now);
        assert!(!term.allows_call());
        assert!(term.cover_change().await.is_none());
    }

    #[tokio::test]
    async fn who_leaves_starts_nothing_and_waits_for_what_is_under_way() {
        let term = LeaseTerm::new(Duration::from_mins(1), Instant::now());
        let change = term.cover_change().await.unwrap();
        term.leave();
        assert!(!term.allows_call() && term.cover_change().await.is_none());
        let soon = Duration::from_millis(100);
        assert!(tokio::time::timeout(soon, term.quiet()).await.is_err());
        drop(change);
        let began = Instant::now();
        term.quiet().await;
        assert!(
            began.elapsed() >= Duration::from_millis(200),
            "time to write it down"
        );
    }
}
