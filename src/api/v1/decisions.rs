//! Accepting, rejecting and revoking.

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::arguments::optional_time;
use super::review_views::ReviewedView;
use crate::api::auth::{Caller, Decide};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AcceptConflict, AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict,
    RevocationConflict, WithdrawalConflict,
};
use crate::app::decide_connection::decide_connection;
use crate::app::decision_words::Said;
use crate::app::{AppContext, approve};
use crate::domain::ids::ConnectionId;
use crate::domain::review::Verb;

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// Why, for the record: 1 to 1000 characters. Kept for good in the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
}

impl ReasonBody {
    /// The words.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why, and what the consumer is told.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// Why, for the record: 1 to 1000 characters. Kept for good with the decision and in the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
    /// What the consumer is told: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Where the work on it is kept: an `https://` address.
    #[schema(max_length = 2000, example = "https://tickets.example/4711")]
    ticket_url: Option<String>,
}

/// The same, and until when access is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// Why, for the record: 1 to 1000 characters. Kept for good with the decision and in the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 is paid")]
    reason: String,
    /// What the consumer is told: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Where the work on it is kept: an `https://` address.
    #[schema(max_length = 2000, example = "https://tickets.example/4711")]
    ticket_url: Option<String>,
    /// Until when access is given; without it, access has no end.
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<DateTime<Utc>>,
    /// Yes, it is meant although it goes beyond a quota. That is on record too.
    #[serde(default)]
    over_quota: bool,
}

impl From<DecisionBody> for Said {
    fn from(body: DecisionBody) -> Self {
        Self {
            reason: body.reason,
            message: body.message,
            ticket_url: body.ticket_url,
            expires_at: None,
            over_quota: false,
        }
    }
}

impl From<AcceptBody> for Said {
    fn from(body: AcceptBody) -> Self {
        Self {
            reason: body.reason,
            message: body.message,
            ticket_url: body.ticket_url,
            expires_at: body.expires_at,
            over_quota: body.over_quota,
        }
    }
}

/// Accepts a connection
///
/// The decision is recorded when this answers; AWS is told right after. Read the connection to see it become `available`. Whoever is denied is
/// accepted by nobody; what goes beyond a quota takes `over_quota`.
///
/// Where the service asks for two persons, the first accept is one of the `approvals` and the review stays `undecided`; the accept of another
/// person decides.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = AcceptBody,
    responses(
        (status = 200, description = "Accepted, or approved while another person has to.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, AcceptConflict
    )
)]
#[post("/v1/connections/{id}/accept")]
pub(super) async fn accept_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<AcceptBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    decide(&ctx, caller, id, Verb::Accept, body.into()).await
}

/// Rejects a connection that nobody decided yet
///
/// The decision is recorded when this answers; AWS is told right after. AWS has no way back: the consumer has to make a new endpoint.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Rejected.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict
    )
)]
#[post("/v1/connections/{id}/reject")]
pub(super) async fn reject_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    decide(&ctx, caller, id, Verb::Reject, body.into()).await
}

/// Revokes an accepted connection
///
/// AWS cuts it off and shows it as rejected. The consumer's endpoint stays, and costs them, until they delete it.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Revoked.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, RevocationConflict
    )
)]
#[post("/v1/connections/{id}/revoke")]
pub(super) async fn revoke_connection(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<DecisionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    decide(&ctx, caller, id, Verb::Revoke, body.into()).await
}

/// Takes one's approval back
///
/// While another person has to approve too. Once it is decided, there is nothing to take back: revoke it.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Taken back.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, WithdrawalConflict
    )
)]
#[post("/v1/connections/{id}/withdraw-approval")]
pub(super) async fn withdraw_approval(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let without = approve::withdraw_approval(&ctx, &actor, id, &body.reason).await?;
    Ok(Json(without.into()))
}

async fn decide(
    ctx: &AppContext,
    caller: Caller<Decide>,
    id: ConnectionId,
    verb: Verb,
    said: Said,
) -> Result<Json<ReviewedView>, Problem> {
    let decided = decide_connection(ctx, &actor(caller.subject), id, verb, &said).await?;
    Ok(Json(decided.into()))
}
