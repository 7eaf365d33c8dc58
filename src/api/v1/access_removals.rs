//! Access that is taken away: what it would do, doing it, how far it is, and taking it back.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::TimeDelta;
use privatelink::AccountId;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::access_removal_views::{AccessRemovalPreview, AccessRemovalView, CauseBody};
use super::actor;
use super::arguments::Limit;
use super::blocks::ExtentView;
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccessPreviewConflict, AccessRemovalCancelConflict, AccessRemovalCauseMissing,
    AccessRemovalConflict, AccessRemovalMissing, AuthProblems, BodyProblems, InputProblems,
};
use crate::app::cancel_removal::cancel_removal;
use crate::app::end_access::{self as app, Ending};
use crate::app::{AppContext, read_access};
use crate::domain::access_removal::RemovalState;
use crate::domain::ids::{AccessRemovalId, EndpointServiceId};
use crate::store::access_removals::Filter;

/// What would be taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// What it is.
    cause: CauseBody,
}

/// What is taken away, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRemovalBody {
    /// What it is.
    cause: CauseBody,
    /// The `confirm` of the preview. If it is something else by now, nothing is done.
    confirm: ExtentView,
    /// How long connections keep access, in seconds: 0 is at once, 7776000 (90 days) the most. Principals go at once in any case.
    #[schema(minimum = 0, maximum = 7_776_000)]
    grace_seconds: u32,
    /// Yes, it is meant also where agreements in force stand on principals that go: see `principals_of_agreements` of the preview.
    #[serde(default)]
    confirm_principals_of_agreements: bool,
    /// Why, for the record. Every decision that follows says it too.
    #[schema(min_length = 1, max_length = 1000, example = "The contract ended")]
    reason: String,
}

/// A page of removals of access, newest first.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct AccessRemovalList {
    /// The rows.
    items: Vec<AccessRemovalView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AccessRemovalId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those that take access from this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only those that concern this service.
    service_id: Option<EndpointServiceId>,
    /// Only those that stand so.
    state: Option<RemovalState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AccessRemovalId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Says what taking access away would do
///
/// Nothing is changed. The answer has the `confirm` that taking it away asks for, which stands for exactly what was shown.
#[utoipa::path(
    tag = "access",
    request_body = PreviewBody,
    responses(
        (status = 200, description = "What it would do now.", body = AccessRemovalPreview),
        AuthProblems, BodyProblems, AccessRemovalCauseMissing, AccessPreviewConflict
    )
)]
#[post("/v1/access-removals/preview")]
pub(super) async fn preview_access_removal(
    _caller: Caller<Read>,
    ApiJson(body): ApiJson<PreviewBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRemovalPreview>, Problem> {
    let preview = app::preview(&ctx, body.cause.try_into()?).await?;
    Ok(Json(preview.into()))
}

/// Takes access away
///
/// Principals are taken out of the services at once, so that AWS lets nobody new in, and from now on nothing of it is accepted. Connections keep access for the
/// grace and are revoked then; what waits for a decision is rejected at once. A worker does that part by part: read the removal to see how far it is.
#[utoipa::path(
    tag = "access",
    request_body = AccessRemovalBody,
    responses(
        (status = 201, description = "Begun.", body = AccessRemovalView,
         headers(("location" = String, description = "The removal."))),
        AuthProblems, BodyProblems, AccessRemovalCauseMissing, AccessRemovalConflict
    )
)]
#[post("/v1/access-removals")]
pub(super) async fn end_access(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<AccessRemovalBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let ending = Ending {
        cause: body.cause.try_into()?,
        confirmed: body.confirm.into(),
        grace: TimeDelta::seconds(body.grace_seconds.into()),
        confirm_principals_of_agreements: body.confirm_principals_of_agreements,
        reason: body.reason,
    };
    let begun = app::end_access(&ctx, &actor(caller.subject), ending).await?;
    let shown: AccessRemovalView = read_access::removal(&ctx, begun.id).await?.into();
    Ok(HttpResponse::Created()
        .insert_header((
            header::LOCATION,
            format!("/v1/access-removals/{}", begun.id),
        ))
        .json(shown))
}

/// Lists removals of access
///
/// Those that are over, cancelled or under way, too: see `state`.
#[utoipa::path(
    tag = "access",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = AccessRemovalList), AuthProblems, InputProblems)
)]
#[get("/v1/access-removals")]
pub(super) async fn list_access_removals(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRemovalList>, Problem> {
    let filter = Filter {
        account: query.account_id.as_ref(),
        service: query.service_id,
        state: query.state,
    };
    let listed = read_access::removals(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(AccessRemovalList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one removal of access
///
/// With how far it is: who has lost access, and who will when the grace ends.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRemovalId, Path, description = "The removal of access.")),
    responses((status = 200, description = "The removal.", body = AccessRemovalView), AuthProblems, InputProblems, AccessRemovalMissing)
)]
#[get("/v1/access-removals/{id}")]
pub(super) async fn read_access_removal(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AccessRemovalId>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRemovalView>, Problem> {
    Ok(Json(read_access::removal(&ctx, id).await?.into()))
}

/// Takes a removal of access back
///
/// While its grace lasts. Principals, the membership and access requests come back, and what was planned is undone. What was rejected at once stays rejected,
/// because AWS has no way back.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRemovalId, Path, description = "The removal of access.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Taken back.", body = AccessRemovalView),
        AuthProblems, BodyProblems, AccessRemovalMissing, AccessRemovalCancelConflict
    )
)]
#[post("/v1/access-removals/{id}/cancel")]
pub(super) async fn cancel_access_removal(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AccessRemovalId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRemovalView>, Problem> {
    cancel_removal(&ctx, &actor(caller.subject), id, body.reason()).await?;
    Ok(Json(read_access::removal(&ctx, id).await?.into()))
}
