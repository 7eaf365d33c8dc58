//! How a service wants its connections reviewed.

use actix_web::web::{Data, Json};
use actix_web::{get, patch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::arguments::given;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, ReviewRulesConflict, ServiceMissing,
};
use crate::app::AppContext;
use crate::app::change_review_rules::{self as app, ReviewRulesChange};
use crate::domain::ids::EndpointServiceId;
use crate::domain::review_rules::{Effective, OnOverdue, ReviewRules};

/// How a service wants its connections reviewed. AWS is not told of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewRulesView {
    /// Counts the changes. Send it with a change.
    version: i64,
    /// How many persons have to accept a connection: 1 or 2.
    approvals_required: i16,
    /// How long a request may wait, in seconds; null takes the installation's default.
    review_sla_seconds: Option<i64>,
    /// What happens when that time is over; null takes the installation's default.
    on_overdue: Option<OnOverdue>,
    /// How long access goes on after it has expired, in seconds; null takes the installation's default.
    expiry_grace_seconds: Option<i64>,
    /// What counts in the end.
    effective: EffectiveView,
}

/// The rules with the installation's defaults filled in.
#[derive(Debug, Serialize, ToSchema)]
pub struct EffectiveView {
    /// How long a request may wait, in seconds.
    review_sla_seconds: i64,
    /// After how many seconds people are reminded.
    reminder_seconds: i64,
    /// What happens when the time is over.
    on_overdue: OnOverdue,
    /// How long access goes on after it has expired, in seconds.
    expiry_grace_seconds: i64,
}

impl From<(ReviewRules, Effective)> for ReviewRulesView {
    fn from((rules, effective): (ReviewRules, Effective)) -> Self {
        Self {
            version: rules.version,
            approvals_required: rules.approvals_required,
            review_sla_seconds: rules.sla.map(|sla| sla.num_seconds()),
            on_overdue: rules.on_overdue,
            expiry_grace_seconds: rules.expiry_grace.map(|grace| grace.num_seconds()),
            effective: EffectiveView {
                review_sla_seconds: effective.sla.num_seconds(),
                reminder_seconds: effective.remind_after.num_seconds(),
                on_overdue: effective.on_overdue,
                expiry_grace_seconds: effective.expiry_grace.num_seconds(),
            },
        }
    }
}

/// What to change. Members that are absent stay as they are; null takes the installation's default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "null is not absent")]
pub struct ReviewRulesBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the rules since makes this a `review_rules_changed`.
    version: Option<i64>,
    /// How many persons have to accept a connection: 1 or 2. Approvals that stand go on standing.
    #[schema(minimum = 1, maximum = 2)]
    approvals_required: Option<i16>,
    /// How long a request may wait, in seconds, from when it was first seen.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    review_sla_seconds: Option<Option<i64>>,
    /// What happens when that time is over.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<OnOverdue>)]
    on_overdue: Option<Option<OnOverdue>>,
    /// How long access goes on after it has expired, in seconds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    expiry_grace_seconds: Option<Option<i64>>,
    /// Yes, it is meant that requests that wait now are rejected at once.
    #[serde(default)]
    confirm_reject_overdue: bool,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Reads how a service wants its connections reviewed
///
/// How many persons have to accept, how long a request may wait, and what happens then.
#[utoipa::path(
    tag = "reviews",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "The rules.", body = ReviewRulesView), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/services/{id}/review-rules")]
pub(super) async fn read_review_rules(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewRulesView>, Problem> {
    Ok(Json(app::review_rules(&ctx, id).await?.into()))
}

/// Changes how a service wants its connections reviewed
///
/// They count from now on, also for what waits already and for access that was given.
#[utoipa::path(
    tag = "reviews",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ReviewRulesBody,
    responses(
        (status = 200, description = "Recorded.", body = ReviewRulesView),
        AuthProblems, BodyProblems, ServiceMissing, ReviewRulesConflict
    )
)]
#[patch("/v1/services/{id}/review-rules")]
pub(super) async fn change_review_rules(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ReviewRulesBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewRulesView>, Problem> {
    let change = ReviewRulesChange {
        version: meant.version(body.version)?,
        approvals_required: body.approvals_required,
        review_sla_seconds: body.review_sla_seconds,
        on_overdue: body.on_overdue,
        expiry_grace_seconds: body.expiry_grace_seconds,
        confirm_reject_overdue: body.confirm_reject_overdue,
        reason: body.reason,
    };
    let changed = app::change_review_rules(&ctx, &actor(caller.subject), id, &change).await?;
    Ok(Json(changed.into()))
}
