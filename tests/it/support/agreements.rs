//! What is bought, and by whom.

use reqwest::Method;
use serde_json::{Value, json};

use super::http::send;
use super::listings::content;
use super::{Answer, CONSUMER, Service, TestApp, Who};

/// An account that the consumer has besides.
pub(crate) const SECOND: &str = "333344445555";

/// A listing that sells a contract, which can be tried, and one by use.
pub(crate) struct Shop {
    pub(crate) service: Service,
    pub(crate) listing: Value,
}

impl Shop {
    pub(crate) fn plan(&self, index: usize) -> &Value {
        &self.listing["live"]["content"]["plans"][index]["id"]
    }

    /// Four seats for a year.
    pub(crate) fn year(&self) -> Value {
        json!({
            "listing_id": self.listing["id"], "plan_id": self.plan(0), "buyer_account": CONSUMER, "term": "P12M",
            "quantities": { "endpoint_seat": "4" },
        })
    }

    /// By use, until somebody ends it.
    pub(crate) fn by_use(&self) -> Value {
        json!({ "listing_id": self.listing["id"], "plan_id": self.plan(1), "buyer_account": CONSUMER })
    }

    /// Two weeks for nothing.
    pub(crate) fn trial(&self) -> Value {
        json!({ "listing_id": self.listing["id"], "plan_id": self.plan(0), "buyer_account": CONSUMER, "trial": true })
    }
}

/// An order with other members.
pub(crate) fn with(mut order: Value, change: &Value) -> Value {
    for (member, value) in change.as_object().unwrap() {
        order[member] = value.clone();
    }
    order
}

pub(crate) fn path(agreement: &Value) -> String {
    format!("/v1/agreements/{}", agreement["id"].as_str().unwrap())
}

impl TestApp {
    pub(crate) async fn shop(&self) -> Shop {
        self.shop_with(|_| {}).await
    }

    /// The same with other plans.
    pub(crate) async fn shop_with(&self, change: impl FnOnce(&mut Value)) -> Shop {
        let service = self.with_service().await;
        let mut content = content(&service);
        content["plans"][0]["trial_days"] = json!(14);
        content["plans"].as_array_mut().unwrap().push(json!({
            "name": "Metered", "pricing_model": "usage", "currency": "EUR",
            "dimensions": [{ "key": "gb", "name": "Gigabytes", "unit": "GB", "types": ["metered"] }],
            "rate_cards": [{ "rates": [{ "dimension": "gb", "price": "0.012" }] }],
        }));
        change(&mut content["plans"]);
        let listing = self.listing_of("shop", &content).await;
        let steps = ["submit", "approve", "release"];
        let listing = self.steps(&listing, &steps).await;
        Shop { service, listing }
    }

    pub(crate) async fn try_to_buy(&self, order: &Value) -> Answer {
        self.post(Who::Admin, "/v1/agreements", order).await
    }

    pub(crate) async fn buy(&self, order: &Value) -> Value {
        let made = self.try_to_buy(order).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let shown = made.json();
        assert_eq!(made.header("location"), path(&shown));
        shown
    }

    pub(crate) async fn agreement(&self, agreement: &Value) -> Value {
        self.get(Who::Viewer, &path(agreement)).await.good()
    }

    /// What somebody says happened to it.
    pub(crate) async fn act(&self, agreement: &Value, verb: &str, body: &Value) -> Answer {
        let who = match verb {
            "question" | "clear" => Who::Approver,
            _ => Who::Admin,
        };
        self.post(who, &format!("{}/{verb}", path(agreement)), body)
            .await
    }

    /// What its source tells.
    pub(crate) async fn hear(&self, reference: &str, notice: &Value) -> Answer {
        let body = with(notice.clone(), &json!({ "reference": reference }));
        self.post(Who::Admin, "/v1/agreement-notices", &body).await
    }

    pub(crate) async fn claim(&self, connection: &str, agreement: &Value) -> Answer {
        let path = format!("/v1/connections/{connection}/agreement");
        let body = json!({ "agreement_id": agreement["id"] });
        send(self.request(Who::Approver, Method::PUT, &path).json(&body)).await
    }

    /// The timeline, page by page.
    pub(crate) async fn timeline(&self, agreement: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        let mut query = "limit=2".to_owned();
        loop {
            let at = format!("{}/timeline?{query}", path(agreement));
            let page = self.get(Who::Viewer, &at).await.good();
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=2&cursor={cursor}"),
                None => return all,
            }
        }
    }
}
