//! What a request must pass before anybody works on it: the caps on its header, a place among those that are worked on, and its sender's
//! rate. What passed has a deadline.
//!
//! Probes pass always, but for the caps.

use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _, web};
use tracing::Span;

use super::{client, identity};
use crate::api::auth::claims_of;
use crate::api::edge::Edge;
use crate::api::limits::rates::Told;
use crate::api::limits::{HttpSettings, is_long, is_probe};
use crate::api::problem::Problem;
use crate::app::code::Code;

/// What is left, and until when (`draft-ietf-httpapi-ratelimit-headers`, in the form that it has since its eighth version).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How a bucket is filled.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

type Answered<B> = ServiceResponse<EitherBody<B>>;

/// Lets a request pass, or refuses it.
pub(crate) async fn pass<B: MessageBody>(
    edge: web::Data<Edge>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<Answered<B>, Error> {
    let limits = edge.limits();
    let settings = &limits.settings;
    if let Err(problem) = check_head(&request, settings) {
        return Ok(refused(request, &problem));
    }
    if is_probe(request.path()) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let Some(_place) = limits.in_flight.enter() else {
        return Ok(refused(request, &overloaded()));
    };
    let told = match identity::establish(&request, &edge).await {
        Ok(paid) => charge(&edge, &request, paid),
        Err(told) => Err(told),
    };
    let told = match told {
        Ok(told) => told,
        Err(told) => {
            let mut response = refused(request, &too_often(&told));
            show(&told, response.headers_mut());
            return Ok(response);
        }
    };
    let limit = if is_long(request.path()) {
        settings.long_request_timeout
    } else {
        settings.request_timeout
    };
    let Ok(response) = tokio::time::timeout(limit, next.call(request)).await else {
        return Err(late(limit).into());
    };
    let mut response = response?.map_into_left_body();
    if let Some(told) = told {
        show(&told, response.headers_mut());
    }
    Ok(response)
}

/// The caps on what comes before the body.
fn check_head(request: &ServiceRequest, settings: &HttpSettings) -> Result<(), Problem> {
    let uri = request
        .uri()
        .path_and_query()
        .map_or(0, |uri| uri.as_str().len());
    if uri > settings.max_uri_bytes {
        let most = settings.max_uri_bytes;
        let detail = format!("Path and query may have at most {most} bytes together.");
        return Err(Problem::new(Code::UriTooLong, detail));
    }
    let headers = request.headers();
    let most = settings.max_headers;
    if headers.len() > most {
        let detail = format!("A request may have at most {most} headers.");
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    // As on the wire: a colon, a space and the end of the line.
    let bytes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    if bytes.sum::<usize>() > settings.max_header_bytes {
        let most = settings.max_header_bytes;
        let detail = format!("The headers of a request may have at most {most} bytes together.");
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

/// Takes the request out of its sender's bucket; an address that has paid does not pay twice. SNS, which comes from many addresses and in bursts, has a limit of its own.
fn charge(edge: &Edge, request: &ServiceRequest, paid: Option<Told>) -> Result<Option<Told>, Told> {
    if request.path() == "/hooks/sns" {
        return Ok(None);
    }
    let limits = edge.limits();
    let claims = claims_of(request.request());
    Span::current().record("http.caller", client::kind(&claims));
    if claims.is_err() && paid.is_some() {
        return Ok(paid);
    }
    let address = client::address(request.request(), limits.settings.proxies);
    let payer = client::payer(&claims, address);
    let weight = client::weight(request.method());
    limits.rates.charge(&payer, weight)
}

fn too_often(told: &Told) -> Problem {
    let detail = format!(
        "The limit is {} for the bucket {}, which is empty.",
        told.rate, told.bucket
    );
    let problem = Problem::new(Code::RateLimited, detail);
    problem.header(RETRY_AFTER, HeaderValue::from(told.seconds))
}

/// Tells a client what it has left.
fn show(told: &Told, headers: &mut HeaderMap) {
    let bucket = told.bucket;
    let left = format!("\"{bucket}\";r={};t={}", told.left, told.seconds);
    let policy = format!(
        "\"{bucket}\";q={};w={}",
        told.rate.burst(),
        told.rate.window()
    );
    for (name, value) in [(RATE_LIMIT, left), (RATE_LIMIT_POLICY, policy)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

fn overloaded() -> Problem {
    Problem::new(
        Code::Overloaded,
        "More requests are being worked on than this process takes at once.",
    )
}

/// Nobody waits for it any more. What it did in a transaction that was not committed is taken back.
fn late(limit: Duration) -> Problem {
    let limit = limit.as_secs_f64();
    tracing::warn!(limit_s = limit, "a request was cut off at its deadline");
    let detail = format!("The request was not finished in {limit} seconds.");
    Problem::new(Code::Timeout, detail)
}

fn refused<B>(request: ServiceRequest, problem: &Problem) -> Answered<B> {
    request
        .into_response(problem.error_response())
        .map_into_right_body()
}
