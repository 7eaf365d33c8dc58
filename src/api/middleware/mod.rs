//! What happens to every request, whatever its route: an id, a log line, a measurement, headers.
//!
//! From the outside in: request id, trace, metrics, security headers. None of them refuses anything.

pub(super) mod metrics;
pub(super) mod request_id;
pub(super) mod security_headers;
pub(super) mod trace;
