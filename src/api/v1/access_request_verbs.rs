//! Answering access requests.

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access_requests::AccessRequestView;
use super::actor;
use super::arguments::optional_time;
use super::decisions::{DecisionBody, ReasonBody};
use crate::api::auth::{Caller, Decide};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccessAnswerConflict, AccessApprovalConflict, AccessApprovalMissing,
    AccessApprovalWithdrawalConflict, AccessRequestMissing, AuthProblems, BodyProblems,
};
use crate::app::decision_words::Said;
use crate::app::{
    AppContext, answer_access as app, read_access, withdraw_access_approval as withdrawal,
};
use crate::domain::access_request::AccessRequest;
use crate::domain::ids::AccessRequestId;

/// Why, what the consumer is told, and until when access is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// Why, for the record: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
    /// What the consumer is told: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Where the work on it is kept: an `https://` address.
    #[schema(max_length = 2000, example = "https://tickets.example/4711")]
    ticket_url: Option<String>,
    /// Until when access is given. Of all who name an end, the earliest counts.
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<DateTime<Utc>>,
}

impl From<ApproveBody> for Said {
    fn from(body: ApproveBody) -> Self {
        Self {
            reason: body.reason,
            message: body.message,
            ticket_url: body.ticket_url,
            expires_at: body.expires_at,
            over_quota: false,
        }
    }
}

async fn shown(ctx: &AppContext, after: AccessRequest) -> Result<Json<AccessRequestView>, Problem> {
    let services = read_access::services_of(ctx, &after).await?;
    Ok(Json(AccessRequestView::with(after, &services)))
}

/// Approves an access request
///
/// Every service of it names the account's principal from now on, or none does; AWS is told right after, and `in_aws` shows when it has it. Whoever is denied is
/// approved by nobody. Where one of the services asks for two persons, the first yes is one of the `approvals` and the request stays `pending`.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    request_body = ApproveBody,
    responses(
        (status = 200, description = "Approved, or one of two approvals.", body = AccessRequestView),
        AuthProblems, BodyProblems, AccessApprovalMissing, AccessApprovalConflict
    )
)]
#[post("/v1/access-requests/{id}/approve")]
pub(super) async fn approve_access_request(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ApiJson(body): ApiJson<ApproveBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestView>, Problem> {
    let after = app::approve(&ctx, &actor(caller.subject), id, &body.into()).await?;
    shown(&ctx, after).await
}

/// Rejects an access request
///
/// The consumer is told the `message`; the `reason` is for the record.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Rejected.", body = AccessRequestView),
        AuthProblems, BodyProblems, AccessRequestMissing, AccessAnswerConflict
    )
)]
#[post("/v1/access-requests/{id}/reject")]
pub(super) async fn reject_access_request(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestView>, Problem> {
    let after = app::reject(&ctx, &actor(caller.subject), id, &body.into()).await?;
    shown(&ctx, after).await
}

/// Takes an access request back
///
/// While nobody has answered it. Access that was given is taken away by an access removal.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Withdrawn.", body = AccessRequestView),
        AuthProblems, BodyProblems, AccessRequestMissing, AccessAnswerConflict
    )
)]
#[post("/v1/access-requests/{id}/withdraw")]
pub(super) async fn withdraw_access_request(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestView>, Problem> {
    let after = app::withdraw(&ctx, &actor(caller.subject), id, body.reason()).await?;
    shown(&ctx, after).await
}

/// Takes one's approval of an access request back
///
/// While the other person's is missing. One may approve again.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Taken back.", body = AccessRequestView),
        AuthProblems, BodyProblems, AccessRequestMissing, AccessApprovalWithdrawalConflict
    )
)]
#[post("/v1/access-requests/{id}/withdraw-approval")]
pub(super) async fn withdraw_access_approval(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestView>, Problem> {
    let actor = actor(caller.subject);
    let after = withdrawal::withdraw_approval(&ctx, &actor, id, body.reason()).await?;
    shown(&ctx, after).await
}
