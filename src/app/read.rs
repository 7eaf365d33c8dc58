//! Lookups and lists.

use super::code::Code;
use super::desk::{self, UnderReview};
use super::{AppContext, AppError};
use crate::domain::account_region::AccountRegion;
use crate::domain::connection::Connection;
use crate::domain::drift_inbox::Drift;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{AccountRegionId, ConnectionId, DriftId, EndpointServiceId};
use crate::domain::lifecycle::{Blocking, Progress};
use crate::domain::order::Order;
use crate::domain::stall::{Stalled, StalledId};
use crate::store::{
    PgConnection, account_regions, connection_list, drain_progress, drifts, endpoint_services,
    history, replicas, stalls,
};

/// One page of a list and where the next one starts.
#[derive(Debug)]
pub struct Listed<T, Id> {
    /// The rows.
    pub items: Vec<T>,
    /// Pass it as the cursor of the next page; absent on the last one.
    pub next: Option<Id>,
}

impl<T, Id> Listed<T, Id> {
    /// Cuts a list that was read one row too long, which is how it is known that more follow.
    pub(super) fn cut(mut items: Vec<T>, limit: i64, id: impl Fn(&T) -> Id) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next }
    }
}

/// One AccountRegion.
pub async fn account_region(
    ctx: &AppContext,
    id: AccountRegionId,
) -> Result<AccountRegion, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    account_regions::by_id(conn, id).await?.ok_or_else(|| {
        AppError::new(
            Code::AccountRegionNotFound,
            format!("there is no AccountRegion {id}"),
        )
    })
}

/// AccountRegions, newest first.
pub async fn account_regions(
    ctx: &AppContext,
    before: Option<AccountRegionId>,
    limit: i64,
) -> Result<Listed<AccountRegion, AccountRegionId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = account_regions::page(conn, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// One registered service.
pub async fn service(
    ctx: &AppContext,
    id: EndpointServiceId,
) -> Result<RegisteredService, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    endpoint_services::by_id(conn, id)
        .await?
        .ok_or_else(|| AppError::new(Code::ServiceNotFound, format!("there is no service {id}")))
}

/// How far the drain of a service is, and what is in its way.
#[derive(Debug)]
pub struct DrainSeen {
    /// The counts.
    pub progress: Progress,
    /// The first endpoints that are in the way.
    pub blocking: Vec<Blocking>,
}

/// How many endpoints are named that are in the way of a drain.
const MOST_BLOCKING: i64 = 20;

/// How far the drain of a service is; nothing where it is not on its way out.
pub async fn drain(
    ctx: &AppContext,
    service: &RegisteredService,
) -> Result<Option<DrainSeen>, AppError> {
    if !service.lifecycle.state.is_retiring() {
        return Ok(None);
    }
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    Ok(Some(DrainSeen {
        progress: drain_progress::progress(conn, service.id).await?,
        blocking: drain_progress::blocking(conn, service.id, MOST_BLOCKING).await?,
    }))
}

/// Registered services.
pub async fn services(
    ctx: &AppContext,
    filter: &endpoint_services::Filter<'_>,
    order: Order,
    from: Option<EndpointServiceId>,
    limit: i64,
) -> Result<Listed<RegisteredService, EndpointServiceId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = endpoint_services::page(conn, filter, order, from, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// One connection with the work on its review and everything that happened to it.
pub async fn connection(
    ctx: &AppContext,
    id: ConnectionId,
) -> Result<(UnderReview, Vec<HistoryEntry>), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let reviewed = desk::read(conn, ctx, id, ctx.clock.now()).await?;
    let history = history::of_connection(conn, id).await?;
    Ok((reviewed, history))
}

/// One drift.
pub async fn drift(ctx: &AppContext, id: DriftId) -> Result<Drift, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = drifts::by_id(conn, id).await?;
    found.ok_or_else(|| super::settle_drift::missing(id))
}

/// Drifts, newest first.
pub async fn drifts(
    ctx: &AppContext,
    filter: &drifts::Filter,
    before: Option<DriftId>,
    limit: i64,
) -> Result<Listed<Drift, DriftId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = drifts::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// Connections.
pub async fn connections(
    ctx: &AppContext,
    filter: &connection_list::Filter<'_>,
    order: Order,
    from: Option<ConnectionId>,
    limit: i64,
) -> Result<Listed<Connection, ConnectionId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = connection_list::page(conn, filter, order, from, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// What is stalled, the oldest first.
pub async fn stalls(
    ctx: &AppContext,
    filter: &stalls::Filter<'_>,
    after: Option<stalls::After>,
    limit: i64,
) -> Result<Listed<Stalled, stalls::After>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = stalls::page(conn, filter, after, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| {
        let id = match row.id {
            StalledId::Connection(id) => id.uuid(),
            StalledId::Service(id) => id.uuid(),
        };
        (row.stall.since, id)
    }))
}

/// Replicas that work, the oldest first.
pub async fn replicas(ctx: &AppContext) -> Result<Vec<replicas::Replica>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    Ok(replicas::all(conn).await?)
}
