//! Acceptance policies: listing, beginning, reading and changing them, and what they are written with.

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, given};
use super::policy_views::PolicyView;
use super::service_ref::{ServiceRef, resolve_given};
use crate::api::auth::{Caller, Manage, Read};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, PolicyChangeConflict, PolicyMissing, ServiceMissing,
};
use crate::app::code::Code;
use crate::app::policies::{SCHEMA, TEMPLATES};
use crate::app::write_policy::{self as app, PolicyChange, Source};
use crate::app::{AppContext, AppError, read_policies};
use crate::domain::ids::{EndpointServiceId, PolicyId};
use crate::domain::policy::PolicyState;
use crate::store::policies::Filter;

/// A page of policies, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyList {
    /// The rows.
    items: Vec<PolicyView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<PolicyId>,
}

/// A policy that begins. Give a text or a template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicyBody {
    /// The service that it is for; every service when absent.
    service_id: Option<ServiceRef>,
    /// The text, in Cedar. It may be wrong: validating says so.
    #[schema(max_length = 65_536)]
    text: Option<String>,
    /// The name of a ready text: `GET /v1/policy-templates`.
    #[schema(example = "known-accounts")]
    template: Option<String>,
    /// What people say about it.
    #[schema(min_length = 1, max_length = 1000)]
    note: Option<String>,
}

/// What to change of a candidate. Members that are absent stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "null is not absent")]
pub struct PolicyChangeBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the policy since makes this a `policy_changed`.
    version: Option<i64>,
    /// Another text: the policy is a draft again, and a dry run of it that is not over fails.
    #[schema(max_length = 65_536)]
    text: Option<String>,
    /// What people say about it; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    note: Option<Option<String>>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// A ready text to begin with.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateView {
    /// Its name.
    name: String,
    /// What it does.
    summary: String,
    /// The text. What to change is said in it.
    text: String,
}

/// The ready texts.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateList {
    /// All of them.
    items: Vec<TemplateView>,
}

/// What policies are checked against.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaView {
    /// The schema, in Cedar's own format for people.
    schema: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only policies for this service alone.
    service_id: Option<EndpointServiceId>,
    /// `true`: only policies for every service. `false`: only those for one.
    provider_wide: Option<bool>,
    /// Only policies that stand so.
    state: Option<PolicyState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<PolicyId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists policies
///
/// Drafts, candidates, those in force and those that were, for all services or for one.
#[utoipa::path(
    tag = "policies",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = PolicyList), AuthProblems, InputProblems)
)]
#[get("/v1/policies")]
pub(super) async fn list_policies(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyList>, Problem> {
    let filter = Filter {
        service: query.service_id,
        provider_wide: query.provider_wide,
        state: query.state,
    };
    let listed = read_policies::policies(&ctx, &filter, query.cursor, query.limit.0).await?;
    Ok(Json(PolicyList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Begins a policy
///
/// As a draft: it decides nothing until it is validated, tested and activated.
#[utoipa::path(
    tag = "policies",
    request_body = NewPolicyBody,
    responses(
        (status = 201, description = "Begun.", body = PolicyView,
         headers(("location" = String, description = "The new policy."))),
        AuthProblems, BodyProblems, ServiceMissing
    )
)]
#[post("/v1/policies")]
pub(super) async fn create_policy(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewPolicyBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let source = match (body.text, body.template) {
        (Some(text), None) => Source::Text(text),
        (None, Some(template)) => Source::Template(template),
        _ => {
            let detail = "give either text or template";
            return Err(AppError::new(Code::InvalidRequest, detail)
                .field("text")
                .into());
        }
    };
    let (actor, note) = (actor(caller.subject), body.note.as_deref());
    let service = resolve_given(body.service_id, &ctx).await?;
    let made = app::create(&ctx, &actor, service, source, note).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/policies/{}", made.id)))
        .json(PolicyView::from(made)))
}

/// Reads one policy
///
/// With its text, its cases, and who took which step of its life.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    responses((status = 200, description = "The policy.", body = PolicyView), AuthProblems, InputProblems, PolicyMissing)
)]
#[get("/v1/policies/{id}")]
pub(super) async fn read_policy(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<PolicyId>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyView>, Problem> {
    Ok(Json(read_policies::policy(&ctx, id).await?.into()))
}

/// Changes a policy
///
/// Only as long as it was never in force. Another text makes it a draft again.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = PolicyChangeBody,
    responses(
        (status = 200, description = "Recorded.", body = PolicyView),
        AuthProblems, BodyProblems, PolicyMissing, PolicyChangeConflict
    )
)]
#[patch("/v1/policies/{id}")]
pub(super) async fn change_policy(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<PolicyChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyView>, Problem> {
    let change = PolicyChange {
        version: meant.version(body.version)?,
        text: body.text,
        note: body.note,
        reason: body.reason,
    };
    let changed = app::change(&ctx, &actor(caller.subject), id, change).await?;
    Ok(Json(changed.into()))
}

/// Lists ready policy texts
///
/// Texts to begin with; what to change is said in each.
#[utoipa::path(
    tag = "policies",
    responses((status = 200, description = "All of them.", body = TemplateList), AuthProblems)
)]
#[get("/v1/policy-templates")]
pub(super) async fn list_policy_templates(_caller: Caller<Read>) -> Json<TemplateList> {
    let items = TEMPLATES.iter().map(|template| TemplateView {
        name: template.name.to_owned(),
        summary: template.summary.to_owned(),
        text: template.text.to_owned(),
    });
    Json(TemplateList {
        items: items.collect(),
    })
}

/// Reads the schema that policies are checked against
///
/// What a policy may say about a principal, a resource and the context, in Cedar's format for people.
#[utoipa::path(
    tag = "policies",
    responses((status = 200, description = "The schema.", body = SchemaView), AuthProblems)
)]
#[get("/v1/policy-schema")]
pub(super) async fn read_policy_schema(_caller: Caller<Read>) -> Json<SchemaView> {
    Json(SchemaView {
        schema: SCHEMA.to_owned(),
    })
}
