//! Verifies the audit trail as it lies in the database, and reads it out.

use std::collections::HashSet;

use audit_chain::{Checked, Fault, Head, Line, PublicKey, Verifier};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::AppError;
use crate::store::audit_seals::{self, StoredSeal};
use crate::store::retention::{self, StoredRetirement};
use crate::store::{PgConnection, PgPool, StoreError};

/// How many seals are read at once.
const PAGE: i64 = 64;
/// How many seals' entries are looked up at a time, each over a connection of its own.
pub const AT_ONCE: usize = 4;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was verified.
    pub checked: Checked,
    /// Entries that wait for their seal: whether they were changed cannot be said yet.
    pub waiting: i64,
}

/// Verifies everything: the chain, the signatures if there are keys, each entry, and that there are no others. The first fault is told.
pub async fn verify(
    pool: &PgPool,
    keys: Vec<PublicKey>,
    kept: Vec<Head>,
) -> Result<Result<Verified, Fault>, AppError> {
    let mut verifier = Verifier::new(keys, kept);
    for word in retirements(pool).await? {
        if let Err(fault) = verifier.retirement(word.said, &word.hash, word.signature.as_ref()) {
            return Ok(Err(fault));
        }
    }
    let mut number = 0;
    loop {
        let page = {
            let mut conn = pool.acquire().await.map_err(StoreError::from)?;
            audit_seals::after(&mut conn, number, PAGE).await?
        };
        let Some(last) = page.last() else {
            break;
        };
        number = last.seal.number;
        let mut looked_up = stream::iter(page)
            .map(|stored| hashes(pool, stored))
            .buffered(AT_ONCE);
        while let Some((stored, now)) = looked_up.try_next().await? {
            if let Err(fault) = one(&mut verifier, &stored, &now) {
                return Ok(Err(fault));
            }
        }
    }
    let checked = match verifier.end() {
        Ok(checked) => checked,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    if let Some(gone) = audit_seals::waiting_gone(&mut conn).await? {
        return Ok(Err(Fault::WaitingMissing(gone)));
    }
    let count = audit_seals::count(&mut conn).await?;
    drop(conn);
    let retired = i64::try_from(checked.retired).unwrap_or(i64::MAX);
    if count.entries != count.sealed - retired + count.waiting
        && let Some(foreign) = foreign(pool).await?
    {
        return Ok(Err(Fault::EntryForeign(foreign)));
    }
    Ok(Ok(Verified {
        checked,
        waiting: count.waiting,
    }))
}

async fn retirements(pool: &PgPool) -> Result<Vec<StoredRetirement>, AppError> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    Ok(retention::retirements(&mut conn).await?)
}

async fn hashes(
    pool: &PgPool,
    stored: StoredSeal,
) -> Result<(StoredSeal, Vec<Option<Vec<u8>>>), AppError> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    let now = audit_seals::hashes(&mut conn, &stored.seal.leaves).await?;
    Ok((stored, now))
}

fn one(verifier: &mut Verifier, stored: &StoredSeal, now: &[Option<Vec<u8>>]) -> Result<(), Fault> {
    verifier.seal(&stored.seal, &stored.hash, stored.signature.as_ref())?;
    for (leaf, hash) in stored.seal.leaves.iter().zip(now) {
        let hash = hash.as_deref().and_then(|bytes| bytes.try_into().ok());
        verifier.entry(stored.seal.number, leaf, hash.as_ref())?;
    }
    Ok(())
}

/// An entry that is in no seal and does not wait for one.
async fn foreign(pool: &PgPool) -> Result<Option<Uuid>, AppError> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    let (mut sealed, mut number) = (HashSet::new(), 0);
    read_sealed(&mut conn, &mut number, &mut sealed).await?;
    let (mut after, mut unknown) = (Uuid::nil(), Vec::new());
    loop {
        let page = audit_seals::settled_after(&mut conn, after, 10_000).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = *last;
        unknown.extend(page.into_iter().filter(|id| !sealed.contains(id)));
    }
    // What was sealed since the seals were read is no stranger.
    read_sealed(&mut conn, &mut number, &mut sealed).await?;
    Ok(unknown.into_iter().find(|id| !sealed.contains(id)))
}

/// Adds the ids of what the seals after a number name, and goes on to the last of them.
async fn read_sealed(
    conn: &mut PgConnection,
    number: &mut u64,
    sealed: &mut HashSet<Uuid>,
) -> Result<(), AppError> {
    loop {
        let page = audit_seals::after(conn, *number, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        *number = last.seal.number;
        let leaves = page.iter().flat_map(|stored| &stored.seal.leaves);
        sealed.extend(leaves.map(|leaf| leaf.id));
    }
}

/// The end of the chain, to be kept elsewhere.
pub async fn head(pool: &PgPool) -> Result<Option<Head>, AppError> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    let last = audit_seals::last(&mut conn).await?;
    Ok(last.map(|last| Head {
        number: last.seal.number,
        hash: last.hash,
    }))
}

/// Reads the sealed trail out, line by line. An entry that is gone has no line.
pub async fn export(
    pool: &PgPool,
    mut write: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<(), AppError> {
    let mut conn = pool.acquire().await.map_err(StoreError::from)?;
    let failed = |error| AppError::internal(format!("the trail cannot be written: {error}"));
    for word in retention::retirements(&mut conn).await? {
        let line = Line::Retirement(word.said, word.hash, word.signature);
        write(&line.write()).map_err(failed)?;
    }
    let mut number = 0;
    loop {
        let page = audit_seals::after(&mut conn, number, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for stored in page {
            number = stored.seal.number;
            let texts = audit_seals::texts(&mut conn, &stored.seal.leaves).await?;
            let line = Line::Seal(stored.seal, stored.hash, stored.signature);
            write(&line.write()).map_err(failed)?;
            for text in texts.into_iter().flatten() {
                write(&text).map_err(failed)?;
            }
        }
    }
}
