//! One id per request: in the log, in every refusal and in the `X-Request-Id` header of the answer.
//!
//! A caller may choose the id, so that its log and ours can be joined; one that could disturb a log
//! is replaced. The id travels in a task-local value because a refusal is turned into a response
//! where the request is no longer at hand.

use std::fmt;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use super::with_headers;

/// The header that carries the id, both ways.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id we take from a caller, in bytes.
const LIMIT: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of a request: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Makes a new id.
    fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Takes a caller's id if it is harmless.
    fn accept(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let harmless =
            (1..=LIMIT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        harmless.then(|| Self(text.to_owned()))
    }

    /// The id as it is on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of the request that this task is working on, if it is working on one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Gives the request its id and the response the same.
pub(crate) async fn assign(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(RequestId::accept)
        .unwrap_or_else(RequestId::random);
    request.extensions_mut().insert(id.clone());
    let outcome = CURRENT.scope(id.clone(), next.call(request)).await;
    with_headers(outcome, |headers| {
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            headers.insert(HEADER, value);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_disturb_a_log_is_not_taken() {
        let long = "x".repeat(65);
        for bad in [
            b"" as &[u8],
            b"a b",
            b"tab\there",
            "\u{e9}".as_bytes(),
            long.as_bytes(),
        ] {
            let value = HeaderValue::from_bytes(bad).expect("a header value");
            assert_eq!(RequestId::accept(&value), None, "{bad:?}");
        }
        let good = HeaderValue::from_static("trace-7/abc");
        assert_eq!(
            RequestId::accept(&good),
            Some(RequestId("trace-7/abc".to_owned()))
        );
    }

    #[test]
    fn outside_a_request_there_is_no_id() {
        assert_eq!(current(), None);
    }
}
