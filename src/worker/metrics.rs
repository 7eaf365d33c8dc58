//! What the worker counts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use privatelink::AccountRegionRef;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::review_metrics::ReviewMetrics;
use crate::domain::drift::DriftKind;
use crate::domain::finding::FindingKind;

/// A call to AWS by its action and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// The AWS action.
    pub action: &'static str,
    /// `ok`, or the kind of [`privatelink::GatewayError`].
    pub outcome: &'static str,
}

/// A pass by its loop and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PassLabels {
    /// The loop.
    pub name: &'static str,
    /// `ok` or `error`.
    pub outcome: &'static str,
}

/// What is stalled, by where, what and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StallLabels {
    /// The AccountRegion's id.
    pub account_region: String,
    /// `connection` or `service`.
    pub kind: &'static str,
    /// The last AWS error code, or the worker's reason.
    pub code: String,
}

/// What is stalled at present in the AccountRegions that this replica serves.
/// An AccountRegion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlaceLabels {
    /// The AWS account.
    pub account: String,
    /// The Region.
    pub region: String,
}

/// A kind of drift in an AccountRegion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DriftLabels {
    /// The AWS account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The kind.
    pub kind: &'static str,
}

/// The worker's metrics. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Stalls {
    count: Family<StallLabels, Gauge>,
    oldest: Family<StallLabels, Gauge>,
    shown: Arc<Mutex<HashSet<StallLabels>>>,
}

impl Stalls {
    /// Shows these: how many there are, and the age of the oldest in seconds. What was shown before and is not among them is gone.
    pub fn show(&self, counted: Vec<(StallLabels, i64, i64)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now: HashSet<StallLabels> = counted.iter().map(|(labels, ..)| labels.clone()).collect();
        for gone in shown.difference(&now) {
            self.count.remove(gone);
            self.oldest.remove(gone);
        }
        for (labels, count, oldest) in counted {
            self.count.get_or_create(&labels).set(count);
            self.oldest.get_or_create(&labels).set(oldest);
        }
        *shown = now;
    }
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FindingLabels {
    /// The kind.
    pub kind: &'static str,
}

/// Hints by what is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HintLabels {
    /// `received`, `duplicate` or `unreadable` of messages from the queue; of hints that were followed, what that came to.
    pub kind: &'static str,
}

/// The worker's metrics. Clones count together.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    /// Calls to AWS.
    pub calls: Family<CallLabels, Counter>,
    /// Passes.
    pub passes: Family<PassLabels, Counter>,
    /// AccountRegions that this replica serves.
    pub leases: Gauge,
    /// Connections seen for the first time.
    pub connections_new: Counter,
    /// Disagreements between AWS and the decisions.
    pub drifts: Counter,
    /// Connections that the worker gave up on.
    pub stalled: Counter,
    /// What is stalled at present.
    pub stalls: Stalls,
    /// Private DNS names that were verified and no longer are.
    pub private_dns_regressed: Counter,
    /// Messages and hints.
    pub hints: Family<HintLabels, Counter>,
    /// From the arrival of a hint until what it names was recorded.
    pub hint_seconds: Histogram,
    /// AccountRegions whose messages are missing.
    pub hints_silent: Gauge,
    /// Connections of registered services, as the last complete listing counted them.
    pub connections: Family<PlaceLabels, Gauge>,
    /// Connections of services that are not registered, likewise.
    pub connections_unregistered: Family<PlaceLabels, Gauge>,
    /// Drifts that wait for a person.
    pub drifts_open: Family<DriftLabels, Gauge>,
    /// Findings that are open.
    pub findings_open: Family<FindingLabels, Gauge>,
    /// Agreements that could not be carried out, once each time.
    pub agreements_failed: Counter,
    /// The review queue, and what time did.
    pub reviews: ReviewMetrics,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            passes: Family::default(),
            leases: Gauge::default(),
            connections_new: Counter::default(),
            drifts: Counter::default(),
            stalled: Counter::default(),
            stalls: Stalls::default(),
            private_dns_regressed: Counter::default(),
            hints: Family::default(),
            // 1 ms to 16 s: a look at once, and those after a read that lagged.
            hint_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            hints_silent: Gauge::default(),
            connections: Family::default(),
            connections_unregistered: Family::default(),
            drifts_open: Family::default(),
            findings_open: Family::default(),
            agreements_failed: Counter::default(),
            reviews: ReviewMetrics::default(),
        }
    }
}

