//! Offers: listing, making, reading and withdrawing them.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, optional_time};
use super::decisions::ReasonBody;
use super::listing_views::OfferView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, ListingMissing, OfferConflict, OfferEndConflict,
    OfferMissing,
};
use crate::app::make_offer::{NewOffer, make_offer as make};
use crate::app::withdraw_offer::withdraw_offer as withdraw;
use crate::app::{AppContext, read_offers};
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::listing::{OfferKind, OfferState, PriceOverride};
use crate::store::offers::Filter;

/// A page of offers, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferList {
    /// The rows.
    items: Vec<OfferView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<OfferId>,
}

/// What is offered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOfferBody {
    /// Of which listing. It has to be limited or public.
    listing_id: ListingId,
    /// Which plan of its live revision.
    plan_id: PlanId,
    /// Whom it is for.
    kind: OfferKind,
    /// What people call it.
    #[schema(min_length = 1, max_length = 150, example = "First year for Acme")]
    name: String,
    /// The accounts of a private offer: 1 to 26. A public one has none.
    #[serde(default)]
    #[schema(max_items = 26, example = json!(["222222222222"]))]
    accounts: Vec<String>,
    /// From when it can be taken; at once when absent.
    #[serde(default, deserialize_with = "optional_time")]
    valid_from: Option<DateTime<Utc>>,
    /// Until when. A private offer has an end.
    #[serde(default, deserialize_with = "optional_time")]
    #[schema(example = "2031-03-31T16:00:00Z")]
    valid_until: Option<DateTime<Utc>>,
    /// Other prices than the plan's. What is not here costs what the plan says.
    #[serde(default)]
    #[schema(max_items = 250)]
    prices: Vec<PriceOverride>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only offers of this listing.
    listing_id: Option<ListingId>,
    /// Only offers of this plan.
    plan_id: Option<PlanId>,
    /// Only offers of this kind.
    kind: Option<OfferKind>,
    /// Only offers that stand so now.
    state: Option<OfferState>,
    /// Only private offers for this account.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<OfferId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists offers
///
/// Those that can be taken, those whose time has not come, and those that are over.
#[utoipa::path(
    tag = "listings",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = OfferList), AuthProblems, InputProblems)
)]
#[get("/v1/offers")]
pub(super) async fn list_offers(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<OfferList>, Problem> {
    let filter = Filter {
        listing: query.listing_id,
        plan: query.plan_id,
        kind: query.kind,
        state: query.state,
        account: query.account_id.as_ref(),
    };
    let listed = read_offers::offers(&ctx, &filter, query.cursor, query.limit.0).await?;
    let now = ctx.clock.now();
    let items = listed.items.into_iter();
    Ok(Json(OfferList {
        items: items.map(|row| OfferView::at(row, now)).collect(),
        next_cursor: listed.next,
    }))
}

/// Makes an offer
///
/// Of a plan as the live revision has it, for ever. A private offer is for the accounts that it names; of a plan is one public offer at a time.
#[utoipa::path(
    tag = "listings",
    request_body = NewOfferBody,
    responses(
        (status = 201, description = "Made.", body = OfferView,
         headers(("location" = String, description = "The new offer."))),
        AuthProblems, BodyProblems, ListingMissing, OfferConflict
    )
)]
#[post("/v1/offers")]
pub(super) async fn make_offer(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewOfferBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewOffer {
        listing: body.listing_id,
        plan: body.plan_id,
        kind: body.kind,
        name: body.name,
        accounts: body.accounts,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        prices: body.prices,
    };
    let made = make(&ctx, &actor(caller.subject), new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/offers/{}", made.id)))
        .json(OfferView::at(made, ctx.clock.now())))
}

/// Reads one offer
///
/// Where it stands is told by the clock, unless somebody has withdrawn it.
#[utoipa::path(
    tag = "listings",
    params(("id" = OfferId, Path, description = "The offer.")),
    responses((status = 200, description = "The offer.", body = OfferView), AuthProblems, InputProblems, OfferMissing)
)]
#[get("/v1/offers/{id}")]
pub(super) async fn read_offer(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<OfferId>,
    ctx: Data<AppContext>,
) -> Result<Json<OfferView>, Problem> {
    let found = read_offers::offer(&ctx, id).await?;
    Ok(Json(OfferView::at(found, ctx.clock.now())))
}

/// Withdraws an offer
///
/// Nobody can take it any more. Agreements that were made by it go on.
#[utoipa::path(
    tag = "listings",
    params(("id" = OfferId, Path, description = "The offer.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Withdrawn.", body = OfferView),
        AuthProblems, BodyProblems, OfferMissing, OfferEndConflict
    )
)]
#[post("/v1/offers/{id}/withdraw")]
pub(super) async fn withdraw_offer(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<OfferId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<OfferView>, Problem> {
    let actor = actor(caller.subject);
    let withdrawn = withdraw(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(OfferView::at(withdrawn, ctx.clock.now())))
}
