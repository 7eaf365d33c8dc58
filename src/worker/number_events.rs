//! The loop that gives events their positions in the feed. It belongs to no AccountRegion, and asks the database only. Several replicas may run it; one of
//! them is at it at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::number_events::{BATCH, number};

/// How long an event waits for its position, when nobody is far behind.
const EVERY: Duration = Duration::from_millis(500);

/// Numbers one batch. Answers how many events it had.
pub async fn run_pass(shared: &Shared) -> Result<u64, PassError> {
    Ok(number(&shared.app()).await?)
}

/// Runs until told to stop.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let pass = || async {
        let full = run_pass(shared).await? == BATCH;
        Ok(if full { Duration::ZERO } else { EVERY })
    };
    runner::run("number_events", shared, stop, None, pass).await;
}
