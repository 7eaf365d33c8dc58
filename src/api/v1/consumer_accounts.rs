//! The AWS accounts of consumers, and those that are seen and belong to none.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, aws_id};
use super::decisions::ReasonBody;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccountConflict, AuthProblems, BodyProblems, ConsumerAccountConflict, ConsumerAccountMissing,
    ConsumerMissing, InputProblems,
};
use crate::app::consumer_accounts::{self as app, NewAccount, Removed};
use crate::app::{AppContext, read_consumers};
use crate::domain::consumer::{ConsumerAccount, ConsumerRef, KnownBy, Proof, Said, SeenAccount};
use crate::domain::ids::{ConsumerAccountId, ConsumerId, RejudgementId};

/// That an account belongs, or belonged, to a consumer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerAccountView {
    /// The id of the membership.
    id: ConsumerAccountId,
    /// Whose.
    consumer_id: ConsumerId,
    /// The AWS account, 12 digits.
    account_id: String,
    /// How it became known.
    known_by: KnownBy,
    /// How it was proven.
    proof: Proof,
    /// When it was proven; null without a proof.
    proven_at: Option<DateTime<Utc>>,
    /// Who added it.
    added: SaidView,
    /// Who removed it; null while it belongs to the consumer.
    removed: Option<SaidView>,
}

/// Who did something, when and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaidView {
    /// When.
    at: DateTime<Utc>,
    /// Who.
    by: String,
    /// Why.
    reason: String,
}

impl From<Said> for SaidView {
    fn from(said: Said) -> Self {
        Self {
            at: said.at,
            by: said.by,
            reason: said.reason,
        }
    }
}

impl From<ConsumerAccount> for ConsumerAccountView {
    fn from(row: ConsumerAccount) -> Self {
        Self {
            id: row.id,
            consumer_id: row.consumer,
            account_id: row.account.into(),
            known_by: row.known_by,
            proof: row.proof,
            proven_at: row.proven_at,
            added: row.added.into(),
            removed: row.removed.map(Into::into),
        }
    }
}

/// An account that was removed from a consumer.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedConsumerAccountView {
    /// The membership, closed.
    #[serde(flatten)]
    membership: ConsumerAccountView,
    /// The re-judgement that was asked for with it: a preview of which of the account's live connections would lose their access now. Nothing happens until
    /// somebody applies it.
    rejudgement_id: RejudgementId,
}

impl From<Removed> for RemovedConsumerAccountView {
    fn from(removed: Removed) -> Self {
        Self {
            membership: removed.membership.into(),
            rejudgement_id: removed.rejudgement,
        }
    }
}

/// A page of a consumer's accounts, the last added first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerAccountList {
    /// The rows.
    items: Vec<ConsumerAccountView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConsumerAccountId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Those that were removed, too.
    #[serde(default)]
    removed: bool,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConsumerAccountId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists a consumer's accounts
///
/// How each became known, and who vouched for it. Those that were removed are shown with `removed=true`.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer."), ListQuery),
    responses(
        (status = 200, description = "A page, the last added first.", body = ConsumerAccountList),
        AuthProblems, InputProblems, ConsumerMissing
    )
)]
#[get("/v1/consumers/{id}/accounts")]
pub(super) async fn list_consumer_accounts(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ConsumerAccountList>, Problem> {
    let (removed, cursor) = (query.removed, query.cursor);
    let listed = read_consumers::accounts_of(&ctx, id, removed, cursor, query.limit.0).await?;
    Ok(Json(ConsumerAccountList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// What account to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsumerAccountBody {
    /// The AWS account, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "444455556666")]
    account_id: String,
    /// `operator_vouched` if you know that it is theirs; `none` otherwise. The other proof is the account's own to give.
    #[serde(default = "unproven")]
    proof: Proof,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Named in order 4711")]
    reason: String,
}

fn unproven() -> Proof {
    Proof::None
}

/// Adds an account to a consumer
///
/// An account belongs to one consumer at a time. Its connections show the consumer from now on.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    request_body = NewConsumerAccountBody,
    responses(
        (status = 201, description = "Added.", body = ConsumerAccountView),
        AuthProblems, BodyProblems, ConsumerMissing, AccountConflict
    )
)]
#[post("/v1/consumers/{id}/accounts")]
pub(super) async fn add_consumer_account(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiJson(body): ApiJson<NewConsumerAccountBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewAccount {
        account: aws_id("account_id", &body.account_id)?,
        proof: body.proof,
        reason: body.reason,
    };
    let added = app::add_account(&ctx, &actor(caller.subject), id, new).await?;
    Ok(HttpResponse::Created().json(ConsumerAccountView::from(added)))
}

/// Removes an account from a consumer
///
/// Its connections stay as they are and show no consumer any more. The membership is closed, not deleted. A preview is asked for of which of them would be
/// rejected now; an earlier one of the account that nobody has applied is cancelled.
#[utoipa::path(
    tag = "consumers",
    params(
        ("id" = ConsumerId, Path, description = "The consumer."),
        ("account_id" = String, Path, description = "The AWS account, 12 digits.", pattern = "^[0-9]{12}$")
    ),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Removed.", body = RemovedConsumerAccountView),
        AuthProblems, BodyProblems, ConsumerAccountMissing, ConsumerAccountConflict
    )
)]
#[post("/v1/consumers/{id}/accounts/{account_id}/remove")]
pub(super) async fn remove_consumer_account(
    caller: Caller<Manage>,
    ApiPath((id, account)): ApiPath<(ConsumerId, AccountId)>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<RemovedConsumerAccountView>, Problem> {
    let actor = actor(caller.subject);
    let removed = app::remove_account(&ctx, &actor, id, &account, body.reason()).await?;
    Ok(Json(removed.into()))
}

/// An account that has made endpoints on registered services.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The AWS account, 12 digits.
    account_id: String,
    /// Whose it is; null while nobody said.
    consumer: Option<ConsumerRef>,
    /// All connections that it ever had.
    connections: i64,
    /// Those that AWS shows as `pendingAcceptance`, `pending`, `available` or `partial`.
    live_connections: i64,
    /// When the first was seen.
    first_seen_at: DateTime<Utc>,
}

impl From<SeenAccount> for AccountView {
    fn from(row: SeenAccount) -> Self {
        Self {
            account_id: row.account.into(),
            consumer: row.consumer,
            connections: row.connections,
            live_connections: row.live,
            first_seen_at: row.first_seen_at,
        }
    }
}

/// A page of accounts, by number.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountList {
    /// The rows.
    items: Vec<AccountView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccountQuery {
    /// Only accounts that belong to a consumer, or only the others.
    known: Option<bool>,
    /// Where to read on: the `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    cursor: Option<AccountId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the accounts that have connections
///
/// With `known=false`, those of which nobody said whose they are.
#[utoipa::path(
    tag = "consumers",
    params(AccountQuery),
    responses((status = 200, description = "A page, by account.", body = AccountList), AuthProblems, InputProblems)
)]
#[get("/v1/accounts")]
pub(super) async fn list_accounts(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<AccountQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AccountList>, Problem> {
    let (known, cursor) = (query.known, query.cursor.as_ref());
    let listed = read_consumers::seen_accounts(&ctx, known, cursor, query.limit.0).await?;
    Ok(Json(AccountList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next.map(Into::into),
    }))
}
