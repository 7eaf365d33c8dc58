//! The loop that carries agreements out. It belongs to no AccountRegion and asks the database only: AWS is told by the loops of each AccountRegion. Several replicas may
//! run it at once; the rows see to it that one works at an agreement.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::settle_agreements::{Report, settle};

/// Does what there is to do.
pub async fn run_pass(shared: &Shared) -> Result<Report, PassError> {
    let report = settle(&shared.app()).await?;
    if report.looked_at > 0 {
        shared.nudge.wake();
    }
    let failed = u64::try_from(report.failed).unwrap_or(u64::MAX);
    shared.metrics.agreements_failed.inc_by(failed);
    Ok(report)
}

/// Runs until told to stop: at once when something is decided here, else every now and then.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let poll = shared.settings.poll_interval;
    let pass = || async {
        let report = run_pass(shared).await?;
        Ok(if report.more { Duration::ZERO } else { poll })
    };
    let nudge = Some(shared.nudge.listen());
    runner::run("agreements", shared, stop, nudge, pass).await;
}
