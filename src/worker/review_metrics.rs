//! What is counted about reviews: the queue, and what time did.

use privatelink::AccountRegionRef;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::PlaceLabels;
use crate::domain::decision::Outcome;
use crate::domain::review_desk::QueueSummary;
use crate::domain::review_timer::TimerStep;

/// How requests of an AccountRegion wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueueLabels {
    /// The AWS account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// `waiting`, `overdue`, `held` or `unclaimed`; one request may be several of them.
    pub kind: &'static str,
}

/// Something that time did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabels {
    /// What.
    pub step: &'static str,
}

/// What gates and policies said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `accept`, `reject` or `hold`.
    pub outcome: &'static str,
}

/// The metrics of reviews. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct ReviewMetrics {
    queue: Family<QueueLabels, Gauge>,
    oldest: Family<PlaceLabels, Gauge>,
    steps: Family<StepLabels, Counter>,
    judged: Family<OutcomeLabels, Counter>,
}

impl ReviewMetrics {
    /// Makes the metrics visible on `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_reviews",
            "Requests that wait for a decision, by AccountRegion and how they wait",
            self.queue.clone(),
        );
        registry.register(
            "portcullis_reviews_oldest_seconds",
            "The age of the oldest of them",
            self.oldest.clone(),
        );
        registry.register(
            "portcullis_review_timers",
            "What time did to reviews",
            self.steps.clone(),
        );
        registry.register(
            "portcullis_judgements",
            "What gates and policies said of requests, those that were asked about again included",
            self.judged.clone(),
        );
    }

    /// Notes what gates and policies said.
    pub fn judged(&self, outcome: Outcome) {
        let outcome = outcome.as_str();
        self.judged.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Notes what time did.
    pub fn took(&self, step: TimerStep) {
        let labels = StepLabels {
            step: step.as_str(),
        };
        self.steps.get_or_create(&labels).inc();
    }

    /// Notes how many wait in an AccountRegion, and for how long.
    pub fn waiting(&self, place: &AccountRegionRef, counted: &QueueSummary, oldest_seconds: i64) {
        for (kind, count) in kinds(counted) {
            self.queue
                .get_or_create(&QueueLabels::of(place, kind))
                .set(count);
        }
        self.oldest
            .get_or_create(&PlaceLabels::of(place))
            .set(oldest_seconds);
    }

    /// Forgets an AccountRegion that this replica serves no more.
    pub fn left(&self, place: &AccountRegionRef) {
        for (kind, _) in kinds(&QueueSummary::default()) {
            self.queue.remove(&QueueLabels::of(place, kind));
        }
        self.oldest.remove(&PlaceLabels::of(place));
    }
}

fn kinds(counted: &QueueSummary) -> [(&'static str, i64); 4] {
    [
        ("waiting", counted.waiting),
        ("overdue", counted.overdue),
        ("held", counted.held),
        ("unclaimed", counted.unclaimed),
    ]
}

impl QueueLabels {
    fn of(place: &AccountRegionRef, kind: &'static str) -> Self {
        let PlaceLabels { account, region } = PlaceLabels::of(place);
        Self {
            account,
            region,
            kind,
        }
    }
}
