//! The end of a service: what people ask for, and what is shown of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Request, Service, TestApp, Who};

pub(crate) const DELETE: &str = "DeleteVpcEndpointServiceConfigurations";
pub(crate) const ATTACHED: &str = "ExistingVpcEndpointConnections";

impl TestApp {
    /// Sends `drain`, `delete`, `cancel-drain` or `release` with the present version and a reason.
    pub(crate) async fn try_to_end(&self, service: &Service, verb: &str, more: Value) -> Answer {
        let mut body = more;
        body["version"] = self.service(&service.id).await["version"].clone();
        body["reason"] = json!(format!("{verb}: ticket 99"));
        let path = format!("/v1/services/{}/{verb}", service.id);
        self.post(Who::Admin, &path, &body).await
    }

    pub(crate) async fn end(&self, service: &Service, verb: &str, more: Value) -> Value {
        self.try_to_end(service, verb, more).await.good()
    }

    /// Drains after a notice of so many seconds.
    pub(crate) async fn drain(&self, service: &Service, seconds: u32) -> Value {
        let body = json!({ "reject_after_seconds": seconds });
        self.end(service, "drain", body).await
    }

    /// Drains at once and deletes.
    pub(crate) async fn delete(&self, service: &Service) -> Value {
        let body = json!({ "reject_after_seconds": 0, "confirm_delete": true });
        self.end(service, "delete", body).await
    }

    /// Where a service is in its life.
    pub(crate) async fn life(&self, service: &Service) -> String {
        let seen = self.service(&service.id).await;
        seen["lifecycle"]["state"].as_str().unwrap().to_owned()
    }

    /// How far its drain is.
    pub(crate) async fn drain_of(&self, service: &Service) -> Value {
        self.service(&service.id).await["drain"].clone()
    }

    pub(crate) async fn phase(&self, service: &Service) -> String {
        let drain = self.drain_of(service).await;
        drain["phase"]
            .as_str()
            .unwrap_or_else(|| panic!("{drain}"))
            .to_owned()
    }

    /// Requests that were accepted and are available.
    pub(crate) async fn accepted(&self, service: &Service, count: usize) -> Vec<Request> {
        let mut all = Vec::new();
        for _ in 0..count {
            let request = self.requested(service).await;
            self.decide(&request, "accept").await;
            all.push(request);
        }
        self.run_until_rest().await;
        for request in &all {
            assert_eq!(self.summary(request).await, "available");
        }
        all
    }

    /// Time passes, and whatever then is due is done.
    pub(crate) async fn after(&self, by: Duration) {
        self.advance(by);
        self.run_until_rest().await;
    }

    /// Lets time pass until the service is there in its life.
    pub(crate) async fn until_life(&self, service: &Service, state: &str) {
        for _ in 0..60 {
            if self.life(service).await == state {
                return;
            }
            self.after(Duration::from_secs(30)).await;
        }
        let seen = self.service(&service.id).await;
        panic!("it does not become {state}: {seen:#}");
    }

    /// Whether AWS still has the service.
    pub(crate) async fn stands(&self, service: &Service) -> bool {
        match self.console().endpoint_service(&service.aws_id).await {
            Ok(seen) => !seen.state.is_gone(),
            Err(error) => {
                assert!(error.is_not_found(), "{error}");
                false
            }
        }
    }
}
