//! The drift inbox: lists, one, and settling one or many.

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use crate::api::auth::{Caller, Decide, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, DriftConflict, DriftMissing, InputProblems,
};
use crate::app::code::Code;
use crate::app::idempotency::{apart, wait_for_parts};
use crate::app::settle_drift::{Settlement, settle_drift};
use crate::app::{AppContext, AppError, read};
use crate::domain::actor::ActorKind;
use crate::domain::drift::DriftKind;
use crate::domain::drift_inbox::{Drift, DriftState, DriftVerb};
use crate::domain::ids::{AccountRegionId, ConnectionId, DriftId, EndpointServiceId};
use crate::store::drifts::Filter;

/// The most drifts that are adopted in one request.
const MOST_AT_ONCE: usize = 500;

/// A disagreement between AWS and Portcullis that no decision explains.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftView {
    /// Its id.
    id: DriftId,
    /// What kind of disagreement.
    kind: DriftKind,
    /// `open` waits for a person; the others say how it was settled. An `ignored` one may go on standing.
    state: DriftState,
    /// Where it was seen.
    account_region_id: AccountRegionId,
    /// The registered service that it is about, or whose connection; null for a service that is not registered.
    service_id: Option<EndpointServiceId>,
    /// The connection that it is about, for kinds about connections.
    connection_id: Option<ConnectionId>,
    /// Which one of its kind: an endpoint, a principal, or a service by AWS's id.
    subject: String,
    /// What was decided or desired. With `after` it is the content; when that changes, a new drift begins.
    before: serde_json::Value,
    /// What AWS shows.
    after: serde_json::Value,
    /// What else was seen when it was noticed.
    evidence: serde_json::Value,
    /// When it was noticed.
    detected_at: DateTime<Utc>,
    /// Since when it does not stand any more; null while AWS and Portcullis disagree.
    resolved_at: Option<DateTime<Utc>>,
    /// Who settled it and why; null while it is open.
    settlement: Option<SettlementView>,
}

/// How a drift was settled.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettlementView {
    /// When.
    at: DateTime<Utc>,
    /// A `person`, or the `worker` where it went away by itself.
    by_kind: ActorKind,
    /// Who.
    by: String,
    /// Why.
    reason: String,
}

impl From<Drift> for DriftView {
    fn from(row: Drift) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            account_region_id: row.account_region_id,
            service_id: row.service_id,
            connection_id: row.connection_id,
            subject: row.subject,
            before: row.before,
            after: row.after,
            evidence: row.evidence,
            detected_at: row.detected_at,
            resolved_at: row.resolved_at,
            settlement: row.settled.map(|settled| SettlementView {
                at: settled.at,
                by_kind: settled.by_kind,
                by: settled.by,
                reason: settled.reason,
            }),
        }
    }
}

/// A page of drifts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftList {
    /// The rows.
    items: Vec<DriftView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<DriftId>,
}

/// Why a drift is settled so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleBody {
    /// Why, for the record: 1 to 1000 characters.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "Agreed with the network team"
    )]
    reason: String,
    /// For adopting: yes, it is meant that `*` may connect without acceptance.
    #[serde(default)]
    confirm_open_to_everybody: bool,
    /// For adopting that AWS has not a principal any more: yes, it is meant although an agreement in force stands on it.
    #[serde(default)]
    confirm_principals_of_agreements: bool,
    /// For adopting what AWS accepted: yes, it is meant although it goes beyond a quota.
    #[serde(default)]
    over_quota: bool,
}

/// Which drifts to adopt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptManyBody {
    /// 1 to 500 drifts.
    #[schema(min_items = 1, max_items = 500)]
    ids: Vec<DriftId>,
    /// Why, for the record of each: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Yes, it is meant that `*` may connect without acceptance.
    #[serde(default)]
    confirm_open_to_everybody: bool,
    /// Yes, it is meant that AWS has not a principal any more although an agreement in force stands on it.
    #[serde(default)]
    confirm_principals_of_agreements: bool,
    /// Yes, it is meant although it goes beyond quotas.
    #[serde(default)]
    over_quota: bool,
}

