//! The revisions of a listing, and whether they are ready.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use super::listing_views::{ListingReadinessView, ListingRevisionView};
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems, ListingMissing, ListingRevisionMissing};
use crate::app::{AppContext, read_listings};
use crate::domain::ids::ListingId;

/// A page of revisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingRevisionList {
    /// The rows.
    items: Vec<ListingRevisionView>,
    /// Pass it as `cursor` to read on; null on the last page.
    #[schema(minimum = 1, example = 3)]
    next_cursor: Option<i64>,
}

/// The number of a revision; they count from 1.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let given = i64::deserialize(from)?;
    if given < 1 {
        return Err(D::Error::custom(
            "cursor is the number of a revision, 1 or more",
        ));
    }
    Ok(Some(given))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RevisionQuery {
    /// Where to read on: the `next_cursor` of the page before.
    #[param(minimum = 1, example = 3)]
    #[serde(default, deserialize_with = "number")]
    cursor: Option<i64>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadinessQuery {
    /// The revision to look at; the next one when absent, or the live one where there is no next.
    #[param(minimum = 1, example = 1)]
    revision: Option<i64>,
}

/// Lists the revisions of a listing
///
/// All that there ever were: what was submitted never changes.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing."), RevisionQuery),
    responses((status = 200, description = "A page, newest first.", body = ListingRevisionList), AuthProblems, InputProblems, ListingMissing)
)]
#[get("/v1/listings/{id}/revisions")]
pub(super) async fn list_listing_revisions(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ListingId>,
    ApiQuery(query): ApiQuery<RevisionQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ListingRevisionList>, Problem> {
    let listed = read_listings::revisions(&ctx, id, query.cursor, query.limit.0).await?;
    Ok(Json(ListingRevisionList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one revision of a listing
///
/// What an agreement or an offer that names it was made by.
#[utoipa::path(
    tag = "listings",
    params(
        ("id" = ListingId, Path, description = "The listing."),
        ("number" = i64, Path, description = "The revision's number.", minimum = 1, example = 1)
    ),
    responses((status = 200, description = "The revision.", body = ListingRevisionView), AuthProblems, InputProblems, ListingRevisionMissing)
)]
#[get("/v1/listings/{id}/revisions/{number}")]
pub(super) async fn read_listing_revision(
    _caller: Caller<Read>,
    ApiPath((id, number)): ApiPath<(ListingId, i64)>,
    ctx: Data<AppContext>,
) -> Result<Json<ListingRevisionView>, Problem> {
    Ok(Json(
        read_listings::revision(&ctx, id, number).await?.into(),
    ))
}

/// Says whether a listing is ready
///
/// Every readiness check with what was seen. What is not known does not pass. Publishing asks the same.
#[utoipa::path(
    tag = "listings",
    params(("id" = ListingId, Path, description = "The listing."), ReadinessQuery),
    responses(
        (status = 200, description = "Each check.", body = ListingReadinessView),
        AuthProblems, InputProblems, ListingRevisionMissing
    )
)]
#[get("/v1/listings/{id}/readiness")]
pub(super) async fn examine_listing(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ListingId>,
    ApiQuery(query): ApiQuery<ReadinessQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ListingReadinessView>, Problem> {
    let examined = read_listings::readiness_of(&ctx, id, query.revision).await?;
    Ok(Json(examined.into()))
}
