//! Somebody uses AWS without the product, and what the inbox says of it.

use std::time::Duration;

use portcullis::worker::inventory;
use privatelink::EndpointServiceChange;
use serde_json::{Value, json};

use super::{Answer, Request, Service, TestApp, Who};

/// Another consumer's account.
pub(crate) const OTHER: &str = "777788889999";

/// The principal that grants a whole account.
pub(crate) fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

impl TestApp {
    pub(crate) async fn accept_behind_our_back(&self, service: &Service, request: &Request) {
        let ids = [request.endpoint.clone()];
        let console = self.console();
        let refused = console.accept_connections(&service.aws_id, &ids).await;
        assert_eq!(refused, Ok(Vec::new()));
    }

    pub(crate) async fn reject_behind_our_back(&self, service: &Service, request: &Request) {
        let ids = [request.endpoint.clone()];
        let console = self.console();
        let refused = console.reject_connections(&service.aws_id, &ids).await;
        assert_eq!(refused, Ok(Vec::new()));
    }

    /// Somebody changes a service in the console.
    pub(crate) async fn reconfigure(&self, service: &Service, change: EndpointServiceChange) {
        let console = self.console();
        let done = console.modify_endpoint_service(&service.aws_id, &change);
        done.await.unwrap();
    }

    /// Somebody switches the acceptance of a service in the console.
    pub(crate) async fn set_acceptance(&self, service: &Service, required: bool) {
        let change = EndpointServiceChange {
            acceptance_required: Some(required),
            ..EndpointServiceChange::default()
        };
        self.reconfigure(service, change).await;
    }

    /// Somebody lets principals in and out in the console.
    pub(crate) async fn grant(&self, service: &Service, add: &[&str], remove: &[&str]) {
        let [add, remove] =
            [add, remove].map(|all| all.iter().map(|p| (*p).to_owned()).collect::<Vec<String>>());
        let console = self.console();
        let done = console.modify_principals(&service.aws_id, &add, &remove);
        done.await.unwrap();
    }

    /// Time passes until the services are read again, and whatever then is due is done.
    pub(crate) async fn look_again(&self) {
        self.advance(Duration::from_mins(6));
        self.run_until_rest().await;
    }

    /// The inventory is made, if it is due.
    pub(crate) async fn take_inventory(&self) -> inventory::Report {
        inventory::run_pass(&self.place().await).await.unwrap()
    }

    /// Time passes until the inventory is due, and it is made.
    pub(crate) async fn take_fresh_inventory(&self) -> inventory::Report {
        self.advance(Duration::from_mins(20));
        self.take_inventory().await
    }

    /// Drifts by a query, oldest first.
    pub(crate) async fn inbox(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/drifts?limit=200&{query}");
        let listed = self.get(Who::Viewer, &path).await.good();
        let mut items = listed["items"].as_array().unwrap().clone();
        items.reverse();
        items
    }

    /// The kinds and states of the drifts, oldest first.
    pub(crate) async fn kinds(&self, query: &str) -> Vec<String> {
        let word = |drift: &Value, member: &str| drift[member].as_str().unwrap().to_owned();
        let inbox = self.inbox(query).await;
        inbox
            .iter()
            .map(|d| format!("{} {}", word(d, "kind"), word(d, "state")))
            .collect()
    }

    /// The one drift that a query finds.
    #[track_caller]
    pub(crate) fn only(inbox: &[Value]) -> String {
        assert_eq!(inbox.len(), 1, "{inbox:#?}");
        inbox[0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn drift(&self, id: &str) -> Value {
        self.get(Who::Viewer, &format!("/v1/drifts/{id}"))
            .await
            .good()
    }

    pub(crate) async fn settle(&self, who: Who, id: &str, verb: &str) -> Answer {
        let body = json!({ "reason": format!("{verb}: ticket 12") });
        self.post(who, &format!("/v1/drifts/{id}/{verb}"), &body)
            .await
    }

    /// Calls that change AWS, by anybody.
    pub(crate) fn mutations(&self) -> usize {
        [
            "AcceptVpcEndpointConnections",
            "RejectVpcEndpointConnections",
            "ModifyVpcEndpointServiceConfiguration",
            "ModifyVpcEndpointServicePermissions",
            "CreateVpcEndpointServiceConfiguration",
            "DeleteVpcEndpointServiceConfigurations",
            "CreateTags",
            "DeleteTags",
        ]
        .iter()
        .map(|action| self.sim().calls().of(action).len())
        .sum()
    }
}
