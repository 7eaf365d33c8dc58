//! Lists of findings, each with what mends it.

use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::finding::{Finding, Mend};
use crate::domain::ids::FindingId;
use crate::store::findings::{self, Filter};

/// Findings, newest first, each with what mends it now.
pub async fn findings(
    ctx: &AppContext,
    filter: &Filter<'_>,
    before: Option<FindingId>,
    limit: i64,
) -> Result<Listed<(Finding, Option<Mend>), FindingId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = findings::page(conn, filter, before, limit + 1).await?;
    let services: Vec<_> = rows.iter().filter_map(|row| row.service).collect();
    let named = findings::named(conn, &services).await?;
    let agreements: Vec<_> = rows.iter().filter_map(|row| row.agreement).collect();
    let closed = findings::closed(conn, &agreements).await?;
    let rows = rows.into_iter().map(|row| {
        let service = row.service.and_then(|id| named.get(&id));
        let closed = row.agreement.and_then(|id| closed.get(&id));
        let mend = row.mend(service, closed);
        (row, mend)
    });
    Ok(Listed::cut(rows.collect(), limit, |(row, _)| row.id))
}
