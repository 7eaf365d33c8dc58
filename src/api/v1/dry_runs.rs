//! Dry runs of policies.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::policy_views::DryRunView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, DryRunConflict, DryRunMissing, InputProblems, PolicyMissing,
    PolicyWrong,
};
use crate::app::{AppContext, dry_run_policy as app, read_policies};
use crate::domain::ids::{DryRunId, PolicyId};

/// What to try a policy over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunBody {
    /// How many of the last decisions are judged again, beside everything that is live.
    #[schema(minimum = 0, maximum = 1_000_000, example = 10_000)]
    decisions: i64,
}

/// Asks for a dry run
///
/// A worker judges the last decisions and all live connections as they would be judged if the policy were in force. Nothing is decided. Read the run to see how
/// far it is. Of a policy that is in force, what is tried is to take it out: what would be decided without it.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = DryRunBody,
    responses(
        (status = 202, description = "A worker takes it up.", body = DryRunView,
         headers(("location" = String, description = "The dry run."))),
        AuthProblems, BodyProblems, PolicyMissing, DryRunConflict, PolicyWrong
    )
)]
#[post("/v1/policies/{id}/dry-runs")]
pub(super) async fn start_dry_run(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<DryRunBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let run = app::request(&ctx, &actor(caller.subject), id, body.decisions).await?;
    let place = format!("/v1/policies/{id}/dry-runs/{}", run.id);
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, place))
        .json(DryRunView::from(run)))
}

/// Reads a dry run
///
/// How far it is; when it is done, what would change, with samples.
#[utoipa::path(
    tag = "policies",
    params(
        ("id" = PolicyId, Path, description = "The policy."),
        ("dry_run_id" = DryRunId, Path, description = "The dry run.")
    ),
    responses((status = 200, description = "The run.", body = DryRunView), AuthProblems, InputProblems, DryRunMissing)
)]
#[get("/v1/policies/{id}/dry-runs/{dry_run_id}")]
pub(super) async fn read_dry_run(
    _caller: Caller<Read>,
    ApiPath((policy, id)): ApiPath<(PolicyId, DryRunId)>,
    ctx: Data<AppContext>,
) -> Result<Json<DryRunView>, Problem> {
    Ok(Json(read_policies::dry_run(&ctx, policy, id).await?.into()))
}
