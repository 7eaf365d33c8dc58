//! Seals audit entries, batch by batch.

use audit_chain::{Seal, SealingKey};

use super::{AppContext, AppError};
use crate::store::audit_seals::{self, StoredSeal};

/// The most entries in a seal.
pub const BATCH: i64 = 1_000;

/// Seals what has waited longest. Answers how many entries that were; none, too, where another replica is at it.
pub async fn seal(ctx: &AppContext, key: Option<&SealingKey>) -> Result<usize, AppError> {
    let mut tx = ctx.begin().await?;
    if !audit_seals::lock(&mut tx).await? {
        return Ok(0);
    }
    let leaves = audit_seals::take_waiting(&mut tx, BATCH).await?;
    if leaves.is_empty() {
        // The lock is given back at once: dropped, the transaction would end a little later.
        tx.commit().await?;
        return Ok(0);
    }
    let before = audit_seals::last(&mut tx).await?;
    let count = leaves.len();
    let seal = Seal {
        number: before.as_ref().map_or(1, |last| last.seal.number + 1),
        at: ctx.clock.now().timestamp_micros(),
        previous: before.map_or([0; 32], |last| last.hash),
        leaves,
    };
    let hash = seal.hash();
    let signature = key.map(|key| key.sign(&hash));
    let sealed = StoredSeal {
        seal,
        hash,
        signature,
    };
    audit_seals::insert(&mut tx, &sealed).await?;
    // Nobody is to be woken for it.
    tx.commit().await?;
    Ok(count)
}
