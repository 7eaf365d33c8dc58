//! Organisations that connect, and endpoints of accounts other than the usual one.

use privatelink::VpcEndpointId;
use privatelink_sim::Consumer;
use reqwest::Method;
use serde_json::{Value, json};

use super::http::send;
use super::{Answer, HERE, Request, Service, TestApp, Who};

impl TestApp {
    /// A consumer without accounts; answers its id.
    pub(crate) async fn add_consumer(&self, name: &str) -> String {
        let body = json!({ "name": name });
        let made = self.post(Who::Admin, "/v1/consumers", &body).await.good();
        made["id"].as_str().unwrap().to_owned()
    }

    /// A consumer with these accounts; answers its id.
    pub(crate) async fn add_consumer_with(&self, name: &str, accounts: &[&str]) -> String {
        let id = self.add_consumer(name).await;
        for account in accounts {
            self.try_to_attach(&id, account).await.good();
        }
        id
    }

    /// A consumer with an account that somebody vouches for; answers its id.
    pub(crate) async fn add_vouched_consumer(&self, name: &str, account: &str) -> String {
        let id = self.add_consumer(name).await;
        let body = json!({ "account_id": account, "reason": "named in order 4711", "proof": "operator_vouched" });
        let path = format!("/v1/consumers/{id}/accounts");
        self.post(Who::Admin, &path, &body).await.good();
        id
    }

    pub(crate) async fn try_to_attach(&self, consumer: &str, account: &str) -> Answer {
        let body = json!({ "account_id": account, "reason": "named in order 4711" });
        let path = format!("/v1/consumers/{consumer}/accounts");
        self.post(Who::Admin, &path, &body).await
    }

    pub(crate) async fn try_to_detach(&self, consumer: &str, account: &str) -> Answer {
        let path = format!("/v1/consumers/{consumer}/accounts/{account}/remove");
        let body = json!({ "reason": "sold" });
        self.post(Who::Admin, &path, &body).await
    }

    /// Changes a consumer at its present version.
    pub(crate) async fn try_to_change_consumer(&self, id: &str, change: &Value) -> Answer {
        let path = format!("/v1/consumers/{id}");
        let mut body = change.clone();
        if body.get("version").is_none() {
            let seen = self.get(Who::Viewer, &path).await.good();
            body["version"] = seen["version"].clone();
        }
        send(self.request(Who::Admin, Method::PATCH, &path).json(&body)).await
    }

    /// AWS as another account reaches it.
    pub(crate) fn account(&self, account: &str) -> Consumer {
        self.sim()
            .consumer(account.parse().unwrap(), HERE.parse().unwrap())
    }

    /// An account's endpoint on a service, not seen by the worker yet.
    pub(crate) fn endpoint_of(&self, account: &str, service: &Service) -> VpcEndpointId {
        let consumer = self.account(account);
        consumer.create_endpoint(&service.name).expect("made")
    }

    /// An account asks, and the worker sees it.
    pub(crate) async fn requested_by(&self, account: &str, service: &Service) -> Request {
        let endpoint = self.endpoint_of(account, service);
        self.run_worker().await;
        self.found(&endpoint).await
    }

    /// A service that lets these accounts ask, and that the worker has made.
    pub(crate) async fn service_for(&self, name: &str, accounts: &[&str]) -> Service {
        let body = json!({
            "account_id": super::PROVIDER, "region": HERE, "name": name,
            "load_balancer_arns": [self.load_balancer(name)], "allowed_principals": accounts,
        });
        self.registered(&body).await
    }

    /// The audited actions about subjects of a kind, by name.
    pub(crate) async fn actions_about(&self, kind: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT action FROM audit_entries WHERE subject_kind = $1 ORDER BY action",
        )
        .bind(kind)
        .fetch_all(self.db())
        .await
        .unwrap()
    }

    /// The ids of a list's first page.
    pub(crate) async fn ids(&self, path: &str) -> Vec<String> {
        let listed = self.get(Who::Viewer, path).await.good();
        let items = listed["items"].as_array().unwrap().iter();
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }
}
