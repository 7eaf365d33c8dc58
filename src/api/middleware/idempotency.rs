//! `Idempotency-Key` on every POST of the API: the same request twice has one effect and one answer.
//!
//! A request without the header, or whose caller is not known, passes. Refusals are not kept: what was refused did nothing, and may be tried again.
//! Of an answer with a secret in it, the rest is kept: see [`KeptInstead`].

use actix_web::body::{EitherBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use actix_web::{Error, HttpMessage, HttpResponse, HttpResponseBuilder, ResponseError};
use aws_lc_rs::digest;
use futures_util::stream;

use crate::api::auth::caller_of;
use crate::api::extract::{BodyLimits, whole_body};
use crate::api::problem::Problem;
use crate::app::AppContext;
use crate::app::code::Code;
use crate::app::error::AppError;
use crate::app::idempotency::{self, Begun, Unit, watched};
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer, Named};

/// The header that names a request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is the one that the request got before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What is kept of an answer in place of its body, where something in that is shown once and is to be stored nowhere. A handler leaves it with its response.
#[derive(Debug, Clone)]
pub(crate) struct KeptInstead(pub(crate) Vec<u8>);

type Answered<B> = ServiceResponse<EitherBody<B>>;

/// Answers a request that was done before as it was answered then, and keeps the answer of a new one.
pub(crate) async fn honour<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<Answered<B>, Error> {
    let (named, ctx) = match named(&mut request).await {
        Ok(Some(named)) => named,
        Ok(None) => return Ok(next.call(request).await?.map_into_left_body()),
        Err(problem) => return Ok(refused(request, &problem)),
    };
    let unit = match idempotency::begin(&ctx, &named).await {
        Ok(Begun::New(unit)) => unit,
        Ok(Begun::Known(answer)) => {
            let mut response = HttpResponseBuilder::new(status_of(&answer));
            for (name, value) in &answer.headers {
                response.append_header((name.as_str(), value.as_str()));
            }
            response.insert_header((REPLAYED, HeaderValue::from_static("true")));
            let response = response.body(answer.body);
            return Ok(request.into_response(response).map_into_right_body());
        }
        Err(error) => return Ok(refused(request, &Problem::from(error))),
    };
    let (response, faulty) = watched(unit.scope(next.call(request))).await;
    let response = response?;
    if faulty {
        idempotency::give_up(unit).await;
        // What was done in parts stands; what was not is done by whoever sends it again.
        return Ok(response.map_into_left_body());
    }
    ended(&ctx, &named, unit, response).await
}

/// Which request it is and whose; `None` for one that has no key, or that nobody known sends.
async fn named(
    request: &mut ServiceRequest,
) -> Result<Option<(Named, web::Data<AppContext>)>, Problem> {
    if request.method() != Method::POST || !request.path().starts_with("/v1/") {
        return Ok(None);
    }
    let mut keys = request.headers().get_all(KEY);
    let (Some(key), more) = (keys.next(), keys.next().is_some()) else {
        return Ok(None);
    };
    let wrong = |why: String| Problem::new(Code::IdempotencyKeyInvalid, why);
    if more {
        return Err(wrong("send one Idempotency-Key".to_owned()));
    }
    let text = key
        .to_str()
        .map_err(|_| wrong("it is not text".to_owned()))?;
    let key: IdempotencyKey = text.parse().map_err(wrong)?;
    let ctx = request.app_data::<web::Data<AppContext>>().cloned();
    let (Some(ctx), Some(caller)) = (ctx, caller_of(request.request())) else {
        return Ok(None);
    };
    let limits = BodyLimits::of(request.request())?;
    let body = whole_body(request.take_payload(), limits).await?;
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [
        request.method().as_str().as_bytes(),
        request.uri().to_string().as_bytes(),
        &body,
    ] {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    let mut whole = [0; 32];
    whole.copy_from_slice(hash.finish().as_ref());
    request.set_payload(Payload::Stream {
        payload: Box::pin(stream::iter([Ok(body)])),
    });
    let named = Named {
        caller,
        key,
        hash: whole,
    };
    Ok(Some((named, ctx)))
}

fn status_of(answer: &KeptAnswer) -> actix_web::http::StatusCode {
    actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default()
}

/// Reads the answer to its end and keeps it, before anybody hears it. Of what was refused, nothing stands.
async fn ended<B: MessageBody>(
    ctx: &AppContext,
    named: &Named,
    unit: Unit,
    response: ServiceResponse<B>,
) -> Result<Answered<B>, Error> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        idempotency::give_up(unit).await;
        return Ok(response.map_into_left_body());
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let Ok(body) = to_bytes(body).await else {
        let unreadable = AppError::internal("an answer cannot be read to its end");
        let problem = Problem::from(unreadable);
        return Ok(ServiceResponse::new(request, answer_of(&problem)).map_into_right_body());
    };
    let headers = head.headers().iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let instead = head.extensions().get::<KeptInstead>().cloned();
    let answer = KeptAnswer {
        status: status.as_u16(),
        headers: headers.collect(),
        body: instead.map_or_else(|| body.to_vec(), |instead| instead.0),
    };
    let response = match idempotency::keep(ctx, named, unit, &answer).await {
        Ok(()) => head.set_body(body).map_into_boxed_body(),
        Err(error) => answer_of(&Problem::from(error)),
    };
    Ok(ServiceResponse::new(request, response).map_into_right_body())
}

fn answer_of(problem: &Problem) -> HttpResponse {
    problem.error_response()
}

fn refused<B>(request: ServiceRequest, problem: &Problem) -> Answered<B> {
    request
        .into_response(answer_of(problem))
        .map_into_right_body()
}
