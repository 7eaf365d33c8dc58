//! The adapter's tests over HTTP, in one binary: linking the SDK is dear.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helper may panic like the test"
)]

mod canned;
mod checks;
mod noise;
mod sessions;
mod wire;
