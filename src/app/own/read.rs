//! Lookups and lists of what is an organisation's own. What is somebody else's is refused in the words for what does not exist.

use std::collections::{BTreeSet, HashMap};

use privatelink::AccountId;

use super::{begin, end};
use crate::app::code::Code;
use crate::app::read::Listed;
use crate::app::{AppContext, AppError, ask_access, decide_connection};
use crate::domain::ids::{AccessRequestId, ConnectionId, ConsumerAccountId, EndpointServiceId};
use crate::domain::member::Member;
use crate::domain::own::{
    KnownService, OwnAccessRequest, OwnAccount, OwnConnection, OwnConsumer, OwnQuota,
};
use crate::store::tenant::{access_requests, connections, consumer as store, services};

/// The organisation.
pub async fn consumer(ctx: &AppContext, member: &Member) -> Result<OwnConsumer, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = store::read(&mut tx).await?;
    end(tx).await?;
    found.ok_or_else(|| AppError::internal("a consumer went in the middle of a transaction"))
}

/// The numbers of its accounts that were proven to be its own.
pub async fn proven_account_ids(
    ctx: &AppContext,
    member: &Member,
) -> Result<BTreeSet<AccountId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let all = store::proven_account_ids(&mut tx).await?;
    end(tx).await?;
    Ok(all.into_iter().collect())
}

/// Its accounts, the last added first.
pub async fn accounts(
    ctx: &AppContext,
    member: &Member,
    before: Option<ConsumerAccountId>,
    limit: i64,
) -> Result<Listed<OwnAccount, ConsumerAccountId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let rows = store::accounts(&mut tx, before, limit + 1).await?;
    end(tx).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// What it may use and uses. Where an endpoint is in the service's Region, that is named.
pub async fn quota(ctx: &AppContext, member: &Member) -> Result<OwnQuota, AppError> {
    let mut tx = begin(ctx, member).await?;
    let mut quota = store::quota(&mut tx).await?;
    let used = quota
        .used
        .iter()
        .filter(|row| row.endpoint_region.is_none());
    let ids: Vec<EndpointServiceId> = used.map(|row| row.service).collect();
    let known = services::among(&mut tx, &ids).await?;
    end(tx).await?;
    let regions: HashMap<EndpointServiceId, String> =
        known.into_iter().map(|row| (row.id, row.region)).collect();
    for row in &mut quota.used {
        if row.endpoint_region.is_none() {
            row.endpoint_region = regions.get(&row.service).cloned();
        }
    }
    Ok(quota)
}

/// One connection of its accounts.
pub async fn connection(
    ctx: &AppContext,
    member: &Member,
    id: ConnectionId,
) -> Result<OwnConnection, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = connections::by_id(&mut tx, id).await?;
    end(tx).await?;
    found.ok_or_else(|| decide_connection::not_found(id))
}

/// Connections of its accounts, newest first.
pub async fn connections(
    ctx: &AppContext,
    member: &Member,
    filter: &connections::Filter<'_>,
    before: Option<ConnectionId>,
    limit: i64,
) -> Result<Listed<OwnConnection, ConnectionId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let rows = connections::page(&mut tx, filter, before, limit + 1).await?;
    end(tx).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// One service that it can know about.
pub async fn service(
    ctx: &AppContext,
    member: &Member,
    id: EndpointServiceId,
) -> Result<KnownService, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = services::by_id(&mut tx, id).await?;
    end(tx).await?;
    found.ok_or_else(|| no_service(id))
}

/// Services that it can know about, newest first.
pub async fn services(
    ctx: &AppContext,
    member: &Member,
    before: Option<EndpointServiceId>,
    limit: i64,
) -> Result<Listed<KnownService, EndpointServiceId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let rows = services::page(&mut tx, before, limit + 1).await?;
    end(tx).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// Which of these services it can know about.
pub async fn known_services(
    ctx: &AppContext,
    member: &Member,
    ids: &[EndpointServiceId],
) -> Result<Vec<EndpointServiceId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = services::among(&mut tx, ids).await?;
    end(tx).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

/// Which of these connections are its accounts'.
pub async fn known_connections(
    ctx: &AppContext,
    member: &Member,
    ids: &[ConnectionId],
) -> Result<Vec<ConnectionId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = connections::among(&mut tx, ids).await?;
    end(tx).await?;
    Ok(found)
}

/// One of its access requests.
pub async fn access_request(
    ctx: &AppContext,
    member: &Member,
    id: AccessRequestId,
) -> Result<OwnAccessRequest, AppError> {
    let mut tx = begin(ctx, member).await?;
    let found = access_requests::by_id(&mut tx, id).await?;
    end(tx).await?;
    found.ok_or_else(|| ask_access::missing(id))
}

/// Its access requests, newest first.
pub async fn access_requests(
    ctx: &AppContext,
    member: &Member,
    filter: &access_requests::Filter<'_>,
    before: Option<AccessRequestId>,
    limit: i64,
) -> Result<Listed<OwnAccessRequest, AccessRequestId>, AppError> {
    let mut tx = begin(ctx, member).await?;
    let rows = access_requests::page(&mut tx, filter, before, limit + 1).await?;
    end(tx).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// Says that there is no such service, or none that the organisation can know about.
pub(super) fn no_service(id: EndpointServiceId) -> AppError {
    AppError::new(Code::ServiceNotFound, format!("there is no service {id}"))
}
