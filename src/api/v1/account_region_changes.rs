//! Changes of AWS accounts in Regions.

use actix_web::patch;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::account_regions::AccountRegionView;
use super::actor;
use super::arguments::given;
use crate::api::auth::{Caller, Manage};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccountRegionChangeConflict, AccountRegionMissing, AuthProblems, BodyProblems,
};
use crate::app::AppContext;
use crate::app::change_account_region::{self as app, AccountRegionChange};
use crate::domain::ids::AccountRegionId;

/// What to change. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRegionChangeBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the AccountRegion since makes this an `account_region_changed`.
    version: Option<i64>,
    /// Whether the worker serves it. A disabled one is given up within a second or two, and nothing is called there until it is enabled again.
    enabled: Option<bool>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// The IAM role to assume; null goes back to the process's own credentials.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "null is not absent")]
    role_arn: Option<Option<String>>,
    /// The external id that the role's trust policy asks for; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "null is not absent")]
    external_id: Option<Option<String>>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Changes an AWS account in a Region
///
/// With `version` alone, what kept replicas out is forgotten and they try again at once.
#[utoipa::path(
    tag = "account-regions",
    params(("id" = AccountRegionId, Path, description = "The AccountRegion.")),
    request_body = AccountRegionChangeBody,
    responses(
        (status = 200, description = "Changed.", body = AccountRegionView),
        AuthProblems, BodyProblems, AccountRegionMissing, AccountRegionChangeConflict
    )
)]
#[patch("/v1/account-regions/{id}")]
pub(super) async fn change_account_region(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<AccountRegionId>,
    ApiJson(body): ApiJson<AccountRegionChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AccountRegionView>, Problem> {
    let change = AccountRegionChange {
        version: meant.version(body.version)?,
        enabled: body.enabled,
        name: body.name,
        role_arn: body.role_arn,
        external_id: body.external_id,
        reason: body.reason,
    };
    let changed = app::change_account_region(&ctx, &actor(caller.subject), id, change).await?;
    Ok(Json(changed.into()))
}
