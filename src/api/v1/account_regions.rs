//! AWS accounts in Regions.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use privatelink::AccountRegionRef;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, aws_id};
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccountRegionConflict, AccountRegionMissing, AuthProblems, BodyProblems, InputProblems,
};
use crate::app::register_account_region::NewAccountRegion;
use crate::app::{AppContext, read, register_account_region as app};
use crate::domain::account_region::AccountRegion;
use crate::domain::hint_setup::{HintSetup, SetupState};
use crate::domain::ids::AccountRegionId;

/// An AWS account in one Region that Portcullis works in.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountRegionView {
    /// Its id.
    id: AccountRegionId,
    /// The AWS account, 12 digits.
    account_id: String,
    /// The Region.
    region: String,
    /// What people call it.
    name: String,
    /// The role that is assumed to get in; null when the process's own credentials are used.
    role_arn: Option<String>,
    /// Whether the worker serves it. While it does not, nothing is called there.
    enabled: bool,
    /// Rises with every change. Send it with a change.
    version: i64,
    /// The replica that serves it right now.
    served_by: Option<ServedBy>,
    /// The last complete listing of its connections.
    listing: Option<ListingView>,
    /// What went wrong last: nobody could get in, or a listing failed; null once one succeeds.
    error: Option<ListingErrorView>,
    /// When it was registered.
    created_at: DateTime<Utc>,
    /// Who registered it.
    created_by: String,
    /// How AWS tells of its connections by itself.
    hints: HintsView,
}

/// How AWS tells of connections by itself: a topic, a queue, and a connection notification for each service.
#[derive(Debug, Serialize, ToSchema)]
pub struct HintsView {
    /// Where the set-up stands.
    state: SetupState,
    /// Since when; null before the worker has taken it up.
    since: Option<DateTime<Utc>>,
    /// The SNS topic.
    topic_arn: Option<String>,
    /// The SQS queue.
    queue_url: Option<String>,
    /// The AWS error code of what AWS denied or refused last; null when all of it stands.
    code: Option<String>,
    /// AWS's words.
    message: Option<String>,
    /// When the last message came.
    last_message_at: Option<DateTime<Utc>>,
    /// Set while messages are missing: listings find connections that none told of.
    silent: Option<SilentView>,
}

/// Messages are missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct SilentView {
    /// When a listing first found what no message told of.
    since: DateTime<Utc>,
    /// How many new connections that were since.
    missed_connections: i64,
}

impl From<Option<HintSetup>> for HintsView {
    fn from(row: Option<HintSetup>) -> Self {
        let (code, message) = row.as_ref().and_then(|row| row.failure.clone()).unzip();
        Self {
            state: row.as_ref().map_or(SetupState::Off, |row| row.state),
            since: row.as_ref().map(|row| row.since),
            topic_arn: row.as_ref().and_then(|row| row.topic_arn.clone()),
            queue_url: row.as_ref().and_then(|row| row.queue_url.clone()),
            code,
            message,
            last_message_at: row.as_ref().and_then(|row| row.last_message_at),
            silent: row.and_then(|row| row.silence).map(|silence| SilentView {
                since: silence.since,
                missed_connections: silence.missed,
            }),
        }
    }
}

/// The replica that serves an AccountRegion.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServedBy {
    /// The replica's id, new with every start.
    replica: String,
    /// Since when it serves it.
    since: Option<DateTime<Utc>>,
    /// When its lease ends unless renewed.
    until: DateTime<Utc>,
    /// Rises with every change of replica.
    fence: i64,
}

/// A complete listing of connections.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingView {
    /// When it began.
    at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    took_ms: i64,
    /// Connections seen on registered services.
    connections: i64,
    /// Connections seen on services that are not registered here.
    unregistered_connections: i64,
}

