//! The expire loop: turns time into review changes. It reminds people of requests that wait, tells them what is overdue, and takes the
//! decisions that a person or a service's rules wanted at a time. It calls nobody: AWS is told by the sync loop, as of any decision.
//!
//! Timers are not stored as timers. Each pass asks which connections something is due for, by what is in their rows, so a pass that was cut
//! off, came late or ran twice leaves what one pass in time would have left.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::{PassError, Place};
use crate::app::AppContext;
use crate::app::run_timers::run_timers;
use crate::domain::ids::ConnectionId;
use crate::domain::review_timer::TimerStep;
use crate::store::{StoreError, review_timers};

/// The longest rest between two passes. Other processes move deadlines too, and wake nobody: a timer is at most this late.
pub const LONGEST_REST: Duration = Duration::from_secs(5);
/// The most connections of one pass; what is more is left to the next, which follows at once.
const BATCH: i64 = 500;

/// How many connections are worked on at once. A transaction of this loop mostly waits for answers of the database; whoever decides by hand still finds connections of the
/// pool free.
const AT_ONCE: usize = 4;

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every step that was taken, with its connection, in order.
    pub taken: Vec<(ConnectionId, TimerStep)>,
    /// When the next timer runs out; now when some are left.
    pub next_due: Option<DateTime<Utc>>,
}

/// Does everything that is due. Each connection is a transaction of its own, under its lock: one that fails keeps no other from its time.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let ctx = place.shared.app();
    let account_region = place.lease.account_region;
    let defaults = place.shared.reviews;
    let now = place.now();
    let due = place
        .read(async |conn| review_timers::due(conn, account_region, &defaults, now, BATCH).await)
        .await?;
    let (mut taken, mut failed) = (Vec::new(), None);
    for some in due.chunks(AT_ONCE) {
        let done = join_all(some.iter().map(|id| one(place, &ctx, *id))).await;
        let mut is_store_gone = false;
        for (id, done) in some.iter().zip(done) {
            match done {
                Ok(steps) => taken.extend(steps.into_iter().map(|step| (*id, step))),
                Err(error @ PassError::Store(_)) => {
                    is_store_gone = true;
                    failed = Some(error);
                }
                Err(error) => {
                    tracing::error!(connection.id = %id, error = %super::runner::chain(&error), "a timer failed");
                    // That the store failed says more: the lease may be lost.
                    failed = failed.filter(|_| is_store_gone).or(Some(error));
                }
            }
        }
        if is_store_gone {
            break;
        }
    }
    // Whatever failed: what was committed is counted, and the sync loop is told of it.
    for (_, step) in &taken {
        place.shared.metrics.reviews.took(*step);
    }
    if taken.iter().any(|(_, step)| step.verb().is_some()) {
        place.shared.nudge.wake();
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let full = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
    let next_due = if full {
        Some(now)
    } else {
        place
            .read(async |conn| review_timers::next(conn, account_region, &defaults, now).await)
            .await?
    };
    Ok(Report { taken, next_due })
}

/// How long to rest after a pass.
pub fn rest(place: &Place, next_due: Option<DateTime<Utc>>) -> Duration {
    let wait = next_due.map_or(LONGEST_REST, |at| {
        (at - place.now()).to_std().unwrap_or(Duration::ZERO)
    });
    wait.clamp(Duration::from_millis(5), LONGEST_REST)
}

async fn one(
    place: &Place,
    ctx: &AppContext,
    id: ConnectionId,
) -> Result<Vec<TimerStep>, PassError> {
    let mut tx = place.begin().await?;
    let steps = run_timers(&mut tx, ctx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(steps)
}
