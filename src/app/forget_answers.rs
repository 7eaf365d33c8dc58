//! Forgets what POSTs with an `Idempotency-Key` were answered, once nobody is given those answers any more.

use super::{AppContext, AppError};
use crate::store::idempotent_requests;

/// How many are deleted at once.
const BATCH: i64 = 1_000;

/// Deletes them bit by bit, each bit by itself. Answers how many.
pub async fn forget_answers(ctx: &AppContext) -> Result<u64, AppError> {
    let before = ctx.clock.now() - ctx.answers_kept;
    let mut all = 0;
    loop {
        let conn = &mut *ctx.acquire().await?;
        let gone = idempotent_requests::forget(conn, before, BATCH).await?;
        all += gone;
        if i64::try_from(gone).is_ok_and(|count| count < BATCH) {
            return Ok(all);
        }
    }
}
