//! The kill switch: what a block would do, blocks and their progress.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use super::consumer_accounts::SaidView;
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BlockMissing, ConsumerMissing, InputProblems, ServiceMissing,
};
use crate::app::block::Preview;
use crate::app::{AppContext, block as app, read_consumers};
use crate::domain::block::{Block, BlockKind, BlockState, Blocked, Extent};
use crate::domain::ids::{BlockId, ConsumerId, DenialId, EndpointServiceId};
use crate::store::block_work::{Door, LiveCount};
use crate::store::blocks::Filter;

/// How many connections and principals.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtentView {
    /// Connections that are cut off.
    pub(super) connections: i64,
    /// Principals that are taken away, counted once for each service.
    pub(super) principals: i64,
}

impl From<Extent> for ExtentView {
    fn from(extent: Extent) -> Self {
        Self {
            connections: extent.connections,
            principals: extent.principals,
        }
    }
}

impl From<ExtentView> for Extent {
    fn from(view: ExtentView) -> Self {
        Self {
            connections: view.connections,
            principals: view.principals,
        }
    }
}

/// What a block would do, if it were thrown now.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockPreview {
    /// Send this back as `confirm`.
    confirm: ExtentView,
    /// Connections that would be cut off, by service and state. AWS has no way back for them.
    connections: Vec<LiveCountView>,
    /// Services that let somebody in.
    services: Vec<DoorView>,
}

/// How many connections of one service are in one state.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveCountView {
    /// The service.
    service_id: EndpointServiceId,
    /// What people call it.
    service_name: String,
    /// AWS's state.
    state: String,
    /// How many.
    count: i64,
}

/// A service that lets somebody in.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoorView {
    /// The service.
    service_id: EndpointServiceId,
    /// What people call it.
    service_name: String,
    /// Principals that would be taken away, and come back when the block is lifted.
    principals: Vec<String>,
    /// Principals that AWS shows and nobody here asked for: they stay. What comes through them is cut off as long as the block stands.
    principals_that_stay: Vec<String>,
}

impl From<LiveCount> for LiveCountView {
    fn from(row: LiveCount) -> Self {
        Self {
            service_id: row.service,
            service_name: row.service_name,
            state: row.state,
            count: row.count,
        }
    }
}

impl From<Door> for DoorView {
    fn from(row: Door) -> Self {
        Self {
            service_id: row.service,
            service_name: row.service_name,
            principals: row.wanted,
            principals_that_stay: row.unknown,
        }
    }
}

impl From<Preview> for BlockPreview {
    fn from(preview: Preview) -> Self {
        Self {
            confirm: preview.extent().into(),
            connections: preview.connections.into_iter().map(Into::into).collect(),
            services: preview.doors.into_iter().map(Into::into).collect(),
        }
    }
}

/// An account, a consumer or a service that is, or was, blocked.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    /// Its id.
    id: BlockId,
    /// What kind of subject it has.
    subject: BlockKind,
    /// The account, where it is about one.
    account_id: Option<String>,
    /// The consumer, where it is about one.
    consumer_id: Option<ConsumerId>,
    /// The service, where it is about one.
    service_id: Option<EndpointServiceId>,
    /// `cutting` until nothing of it lives; `standing` while what comes is cut off too; `restoring` once it is lifted, until the principals are
    /// back; then `lifted`. Connections that were cut off stay so.
    state: BlockState,
    /// The denial that keeps new connections from being accepted.
    denial_id: DenialId,
    /// Who blocked.
    blocked: SaidView,
    /// What was shown and confirmed before.
    confirmed: ExtentView,
    /// Connections that were rejected or revoked for it so far. AWS is told afterwards.
    cut: i64,
    /// When nothing of it lived any more, for the first time.
    cut_at: Option<DateTime<Utc>>,
    /// Who took it back; null while it stands.
    lifted: Option<SaidView>,
    /// When the last principal was back.
    restored_at: Option<DateTime<Utc>>,
}

