//! Stores a hint that arrived over HTTP, before its sender is told that it arrived.

use privatelink::{AccountId, Region};

use super::{AppContext, AppError};
use crate::domain::hint::{HintSource, Named};
use crate::domain::ids::AccountRegionId;
use crate::store::account_regions;
use crate::store::hints::{self, NewHint};

/// A hint whose sender is proven.
#[derive(Debug)]
pub struct Received<'a> {
    /// Where something may have changed.
    pub account_region: AccountRegionId,
    /// The sender's own id of the message.
    pub message_id: &'a str,
    /// What the message names.
    pub named: &'a Named,
}

/// The AccountRegion of an account and a Region, if it is registered and served.
pub async fn enabled_place(
    ctx: &AppContext,
    account: &AccountId,
    region: &Region,
) -> Result<Option<AccountRegionId>, AppError> {
    let mut conn = ctx.acquire().await?;
    Ok(account_regions::enabled_at(&mut conn, account, region).await?)
}

/// Whether a message was stored before.
pub async fn is_known(
    ctx: &AppContext,
    account_region: AccountRegionId,
    message_id: &str,
) -> Result<bool, AppError> {
    let mut conn = ctx.acquire().await?;
    Ok(hints::is_known(&mut conn, account_region, message_id).await?)
}

/// Stores it and wakes the worker. Answers `false`, and does neither, when the message is known already.
#[tracing::instrument(skip_all, fields(account_region = %received.account_region))]
pub async fn receive_hint(ctx: &AppContext, received: Received<'_>) -> Result<bool, AppError> {
    let mut tx = ctx.begin().await?;
    let hint = NewHint {
        source: HintSource::Http,
        message_id: received.message_id,
        named: received.named,
        at: ctx.clock.now(),
    };
    let new = hints::insert(&mut tx, received.account_region, &hint).await?;
    if new {
        ctx.commit(tx).await?;
    }
    Ok(new)
}
