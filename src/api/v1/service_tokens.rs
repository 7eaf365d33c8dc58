//! Tokens of programs. Only people who are admins manage them.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use super::consumer_accounts::SaidView;
use super::decisions::ReasonBody;
use crate::api::KeptInstead;
use crate::api::auth::{Caller, ManageTokens};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, ServiceTokenConflict, ServiceTokenEndConflict,
    ServiceTokenMissing,
};
use crate::app::auth_settings::ServiceTokenRules;
use crate::app::make_service_token::{self as making, NewServiceToken};
use crate::app::{
    AppContext, AppError, read_service_tokens, revoke_service_token as revoking,
    rotate_service_token as rotating,
};
use crate::domain::ids::ServiceTokenId;
use crate::domain::role::Role;
use crate::domain::service_token::{Scope, ServiceToken, ServiceTokenState};

/// A token of a program, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceTokenView {
    /// Its id. What it does is done by `service-token|` and this.
    id: ServiceTokenId,
    /// What it is for.
    name: String,
    /// Where it stands. Only `active` is accepted.
    state: ServiceTokenState,
    /// What it is trusted with.
    roles: Vec<Role>,
    /// The permissions that it is narrowed to; null is all that its roles grant.
    scopes: Option<Vec<Scope>>,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// Who made it.
    made_by: String,
    /// When it ends by itself.
    expires_at: DateTime<Utc>,
    /// When it last got another secret; null while it has its first.
    rotated_at: Option<DateTime<Utc>>,
    /// Who rotated it.
    rotated_by: Option<String>,
    /// Until when the secret before goes on; null where it does not.
    previous_until: Option<DateTime<Utc>>,
    /// When it was last used, give or take five minutes; null for never.
    last_used_at: Option<DateTime<Utc>>,
    /// Who revoked it; null while nobody has.
    revoked: Option<SaidView>,
}

impl ServiceTokenView {
    /// As it stands at a time.
    fn at(row: ServiceToken, now: DateTime<Utc>) -> Self {
        let state = row.state(now);
        let (rotated_at, rotated_by) = row.rotated.unzip();
        let goes_on = |until: &DateTime<Utc>| state == ServiceTokenState::Active && *until > now;
        Self {
            id: row.id,
            name: row.name,
            state,
            roles: row.roles,
            scopes: row.scopes,
            made_at: row.made_at,
            made_by: row.made_by,
            expires_at: row.expires_at,
            rotated_at,
            rotated_by,
            previous_until: row.previous_until.filter(goes_on),
            last_used_at: row.last_used_at,
            revoked: row.revoked.map(Into::into),
        }
    }
}

/// A token with its secret, which is shown here and never again.
#[derive(Serialize, ToSchema)]
pub struct ServiceTokenWithSecret {
    /// The token.
    token: ServiceTokenView,
    /// What the program sends: `Authorization: Bearer pcl_…`. Null in the answer to a repeated request, because it is stored nowhere: rotate the token if
    /// the first answer was lost.
    #[schema(pattern = "^pcl_[0-9a-f]{32}_[0-9a-f]{72}$")]
    secret: Option<String>,
}

/// A page of service tokens, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceTokenList {
    /// The rows.
    items: Vec<ServiceTokenView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<ServiceTokenId>,
}

/// What the token shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceTokenBody {
    /// What it is for: no other token that is not revoked has this name.
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "terraform in the build account"
    )]
    name: String,
    /// What it is trusted with: nothing that you are not trusted with.
    #[schema(min_items = 1, example = json!(["approver"]))]
    roles: Vec<Role>,
    /// The permissions that it is narrowed to; all that its roles grant when absent.
    #[schema(min_items = 1, example = json!(["read", "decide"]))]
    scopes: Option<Vec<Scope>>,
    /// When it ends by itself. How far off that may be is `auth.service_tokens.max_life`.
    expires_at: DateTime<Utc>,
}

/// How to go over to another secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// For how long the secret before goes on, in seconds; with 0 it ends at once. How long that may be is `auth.service_tokens.max_rotation_grace`.
    #[schema(minimum = 0, example = 3600)]
    grace_seconds: u32,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only tokens that stand so.
    state: Option<ServiceTokenState>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<ServiceTokenId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists service tokens
