//! The ledger of use: listing it, exporting it, and reporting into it.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use futures_util::stream;
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, optional_time, time};
use super::usage_csv::{self, LINES};
use super::usage_views::UsageView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, UsageConflict, UsageSubjectMissing,
};
use crate::app::report_usage::{NewReport, report_usage as report};
use crate::app::{AppContext, AppError, read_usage};
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::usage::{Billing, Quantity, UsageSource, UsageState};
use crate::store::usage_list::Filter;

/// A page of the ledger, those rows first that were recorded last.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageList {
    /// The rows.
    items: Vec<UsageView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<UsageHourId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only use of this agreement.
    agreement_id: Option<AgreementId>,
    /// Only use of the dimension with this key.
    #[param(max_length = 100, example = "endpoint_hours")]
    dimension: Option<String>,
    /// Only use over this connection.
    connection_id: Option<ConnectionId>,
    /// Only hours that begin then or later.
    #[serde(default, deserialize_with = "optional_time")]
    from: Option<DateTime<Utc>>,
    /// Only hours that begin earlier.
    #[serde(default, deserialize_with = "optional_time")]
    to: Option<DateTime<Utc>>,
    /// Only what can still change, or never again.
    #[param(inline)]
    state: Option<UsageState>,
    /// Only what can be billed, or cannot.
    #[param(inline)]
    billing: Option<Billing>,
    /// Only figures with this origin.
    #[param(inline)]
    source: Option<UsageSource>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<UsageHourId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// Only use of this agreement.
    agreement_id: Option<AgreementId>,
    /// Only use of the dimension with this key.
    #[param(max_length = 100, example = "endpoint_hours")]
    dimension: Option<String>,
    /// Only use over this connection.
    connection_id: Option<ConnectionId>,
    /// Only hours that begin then or later.
    #[serde(default, deserialize_with = "optional_time")]
    from: Option<DateTime<Utc>>,
    /// Only hours that begin earlier.
    #[serde(default, deserialize_with = "optional_time")]
    to: Option<DateTime<Utc>>,
    /// Only what can still change, or never again.
    #[param(inline)]
    state: Option<UsageState>,
    /// Only what can be billed, or cannot.
    #[param(inline)]
    billing: Option<Billing>,
    /// Only figures with this origin.
    #[param(inline)]
    source: Option<UsageSource>,
    /// Only rows that were recorded after this one: the last `usage_id` of the export before.
    after: Option<UsageHourId>,
}

fn dimension(given: Option<String>) -> Result<Option<String>, Problem> {
    match given {
        Some(key) if key.chars().count() > 100 || key.contains('\0') => {
            let detail = "a key has at most 100 characters";
            let code = crate::app::code::Code::InvalidQuery;
            Err(AppError::new(code, detail).field("dimension").into())
        }
        other => Ok(other),
    }
}

