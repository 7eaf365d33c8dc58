//! What is live, judged again: re-judgements, how far they are, and what they found.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use super::consumer_accounts::SaidView;
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems, RejudgementMissing};
use crate::app::{AppContext, read_rejudgements as app};
use crate::domain::ids::{ConnectionId, ConsumerId, EndpointServiceId, RejudgementId};
use crate::domain::rejudgement::{
    Applied, Cancelled, KeptAs, Losing, LosingState, Rejudgement, RejudgementState, Scope,
};
use crate::store::rejudgements::Filter;

/// Live connections, judged again by the gates and policies in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejudgementView {
    /// Its id.
    id: RejudgementId,
    /// The service whose connections are judged; with the other two null too, all that live are.
    service_id: Option<EndpointServiceId>,
    /// The consumer whose connections are judged.
    consumer_id: Option<ConsumerId>,
    /// The account whose connections are judged.
    account_id: Option<String>,
    /// `previewing` while they are judged, then `previewed`; `applying` while revocations are planned, then `applied`; `cancelling` while they are taken
    /// back, then `cancelled`.
    state: RejudgementState,
    /// Who asked for it.
    asked: SaidView,
    /// Connections that were judged so far.
    judged: i64,
    /// Those of them that would lose their access. Once it is `previewed`, send this back as `confirm_losing_access`.
    losing_access: i64,
    /// Those of them that a person would have to decide about, were they new. They keep their access.
    held: i64,
    /// When all were judged.
    previewed_at: Option<DateTime<Utc>>,
    /// Who applied it, and how far that is.
    applied: Option<AppliedView>,
    /// Who cancelled it, and how far that is.
    cancelled: Option<CancelledView>,
}

/// That a re-judgement was applied.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppliedView {
    /// Who, when and why.
    #[serde(flatten)]
    said: SaidView,
    /// How many seconds the consumers keep their access.
    grace_seconds: i64,
    /// When access ends.
    revoke_at: DateTime<Utc>,
    /// What was shown and confirmed before.
    confirmed_losing_access: i64,
    /// Revocations that were planned so far.
    planned: i64,
    /// Connections that were left as they are, because they are not rejected any more or have ended.
    kept: i64,
    /// When nothing was left to plan.
    carried_out_at: Option<DateTime<Utc>>,
}

/// That a re-judgement was cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledView {
    /// Who, when and why.
    #[serde(flatten)]
    said: SaidView,
    /// Planned revocations that were taken back so far.
    taken_back: i64,
    /// When nothing was left to take back.
    ended_at: Option<DateTime<Utc>>,
}

impl From<Applied> for AppliedView {
    fn from(applied: Applied) -> Self {
        Self {
            said: applied.said.into(),
            grace_seconds: applied.grace.num_seconds(),
            revoke_at: applied.revoke_at,
            confirmed_losing_access: applied.confirmed,
            planned: applied.planned,
            kept: applied.kept,
            carried_out_at: applied.carried_out_at,
        }
    }
}

impl From<Cancelled> for CancelledView {
    fn from(cancelled: Cancelled) -> Self {
        Self {
            said: cancelled.said.into(),
            taken_back: cancelled.taken_back,
            ended_at: cancelled.ended_at,
        }
    }
}

impl From<Rejudgement> for RejudgementView {
    fn from(row: Rejudgement) -> Self {
        let (service_id, consumer_id, account_id) = match row.scope {
            Scope::Everything => (None, None, None),
            Scope::Service(service) => (Some(service), None, None),
            Scope::Consumer(consumer) => (None, Some(consumer), None),
            Scope::Account(account) => (None, None, Some(account.into())),
        };
        Self {
            id: row.id,
            service_id,
            consumer_id,
            account_id,
            state: row.state,
            asked: row.asked.into(),
            judged: row.found.judged,
            losing_access: row.found.losing,
            held: row.found.held,
            previewed_at: row.previewed_at,
            applied: row.applied.map(Into::into),
            cancelled: row.cancelled.map(Into::into),
        }
    }
}

