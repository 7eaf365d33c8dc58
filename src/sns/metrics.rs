//! What is counted about SNS messages.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of a message or a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// In one word.
    pub outcome: &'static str,
}

/// The metrics. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct HookMetrics {
    /// Messages.
    pub messages: Family<OutcomeLabel, Counter>,
    /// Certificates that were asked for.
    pub certificates: Family<OutcomeLabel, Counter>,
}

impl HookMetrics {
    /// Makes the metrics visible on `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_sns_messages",
            "Messages posted to /hooks/sns by outcome",
            self.messages.clone(),
        );
        registry.register(
            "portcullis_sns_certificates",
            "Signing certificates of SNS asked for, by outcome",
            self.certificates.clone(),
        );
    }
}
