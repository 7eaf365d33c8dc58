//! A consumer's requests for access: making them, looking at them, taking them back.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use crate::api::auth::{Caller, Own};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccessAnswerConflict, AccessRequestMissing, AuthProblems, BodyProblems, InputProblems,
    OwnAskConflict, OwnAskMissing,
};
use crate::api::v1::arguments::{Limit, aws_id};
use crate::api::v1::decisions::ReasonBody;
use crate::api::v1::service_ref::{ServiceRef, resolve_for_a_consumer};
use crate::app::AppContext;
use crate::app::own::ask_access::{self as ask, NewOwnRequest};
use crate::app::own::{read, withdraw_access};
use crate::domain::access_request::{AccessRequestState, AskedState};
use crate::domain::consumer::Contact;
use crate::domain::ids::{AccessRequestId, EndpointServiceId};
use crate::domain::own::OwnAccessRequest;
use crate::store::tenant::access_requests::Filter;

/// A request for access of the organisation, or of one of its accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAccessRequestView {
    /// Its id.
    id: AccessRequestId,
    /// The account that wants to connect.
    account_id: String,
    /// Where it stands.
    state: AccessRequestState,
    /// The services. All of them are given, or none.
    services: Vec<OwnAskedView>,
    /// Whom the provider talks to about it.
    contact: Contact,
    /// What whoever asked says.
    message: Option<String>,
    /// Until when access is wanted; once it is approved, until when it is given. Null is without an end.
    expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// Who made it, if it was somebody of the organisation; null where the provider did.
    made_by: Option<String>,
    /// When it was approved, rejected or withdrawn; null while it waits.
    answered_at: Option<DateTime<Utc>>,
    /// What the provider wants to say about it.
    answer: Option<String>,
    /// When access ended; null while it stands or where there was none.
    ended_at: Option<DateTime<Utc>>,
}

/// One service of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAskedView {
    /// The service. Once access stands, `/v1/me/services` has more about it.
    service_id: EndpointServiceId,
    /// Whether access waits for an answer, stands, or is over.
    state: AskedState,
}

impl From<OwnAccessRequest> for OwnAccessRequestView {
    fn from(row: OwnAccessRequest) -> Self {
        let asked = row.services.into_iter().map(|asked| OwnAskedView {
            service_id: asked.service,
            state: asked.state,
        });
        let (answered_at, answer) = match row.answered {
            Some(told) => (Some(told.at), told.message),
            None => (None, None),
        };
        Self {
            id: row.id,
            account_id: row.account.into(),
            state: row.state,
            services: asked.collect(),
            contact: row.contact,
            message: row.message,
            expires_at: row.expires_at,
            made_at: row.made_at,
            made_by: row.made_by,
            answered_at,
            answer,
            ended_at: row.ended_at,
        }
    }
}

/// A page of the organisation's requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnAccessRequestList {
    /// The rows.
    items: Vec<OwnAccessRequestView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AccessRequestId>,
}

/// What the organisation asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOwnAccessRequestBody {
    /// One of the organisation's AWS accounts, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "444455556666")]
    account_id: String,
    /// The services that it wants to reach, 1 to 20, by the ids that the provider has told.
    #[schema(min_items = 1, max_items = 20)]
    service_ids: Vec<ServiceRef>,
    /// Whom to talk to.
    contact: Contact,
    /// What whoever asks wants to say: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Until when; without it, access has no end.
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only requests of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only requests that stand so.
    state: Option<AccessRequestState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AccessRequestId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the organisation's access requests
///
/// Those that name it, and those of its accounts that name nobody.
#[utoipa::path(
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = OwnAccessRequestList), AuthProblems, InputProblems)
)]
#[get("/v1/me/access-requests")]
pub(in crate::api::v1) async fn list_own_access_requests(
    caller: Caller<Own>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnAccessRequestList>, Problem> {
    let filter = Filter {
        account: query.account_id.as_ref(),
        state: query.state,
    };
    let member = caller.member()?;
    let listed = read::access_requests(&ctx, &member, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(OwnAccessRequestList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one of the organisation's access requests
///
/// Somebody else's is answered as one that does not exist.
#[utoipa::path(
    tag = "me",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    responses((status = 200, description = "The request.", body = OwnAccessRequestView), AuthProblems, InputProblems, AccessRequestMissing)
)]
#[get("/v1/me/access-requests/{id}")]
pub(in crate::api::v1) async fn read_own_access_request(
    caller: Caller<Own>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnAccessRequestView>, Problem> {
    let member = caller.member()?;
    Ok(Json(read::access_request(&ctx, &member, id).await?.into()))
}

/// Asks for access for one of the organisation's accounts
///
/// Nothing is given yet. A service that takes no requests is refused as one that does not exist.
#[utoipa::path(
    tag = "me",
    request_body = NewOwnAccessRequestBody,
    responses(
        (status = 201, description = "Asked.", body = OwnAccessRequestView,
         headers(("location" = String, description = "The new request."))),
        AuthProblems, BodyProblems, OwnAskMissing, OwnAskConflict
    )
)]
#[post("/v1/me/access-requests")]
pub(in crate::api::v1) async fn ask_own_access(
    caller: Caller<Own>,
    ApiJson(body): ApiJson<NewOwnAccessRequestBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let member = caller.member()?;
    let services = resolve_for_a_consumer(body.service_ids, &ctx).await?;
    let new = NewOwnRequest {
        account: aws_id("account_id", &body.account_id)?,
        services,
        contact: body.contact,
        message: body.message,
        expires_at: body.expires_at,
    };
    let made = ask::ask_access(&ctx, &member, &actor(&member), new).await?;
    Ok(HttpResponse::Created()
        .insert_header((
            header::LOCATION,
            format!("/v1/me/access-requests/{}", made.id),
        ))
        .json(OwnAccessRequestView::from(made)))
}

/// Takes one of the organisation's access requests back
///
/// While nobody has answered it.
#[utoipa::path(
    tag = "me",
    params(("id" = AccessRequestId, Path, description = "The access request.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Withdrawn.", body = OwnAccessRequestView),
        AuthProblems, BodyProblems, AccessRequestMissing, AccessAnswerConflict
    )
)]
#[post("/v1/me/access-requests/{id}/withdraw")]
pub(in crate::api::v1) async fn withdraw_own_access_request(
    caller: Caller<Own>,
    ApiPath(id): ApiPath<AccessRequestId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<OwnAccessRequestView>, Problem> {
    let member = caller.member()?;
    let reason = body.reason();
    let after = withdraw_access::withdraw(&ctx, &member, &actor(&member), id, reason).await?;
    Ok(Json(after.into()))
}
