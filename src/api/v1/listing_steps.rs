//! The steps in the life of a listing: submission, release, publishing, stops, and its end. Reviews are in [`super::listing_reviews`]. Which leads where is in `docs/listing-states.md`.

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::decisions::ReasonBody;
use super::listing_views::WholeListingView;
use crate::api::auth::{Caller, Decide, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, ListingIncompleteProblem, ListingMissing, ListingPublishConflict,
    ListingReleaseConflict, ListingRetireConflict, ListingStepConflict, ListingSubmitConflict,
};
use crate::app::AppContext;
use crate::app::step_listing::{Words, take};
use crate::domain::ids::ListingId;
use crate::domain::listing::ListingVerb;

/// What somebody says with a step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingStepBody {
    /// The number of the open revision that you have read. Where it is given and another is open, nothing is done.
    #[schema(minimum = 1, example = 1)]
    revision: Option<i64>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

impl ListingStepBody {
    fn words(self) -> Words {
        Words {
            revision: self.revision,
            reason: self.reason,
            ..Words::default()
        }
    }
}

/// Submits a listing for review
///
/// Freezes its draft. What is missing, and which service is not ready for a review, is told all at once.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingSubmitConflict, ListingIncompleteProblem
    )
)]
#[post("/v1/listings/{id}/submit")]
pub(super) async fn submit_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Submit, words).await
}

/// Takes a revision back
///
/// One that is in review or approved. The next draft begins as its copy.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingStepConflict
    )
)]
#[post("/v1/listings/{id}/back-to-draft")]
pub(super) async fn back_to_draft_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::BackToDraft, words).await
}

/// Releases a listing
///
/// Makes the approved revision the one that is sold. The first release is to the allow-list; a later one takes the place of the revision before, wherever the listing stands.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingReleaseConflict, ListingIncompleteProblem
    )
)]
#[post("/v1/listings/{id}/release")]
pub(super) async fn release_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Release, words).await
}

/// Publishes a listing
///
/// Lets everybody buy, once every readiness check passes. `checks` of a refusal has those that do not.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingPublishConflict
    )
)]
#[post("/v1/listings/{id}/publish")]
pub(super) async fn publish_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Publish, words).await
}

/// Limits a listing to its allow-list
///
/// Nobody else can buy any more. Agreements that exist run on.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingStepConflict
    )
)]
#[post("/v1/listings/{id}/unpublish")]
pub(super) async fn unpublish_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Unpublish, words).await
}

/// Restricts a listing
///
/// No new agreements are made; those that exist run on.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingStepConflict
    )
)]
#[post("/v1/listings/{id}/restrict")]
pub(super) async fn restrict_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Restrict, words).await
}

/// Suspends a listing
///
/// Nothing new is granted or accepted anywhere until it is resumed. What is connected stays.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingStepConflict
    )
)]
#[post("/v1/listings/{id}/suspend")]
pub(super) async fn suspend_listing(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = Words {
        reason: Some(body.reason().to_owned()),
        ..Words::default()
    };
    step(&ctx, caller.subject, id, ListingVerb::Suspend, words).await
}

/// Resumes a listing
///
/// It goes on where it was suspended.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingStepConflict
    )
)]
#[post("/v1/listings/{id}/resume")]
pub(super) async fn resume_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Resume, words).await
}

/// Retires a listing
///
/// For ever. Nothing of it may be live any more, and its services can be sold by another listing.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingStepBody,
    responses(
        (status = 200, description = "Done.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingRetireConflict
    )
)]
#[post("/v1/listings/{id}/retire")]
pub(super) async fn retire_listing(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingStepBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let words = body.words();
    step(&ctx, caller.subject, id, ListingVerb::Retire, words).await
}

pub(super) async fn step(
    ctx: &AppContext,
    subject: String,
    id: ListingId,
    verb: ListingVerb,
    words: Words,
) -> Result<Json<WholeListingView>, Problem> {
    Ok(Json(
        take(ctx, &actor(subject), id, verb, &words).await?.into(),
    ))
}
