//! Entity tags and preconditions (RFC 9110, section 13) on every resource with an id: a read says which state it shows, and a write with `If-Match` is done
//! to that state or not at all.
//!
//! A precondition is looked at after the write has been tried, within a transaction that is then taken back: whoever may not write, or names what is not
//! there, is told that and nothing of the state.

use actix_web::body::{EitherBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use aws_lc_rs::digest;

use crate::api::auth::caller_of;
use crate::api::conditions::{Tagged, resource_at};
use crate::api::openapi::DocumentData;
use crate::api::problem::Problem;
use crate::app::AppContext;
use crate::app::code::Code;
use crate::app::error::AppError;
use crate::app::preconditions::{self, Resource};
use crate::domain::entity_tag::{TagList, Version};

type Answered<B> = ServiceResponse<EitherBody<B>>;

/// Tags what is read, and holds writes to the state that they name.
pub(crate) async fn honour<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<Answered<B>, Error> {
    let ctx = request.app_data::<web::Data<AppContext>>().cloned();
    // Whoever is not known is told that, by the handler.
    let (Some(ctx), true) = (ctx, caller_of(request.request()).is_some()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let resource = resource_at(request.path());
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return match resource {
            Some(resource) => read(&ctx, resource, request, next).await,
            None => Ok(next.call(request).await?.map_into_left_body()),
        };
    }
    let meant = match meant(request.headers(), resource) {
        Ok(None) => return Ok(next.call(request).await?.map_into_left_body()),
        Ok(Some(meant)) => meant,
        // A write that no route takes is refused for that.
        Err(_) if !is_routed(&request) => {
            return Ok(next.call(request).await?.map_into_left_body());
        }
        Err(problem) => return Ok(refused(request, &problem)),
    };
    write(&ctx, meant, request, next).await
}

/// Whether the document has the path with the method.
fn is_routed(request: &ServiceRequest) -> bool {
    let document = request.app_data::<DocumentData>();
    document.is_none_or(|document| {
        let methods = document.methods_at(request.path());
        methods.contains(request.method())
    })
}

/// Which state of which resource a write is meant for.
fn meant(
    headers: &HeaderMap,
    resource: Option<Resource>,
) -> Result<Option<(Resource, TagList)>, Problem> {
    let unsupported = |header: &HeaderName, why: &str| {
        let detail = format!("{header}: {why}");
        Err(Problem::new(Code::InvalidRequest, detail).field(header.as_str()))
    };
    if headers.contains_key(IF_NONE_MATCH) {
        return unsupported(&IF_NONE_MATCH, "no write here takes it; send If-Match.");
    }
    let Some(listed) = tags(headers, &IF_MATCH)? else {
        return Ok(None);
    };
    match resource {
        Some(resource) => Ok(Some((resource, listed))),
        None => unsupported(
            &IF_MATCH,
            "there is no one resource here whose state it could name.",
        ),
    }
}

/// The tags that a header lists, in one line or several.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<TagList>, Problem> {
    let wrong = |why: &str| {
        let detail = format!("{name}: {why}.");
        Problem::new(Code::InvalidRequest, detail).field(name.as_str())
    };
    let lines: Result<Vec<&str>, _> = headers.get_all(name).map(HeaderValue::to_str).collect();
    let lines = lines.map_err(|_| wrong("it is not text"))?;
    if lines.is_empty() {
        return Ok(None);
    }
    lines.join(", ").parse().map(Some).map_err(wrong)
}

async fn read<B: MessageBody>(
    ctx: &AppContext,
    resource: Resource,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<Answered<B>, Error> {
    let known = match tags(request.headers(), &IF_NONE_MATCH) {
        Ok(known) => known,
        Err(problem) => return Ok(refused(request, &problem)),
    };
    let version = match preconditions::version(ctx, resource).await {
        Ok(version) => version,
        Err(error) => return Ok(refused(request, &Problem::from(error))),
    };
    let response = next.call(request).await?;
    let (Some(version), true) = (version, is_representation(&response)) else {
        return Ok(response.map_into_left_body());
    };
    let (request, response) = response.into_parts();
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body).await else {
        let problem = Problem::from(AppError::internal("an answer cannot be read to its end"));
        return Ok(ServiceResponse::new(request, problem.error_response()).map_into_right_body());
    };
    let tag = version.tag_of(digest::digest(&digest::SHA256, &body).as_ref());
    let response = if known.is_some_and(|known| known.knows(&tag)) {
        let mut unchanged = HttpResponse::NotModified();
        unchanged.insert_header((ETAG, tag)).finish()
    } else {
        if let Ok(value) = HeaderValue::from_str(&tag) {
            head.headers_mut().insert(ETAG, value);
        }
        head.set_body(body).map_into_boxed_body()
    };
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

fn is_representation<B>(response: &ServiceResponse<B>) -> bool {
    let json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    response.status() == StatusCode::OK && json
}

async fn write<B: MessageBody>(
    ctx: &AppContext,
    (resource, meant): (Resource, TagList),
    request: ServiceRequest,
    next: Next<B>,
) -> Result<Answered<B>, Error> {
    let conditional = match preconditions::begin(ctx, resource).await {
        Ok(conditional) => conditional,
        Err(error) => return Ok(refused(request, &Problem::from(error))),
    };
    request.extensions_mut().insert(Tagged);
    let mut response = conditional.scope(next.call(request)).await?;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Ok(response.map_into_left_body());
    }
    match conditional.end(ctx, &meant).await {
        Ok(version) => {
            tag(response.headers_mut(), &version);
            Ok(response.map_into_left_body())
        }
        Err(error) => {
            let problem = Problem::from(error).error_response();
            let (request, _) = response.into_parts();
            Ok(ServiceResponse::new(request, problem).map_into_right_body())
        }
    }
}

fn tag(headers: &mut HeaderMap, version: &Version) {
    if let Ok(value) = HeaderValue::from_str(&version.tag()) {
        headers.insert(ETAG, value);
    }
}

fn refused<B>(request: ServiceRequest, problem: &Problem) -> Answered<B> {
    request
        .into_response(problem.error_response())
        .map_into_right_body()
}
