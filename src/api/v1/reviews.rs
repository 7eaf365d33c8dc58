//! The review queue, who works on what, and what is held.

use std::str::FromStr;

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, optional_time, time_of_cursor};
use super::decisions::ReasonBody;
use super::review_views::{self, ApprovalView, ClaimView, HoldView, ReviewedView};
use crate::api::auth::{Caller, Decide, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict, HoldConflict, InputProblems,
    ReviewClaimConflict, ReviewReleaseConflict,
};
use crate::app::claim_review as claims;
use crate::app::hold_review as holds;
use crate::app::{AppContext, review_queue};
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::review_desk::Waiting;
use crate::store::review_queue::{After, Filter};

/// A request that waits for somebody to decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingView {
    /// The connection.
    connection_id: ConnectionId,
    /// The service that it wants to connect to.
    service_id: EndpointServiceId,
    /// The service's name.
    service_name: String,
    /// AWS's id of the consumer's endpoint.
    endpoint_id: String,
    /// The consumer's AWS account.
    owner_account_id: String,
    /// When it was first seen.
    first_seen_at: DateTime<Utc>,
    /// How long ago that is, in seconds.
    age_seconds: i64,
    /// When the consumer made the endpoint, as AWS says.
    requested_at: Option<DateTime<Utc>>,
    /// Until when it should be decided.
    due_at: DateTime<Utc>,
    /// Whether that time is over.
    overdue: bool,
    /// When people were reminded of it.
    reminded_at: Option<DateTime<Utc>>,
    /// When people were told that it is overdue.
    escalated_at: Option<DateTime<Utc>>,
    /// Who works on it; null while nobody does.
    claim: Option<ClaimView>,
    /// Why it is not decided for now; null while nothing holds it.
    hold: Option<HoldView>,
    /// How many persons have to accept it: 1 or 2.
    approvals_required: i16,
    /// Who accepted it so far.
    approvals: Vec<ApprovalView>,
    /// How many comments there are.
    comments: i64,
}

impl WaitingView {
    fn of(row: Waiting, now: DateTime<Utc>) -> Self {
        Self {
            connection_id: row.id,
            service_id: row.service_id,
            service_name: row.service_name,
            endpoint_id: row.endpoint_id.into(),
            owner_account_id: row.owner.into(),
            first_seen_at: row.first_seen_at,
            age_seconds: (now - row.first_seen_at).num_seconds(),
            requested_at: row.created_at,
            due_at: row.due_at,
            overdue: row.due_at <= now,
            reminded_at: row.desk.reminded_at,
            escalated_at: row.desk.escalated_at,
            claim: review_views::claim(row.desk.claim, now),
            hold: review_views::hold(row.desk.hold, now),
            approvals_required: row.desk.rules.approvals_required,
            approvals: row.desk.approvals.into_iter().map(Into::into).collect(),
            comments: row.comments,
        }
    }
}

/// A page of the review queue, the earliest deadline first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewList {
    /// The rows.
    items: Vec<WaitingView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<String>,
}

/// The review queue in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewSummaryView {
    /// How many requests wait.
    waiting: i64,
    /// How many of them for too long.
    overdue: i64,
    /// How many are held.
    held: i64,
    /// How many nobody works on.
    unclaimed: i64,
    /// Since when the oldest waits; null while none does.
    oldest_at: Option<DateTime<Utc>>,
    /// How long ago that is, in seconds.
    oldest_age_seconds: Option<i64>,
}

/// Where a page begins: a deadline in microseconds and an id.
#[derive(Debug, Clone, Copy)]
struct Cursor(DateTime<Utc>, ConnectionId);

