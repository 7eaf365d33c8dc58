//! What happens to every request, whatever its route: an id, a log line, a measurement, headers, limits, who sends it, one effect however often it
//! is sent, and an effect on no other state than the one that was meant.
//!
//! From the outside in: connection, request id, trace, metrics, security headers, gate (which finds out who sends it), AWS's ids, idempotency,
//! preconditions. The gate and the last two are those that refuse.

pub(super) mod aws_ids;
pub(super) mod client;
pub(super) mod follow;
pub(super) mod gate;
pub(super) mod idempotency;
pub(super) mod identity;
pub(super) mod metrics;
pub(super) mod preconditions;
pub(super) mod request_id;
pub(super) mod security_headers;
pub(super) mod trace;

use actix_web::Error;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::HeaderMap;

use super::openapi::DocumentData;

/// The route of a request. The router names the first whose path fits, whatever its methods; a path that is there by the word is no other's.
pub(super) fn route(request: &ServiceRequest) -> Option<String> {
    let document = request.app_data::<DocumentData>();
    if document.is_some_and(|document| document.has_word(request.path())) {
        return Some(request.path().to_owned());
    }
    request.match_pattern()
}

/// Changes the headers of an answer.
///
/// A request that is cut off leaves no response behind that belongs to it, only an error that knows how it is answered. That answer is changed too.
pub(super) fn with_headers<B>(
    outcome: Result<ServiceResponse<B>, Error>,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<ServiceResponse<B>, Error> {
    match outcome {
        Ok(mut response) => {
            change(response.headers_mut());
            Ok(response)
        }
        Err(error) => {
            let mut response = error.error_response();
            change(response.headers_mut());
            Err(InternalError::from_response("cut off", response).into())
        }
    }
}
