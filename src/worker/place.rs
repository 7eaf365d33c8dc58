//! An AccountRegion that this replica has leased, with all that its loops share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audit_chain::SealingKey;
use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{Messaging, PrivateLink};
use tokio::sync::Mutex;

use super::WorkerSettings;
use super::budget::{Bucket, Budget};
use super::hint_board::HintBoard;
use super::metrics::WorkerMetrics;
use super::public_dns::PublicDns;
use super::settings::delta;
use super::term::LeaseTerm;
use crate::app::idempotency::Units;
use crate::app::policy_settings::ActivationRules;
use crate::app::policy_shelf::PolicyShelf;
use crate::app::{AppContext, Nudge};
use crate::domain::account_region::Lease;
use crate::domain::clock::Clock;
use crate::domain::dispatch::Waiting;
use crate::domain::review_rules::ReviewDefaults;
use crate::store::{PgConnection, PgPool, StoreError, leases};

/// What all loops of all AccountRegions share.
#[derive(Clone)]
pub struct Shared {
    /// The database.
    pub pool: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How patient, eager and careful to be.
    pub settings: Arc<WorkerSettings>,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// What wakes the loops.
    pub nudge: Nudge,
    /// Public DNS.
    pub dns: Arc<dyn PublicDns>,
    /// How long reviews may take where a service does not say otherwise.
    pub reviews: ReviewDefaults,
    /// For how long a POST that is repeated by its `Idempotency-Key` gets the answer of the first.
    pub answers_kept: TimeDelta,
    /// Policy sets that were compiled.
    pub shelf: PolicyShelf,
    /// What guards the activation of policies.
    pub policies: ActivationRules,
    /// What signs the seals of the audit trail, if anything does.
    pub sealing_key: Option<Arc<SealingKey>>,
}

impl Shared {
    /// What the use cases need, for what the worker decides in somebody's name.
    pub(super) fn app(&self) -> AppContext {
        AppContext {
            pool: self.pool.clone(),
            // No request is worked on here.
            units: Units::of(&self.pool),
            clock: self.clock.clone(),
            nudge: self.nudge.clone(),
            patience: delta(self.settings.patience),
            evidence_lasts: self.settings.evidence_lasts(),
            reviews: self.reviews,
            answers_kept: self.answers_kept,
            shelf: self.shelf.clone(),
            policies: self.policies,
        }
    }
}

/// Numbers the reads of connections, and knows the newest that was written.
///
/// Most reads are made and written in one turn. A listing reads its next page while it writes the one before, out of turn; should another
/// loop have written a newer read meanwhile, that page is read again.
#[derive(Debug, Default)]
pub struct Observing {
    next: AtomicU64,
    /// Held while a read is written: the number of the newest.
    pub(super) newest: Mutex<u64>,
}

impl Observing {
    /// The number of a read that begins now.
    pub(super) fn begin(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A leased AccountRegion.
pub struct Place {
    /// The lease, whose fence every write names.
    pub lease: Lease,
    /// AWS.
    pub gateway: Arc<dyn PrivateLink>,
    /// What `gateway` pays its calls from. For looking whether a call could be made now.
    pub budget: Arc<Budget>,
    /// What all places share.
    pub shared: Shared,
    /// What keeps reads of connections from being written in another order than they were made in.
    pub observing: Observing,
    /// How long the lease surely lasts.
    pub term: Arc<LeaseTerm>,
    /// AWS's topics, queues and connection notifications.
    pub messaging: Arc<dyn Messaging>,
    /// What the loops around hints say to each other.
    pub hints: HintBoard,
}

impl Place {
    /// A place that this replica has leased for `term`.
    pub fn new(
        lease: Lease,
        (gateway, messaging): (Arc<dyn PrivateLink>, Arc<dyn Messaging>),
        budget: Arc<Budget>,
        shared: Shared,
        term: Arc<LeaseTerm>,
    ) -> Self {
        let hints = HintBoard::new(shared.metrics.hints_silent.clone());
        Self {
            lease,
            gateway,
            budget,
            shared,
            observing: Observing::default(),
            term,
            messaging,
            hints,
        }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The most connections that one call takes now.
    pub fn batch_size(&self) -> usize {
        self.budget.batch_size()
    }

    /// What has its deadline before this is as urgent as what a person waits for: half of its time is over.
    pub fn hurry(&self) -> DateTime<Utc> {
        self.now() + delta(self.shared.settings.patience / 2)
    }

    /// From when on a call that waits may go: it has waited for company long enough and there is a token for it.
    pub fn goes_at(&self, waiting: &Waiting) -> DateTime<Utc> {
        let bucket = Bucket::of(waiting.act);
        let ripe = waiting.goes_at(self.batch_size(), self.budget.fullness(bucket));
        let wait = self.budget.wait(bucket, waiting.urgency());
        if wait.is_zero() {
            ripe
        } else {
            ripe.max(self.now() + delta(wait))
        }
    }

    /// How many calls of this kind and urgency there are tokens for now.
    pub fn free_calls(&self, waiting: &Waiting) -> usize {
        self.budget
            .tokens(Bucket::of(waiting.act), waiting.urgency())
    }

    /// A transaction that has proven the lease. It must not be open across a call to AWS.
    pub async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
        let mut tx = self.shared.pool.begin().await?;
        leases::hold(&mut tx, &self.lease).await?;
        Ok(tx)
    }

    /// Runs one read on a pooled connection.
    pub async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.shared.pool.acquire().await?;
        read(&mut conn).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.metrics.left(&self.lease.place);
    }
}
