//! The beginnings of stories: an AccountRegion, a service, a consumer's request.

use std::sync::Arc;

use privatelink::{AccountId, NewEndpointService, PrivateLink, Region, ServiceId, VpcEndpointId};
use privatelink_sim::Consumer;
use serde_json::{Value, json};

use super::{Answer, TestApp, Who};

pub(crate) const PROVIDER: &str = "111122223333";
pub(crate) const CONSUMER: &str = "444455556666";
pub(crate) const HERE: &str = "eu-west-1";

/// A registered service that stands in AWS.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) aws_id: ServiceId,
    pub(crate) name: String,
}

/// A consumer's request, as both sides know it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) endpoint: VpcEndpointId,
}

fn here() -> Region {
    HERE.parse().unwrap()
}

fn provider() -> AccountId {
    PROVIDER.parse().unwrap()
}

impl TestApp {
    pub(crate) fn consumer(&self) -> Consumer {
        self.sim().consumer(CONSUMER.parse().unwrap(), here())
    }

    /// AWS as the provider's console reaches it: behind the product's back.
    pub(crate) fn console(&self) -> Arc<dyn PrivateLink> {
        Arc::new(self.sim().gateway(provider(), here()))
    }

    /// A Network Load Balancer with everything that the readiness checks ask for.
    pub(crate) fn load_balancer(&self, name: &str) -> String {
        let setup = self.sim().provider_setup(provider(), here());
        setup.ready_load_balancer(name).expect("a NLB").to_string()
    }

    /// A Network Load Balancer over two zones only.
    pub(crate) fn narrow_load_balancer(&self, name: &str) -> String {
        let setup = self.sim().provider_setup(provider(), here());
        setup.load_balancer(name, 2).expect("a NLB").to_string()
    }

    /// Enables the other zones on a load balancer.
    pub(crate) fn enable_all_zones(&self, arn: &str) {
        let setup = self.sim().provider_setup(provider(), here());
        setup
            .enable_all_zones(&arn.parse().unwrap())
            .expect("zones");
    }

    /// Has a load balancer listen on another port too.
    pub(crate) fn listen(&self, arn: &str, port: u16) {
        let setup = self.sim().provider_setup(provider(), here());
        setup
            .listen(&arn.parse().unwrap(), port)
            .expect("a listener");
    }

    /// The same, still coming up.
    pub(crate) fn fresh_load_balancer(&self, name: &str) -> String {
        let setup = self.sim().provider_setup(provider(), here());
        setup.fresh_load_balancer(name).expect("a NLB").to_string()
    }

    pub(crate) async fn add_account_region(&self) -> String {
        let body = json!({ "account_id": PROVIDER, "region": HERE });
        let made = self.post(Who::Admin, "/v1/account-regions", &body).await;
        made.good()["id"].as_str().unwrap().to_owned()
    }

    /// Registers a service over a new load balancer and lets the worker create it.
    pub(crate) async fn created_service(&self, name: &str) -> Service {
        let body = json!({
            "account_id": PROVIDER, "region": HERE, "name": name,
            "load_balancer_arns": [self.load_balancer(name)],
            "allowed_principals": [CONSUMER],
        });
        self.registered(&body).await
    }

    /// Registers a service and lets the worker bring it in step.
    pub(crate) async fn registered(&self, body: &Value) -> Service {
        let made = self.post(Who::Admin, "/v1/services", body).await.good();
        self.run_worker().await;
        let seen = self.service(made["id"].as_str().unwrap()).await;
        assert_eq!(seen["sync"]["state"], "idle", "{seen}");
        Service {
            id: seen["id"].as_str().unwrap().to_owned(),
            aws_id: seen["aws_service_id"].as_str().unwrap().parse().unwrap(),
            name: seen["service_name"].as_str().unwrap().to_owned(),
        }
    }

    /// An AccountRegion with one service.
    pub(crate) async fn with_service(&self) -> Service {
        self.add_account_region().await;
        self.created_service("edge").await
    }

