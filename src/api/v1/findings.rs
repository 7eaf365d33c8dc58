//! Findings: listing them with what mends them, comparing anew, and the one operation that is there for them alone.

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Decide, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementGrantConflict, AgreementMissing, AuthProblems, BodyProblems, InputProblems,
};
use crate::app::grant_again::grant_again;
use crate::app::refresh_findings::refresh_findings as refresh;
use crate::app::{AppContext, read_findings};
use crate::domain::finding::{Finding, FindingKind, FindingState, Mend};
use crate::domain::ids::{AgreementId, ConnectionId, EndpointServiceId, FindingId, ListingId};
use crate::store::findings::Filter;

/// A page of findings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingList {
    /// The rows.
    items: Vec<FindingView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<FindingId>,
}

/// Something that was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// Our id.
    id: FindingId,
    /// What was found.
    kind: FindingKind,
    /// Whether it is found still.
    state: FindingState,
    /// Of which listing.
    listing_id: Option<ListingId>,
    /// Of which agreement.
    agreement_id: Option<AgreementId>,
    /// About which account.
    #[schema(example = "444455556666")]
    account_id: Option<String>,
    /// On which service.
    service_id: Option<EndpointServiceId>,
    /// About which principal.
    #[schema(example = "arn:aws:iam::444455556666:root")]
    principal: Option<String>,
    /// About which connection.
    connection_id: Option<ConnectionId>,
    /// When it was found first.
    #[schema(example = "2026-11-27T09:30:00Z")]
    first_seen_at: DateTime<Utc>,
    /// When it was found last.
    #[schema(example = "2026-11-27T09:45:00Z")]
    last_seen_at: DateTime<Utc>,
    /// When it was not found any more.
    #[schema(example = "2026-11-27T10:00:00Z")]
    resolved_at: Option<DateTime<Utc>>,
    /// The operation of this API that mends it; null once it is resolved.
    mend: Option<MendView>,
}

/// An operation of this API.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mend)]
pub struct MendView {
    /// The method.
    #[schema(example = "POST")]
    method: &'static str,
    /// The path. A name in braces is for whoever sends it to fill in.
    #[schema(example = "/v1/agreements/agr_018f3a5c9d2e7b41a6c08e5d7f1b2a34/grant")]
    path: String,
    /// The body.
    #[schema(value_type = Object, example = json!({ "reason": "paid_not_granted" }))]
    body: Value,
    /// What it does, and what else could be done.
    #[schema(example = "Lets 444455556666 in again.")]
    sentence: String,
}

impl From<(Finding, Option<Mend>)> for FindingView {
    fn from((row, mend): (Finding, Option<Mend>)) -> Self {
        let state = if row.resolved_at.is_some() {
            FindingState::Resolved
        } else {
            FindingState::Open
        };
        Self {
            id: row.id,
            kind: row.kind,
            state,
            listing_id: row.listing,
            agreement_id: row.agreement,
            account_id: row.account,
            service_id: row.service,
            principal: row.principal,
            connection_id: row.connection,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            resolved_at: row.resolved_at,
            mend: mend.map(|mend| MendView {
                method: mend.method,
                path: mend.path,
                body: mend.body,
                sentence: mend.sentence,
            }),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only findings of this kind.
    #[param(inline)]
    kind: Option<FindingKind>,
    /// Only what is found still, or not any more.
    #[param(inline)]
    state: Option<FindingState>,
    /// Only findings about what this listing sells.
    listing_id: Option<ListingId>,
    /// Only findings on this service.
    service_id: Option<EndpointServiceId>,
    /// Only findings about this account.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<FindingId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists findings
///
/// Where what was bought, who is let in and who is connected do not fit together, each with the operation that mends it.
#[utoipa::path(
    tag = "findings",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = FindingList), AuthProblems, InputProblems)
)]
#[get("/v1/findings")]
pub(super) async fn list_findings(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<FindingList>, Problem> {
    let filter = Filter {
        kind: query.kind,
        state: query.state,
        listing: query.listing_id,
        service: query.service_id,
        account: query.account_id.as_ref(),
    };
    let listed = read_findings::findings(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(FindingList {
        items: listed.items.into_iter().map(FindingView::from).collect(),
        next_cursor: listed.next,
    }))
}

/// What is open.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingsRefreshed {
    /// Whether was compared now. It is not where somebody else is at it.
    refreshed: bool,
    /// How many findings are open, by kind.
    open: Vec<OpenFindings>,
}

/// How many findings of a kind are open.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenFindings {
    /// The kind.
    kind: FindingKind,
    /// How many.
    #[schema(minimum = 0, example = 2)]
    count: i64,
}

/// Compares anew
///
/// What the worker does every `worker.findings_interval`, at once.
#[utoipa::path(
    tag = "findings",
    responses((status = 200, description = "What is open.", body = FindingsRefreshed), AuthProblems)
)]
#[post("/v1/findings/refresh")]
pub(super) async fn refresh_findings(
    _caller: Caller<Decide>,
    ctx: Data<AppContext>,
) -> Result<Json<FindingsRefreshed>, Problem> {
    let (refreshed, open) = refresh(&ctx, TimeDelta::zero()).await?;
    let count = |kind: &FindingKind| {
        let found = open.iter().find(|(of, _)| of == kind);
        OpenFindings {
            kind: *kind,
            count: found.map_or(0, |(_, count)| *count),
        }
    };
    Ok(Json(FindingsRefreshed {
        refreshed,
        open: FindingKind::ALL.iter().map(count).collect(),
    }))
}

/// What is given again.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantedAgain {
    /// The agreement.
    agreement_id: AgreementId,
    /// How many grants were missing. The worker gives them anew.
    #[schema(minimum = 0, example = 1)]
    missing_grants: u64,
}

/// Lets the accounts of an agreement in again
///
/// Grants whose principal is missing on a service are ended, and the worker gives them anew. An agreement that is not in force gives nothing,
/// nor does one whose listing is limited while its buyer is not on the allow-list.
#[utoipa::path(
    tag = "findings",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "The worker gives what is missing.", body = GrantedAgain),
        AuthProblems, BodyProblems, AgreementMissing, AgreementGrantConflict
    )
)]
#[post("/v1/agreements/{id}/grant")]
pub(super) async fn grant_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<GrantedAgain>, Problem> {
    let missing = grant_again(&ctx, &actor(caller.subject), id, body.reason()).await?;
    Ok(Json(GrantedAgain {
        agreement_id: id,
        missing_grants: missing,
    }))
}
