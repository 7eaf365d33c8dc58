//! Reading the audit trail.

use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::audit_entry::AuditEntry;
use crate::domain::ids::AuditEntryId;
use crate::domain::order::Order;
pub use crate::store::audit::Filter;
use crate::store::audit::page;

/// Entries, in an order.
pub async fn entries(
    ctx: &AppContext,
    filter: &Filter<'_>,
    order: Order,
    from: Option<AuditEntryId>,
    limit: i64,
) -> Result<Listed<AuditEntry, AuditEntryId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = page(conn, filter, order, from, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}
