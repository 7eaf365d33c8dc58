//! The audit trail, for auditors.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::arguments::{Limit, optional_time};
use crate::api::auth::{Audit, Caller};
use crate::api::extract::ApiQuery;
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems};
use crate::app::{AppContext, read_audit as app};
use crate::domain::actor::ActorKind;
use crate::domain::audit_entry::{AuditEntry, Subject, SubjectKind};
use crate::domain::ids::{AuditEntryId, DecisionId};
use crate::domain::order::Order;

/// Who did what, to what, when and why. Written in the transaction of the change, and never changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntryView {
    /// Its id.
    id: AuditEntryId,
    /// When.
    at: DateTime<Utc>,
    /// What kind of actor.
    actor_kind: ActorKind,
    /// Who: a person by the token's subject, a policy or gate, a worker, or AWS behind our back.
    actor: String,
    /// What, as `noun.verb`.
    action: String,
    /// What kind of thing it was done to.
    subject_kind: SubjectKind,
    /// To what.
    subject_id: String,
    /// The part that changed, as it was.
    before: Option<Value>,
    /// The part that changed, as it is.
    after: Option<Value>,
    /// Why.
    reason: Option<String>,
    /// The request that did it.
    request_id: Option<String>,
    /// The decision behind it.
    decision_id: Option<DecisionId>,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(row: AuditEntry) -> Self {
        Self {
            id: row.id,
            at: row.at,
            actor_kind: row.actor_kind,
            actor: row.actor,
            action: row.action,
            subject_kind: row.subject.kind(),
            subject_id: row.subject.to_string(),
            before: row.before,
            after: row.after,
            reason: row.reason,
            request_id: row.request_id,
            decision_id: row.decision,
        }
    }
}

/// A page of audit entries.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntryList {
    /// The rows.
    items: Vec<AuditEntryView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<AuditEntryId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only what was done to this, by its id: `con_…`, `svc_…`, `pol_…`; of a connection or a service also AWS's.
    #[param(value_type = Option<String>, pattern = "^([a-z]{3}_[0-9a-f]{32}|vpce-(svc-)?[0-9a-f]{8,17})$")]
    #[serde(default, deserialize_with = "subject")]
    subject_id: Option<Subject>,
    /// Only what this actor did.
    actor: Option<String>,
    /// Only this, as `noun.verb`: `connection.accept`.
    action: Option<String>,
    /// Only what this request did.
    request_id: Option<String>,
    /// Not before this time.
    #[serde(default, deserialize_with = "optional_time")]
    since: Option<DateTime<Utc>>,
    /// Before this time.
    #[serde(default, deserialize_with = "optional_time")]
    until: Option<DateTime<Utc>>,
    /// The newest first (`desc`) or the oldest first (`asc`). A cursor is good for the order that it was got in.
    #[param(inline)]
    order: Option<Order>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<AuditEntryId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

fn subject<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Subject>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Lists audit entries
///
/// For auditors and admins. `portcullis audit verify` says whether they are as they were written.
#[utoipa::path(
    tag = "audit",
    params(ListQuery),
    responses((status = 200, description = "A page, in the order that was asked for.", body = AuditEntryList), AuthProblems, InputProblems)
)]
#[get("/v1/audit-entries")]
pub(super) async fn list_audit_entries(
    _caller: Caller<Audit>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<AuditEntryList>, Problem> {
    let filter = app::Filter {
        subject: query.subject_id,
        actor: query.actor.as_deref(),
        action: query.action.as_deref(),
        request_id: query.request_id.as_deref(),
        since: query.since,
        until: query.until,
    };
    let listed = app::entries(
        &ctx,
        &filter,
        query.order.unwrap_or_default(),
        query.cursor,
        query.limit.0,
    )
    .await?;
    Ok(Json(AuditEntryList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}
