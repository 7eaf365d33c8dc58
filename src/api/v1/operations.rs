//! Work that goes on for longer than a request, and how far it is.

use std::str::FromStr;

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems, OperationMissing};
use crate::app::{AppContext, read_operations as app};
use crate::domain::operation::{Operation, OperationId, OperationKind, OperationState};

/// Work that goes on for longer than a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationView {
    /// Its id, which is that of what it is about: a dry run, a re-judgement, a block, an access removal or a service.
    #[schema(example = "rjd_019abc00000070008000000000000001")]
    id: String,
    /// What is being done.
    kind: OperationKind,
    /// How far it is, in the same words for all kinds.
    state: OperationState,
    /// The same in the words of its kind: `previewed`, `cutting`, `grace`.
    #[schema(example = "previewing")]
    phase: String,
    /// How much of it is done.
    progress: ProgressView,
    /// Since when; null of a service that has ended.
    began_at: Option<DateTime<Utc>>,
    /// Who asked for it.
    #[schema(example = "alice@provider.example")]
    began_by: String,
    /// When it was over; null while it is not.
    ended_at: Option<DateTime<Utc>>,
    /// Why it failed.
    failure: Option<String>,
    /// Where everything about it can be read.
    #[schema(example = "/v1/rejudgements/rjd_019abc00000070008000000000000001")]
    resource: String,
}

/// How much of an operation is done.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// Connections or decisions that are done.
    #[schema(minimum = 0)]
    done: i64,
    /// Of how many; null while that is not known.
    #[schema(minimum = 0)]
    total: Option<i64>,
}

impl From<Operation> for OperationView {
    fn from(row: Operation) -> Self {
        let id = row.id.to_string();
        let resource = match (row.id, row.policy) {
            (OperationId::PolicyDryRun(_), Some(policy)) => {
                format!("/v1/policies/{policy}/dry-runs/{id}")
            }
            (OperationId::PolicyDryRun(_), None) => "/v1/policies".to_owned(),
            (OperationId::Rejudgement(_), _) => format!("/v1/rejudgements/{id}"),
            (OperationId::Block(_), _) => format!("/v1/blocks/{id}"),
            (OperationId::AccessRemoval(_), _) => format!("/v1/access-removals/{id}"),
            (OperationId::ServiceEnd(_), _) => format!("/v1/services/{id}"),
        };
        Self {
            kind: row.id.kind(),
            id,
            state: row.state,
            phase: row.phase,
            progress: ProgressView {
                done: row.done,
                total: row.total,
            },
            began_at: row.began_at,
            began_by: row.began_by,
            ended_at: row.ended_at,
            failure: row.failure,
            resource,
        }
    }
}

/// A page of operations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationList {
    /// The rows.
    items: Vec<OperationView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<String>,
}

/// The id of an operation in a path or a query.
#[derive(Debug, Clone, Copy)]
struct Named(OperationId);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        OperationId::from_str(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only this kind.
    kind: Option<OperationKind>,
    /// Only those that are this far.
    state: Option<OperationState>,
    /// Where to read on: the `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^(dry|rjd|blk|arm|svc)_[0-9a-f]{32}$")]
    cursor: Option<Named>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists operations
///
/// Whatever goes on for longer than a request, in the same words: dry runs, re-judgements, blocks, access removals and the ends of services.
#[utoipa::path(
    tag = "operations",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = OperationList), AuthProblems, InputProblems)
)]
#[get("/v1/operations")]
pub(super) async fn list_operations(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<OperationList>, Problem> {
    let before = query.cursor.map(|Named(id)| id);
    let listed = app::operations(&ctx, query.kind, query.state, before, query.limit.0).await?;
    Ok(Json(OperationList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next.map(|id| id.to_string()),
    }))
}

/// Reads how far an operation is
///
/// By the id that the request was answered with that began it.
#[utoipa::path(
    tag = "operations",
    params(("id" = String, Path, pattern = "^(dry|rjd|blk|arm|svc)_[0-9a-f]{32}$", description = "The operation: `dry_…`, `rjd_…`, `blk_…`, `arm_…` or `svc_…`.",
            example = "rjd_019abc00000070008000000000000001")),
    responses((status = 200, description = "The operation.", body = OperationView), AuthProblems, InputProblems, OperationMissing)
)]
#[get("/v1/operations/{id}")]
pub(super) async fn read_operation(
    _caller: Caller<Read>,
    ApiPath(Named(id)): ApiPath<Named>,
    ctx: Data<AppContext>,
) -> Result<Json<OperationView>, Problem> {
    Ok(Json(app::operation(&ctx, id).await?.into()))
}
