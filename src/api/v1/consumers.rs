//! Consumers: adding, listing, reading and changing the organisations.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, patch, post};
use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, ConsumerChangeConflict, ConsumerConflict, ConsumerMissing,
    InputProblems,
};
use crate::app::change_consumer::{self as change, ConsumerChange};
use crate::app::register_consumer::{self as register, NewConsumer};
use crate::app::{AppContext, read_consumers};
use crate::domain::consumer::{Consumer, ConsumerState, Contact};
use crate::domain::ids::ConsumerId;
use crate::store::consumers::Filter;

/// An organisation that connects.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerView {
    /// Its id.
    id: ConsumerId,
    /// What people call it.
    name: String,
    /// A short name that no other consumer has.
    slug: String,
    /// Anything worth knowing.
    notes: String,
    /// Keys and values.
    labels: BTreeMap<String, String>,
    /// Whom to talk to.
    contacts: Vec<Contact>,
    /// `closed` is kept for the record and takes no accounts.
    state: ConsumerState,
    /// Rises with every change. Send it with a change.
    version: i64,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// Who added it.
    created_by: String,
}

impl From<Consumer> for ConsumerView {
    fn from(row: Consumer) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            notes: row.notes,
            labels: row.labels,
            contacts: row.contacts,
            state: row.state,
            version: row.version,
            created_at: row.created_at,
            created_by: row.created_by,
        }
    }
}

/// A page of consumers, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerList {
    /// The rows.
    items: Vec<ConsumerView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ConsumerId>,
}

/// What to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsumerBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128, example = "Acme Ltd.")]
    name: String,
    /// A short name that no other consumer has: lower-case letters and digits with single hyphens between them. Made of the name when absent.
    #[schema(max_length = 63, example = "acme-ltd")]
    slug: Option<String>,
    /// Anything worth knowing.
    #[serde(default)]
    #[schema(max_length = 4000)]
    notes: String,
    /// Keys and values: at most 50, keys of 1 to 63 lower-case letters, digits and `. _ - /`, values of at most 128 characters.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Whom to talk to, at most 20.
    #[serde(default)]
    contacts: Vec<Contact>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// What to change. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerChangeBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the consumer since makes this a `consumer_changed`.
    version: Option<i64>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// A short name that no other consumer has.
    #[schema(max_length = 63)]
    slug: Option<String>,
    /// Anything worth knowing; empty takes it away.
    #[schema(max_length = 4000)]
    notes: Option<String>,
    /// Keys and values, all of them.
    labels: Option<BTreeMap<String, String>>,
    /// Whom to talk to, all of them.
    contacts: Option<Vec<Contact>>,
    /// `closed` once it has no accounts any more; `active` brings it back.
    state: Option<ConsumerState>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// A label to look for: a key, or a key and its value.
#[derive(Debug, Clone)]
struct LabelQuery(String, Option<String>);

impl FromStr for LabelQuery {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err("label is a key, or a key and a value with = between them");
        }
        Ok(Self(key.to_owned(), value))
    }
}

impl<'de> Deserialize<'de> for LabelQuery {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only consumers with this in their name, in any case.
    name: Option<String>,
    /// Only consumers with this label: `tier` or `tier=gold`.
    #[param(value_type = Option<String>, example = "tier=gold")]
    label: Option<LabelQuery>,
    /// Only the consumer that this account belongs to.
    #[param(value_type = Option<String>, pattern = "^[0-9]{12}$")]
    account_id: Option<AccountId>,
    /// Only consumers in this state.
    state: Option<ConsumerState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ConsumerId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists consumers
///
/// Organisations that connect, whatever number of AWS accounts each has.
#[utoipa::path(
    tag = "consumers",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = ConsumerList), AuthProblems, InputProblems)
)]
#[get("/v1/consumers")]
pub(super) async fn list_consumers(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ConsumerList>, Problem> {
    let label = query.label.as_ref();
    let filter = Filter {
        name: query.name.as_deref(),
        label: label.map(|LabelQuery(key, value)| (key.as_str(), value.as_deref())),
        account: query.account_id.as_ref(),
        state: query.state,
    };
    let listed = read_consumers::consumers(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(ConsumerList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Adds a consumer
///
/// It has no accounts yet: add them with `POST /v1/consumers/{id}/accounts`.
#[utoipa::path(
    tag = "consumers",
    request_body = NewConsumerBody,
    responses(
        (status = 201, description = "Added.", body = ConsumerView,
         headers(("location" = String, description = "The new consumer."))),
        AuthProblems, BodyProblems, ConsumerConflict
    )
)]
#[post("/v1/consumers")]
pub(super) async fn register_consumer(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewConsumerBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let new = NewConsumer {
        name: body.name,
        slug: body.slug,
        notes: body.notes,
        labels: body.labels,
        contacts: body.contacts,
        reason: body.reason,
    };
    let actor = actor(caller.subject);
    let made = register::register_consumer(&ctx, &actor, new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/consumers/{}", made.id)))
        .json(ConsumerView::from(made)))
}

/// Reads one consumer
///
/// With its labels and contacts; accounts and quota are read beside it.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    responses((status = 200, description = "The consumer.", body = ConsumerView), AuthProblems, InputProblems, ConsumerMissing)
)]
#[get("/v1/consumers/{id}")]
pub(super) async fn read_consumer(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConsumerId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConsumerView>, Problem> {
    Ok(Json(read_consumers::consumer(&ctx, id).await?.into()))
}

/// Changes a consumer, or closes it
///
/// Members that are absent stay as they are. One that has accounts cannot be closed.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    request_body = ConsumerChangeBody,
    responses(
        (status = 200, description = "Changed.", body = ConsumerView),
        AuthProblems, BodyProblems, ConsumerMissing, ConsumerChangeConflict
    )
)]
#[patch("/v1/consumers/{id}")]
pub(super) async fn change_consumer(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiJson(body): ApiJson<ConsumerChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ConsumerView>, Problem> {
    let wanted = ConsumerChange {
        version: meant.version(body.version)?,
        name: body.name,
        slug: body.slug,
        notes: body.notes,
        labels: body.labels,
        contacts: body.contacts,
        state: body.state,
        reason: body.reason,
    };
    let actor = actor(caller.subject);
    let changed = change::change_consumer(&ctx, &actor, id, wanted).await?;
    Ok(Json(changed.into()))
}
