//! An AccountRegion that this replica has leased, with all that its loops share.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use privatelink::PrivateLink;
use tokio::sync::Mutex;

use super::metrics::WorkerMetrics;
use super::{PassError, WorkerSettings};
use crate::app::Nudge;
use crate::domain::account_region::Lease;
use crate::domain::clock::Clock;
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
}

/// A leased AccountRegion.
pub struct Place {
    /// The lease, whose fence every write names.
    pub lease: Lease,
    /// AWS.
    pub gateway: Arc<dyn PrivateLink>,
    /// What all places share.
    pub shared: Shared,
    /// Held from the beginning of a read of connections until it is written, so that two loops' reads are written in the order in
    /// which they were made.
    pub observing: Mutex<()>,
    /// When the lease ends, by this machine's monotonic clock, counted from before the renewal was sent.
    valid_until: RwLock<Instant>,
}

/// The longest that a call to AWS may take, retry included; see the adapter's settings. A call is started only when the lease lasts
/// longer.
pub const LONGEST_CALL: Duration = Duration::from_secs(6);

impl Place {
    /// A place whose lease was claimed or renewed at `asked_at`.
    pub fn new(
        lease: Lease,
        gateway: Arc<dyn PrivateLink>,
        shared: Shared,
        asked_at: Instant,
    ) -> Self {
        let valid_until = RwLock::new(asked_at + shared.settings.lease_ttl);
        Self {
            lease,
            gateway,
            shared,
            observing: Mutex::new(()),
            valid_until,
        }
    }

    /// Notes that the lease was renewed by a request sent at `asked_at`.
    pub fn renewed(&self, asked_at: Instant) {
        let until = asked_at + self.shared.settings.lease_ttl;
        *self
            .valid_until
            .write()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Refuses to start a change in AWS that might outlive the lease.
    pub fn may_call(&self) -> Result<(), PassError> {
        let until = *self
            .valid_until
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if Instant::now() + LONGEST_CALL < until {
            Ok(())
        } else {
            Err(PassError::LeaseExpiring)
        }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
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
