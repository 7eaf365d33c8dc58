//! The clock that rates are measured by. It only goes forward: were the wall clock set back, everybody's budget would stay spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;

/// The time since some moment.
#[derive(Debug, Clone)]
pub enum Ticks {
    /// Since then, by the system's monotonic clock.
    Since(Instant),
    /// As told, in milliseconds; for tests.
    Told(Arc<AtomicU64>),
}

impl Default for Ticks {
    fn default() -> Self {
        Self::Since(Instant::now())
    }
}

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        match self {
            Self::Since(start) => start.elapsed(),
            Self::Told(millis) => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}
