//! The end of a registered service: drain, delete, cancel, release, and what is shown of it.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::arguments::optional_time;
use super::services::ServiceView;
use crate::api::auth::{Caller, Manage};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, CancelDrainConflict, DrainConflict, ReleaseConflict, ServiceMissing,
};
use crate::app::code::Code;
use crate::app::drain_service::{self as drains, RejectWhen, Wish};
use crate::app::read::{self, DrainSeen};
use crate::app::{AppContext, AppError, cancel_drain as cancels, release_service as releases};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{ConnectionId, EndpointServiceId, ListingId};
use crate::domain::lifecycle::{Blocking, Lifecycle, LifecycleState, Phase};
use crate::domain::principal;
use crate::domain::review::ReviewState;
use crate::domain::sync::SyncState;

/// Where a service is in its life.
#[derive(Debug, Serialize, ToSchema)]
pub struct LifecycleView {
    /// `active`: in use. `draining`: nobody new is let in. `deleting`: AWS was asked to delete it. `deleted`: AWS does not have it any more.
    /// `released`: it is not looked after here any more, and AWS keeps it.
    state: LifecycleState,
    /// Since when; null while it is active and was never drained.
    since: Option<DateTime<Utc>>,
    /// Who wanted it so.
    by: Option<String>,
    /// Why.
    reason: Option<String>,
    /// When live connections are rejected, while it is drained.
    reject_at: Option<DateTime<Utc>>,
    /// Whether it is deleted in AWS once it is drained.
    then_delete: bool,
}

impl From<&Lifecycle> for LifecycleView {
    fn from(row: &Lifecycle) -> Self {
        let (said, drain) = (row.said.as_ref(), row.drain.as_ref());
        Self {
            state: row.state,
            since: said.map(|said| said.at),
            by: said.map(|said| said.by.clone()),
            reason: said.map(|said| said.reason.clone()),
            reject_at: drain.map(|drain| drain.reject_at),
            then_delete: drain.is_some_and(|drain| drain.then_delete),
        }
    }
}

/// How far a drain is.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrainView {
    /// The phase.
    phase: Phase,
    /// What it waits for, as a clause.
    waits_for: String,
    /// When AWS was seen to let nobody new in; null until then.
    frozen_at: Option<DateTime<Utc>>,
    /// All connections of the service by the state that AWS shows.
    connections: BTreeMap<String, i64>,
    /// Connections that are live and not decided against yet.
    to_reject: i64,
    /// Connections that are live.
    live: i64,
    /// Connections that the worker gave up on; see `GET /v1/stalls`.
    stalled: i64,
    /// How many endpoints AWS may count as attached, rejected and deleting ones included.
    blocking_count: i64,
    /// The first of them, live ones first: at most 20.
    blocking: Vec<BlockingView>,
    /// Principals that AWS lets in and that Portcullis did not put there: they are left, and can send requests that wait. Remove them in AWS.
    foreign_principals: Vec<String>,
    /// When AWS was last asked to delete the service.
    delete_called_at: Option<DateTime<Utc>>,
    /// How many times AWS would not.
    delete_refusals: i32,
    /// AWS's last code about deleting it.
    code: Option<String>,
    /// The same as a sentence.
    message: Option<String>,
}

/// An endpoint that is in the way of deleting a service, or may be.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockingView {
    /// The connection.
    connection_id: ConnectionId,
    /// The consumer's endpoint.
    endpoint_id: String,
    /// The consumer's account.
    owner_account_id: String,
    /// What AWS shows. A `rejected` one is in the way for a while, or until its owner deletes it.
    state: String,
    /// What was decided.
    review: ReviewState,
    /// Whether AWS is told.
    sync_state: SyncState,
}

impl From<Blocking> for BlockingView {
    fn from(row: Blocking) -> Self {
        Self {
            connection_id: row.connection,
            endpoint_id: row.endpoint.into(),
            owner_account_id: row.owner.into(),
            state: row.state,
            review: row.review,
            sync_state: row.sync,
        }
    }
}

