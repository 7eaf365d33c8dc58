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
    AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict, RevocationConflict,
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

impl DecisionBody {
    /// The words.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Accepts a connection
///
/// The decision is recorded when this answers; AWS is told right after. Read the connection to see it become `available`.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Accepted.", body = ConnectionView),
        AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict
    )
)]
#[post("/v1/connections/{id}/accept")]
pub(super) async fn accept_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    decide(&ctx, caller, id, Verb::Accept, &body).await
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
    let decided = decide_connection(ctx, &actor(caller.subject), id, verb, &body.reason).await?;
    Ok(Json(decided.into()))
}
