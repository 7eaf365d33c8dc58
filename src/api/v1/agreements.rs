//! Agreements: listing, making and reading them. What happens to them then is in [`super::agreement_verbs`] and [`super::agreement_notices`].

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::agreement_views::{AgreementSummaryView, AgreementView, kept};
use super::arguments::{Limit, aws_id, optional_time};
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementConflict, AgreementMissing, AgreementPartsMissing, AuthProblems, BodyProblems,
    InputProblems,
};
use crate::app::make_agreement::{NewAgreement, make_agreement as make};
use crate::app::{AppContext, read_agreements};
use crate::domain::agreement::purchase::Wanted;
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, OfferId, PlanId};
use crate::domain::listing::{ContractTerm, Quotas};
use crate::domain::money::Amount;
use crate::store::agreements::Filter;

/// A page of agreements, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementList {
    /// The rows.
    items: Vec<AgreementSummaryView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AgreementId>,
}

/// What is bought, and by whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgreementBody {
    /// Of which listing. It has to be public, or limited with the buyer on its allow-list; where it is restricted, only what takes the place of an agreement is made.
    listing_id: ListingId,
    /// Which plan of its live revision. An offer says it as well.
    plan_id: Option<PlanId>,
    /// By which offer: one that can be taken now, by the buyer. The plan is bought as it was in the offer's revision.
    offer_id: Option<OfferId>,
    /// The AWS account that buys, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "222222222222")]
    buyer_account: String,
    /// Accounts besides the buyer's that may connect, at most 100. Each is as proven as its membership of the buyer's consumer; one that is nobody's is not let in
    /// before somebody vouches for it.
    #[serde(default)]
    #[schema(max_items = 100, example = json!(["333333333333"]))]
    accounts: Vec<String>,
    /// The provider's own id of it, used once: 1 to 128 printable characters without blanks. Ours when absent.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "order-4711"
    )]
    reference: Option<String>,
    /// The provider's own id of the event that it was made, used once.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "evt-1"
    )]
    event_id: Option<String>,
    /// When it was made; now when absent. Of what was told of it before, that counts which happened later.
    #[serde(default, deserialize_with = "optional_time")]
    made_at: Option<DateTime<Utc>>,
    /// For how long: one of the plan's terms. Needed where the plan has any, unless it is a trial.
    term: Option<ContractTerm>,
    /// Whether it is a trial, which a plan with `trial_days` has once for each account.
    #[serde(default)]
    trial: bool,
    /// When it begins; now when absent. At most 366 days ago and 1098 days ahead.
    #[serde(default, deserialize_with = "optional_time")]
    starts_at: Option<DateTime<Utc>>,
    /// When it ends by itself, for a plan without terms; absent where it runs until somebody ends it. With a term or a trial it follows from that.
    #[serde(default, deserialize_with = "optional_time")]
    #[schema(example = "2031-03-31T16:00:00Z")]
    ends_at: Option<DateTime<Utc>>,
    /// How much of each dimension that the plan sells for the term is bought.
    #[serde(default)]
    #[schema(example = json!({ "endpoint_seat": "4" }))]
    quantities: BTreeMap<String, Amount>,
    /// Other figures than the plan's quotas. What is absent is as the plan says.
    #[serde(default)]
    quotas: Quotas,
    /// The agreement of the same listing and buyer whose place it takes, without a cut. To renew one by the same plan, use its `renew`.
    replaces: Option<AgreementId>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

impl NewAgreementBody {
    fn into_new(self) -> Result<NewAgreement, Problem> {
        let accounts = self.accounts.iter().enumerate();
        let accounts = accounts
            .map(|(index, account)| aws_id(&format!("accounts[{index}]"), account))
            .collect::<Result<Vec<AccountId>, _>>()?;
        Ok(NewAgreement {
            listing: self.listing_id,
            plan: self.plan_id,
            offer: self.offer_id,
            buyer: aws_id("buyer_account", &self.buyer_account)?,
            accounts,
            reference: self.reference,
            event_id: self.event_id,
            made_at: self.made_at.map(kept),
            wanted: Wanted {
                term: self.term,
                trial: self.trial,
                starts_at: self.starts_at.map(kept),
                ends_at: self.ends_at.map(kept),
                quantities: self.quantities,
                quotas: self.quotas,
            },
            replaces: self.replaces,
            reason: self.reason,
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only agreements of this listing.
    listing_id: Option<ListingId>,
    /// Only agreements of this plan.
    plan_id: Option<PlanId>,
    /// Only agreements that stood so when they were last looked at, which is moments ago.
    #[param(inline)]
    state: Option<AgreementState>,
    /// Only agreements that were made there.
    #[param(inline)]
    source: Option<AgreementSource>,
    /// Only the one with this id there.
    #[param(example = "order-4711")]
    reference: Option<String>,
    /// Only agreements that this account is attached to.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only agreements that more is connected by than they grant, or only the others.
    over_quota: Option<bool>,
    /// Only agreements that end by themselves before this time, and have not ended.
    #[serde(default, deserialize_with = "optional_time")]
    ends_before: Option<DateTime<Utc>>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AgreementId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists agreements
///
/// What was bought, whatever became of it.
#[utoipa::path(
    tag = "agreements",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = AgreementList), AuthProblems, InputProblems)
)]
#[get("/v1/agreements")]
pub(super) async fn list_agreements(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementList>, Problem> {
    let filter = Filter {
        listing: query.listing_id,
        plan: query.plan_id,
        state: query.state,
        source: query.source,
        reference: query.reference.as_deref(),
        account: query.account_id.as_ref(),
        over_quota: query.over_quota,
        ends_before: query.ends_before,
    };
    let listed = read_agreements::agreements(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(AgreementList {
        items: listed.items.iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Makes an agreement
///
/// Of a plan as it is sold now, for ever. An account has one agreement of a listing at a time, unless the plans say which of several pays.
#[utoipa::path(
    tag = "agreements",
    request_body = NewAgreementBody,
    responses(
        (status = 201, description = "Made.", body = AgreementView,
         headers(("location" = String, description = "The new agreement."))),
        AuthProblems, BodyProblems, AgreementPartsMissing, AgreementConflict
    )
)]
#[post("/v1/agreements")]
pub(super) async fn make_agreement(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewAgreementBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let made = make(&ctx, &actor(caller.subject), body.into_new()?).await?;
    created(&ctx, made.id).await
}

/// What was made, and where it is.
pub(super) async fn created(ctx: &AppContext, id: AgreementId) -> Result<HttpResponse, Problem> {
    let made = read_agreements::agreement(ctx, id).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/agreements/{id}")))
        .json(AgreementView::from(made)))
}

/// Reads one agreement
///
/// As it stands now, with its terms, prices, accounts, and what is used of it.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    responses((status = 200, description = "The agreement.", body = AgreementView), AuthProblems, InputProblems, AgreementMissing)
)]
#[get("/v1/agreements/{id}")]
pub(super) async fn read_agreement(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AgreementId>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    Ok(Json(read_agreements::agreement(&ctx, id).await?.into()))
}
