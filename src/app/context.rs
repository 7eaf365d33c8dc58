//! What every use case is given.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use tokio::sync::watch;

use super::AppError;
use super::policy_settings::ActivationRules;
use super::policy_shelf::PolicyShelf;
use crate::domain::clock::Clock;
use crate::domain::review_rules::ReviewDefaults;
use crate::store::unit_of_work::{Reader, Unit, Units, Work};
use crate::store::{PgPool, StoreError};

/// Wakes this process's worker. Carries nothing: the worker reads what is due from the database.
#[derive(Clone)]
pub struct Nudge(watch::Sender<u64>);

impl Nudge {
    /// A nudge that nobody listens to yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Makes every listener's next wait end at once.
    pub fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A listener; hears every wake from now on, several at once as one.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Default for Nudge {
    fn default() -> Self {
        Self::new()
    }
}

/// What every use case is given: where rows live, what time it is, and whom to wake.
#[derive(Clone)]
pub struct AppContext {
    /// The database.
    pub pool: PgPool,
    /// How many requests may each have one transaction for all that they do.
    pub units: Units,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This process's worker, if it has one.
    pub nudge: Nudge,
    /// How long AWS may take to show a decision before the connection counts as stalled.
    pub patience: Duration,
    /// For how long what was seen of a service is good enough to sell by.
    pub evidence_lasts: Duration,
    /// How long reviews may take where a service does not say otherwise.
    pub reviews: ReviewDefaults,
    /// For how long a POST that is repeated by its `Idempotency-Key` gets the answer of the first.
    pub answers_kept: Duration,
    /// Policy sets that were compiled.
    pub shelf: PolicyShelf,
    /// What guards the activation of policies.
    pub policies: ActivationRules,
}

impl AppContext {
    /// A database connection for reads that need no transaction.
    pub(super) async fn acquire(&self) -> Result<Reader, AppError> {
        if let Some(unit) = Unit::current()
            && let Some(reader) = unit.read().await?
        {
            return Ok(reader);
        }
        let conn = self.pool.acquire().await.map_err(StoreError::from)?;
        Ok(Reader::Pooled(conn))
    }

    /// What was seen of services before this time is too old to sell by.
    pub(super) fn fresh_since(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        now.checked_sub_signed(self.evidence_lasts)
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Begins a transaction, or goes on in the one of the request's unit of work.
    pub(super) async fn begin(&self) -> Result<Work, AppError> {
        if let Some(unit) = Unit::current() {
            return Ok(unit.work().await?);
        }
        let tx = self.pool.begin().await.map_err(StoreError::from)?;
        Ok(Work::Own(tx))
    }

    /// Commits, and then wakes the worker. In a unit of work both come at its end.
    pub(super) async fn commit(&self, work: Work) -> Result<(), AppError> {
        if work.commit().await? {
            self.nudge.wake();
        }
        Ok(())
    }
}

/// Computes where nobody else has to wait for it.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| AppError::internal(format!("a computation was cut off: {e}")))
}

impl fmt::Debug for AppContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppContext")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
