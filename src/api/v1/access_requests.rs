//! Access that is asked for before there is an endpoint: making requests and looking at them.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, aws_id, optional_time};
use super::consumer_accounts::SaidView;
use super::service_ref::{ServiceRef, resolve_all};
use crate::api::auth::{Caller, Decide, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccessRequestConflict, AccessRequestMissing, AuthProblems, BodyProblems, DenialSubjectMissing,
    InputProblems,
};
use crate::app::AppContext;
use crate::app::ask_access::{self as app, NewAccessRequest};
use crate::app::read_access::{self, Services};
use crate::domain::access_request::{AccessRequest, AccessRequestState, Asked, AskedState};
use crate::domain::approval::Approval;
use crate::domain::consumer::Contact;
use crate::domain::ids::{AccessRequestId, ApprovalId, ConsumerId, EndpointServiceId};
use crate::domain::principal::canonical;
use crate::store::access_requests::Filter;

/// Access that somebody asks for.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessRequestView {
    /// Its id.
    id: AccessRequestId,
    /// The account that wants to connect.
    account_id: String,
    /// Whose the account is known to be, or shall be; null where nobody said.
    consumer_id: Option<ConsumerId>,
    /// Where it stands.
    state: AccessRequestState,
    /// The services. All of them are given, or none.
    services: Vec<AskedView>,
    /// Whom to talk to.
    contact: Contact,
    /// What whoever asks says.
    message: Option<String>,
    /// Until when access is wanted; once it is approved, until when it is given. Null is without an end.
    expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// Who made it.
    made_by: String,
    /// Who said yes so far, where a service asks for two persons; oldest first.
    approvals: Vec<AccessApprovalView>,
    /// Who approved, rejected or withdrew it; null while nobody has.
    answer: Option<AnswerView>,
    /// Who, or what, ended the access; null while it stands or where there was none.
    ended: Option<SaidView>,
}

/// One service of an access request.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskedView {
    /// The service.
    service_id: EndpointServiceId,
    /// What people call it.
    name: Option<String>,
    /// The name that consumers type when they make an endpoint; null until AWS has told it.
    service_name: Option<String>,
    /// Whether access waits for an answer, stands, or is over.
    state: AskedState,
    /// The principal that lets the account in; null until it is approved.
    principal: Option<String>,
    /// Whether AWS shows the principal, as it was last read; null until it was read, and without a principal. An endpoint made before that is refused.
    in_aws: Option<bool>,
    /// When AWS was last read.
    observed_at: Option<DateTime<Utc>>,
}

/// One person's yes.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessApprovalView {
    /// Its id.
    id: ApprovalId,
    /// Who.
    approver: String,
    /// When.
    approved_at: DateTime<Utc>,
    /// Why.
    reason: String,
    /// Until when they would give access.
    expires_at: Option<DateTime<Utc>>,
}

/// The answer to an access request.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerView {
    /// Who, when and why.
    #[serde(flatten)]
    said: SaidView,
    /// What the consumer is told.
    message: Option<String>,
    /// Where the work on it is kept.
    ticket_url: Option<String>,
}

impl AccessRequestView {
    /// With what is known of its services.
    pub(super) fn with(request: AccessRequest, services: &Services) -> Self {
        let asked = request.services.into_iter();
        Self {
            id: request.id,
            account_id: request.account.into(),
            consumer_id: request.consumer,
            state: request.state,
            services: asked.map(|row| AskedView::with(row, services)).collect(),
            contact: request.contact,
            message: request.message,
            expires_at: request.expires_at,
            made_at: request.made_at,
            made_by: request.made_by,
            approvals: request.approvals.into_iter().map(Into::into).collect(),
            answer: request.answer.map(|answer| AnswerView {
                said: answer.said.into(),
                message: answer.message,
                ticket_url: answer.ticket_url,
            }),
            ended: request.ended.map(Into::into),
        }
    }
}