/// Lists the ledger of use
///
/// A row for each hour, agreement, dimension and connection: open while its hour is not over, sealed some minutes later. What is sealed never changes; what becomes known
/// of its hour later is a row with the next `part`, and all parts of an hour add up.
#[utoipa::path(
    tag = "usage",
    params(ListQuery),
    responses((status = 200, description = "A page, those first that were recorded last.", body = UsageList), AuthProblems, InputProblems)
)]
#[get("/v1/usage")]
pub(super) async fn list_usage(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<UsageList>, Problem> {
    let filter = Filter {
        agreement: query.agreement_id,
        dimension: dimension(query.dimension)?,
        connection: query.connection_id,
        from: query.from,
        to: query.to,
        state: query.state,
        billing: query.billing,
        source: query.source,
    };
    let listed = read_usage::usage(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(UsageList {
        items: listed.items.into_iter().map(UsageView::from).collect(),
        next_cursor: listed.next,
    }))
}

/// Exports the ledger of use
///
/// As CSV (RFC 4180, UTF-8, with a header), in the order in which the rows were recorded, however many there are. Figures are exact decimals. Text that a spreadsheet
/// would take for a formula has an apostrophe before it. An answer that was cut off lacks rows at its end: read on with `after`.
#[utoipa::path(
    tag = "usage",
    params(ExportQuery),
    responses(
        (status = 200, description = "The rows.", content((String = "text/csv"))),
        AuthProblems, InputProblems
    )
)]
#[get("/v1/usage.csv")]
pub(super) async fn export_usage(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ExportQuery>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let filter = Filter {
        agreement: query.agreement_id,
        dimension: dimension(query.dimension)?,
        connection: query.connection_id,
        from: query.from,
        to: query.to,
        state: query.state,
        billing: query.billing,
        source: query.source,
    };
    // The first page is read before the answer begins, so that a fault is told as one.
    let first = read_usage::lines(&ctx, &filter, query.after, LINES).await?;
    let head = usage_csv::head();
    let begin = (ctx.into_inner(), filter, Some(first), head);
    let body = stream::try_unfold(begin, |(ctx, filter, page, mut text): Pages| async move {
        let Some(page) = page else {
            return Ok(None);
        };
        for line in &page {
            usage_csv::line(&mut text, line);
        }
        let full = i64::try_from(page.len()).is_ok_and(|count| count == LINES);
        let next = match page.last() {
            Some(last) if full => {
                Some(read_usage::lines(&ctx, &filter, Some(last.row.id), LINES).await?)
            }
            Some(_) | None => None,
        };
        let rest = (ctx, filter, next, String::new());
        Ok::<_, AppError>(Some((Bytes::from(text), rest)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present",
        ))
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"usage.csv\"",
        ))
        .streaming(Box::pin(body)))
}

/// The export as far as it is read: what is left of it, and the text that comes first.
type Pages = (
    Arc<AppContext>,
    Filter,
    Option<Vec<crate::store::usage_list::Line>>,
    String,
);

/// What is reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUsageBody {
    /// The reporter's own id of it, once for each agreement. The same report again changes nothing.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "meter-7/2026-11-27T10"
    )]
    event_id: String,
    /// Whose use it is.
    agreement_id: AgreementId,
    /// Of which dimension of its plan, by the key: one that is not counted here.
    #[schema(min_length = 1, max_length = 100, example = "requests")]
    dimension: String,
    /// When it was used, at most 92 days ago; it goes to the hour of that time.
    #[serde(deserialize_with = "time")]
    #[schema(example = "2026-11-27T10:30:00Z")]
    at: DateTime<Utc>,
    /// How much, in the dimension's unit. Reports of one hour add up. One below zero is a correction, and says why.
    quantity: Quantity,
    /// Over which connection, if that is to be told apart: one that the agreement pays or paid for.
    #[serde(default)]
    connection_id: Option<ConnectionId>,
    /// By which account of the agreement, if no connection is named.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{12}$", example = "444455556666")]
    account_id: Option<AccountId>,
    /// Of a correction: why.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1000, example = "The meter counted twice")]
    reason: Option<String>,
}

/// Reports use
///
/// For dimensions that the provider's own software counts. It goes to the row of its hour while that is open, and to a part of its own afterwards.
#[utoipa::path(
    tag = "usage",
    request_body = NewUsageBody,
    responses(
        (status = 200, description = "The event was reported before; the row that it went to.", body = UsageView),
        (status = 201, description = "Taken in; the row that it went to.", body = UsageView),
        AuthProblems, BodyProblems, UsageSubjectMissing, UsageConflict
    )
)]
#[post("/v1/usage")]
pub(super) async fn report_usage(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewUsageBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewReport {
        event_id: body.event_id,
        agreement: body.agreement_id,
        dimension: body.dimension,
        at: body.at,
        quantity: body.quantity,
        connection: body.connection_id,
        account: body.account_id,
        reason: body.reason,
    };
    let taken = report(&ctx, &actor(caller.subject), new).await?;
    let mut answer = if taken.repeated {
        HttpResponse::Ok()
    } else {
        HttpResponse::Created()
    };
    Ok(answer.json(UsageView::from(taken.row)))
}