/// Why a listing failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingErrorView {
    /// The AWS error code.
    code: String,
    /// AWS's words.
    message: String,
    /// When it failed.
    at: DateTime<Utc>,
    /// When it is tried again; null when that is not known or the AccountRegion is disabled.
    next_try_at: Option<DateTime<Utc>>,
}

impl From<AccountRegion> for AccountRegionView {
    fn from(row: AccountRegion) -> Self {
        let fence = row.fence;
        Self {
            id: row.id,
            account_id: row.place.account.into(),
            region: row.place.region.into(),
            name: row.name,
            role_arn: row.place.role_arn,
            enabled: row.enabled,
            version: row.version,
            served_by: row.lease.map(|lease| ServedBy {
                replica: lease.holder.simple().to_string(),
                since: lease.since,
                until: lease.until,
                fence,
            }),
            listing: row.listing.map(|listing| ListingView {
                at: listing.at,
                took_ms: listing.took_ms,
                connections: listing.connections,
                unregistered_connections: listing.unregistered,
            }),
            error: row.error.map(|error| ListingErrorView {
                code: error.code,
                message: error.message,
                at: error.at,
                next_try_at: error.next_at,
            }),
            created_at: row.created_at,
            created_by: row.created_by,
            hints: row.hints.into(),
        }
    }
}

/// A page of AccountRegions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountRegionList {
    /// The rows.
    items: Vec<AccountRegionView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AccountRegionId>,
}

/// What to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccountRegionBody {
    /// The AWS account, 12 digits.
    #[schema(pattern = "^[0-9]{12}$", example = "111122223333")]
    account_id: String,
    /// The Region.
    #[schema(example = "eu-west-1")]
    region: String,
    /// What people call it; called after the account and the Region when absent.
    #[schema(max_length = 128)]
    name: Option<String>,
    /// The IAM role to assume; leave out to use the process's own credentials.
    role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    external_id: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AccountRegionId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the AWS accounts and Regions that Portcullis works in
///
/// Each with the replica that serves it, the last complete listing and the last error.
#[utoipa::path(
    tag = "account-regions",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = AccountRegionList), AuthProblems, InputProblems)
)]
#[get("/v1/account-regions")]
pub(super) async fn list_account_regions(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AccountRegionList>, Problem> {
    let listed = read::account_regions(&ctx, query.cursor, query.limit.0).await?;
    Ok(Json(AccountRegionList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Registers an AWS account in a Region
///
/// The worker takes it up within a few seconds.
#[utoipa::path(
    tag = "account-regions",
    request_body = NewAccountRegionBody,
    responses(
        (status = 201, description = "Registered.", body = AccountRegionView,
         headers(("location" = String, description = "The new AccountRegion."))),
        AuthProblems, BodyProblems, AccountRegionConflict
    )
)]
#[post("/v1/account-regions")]
pub(super) async fn register_account_region(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewAccountRegionBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewAccountRegion {
        place: AccountRegionRef {
            account: aws_id("account_id", &body.account_id)?,
            region: aws_id("region", &body.region)?,
            role_arn: body.role_arn,
            external_id: body.external_id,
        },
        name: body.name,
    };
    let made = app::register_account_region(&ctx, &actor(caller.subject), new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/account-regions/{}", made.id)))
        .json(AccountRegionView::from(made)))
}

/// Reads one AWS account in a Region
///
/// With the replica that serves it, the last complete listing, the last error, and how AWS tells of connections.
#[utoipa::path(
    tag = "account-regions",
    params(("id" = AccountRegionId, Path, description = "The AccountRegion.")),
    responses((status = 200, description = "The AccountRegion.", body = AccountRegionView), AuthProblems, InputProblems, AccountRegionMissing)
)]
#[get("/v1/account-regions/{id}")]
pub(super) async fn read_account_region(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AccountRegionId>,
    ctx: Data<AppContext>,
) -> Result<Json<AccountRegionView>, Problem> {
    Ok(Json(read::account_region(&ctx, id).await?.into()))
}
