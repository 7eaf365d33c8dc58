//! Taking over the endpoint services that an account has already.

use std::collections::BTreeMap;

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use privatelink::ServiceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::arguments::aws_id;
use crate::api::auth::{Caller, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{AccountRegionMissing, AuthProblems, BodyProblems, ImportConflict};
use crate::app::import_services::{self as app, Import, ImportReport, Imported};
use crate::app::{AppContext, AppError};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::inventory::NotAdopted;

/// What to import.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportBody {
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Only these services by AWS's id, 1 to 500; all that can be taken over when absent.
    #[schema(min_items = 1, max_items = 500)]
    aws_service_ids: Option<Vec<String>>,
    /// Ask the worker for a fresh inventory. The answer is from the one there is; ask again until `inventory.at` has passed `inventory.wanted_at`.
    #[serde(default)]
    refresh: bool,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// What an import did, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportView {
    /// Whether it was only asked what would happen.
    dry_run: bool,
    /// What it was read from.
    inventory: InventoryView,
    /// How many services were adopted, or would be.
    adopted: usize,
    /// Every service of the inventory, or every one that was named.
    services: Vec<ImportedView>,
}

/// How fresh the inventory is.
#[derive(Debug, Serialize, ToSchema)]
pub struct InventoryView {
    /// When the listing began.
    at: DateTime<Utc>,
    /// How long ago that is, in seconds.
    age_seconds: i64,
    /// How many services it saw.
    services: i64,
    /// When somebody last asked for a fresh one.
    wanted_at: Option<DateTime<Utc>>,
    /// Why no later listing went through: AWS's code and words.
    error: Option<String>,
}

/// What happened to one service, or would.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedView {
    /// AWS's id.
    aws_service_id: String,
    /// Whether it was adopted by this request, or would be.
    adopted: bool,
    /// Why not; null when it is.
    not_adopted: Option<NotAdopted>,
    /// Its registration, where there is one.
    service_id: Option<EndpointServiceId>,
    /// What it would be called: its tag `Name`, else AWS's id.
    name: Option<String>,
    /// AWS's state.
    state: Option<String>,
    /// Whether each connection has to be accepted.
    acceptance_required: Option<bool>,
    /// The Network Load Balancers behind it.
    load_balancer_arns: Vec<String>,
    /// Who may connect; null where it was not read. They become drifts of the kind `unknown_principal` unless allowed here.
    allowed_principals: Option<Vec<String>>,
    /// How many connections it has, by AWS's state; null until they were counted, and for registered services.
    connections: Option<BTreeMap<String, i64>>,
    /// When the inventory first saw it.
    first_seen_at: Option<DateTime<Utc>>,
}

impl From<Imported> for ImportedView {
    fn from(row: Imported) -> Self {
        let service = row.service.as_ref();
        Self {
            aws_service_id: row.aws_service_id.to_string(),
            adopted: row.unfit.is_none(),
            not_adopted: row.unfit,
            service_id: row.registered_as,
            name: service.map(crate::domain::inventory::InventoryService::name),
            state: service.map(|s| s.described.state.to_string()),
            acceptance_required: service.map(|s| s.described.acceptance_required),
            load_balancer_arns: service
                .map(|s| &s.described.network_load_balancer_arns)
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
            first_seen_at: service.map(|s| s.first_seen_at),
            allowed_principals: service.and_then(|s| s.principals.clone()),
            connections: row.service.and_then(|s| s.connections),
        }
    }
}

fn shown(report: ImportReport, dry_run: bool) -> ImportView {
    let services: Vec<ImportedView> = report.services.into_iter().map(Into::into).collect();
    ImportView {
        dry_run,
        inventory: InventoryView {
            at: report.listing.at,
            age_seconds: (report.now - report.listing.at).num_seconds(),
            services: report.listing.services,
            wanted_at: report.inventory.wanted_at,
            error: report
                .inventory
                .error
                .map(|error| format!("{}: {}", error.code, error.message)),
        },
        adopted: services.iter().filter(|s| s.adopted).count(),
        services,
    }
}

/// Imports the services that an account has
///
/// Registers the endpoint services that AWS has in this account and Region as adopted, all or those named, in one transaction. With `dry_run` it
/// only says which, and why not the others. Repeating it changes nothing. It reads the inventory that the worker keeps and calls no AWS.
#[utoipa::path(
    tag = "account-regions",
    params(("id" = AccountRegionId, Path, description = "The AccountRegion.")),
    request_body = ImportBody,
    responses(
        (status = 200, description = "Imported, or what would be.", body = ImportView),
        AuthProblems, BodyProblems, AccountRegionMissing, ImportConflict
    )
)]
#[post("/v1/account-regions/{id}/import")]
pub(super) async fn import_services(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AccountRegionId>,
    ApiJson(body): ApiJson<ImportBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ImportView>, Problem> {
    let dry_run = body.dry_run;
    let services = body.aws_service_ids.map(|ids| {
        let of = |(index, id): (usize, &String)| aws_id(&format!("aws_service_ids[{index}]"), id);
        ids.iter()
            .enumerate()
            .map(of)
            .collect::<Result<Vec<ServiceId>, AppError>>()
    });
    let import = Import {
        dry_run,
        services: services.transpose()?,
        refresh: body.refresh,
        reason: body.reason,
    };
    let report = app::import_services(&ctx, &actor(caller.subject), id, import).await?;
    Ok(Json(shown(report, dry_run)))
}
