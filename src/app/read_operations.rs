//! Reading how far work is that goes on for longer than a request.

use super::code::Code;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::operation::{Operation, OperationId, OperationKind, OperationState};
use crate::store::operations;

/// One operation.
pub async fn operation(ctx: &AppContext, id: OperationId) -> Result<Operation, AppError> {
    let found = operations::by_id(&mut *ctx.acquire().await?, id).await?;
    found.ok_or_else(|| {
        AppError::new(
            Code::OperationNotFound,
            format!("there is no operation {id}"),
        )
    })
}

/// Operations, newest first.
pub async fn operations(
    ctx: &AppContext,
    kind: Option<OperationKind>,
    state: Option<OperationState>,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Listed<Operation, OperationId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = operations::page(conn, kind, state, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}
