//! What the HTTP layer itself needs, whatever the routes do: keys to check callers with, a clock,
//! a readiness check and the metrics.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prometheus_client::registry::Registry;

use super::auth::{TokenUses, Verifier};
use super::connections::ConnectionMetrics;
use super::limits::{HttpSettings, Limits, Ticks};
use super::middleware::metrics::HttpMetrics;
use crate::domain::clock::Clock;

/// Says whether the process can do its work right now; asked by `GET /readyz`.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Looks at everything a request may need, the database first. Must be cheap: it is asked
    /// every few seconds.
    async fn check(&self) -> Result<(), NotReady>;
}

/// Why the process cannot do its work right now; for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not ready: {0}")]
pub struct NotReady(pub String);

/// The parts of the HTTP layer that all workers share. Cloning shares them.
#[derive(Clone)]
pub struct Edge {
    verifier: Arc<Verifier>,
    token_uses: TokenUses,
    readiness: Arc<dyn Readiness>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    http_metrics: HttpMetrics,
    connection_metrics: ConnectionMetrics,
    limits: Arc<Limits>,
}

impl Edge {
    /// Puts the parts together, with the default limits, and adds the metrics of requests and tokens to the registry.
    ///
    /// The registry is given away: whatever else is to be shown under `/metrics` must be in it.
    pub fn new(
        verifier: impl Into<Arc<Verifier>>,
        readiness: Arc<dyn Readiness>,
        clock: Arc<dyn Clock>,
        registry: Registry,
    ) -> Self {
        let settings = HttpSettings::default();
        Self::limited(
            verifier,
            readiness,
            clock,
            registry,
            &settings,
            &Ticks::default(),
        )
    }

    /// As [`Self::new`], with limits; rates are measured by `ticks`.
    pub fn limited(
        verifier: impl Into<Arc<Verifier>>,
        readiness: Arc<dyn Readiness>,
        clock: Arc<dyn Clock>,
        mut registry: Registry,
        settings: &HttpSettings,
        ticks: &Ticks,
    ) -> Self {
        let http_metrics = HttpMetrics::register(&mut registry);
        let verifier = verifier.into();
        verifier.metrics().register(&mut registry);
        let connection_metrics = ConnectionMetrics::default();
        connection_metrics.register(&mut registry);
        let limits = Limits::new(settings, ticks, &mut registry);
        Self {
            verifier,
            token_uses: TokenUses::default(),
            readiness,
            clock,
            registry: Arc::new(registry),
            http_metrics,
            connection_metrics,
            limits: Arc::new(limits),
        }
    }

    /// Says from now on that the process is not ready, so that no more requests are sent to it.
    pub fn drain(&self) {
        self.limits.drain();
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn connection_metrics(&self) -> &ConnectionMetrics {
        &self.connection_metrics
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn token_uses(&self) -> &TokenUses {
        &self.token_uses
    }

    pub(super) fn readiness(&self) -> &dyn Readiness {
        &*self.readiness
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn http_metrics(&self) -> &HttpMetrics {
        &self.http_metrics
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}
