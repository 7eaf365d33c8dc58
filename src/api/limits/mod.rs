//! How much one client, and all of them together, may take of this process.
//!
//! [`HttpSettings`] says how much; here it is counted. The layer that refuses is `middleware::gate`, and `connections` ends what stands still.

pub mod in_flight;
pub mod rate;
pub mod rates;
pub mod settings;
mod ticks;

pub use rate::Rate;
pub use settings::{HttpSettings, RateSettings};
pub use ticks::Ticks;

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::registry::Registry;

use in_flight::InFlight;
use rates::Rates;

/// The limits of a process, with what is counted for them.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) settings: HttpSettings,
    pub(crate) in_flight: InFlight,
    pub(crate) rates: Rates,
    draining: AtomicBool,
}

impl Limits {
    /// Begins to count.
    pub(crate) fn new(settings: &HttpSettings, ticks: &Ticks, registry: &mut Registry) -> Self {
        let in_flight = InFlight::new(settings.max_in_flight);
        in_flight.register(registry);
        Self {
            in_flight,
            rates: Rates::new(&settings.rate, ticks),
            settings: settings.clone(),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on the process says that it is not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to stop.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Whether a path is for probes and scrapers, which are answered however busy the process is.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Whether the answer of a path goes on for as long as the client likes: a stream of events.
pub(crate) fn is_stream(path: &str) -> bool {
    path == "/v1/events"
}

/// Whether a request does many things one after the other, and may take longer than others.
pub(crate) fn is_long(path: &str) -> bool {
    matches!(path, "/v1/connections/bulk-decisions" | "/v1/drifts/adopt")
        || (path.starts_with("/v1/account-regions/") && path.ends_with("/import"))
}
