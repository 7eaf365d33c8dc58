//! The deny list.

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
use super::decisions::ReasonBody;
use super::service_ref::{ServiceRef, resolve_given};
use crate::api::auth::{Caller, Decide, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, DenialConflict, DenialMissing, DenialSubjectMissing, InputProblems,
};
use crate::app::code::Code;
use crate::app::deny::{self as app, NewDenial};
use crate::app::{AppContext, AppError, read_consumers};
use crate::domain::denial::{Denial, DenialKind, DenialState, Denied};
use crate::domain::ids::{ConsumerId, DenialId, EndpointServiceId};
use crate::store::denials::Filter;

/// That somebody may not be accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct DenialView {
    /// Its id.
    id: DenialId,
    /// What kind of subject it has.
    subject: DenialKind,
    /// The account, where it is about one.
    account_id: Option<String>,
    /// The consumer, where it is about one: with every account that it has when somebody wants to accept.
    consumer_id: Option<ConsumerId>,
    /// The service that it is about; null is every service.
    service_id: Option<EndpointServiceId>,
    /// Where it stands. Only `standing` denies.
    state: DenialState,
    /// Who denied.
    denied: SaidView,
    /// When it ends by itself; null is never.
    expires_at: Option<DateTime<Utc>>,
    /// Who took it back; null while nobody has.
    lifted: Option<SaidView>,
}

impl DenialView {
    /// As it stands at a time.
    fn at(row: Denial, now: DateTime<Utc>) -> Self {
        let state = row.state(now);
        let subject = row.subject.kind();
        let (account_id, consumer_id) = match row.subject {
            Denied::Account(account) => (Some(account.into()), None),
            Denied::Consumer(consumer) => (None, Some(consumer)),
            Denied::Everybody => (None, None),
        };
        Self {
            id: row.id,
            subject,
            account_id,
            consumer_id,
            service_id: row.service,
            state,
            denied: row.said.into(),
            expires_at: row.expires_at,
            lifted: row.lifted.map(Into::into),
        }
    }
}

/// A page of denials, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DenialList {
    /// The rows.
    items: Vec<DenialView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<DenialId>,
}

/// Whom to deny what. Give an account or a consumer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDenialBody {
    /// The AWS account, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "444455556666")]
    account_id: Option<String>,
    /// The consumer: with every account that it has when somebody wants to accept.
    consumer_id: Option<ConsumerId>,
    /// On this service only; everywhere when absent.
    service_id: Option<ServiceRef>,
    /// When it ends by itself; never when absent.
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<DateTime<Utc>>,
    /// Why. Whoever is refused because of it reads this.
    #[schema(min_length = 1, max_length = 1000, example = "Unpaid since March")]
    reason: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only denials that name this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only denials that name this consumer.
    consumer_id: Option<ConsumerId>,
    /// Only denials on this service alone.
    service_id: Option<EndpointServiceId>,
    /// Only denials that stand so.
    state: Option<DenialState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<DenialId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the deny list
///
/// Whom and what each covers, since when, until when, and why. Those that were lifted or ran out stay listed.
#[utoipa::path(
    tag = "denials",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = DenialList), AuthProblems, InputProblems)
)]
#[get("/v1/denials")]
pub(super) async fn list_denials(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<DenialList>, Problem> {
    let filter = Filter {
        account: query.account_id.as_ref(),
        consumer: query.consumer_id,
        service: query.service_id,
        state: query.state,
    };
    let listed = read_consumers::denials(&ctx, &filter, query.cursor, query.limit.0).await?;
    let now = ctx.clock.now();
    let items = listed.items.into_iter();
    Ok(Json(DenialList {
        items: items.map(|row| DenialView::at(row, now)).collect(),
        next_cursor: listed.next,
    }))
}

/// Denies
///
/// From now on nobody accepts a connection that it covers. What is connected stays connected; to cut that off too, block.
#[utoipa::path(
    tag = "denials",
    request_body = NewDenialBody,
    responses(
        (status = 201, description = "Denied.", body = DenialView,
         headers(("location" = String, description = "The new denial."))),
        AuthProblems, BodyProblems, DenialSubjectMissing
    )
)]
#[post("/v1/denials")]
pub(super) async fn add_denial(
    caller: Caller<Decide>,
    ApiJson(body): ApiJson<NewDenialBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let subject = match (&body.account_id, body.consumer_id) {
        (Some(account), None) => Denied::Account(aws_id("account_id", account)?),
        (None, Some(consumer)) => Denied::Consumer(consumer),
        _ => {
            let detail = "give either account_id or consumer_id";
            return Err(AppError::new(Code::InvalidRequest, detail)
                .field("account_id")
                .into());
        }
    };
    let service = resolve_given(body.service_id, &ctx).await?;
    let new = NewDenial {
        subject,
        service,
        expires_at: body.expires_at,
        reason: body.reason,
    };
    let made = app::deny(&ctx, &actor(caller.subject), new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/denials/{}", made.id)))
        .json(DenialView::at(made, ctx.clock.now())))
}

/// Reads one denial
///
/// Whom and what it covers, since when, until when, and why.
#[utoipa::path(
    tag = "denials",
    params(("id" = DenialId, Path, description = "The denial.")),
    responses((status = 200, description = "The denial.", body = DenialView), AuthProblems, InputProblems, DenialMissing)
)]
#[get("/v1/denials/{id}")]
pub(super) async fn read_denial(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<DenialId>,
    ctx: Data<AppContext>,
) -> Result<Json<DenialView>, Problem> {
    let found = read_consumers::denial(&ctx, id).await?;
    Ok(Json(DenialView::at(found, ctx.clock.now())))
}

/// Lifts a denial
///
/// What it refused stays refused; what asks anew is judged without it. A denial that belongs to a block ends with the block.
#[utoipa::path(
    tag = "denials",
    params(("id" = DenialId, Path, description = "The denial.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Lifted.", body = DenialView),
        AuthProblems, BodyProblems, DenialMissing, DenialConflict
    )
)]
#[post("/v1/denials/{id}/lift")]
pub(super) async fn lift_denial(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<DenialId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<DenialView>, Problem> {
    let lifted = app::lift(&ctx, &actor(caller.subject), id, body.reason()).await?;
    Ok(Json(DenialView::at(lifted, ctx.clock.now())))
}
