//! Pages, lines and sums of the ledger of use.

use super::agreement_standing::know;
use super::read::Listed;
use super::report_usage::missing;
use super::{AppContext, AppError};
use crate::domain::ids::{AgreementId, UsageHourId};
use crate::domain::money::Currency;
use crate::domain::usage::UsageHour;
use crate::store::agreements;
use crate::store::usage_list::{self, Filter, Line, Sum};

/// Rows, those first that were recorded last.
pub async fn usage(
    ctx: &AppContext,
    filter: &Filter,
    before: Option<UsageHourId>,
    limit: i64,
) -> Result<Listed<UsageHour, UsageHourId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = usage_list::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// Lines of the export, those first that were recorded first.
pub async fn lines(
    ctx: &AppContext,
    filter: &Filter,
    after: Option<UsageHourId>,
    limit: i64,
) -> Result<Vec<Line>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    Ok(usage_list::export(conn, filter, after, limit).await?)
}

/// What an agreement used, month by month, with the currency of its plan.
pub async fn sums(
    ctx: &AppContext,
    id: AgreementId,
) -> Result<(Option<Currency>, Vec<Sum>), AppError> {
    let conn = &mut *ctx.acquire().await?;
    let agreement = agreements::by_id(conn, id).await?;
    let agreement = agreement.ok_or_else(|| missing(id))?;
    let known = know(conn, std::slice::from_ref(&agreement)).await?;
    let currency = known.plan(&agreement)?.currency;
    let decimals = currency.map_or(8, Currency::decimals);
    let decimals = i32::try_from(decimals).unwrap_or(8);
    let sums = usage_list::sums(conn, id, decimals).await?;
    Ok((currency, sums))
}
