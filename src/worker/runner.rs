//! The loop around a pass: run it, then wait for a nudge or a timer.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metrics::{PassLabels, WorkerMetrics};
use super::{PassError, Shared};
use crate::domain::backoff;
pub(super) use crate::domain::causes::chain;

/// Runs `pass` until told to stop or until the lease is lost. `pass` answers how long to rest; a nudge, for a loop that listens, ends
/// the rest early.
pub(super) async fn run<F, Fut>(
    name: &'static str,
    shared: &Shared,
    stop: &CancellationToken,
    nudge: Option<watch::Receiver<u64>>,
    pass: F,
) where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Duration, PassError>>,
{
    run_with_wait(name, shared, stop, nudge, |_| pass()).await;
}

/// The same for a pass that wants to know after what wait it is repeated should it fail.
pub(super) async fn run_with_wait<F, Fut>(
    name: &'static str,
    shared: &Shared,
    stop: &CancellationToken,
    mut nudge: Option<watch::Receiver<u64>>,
    pass: F,
) where
    F: Fn(Duration) -> Fut,
    Fut: Future<Output = Result<Duration, PassError>>,
{
    let mut failures = 0_u32;
    loop {
        // Listening begins before looking, so that nothing falls in between.
        if let Some(nudge) = nudge.as_mut() {
            nudge.borrow_and_update();
        }
        let next_failure = failures.saturating_add(1);
        let wait = backoff::delay(shared.settings.retry_base, next_failure, rand::random());
        let result = tokio::select! {
            // A pass that is cut off here leaves what the next owner's pass mends.
            () = stop.cancelled() => return,
            result = pass(wait) => result,
        };
        count(&shared.metrics, name, result.is_ok());
        let rest = match result {
            Ok(rest) => {
                failures = 0;
                rest
            }
            Err(error) if error.lease_is_lost() => {
                tracing::info!(
                    worker.pass = name,
                    "another replica took the AccountRegion over"
                );
                return;
            }
            Err(error) => {
                failures = next_failure;
                let chain = chain(&error);
                tracing::warn!(worker.pass = name, failures, error = %chain, "a pass failed");
                wait
            }
        };
        let nudged = async {
            match nudge.as_mut() {
                Some(nudge) if failures == 0 => {
                    if nudge.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                // While failing, back-off is not cut short: a crowd of decisions must not become a crowd of calls.
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
            () = nudged => {}
        }
    }
}

fn count(metrics: &WorkerMetrics, name: &'static str, ok: bool) {
    let outcome = if ok { "ok" } else { "error" };
    metrics
        .passes
        .get_or_create(&PassLabels { name, outcome })
        .inc();
}