impl DrainView {
    fn of(service: &RegisteredService, seen: DrainSeen, now: DateTime<Utc>) -> Option<Self> {
        let drain = service.lifecycle.drain.as_ref()?;
        let phase = drain.phase(service.lifecycle.state, &seen.progress, now);
        let (code, message) = drain.answer.clone().unzip();
        Some(Self {
            phase,
            waits_for: phase.waits_for().to_owned(),
            frozen_at: drain.frozen_at,
            to_reject: seen.progress.to_reject,
            live: seen.progress.live,
            stalled: seen.progress.stalled,
            blocking_count: seen.progress.attached,
            connections: seen.progress.by_state,
            blocking: seen.blocking.into_iter().map(Into::into).collect(),
            foreign_principals: foreign_principals(service),
            delete_called_at: drain.called_at,
            delete_refusals: drain.refusals,
            code,
            message,
        })
    }
}

/// The principals that AWS lets in and that are not ours to take out.
fn foreign_principals(service: &RegisteredService) -> Vec<String> {
    let ours: BTreeSet<String> = service
        .granted_principals
        .iter()
        .map(|p| principal::canonical(p))
        .collect();
    let observed = service.observed.as_ref();
    let shown = observed.and_then(|seen| seen.principals.as_deref());
    let foreign = |p: &&String| !ours.contains(&principal::canonical(p));
    shown
        .unwrap_or_default()
        .iter()
        .filter(foreign)
        .cloned()
        .collect()
}

/// A service with how far its drain is.
pub(super) async fn with_drain(
    ctx: &AppContext,
    service: RegisteredService,
) -> Result<Json<ServiceView>, Problem> {
    let seen = read::drain(ctx, &service).await?;
    let drain = seen.and_then(|seen| DrainView::of(&service, seen, ctx.clock.now()));
    Ok(Json(ServiceView::from(service).with_drain(drain)))
}

/// How to drain a service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainBody {
    /// The `version` that you have read; may be left out with `If-Match`.
    version: Option<i64>,
    /// Why: 1 to 1000 characters. Also the reason of the rejections, and of what consumers are told.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "The product is discontinued"
    )]
    reason: String,
    /// After how many seconds live connections are rejected; 0 is at once. Give this or `reject_at`.
    #[schema(maximum = 31_622_400)]
    reject_after_seconds: Option<u32>,
    /// When live connections are rejected.
    #[serde(default, deserialize_with = "optional_time")]
    reject_at: Option<DateTime<Utc>>,
    /// Delete the service in AWS once nobody is connected.
    #[serde(default)]
    then_delete: bool,
    /// Yes, it is known that a deleted service cannot be brought back. Needed with `then_delete`.
    #[serde(default)]
    confirm_delete: bool,
    /// The listing that sells the service, where one does: yes, it is known that the listing loses it. Without it, a service that is sold is not ended.
    confirm_sold_by: Option<ListingId>,
}

/// How to delete a service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteBody {
    /// The `version` that you have read; may be left out with `If-Match`.
    version: Option<i64>,
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// After how many seconds live connections are rejected; 0 is at once. Give this or `reject_at`, unless the service is drained already.
    #[schema(maximum = 31_622_400)]
    reject_after_seconds: Option<u32>,
    /// When live connections are rejected.
    #[serde(default, deserialize_with = "optional_time")]
    reject_at: Option<DateTime<Utc>>,
    /// Yes, it is known that a deleted service cannot be brought back.
    #[serde(default)]
    confirm_delete: bool,
    /// The listing that sells the service, where one does: yes, it is known that the listing loses it. Without it, a service that is sold is not ended.
    confirm_sold_by: Option<ListingId>,
}

