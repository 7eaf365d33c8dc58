//! What the worker gave up on: the list, and who takes care.

use std::str::FromStr;

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::actor;
use super::arguments::{Limit, time_of_cursor};
use super::connections::ConnectionView;
use super::decisions::ReasonBody;
use super::services::ServiceView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, ConnectionClaimConflict, ConnectionMissing,
    ConnectionRetryConflict, InputProblems, ServiceClaimConflict, ServiceMissing,
    ServiceStallConflict,
};
use crate::app::stall_care::{self, Care};
use crate::app::{AppContext, read};
use crate::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use crate::domain::stall::{StallKind, Stalled, StalledId};
use crate::store::stalls::Filter;

/// A connection or a service that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct StallView {
    /// Which of the two.
    kind: StallKind,
    /// Its id.
    id: String,
    /// Where it lives.
    account_region_id: AccountRegionId,
    /// The service's name, or AWS's id of the consumer's endpoint.
    name: String,
    /// Since when.
    stalled_at: DateTime<Utc>,
    /// The last AWS error code, or the worker's reason.
    code: String,
    /// The same as a sentence.
    message: Option<String>,
    /// Calls made, or tries that failed.
    attempts: i32,
    /// Who takes care; null while nobody does.
    owner: Option<String>,
    /// Since when.
    owned_at: Option<DateTime<Utc>>,
}

impl From<Stalled> for StallView {
    fn from(row: Stalled) -> Self {
        let (kind, id) = match row.id {
            StalledId::Connection(id) => (StallKind::Connection, id.to_string()),
            StalledId::Service(id) => (StallKind::Service, id.to_string()),
        };
        let (owner, owned_at) = row.stall.owner.unzip();
        Self {
            kind,
            id,
            account_region_id: row.account_region,
            name: row.name,
            stalled_at: row.stall.since,
            code: row.code,
            message: row.message,
            attempts: row.attempts,
            owner,
            owned_at,
        }
    }
}

/// A page of what is stalled, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct StallList {
    /// The rows.
    items: Vec<StallView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<String>,
}

/// Where a page begins: a time in microseconds and an id.
#[derive(Debug, Clone, Copy)]
struct Cursor(DateTime<Utc>, Uuid);

impl Cursor {
    fn text(self) -> String {
        format!("{}_{}", self.0.timestamp_micros(), self.1.simple())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "pass the next_cursor of the page before";
        let (micros, id) = text.split_once('_').ok_or(expected)?;
        let at = time_of_cursor(micros).ok_or(expected)?;
        let id = Uuid::try_parse(id).map_err(|_| expected)?;
        Ok(Self(at, id))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only connections, or only services.
    kind: Option<StallKind>,
    /// Only those with this code.
    code: Option<String>,
    /// Only those of this AccountRegion.
    account_region_id: Option<AccountRegionId>,
    /// Only those that somebody takes care of, or only the others.
    owned: Option<bool>,
    /// Where to read on: the `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,17}_[0-9a-f]{32}$")]
    cursor: Option<Cursor>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists what is stalled, connections and services together
///
/// What the worker gave up on, with AWS's code. Each stays until somebody retries it or gives it up.
#[utoipa::path(
    tag = "stalls",
    params(ListQuery),
    responses((status = 200, description = "A page, oldest first.", body = StallList), AuthProblems, InputProblems)
)]
#[get("/v1/stalls")]
pub(super) async fn list_stalls(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<StallList>, Problem> {
    let filter = Filter {
        kind: query.kind,
        code: query.code.as_deref(),
        account_region: query.account_region_id,
        owned: query.owned,
    };
    let after = query.cursor.map(|Cursor(at, id)| (at, id));
    let listed = read::stalls(&ctx, &filter, after, query.limit.0).await?;
    Ok(Json(StallList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next.map(|(at, id)| Cursor(at, id).text()),
    }))
}

