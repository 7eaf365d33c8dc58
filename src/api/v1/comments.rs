//! What people say to each other about a connection.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, web::Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::Limit;
use crate::api::auth::{Caller, Decide, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, BodyProblems, ConnectionMissing, InputProblems};
use crate::app::{AppContext, comment};
use crate::domain::ids::{CommentId, ConnectionId};
use crate::store::comments::Comment;

/// A comment. It is never changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentView {
    /// Its id.
    id: CommentId,
    /// Who.
    author: String,
    /// What.
    body: String,
    /// When.
    at: DateTime<Utc>,
}

impl From<Comment> for CommentView {
    fn from(row: Comment) -> Self {
        Self {
            id: row.id,
            author: row.author,
            body: row.body,
            at: row.at,
        }
    }
}

/// What to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentBody {
    /// 1 to 4000 characters.
    #[schema(min_length = 1, max_length = 4000)]
    body: String,
}

/// A page of comments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentList {
    /// The rows.
    items: Vec<CommentView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<CommentId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<CommentId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Comments on a connection
///
/// In any state. Consumers do not see it. It is kept for good, also in the connection's history.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    request_body = CommentBody,
    responses(
        (status = 201, description = "Said.", body = CommentView),
        AuthProblems, BodyProblems, ConnectionMissing
    )
)]
#[post("/v1/connections/{id}/comments")]
pub(super) async fn add_comment(
    caller: Caller<Decide>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiJson(body): ApiJson<CommentBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let said = comment::comment(&ctx, &actor(caller.subject), id, &body.body).await?;
    let location = format!("/v1/connections/{id}/comments");
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(CommentView::from(said)))
}

/// Lists the comments on a connection
///
/// What people said about it for each other. Consumers do not see it.
#[utoipa::path(
    tag = "reviews",
    params(("id" = ConnectionId, Path, description = "The connection."), ListQuery),
    responses(
        (status = 200, description = "A page, newest first.", body = CommentList),
        AuthProblems, InputProblems, ConnectionMissing
    )
)]
#[get("/v1/connections/{id}/comments")]
pub(super) async fn list_comments(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<CommentList>, Problem> {
    let listed = comment::comments(&ctx, id, query.cursor, query.limit.0).await?;
    Ok(Json(CommentList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}
