//! What people say happened to an agreement. Each is kept as a notice; which makes sense where is in `docs/agreements.md`.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::agreement_views::{AgreementView, kept};
use super::agreements::created;
use super::arguments::optional_time;
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Decide, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementAmendConflict, AgreementEndConflict, AgreementMissing, AgreementPartsMissing,
    AgreementRenewalConflict, AgreementStepConflict, AuthProblems, BodyProblems,
};
use crate::app::amend_renewals::Figures;
use crate::app::change_agreement::{Amendment, Said, change_agreement};
use crate::app::renew_agreement::{Renewal, renew_agreement as renew};
use crate::app::{AppContext, read_agreements};
use crate::domain::agreement::{RenewalFate, RenewalTerms};
use crate::domain::ids::{AgreementId, OfferId};
use crate::domain::listing::{ContractTerm, Quotas};
use crate::domain::money::Amount;

/// Other terms. What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendmentBody {
    /// All figures that are not the plan's. Where less is granted than is connected, nothing is cut at once.
    quotas: Option<Quotas>,
    /// How much is bought in advance, of every dimension that the plan sells for the term.
    #[schema(example = json!({ "endpoint_seat": "8" }))]
    quantities: Option<BTreeMap<String, Amount>>,
    /// When it ends by itself; null where it runs until somebody ends it, which is for plans without terms.
    #[serde(default, deserialize_with = "given_time")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-03-31T16:00:00Z")]
    #[expect(clippy::option_option, reason = "null is not absent")]
    ends_at: Option<Option<DateTime<Utc>>>,
    /// What becomes of a renewal that has not begun. Needed where there is one that would have other figures or quantities than this one then.
    renewal: Option<RenewalTerms>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

#[expect(clippy::option_option, reason = "null is not absent")]
fn given_time<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<DateTime<Utc>>>, D::Error> {
    optional_time(from).map(Some)
}

/// Amends an agreement
///
/// Its figures, quantities or end, and those figures and quantities of a renewal that has not begun, too, if you say so. The plan and the revision stay; for others, make one that takes its place.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = AmendmentBody,
    responses(
        (status = 200, description = "Amended.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementAmendConflict
    )
)]
#[post("/v1/agreements/{id}/amend")]
pub(super) async fn amend_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<AmendmentBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    let said = Said::Amended(Amendment {
        figures: Figures {
            quotas: body.quotas,
            quantities: body.quantities,
        },
        renewal: body.renewal,
        ends_at: body.ends_at.map(|at| at.map(kept)),
    });
    say(&ctx, caller.subject, id, said, body.reason.as_deref()).await
}

/// As of when it is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancellationBody {
    /// As of when; now when absent, and not before.
    #[serde(default, deserialize_with = "optional_time")]
    #[schema(example = "2031-03-31T16:00:00Z")]
    at: Option<DateTime<Utc>>,
    /// Why, for the record: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "They have moved")]
    reason: String,
    /// What becomes of a renewal that has not begun. Needed where there is one.
    renewal: Option<RenewalFate>,
}

/// Why an agreement ends at once, or never comes to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementEndBody {
    /// Why, for the record: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "Order 4711 was a fraud")]
    reason: String,
    /// What becomes of a renewal that has not begun. Needed where there is one.
    renewal: Option<RenewalFate>,
}

/// Cancels an agreement
///
/// The consumer does not want it any more, now or as of a later time. What is connected stays for the grace that the plan gives.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = CancellationBody,
    responses(
        (status = 200, description = "Cancelled, or to be.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementEndConflict
    )
)]
#[post("/v1/agreements/{id}/cancel")]
pub(super) async fn cancel_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<CancellationBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    let said = Said::Cancelled(body.at.map(kept), body.renewal);
    say(&ctx, caller.subject, id, said, Some(&body.reason)).await
}

/// Terminates an agreement
///
/// The provider ends it now. In grace it may make what is left of that shorter.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = AgreementEndBody,
    responses(
        (status = 200, description = "Terminated.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementEndConflict
    )
)]
#[post("/v1/agreements/{id}/terminate")]
pub(super) async fn terminate_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<AgreementEndBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    let said = Said::Terminated(body.renewal);
    say(&ctx, caller.subject, id, said, Some(&body.reason)).await
}

