//! A listing that is complete, for tests to break in one place.

use serde_json::{Value, json};

use super::content::ListingContent;
use crate::domain::ids::EndpointServiceId;

pub(crate) fn service() -> EndpointServiceId {
    uuid::Uuid::from_u128(7).into()
}

/// Every field, as a request has it.
pub(crate) fn complete() -> Value {
    json!({
        "title": "Ledger over PrivateLink", "sku": "LEDGER-EU", "short": "A ledger", "long": "A double-entry ledger",
        "highlights": ["No traffic over the internet"], "keywords": ["ledger"], "categories": ["Financial Services"],
        "usage_instructions": "Make an endpoint.", "logo_url": "https://provider.example/logo.png",
        "video_url": "https://provider.example/tour.mp4",
        "resources": [{ "text": "Start", "url": "https://docs.provider.example/start" }],
        "fulfilment_url": "https://provider.example/welcome", "support_text": "Around the clock",
        "support_email": "help@provider.example", "support_url": "https://provider.example/help",
        "refund_policy": "Within 30 days", "eula": { "kind": "standard", "version": "2022-07-14" },
        "privacy_url": "https://provider.example/privacy",
        "data_handling": { "encryption": "TLS 1.3", "retention": "30 days" }, "sla": "99.95 %",
        "services": [{ "service_id": service(), "ports": [{ "protocol": "tcp", "port": 443 }],
                       "user_friendly_dns": "ledger.provider.example" }],
        "plans": [{
            "id": "pln_00000000000000000000000000000001", "name": "Standard", "pricing_model": "contract_with_usage", "currency": "EUR",
            "dimensions": [
                { "key": "endpoint_seat", "name": "Endpoints", "unit": "Units", "types": ["entitled"] },
                { "key": "gb_processed", "name": "Traffic", "unit": "GB", "types": ["metered"] }],
            "rate_cards": [
                { "term": "P1M", "rates": [{ "dimension": "endpoint_seat", "price": "120.00" }] },
                { "term": "P12M", "rates": [{ "dimension": "endpoint_seat", "price": "1200.00" }] },
                { "rates": [{ "dimension": "gb_processed", "price": "0.0125" }] }],
            "trial_days": 30, "quotas": { "max_endpoints": 4, "max_regions": 2, "max_connections": 4, "max_mb_month": 1000 },
            "regions": ["eu-west-1"], "zones": ["euw1-az1"], "grace": { "expired": 3600 },
            "approval": { "mode": "auto_after", "seconds": 60 }, "bind_rule": "oldest"
        }]
    })
}

pub(crate) fn content(value: Value) -> ListingContent {
    serde_json::from_value(value).unwrap()
}
