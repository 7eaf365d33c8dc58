//! What happens to every request, whatever its route: an id, a log line, a measurement, headers, and one effect however often it is sent.
//!
//! From the outside in: request id, trace, metrics, security headers, idempotency. Only the last one refuses anything.

pub(super) mod idempotency;
pub(super) mod metrics;
pub(super) mod request_id;
pub(super) mod security_headers;
pub(super) mod trace;
