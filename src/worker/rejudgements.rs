//! The loop that carries re-judgements out. It belongs to no AccountRegion, because a consumer may be in all of them, and asks the database only: the timers
//! of each AccountRegion carry out what it plans. Several replicas may run it at once; the row of the re-judgement sees to it that one works at a time.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::AppError;
use crate::app::rejudge_step::{Progress, step};
use crate::store::{StoreError, rejudgements};

/// How long one re-judgement may keep the others waiting.
const TURN: Duration = Duration::from_secs(2);

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Re-judgements that there was something to do for.
    pub open: usize,
    /// Parts that were done.
    pub steps: usize,
    /// Whether one has more to do and only its turn was over.
    pub more: bool,
}

/// Carries out what there is to do. A re-judgement that fails does not keep the others.
pub async fn run_pass(shared: &Shared) -> Result<Report, PassError> {
    let ctx = shared.app();
    let open = {
        let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
        rejudgements::open(&mut conn).await?
    };
    let mut report = Report {
        open: open.len(),
        ..Report::default()
    };
    let mut failure: Option<AppError> = None;
    for id in open {
        let began = Instant::now();
        loop {
            let part = Instant::now();
            match step(&ctx, id).await {
                Ok(Progress::Rest) => break,
                Ok(Progress::More) => report.steps += 1,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            if began.elapsed() >= TURN {
                report.more = true;
                break;
            }
            // A part of the time belongs to those who wait for an answer.
            tokio::time::sleep(part.elapsed() / 4).await;
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

/// Runs until told to stop: at once when something is asked for here, and looks for others every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let report = run_pass(shared).await?;
        Ok(if report.more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("rejudgements", shared, stop, nudge, pass).await;
}
