//! The loop that runs policies over what was decided and what is live. It belongs to no AccountRegion and asks the database only. Several replicas may
//! run it at once: each takes up another run, and goes on with one whose runner has died.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{PassError, Shared, runner};
use crate::app::dry_run_policy::{Step, claim};
use crate::domain::ids::uuid_at;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Runs that were taken up.
    pub taken: usize,
    /// Runs that are through.
    pub done: usize,
    /// Pages that were judged.
    pub pages: usize,
}

/// Runs one dry run to its end, if there is one. `runner` names whose it is until then.
pub async fn run_pass(shared: &Shared, runner: Uuid) -> Result<Report, PassError> {
    let ctx = shared.app();
    let mut report = Report::default();
    let Some(mut run) = claim(&ctx, runner).await? else {
        return Ok(report);
    };
    report.taken = 1;
    loop {
        let began = Instant::now();
        match run.step(&ctx).await? {
            Step::More => report.pages += 1,
            Step::Done => {
                report.done = 1;
                return Ok(report);
            }
            Step::Lost => return Ok(report),
        }
        // A part of the time belongs to those who wait for an answer: of the processor, and of the database.
        tokio::time::sleep(began.elapsed() / 4).await;
    }
}

/// Runs until told to stop: at once when a run is asked for here, and looks for others every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let me = uuid_at(shared.clock.now());
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let report = run_pass(shared, me).await?;
        let more = report.taken > 0;
        Ok(if more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("dry_runs", shared, stop, nudge, pass).await;
}
