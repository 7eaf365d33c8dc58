//! Listings: listing, beginning, reading and changing them.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use super::listing_views::{ListingSummaryView, WholeListingView};
use crate::api::auth::{Caller, Manage, Read};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, ListingChangeConflict, ListingConflict,
    ListingMissing,
};
use crate::app::write_listing::{self as app, ListingChange, NewListing};
use crate::app::{AppContext, read_listings};
use crate::domain::ids::ListingId;
use crate::domain::listing::{ListingContent, ListingState, RevisionStatus, Visibility};
use crate::store::listings::Filter;

/// A page of listings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingList {
    /// The rows.
    items: Vec<ListingSummaryView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ListingId>,
}

/// A listing that begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewListingBody {
    /// A short name that is used once, in addresses; made of the title when absent.
    #[schema(max_length = 63, example = "ledger-over-privatelink")]
    slug: Option<String>,
    /// Who answers for it at the provider, a person or a team; whoever makes it when absent. Consumers do not see it.
    #[schema(min_length = 1, max_length = 128, example = "payments")]
    owner: Option<String>,
    /// Who sees it once it is public.
    #[serde(default = "everybody")]
    #[schema(default = "public")]
    visibility: Visibility,
    /// Accounts that may buy while it is limited, and see it where only they may. A release needs one to test with.
    #[serde(default)]
    #[schema(max_items = 1000, example = json!(["222222222222"]))]
    allow_list: Vec<String>,
    /// What its first draft says. Only `title` is needed now; the rest is asked for when it is submitted.
    content: ListingContent,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

fn everybody() -> Visibility {
    Visibility::Public
}

/// What to change. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingChangeBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the listing since makes this a `listing_changed`.
    version: Option<i64>,
    /// Another short name; only before the first release.
    #[schema(max_length = 63, example = "ledger-over-privatelink")]
    slug: Option<String>,
    /// Who answers for it from now on.
    #[schema(min_length = 1, max_length = 128, example = "payments")]
    owner: Option<String>,
    /// Who sees it once it is public.
    visibility: Option<Visibility>,
    /// The whole allow-list.
    #[schema(max_items = 1000, example = json!(["222222222222"]))]
    allow_list: Option<Vec<String>>,
    /// All that the draft says, in the place of what it said. Where there is no draft, one begins beside the live revision. What is in review or approved does not
    /// change: take it back first.
    content: Option<ListingContent>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only listings that stand so.
    state: Option<ListingState>,
    /// Only listings that are shown so.
    visibility: Option<Visibility>,
    /// Only the one with this slug.
    #[param(example = "ledger-over-privatelink")]
    slug: Option<String>,
    /// Only listings with a revision that stands so: `in_review` is what waits for a reviewer.
    revision_status: Option<RevisionStatus>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ListingId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists listings
///
/// Without what they say: drafts, those that are sold, and those that were.
#[utoipa::path(
    tag = "listings",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = ListingList), AuthProblems, InputProblems)
)]
#[get("/v1/listings")]
pub(super) async fn list_listings(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ListingList>, Problem> {
    let filter = Filter {
        state: query.state,
        visibility: query.visibility,
        slug: query.slug.as_deref(),
        open: query.revision_status,
    };
    let listed = read_listings::listings(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(ListingList {
        items: listed.items.iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Begins a listing
///
/// As a draft, which nobody but the provider sees. It may be incomplete: submitting says what is missing.
#[utoipa::path(
    tag = "listings",
    request_body = NewListingBody,
    responses(
        (status = 201, description = "Begun.", body = WholeListingView,
         headers(("location" = String, description = "The new listing."))),
        AuthProblems, BodyProblems, ListingConflict
    )
)]
#[post("/v1/listings")]
pub(super) async fn create_listing(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewListingBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewListing {
        slug: body.slug,
        owner: body.owner,
        visibility: body.visibility,
        allow_list: body.allow_list,
        content: body.content,
        reason: body.reason,
    };
    let made = app::create(&ctx, &actor(caller.subject), new).await?;
    Ok(HttpResponse::Created()
        .insert_header((
            header::LOCATION,
            format!("/v1/listings/{}", made.listing.id),
        ))
        .json(WholeListingView::from(made)))
}

/// Reads one listing
///
/// With the revision that is sold, and the one after it.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    responses((status = 200, description = "The listing.", body = WholeListingView), AuthProblems, InputProblems, ListingMissing)
)]
#[get("/v1/listings/{id}")]
pub(super) async fn read_listing(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ListingId>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    Ok(Json(read_listings::listing(&ctx, id).await?.into()))
}

/// Changes a listing
///
/// Who sees it, at once; and what its draft says. A draft beside a live revision changes nothing that is sold.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing.")),
    request_body = ListingChangeBody,
    responses(
        (status = 200, description = "Recorded.", body = WholeListingView),
        AuthProblems, BodyProblems, ListingMissing, ListingChangeConflict
    )
)]
#[patch("/v1/listings/{id}")]
pub(super) async fn change_listing(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<ListingId>,
    ApiJson(body): ApiJson<ListingChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<WholeListingView>, Problem> {
    let change = ListingChange {
        version: meant.version(body.version)?,
        slug: body.slug,
        owner: body.owner,
        visibility: body.visibility,
        allow_list: body.allow_list,
        content: body.content,
        reason: body.reason,
    };
    let changed = app::change(&ctx, &actor(caller.subject), id, change).await?;
    Ok(Json(changed.into()))
}
