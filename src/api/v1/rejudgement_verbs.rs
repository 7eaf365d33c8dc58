//! Having what is live judged again, applying what that found, and giving it up.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::arguments::aws_id;
use super::decisions::ReasonBody;
use super::rejudgements::RejudgementView;
use super::service_ref::ServiceRef;
use crate::api::auth::{Caller, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    ApplyConflict, AuthProblems, BodyProblems, RejudgementCancelConflict, RejudgementMissing,
    RejudgementScopeMissing,
};
use crate::app::code::Code;
use crate::app::rejudge::{self as app, Apply};
use crate::app::{AppContext, AppError};
use crate::domain::ids::{ConsumerId, RejudgementId};
use crate::domain::rejudgement::Scope;

/// Which live connections to judge again: those of a service, of a consumer, of an account, or all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRejudgementBody {
    /// Only those of this service.
    service_id: Option<ServiceRef>,
    /// Only those of this consumer's accounts.
    consumer_id: Option<ConsumerId>,
    /// Only those of this account.
    #[schema(pattern = "^[0-9]{12}$")]
    account_id: Option<String>,
    /// Why, for the record.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "The policy was tightened"
    )]
    reason: String,
}

/// Why, after what grace, and what was shown before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyBody {
    /// Why, for the record. Every revocation that follows says it too.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "They were told on Monday"
    )]
    reason: String,
    /// How many seconds the consumers keep their access, up to 90 days. With 0 it ends at once.
    #[schema(minimum = 0, maximum = 7_776_000, example = 604_800)]
    grace_seconds: i64,
    /// The `losing_access` of the preview. If it is another number, nothing is done.
    confirm_losing_access: i64,
}

async fn scope_of(ctx: &AppContext, body: &NewRejudgementBody) -> Result<Scope, AppError> {
    match (&body.service_id, body.consumer_id, &body.account_id) {
        (None, None, None) => Ok(Scope::Everything),
        (Some(service), None, None) => Ok(Scope::Service(service.clone().resolve(ctx).await?)),
        (None, Some(consumer), None) => Ok(Scope::Consumer(consumer)),
        (None, None, Some(account)) => Ok(Scope::Account(aws_id("account_id", account)?)),
        _ => {
            let detail = "give one of service_id, consumer_id and account_id, or none";
            Err(AppError::new(Code::InvalidRequest, detail).field("service_id"))
        }
    }
}

/// Has what is live judged again
///
/// By the gates and policies in force, into a preview that touches nothing. A worker does it page by page: read the re-judgement until it is `previewed`.
#[utoipa::path(
    tag = "rejudgements",
    request_body = NewRejudgementBody,
    responses(
        (status = 202, description = "Asked for.", body = RejudgementView,
         headers(("location" = String, description = "The new re-judgement."))),
        AuthProblems, BodyProblems, RejudgementScopeMissing
    )
)]
#[post("/v1/rejudgements")]
pub(super) async fn ask_for_rejudgement(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewRejudgementBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let (actor, scope) = (actor(caller.subject), scope_of(&ctx, &body).await?);
    let asked = app::ask(&ctx, &actor, &scope, &body.reason).await?;
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, format!("/v1/rejudgements/{}", asked.id)))
        .json(RejudgementView::from(asked)))
}

/// Applies a re-judgement
///
/// Every connection that the preview found is judged once more; what is still rejected gets a planned revocation, in the caller's name, which time carries out
/// after the grace. A worker does that part by part: read the re-judgement to see how far it is. What was accepted after the preview is not touched.
#[utoipa::path(
    tag = "rejudgements",
    params(("id" = RejudgementId, Path, description = "The re-judgement.")),
    request_body = ApplyBody,
    responses(
        (status = 200, description = "Applied; carried out afterwards.", body = RejudgementView),
        AuthProblems, BodyProblems, RejudgementMissing, ApplyConflict
    )
)]
#[post("/v1/rejudgements/{id}/apply")]
pub(super) async fn apply_rejudgement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<RejudgementId>,
    ApiJson(body): ApiJson<ApplyBody>,
    ctx: Data<AppContext>,
) -> Result<Json<RejudgementView>, Problem> {
    let wanted = Apply {
        reason: body.reason,
        grace_seconds: body.grace_seconds,
        confirmed: body.confirm_losing_access,
    };
    let applied = app::apply(&ctx, &actor(caller.subject), id, &wanted).await?;
    Ok(Json(applied.into()))
}

/// Cancels a re-judgement
///
/// Nothing more is planned, and the revocations that it has planned are taken back; one that somebody had planned for later comes back. What was revoked
/// already stays so, because AWS has no way back.
#[utoipa::path(
    tag = "rejudgements",
    params(("id" = RejudgementId, Path, description = "The re-judgement.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Cancelled; plans are taken back afterwards.", body = RejudgementView),
        AuthProblems, BodyProblems, RejudgementMissing, RejudgementCancelConflict
    )
)]
#[post("/v1/rejudgements/{id}/cancel")]
pub(super) async fn cancel_rejudgement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<RejudgementId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<RejudgementView>, Problem> {
    let actor = actor(caller.subject);
    let cancelled = app::cancel(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(cancelled.into()))
}
