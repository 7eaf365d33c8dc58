//! The judge loop of an AccountRegion: has gates and policies say what they can about every request that waits. It calls nobody: AWS is told by the
//! sync loop, as of any decision. And the loop that carries wakes out, which belongs to no AccountRegion.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::settings::delta;
use super::{PassError, Place, Shared, runner};
use crate::app::judge::{Judged, judge};
use crate::domain::decision::Outcome;
use crate::domain::ids::ConnectionId;
use crate::store::StoreError;
use crate::store::judge_wakes::{self, Next};

/// The most requests of one transaction.
const BATCH: usize = 50;
/// The most transactions of one pass; what is left is left to the next, which follows at once.
const BATCHES: usize = 20;
/// How long a request rests whose judging failed.
const AFTER_FAILURE: Duration = Duration::from_mins(1);
/// The most requests that a wake makes due in one transaction.
const WAKE_PART: i64 = 500;

/// What a pass did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every request that was looked at and what became of it, in order.
    pub judged: Vec<(ConnectionId, Judged)>,
    /// Requests that could not be judged.
    pub failed: Vec<ConnectionId>,
    /// When the next is due; now when some are left.
    pub next_due: Option<DateTime<Utc>>,
}

/// Judges everything that is due, the oldest first, some in each transaction. One that cannot be judged keeps none of the others waiting.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let mut report = Report::default();
    for _ in 0..BATCHES {
        let now = place.now();
        let account_region = place.lease.account_region;
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let due = place
            .read(async |conn| judge_wakes::due(conn, account_region, now, limit).await)
            .await?;
        if due.is_empty() {
            break;
        }
        match batch(place, &due).await {
            Ok(judged) => report.judged.extend(judged),
            Err(error @ PassError::Store(_)) => return Err(error),
            Err(error) if due.len() == 1 => fail(place, due[0], &error, &mut report).await?,
            // One of them is to blame, and only that one shall wait.
            Err(_) => {
                for id in due {
                    match batch(place, &[id]).await {
                        Ok(judged) => report.judged.extend(judged),
                        Err(error @ PassError::Store(_)) => return Err(error),
                        Err(error) => fail(place, id, &error, &mut report).await?,
                    }
                }
            }
        }
    }
    let decided =
        |judged: &Judged| matches!(judged, Judged::Said(Outcome::Accept | Outcome::Reject));
    for (_, judged) in &report.judged {
        if let Judged::Said(outcome) = judged {
            place.shared.metrics.reviews.judged(*outcome);
        }
    }
    if report.judged.iter().any(|(_, judged)| decided(judged)) {
        place.shared.nudge.wake();
    }
    let account_region = place.lease.account_region;
    report.next_due = place
        .read(async |conn| judge_wakes::next(conn, account_region).await)
        .await?;
    Ok(report)
}

async fn batch(
    place: &Place,
    ids: &[ConnectionId],
) -> Result<Vec<(ConnectionId, Judged)>, PassError> {
    let ctx = place.shared.app();
    let again = delta(place.shared.settings.judge_again_after);
    let mut tx = place.begin().await?;
    let judged = judge(&mut tx, &ctx, ids, again).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(judged)
}

async fn fail(
    place: &Place,
    id: ConnectionId,
    error: &PassError,
    report: &mut Report,
) -> Result<(), PassError> {
    tracing::error!(connection.id = %id, error = %runner::chain(error), "a request could not be judged");
    let until = place.now() + delta(AFTER_FAILURE);
    let mut tx = place.begin().await?;
    judge_wakes::put_off(&mut tx, &[Next::unjudged(id, until)]).await?;
    tx.commit().await.map_err(StoreError::from)?;
    report.failed.push(id);
    Ok(())
}

/// Makes due what wakes ask for, part by part, until there is none. Answers how many parts there were.
pub async fn carry_out_wakes(shared: &Shared) -> Result<usize, PassError> {
    let mut parts = 0;
    loop {
        let mut tx = shared.pool.begin().await.map_err(StoreError::from)?;
        let worked = judge_wakes::carry_out_accounts(&mut tx, WAKE_PART).await?
            || judge_wakes::carry_out(&mut tx, WAKE_PART).await?;
        tx.commit().await.map_err(StoreError::from)?;
        if !worked {
            break;
        }
        parts += 1;
    }
    if parts > 0 {
        shared.nudge.wake();
    }
    Ok(parts)
}

/// Carries wakes out until told to stop.
pub(super) async fn run_wakes(shared: &Shared, stop: &CancellationToken) {
    let poll = shared.settings.poll_interval;
    let pass = || async { carry_out_wakes(shared).await.map(|_| poll) };
    let nudge = Some(shared.nudge.listen());
    runner::run("judge_wakes", shared, stop, nudge, pass).await;
}
