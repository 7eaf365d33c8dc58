//! How many requests are worked on at once. What is more is refused at once: a queue that nobody sees only makes everybody late.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counts requests that are worked on.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    count: Gauge<i64, AtomicI64>,
    most: i64,
}

/// A request's place among them; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Gauge<i64, AtomicI64>);

impl InFlight {
    /// Allows so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            count: Gauge::default(),
            most: i64::try_from(most).unwrap_or(i64::MAX),
        }
    }

    /// Shows the count.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_http_requests_in_flight",
            "Requests that are worked on now, probes left out",
            self.count.clone(),
        );
    }

    /// A place, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        let before = self.count.inc();
        let place = Place(self.count.clone());
        (before < self.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let flight = InFlight::new(2);
        let first = flight.enter().expect("a place");
        let _second = flight.enter().expect("a place");
        assert!(flight.enter().is_none());
        assert!(flight.enter().is_none(), "a refusal takes no place");
        drop(first);
        assert!(flight.enter().is_some());
    }
}
