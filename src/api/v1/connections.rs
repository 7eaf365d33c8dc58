//! Connections: lists, one with its history, and the operator's retry.

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use privatelink::{AccountId, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use super::review_views::ReviewedView;
use super::views::SyncView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, ConnectionMissing, ConnectionTellConflict, InputProblems,
};
use crate::app::{AppContext, read, retry_sync};
use crate::domain::connection::Connection;
use crate::domain::consumer::ConsumerRef;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{ConnectionId, ConsumerId, DecisionId, EndpointServiceId};
use crate::domain::order::Order;
use crate::domain::review::ReviewState;
use crate::domain::summary::Summary;
use crate::store::connection_list::Filter;

/// A consumer's connection to a service: what AWS says, what was decided, and whether AWS is told, kept apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionView {
    /// Its id here.
    id: ConnectionId,
    /// The service it connects to.
    service_id: EndpointServiceId,
    /// The same service by AWS's id.
    aws_service_id: Option<String>,
    /// AWS's id of the consumer's endpoint.
    endpoint_id: String,
    /// The consumer's AWS account.
    owner_account_id: String,
    /// Whose account that is; null while nobody said.
    consumer: Option<ConsumerRef>,
    /// Where it stands, in one word derived from the three facts below.
    summary: Summary,
    /// What AWS says.
    observed: ObservedView,
    /// What was decided.
    review: ReviewView,
    /// Whether AWS is told yet.
    sync: SyncView,
    /// When it was first seen.
    first_seen_at: DateTime<Utc>,
}

/// What AWS says about a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObservedView {
    /// AWS's state: `pendingAcceptance`, `pending`, `available`, `deleting`, `deleted`, `rejected`, `failed`, `expired`, `partial`, or a word
    /// that AWS added since.
    state: String,
    /// When the read that saw it, or its last change, began.
    at: DateTime<Utc>,
    /// When the consumer made the endpoint.
    created_at: Option<DateTime<Utc>>,
    /// AWS's id of the connection (`vpce-con-…`).
    connection_id: Option<String>,
    /// The consumer's Region where it differs from the service's.
    endpoint_region: Option<String>,
    /// `ipv4`, `dualstack` or `ipv6`.
    ip_address_type: Option<String>,
    /// The endpoint's DNS names, regional first.
    dns_names: Vec<String>,
}

/// What was decided about a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewView {
    /// Where the review stands.
    state: ReviewState,
    /// The decision behind it; the history has who, when and why.
    decision_id: Option<DecisionId>,
}

impl From<Connection> for ConnectionView {
    fn from(row: Connection) -> Self {
        Self {
            id: row.id,
            service_id: row.service_id,
            summary: row.summary(),
            aws_service_id: row.aws_service_id.map(Into::into),
            endpoint_id: row.endpoint_id.into(),
            owner_account_id: row.owner.into(),
            consumer: row.consumer,
            observed: ObservedView {
                state: row.observed.state.into(),
                at: row.observed.at,
                created_at: row.observed.created_at,
                connection_id: row.observed.connection_id,
                endpoint_region: row.observed.endpoint_region,
                ip_address_type: row.observed.ip_address_type,
                dns_names: row
                    .observed
                    .dns_entries
                    .into_iter()
                    .map(|e| e.dns_name)
                    .collect(),
            },
            review: ReviewView {
                state: row.review,
                decision_id: row.decision_id,
            },
            sync: SyncView {
                state: row.sync.state,
                due_at: row.sync.due_at,
                attempts: row.sync.attempts,
                code: row.sync.code,
                message: row.sync.message,
                stalled_at: None,
                owner: None,
                owned_at: None,
                given_up: row.given_up.map(Into::into),
            }
            .with_stall(row.stall),
            first_seen_at: row.first_seen_at,
        }
    }
}

/// A connection with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionDetail {
    /// The connection with the work on its review.
    #[serde(flatten)]
    reviewed: ReviewedView,
    /// What happened, oldest first; at most 200 entries of each kind, the newest kept.
    history: Vec<HistoryEntry>,
}

/// A page of connections.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionList {
    /// The rows.
    items: Vec<ConnectionView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConnectionId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only connections of this service.
    service_id: Option<EndpointServiceId>,
    /// Only connections of the service with this AWS id.
    #[param(value_type = Option<String>, pattern = "^vpce-svc-[0-9a-f]{8,17}$")]
    aws_service_id: Option<ServiceId>,
    /// Only connections of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    owner_account_id: Option<AccountId>,
    /// Only connections of the accounts that belong to this consumer now.
    consumer_id: Option<ConsumerId>,
    /// Only the connection of this endpoint.
    #[param(value_type = Option<String>, pattern = "^vpce-[0-9a-f]{8,17}$")]
    endpoint_id: Option<VpcEndpointId>,
    /// Only connections that stand here; `waiting` is the review queue; `/v1/reviews` has more about it.
    summary: Option<Summary>,
    /// Only connections reviewed so.
    review: Option<ReviewState>,
    /// The newest first (`desc`) or the oldest first (`asc`). A cursor is good for the order that it was got in.
    #[param(inline)]
    order: Option<Order>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConnectionId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists connections
///
/// What AWS shows, what was decided, and how far AWS is told, for each. `summary` is all three in one word.
#[utoipa::path(
    tag = "connections",
    params(ListQuery),
    responses((status = 200, description = "A page, in the order that was asked for.", body = ConnectionList), AuthProblems, InputProblems)
)]
#[get("/v1/connections")]
pub(super) async fn list_connections(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionList>, Problem> {
    let filter = Filter {
        service: query.service_id,
        aws_service_id: query.aws_service_id.as_ref(),
        owner: query.owner_account_id.as_ref(),
        consumer: query.consumer_id,
        endpoint: query.endpoint_id.as_ref(),
        summary: query.summary,
        review: query.review,
    };
    let listed = read::connections(
        &ctx,
        &filter,
        query.order.unwrap_or_default(),
        query.cursor,
        query.limit.0,
    )
    .await?;
    Ok(Json(ConnectionList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads a connection with its history
///
/// The history has what AWS showed, what was decided by whom and why, what the worker called, and what the consumer is to be told.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = ConnectionDetail), AuthProblems, InputProblems, ConnectionMissing)
)]
#[get("/v1/connections/{id}")]
pub(super) async fn read_connection(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionDetail>, Problem> {
    let (reviewed, history) = read::connection(&ctx, id).await?;
    Ok(Json(ConnectionDetail {
        reviewed: reviewed.into(),
        history,
    }))
}

/// Retries a connection that is stalled or was given up
///
/// Where it stalled because somebody changed it behind Portcullis' back, this overwrites what they did.
#[utoipa::path(
    tag = "connections",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses(
        (status = 200, description = "Due again.", body = ConnectionView),
        AuthProblems, InputProblems, ConnectionMissing, ConnectionTellConflict
    )
)]
#[post("/v1/connections/{id}/retry-sync")]
pub(super) async fn retry_connection_sync(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConnectionView>, Problem> {
    Ok(Json(
        retry_sync::retry_connection(&ctx, &actor(caller.subject), id)
            .await?
            .into(),
    ))
}
