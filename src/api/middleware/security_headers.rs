//! Headers that keep browsers from doing more with an answer than we meant.
//!
//! The API's answers are data: nothing may be loaded from them and nothing may frame them. The API
//! reference under `/docs` is the one page, and may load what this server serves.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;

const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The reference sets styles from its scripts and embeds its icons as data.
const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
                           style-src 'self' 'unsafe-inline'; object-src 'none'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the headers; one that a handler set itself is kept.
pub(crate) async fn add(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let path = request.path();
    let policy = if path.starts_with("/docs/") {
        PAGE_POLICY
    } else {
        DATA_POLICY
    };
    let private = path == "/v1" || path.starts_with("/v1/");
    let mut response = next.call(request).await?;
    let mut add = |name: HeaderName, value: &'static str| {
        let headers = response.headers_mut();
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(REFERRER_POLICY, "no-referrer");
    add(CONTENT_SECURITY_POLICY, policy);
    if private {
        add(CACHE_CONTROL, "no-store");
    }
    Ok(response)
}