impl Cursor {
    fn text((at, id): After) -> String {
        format!("{}_{id}", at.timestamp_micros())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "pass the next_cursor of the page before";
        let (micros, id) = text.split_once('_').ok_or(expected)?;
        let at = time_of_cursor(micros).ok_or(expected)?;
        Ok(Self(at, id.parse().map_err(|_| expected)?))
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
    /// Only requests for this service.
    service_id: Option<EndpointServiceId>,
    /// Only requests of this consumer account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    owner_account_id: Option<AccountId>,
    /// Only those that this person works on.
    claimed_by: Option<String>,
    /// Only those that somebody works on, or only the others.
    claimed: Option<bool>,
    /// Only those that wait for too long, or only the others.
    overdue: Option<bool>,
    /// Only those that are held, or only the others.
    held: Option<bool>,
    /// Where to read on: the `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,17}_con_[0-9a-f]{32}$")]
    cursor: Option<Cursor>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the review queue
///
/// What nobody decided and AWS shows as `pendingAcceptance`. A request whose deadline is moved while you read may be met twice or not at all.
#[utoipa::path(
    tag = "reviews",
    params(ListQuery),
    responses((status = 200, description = "A page, the earliest deadline first.", body = ReviewList), AuthProblems, InputProblems)
)]
#[get("/v1/reviews")]
pub(super) async fn list_reviews(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewList>, Problem> {
    let filter = Filter {
        service: query.service_id,
        owner: query.owner_account_id.as_ref(),
        claimed_by: query.claimed_by.as_deref(),
        claimed: query.claimed,
        overdue: query.overdue,
        held: query.held,
    };
    let after = query.cursor.map(|Cursor(at, id)| (at, id));
    let (listed, now) = review_queue::queue(&ctx, &filter, after, query.limit.0).await?;
    let items = listed.items.into_iter();
    Ok(Json(ReviewList {
        items: items.map(|row| WaitingView::of(row, now)).collect(),
        next_cursor: listed.next.map(Cursor::text),
    }))
}

/// Shows the review queue in figures
///
/// How many wait, are overdue, held or not taken up, and how long the oldest waits.
#[utoipa::path(
    tag = "reviews",
    responses((status = 200, description = "How many wait, and how.", body = ReviewSummaryView), AuthProblems)
)]
#[get("/v1/reviews/summary")]
pub(super) async fn summarise_reviews(
    _caller: Caller<Read>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewSummaryView>, Problem> {
    let (counted, now) = review_queue::summary(&ctx).await?;
    let age = |at: DateTime<Utc>| (now - at).num_seconds();
    Ok(Json(ReviewSummaryView {
        waiting: counted.waiting,
        overdue: counted.overdue,
        held: counted.held,
        unclaimed: counted.unclaimed,
        oldest_at: counted.oldest_at,
        oldest_age_seconds: counted.oldest_at.map(age),
    }))
}

/// Claims a request
///
/// Says to everybody who looks that you work on it. It keeps nobody from deciding, and ends with the decision or by itself after
/// `reviews.claim_ttl`. Your own claim begins anew.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses(
        (status = 200, description = "Yours.", body = ReviewedView),
        AuthProblems, InputProblems, ConnectionMissing, ReviewClaimConflict
    )
)]
#[post("/v1/connections/{id}/claim")]
pub(super) async fn claim_review(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let claimed = claims::claim_review(&ctx, &actor(caller.subject), id).await?;
    Ok(Json(claimed.into()))
}

/// Leaves a request to others
///
/// Your own claim; an admin ends anybody's.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses(
        (status = 200, description = "Nobody's.", body = ReviewedView),
        AuthProblems, InputProblems, ConnectionMissing, ReviewReleaseConflict
    )
)]
#[post("/v1/connections/{id}/release")]
pub(super) async fn release_review(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let manages = caller.may::<Manage>();
    let released = claims::release_review(&ctx, &actor(caller.subject), id, manages).await?;
    Ok(Json(released.into()))
}

/// Why it is held, and until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// Why, for the record: 1 to 1000 characters.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "The contract is being signed"
    )]
    reason: String,
    /// When the hold ends by itself; never, when it is left out.
    #[serde(default, deserialize_with = "optional_time")]
    until: Option<DateTime<Utc>>,
}

/// Holds a request that nobody decided yet
///
/// It shows as held, and no timer rejects it. Anybody who may decide can decide it all the same. It takes the place of an earlier hold.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = HoldBody,
    responses(
        (status = 200, description = "Held.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, DecisionConflict
    )
)]
#[post("/v1/connections/{id}/hold")]
pub(super) async fn hold_review(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<HoldBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let held = holds::hold_review(&ctx, &actor, id, &body.reason, body.until).await?;
    Ok(Json(held.into()))
}

/// Ends a hold, whoever made it
///
/// It goes on waiting for a decision, by the deadline that it has.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Not held.", body = ReviewedView),
        AuthProblems, BodyProblems, ConnectionMissing, HoldConflict
    )
)]
#[post("/v1/connections/{id}/unhold")]
pub(super) async fn unhold_review(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ReviewedView>, Problem> {
    let actor = actor(caller.subject);
    let free = holds::unhold_review(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(free.into()))
}
