//! The loop that tidies up: partitions are made ahead, and what was kept for long enough goes. It belongs to no AccountRegion, and any replica may do it, several at once.
//! It is a loop of its own so that leases are renewed however much there is to tidy.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{PassError, Shared, runner};
use crate::app::forget_answers::forget_answers;
use crate::app::make_room::make_room;
use crate::app::retain::retain;
use crate::store::{StoreError, replicas};

/// How often, by the clock that rows are written by: where that is moved on by a month, next month's partitions are needed at once.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

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
    let last: Mutex<Option<DateTime<Utc>>> = Mutex::new(None);
    let pass = || async {
        let now = shared.clock.now();
        let mut last = last.lock().await;
        if last.is_none_or(|at| now - at > EVERY) {
            run_pass(shared).await?;
            *last = Some(now);
        }
        Ok(LOOK)
    };
    runner::run("house", shared, stop, None, pass).await;
}
