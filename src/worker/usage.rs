//! The loop that counts use. It belongs to no AccountRegion, and asks the database only. Several replicas may run it; one of them counts an agreement at a time.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::settings::delta;
use super::{PassError, Shared, runner};
use crate::app::AppError;
use crate::app::count_usage::{Counting, Turn, count_agreement, due, leave, seal_reported};

/// The most agreements that one pass looks at; the next follows at once.
const BATCH: i64 = 200;
/// How long one agreement may keep the others waiting.
const TURN: Duration = Duration::from_secs(2);

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Agreements that were counted, up to now or in part.
    pub counted: usize,
    /// Whether there is more to do.
    pub more: bool,
}

/// Counts what is due. An agreement that cannot be counted does not keep the others.
pub async fn run_pass(shared: &Shared) -> Result<Report, PassError> {
    let ctx = shared.app();
    let counting = Counting {
        seal_after: delta(shared.settings.usage_seal_after),
        every: delta(shared.settings.usage_interval),
    };
    let mut failure: Option<AppError> = None;
    let mut report = Report::default();
    let due = due(&ctx, BATCH).await?;
    report.more = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
    for id in due {
        let began = Instant::now();
        loop {
            match count_agreement(&ctx, id, counting).await {
                Ok(Turn::Nothing) => break,
                Ok(Turn::Counted) => {
                    report.counted += 1;
                    break;
                }
                Ok(Turn::More) if began.elapsed() < TURN => {}
                Ok(Turn::More) => {
                    report.counted += 1;
                    report.more = true;
                    break;
                }
                Err(error) => {
                    leave(&ctx, id).await?;
                    failure = Some(error);
                    break;
                }
            }
        }
    }
    report.more |= seal_reported(&ctx, counting).await?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

/// Runs until told to stop: at once when something is bound here, else every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let report = run_pass(shared).await?;
        Ok(if report.more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("usage", shared, stop, nudge, pass).await;
}