/// Takes care of a stalled connection
///
/// Says to everybody who looks that you are on it. It ends with the stall.
#[utoipa::path(
    tag = "stalls",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses(
        (status = 200, description = "Yours.", body = ConnectionView),
        AuthProblems, InputProblems, ConnectionMissing, ConnectionClaimConflict
    )
)]
#[post("/v1/connections/{id}/claim-stall")]
pub(super) async fn claim_connection_stall(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    of_connection(&ctx, caller, id, Care::Claim).await
}

/// Leaves a stalled connection to others, whoever took care of it
///
/// It stays stalled until somebody retries it or gives it up.
#[utoipa::path(
    tag = "stalls",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses(
        (status = 200, description = "Nobody's.", body = ConnectionView),
        AuthProblems, InputProblems, ConnectionMissing, ConnectionRetryConflict
    )
)]
#[post("/v1/connections/{id}/release-stall")]
pub(super) async fn release_connection_stall(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    of_connection(&ctx, caller, id, Care::Release).await
}

/// Gives a stalled connection up
///
/// Accepts that AWS cannot be brought in step. The sync comes to rest as `given_up`; what AWS shows next, a new decision or `retry-sync`
/// wakes it again.
#[utoipa::path(
    tag = "stalls",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Given up.", body = ConnectionView),
        AuthProblems, BodyProblems, ConnectionMissing, ConnectionRetryConflict
    )
)]
#[post("/v1/connections/{id}/give-up")]
pub(super) async fn give_up_connection(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    let actor = actor(caller.subject);
    let given_up = stall_care::give_up_connection(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(given_up.into()))
}

/// Takes care of a stalled service
///
/// Says to everybody who looks that you are on it. It ends with the stall.
#[utoipa::path(
    tag = "stalls",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses(
        (status = 200, description = "Yours.", body = ServiceView),
        AuthProblems, InputProblems, ServiceMissing, ServiceClaimConflict
    )
)]
#[post("/v1/services/{id}/claim-stall")]
pub(super) async fn claim_service_stall(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    of_service(&ctx, caller, id, Care::Claim).await
}

/// Leaves a stalled service to others, whoever took care of it
///
/// It stays stalled until somebody retries it or gives it up.
#[utoipa::path(
    tag = "stalls",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses(
        (status = 200, description = "Nobody's.", body = ServiceView),
        AuthProblems, InputProblems, ServiceMissing, ServiceClaimConflict
    )
)]
#[post("/v1/services/{id}/release-stall")]
pub(super) async fn release_service_stall(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    of_service(&ctx, caller, id, Care::Release).await
}

/// Gives a stalled service up
///
/// Accepts that AWS cannot be brought in step. The worker leaves the service as it is; a change, a drain or `retry-sync` wakes it again.
#[utoipa::path(
    tag = "stalls",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Given up.", body = ServiceView),
        AuthProblems, BodyProblems, ServiceMissing, ServiceStallConflict
    )
)]
#[post("/v1/services/{id}/give-up")]
pub(super) async fn give_up_service(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let actor = actor(caller.subject);
    let given_up = stall_care::give_up_service(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(given_up.into()))
}

async fn of_connection(
    ctx: &AppContext,
    caller: Caller<Manage>,
    id: ConnectionId,
    care: Care,
) -> Result<Json<ConnectionView>, Problem> {
    let actor = actor(caller.subject);
    let cared = stall_care::care_for_connection(ctx, &actor, id, care).await?;
    Ok(Json(cared.into()))
}

async fn of_service(
    ctx: &AppContext,
    caller: Caller<Manage>,
    id: EndpointServiceId,
    care: Care,
) -> Result<Json<ServiceView>, Problem> {
    let actor = actor(caller.subject);
    let cared = stall_care::care_for_service(ctx, &actor, id, care).await?;
    Ok(Json(cared.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let at = DateTime::from_timestamp_micros(1_764_147_600_123_456).unwrap();
        let cursor = Cursor(at, Uuid::from_u128(7));
        let read: Cursor = cursor.text().parse().unwrap();
        assert_eq!((read.0, read.1), (at, Uuid::from_u128(7)));
        for bad in ["", "7", "x_y", "1_", "99999999999999999999_0", "1_zz"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }
}
