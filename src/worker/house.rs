//! The loop that tidies up: partitions are made ahead, and what was kept for long enough goes. It belongs to no AccountRegion, and any replica may do it, several at once.
//! It is a loop of its own so that leases are renewed however much there is to tidy.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::forget_answers::forget_answers;
use crate::app::make_room::make_room;
use crate::app::retain::retain;
use crate::store::{StoreError, replicas};

/// How often.
const EVERY: Duration = Duration::from_hours(1);

/// Tidies up once.
pub async fn run_pass(shared: &Shared) -> Result<(), PassError> {
    let ctx = shared.app();
    make_room(&ctx).await?;
    let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
    replicas::clear_dead(&mut conn).await?;
    drop(conn);
    forget_answers(&ctx).await?;
    let key = shared.sealing_key.as_deref();
    Ok(retain(&ctx, key, &shared.settings.retention).await?)
}

/// Runs until told to stop.
pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    let pass = || async { run_pass(shared).await.map(|()| EVERY) };
    runner::run("house", shared, stop, None, pass).await;
}