/// Says that an agreement is not paid for
///
/// It ends now, with the grace that the plan gives for that.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = AgreementEndBody,
    responses(
        (status = 200, description = "Ended.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementEndConflict
    )
)]
#[post("/v1/agreements/{id}/payment-failed")]
pub(super) async fn fail_agreement_payment(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<AgreementEndBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    let said = Said::NotPaid(body.renewal);
    say(&ctx, caller.subject, id, said, Some(&body.reason)).await
}

/// Questions an agreement
///
/// Somebody has to look at it. What is connected stays; new requests are held until it is cleared.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Questioned.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementStepConflict
    )
)]
#[post("/v1/agreements/{id}/question")]
pub(super) async fn question_agreement(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    say(
        &ctx,
        caller.subject,
        id,
        Said::Questioned,
        Some(body.reason()),
    )
    .await
}

/// Clears an agreement
///
/// Somebody looked at it, and it is good.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Cleared.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementStepConflict
    )
)]
#[post("/v1/agreements/{id}/clear")]
pub(super) async fn clear_agreement(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    say(&ctx, caller.subject, id, Said::Cleared, Some(body.reason())).await
}

/// Rolls an agreement back
///
/// It never came to be. Only what has not begun is rolled back. Where another one was to take its place, say what becomes of that.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = AgreementEndBody,
    responses(
        (status = 200, description = "Rolled back.", body = AgreementView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementEndConflict
    )
)]
#[post("/v1/agreements/{id}/roll-back")]
pub(super) async fn roll_back_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<AgreementEndBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementView>, Problem> {
    let said = Said::RolledBack(body.renewal);
    say(&ctx, caller.subject, id, said, Some(&body.reason)).await
}

/// How an agreement goes on. What is absent is as it was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewalBody {
    /// By which offer of the same plan; as the live revision has it when absent.
    offer_id: Option<OfferId>,
    /// For how long: one of the plan's terms. A trial goes on for a term.
    term: Option<ContractTerm>,
    /// At once; otherwise when it ends, or now where it has ended or has no end.
    #[serde(default)]
    at_once: bool,
    /// When the new one ends by itself, for a plan without terms; absent where it runs until somebody ends it.
    #[serde(default, deserialize_with = "optional_time")]
    #[schema(example = "2031-03-31T16:00:00Z")]
    ends_at: Option<DateTime<Utc>>,
    /// How much of each dimension that the plan sells for the term is bought.
    #[schema(example = json!({ "endpoint_seat": "4" }))]
    quantities: Option<BTreeMap<String, Amount>>,
    /// All figures that are not the plan's.
    quotas: Option<Quotas>,
    /// The provider's own id of the new one, used once. Ours when absent.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "order-4712"
    )]
    reference: Option<String>,
    /// The provider's own id of the event that it was made, used once.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "evt-2"
    )]
    event_id: Option<String>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Renews an agreement
///
/// Makes another one of the same plan, as it is sold now, with the same accounts and their proofs. It takes the place of this one without a cut. The answer is the new one.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = RenewalBody,
    responses(
        (status = 201, description = "Made.", body = AgreementView,
         headers(("location" = String, description = "The new agreement."))),
        AuthProblems, BodyProblems, AgreementPartsMissing, AgreementRenewalConflict
    )
)]
#[post("/v1/agreements/{id}/renew")]
pub(super) async fn renew_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<RenewalBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = Renewal {
        offer: body.offer_id,
        term: body.term,
        at_once: body.at_once,
        ends_at: body.ends_at.map(kept),
        quantities: body.quantities,
        quotas: body.quotas,
        reference: body.reference,
        event_id: body.event_id,
        reason: body.reason,
    };
    let made = renew(&ctx, &actor(caller.subject), id, new).await?;
    created(&ctx, made.id).await
}

async fn say(
    ctx: &AppContext,
    subject: String,
    id: AgreementId,
    said: Said,
    reason: Option<&str>,
) -> Result<Json<AgreementView>, Problem> {
    change_agreement(ctx, &actor(subject), id, said, reason).await?;
    Ok(Json(read_agreements::agreement(ctx, id).await?.into()))
}
