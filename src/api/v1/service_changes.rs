//! Changes of registered endpoint services.

use std::collections::BTreeMap;

use actix_web::patch;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::services::ServiceView;
use crate::api::auth::{Caller, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, BodyProblems, ServiceChangeConflict, ServiceMissing};
use crate::app::AppContext;
use crate::app::change_service::{self as app, ServiceChange};
use crate::domain::ids::EndpointServiceId;

/// What to change. Members that are absent stay as they are; lists and tags are replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceChangeBody {
    /// The `version` that you have read. Whoever changed the service since makes this a `service_changed`.
    version: i64,
    /// What people call it. On a service that Portcullis created it is also the tag `Name`.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// Whether each connection has to be accepted. Connections that wait already go on waiting.
    acceptance_required: Option<bool>,
    /// Principals that shall be able to connect. One that is left out is removed from AWS if Portcullis put it there. Connections that
    /// exist are not touched: revoke them.
    allowed_principals: Option<Vec<String>>,
    /// `ipv4`, `ipv6` or both.
    supported_ip_address_types: Option<Vec<String>>,
    /// Other Regions that consumers may connect from. The service's own needs no mention.
    supported_regions: Option<Vec<String>>,
    /// Tags. One that is left out is removed from AWS if Portcullis set it.
    tags: Option<BTreeMap<String, String>>,
    /// Yes, it is meant that `*` may connect without acceptance.
    #[serde(default)]
    confirm_open_to_everybody: bool,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Changes a service
///
/// Records what is desired; the worker brings AWS in step and reads it back, and then `applied_version` is `version`. With `version` alone,
/// AWS is made to agree again with what is desired, whatever somebody changed there.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ServiceChangeBody,
    responses(
        (status = 200, description = "Recorded.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, ServiceChangeConflict
    )
)]
#[patch("/v1/services/{id}")]
pub(super) async fn change_service(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ServiceChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let change = ServiceChange {
        version: body.version,
        name: body.name,
        acceptance_required: body.acceptance_required,
        allowed_principals: body.allowed_principals,
        supported_ip_address_types: body.supported_ip_address_types,
        supported_regions: body.supported_regions,
        tags: body.tags,
        confirm_open_to_everybody: body.confirm_open_to_everybody,
        reason: body.reason,
    };
    let changed = app::change_service(&ctx, &actor(caller.subject), id, change).await?;
    Ok(Json(changed.into()))
}
