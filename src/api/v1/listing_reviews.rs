//! Reviews of listings: a revision passes, or changes are asked for. Never by whoever wrote it.

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::listing_steps::step;
use super::listing_views::WholeListingView;
use crate::api::auth::{Caller, Decide};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, BodyProblems, ListingMissing, ListingReviewConflict};
use crate::app::AppContext;
use crate::app::step_listing::Words;
use crate::domain::ids::ListingId;
use crate::domain::listing::{ListingVerb, Rejection, ReviewItem};

/// A review that passes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingApprovalBody {
    /// The number of the revision that was reviewed.
    #[schema(minimum = 1, example = 1)]
    revision: i64,
    /// What was looked at and is good: each item of the list.
    #[schema(example = json!(["texts", "pricing", "legal", "support", "services", "data"]))]
    checklist: Vec<ReviewItem>,
    /// What the reviewer says.
    #[schema(min_length = 1, max_length = 5000)]
    note: Option<String>,
}

/// A review that asks for changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingRejectionBody {
    /// The number of the revision that was reviewed.
    #[schema(minimum = 1, example = 1)]
    revision: i64,
    /// Why: at least one reason that programs can read.
    #[schema(min_items = 1, max_items = 50)]
    reasons: Vec<Rejection>,
    /// What the reviewer says.
    #[schema(min_length = 1, max_length = 5000)]
    note: Option<String>,
}

/// Approves a revision
///
/// By somebody who wrote no part of it. Nothing is sold by it yet: the author releases it.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingApprovalBody,
    responses(
        (status = 200, description = "Approved.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingReviewConflict
    )
)]
#[post("/v1/listings/{id}/approve")]
pub(super) async fn approve_listing(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingApprovalBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = Words {
        revision: Some(body.revision),
        checklist: body.checklist,
        note: body.note,
        ..Words::default()
    };
    step(&ctx, caller.subject, id, ListingVerb::Approve, words).await
}

/// Rejects a revision
///
/// With reasons that programs can read. The author makes the changes in the next revision.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingRejectionBody,
    responses(
        (status = 200, description = "Rejected.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingReviewConflict
    )
)]
#[post("/v1/listings/{id}/reject")]
pub(super) async fn reject_listing(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingRejectionBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = Words {
        revision: Some(body.revision),
        rejections: body.reasons,
        note: body.note,
        ..Words::default()
    };
    step(&ctx, caller.subject, id, ListingVerb::Reject, words).await
}
