//! The accounts that may connect by an agreement.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, post};
use privatelink::AccountId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::actor;
use super::agreement_views::AgreementAccountView;
use super::arguments::aws_id;
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Manage};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementAccountMissing, AgreementAttachConflict, AgreementDetachConflict, AgreementMissing,
    AuthProblems, BodyProblems,
};
use crate::app::AppContext;
use crate::app::agreement_accounts::{NewAttached, attach_account, detach_account};
use crate::domain::consumer::Proof;
use crate::domain::ids::AgreementId;

/// What account shall connect by an agreement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentBody {
    /// The AWS account, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "333333333333")]
    account_id: String,
    /// `operator_vouched` if you know that it is the buyer's; otherwise it is as proven as its membership of the buyer's consumer. The other proof is the account's own to give.
    #[schema(example = "operator_vouched")]
    proof: Option<Proof>,
    /// Why, for the record: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "Named in order 4711")]
    reason: String,
}

/// Attaches an account to an agreement
///
/// It may connect by it from now on, if it is proven to be the buyer's. One that is attached without a proof gets one by being attached again.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = AttachmentBody,
    responses(
        (status = 201, description = "Attached.", body = AgreementAccountView,
         headers(("location" = String, description = "The agreement."))),
        AuthProblems, BodyProblems, AgreementMissing, AgreementAttachConflict
    )
)]
#[post("/v1/agreements/{id}/accounts")]
pub(super) async fn attach_agreement_account(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<AttachmentBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewAttached {
        account: aws_id("account_id", &body.account_id)?,
        proof: body.proof,
        reason: body.reason,
    };
    let attached = attach_account(&ctx, &actor(caller.subject), id, new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/agreements/{id}")))
        .json(AgreementAccountView::from(attached)))
}

/// Detaches an account from an agreement
///
/// It may not connect by it any more. The buyer's account stays.
#[utoipa::path(
    tag = "agreements",
    params(
        ("id" = AgreementId, Path, description = "The agreement."),
        ("account_id" = String, Path, description = "The account, 12 digits.", pattern = "^[0-9]{12}$")
    ),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Detached.", body = AgreementAccountView),
        AuthProblems, BodyProblems, AgreementAccountMissing, AgreementDetachConflict
    )
)]
#[post("/v1/agreements/{id}/accounts/{account_id}/remove")]
pub(super) async fn detach_agreement_account(
    caller: Caller<Manage>,
    ApiPath((id, account)): ApiPath<(AgreementId, AccountId)>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<AgreementAccountView>, Problem> {
    let actor = actor(caller.subject);
    let detached = detach_account(&ctx, &actor, id, &account, body.reason()).await?;
    Ok(Json(detached.into()))
}