/// What became of many drifts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdoptedMany {
    /// How many were adopted.
    adopted: usize,
    /// One entry for each id, in the order given.
    results: Vec<AdoptResult>,
}

/// What became of one of many.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdoptResult {
    /// The drift.
    id: DriftId,
    /// Whether it was adopted.
    adopted: bool,
    /// Why not: an error code; null when it was.
    code: Option<&'static str>,
    /// The same as a sentence.
    detail: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only this kind.
    kind: Option<DriftKind>,
    /// Only those in this state; `open` is the inbox.
    state: Option<DriftState>,
    /// Only drifts of this service and of its connections.
    service_id: Option<EndpointServiceId>,
    /// Only drifts of this AccountRegion.
    account_region_id: Option<AccountRegionId>,
    /// Only drifts of this connection.
    connection_id: Option<ConnectionId>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<DriftId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists drifts
///
/// What AWS shows and no decision here explains. Those that were settled or healed stay listed: see `state`.
#[utoipa::path(
    tag = "drifts",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = DriftList), AuthProblems, InputProblems)
)]
#[get("/v1/drifts")]
pub(super) async fn list_drifts(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<DriftList>, Problem> {
    let filter = Filter {
        kind: query.kind,
        state: query.state,
        service: query.service_id,
        account_region: query.account_region_id,
        connection: query.connection_id,
    };
    let listed = read::drifts(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(DriftList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads a drift
///
/// With what was expected, what AWS showed instead, and how it was settled.
#[utoipa::path(
    tag = "drifts",
    params(("id" = DriftId, Path, description = "The drift.")),
    responses((status = 200, description = "The drift.", body = DriftView), AuthProblems, InputProblems, DriftMissing)
)]
#[get("/v1/drifts/{id}")]
pub(super) async fn read_drift(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<DriftId>,
    ctx: Data<AppContext>,
) -> Result<Json<DriftView>, Problem> {
    Ok(Json(read::drift(&ctx, id).await?.into()))
}

/// Adopts a drift
///
/// What AWS shows is what is wanted from now on: a connection gets the decision that agrees with it, a service takes over what AWS shows, an
/// unknown principal becomes an allowed one, an unknown service is registered. AWS is not changed. Drifts of services take an admin.
#[utoipa::path(
    tag = "drifts",
    params(("id" = DriftId, Path, description = "The drift.")),
    request_body = SettleBody,
    responses(
        (status = 200, description = "Adopted.", body = DriftView),
        AuthProblems, BodyProblems, DriftMissing, DriftConflict
    )
)]
#[post("/v1/drifts/{id}/adopt")]
pub(super) async fn adopt_drift(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<DriftId>,
    ApiJson(body): ApiJson<SettleBody>,
    ctx: Data<AppContext>,
) -> Result<Json<DriftView>, Problem> {
    settle(&ctx, caller, id, DriftVerb::Adopt, body).await
}

/// Reverts a drift
///
/// AWS is brought back to what was wanted, by the worker: the connection is rejected, the service made as it is desired, the unknown principal
/// removed. Where AWS offers no way back, 409 `drift_not_revertible`. Drifts of services take an admin.
#[utoipa::path(
    tag = "drifts",
    params(("id" = DriftId, Path, description = "The drift.")),
    request_body = SettleBody,
    responses(
        (status = 200, description = "Recorded; AWS is told right after.", body = DriftView),
        AuthProblems, BodyProblems, DriftMissing, DriftConflict
    )
)]
#[post("/v1/drifts/{id}/revert")]
pub(super) async fn revert_drift(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<DriftId>,
    ApiJson(body): ApiJson<SettleBody>,
    ctx: Data<AppContext>,
) -> Result<Json<DriftView>, Problem> {
    settle(&ctx, caller, id, DriftVerb::Revert, body).await
}

