//! The loop that carries blocks out. It belongs to no AccountRegion, because a consumer may be in all of them, and asks the database only: AWS
//! is told by the loops of each AccountRegion. Several replicas may run it at once; the block's row sees to it that one works at a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::AppError;
use crate::app::block_step::{Progress, step};
use crate::store::{StoreError, blocks};

/// How often blocks that stand are looked at: something new may have come up that they cut off.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long one block may keep the others waiting.
const TURN: Duration = Duration::from_secs(2);

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Blocks that were looked at.
    pub open: usize,
    /// Parts that were done.
    pub steps: usize,
    /// Whether a block has more to do and only its turn was over.
    pub more: bool,
}

/// Carries out what there is to do; for blocks that stand only if asked for. A block that fails does not keep the others.
pub async fn run_pass(shared: &Shared, standing: bool) -> Result<Report, PassError> {
    let ctx = shared.app();
    let open = {
        let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
        blocks::open(&mut conn, standing).await?
    };
    let mut report = Report {
        open: open.len(),
        ..Report::default()
    };
    let mut failure: Option<AppError> = None;
    for (id, _) in open {
        let began = Instant::now();
        loop {
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
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

/// Runs until told to stop: at once when something is decided here, and looks at what stands every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let looked_at: Mutex<Option<Instant>> = Mutex::new(None);
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let look = {
            let mut looked_at = looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            let due = looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
            if due {
                *looked_at = Some(Instant::now());
            }
            due
        };
        let report = run_pass(shared, look).await?;
        Ok(if report.more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("blocks", shared, stop, nudge, pass).await;
}
