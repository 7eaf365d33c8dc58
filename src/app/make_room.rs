//! Makes the partitions that rows will need, before they come.

use super::report_usage::MOST_LATE;
use super::{AppContext, AppError};
use crate::store::partitions;

/// This month's and next month's; of the ledger of use also those that may still be reported for.
pub async fn make_room(ctx: &AppContext) -> Result<(), AppError> {
    let now = ctx.clock.now();
    let conn = &mut *ctx.acquire().await?;
    partitions::ensure(conn, now).await?;
    partitions::ensure_usage(conn, now - MOST_LATE, now).await?;
    Ok(())
}
