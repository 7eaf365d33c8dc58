//! Waiting for another process: the only place of the crate that sleeps.

use std::time::{Duration, Instant};

/// Asks `ready` every few milliseconds until it is true or `limit` has passed; says whether it became true.
pub(crate) fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if ready() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        nap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the launcher is synchronous: it waits for processes and files, which announce nothing"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(5));
}