impl WorkerMetrics {
    /// Makes the metrics visible on `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_aws_calls",
            "Calls to AWS by action and outcome",
            self.calls.clone(),
        );
        registry.register(
            "portcullis_worker_passes",
            "Worker passes by loop and outcome",
            self.passes.clone(),
        );
        registry.register(
            "portcullis_worker_leases",
            "AccountRegions this replica serves",
            self.leases.clone(),
        );
        registry.register(
            "portcullis_connections_new",
            "Connections seen for the first time",
            self.connections_new.clone(),
        );
        registry.register(
            "portcullis_agreements_failed",
            "Agreements that could not be carried out, once each time",
            self.agreements_failed.clone(),
        );
        registry.register(
            "portcullis_drifts",
            "Disagreements between AWS and the decisions",
            self.drifts.clone(),
        );
        registry.register(
            "portcullis_connections_stalled",
            "Connections whose sync the worker gave up on",
            self.stalled.clone(),
        );
        registry.register(
            "portcullis_stalled",
            "Connections and services that are stalled, in the AccountRegions this replica serves",
            self.stalls.count.clone(),
        );
        registry.register(
            "portcullis_stalled_oldest_seconds",
            "The age of the oldest of them",
            self.stalls.oldest.clone(),
        );
        registry.register(
            "portcullis_private_dns_regressed",
            "Private DNS names that lost their verification",
            self.private_dns_regressed.clone(),
        );
        registry.register(
            "portcullis_hints",
            "Messages from the queue, and hints by what following them came to",
            self.hints.clone(),
        );
        registry.register(
            "portcullis_hint_seconds",
            "From the arrival of a hint until what it names was recorded",
            self.hint_seconds.clone(),
        );
        registry.register(
            "portcullis_hints_silent",
            "AccountRegions whose listings find connections that no message told of",
            self.hints_silent.clone(),
        );
        registry.register(
            "portcullis_connections",
            "Connections of registered services, by AccountRegion",
            self.connections.clone(),
        );
        registry.register(
            "portcullis_connections_unregistered",
            "Connections of services that are not registered, by AccountRegion",
            self.connections_unregistered.clone(),
        );
        registry.register(
            "portcullis_drifts_open",
            "Drifts that wait for a person, by AccountRegion and kind",
            self.drifts_open.clone(),
        );
        registry.register(
            "portcullis_findings_open",
            "Findings that are open, by kind",
            self.findings_open.clone(),
        );
        self.reviews.register(registry);
    }

    /// Notes what a complete listing of connections counted.
    pub fn listed(&self, place: &AccountRegionRef, connections: i64, unregistered: i64) {
        let labels = PlaceLabels::of(place);
        self.connections_unregistered
            .get_or_create(&labels)
            .set(unregistered);
        self.connections.get_or_create(&labels).set(connections);
    }

    /// Notes how many drifts are open; a kind that is not named has none.
    pub fn drifting(&self, place: &AccountRegionRef, open: &[(DriftKind, i64)]) {
        for kind in DriftKind::ALL {
            let count = open
                .iter()
                .find(|(of, _)| of == kind)
                .map_or(0, |(_, n)| *n);
            self.drifts_open
                .get_or_create(&DriftLabels::of(place, *kind))
                .set(count);
        }
    }

    /// Notes how many findings are open; a kind that is not named has none.
    pub fn found(&self, open: &[(FindingKind, i64)]) {
        for kind in FindingKind::ALL {
            let count = open.iter().find(|(of, _)| of == kind);
            let labels = FindingLabels {
                kind: kind.as_str(),
            };
            let gauge = self.findings_open.get_or_create(&labels);
            gauge.set(count.map_or(0, |(_, count)| *count));
        }
    }

    /// Forgets an AccountRegion that this replica serves no more: another one shows its figures.
    pub fn left(&self, place: &AccountRegionRef) {
        let labels = PlaceLabels::of(place);
        self.connections.remove(&labels);
        self.connections_unregistered.remove(&labels);
        for kind in DriftKind::ALL {
            self.drifts_open.remove(&DriftLabels::of(place, *kind));
        }
        self.reviews.left(place);
    }
}

impl PlaceLabels {
    pub(super) fn of(place: &AccountRegionRef) -> Self {
        Self {
            account: place.account.to_string(),
            region: place.region.to_string(),
        }
    }
}

impl DriftLabels {
    fn of(place: &AccountRegionRef, kind: DriftKind) -> Self {
        let PlaceLabels { account, region } = PlaceLabels::of(place);
        Self {
            account,
            region,
            kind: kind.as_str(),
        }
    }
}
