//! A consumer's connections, as it sees them.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::{Caller, Own};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, ConnectionMissing, InputProblems};
use crate::api::v1::arguments::Limit;
use crate::app::AppContext;
use crate::app::own::read;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::own::OwnConnection;
use crate::domain::review::ReviewState;
use crate::domain::summary::Summary;
use crate::store::tenant::connections::Filter;

/// A connection of one of the organisation's accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnConnectionView {
    /// Its id here.
    id: ConnectionId,
    /// The service it connects to.
    service_id: EndpointServiceId,
    /// AWS's id of the endpoint.
    endpoint_id: String,
    /// The AWS account that made it.
    account_id: String,
    /// Where it stands, in one word. Never `stalled` or `given_up`: what the provider has trouble with is on its way.
    summary: Summary,
    /// AWS's state, as it was last seen: `pendingAcceptance`, `pending`, `available`, `deleting`, `deleted`, `rejected`, `failed`, `expired`, `partial`, or a
    /// word that AWS added since.
    state: String,
    /// When the read that saw it, or its last change, began.
    observed_at: DateTime<Utc>,
    /// When the endpoint was made.
    created_at: Option<DateTime<Utc>>,
    /// AWS's id of the connection (`vpce-con-…`).
    aws_connection_id: Option<String>,
    /// The endpoint's Region where it differs from the service's.
    endpoint_region: Option<String>,
    /// `ipv4`, `dualstack` or `ipv6`.
    ip_address_type: Option<String>,
    /// The endpoint's DNS names, regional first.
    dns_names: Vec<String>,
    /// What the provider decided.
    review: ReviewState,
    /// When.
    decided_at: Option<DateTime<Utc>>,
    /// What the provider wants to say about it.
    message: Option<String>,
    /// Until when access is given; null without an end, and while none is given.
    expires_at: Option<DateTime<Utc>>,
    /// When the provider first saw it.
    first_seen_at: DateTime<Utc>,
}

impl From<OwnConnection> for OwnConnectionView {
    fn from(row: OwnConnection) -> Self {
        let summary = row.summary();
        let dns_entries = row.observed.dns_entries.into_iter();
        let (decided_at, message) = match row.decided {
            Some(told) => (Some(told.at), told.message),
            None => (None, None),
        };
        Self {
            id: row.id,
            service_id: row.service,
            endpoint_id: row.endpoint.into(),
            account_id: row.account.into(),
            summary,
            state: row.observed.state.into(),
            observed_at: row.observed.at,
            created_at: row.observed.created_at,
            aws_connection_id: row.observed.connection_id,
            endpoint_region: row.observed.endpoint_region,
            ip_address_type: row.observed.ip_address_type,
            dns_names: dns_entries.map(|entry| entry.dns_name).collect(),
            review: row.review,
            decided_at,
            message,
            expires_at: row.expires_at,
            first_seen_at: row.first_seen_at,
        }
    }
}

/// A page of the organisation's connections, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnConnectionList {
    /// The rows.
    items: Vec<OwnConnectionView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConnectionId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only connections to this service.
    service_id: Option<EndpointServiceId>,
    /// Only connections of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConnectionId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the connections of the organisation's accounts
///
/// Of the accounts that are the organisation's now. A filter that names what is somebody else's finds nothing.
#[utoipa::path(
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = OwnConnectionList), AuthProblems, InputProblems)
)]
#[get("/v1/me/connections")]
pub(in crate::api::v1) async fn list_own_connections(
    caller: Caller<Own>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnConnectionList>, Problem> {
    let filter = Filter {
        service: query.service_id,
        account: query.account_id.as_ref(),
    };
    let member = caller.member()?;
    let listed = read::connections(&ctx, &member, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(OwnConnectionList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads a connection of one of the organisation's accounts
///
/// Somebody else's is answered as one that does not exist. Who decided, and what the provider says among its own, is not shown.
#[utoipa::path(
    tag = "me",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = OwnConnectionView), AuthProblems, InputProblems, ConnectionMissing)
)]
#[get("/v1/me/connections/{id}")]
pub(in crate::api::v1) async fn read_own_connection(
    caller: Caller<Own>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnConnectionView>, Problem> {
    let member = caller.member()?;
    Ok(Json(read::connection(&ctx, &member, id).await?.into()))
}
