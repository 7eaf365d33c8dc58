//! The loop that seals audit entries. It belongs to no AccountRegion, and asks the database only. Several replicas may run it; one of them seals at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::seal_audit::{BATCH, seal};

/// How long an entry waits for its seal, when nobody is far behind.
const EVERY: Duration = Duration::from_secs(1);

/// Seals one batch. Answers how many entries it had.
pub async fn run_pass(shared: &Shared) -> Result<usize, PassError> {
    Ok(seal(&shared.app(), shared.sealing_key.as_deref()).await?)
}

/// Runs until told to stop.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let pass = || async {
        let sealed = run_pass(shared).await?;
        let full = i64::try_from(sealed).is_ok_and(|count| count == BATCH);
        Ok(if full { Duration::ZERO } else { EVERY })
    };
    runner::run("seal_audit", shared, stop, None, pass).await;
}
