//! Gives events their positions in the feed, batch by batch.

use super::{AppContext, AppError};
use crate::store::events;

/// The most events in a batch.
pub const BATCH: u64 = 2_000;

/// Gives positions to what has waited longest. Answers how many; none, too, where another replica is at it.
pub async fn number(ctx: &AppContext) -> Result<u64, AppError> {
    let mut tx = ctx.begin().await?;
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let given = events::number(&mut tx, ctx.clock.now(), limit).await?;
    // Nobody is to be woken for it.
    tx.commit().await?;
    Ok(given.unwrap_or(0))
}
