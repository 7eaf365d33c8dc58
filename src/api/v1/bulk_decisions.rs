//! One decision about many connections.

use actix_web::post;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::arguments::optional_time;
use crate::api::auth::{Caller, Decide};
use crate::api::extract::ApiJson;
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, BodyProblems};
use crate::app::AppContext;
use crate::app::bulk_decide::{Bulk, ItemOutcome, ItemResult, bulk_decide};
use crate::app::decision_words::Said;
use crate::domain::ids::ConnectionId;
use crate::domain::review::Verb;

/// What to decide, about which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// What.
    verb: Verb,
    /// Why, for the record of each: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// What the consumers are told.
    #[schema(min_length = 1, max_length = 1000)]
    message: Option<String>,
    /// Where the work on it is kept: an `https://` address.
    #[schema(max_length = 2000, example = "https://tickets.example/4711")]
    ticket_url: Option<String>,
    /// With accept only: until when access is given.
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<DateTime<Utc>>,
    /// With accept only: yes, it is meant although it goes beyond quotas. That is on record too.
    #[serde(default)]
    over_quota: bool,
    /// Which connections: 1 to 1000.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<BulkItem>,
    /// Whether none is decided unless all can be.
    #[serde(default)]
    all_or_nothing: bool,
}

/// A connection, by either id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkItem {
    /// The connection's id (`con_…`), or AWS's id of the endpoint (`vpce-…`) where that names one connection.
    id: String,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkResultKind {
    /// It is decided.
    Decided,
    /// It is approved, and another person has to approve it too.
    Approved,
    /// It was refused; see `code`.
    Refused,
    /// It could have been decided, but another one could not.
    NotApplied,
}

/// What became of one connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkResult {
    /// As it was named.
    id: String,
    /// Which connection that is, where it is one.
    connection_id: Option<ConnectionId>,
    /// What became of it.
    result: BulkResultKind,
    /// Why it was refused: a code, as problems have it.
    code: Option<&'static str>,
    /// The same as a sentence.
    detail: Option<String>,
}

/// What became of all.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkResults {
    /// How many were decided.
    decided: usize,
    /// How many were approved and wait for another person.
    approved: usize,
    /// How many were refused.
    refused: usize,
    /// A result for each, in the order given.
    results: Vec<BulkResult>,
}

impl From<ItemResult> for BulkResult {
    fn from(item: ItemResult) -> Self {
        let (result, refusal) = match item.outcome {
            ItemOutcome::Decided => (BulkResultKind::Decided, None),
            ItemOutcome::Approved => (BulkResultKind::Approved, None),
            ItemOutcome::NotApplied => (BulkResultKind::NotApplied, None),
            ItemOutcome::Refused(refusal) => (BulkResultKind::Refused, Some(refusal)),
        };
        Self {
            id: item.given,
            connection_id: item.connection,
            result,
            code: refusal.as_ref().map(|refusal| refusal.code().slug()),
            detail: refusal.map(|refusal| refusal.detail().to_owned()),
        }
    }
}

/// Decides about many connections
///
/// Each for itself, in transactions of up to 50: a refused one has its `code`, and the rest stands. With `all_or_nothing`, in one transaction
/// that is undone unless all can be decided. **The answer is 200 in all cases; look at `refused`.**
#[utoipa::path(
    tag = "connections",
    request_body = BulkBody,
    responses(
        (status = 200, description = "A result for each.", body = BulkResults),
        AuthProblems, BodyProblems
    )
)]
#[post("/v1/connections/bulk-decisions")]
pub(super) async fn decide_connections(
    caller: Caller<Decide>,
    ApiJson(body): ApiJson<BulkBody>,
    ctx: Data<AppContext>,
) -> Result<Json<BulkResults>, Problem> {
    let bulk = Bulk {
        verb: body.verb,
        said: Said {
            reason: body.reason,
            message: body.message,
            ticket_url: body.ticket_url,
            expires_at: body.expires_at,
            over_quota: body.over_quota,
        },
        items: body.items.into_iter().map(|item| item.id).collect(),
        all_or_nothing: body.all_or_nothing,
    };
    let done = bulk_decide(&ctx, &actor(caller.subject), bulk).await?;
    let results: Vec<BulkResult> = done.into_iter().map(Into::into).collect();
    let count = |kind| results.iter().filter(|one| one.result == kind).count();
    Ok(Json(BulkResults {
        decided: count(BulkResultKind::Decided),
        approved: count(BulkResultKind::Approved),
        refused: count(BulkResultKind::Refused),
        results,
    }))
}
