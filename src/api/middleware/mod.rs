//! What happens to every request, whatever its route: an id, a log line, a measurement, headers, who sends it, one effect however often it is
//! sent, and an effect on no other state than the one that was meant.
//!
//! From the outside in: request id, trace, metrics, security headers, identity, idempotency, preconditions. Only the last two refuse anything.

pub(super) mod idempotency;
pub(super) mod identity;
pub(super) mod metrics;
pub(super) mod preconditions;
pub(super) mod request_id;
pub(super) mod security_headers;
pub(super) mod trace;
