//! Routes in the shape of the product's: one per permission, with a body, a query and a path.

use actix_web::web::Json;
use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::api::auth::{Caller, Decide, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, DecisionConflict, InputProblems, ServiceMissing,
};
use crate::app::code::Code;
use crate::app::error::AppError;

/// The signature that `api::v1` has, too.
pub(super) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(echo_number)
        .service(decide_thing)
        .service(create_thing)
        .service(break_down);
}

/// A number, repeated.
#[derive(Serialize, ToSchema)]
pub(super) struct Echo {
    /// The number.
    number: u32,
    /// Who asked.
    caller: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EchoQuery {
    /// The number to repeat.
    number: u32,
}

/// Repeats a number
#[utoipa::path(
    tag = "services",
    params(EchoQuery),
    responses((status = 200, description = "The number.", body = Echo), AuthProblems, InputProblems)
)]
#[get("/v1/echo")]
async fn echo_number(
    caller: Caller<Read>,
    ApiQuery(query): ApiQuery<EchoQuery>,
) -> Result<Json<Echo>, Problem> {
    Ok(Json(Echo {
        number: query.number,
        caller: caller.subject,
    }))
}

/// What to decide.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    /// Why.
    reason: String,
}

/// Decides about a thing
#[utoipa::path(
    tag = "connections",
    params(("id" = u32, Path, description = "The thing.")),
    request_body = Decision,
    responses(
        (status = 200, description = "Decided.", body = Echo),
        AuthProblems,
        BodyProblems,
        ServiceMissing,
        DecisionConflict
    )
)]
#[post("/v1/things/{id}/decide")]
async fn decide_thing(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<u32>,
    ApiJson(decision): ApiJson<Decision>,
) -> Result<Json<Echo>, Problem> {
    if decision.reason.is_empty() {
        let blank = AppError::new(Code::InvalidRequest, "A reason is needed.");
        return Err(blank.field("reason").into());
    }
    Ok(Json(Echo {
        number: id,
        caller: caller.subject,
    }))
}

/// Makes a thing
#[utoipa::path(
    tag = "services",
    request_body = Decision,
    responses((status = 200, description = "Made.", body = Echo), AuthProblems, BodyProblems)
)]
#[post("/v1/things")]
async fn create_thing(
    caller: Caller<Manage>,
    _decision: ApiJson<Decision>,
) -> Result<Json<Echo>, Problem> {
    Ok(Json(Echo {
        number: 0,
        caller: caller.subject,
    }))
}

/// Fails
#[utoipa::path(
    tag = "services",
    responses((status = 204, description = "Never."), AuthProblems)
)]
#[get("/v1/things")]
async fn break_down(_caller: Caller<Read>) -> Result<Json<Echo>, Problem> {
    Err(AppError::internal("relation \"things\" does not exist").into())
}
