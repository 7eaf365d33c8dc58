//! Accepting, rejecting and revoking.

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::connections::ConnectionView;
use crate::api::auth::{Caller, Decide};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AcceptConflict, AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict,
    RevocationConflict,
};
use crate::app::AppContext;
use crate::app::decide_connection::decide_connection;
use crate::domain::ids::ConnectionId;
use crate::domain::review::Verb;

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// Why, for the record: 1 to 1000 characters. Kept for good with the decision and in the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
}

/// Why a connection is accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// Why, for the record: 1 to 1000 characters. Kept for good with the decision and in the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
    /// Yes, it is meant although it goes beyond a quota. That is on record too.
    #[serde(default)]
    over_quota: bool,
}

impl DecisionBody {
    /// The words.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Accepts a connection
///
/// The decision is recorded when this answers; AWS is told right after. Read the connection to see it become `available`. Whoever is denied is
/// accepted by nobody; what goes beyond a quota takes `over_quota`.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = AcceptBody,
    responses(
        (status = 200, description = "Accepted.", body = ConnectionView),
        AuthProblems, BodyProblems, ConnectionMissing, AcceptConflict
    )
)]
#[post("/v1/connections/{id}/accept")]
pub(super) async fn accept_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<AcceptBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    let actor = actor(caller.subject);
    let (reason, over_quota) = (&body.reason, body.over_quota);
    let decided = decide_connection(&ctx, &actor, id, Verb::Accept, reason, over_quota).await?;
    Ok(Json(decided.into()))
}

/// Rejects a connection that nobody decided yet
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Rejected.", body = ConnectionView),
        AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict
    )
)]
#[post("/v1/connections/{id}/reject")]
pub(super) async fn reject_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    decide(&ctx, caller, id, Verb::Reject, &body).await
}

/// Revokes an accepted connection
///
/// AWS cuts it off and shows it as rejected. The consumer's endpoint stays, and costs them, until they delete it.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Revoked.", body = ConnectionView),
        AuthProblems, BodyProblems, ConnectionMissing, RevocationConflict
    )
)]
#[post("/v1/connections/{id}/revoke")]
pub(super) async fn revoke_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    decide(&ctx, caller, id, Verb::Revoke, &body).await
}

async fn decide(
    ctx: &AppContext,
    caller: Caller<Decide>,
    id: ConnectionId,
    verb: Verb,
    body: &DecisionBody,
) -> Result<Json<ConnectionView>, Problem> {
    let actor = actor(caller.subject);
    let decided = decide_connection(ctx, &actor, id, verb, &body.reason, false).await?;
    Ok(Json(decided.into()))
}