impl AskedView {
    fn with(row: Asked, services: &Services) -> Self {
        let service = services.get(&row.service);
        let seen = service.and_then(|service| service.observed.as_ref());
        let principal = row.given.map(|given| given.principal);
        let shown = seen.and_then(|seen| seen.principals.as_ref());
        let in_aws = principal.as_ref().zip(shown);
        Self {
            service_id: row.service,
            name: service.map(|service| service.name.clone()),
            service_name: service.and_then(|service| service.service_name.clone()),
            state: row.state,
            in_aws: in_aws
                .map(|(principal, shown)| shown.iter().any(|one| canonical(one) == *principal)),
            principal,
            observed_at: seen.map(|seen| seen.at),
        }
    }
}

impl From<Approval> for AccessApprovalView {
    fn from(one: Approval) -> Self {
        Self {
            id: one.id,
            approver: one.approver,
            approved_at: one.at,
            reason: one.reason,
            expires_at: one.expires_at,
        }
    }
}

/// A page of access requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessRequestList {
    /// The rows.
    items: Vec<AccessRequestView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AccessRequestId>,
}

/// What somebody asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccessRequestBody {
    /// The AWS account that wants to connect, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "444455556666")]
    account_id: String,
    /// The consumer that it belongs to. When the request is approved, the account is known to be the consumer's.
    consumer_id: Option<ConsumerId>,
    /// The services that it wants to reach, 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    service_ids: Vec<ServiceRef>,
    /// Whom to talk to.
    contact: Contact,
    /// What whoever asks wants to say: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Until when; without it, access has no end.
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only requests of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only requests that name this consumer.
    consumer_id: Option<ConsumerId>,
    /// Only requests for this service.
    service_id: Option<EndpointServiceId>,
    /// Only requests that stand so.
    state: Option<AccessRequestState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AccessRequestId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists access requests
///
/// Those that were answered stay listed: see `state`.
#[utoipa::path(
    tag = "access",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = AccessRequestList), AuthProblems, InputProblems)
)]
#[get("/v1/access-requests")]
pub(super) async fn list_access_requests(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestList>, Problem> {
    let filter = Filter {
        account: query.account_id.as_ref(),
        consumer: query.consumer_id,
        service: query.service_id,
        state: query.state,
    };
    let (listed, services) =
        read_access::requests(&ctx, &filter, query.cursor, query.limit.0).await?;
    let items = listed.items.into_iter();
    Ok(Json(AccessRequestList {
        items: items
            .map(|row| AccessRequestView::with(row, &services))
            .collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one access request
///
/// With its services, who approved it, and how it was answered.
#[utoipa::path(
    tag = "access",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    responses((status = 200, description = "The request.", body = AccessRequestView), AuthProblems, InputProblems, AccessRequestMissing)
)]
#[get("/v1/access-requests/{id}")]
pub(super) async fn read_access_request(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ctx: Data<AppContext>,
) -> Result<Json<AccessRequestView>, Problem> {
    let (request, services) = read_access::request(&ctx, id).await?;
    Ok(Json(AccessRequestView::with(request, &services)))
}

/// Asks for access on behalf of a consumer
///
/// Nothing is given yet. While a request of the account for one of the services waits, another one is refused.
#[utoipa::path(
    tag = "access",
    request_body = NewAccessRequestBody,
    responses(
        (status = 201, description = "Asked.", body = AccessRequestView,
         headers(("location" = String, description = "The new request."))),
        AuthProblems, BodyProblems, DenialSubjectMissing, AccessRequestConflict
    )
)]
#[post("/v1/access-requests")]
pub(super) async fn ask_access(
    caller: Caller<Decide>,
    ApiJson(body): ApiJson<NewAccessRequestBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewAccessRequest {
        account: aws_id("account_id", &body.account_id)?,
        consumer: body.consumer_id,
        services: resolve_all(body.service_ids, &ctx).await?,
        contact: body.contact,
        message: body.message,
        expires_at: body.expires_at,
    };
    let made = app::ask_access(&ctx, &actor(caller.subject), new).await?;
    let services = read_access::services_of(&ctx, &made).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/access-requests/{}", made.id)))
        .json(AccessRequestView::with(made, &services)))
}
