//! What is counted about tokens and the keys that they are checked with.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// In one word.
    pub reason: &'static str,
}

/// Whose keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IssuerLabel {
    /// The issuer's name in the configuration.
    pub issuer: String,
}

/// What became of a fetch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchLabel {
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// In one word.
    pub outcome: &'static str,
}

/// The metrics. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct AuthMetrics {
    /// Tokens that were refused.
    pub refused: Family<ReasonLabel, Counter>,
    /// Fetches of keys.
    pub fetches: Family<FetchLabel, Counter>,
    /// When the keys were last fetched, in seconds since 1970.
    pub fetched: Family<IssuerLabel, Gauge>,
    /// How many keys are in use.
    pub keys: Family<IssuerLabel, Gauge>,
}

impl AuthMetrics {
    /// Makes the metrics visible on `/metrics`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_tokens_refused",
            "Requests whose bearer token was refused, by reason",
            self.refused.clone(),
        );
        registry.register(
            "portcullis_jwks_fetches",
            "Fetches of issuers' keys by issuer and outcome",
            self.fetches.clone(),
        );
        registry.register(
            "portcullis_jwks_fetched_timestamp_seconds",
            "When an issuer's keys were last fetched",
            self.fetched.clone(),
        );
        registry.register(
            "portcullis_jwks_keys",
            "Keys of an issuer that tokens are checked with",
            self.keys.clone(),
        );
    }
}
