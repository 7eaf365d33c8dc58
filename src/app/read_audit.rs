//! Reading the audit trail.

use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::audit_entry::AuditEntry;
use crate::domain::ids::AuditEntryId;
pub use crate::store::audit::Filter;
use crate::store::audit::page;

/// Entries, the newest first.
pub async fn entries(
    ctx: &AppContext,
    filter: &Filter<'_>,
    before: Option<AuditEntryId>,
    limit: i64,
) -> Result<Listed<AuditEntry, AuditEntryId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}
