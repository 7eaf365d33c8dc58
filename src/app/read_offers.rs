//! Lookups and lists of offers.

use super::code::Code;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::ids::OfferId;
use crate::domain::listing::Offer;
use crate::store::offers;

/// One offer.
pub async fn offer(ctx: &AppContext, id: OfferId) -> Result<Offer, AppError> {
    let conn = &mut *ctx.acquire().await?;
    offers::by_id(conn, id).await?.ok_or_else(|| missing(id))
}

/// Offers, newest first.
pub async fn offers(
    ctx: &AppContext,
    filter: &offers::Filter<'_>,
    before: Option<OfferId>,
    limit: i64,
) -> Result<Listed<Offer, OfferId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = offers::page(conn, filter, ctx.clock.now(), before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

pub(super) fn missing(id: OfferId) -> AppError {
    AppError::new(Code::OfferNotFound, format!("there is no offer {id}"))
}
