//! Lookups and lists around consumers.

use privatelink::AccountId;

use super::change_consumer::missing;
use super::read::Listed;
use super::{AppContext, AppError, block as use_case, deny};
use crate::app::code::Code;
use crate::domain::block::Block;
use crate::domain::consumer::{Consumer, ConsumerAccount, SeenAccount};
use crate::domain::denial::Denial;
use crate::domain::ids::{BlockId, ConsumerAccountId, ConsumerId, DenialId, EndpointServiceId};
use crate::store::quotas::{self, Quota, Use};
use crate::store::{
    PgConnection, blocks, consumer_accounts, consumers, denials, endpoint_services,
};

/// One consumer.
pub async fn consumer(ctx: &AppContext, id: ConsumerId) -> Result<Consumer, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    consumers::by_id(conn, id).await?.ok_or_else(|| missing(id))
}

/// Consumers, newest first.
pub async fn consumers(
    ctx: &AppContext,
    filter: &consumers::Filter<'_>,
    before: Option<ConsumerId>,
    limit: i64,
) -> Result<Listed<Consumer, ConsumerId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = consumers::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// A consumer's accounts, the last added first.
pub async fn accounts_of(
    ctx: &AppContext,
    id: ConsumerId,
    removed: bool,
    before: Option<ConsumerAccountId>,
    limit: i64,
) -> Result<Listed<ConsumerAccount, ConsumerAccountId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    consumers::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let rows = consumer_accounts::page(conn, id, removed, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// Accounts that have connections, by account.
pub async fn seen_accounts(
    ctx: &AppContext,
    known: Option<bool>,
    after: Option<&AccountId>,
    limit: i64,
) -> Result<Listed<SeenAccount, AccountId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = consumer_accounts::seen(conn, known, after, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.account.clone()))
}

/// One denial.
pub async fn denial(ctx: &AppContext, id: DenialId) -> Result<Denial, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = denials::by_id(conn, id).await?;
    found.ok_or_else(|| deny::missing(id))
}

/// The deny list, newest first.
pub async fn denials(
    ctx: &AppContext,
    filter: &denials::Filter<'_>,
    before: Option<DenialId>,
    limit: i64,
) -> Result<Listed<Denial, DenialId>, AppError> {
    let now = ctx.clock.now();
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = denials::page(conn, filter, now, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// A consumer's quota, and what it uses.
pub async fn quota_of_consumer(
    ctx: &AppContext,
    id: ConsumerId,
) -> Result<(Option<Quota>, Vec<Use>), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    consumers::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let quota = quotas::of_consumer(conn, id).await?;
    let used = quotas::by_service(conn, id).await?;
    Ok((quota, used))
}

/// A service's default quota.
pub async fn quota_of_service(
    ctx: &AppContext,
    id: EndpointServiceId,
) -> Result<Option<Quota>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    endpoint_services::by_id(conn, id)
        .await?
        .ok_or_else(missing)?;
    Ok(quotas::of_service(conn, id).await?)
}

/// One block.
pub async fn block(ctx: &AppContext, id: BlockId) -> Result<Block, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = blocks::by_id(conn, id).await?;
    found.ok_or_else(|| use_case::missing(id))
}

/// Blocks, newest first.
pub async fn blocks(
    ctx: &AppContext,
    filter: &blocks::Filter<'_>,
    before: Option<BlockId>,
    limit: i64,
) -> Result<Listed<Block, BlockId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = blocks::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}