/// Why, and of which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndBody {
    /// The `version` that you have read; may be left out with `If-Match`.
    version: Option<i64>,
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// Why, and of which version; and whose sale it ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceReleaseBody {
    /// The `version` that you have read; may be left out with `If-Match`.
    version: Option<i64>,
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// The listing that sells the service, where one does: yes, it is known that the listing loses it. Without it, a service that is sold is not ended.
    confirm_sold_by: Option<ListingId>,
}

fn reject_when(
    seconds: Option<u32>,
    at: Option<DateTime<Utc>>,
) -> Result<Option<RejectWhen>, AppError> {
    match (seconds, at) {
        (Some(_), Some(_)) => {
            let detail = "give reject_after_seconds or reject_at, not both";
            Err(AppError::new(Code::InvalidRequest, detail).field("reject_at"))
        }
        (Some(seconds), None) => Ok(Some(RejectWhen::AfterSeconds(seconds))),
        (None, at) => Ok(at.map(RejectWhen::At)),
    }
}

/// Drains a service
///
/// From now on nobody is let in: accepting is refused, AWS requires acceptance, and the principals that Portcullis put there are taken out. When the
/// notice is over, live connections are rejected in your name. `drain` of the service shows how far it is. `cancel-drain` takes it back.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = DrainBody,
    responses(
        (status = 200, description = "Recorded.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, DrainConflict
    )
)]
#[post("/v1/services/{id}/drain")]
pub(super) async fn drain_service(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<DrainBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let wish = Wish {
        version: meant.version(body.version)?,
        reason: body.reason,
        reject: reject_when(body.reject_after_seconds, body.reject_at)?,
        then_delete: body.then_delete,
        confirm_delete: body.confirm_delete,
        sold_by: body.confirm_sold_by,
    };
    let drained = drains::drain_service(&ctx, &actor(caller.subject), id, wish).await?;
    with_drain(&ctx, drained).await
}

/// Drains a service and then deletes it in AWS
///
/// A service that is drained already is deleted once nobody is connected; its notice stands. AWS refuses while endpoints are attached and is asked
/// again; `drain` shows which they are. `cancel-drain` works until AWS has taken the call. Load balancers are never deleted.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = DeleteBody,
    responses(
        (status = 200, description = "Recorded.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, DrainConflict
    )
)]
#[post("/v1/services/{id}/delete")]
pub(super) async fn delete_service(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<DeleteBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let wish = Wish {
        version: meant.version(body.version)?,
        reason: body.reason,
        reject: reject_when(body.reject_after_seconds, body.reject_at)?,
        then_delete: true,
        confirm_delete: body.confirm_delete,
        sold_by: body.confirm_sold_by,
    };
    let deleted = drains::delete_service(&ctx, &actor(caller.subject), id, wish).await?;
    with_drain(&ctx, deleted).await
}

/// Takes a drain back
///
/// The service is active again, and AWS is made to follow what is desired of it: principals and acceptance come back. Connections that were rejected
/// stay rejected, because AWS has no way back; their consumers make new endpoints.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = EndBody,
    responses(
        (status = 200, description = "Active again.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, CancelDrainConflict
    )
)]
#[post("/v1/services/{id}/cancel-drain")]
pub(super) async fn cancel_service_drain(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<EndBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let actor = actor(caller.subject);
    let active =
        cancels::cancel_drain(&ctx, &actor, id, meant.version(body.version)?, &body.reason).await?;
    with_drain(&ctx, active).await
}

/// Lets go of a service
///
/// AWS keeps it as it is, and nothing is done about it here any more; a call under way may still end. Its connections are shown as they were last
/// seen. AWS's id can be registered again. There is no way back from `released`.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ServiceReleaseBody,
    responses(
        (status = 200, description = "Released.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, ReleaseConflict
    )
)]
#[post("/v1/services/{id}/release")]
pub(super) async fn release_service(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ServiceReleaseBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let actor = actor(caller.subject);
    let (version, sold_by) = (meant.version(body.version)?, body.confirm_sold_by);
    let released =
        releases::release_service(&ctx, &actor, id, version, &body.reason, sold_by).await?;
    with_drain(&ctx, released).await
}
