//! Access for a time: renewing it, and planning to take it away.

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::arguments::{optional_time, time};
use super::decisions::ReasonBody;
use super::review_views::ReviewedView;
use crate::api::auth::{Caller, Decide};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccessConflict, AuthProblems, BodyProblems, ConnectionMissing, ScheduleConflict,
};
use crate::app::AppContext;
use crate::app::give_access_for as app;
use crate::domain::ids::ConnectionId;

/// Until when, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewBody {
    /// Until when access is given from now on; null for no end.
    #[serde(deserialize_with = "optional_time")]
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
    /// Why, for the record: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// When, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// When access shall be taken away.
    #[serde(deserialize_with = "time")]
    at: DateTime<Utc>,
    /// Why, for the record of the revocation: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Gives access until another time
///
/// Of an accepted connection, also during the grace after its time.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = RenewBody,
    responses(
        (status = 200, description = "Renewed.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, AccessConflict
    )
)]
#[post("/v1/connections/{id}/renew")]
pub(super) async fn renew_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<RenewBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let renewed = app::renew(&ctx, &actor, id, body.expires_at, &body.reason).await?;
    Ok(Json(renewed.into()))
}

/// Plans to revoke an accepted connection
///
/// It takes the place of all earlier plans but those of agreements; the earliest counts. When the time has come, the revocation is an ordinary decision of the actor `timer` with this reason.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ScheduleBody,
    responses(
        (status = 200, description = "Planned.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, AccessConflict
    )
)]
#[post("/v1/connections/{id}/schedule-revocation")]
pub(super) async fn schedule_revocation(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ScheduleBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let planned = app::schedule_revocation(&ctx, &actor, id, body.at, &body.reason).await?;
    Ok(Json(planned.into()))
}

/// Gives a planned revocation up
///
/// Access goes on as before, whoever planned to take it away: a person, a removal of access or a re-judgement. What an agreement plans stands: its own verbs change that.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Given up.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, ScheduleConflict
    )
)]
#[post("/v1/connections/{id}/cancel-revocation")]
pub(super) async fn cancel_revocation(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let kept = app::cancel_revocation(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(kept.into()))
}