impl From<Block> for BlockView {
    fn from(row: Block) -> Self {
        let subject = row.subject.kind();
        let (account_id, consumer_id, service_id) = match row.subject {
            Blocked::Account(account) => (Some(account.into()), None, None),
            Blocked::Consumer(consumer) => (None, Some(consumer), None),
            Blocked::Service(service) => (None, None, Some(service)),
        };
        Self {
            id: row.id,
            subject,
            account_id,
            consumer_id,
            service_id,
            state: row.state,
            denial_id: row.denial,
            blocked: row.said.into(),
            confirmed: row.confirmed.into(),
            cut: row.cut,
            cut_at: row.cut_at,
            lifted: row.lifted.map(Into::into),
            restored_at: row.restored_at,
        }
    }
}

/// A page of blocks, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockList {
    /// The rows.
    items: Vec<BlockView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<BlockId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only blocks of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only blocks of this consumer.
    consumer_id: Option<ConsumerId>,
    /// Only blocks of this service.
    service_id: Option<EndpointServiceId>,
    /// Only blocks that stand so.
    state: Option<BlockState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<BlockId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists blocks
///
/// Those that were lifted stay listed: see `state`.
#[utoipa::path(
    tag = "blocks",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = BlockList), AuthProblems, InputProblems)
)]
#[get("/v1/blocks")]
pub(super) async fn list_blocks(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockList>, Problem> {
    let filter = Filter {
        account: query.account_id.as_ref(),
        consumer: query.consumer_id,
        service: query.service_id,
        state: query.state,
    };
    let listed = read_consumers::blocks(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(BlockList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one block
///
/// With how far it is, and what it has cut off.
#[utoipa::path(
    tag = "blocks",
    params(("id" = BlockId, Path, description = "The block.")),
    responses((status = 200, description = "The block.", body = BlockView), AuthProblems, InputProblems, BlockMissing)
)]
#[get("/v1/blocks/{id}")]
pub(super) async fn read_block(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<BlockId>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    Ok(Json(read_consumers::block(&ctx, id).await?.into()))
}

/// Says what blocking an account would do
///
/// Nothing is changed. The answer has the `confirm` that blocking asks for, which stands for exactly what was shown.
#[utoipa::path(
    tag = "blocks",
    params(("account_id" = String, Path, description = "The AWS account, 12 digits.", pattern = "^[0-9]{12}$")),
    responses((status = 200, description = "What it would do now.", body = BlockPreview), AuthProblems, InputProblems)
)]
#[get("/v1/accounts/{account_id}/block-preview")]
pub(super) async fn preview_account_block(
    _caller: Caller<Read>,
    ApiPath(account): ApiPath<AccountId>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockPreview>, Problem> {
    let preview = app::preview(&ctx, &Blocked::Account(account)).await?;
    Ok(Json(preview.into()))
}

/// Says what blocking a consumer would do
///
/// Nothing is changed. The answer has the `confirm` that blocking asks for, which stands for exactly what was shown.
#[utoipa::path(
    tag = "blocks",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    responses((status = 200, description = "What it would do now.", body = BlockPreview), AuthProblems, InputProblems, ConsumerMissing)
)]
#[get("/v1/consumers/{id}/block-preview")]
pub(super) async fn preview_consumer_block(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConsumerId>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockPreview>, Problem> {
    let preview = app::preview(&ctx, &Blocked::Consumer(id)).await?;
    Ok(Json(preview.into()))
}

/// Says what blocking a service would do
///
/// Nothing is changed. The answer has the `confirm` that blocking asks for, which stands for exactly what was shown.
#[utoipa::path(
    tag = "blocks",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "What it would do now.", body = BlockPreview), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/services/{id}/block-preview")]
pub(super) async fn preview_service_block(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockPreview>, Problem> {
    let preview = app::preview(&ctx, &Blocked::Service(id)).await?;
    Ok(Json(preview.into()))
}
