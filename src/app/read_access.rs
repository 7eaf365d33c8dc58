//! Lookups and lists around access that was asked for and access that is taken away.

use std::collections::BTreeMap;

use super::read::Listed;
use super::{AppContext, AppError, PgConnection, ask_access, end_access};
use crate::domain::access_removal::AccessRemoval;
use crate::domain::access_request::AccessRequest;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AccessRemovalId, AccessRequestId, EndpointServiceId};
use crate::store::access_removals::{self, Concerned};
use crate::store::access_work::{self, Tally};
use crate::store::{access_requests, endpoint_services};

/// The services of requests, by id: what AWS shows of them is read back from here.
pub type Services = BTreeMap<EndpointServiceId, RegisteredService>;

/// One access request, with its services.
pub async fn request(
    ctx: &AppContext,
    id: AccessRequestId,
) -> Result<(AccessRequest, Services), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = access_requests::by_id(conn, id).await?;
    let found = found.ok_or_else(|| ask_access::missing(id))?;
    let services = services(conn, std::slice::from_ref(&found)).await?;
    Ok((found, services))
}

/// The services of a request that was just read.
pub async fn services_of(ctx: &AppContext, request: &AccessRequest) -> Result<Services, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    services(conn, std::slice::from_ref(request)).await
}

/// Access requests, newest first, with their services.
pub async fn requests(
    ctx: &AppContext,
    filter: &access_requests::Filter<'_>,
    before: Option<AccessRequestId>,
    limit: i64,
) -> Result<(Listed<AccessRequest, AccessRequestId>, Services), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = access_requests::page(conn, filter, before, limit + 1).await?;
    let listed = Listed::cut(rows, limit, |row| row.id);
    let services = services(conn, &listed.items).await?;
    Ok((listed, services))
}

async fn services(
    conn: &mut PgConnection,
    requests: &[AccessRequest],
) -> Result<Services, AppError> {
    let ids: Vec<EndpointServiceId> = requests
        .iter()
        .flat_map(|request| request.services.iter().map(|row| row.service))
        .collect();
    let rows = endpoint_services::by_ids(conn, &ids).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// A removal of access with the services that it concerns and what it did so far.
#[derive(Debug, Clone)]
pub struct RemovalProgress {
    /// The removal.
    pub removal: AccessRemoval,
    /// The services.
    pub services: Vec<Concerned>,
    /// What became of connections.
    pub tally: Tally,
}

/// One removal of access.
pub async fn removal(ctx: &AppContext, id: AccessRemovalId) -> Result<RemovalProgress, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = access_removals::by_id(conn, id).await?;
    let found = found.ok_or_else(|| end_access::missing(id))?;
    with_progress(conn, found).await
}

/// Removals of access, newest first.
pub async fn removals(
    ctx: &AppContext,
    filter: &access_removals::Filter<'_>,
    before: Option<AccessRemovalId>,
    limit: i64,
) -> Result<Listed<RemovalProgress, AccessRemovalId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = access_removals::page(conn, filter, before, limit + 1).await?;
    let listed = Listed::cut(rows, limit, |row| row.id);
    let mut items = Vec::with_capacity(listed.items.len());
    for row in listed.items {
        items.push(with_progress(conn, row).await?);
    }
    Ok(Listed {
        items,
        next: listed.next,
    })
}

async fn with_progress(
    conn: &mut PgConnection,
    removal: AccessRemoval,
) -> Result<RemovalProgress, AppError> {
    let services = access_removals::services(conn, removal.id).await?;
    let tally = access_work::progress(conn, removal.id).await?;
    Ok(RemovalProgress {
        removal,
        services,
        tally,
    })
}
