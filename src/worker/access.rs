//! The loop that carries removals of access on, and ends access requests whose time is over. Like that of blocks it belongs to no AccountRegion and asks the
//! database only: AWS is told by the loops of each AccountRegion. Several replicas may run it at once; the rows see to it that one works at a time.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::block_step::Progress;
use crate::app::end_access::expire;
use crate::app::end_access_step::step;
use crate::app::{AppContext, AppError};
use crate::store::{StoreError, access_removals, access_requests};

/// How long one removal may keep the others waiting.
const TURN: Duration = Duration::from_secs(2);
/// The most requests that one pass ends; the next follows at once.
const BATCH: i64 = 100;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Requests whose time was over.
    pub expired: usize,
    /// Removals that were looked at.
    pub open: usize,
    /// Parts that were done.
    pub steps: usize,
    /// Whether there is more to do and only the turn was over.
    pub more: bool,
}

/// Does what there is to do. One that fails does not keep the others.
pub async fn run_pass(shared: &Shared) -> Result<Report, PassError> {
    let ctx = shared.app();
    let mut report = Report::default();
    let mut failure: Option<AppError> = None;
    let over = {
        let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
        access_requests::expired(&mut conn, ctx.clock.now(), BATCH).await?
    };
    report.more = i64::try_from(over.len()).is_ok_and(|count| count == BATCH);
    for id in over {
        match expire(&ctx, id).await {
            Ok(true) => report.expired += 1,
            Ok(false) => {}
            Err(error) => failure = Some(error),
        }
    }
    let open = {
        let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
        access_removals::open(&mut conn).await?
    };
    report.open = open.len();
    for id in open {
        if let Err(error) = carry_on(&ctx, id, &mut report).await {
            failure = Some(error);
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

async fn carry_on(
    ctx: &AppContext,
    id: crate::domain::ids::AccessRemovalId,
    report: &mut Report,
) -> Result<(), AppError> {
    let began = Instant::now();
    while step(ctx, id).await? == Progress::More {
        report.steps += 1;
        if began.elapsed() >= TURN {
            report.more = true;
            break;
        }
    }
    Ok(())
}

/// Runs until told to stop: at once when something is decided here, else every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let report = run_pass(shared).await?;
        Ok(if report.more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("access", shared, stop, nudge, pass).await;
}
