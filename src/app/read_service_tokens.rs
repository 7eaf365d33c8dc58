//! Lookups and lists of programs' tokens.

use super::code::Code;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::consumer::Said;
use crate::domain::ids::ServiceTokenId;
use crate::domain::service_token::{ServiceToken, ServiceTokenState};
use crate::store::service_tokens;

/// One token.
pub async fn service_token(ctx: &AppContext, id: ServiceTokenId) -> Result<ServiceToken, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let found = service_tokens::by_id(conn, id).await?;
    found.ok_or_else(|| missing(id))
}

/// Tokens, newest first.
pub async fn service_tokens(
    ctx: &AppContext,
    state: Option<ServiceTokenState>,
    before: Option<ServiceTokenId>,
    limit: i64,
) -> Result<Listed<ServiceToken, ServiceTokenId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = service_tokens::page(conn, state, ctx.clock.now(), before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

pub(super) fn missing(id: ServiceTokenId) -> AppError {
    let detail = format!("there is no service token {id}");
    AppError::new(Code::ServiceTokenNotFound, detail)
}

pub(super) fn revoked(said: &Said) -> AppError {
    let detail = format!("{} revoked it: {}", said.by, said.reason);
    AppError::new(Code::ServiceTokenEnded, detail)
}
