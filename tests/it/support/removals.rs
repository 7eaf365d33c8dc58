//! Access that is taken away, as people do it.

use portcullis::worker::observe;
use privatelink::ConnectionState;
use serde_json::{Value, json};

use super::drifts::OTHER;
use super::{Answer, CONSUMER, Request, Service, TestApp, Who};

impl TestApp {
    pub(crate) async fn removal_preview(&self, cause: &Value) -> Value {
        let body = json!({ "cause": cause });
        let path = "/v1/access-removals/preview";
        self.post(Who::Viewer, path, &body).await.good()
    }

    pub(crate) async fn try_to_end_access(
        &self,
        cause: &Value,
        confirm: &Value,
        grace: u32,
    ) -> Answer {
        let body = json!({
            "cause": cause, "confirm": confirm, "grace_seconds": grace, "reason": "the contract ended",
        });
        self.post(Who::Admin, "/v1/access-removals", &body).await
    }

    /// Looks at the preview and takes access away.
    pub(crate) async fn end_access(&self, cause: &Value, grace: u32) -> Value {
        let confirm = self.removal_preview(cause).await["confirm"].clone();
        self.try_to_end_access(cause, &confirm, grace).await.good()
    }

    pub(crate) async fn removal(&self, begun: &Value) -> Value {
        let path = format!("/v1/access-removals/{}", begun["id"].as_str().unwrap());
        self.get(Who::Viewer, &path).await.good()
    }

    pub(crate) async fn try_to_take_back(&self, begun: &Value) -> Answer {
        let id = begun["id"].as_str().unwrap();
        let path = format!("/v1/access-removals/{id}/cancel");
        let body = json!({ "reason": "signed after all" });
        self.post(Who::Admin, &path, &body).await
    }

    /// What AWS itself has of an endpoint.
    pub(crate) fn aws_state(&self, account: &str, request: &Request) -> ConnectionState {
        let state = self.account(account).endpoint_state(&request.endpoint);
        state.unwrap().expect("listed")
    }

    /// The worker looks at connections and tells AWS nothing.
    pub(crate) async fn observe_only(&self) {
        observe::run_pass(&self.place().await).await.unwrap();
    }
}

pub(crate) fn of_principal(service: &Service, principal: &str) -> Value {
    json!({ "kind": "principal", "service_id": service.id, "principal": principal })
}

/// One account with access that was given, one request of it that waits, and a stranger.
pub(crate) struct Scene {
    pub(crate) edge: Service,
    pub(crate) live: Request,
    pub(crate) waiting: Request,
    pub(crate) stranger: Request,
}

pub(crate) async fn scene(app: &TestApp) -> Scene {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let live = app.requested_by(OTHER, &edge).await;
    let stranger = app.requested_by(CONSUMER, &edge).await;
    for request in [&live, &stranger] {
        app.decide(request, "accept").await;
    }
    app.run_until_rest().await;
    let waiting = app.requested_by(OTHER, &edge).await;
    Scene {
        edge,
        live,
        waiting,
        stranger,
    }
}
