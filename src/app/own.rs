//! What consumers do and see by themselves. Each use case works in a transaction of its organisation, which is the only way to the store's functions for consumers.

pub mod ask_access;
pub mod read;
pub mod withdraw_access;

use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::consumer::ConsumerState;
use crate::domain::member::Member;
use crate::store::tenant::{TenantTx, consumer};

/// Begins a transaction of the member's organisation. Refuses one that is not known or closed, whatever its token says, in the same words.
async fn begin(ctx: &AppContext, member: &Member) -> Result<TenantTx, AppError> {
    let mut tx = TenantTx::begin(ctx.begin().await?, member).await?;
    match consumer::state(&mut tx).await? {
        Some(ConsumerState::Active) => Ok(tx),
        Some(ConsumerState::Closed) | None => {
            let detail = "the consumer that the token speaks for is not known here, or is closed";
            Err(AppError::new(Code::Forbidden, detail))
        }
    }
}

/// Has what was done stand, and wakes the worker.
async fn commit(ctx: &AppContext, tx: TenantTx) -> Result<(), AppError> {
    ctx.commit(tx.finish().await?).await
}

/// Ends a transaction that has only looked.
async fn end(tx: TenantTx) -> Result<(), AppError> {
    tx.finish().await?.commit().await?;
    Ok(())
}