/// Ignores a drift
///
/// Both stay as they are. It is quiet until what AWS shows changes, or heals and comes back. Drifts of services take an admin.
#[utoipa::path(
    tag = "drifts",
    params(("id" = DriftId, Path, description = "The drift.")),
    request_body = SettleBody,
    responses(
        (status = 200, description = "Ignored.", body = DriftView),
        AuthProblems, BodyProblems, DriftMissing, DriftConflict
    )
)]
#[post("/v1/drifts/{id}/ignore")]
pub(super) async fn ignore_drift(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<DriftId>,
    ApiJson(body): ApiJson<SettleBody>,
    ctx: Data<AppContext>,
) -> Result<Json<DriftView>, Problem> {
    settle(&ctx, caller, id, DriftVerb::Ignore, body).await
}

/// Adopts many drifts
///
/// Each by itself, with a result for each: those that cannot be adopted keep none of the others. Meant for what stood there when a service was
/// taken over.
#[utoipa::path(
    tag = "drifts",
    request_body = AdoptManyBody,
    responses(
        (status = 200, description = "What became of each.", body = AdoptedMany),
        AuthProblems, BodyProblems
    )
)]
#[post("/v1/drifts/adopt")]
pub(super) async fn adopt_drifts(
    caller: Caller<Decide>,
    ApiJson(body): ApiJson<AdoptManyBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AdoptedMany>, Problem> {
    if body.ids.is_empty() || body.ids.len() > MOST_AT_ONCE {
        let detail = format!("give 1 to {MOST_AT_ONCE} ids, not {}", body.ids.len());
        return Err(AppError::new(Code::InvalidRequest, detail)
            .field("ids")
            .into());
    }
    let settlement = Settlement {
        verb: DriftVerb::Adopt,
        reason: body.reason,
        confirm_open_to_everybody: body.confirm_open_to_everybody,
        confirm_principals_of_agreements: body.confirm_principals_of_agreements,
        over_quota: body.over_quota,
        may_manage: caller.may::<Manage>(),
    };
    let actor = actor(caller.subject);
    let mut results = Vec::with_capacity(body.ids.len());
    wait_for_parts().await.map_err(AppError::from)?;
    for id in body.ids {
        // In transactions of their own, so that none holds its locks for all.
        let settled = Box::pin(apart(settle_drift(&ctx, &actor, id, &settlement)));
        let refusal = match settled.await {
            Ok(_) => None,
            // The whole request is at fault, or nothing more can be done now: what was adopted so far stands, and repeating is harmless.
            Err(error) if is_about_all(&error) => return Err(error.into()),
            Err(error) => Some(error),
        };
        results.push(AdoptResult {
            id,
            adopted: refusal.is_none(),
            code: refusal.as_ref().map(|error| error.code().slug()),
            detail: refusal.map(|error| error.detail().to_owned()),
        });
    }
    let adopted = results.iter().filter(|result| result.adopted).count();
    Ok(Json(AdoptedMany { adopted, results }))
}

fn is_about_all(error: &AppError) -> bool {
    let fault = matches!(
        error.code(),
        Code::Internal | Code::Unavailable | Code::Timeout
    );
    fault || error.blamed_field() == Some("reason")
}

async fn settle(
    ctx: &AppContext,
    caller: Caller<Decide>,
    id: DriftId,
    verb: DriftVerb,
    body: SettleBody,
) -> Result<Json<DriftView>, Problem> {
    let settlement = Settlement {
        verb,
        reason: body.reason,
        confirm_open_to_everybody: body.confirm_open_to_everybody,
        confirm_principals_of_agreements: body.confirm_principals_of_agreements,
        over_quota: body.over_quota,
        may_manage: caller.may::<Manage>(),
    };
    let settled = settle_drift(ctx, &actor(caller.subject), id, &settlement).await?;
    Ok(Json(settled.into()))
}
