//! The kill switch: blocking and unblocking.

use actix_web::post;
use actix_web::web::{Data, Json};
use privatelink::AccountId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::blocks::{BlockView, ExtentView};
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BlockConflict, BodyProblems, ConsumerMissing, ServiceMissing, UnblockConflict,
};
use crate::app::{AppContext, block as app};
use crate::domain::block::Blocked;
use crate::domain::ids::{ConsumerId, EndpointServiceId};

/// Why, and what was shown before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockBody {
    /// Why, for the record. Every decision that follows says it too.
    #[schema(min_length = 1, max_length = 1000, example = "Credentials leaked")]
    reason: String,
    /// The `confirm` of the preview. If it is something else by now, nothing is done.
    confirm: ExtentView,
}

async fn block(
    ctx: &AppContext,
    caller: Caller<Manage>,
    subject: Blocked,
    body: BlockBody,
) -> Result<Json<BlockView>, Problem> {
    let (actor, confirmed) = (actor(caller.subject), body.confirm.into());
    let blocked = app::block(ctx, &actor, subject, confirmed, &body.reason).await?;
    Ok(Json(blocked.into()))
}

async fn unblock(
    ctx: &AppContext,
    caller: Caller<Manage>,
    subject: Blocked,
    body: &ReasonBody,
) -> Result<Json<BlockView>, Problem> {
    let actor = actor(caller.subject);
    let lifted = app::unblock(ctx, &actor, &subject, body.reason()).await?;
    Ok(Json(lifted.into()))
}

/// Blocks an account
///
/// From now on nobody accepts anything of it; everything that the account has on any service is rejected or revoked, and its principals are taken out of the services. A worker does that part by part: read the block to see how far it is.
#[utoipa::path(
    tag = "blocks",
    params(("account_id" = String, Path, description = "The AWS account, 12 digits.", pattern = "^[0-9]{12}$")),
    request_body = BlockBody,
    responses(
        (status = 200, description = "Blocked.", body = BlockView),
        AuthProblems, BodyProblems, BlockConflict
    )
)]
#[post("/v1/accounts/{account_id}/block")]
pub(super) async fn block_account(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AccountId>,
    ApiJson(body): ApiJson<BlockBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    block(&ctx, caller, Blocked::Account(id), body).await
}

/// Unblocks an account
///
/// Its connections may be accepted again, and the principals that the block took away come back. What was cut off stays rejected, because AWS has no way
/// back: the consumer makes new endpoints.
#[utoipa::path(
    tag = "blocks",
    params(("account_id" = String, Path, description = "The AWS account, 12 digits.", pattern = "^[0-9]{12}$")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Lifted.", body = BlockView),
        AuthProblems, BodyProblems, UnblockConflict
    )
)]
#[post("/v1/accounts/{account_id}/unblock")]
pub(super) async fn unblock_account(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AccountId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    unblock(&ctx, caller, Blocked::Account(id), &body).await
}

/// Blocks a consumer
///
/// From now on nobody accepts anything of it; everything that its accounts have on any service is rejected or revoked, and their principals are taken out of the services. A worker does that part by part: read the block to see how far it is.
#[utoipa::path(
    tag = "blocks",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    request_body = BlockBody,
    responses(
        (status = 200, description = "Blocked.", body = BlockView),
        AuthProblems, BodyProblems, BlockConflict, ConsumerMissing
    )
)]
#[post("/v1/consumers/{id}/block")]
pub(super) async fn block_consumer(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiJson(body): ApiJson<BlockBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    block(&ctx, caller, Blocked::Consumer(id), body).await
}

/// Unblocks a consumer
///
/// Its connections may be accepted again, and the principals that the block took away come back. What was cut off stays rejected, because AWS has no way
/// back: the consumer makes new endpoints.
#[utoipa::path(
    tag = "blocks",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Lifted.", body = BlockView),
        AuthProblems, BodyProblems, UnblockConflict, ConsumerMissing
    )
)]
#[post("/v1/consumers/{id}/unblock")]
pub(super) async fn unblock_consumer(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    unblock(&ctx, caller, Blocked::Consumer(id), &body).await
}

/// Blocks a service
///
/// From now on nobody accepts anything of it; everything that is connected to it is rejected or revoked, and all its principals are taken out. A worker does that part by part: read the block to see how far it is.
#[utoipa::path(
    tag = "blocks",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = BlockBody,
    responses(
        (status = 200, description = "Blocked.", body = BlockView),
        AuthProblems, BodyProblems, BlockConflict, ServiceMissing
    )
)]
#[post("/v1/services/{id}/block")]
pub(super) async fn block_service(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<BlockBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    block(&ctx, caller, Blocked::Service(id), body).await
}

/// Unblocks a service
///
/// Its connections may be accepted again, and the principals that the block took away come back. What was cut off stays rejected, because AWS has no way
/// back: the consumer makes new endpoints.
#[utoipa::path(
    tag = "blocks",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Lifted.", body = BlockView),
        AuthProblems, BodyProblems, UnblockConflict, ServiceMissing
    )
)]
#[post("/v1/services/{id}/unblock")]
pub(super) async fn unblock_service(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BlockView>, Problem> {
    unblock(&ctx, caller, Blocked::Service(id), &body).await
}
