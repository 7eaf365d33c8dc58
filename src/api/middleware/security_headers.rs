//! Headers that keep browsers from doing more with an answer than we meant.
//!
//! The API's answers are data: nothing may be loaded from them and nothing may frame them. The API
//! reference under `/docs` is the one page, and may load what this server serves.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, PERMISSIONS_POLICY,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::with_headers;
use crate::api::edge::Edge;

const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The reference sets styles from its scripts and embeds its icons as data.
const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
                           style-src 'self' 'unsafe-inline'; object-src 'none'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Nothing that a page may ask of a browser is needed here.
const NO_FEATURES: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A year, for this host alone: what else its domain serves is not ours to say.
const TLS_ONLY: &str = "max-age=31536000";

/// Adds the headers; one that a handler set itself is kept.
pub(crate) async fn add(
    edge: web::Data<Edge>,
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
    let outcome = next.call(request).await;
    with_headers(outcome, |headers| {
        let mut add = |name: HeaderName, value: &'static str| {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        };
        add(X_CONTENT_TYPE_OPTIONS, "nosniff");
        add(X_FRAME_OPTIONS, "DENY");
        add(REFERRER_POLICY, "no-referrer");
        add(CONTENT_SECURITY_POLICY, policy);
        add(PERMISSIONS_POLICY, NO_FEATURES);
        add(RESOURCE_POLICY, "same-origin");
        add(OPENER_POLICY, "same-origin");
        if edge.limits().settings.tls.is_on() {
            add(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
        }
        if private {
            add(CACHE_CONTROL, "no-store");
        }
    })
}
