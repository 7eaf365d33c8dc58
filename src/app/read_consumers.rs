//! Lookups and lists around consumers.

use privatelink::AccountId;

use super::change_consumer::missing;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::consumer::{Consumer, ConsumerAccount, SeenAccount};
use crate::domain::ids::{ConsumerAccountId, ConsumerId};
use crate::store::{PgConnection, consumer_accounts, consumers};

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
