//! What a consumer sees and does by itself: its organisation, accounts and quota.
//!
//! These operations have views, use cases and store functions of their own, and share none with the provider's: what a provider's operation learns to show tomorrow
//! is not shown to a consumer by that.

pub mod access_requests;
pub mod connections;
pub mod services;

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use crate::api::auth::{Caller, Own};
use crate::api::current_request_id;
use crate::api::extract::ApiQuery;
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems};
use crate::app::AppContext;
use crate::app::own::read;
use crate::domain::actor::Actor;
use crate::domain::consumer::{ConsumerState, Contact, Proof};
use crate::domain::ids::{ConsumerAccountId, ConsumerId, EndpointServiceId};
use crate::domain::member::Member;
use crate::domain::own::{OwnAccount, OwnConsumer, OwnQuota};

/// The member as the audit trail knows them, with the request's id.
fn actor(member: &Member) -> Actor {
    let request = current_request_id()
        .map(|id| id.as_str().to_owned())
        .unwrap_or_default();
    member.actor(request)
}

/// The caller's organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnConsumerView {
    /// Its id.
    id: ConsumerId,
    /// What people call it.
    name: String,
    /// Its short name.
    slug: String,
    /// Whom the provider talks to.
    contacts: Vec<Contact>,
    /// Always `active`: one that is closed is answered nothing.
    state: ConsumerState,
    /// When it was added.
    created_at: DateTime<Utc>,
}

impl From<OwnConsumer> for OwnConsumerView {
    fn from(row: OwnConsumer) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            contacts: row.contacts,
            state: row.state,
            created_at: row.created_at,
        }
    }
}

/// An AWS account of the caller's organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAccountView {
    /// The id of its membership.
    id: ConsumerAccountId,
    /// The account.
    account_id: String,
    /// How it was proven to be the organisation's.
    proof: Proof,
    /// When; null without a proof.
    proven_at: Option<DateTime<Utc>>,
    /// Since when it is known to be the organisation's.
    added_at: DateTime<Utc>,
}

impl From<OwnAccount> for OwnAccountView {
    fn from(row: OwnAccount) -> Self {
        Self {
            id: row.id,
            account_id: row.account.into(),
            proof: row.proof,
            proven_at: row.proven_at,
            added_at: row.added_at,
        }
    }
}

/// A page of the organisation's accounts, the last added first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAccountList {
    /// The rows.
    items: Vec<OwnAccountView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConsumerAccountId>,
}

/// What the caller's organisation may use, and what it uses.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnQuotaView {
    /// Most connections on all services together; null where the organisation has no figure of its own.
    most_connections: Option<i64>,
    /// Most endpoints on any one service; null likewise.
    most_endpoints_per_service: Option<i64>,
    /// Most Regions that endpoints are in, over all services; null likewise.
    most_regions: Option<i64>,
    /// Connections that are accepted and have not ended, and those that live without a decision.
    connections: i64,
    /// The Regions that endpoints are in.
    regions: Vec<String>,
    /// Endpoints by service.
    services: Vec<OwnUseView>,
}

/// How much the organisation uses of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnUseView {
    /// The service.
    service_id: EndpointServiceId,
    /// How many endpoints.
    endpoints: i64,
}

impl From<OwnQuota> for OwnQuotaView {
    fn from(quota: OwnQuota) -> Self {
        let mut view = Self {
            most_connections: quota.limits.connections,
            most_endpoints_per_service: quota.limits.endpoints_per_service,
            most_regions: quota.limits.regions,
            connections: 0,
            regions: Vec::new(),
            services: Vec::new(),
        };
        for row in quota.used {
            view.connections += row.endpoints;
            match view.services.last_mut() {
                // The rows come by service.
                Some(last) if last.service_id == row.service => last.endpoints += row.endpoints,
                _ => view.services.push(OwnUseView {
                    service_id: row.service,
                    endpoints: row.endpoints,
                }),
            }
            view.regions.extend(row.endpoint_region);
        }
        view.regions.sort();
        view.regions.dedup();
        view
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccountQuery {
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConsumerAccountId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Reads the caller's organisation
///
/// The one that the token names. What the provider notes about it is not shown.
#[utoipa::path(
    tag = "me",
    responses((status = 200, description = "The organisation.", body = OwnConsumerView), AuthProblems)
)]
#[get("/v1/me")]
pub(super) async fn read_own_consumer(
    caller: Caller<Own>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnConsumerView>, Problem> {
    Ok(Json(read::consumer(&ctx, &caller.member()?).await?.into()))
}

/// Lists the organisation's accounts
///
/// Those that are its own now. What an account was proven by is not shown.
#[utoipa::path(
    tag = "me",
    params(AccountQuery),
    responses((status = 200, description = "A page, the last added first.", body = OwnAccountList), AuthProblems, InputProblems)
)]
#[get("/v1/me/accounts")]
pub(super) async fn list_own_accounts(
    caller: Caller<Own>,
    ApiQuery(query): ApiQuery<AccountQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnAccountList>, Problem> {
    let member = caller.member()?;
    let listed = read::accounts(&ctx, &member, query.cursor, query.limit.0).await?;
    Ok(Json(OwnAccountList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads the organisation's quota and what of it is used
///
/// Null where there is no limit.
#[utoipa::path(
    tag = "me",
    responses((status = 200, description = "Quota and use.", body = OwnQuotaView), AuthProblems)
)]
#[get("/v1/me/quota")]
pub(super) async fn read_own_quota(
    caller: Caller<Own>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnQuotaView>, Problem> {
    Ok(Json(read::quota(&ctx, &caller.member()?).await?.into()))
}
