//! Compares what was bought with who is let in and who is connected, and notes what is found. Reads nothing but the database; nothing is mended by itself.

use chrono::TimeDelta;

use super::{AppContext, AppError};
use crate::domain::finding::FindingKind;
use crate::store::findings;

/// How many findings of each kind are open.
pub type Open = Vec<(FindingKind, i64)>;

/// Compares, unless that was done less than `every` ago or somebody else is at it. Answers whether it was done, and what is open.
pub async fn refresh_findings(
    ctx: &AppContext,
    every: TimeDelta,
) -> Result<(bool, Open), AppError> {
    let now = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let due = match findings::hold(&mut tx).await? {
        Some(ran) => ran.is_none_or(|ran| now - ran >= every),
        None => false,
    };
    if due {
        findings::note(&mut tx, now).await?;
    }
    let open = findings::open(&mut tx).await?;
    // Nobody is to be woken for it.
    tx.commit().await?;
    Ok((due, open))
}