///
/// Without their secrets, which are stored nowhere.
#[utoipa::path(
    tag = "service-tokens",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = ServiceTokenList), AuthProblems, InputProblems)
)]
#[get("/v1/service-tokens")]
pub(super) async fn list_service_tokens(
    _caller: Caller<ManageTokens>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceTokenList>, Problem> {
    let (cursor, limit) = (query.cursor, query.limit.0);
    let listed = read_service_tokens::service_tokens(&ctx, query.state, cursor, limit).await?;
    let now = ctx.clock.now();
    let items = listed.items.into_iter();
    Ok(Json(ServiceTokenList {
        items: items.map(|row| ServiceTokenView::at(row, now)).collect(),
        next_cursor: listed.next,
    }))
}

/// Makes a service token
///
/// The answer has its secret, once. A service token cannot do this, whatever its roles.
#[utoipa::path(
    tag = "service-tokens",
    request_body = NewServiceTokenBody,
    responses(
        (status = 201, description = "Made.", body = ServiceTokenWithSecret,
         headers(("location" = String, description = "The new token."))),
        AuthProblems, BodyProblems, ServiceTokenConflict
    )
)]
#[post("/v1/service-tokens")]
pub(super) async fn make_service_token(
    caller: Caller<ManageTokens>,
    ApiJson(body): ApiJson<NewServiceTokenBody>,
    ctx: Data<AppContext>,
    rules: Data<ServiceTokenRules>,
) -> Result<HttpResponse, Problem> {
    let new = NewServiceToken {
        name: body.name,
        roles: body.roles,
        scopes: body.scopes,
        expires_at: body.expires_at,
    };
    let (held, actor) = (caller.roles, actor(caller.subject));
    let (made, secret) = making::make_service_token(&ctx, &rules, &actor, &held, new).await?;
    shown_once(StatusCode::CREATED, made, &secret, ctx.clock.now())
}

/// Reads one service token
///
/// Without its secret, which was shown once.
#[utoipa::path(
    tag = "service-tokens",
    params(("id" = ServiceTokenId, Path, description = "The service token.")),
    responses(
        (status = 200, description = "The token, without its secret.", body = ServiceTokenView),
        AuthProblems, InputProblems, ServiceTokenMissing
    )
)]
#[get("/v1/service-tokens/{id}")]
pub(super) async fn read_service_token(
    _caller: Caller<ManageTokens>,
    ApiPath(id): ApiPath<ServiceTokenId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceTokenView>, Problem> {
    let found = read_service_tokens::service_token(&ctx, id).await?;
    Ok(Json(ServiceTokenView::at(found, ctx.clock.now())))
}

/// Gives a service token another secret
///
/// The answer has it, once. Of the secrets before, the last one goes on for the grace, and any other ends now.
#[utoipa::path(
    tag = "service-tokens",
    params(("id" = ServiceTokenId, Path, description = "The service token.")),
    request_body = RotateBody,
    responses(
        (status = 200, description = "Rotated.", body = ServiceTokenWithSecret),
        AuthProblems, BodyProblems, ServiceTokenMissing, ServiceTokenEndConflict
    )
)]
#[post("/v1/service-tokens/{id}/rotate")]
pub(super) async fn rotate_service_token(
    caller: Caller<ManageTokens>,
    ApiPath(id): ApiPath<ServiceTokenId>,
    ApiJson(body): ApiJson<RotateBody>,
    ctx: Data<AppContext>,
    rules: Data<ServiceTokenRules>,
) -> Result<HttpResponse, Problem> {
    let grace = TimeDelta::seconds(body.grace_seconds.into());
    let (held, actor) = (caller.roles, actor(caller.subject));
    let (after, secret) =
        rotating::rotate_service_token(&ctx, &rules, &actor, &held, id, grace).await?;
    shown_once(StatusCode::OK, after, &secret, ctx.clock.now())
}

/// Revokes a service token
///
/// At once and for ever, both its secrets, on every replica.
#[utoipa::path(
    tag = "service-tokens",
    params(("id" = ServiceTokenId, Path, description = "The service token.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Revoked.", body = ServiceTokenView),
        AuthProblems, BodyProblems, ServiceTokenMissing, ServiceTokenEndConflict
    )
)]
#[post("/v1/service-tokens/{id}/revoke")]
pub(super) async fn revoke_service_token(
    caller: Caller<ManageTokens>,
    ApiPath(id): ApiPath<ServiceTokenId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceTokenView>, Problem> {
    let actor = actor(caller.subject);
    let revoked = revoking::revoke_service_token(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(ServiceTokenView::at(revoked, ctx.clock.now())))
}

/// An answer with a secret in it, and for whoever repeats the request the same without.
fn shown_once(
    status: StatusCode,
    token: ServiceToken,
    secret: &SecretString,
    now: DateTime<Utc>,
) -> Result<HttpResponse, Problem> {
    let location = format!("/v1/service-tokens/{}", token.id);
    let mut answer = ServiceTokenWithSecret {
        token: ServiceTokenView::at(token, now),
        secret: None,
    };
    let kept = serde_json::to_vec(&answer).map_err(AppError::internal)?;
    answer.secret = Some(secret.expose_secret().to_owned());
    let mut response = HttpResponse::build(status);
    if status == StatusCode::CREATED {
        response.insert_header((header::LOCATION, location));
    }
    let mut response = response.json(answer);
    response.extensions_mut().insert(KeptInstead(kept));
    Ok(response)
}
