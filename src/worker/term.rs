//! How long this replica's lease on an AccountRegion surely lasts, by this machine's monotonic clock.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The longest that a call to AWS may take, its second try included; the adapter is set up with it. A call is started only while the
/// lease lasts longer.
pub const LONGEST_CALL: Duration = Duration::from_secs(6);

/// The term of a lease, counted from before the renewal was sent, so that it never outlasts the database's own idea of it.
#[derive(Debug)]
pub struct LeaseTerm {
    ttl: Duration,
    until: RwLock<Instant>,
}

impl LeaseTerm {
    /// The term of a lease that was asked for at `asked_at`.
    pub fn new(ttl: Duration, asked_at: Instant) -> Self {
        Self {
            ttl,
            until: RwLock::new(asked_at + ttl),
        }
    }

    /// Notes that the lease was renewed by a request sent at `asked_at`.
    pub fn renewed(&self, asked_at: Instant) {
        *self.until.write().unwrap_or_else(PoisonError::into_inner) = asked_at + self.ttl;
    }

    /// Whether a call that starts now ends while the lease still lasts.
    pub fn allows_call(&self) -> bool {
        let until = *self.until.read().unwrap_or_else(PoisonError::into_inner);
        Instant::now() + LONGEST_CALL < until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_is_nearly_over_allows_no_call_until_it_is_renewed() {
        let now = Instant::now();
        let term = LeaseTerm::new(LONGEST_CALL, now);
        assert!(!term.allows_call());
        term.renewed(now + Duration::from_secs(1));
        assert!(term.allows_call());
    }
}
