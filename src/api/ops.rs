//! Operational routes, public because probes and scrapers carry no tokens: alive, ready, metrics and
//! the OpenAPI document. None of them shows anything about a customer.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth::Trust;
use super::edge::{Edge, NotReady};
use super::openapi::DocumentData;
use super::problem::Problem;
use super::responses::FaultProblems;
use crate::app::code::Code;
use crate::app::error::AppError;

/// The media type of `/metrics`.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The longest a readiness check may take; a slow part is not a ready one.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Registers the routes.
pub(super) fn configure(cfg: &mut ServiceConfig) {
    cfg.service(healthz)
        .service(readyz)
        .service(metrics)
        .service(openapi_json);
}

/// What a probe is told.
#[derive(Debug, Serialize, ToSchema)]
struct Probe {
    /// `ok`, or there would be a problem instead.
    #[schema(example = "ok")]
    status: &'static str,
    /// What does not work, where the rest does: identity providers, by their names in the configuration, whose keys are not known. Their tokens are
    /// refused meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issuers_without_keys: Vec<String>,
}

fn ok(issuers_without_keys: Vec<String>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(Probe {
            status: "ok",
            issuers_without_keys,
        })
}

/// Says that the process is alive
///
/// It looks at nothing else, so a failing database does not get the process restarted.
#[utoipa::path(
    tag = "health",
    security(()),
    responses((status = 200, description = "The process is alive.", body = Probe))
)]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    ok(Vec::new())
}

/// Says whether the process can serve requests now
///
/// It can where the database answers and the keys of at least one issuer of tokens are known.
#[utoipa::path(
    tag = "health",
    security(()),
    responses((status = 200, description = "Requests can be served.", body = Probe), FaultProblems)
)]
#[get("/readyz")]
async fn readyz(edge: web::Data<Edge>) -> Result<HttpResponse, Problem> {
    if edge.limits().draining() {
        return Err(Problem::new(Code::Unavailable, "The process is stopping."));
    }
    match tokio::time::timeout(READY_TIMEOUT, edge.readiness().check()).await {
        Ok(Ok(())) => match edge.verifier().trust(edge.now()) {
            Trust::Whole => Ok(ok(Vec::new())),
            Trust::Partial(out) => Ok(ok(out)),
            Trust::None(out) => {
                let why = format!("no issuer's keys are known: {}", out.join(", "));
                Err(AppError::unavailable(NotReady(why)).into())
            }
        },
        Ok(Err(reason)) => Err(AppError::unavailable(reason).into()),
        Err(_) => Err(AppError::unavailable(NotReady("the check took too long".to_owned())).into()),
    }
}

/// Shows the metrics in the `OpenMetrics` text format
///
/// What the process counts and measures, for a scraper. It says nothing of customers.
#[utoipa::path(
    tag = "health",
    security(()),
    responses(
        (
            status = 200,
            description = "The metrics.",
            body = String,
            content_type = "application/openmetrics-text"
        ),
        FaultProblems
    )
)]
#[get("/metrics")]
async fn metrics(edge: web::Data<Edge>) -> Result<HttpResponse, Problem> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, edge.registry())
        .map_err(AppError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(OPENMETRICS)
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

/// Shows this document
///
/// The same text that is checked in with the source.
#[utoipa::path(
    tag = "health",
    security(()),
    responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value))
)]
#[get("/openapi.json")]
async fn openapi_json(document: DocumentData) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(document.text())
}
