//! The review queue and its figures.

use chrono::{DateTime, Utc};

use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::review_desk::{QueueSummary, Waiting};
use crate::store::review_queue::{self, After, Filter};

/// What waits for somebody to decide, the earliest deadline first, and the time at which it was read.
pub async fn queue(
    ctx: &AppContext,
    filter: &Filter<'_>,
    after: Option<After>,
    limit: i64,
) -> Result<(Listed<Waiting, After>, DateTime<Utc>), AppError> {
    let now = ctx.clock.now();
    let conn = &mut *ctx.acquire().await?;
    let rows = review_queue::page(conn, filter, ctx.reviews.sla, now, after, limit + 1).await?;
    Ok((Listed::cut(rows, limit, |row| (row.due_at, row.id)), now))
}

/// The queue in figures, and the time at which they were counted.
pub async fn summary(ctx: &AppContext) -> Result<(QueueSummary, DateTime<Utc>), AppError> {
    let now = ctx.clock.now();
    let conn = &mut *ctx.acquire().await?;
    let counted = review_queue::summary(conn, None, ctx.reviews.sla, now).await?;
    Ok((counted, now))
}