/// A re-judgement with what it found.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejudgementDetails {
    /// The re-judgement.
    #[serde(flatten)]
    rejudgement: RejudgementView,
    /// Up to 20 of the connections that would lose their access, the newest first. `/connections` lists all.
    samples: Vec<LosingView>,
}

/// A connection that would not be accepted again.
#[derive(Debug, Serialize, ToSchema)]
pub struct LosingView {
    /// The connection.
    connection_id: ConnectionId,
    /// Its service.
    service_id: EndpointServiceId,
    /// AWS's id of its endpoint.
    endpoint_id: String,
    /// The account that owns the endpoint.
    owner_account: String,
    /// A stable word for why it is rejected or held.
    code: String,
    /// Why, as the consumer may read it.
    sentence: String,
    /// `held` where it keeps its access. `found` until it is applied; then `planned` or `kept`. `taken_back` where a plan was cancelled; one that was carried out before that stays `planned`.
    state: LosingState,
    /// Why it was left as it is, where it was.
    kept_as: Option<KeptAs>,
}

impl From<Losing> for LosingView {
    fn from(row: Losing) -> Self {
        Self {
            connection_id: row.connection,
            service_id: row.service,
            endpoint_id: row.endpoint,
            owner_account: row.owner,
            code: row.code,
            sentence: row.sentence,
            state: row.state,
            kept_as: row.kept_as,
        }
    }
}

/// A page of re-judgements, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejudgementList {
    /// The rows.
    items: Vec<RejudgementView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<RejudgementId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only re-judgements of this service.
    service_id: Option<EndpointServiceId>,
    /// Only re-judgements of this consumer.
    consumer_id: Option<ConsumerId>,
    /// Only re-judgements of this account.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only re-judgements that stand so.
    state: Option<RejudgementState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<RejudgementId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// A page of the connections that a re-judgement would not accept, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct LosingList {
    /// The rows.
    items: Vec<LosingView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConnectionId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LosingQuery {
    /// Only those that this became of.
    state: Option<LosingState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConnectionId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists re-judgements
///
/// Those that wait to be applied, are under way, or are over: see `state`.
#[utoipa::path(
    tag = "rejudgements",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = RejudgementList), AuthProblems, InputProblems)
)]
#[get("/v1/rejudgements")]
pub(super) async fn list_rejudgements(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<RejudgementList>, Problem> {
    let filter = Filter {
        service: query.service_id,
        consumer: query.consumer_id,
        account: query.account_id.as_ref(),
        state: query.state,
    };
    let listed = app::rejudgements(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(RejudgementList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads one re-judgement
///
/// With how far it is, and how many would lose their access.
#[utoipa::path(
    tag = "rejudgements",
    params(("id" = RejudgementId, Path, description = "The re-judgement.")),
    responses(
        (status = 200, description = "The re-judgement.", body = RejudgementDetails),
        AuthProblems, InputProblems, RejudgementMissing
    )
)]
#[get("/v1/rejudgements/{id}")]
pub(super) async fn read_rejudgement(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<RejudgementId>,
    ctx: Data<AppContext>,
) -> Result<Json<RejudgementDetails>, Problem> {
    let (rejudgement, samples) = app::rejudgement(&ctx, id).await?;
    Ok(Json(RejudgementDetails {
        rejudgement: rejudgement.into(),
        samples: samples.into_iter().map(Into::into).collect(),
    }))
}

/// Lists the connections that a re-judgement would not accept
///
/// Why each would be refused now, and what became of it.
#[utoipa::path(
    tag = "rejudgements",
    params(("id" = RejudgementId, Path, description = "The re-judgement."), LosingQuery),
    responses(
        (status = 200, description = "A page, the newest connection first.", body = LosingList),
        AuthProblems, InputProblems, RejudgementMissing
    )
)]
#[get("/v1/rejudgements/{id}/connections")]
pub(super) async fn list_rejudged_connections(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<RejudgementId>,
    ApiQuery(query): ApiQuery<LosingQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<LosingList>, Problem> {
    let listed = app::losing(&ctx, id, query.state, query.cursor, query.limit.0).await?;
    Ok(Json(LosingList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}
