//! Which agreement pays for a connection, and which one shall.

use actix_web::web::{Data, Json};
use actix_web::{get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::policy_views::StampView;
use crate::api::auth::{Caller, Decide, Read};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementClaimConflict, AgreementClaimMissing, AuthProblems, BodyProblems, ConnectionMissing,
    InputProblems,
};
use crate::app::claim_agreement::claim_agreement as claim;
use crate::app::read_agreements::Paying;
use crate::app::{AppContext, read_agreements};
use crate::domain::ids::{AgreementId, ConnectionId};

/// Which agreement shall pay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// The agreement: one in force, of the listing that sells the service, that the connection's account is attached to with a proof.
    agreement_id: AgreementId,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// The agreement that pays for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct PayerView {
    /// The agreement.
    agreement_id: AgreementId,
    /// Since when.
    since: DateTime<Utc>,
}

/// The agreement that somebody said shall pay for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgreementClaimView {
    /// The agreement.
    agreement_id: AgreementId,
    /// Who said so.
    said: StampView,
}

/// Who pays for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct PayingView {
    /// The connection.
    connection_id: ConnectionId,
    /// The agreement that pays; null where none does.
    paid_by: Option<PayerView>,
    /// The agreement that somebody said shall pay; null where nobody did. It counts before any bind rule, as long as it is in force.
    claimed: Option<AgreementClaimView>,
}

impl From<Paying> for PayingView {
    fn from(paying: Paying) -> Self {
        Self {
            connection_id: paying.connection,
            paid_by: paying.paid.map(|paid| PayerView {
                agreement_id: paid.agreement,
                since: paid.since,
            }),
            claimed: paying.claim.map(|claim| AgreementClaimView {
                agreement_id: claim.agreement,
                said: claim.said.into(),
            }),
        }
    }
}

/// Reads who pays for a connection
///
/// And since when, and which agreement somebody said shall.
#[utoipa::path(
    tag = "agreements",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses((status = 200, description = "Who pays.", body = PayingView), AuthProblems, InputProblems, ConnectionMissing)
)]
#[get("/v1/connections/{id}/agreement")]
pub(super) async fn read_connection_agreement(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<PayingView>, Problem> {
    Ok(Json(read_agreements::paying(&ctx, id).await?.into()))
}

/// Says which agreement shall pay for a connection
///
/// A request that is held because it is not clear who pays is judged again. Whoever pays now pays until the worker has moved it, a moment later.
#[utoipa::path(
    tag = "agreements",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = ClaimBody,
    responses(
        (status = 200, description = "Claimed.", body = PayingView),
        AuthProblems, BodyProblems, AgreementClaimMissing, AgreementClaimConflict
    )
)]
#[put("/v1/connections/{id}/agreement")]
pub(super) async fn claim_connection_agreement(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<ClaimBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PayingView>, Problem> {
    let actor = actor(caller.subject);
    let claimed = claim(&ctx, &actor, id, body.agreement_id, body.reason.as_deref()).await?;
    Ok(Json(claimed.into()))
}
