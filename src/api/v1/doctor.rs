//! The doctor: why a service or a connection does not work.

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::actor;
use crate::api::auth::{Caller, Decide, Read};
use crate::api::extract::ApiPath;
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, ConnectionMissing, InputProblems, ServiceLookConflict, ServiceMissing,
};
use crate::app::diagnose::{diagnose_connection, diagnose_service};
use crate::app::{AppContext, request_check as app};
use crate::domain::doctor::states::Explanation;
use crate::domain::doctor::{Check, CheckStatus};
use crate::domain::ids::{ConnectionId, EndpointServiceId};

/// What the doctor says of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceDiagnosisView {
    /// The service.
    service_id: EndpointServiceId,
    /// `fail` if any check failed, else `unknown` if any could not be made, else `warn`, else `pass`.
    status: CheckStatus,
    /// The most likely reason, as a sentence.
    most_likely: String,
    /// Every check, those that explain most first.
    checks: Vec<Check>,
    /// When the worker last looked behind the service; null until it did.
    checked_at: Option<DateTime<Utc>>,
    /// Since when somebody waits for a new look; null when nobody does.
    check_requested_at: Option<DateTime<Utc>>,
}

/// What the doctor says of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionDiagnosisView {
    /// The connection.
    connection_id: ConnectionId,
    /// The service it connects to.
    service_id: EndpointServiceId,
    /// `fail` if any check failed, else `unknown` if any could not be made, else `warn`, else `pass`.
    status: CheckStatus,
    /// The most likely reason, as a sentence.
    most_likely: String,
    /// AWS's state in words, for the provider and for the consumer.
    state: Explanation,
    /// Every check of the connection, and those of its service that did not pass and concern it; those that explain most first.
    checks: Vec<Check>,
    /// When the worker last looked behind the service; null until it did.
    checked_at: Option<DateTime<Utc>>,
    /// Since when somebody waits for a new look; null when nobody does.
    check_requested_at: Option<DateTime<Utc>>,
}

/// A look that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckRequestedView {
    /// The service.
    service_id: EndpointServiceId,
    /// The checks are fresh when their `checked_at` is this time or later.
    check_requested_at: DateTime<Utc>,
    /// When the worker last looked; null until it did.
    checked_at: Option<DateTime<Utc>>,
}

/// Examines a service
///
/// Answers from what the worker last saw, at `checked_at`; AWS is not asked. What could not be read is `unknown`, with AWS's code and the IAM
/// action that is missing.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "The diagnosis.", body = ServiceDiagnosisView), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/services/{id}/doctor")]
pub(super) async fn examine_service(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceDiagnosisView>, Problem> {
    let (diagnosis, freshness) = diagnose_service(&ctx, id).await?;
    Ok(Json(ServiceDiagnosisView {
        service_id: id,
        status: diagnosis.status,
        most_likely: diagnosis.most_likely,
        checks: diagnosis.checks,
        checked_at: freshness.checked_at,
        check_requested_at: freshness.check_requested_at,
    }))
}

/// Has the worker look at a service now
///
/// The worker looks within seconds, also behind a service that is stalled, which stays stalled. Asking again before it has looked changes nothing.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses(
        (status = 200, description = "Due.", body = CheckRequestedView),
        AuthProblems, InputProblems, ServiceMissing, ServiceLookConflict
    )
)]
#[post("/v1/services/{id}/check")]
pub(super) async fn check_service(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<CheckRequestedView>, Problem> {
    let requested = app::request_check(&ctx, &actor(caller.subject), id).await?;
    Ok(Json(CheckRequestedView {
        service_id: id,
        check_requested_at: requested.requested_at,
        checked_at: requested.checked_at,
    }))
}

/// Examines a connection
///
/// Its state in words, its decision and its sync, the consumer's permission and zones, and what of its service concerns it. Answers from what
/// the worker last saw; AWS is not asked.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses((status = 200, description = "The diagnosis.", body = ConnectionDiagnosisView), AuthProblems, InputProblems, ConnectionMissing)
)]
#[get("/v1/connections/{id}/doctor")]
pub(super) async fn examine_connection(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionDiagnosisView>, Problem> {
    let examined = diagnose_connection(&ctx, id).await?;
    Ok(Json(ConnectionDiagnosisView {
        connection_id: id,
        service_id: examined.connection.service_id,
        status: examined.diagnosis.status,
        most_likely: examined.diagnosis.most_likely,
        state: examined.state,
        checks: examined.diagnosis.checks,
        checked_at: examined.freshness.checked_at,
        check_requested_at: examined.freshness.check_requested_at,
    }))
}
