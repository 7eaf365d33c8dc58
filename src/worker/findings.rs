//! The loop that compares what was bought with who is let in and who is connected. It belongs to no AccountRegion, and asks the database only. Several replicas may run
//! it; one of them compares at a time, and each shows what is open.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::settings::delta;
use super::{PassError, Shared, runner};
use crate::app::refresh_findings::refresh_findings;

/// How often is looked whether it is time.
const LOOK: Duration = Duration::from_mins(1);

/// Compares if it is time. Answers whether that was done here.
pub async fn run_pass(shared: &Shared) -> Result<bool, PassError> {
    let every = delta(shared.settings.findings_interval);
    let (done, open) = refresh_findings(&shared.app(), every).await?;
    shared.metrics.found(&open);
    Ok(done)
}

/// Runs until told to stop.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let rest = shared.settings.findings_interval.min(LOOK);
    let pass = || async { run_pass(shared).await.map(|_| rest) };
    runner::run("findings", shared, stop, None, pass).await;
}