    /// A service that somebody made in AWS without the product.
    pub(crate) async fn foreign_service(&self, name: &str, acceptance_required: bool) -> ServiceId {
        let new = NewEndpointService {
            client_token: name.to_owned(),
            acceptance_required,
            network_load_balancer_arns: vec![self.load_balancer(name).parse().unwrap()],
            supported_ip_address_types: Vec::new(),
            tags: Vec::new(),
        };
        let aws = self.console();
        let made = aws.create_endpoint_service(&new).await.expect("created");
        let consumer = format!("arn:aws:iam::{CONSUMER}:root");
        aws.modify_principals(&made.service_id, &[consumer], &[])
            .await
            .expect("granted");
        made.service_id
    }

    /// The consumer asks, and the worker sees it.
    pub(crate) async fn requested(&self, service: &Service) -> Request {
        let endpoint = self
            .consumer()
            .create_endpoint(&service.name)
            .expect("made");
        self.run_worker().await;
        self.found(&endpoint).await
    }

    /// The connection of an endpoint that the worker has seen.
    pub(crate) async fn found(&self, endpoint: &VpcEndpointId) -> Request {
        let listed = self
            .get(
                Who::Viewer,
                &format!("/v1/connections?endpoint_id={endpoint}"),
            )
            .await
            .good();
        let id = listed["items"][0]["id"].as_str().expect("seen").to_owned();
        Request {
            id,
            endpoint: endpoint.clone(),
        }
    }

    /// A decision that should be taken.
    pub(crate) async fn decide(&self, request: &Request, verb: &str) -> Value {
        self.try_to_decide(Who::Approver, request, verb)
            .await
            .good()
    }

    pub(crate) async fn try_to_decide(&self, who: Who, request: &Request, verb: &str) -> Answer {
        let body = json!({ "reason": format!("{verb}: order 4711") });
        let path = format!("/v1/connections/{}/{verb}", request.id);
        self.post(who, &path, &body).await
    }

    pub(crate) async fn retry(&self, request: &Request) -> Answer {
        let path = format!("/v1/connections/{}/retry-sync", request.id);
        self.post(Who::Admin, &path, &json!({})).await
    }

    pub(crate) async fn connection(&self, request: &Request) -> Value {
        let path = format!("/v1/connections/{}", request.id);
        self.get(Who::Viewer, &path).await.good()
    }

    pub(crate) async fn summary(&self, request: &Request) -> String {
        let seen = self.connection(request).await;
        seen["summary"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn service(&self, id: &str) -> Value {
        let path = format!("/v1/services/{id}");
        self.get(Who::Viewer, &path).await.good()
    }

    /// Calls of an action that name an endpoint and that AWS did, whatever became of the answer.
    pub(crate) fn done(&self, action: &str, endpoint: &VpcEndpointId) -> usize {
        let calls = self.sim().calls().of(action).into_iter();
        calls
            .filter(|c| c.done && c.ids.iter().any(|id| id == endpoint.as_str()))
            .count()
    }

    /// Calls of the product that had an effect on an endpoint: done by AWS, and not refused for this endpoint.
    pub(crate) async fn effective(&self, request: &Request, act: &str) -> i64 {
        let done = match act {
            "accept" => self.accepts(request),
            _ => self.rejects(request),
        };
        let refused: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sync_attempts a JOIN connections c ON c.id = a.connection_id
              WHERE c.endpoint_id = $1 AND a.act = $2 AND a.outcome = 'refused'",
        )
        .bind(request.endpoint.as_str())
        .bind(act)
        .fetch_one(self.db())
        .await
        .unwrap();
        i64::try_from(done).unwrap() - refused
    }

    pub(crate) fn accepts(&self, request: &Request) -> usize {
        self.done("AcceptVpcEndpointConnections", &request.endpoint)
    }

    pub(crate) fn rejects(&self, request: &Request) -> usize {
        self.done("RejectVpcEndpointConnections", &request.endpoint)
    }
}
