//! The span around a request and its line in the access log.
//!
//! Recorded: request id, method, route pattern, path, status, duration and what kind of caller it is. Never recorded: the query
//! string, headers, bodies, tokens, nor the caller, whose name may be an e-mail address; who changed
//! what is in the audit trail.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing_actix_web::RootSpanBuilder;

use super::request_id::RequestId;

/// When the request's header was read.
struct Started(Instant);

/// Builds the span of a request and writes the access log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace;

impl RootSpanBuilder for Trace {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Started(Instant::now()));
        let id = request
            .extensions()
            .get::<RequestId>()
            .map(ToString::to_string);
        tracing::info_span!(
            "request",
            request.id = id.as_deref(),
            http.method = request.method().as_str(),
            http.route = super::route(request),
            // What the gate finds out.
            http.caller = tracing::field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let _entered = span.enter();
        match outcome {
            Ok(response) => {
                let request = response.request();
                let took = request
                    .extensions()
                    .get::<Started>()
                    .map(|at| at.0.elapsed());
                tracing::info!(
                    http.path = request.path(),
                    http.status = response.status().as_u16(),
                    duration_ms = took.map(|took| took.as_secs_f64() * 1000.0),
                    "request answered"
                );
            }
            // Only a request that is cut off is answered so, and that has a line of its own; its path is gone with it.
            Err(error) => tracing::info!(
                http.status = error.as_response_error().status_code().as_u16(),
                "request answered"
            ),
        }
    }
}
