//! Listings as people bring them to the market.

use reqwest::Method;
use serde_json::{Value, json};

use super::http::send;
use super::{Answer, CONSUMER, Service, TestApp, Who};

/// What a revision says that can be reviewed.
pub(crate) fn content(service: &Service) -> Value {
    json!({
        "title": "Ledger over PrivateLink", "short": "A ledger", "long": "A double-entry ledger for banks",
        "highlights": ["No traffic over the internet"], "keywords": ["ledger"], "categories": ["Financial Services"],
        "usage_instructions": "Make an endpoint.", "fulfilment_url": "https://provider.example/welcome",
        "support_text": "Around the clock", "support_url": "https://provider.example/help", "refund_policy": "Within 30 days",
        "eula": { "kind": "standard", "version": "2022-07-14" },
        "services": [{ "service_id": service.id, "ports": [{ "protocol": "tcp", "port": 443 }] }],
        "plans": [{
            "name": "Standard", "pricing_model": "contract", "currency": "EUR",
            "dimensions": [{ "key": "endpoint_seat", "name": "Endpoints", "unit": "Units", "types": ["entitled"] }],
            "rate_cards": [{ "term": "P12M", "rates": [{ "dimension": "endpoint_seat", "price": "1200.00" }] }],
            "quotas": { "max_endpoints": 4 }
        }]
    })
}

/// Everything that a reviewer looks at.
pub(crate) fn ticked() -> Value {
    json!(["texts", "pricing", "legal", "support", "services", "data"])
}

fn id(of: &Value) -> &str {
    of["id"].as_str().unwrap()
}

impl TestApp {
    /// Begins a listing that the consumer's account may test.
    pub(crate) async fn listing_of(&self, slug: &str, content: &Value) -> Value {
        let body = json!({ "slug": slug, "allow_list": [CONSUMER], "content": content });
        let made = self.post(Who::Admin, "/v1/listings", &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let shown = made.json();
        assert_eq!(
            made.header("location"),
            format!("/v1/listings/{}", id(&shown))
        );
        shown
    }

    pub(crate) async fn listing(&self, listing: &Value) -> Value {
        let path = format!("/v1/listings/{}", id(listing));
        self.get(Who::Viewer, &path).await.good()
    }

    /// A step, by whoever takes it.
    pub(crate) async fn step(&self, listing: &Value, verb: &str, body: &Value) -> Answer {
        let who = match verb {
            "approve" | "reject" | "suspend" => Who::Approver,
            _ => Who::Admin,
        };
        self.step_by(who, listing, verb, body).await
    }

    pub(crate) async fn step_by(
        &self,
        who: Who,
        listing: &Value,
        verb: &str,
        body: &Value,
    ) -> Answer {
        let path = format!("/v1/listings/{}/{verb}", id(listing));
        self.post(who, &path, body).await
    }

    /// Steps that need few words.
    pub(crate) async fn steps(&self, listing: &Value, verbs: &[&str]) -> Value {
        let mut shown = self.listing(listing).await;
        for verb in verbs {
            let body = match *verb {
                "approve" => json!({ "revision": shown["next_revision"], "checklist": ticked() }),
                "suspend" => json!({ "reason": "to see" }),
                _ => json!({}),
            };
            shown = self.step(listing, verb, &body).await.good();
        }
        shown
    }

    pub(crate) async fn try_to_change_listing(&self, listing: &Value, mut change: Value) -> Answer {
        change["version"] = listing["version"].clone();
        let path = format!("/v1/listings/{}", id(listing));
        send(self.request(Who::Admin, Method::PATCH, &path).json(&change)).await
    }

    /// Writes what the draft says.
    pub(crate) async fn write(&self, listing: &Value, content: &Value) -> Answer {
        let now = self.listing(listing).await;
        self.try_to_change_listing(&now, json!({ "content": content }))
            .await
    }

    /// A listing that is limited to the consumer's account, over a service that is good.
    pub(crate) async fn limited(&self, slug: &str) -> (Service, Value) {
        let service = self.with_service().await;
        let listing = self.listing_of(slug, &content(&service)).await;
        let listing = self
            .steps(&listing, &["submit", "approve", "release"])
            .await;
        (service, listing)
    }

    /// The consumer's account connects, so that it has been tested.
    pub(crate) async fn connect(&self, service: &Service) {
        let request = self.requested(service).await;
        self.decide(&request, "accept").await;
        self.run_until_rest().await;
        assert_eq!(self.summary(&request).await, "available");
    }

    /// A listing that everybody can buy from.
    pub(crate) async fn published(&self, slug: &str) -> (Service, Value) {
        let (service, listing) = self.limited(slug).await;
        self.connect(&service).await;
        let listing = self.steps(&listing, &["publish"]).await;
        (service, listing)
    }
}

/// The names of the checks that a refusal names.
pub(crate) fn checks(refusal: &Answer) -> Vec<String> {
    let body = refusal.json();
    let checks = body["checks"].as_array().expect("checks").iter();
    checks
        .map(|one| one["check"].as_str().unwrap().to_owned())
        .collect()
}

/// The fields that a refusal blames.
pub(crate) fn blamed(refusal: &Answer) -> Vec<String> {
    let body = refusal.json();
    let errors = body["errors"].as_array().expect("errors").iter();
    errors
        .map(|one| one["field"].as_str().unwrap().to_owned())
        .collect()
}
