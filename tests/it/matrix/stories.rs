//! The stories: what people and consumers do, so that the worker has something to do.

use std::time::Duration;

use portcullis::worker::{hint_setup, sync_services};
use privatelink::{ServiceId, VpcEndpointId};
use privatelink_sim::api::Api;
use privatelink_sim::{Behavior, Effect, Event, Fault};
use serde_json::json;

use crate::service_changes::{everything, first};
use crate::support::hints::{follow, hear};
use crate::support::{CONSUMER, HERE, PROVIDER, Request, Service, TestApp, Who};

/// What the worker is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    /// A service is registered and created.
    Register,
    /// A service was created, nobody heard of it, and AWS has forgotten the client token: it is found by its tag.
    Reclaim,
    /// A service that stands in AWS is registered.
    Adopt,
    /// A service is changed in everything that can be changed.
    Change,
    /// The owner of a service pays for its endpoints.
    Pay,
    /// A service has a private DNS name whose record stands in public DNS, and AWS is asked to look.
    Prove,
    /// Three requests for one service are accepted.
    Accept,
    /// Three requests are rejected.
    Reject,
    /// Access that was given is taken away.
    Revoke,
    /// Endpoints vanish, one of them accepted; another is new.
    Sweep,
    /// A service that AWS tells of and that has connections is drained and deleted.
    End,
    /// AWS is set up to tell of connections by itself.
    Listen,
    /// Somebody changed that set-up by hand.
    Mend,
    /// AWS tells of two new endpoints and of one that is gone.
    Hear,
}

/// What a story has set up.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) service: Option<Service>,
    /// A service that is not registered yet.
    foreign: Option<ServiceId>,
    requests: Vec<Request>,
    /// Endpoints that a consumer is going to delete.
    gone: Vec<VpcEndpointId>,
    /// Endpoints that calls may name.
    pub(super) endpoints: Vec<VpcEndpointId>,
    /// Decisions that the API acknowledged.
    pub(super) acknowledged: Vec<String>,
}

/// How many requests there are, so that a call has more than one item.
const REQUESTS: usize = 3;

impl Story {
    pub(super) const ALL: [Self; 14] = [
        Self::Register,
        Self::Reclaim,
        Self::Adopt,
        Self::Change,
        Self::Pay,
        Self::Prove,
        Self::Accept,
        Self::Reject,
        Self::Revoke,
        Self::Sweep,
        Self::End,
        Self::Listen,
        Self::Mend,
        Self::Hear,
    ];

    /// How AWS is in this story.
    pub(super) fn behavior(self) -> Behavior {
        let instant = Behavior::instant();
        match self {
            Self::Reclaim => Behavior {
                client_token_ms: 1_000,
                ..instant
            },
            Self::Sweep => Behavior {
                endpoint_linger_ms: 0,
                ..instant
            },
            // Acceptance takes a moment, so that there is a state in between.
            Self::Accept | Self::Revoke => Behavior {
                accept_delay_ms: 300,
                ..instant
            },
            _ => instant,
        }
    }

    /// Whether faults on this call belong to this story. The suite lets each call suffer where it matters; the long run everywhere.
    pub(super) fn is_about(self, call: &Event) -> bool {
        let of_checks = call.service == Api::Elb || call.action == "DescribeAvailabilityZones";
        let of_leases = call.action == "GetCallerIdentity";
        let of_connections = call.action.ends_with("VpcEndpointConnections");
        let of_queue = matches!(
            call.action.as_str(),
            "ReceiveMessage" | "DeleteMessageBatch"
        );
        let of_road = matches!(call.service, Api::Sns | Api::Sqs) && !of_queue
            || call.action.contains("VpcEndpointConnectionNotification");
        let made = ["Create", "Set", "Subscribe"];
        let makes = made.iter().any(|word| call.action.starts_with(word));
        match self {
            Self::Register => true,
            Self::Reclaim => {
                call.action.ends_with("VpcEndpointServiceConfiguration")
                    || (!of_connections && call.ids.is_empty() && !of_checks && !of_leases)
            }
            Self::Adopt | Self::Change | Self::End => !of_checks && !of_leases && !of_connections,
            Self::Pay => call.action == "ModifyVpcEndpointServicePayerResponsibility",
            Self::Prove => call.action == "StartVpcEndpointServicePrivateDnsVerification",
            Self::Accept | Self::Reject | Self::Revoke | Self::Sweep => of_connections,
            // What is read and put right belongs to the one, what is made to the other.
            Self::Listen => of_road && (makes || call.action == "GetQueueUrl"),
            Self::Mend => of_road && !makes,
            Self::Hear => of_queue || of_connections,
        }
    }

    /// Whether it is about hints: then the worker's life is that of the loops around them.
    pub(super) fn is_of_hints(self) -> bool {
        matches!(self, Self::Listen | Self::Mend | Self::Hear)
    }

    /// The events that messages tell of in it.
    pub(super) fn events(self) -> &'static [&'static str] {
        match self {
            Self::Hear => &["Connect", "Delete"],
            _ => &[],
        }
    }

    /// What was there before. Nothing goes wrong meanwhile.
    pub(super) async fn set_up(self, app: &TestApp) -> Scene {
        let mut scene = Scene::default();
        match self {
            Self::Register => {
                app.add_account_region().await;
            }
            Self::Adopt => {
                app.add_account_region().await;
                scene.foreign = Some(app.foreign_service("old", true).await);
            }
            Self::Reclaim => {
                app.add_account_region().await;
                register(app).await;
                let lost = Fault::once("CreateVpcEndpointServiceConfiguration", Effect::DropAnswer);
                app.sim().faults().plan(lost);
                sync_services::run_pass(&app.place().await).await.unwrap();
                app.advance(Duration::from_mins(1));
            }
            Self::Change | Self::Pay => scene.service = Some(first(app).await),
            Self::Listen => scene.service = Some(app.with_service().await),
            Self::Mend => scene.service = Some(app.listening().await.0),
            Self::Hear => {
                let (service, place) = app.listening().await;
                let request = app.requested(&service).await;
                app.decide(&request, "accept").await;
                app.run_until_rest().await;
                while hear(&place).await.received > 0 {}
                follow(&place).await;
                scene.gone.push(request.endpoint);
                scene.service = Some(service);
            }
            Self::Prove => {
                let service = first(app).await;
                let body = json!({ "private_dns_name": "api.example.com" });
                app.change(&service, &body).await;
                app.run_until_rest().await;
                // AWS hides the record from the first read after the change.
                app.advance(Duration::from_mins(6));
                app.run_worker().await;
                let shown = app.service(&service.id).await;
                let record = &shown["private_dns"]["record"];
                let (name, value) = (record["name"].as_str(), record["value"].as_str());
                app.sim()
                    .publish_txt(name.unwrap(), value.unwrap())
                    .unwrap();
                app.advance(Duration::from_mins(6));
                app.run_worker().await;
                scene.service = Some(service);
            }
            Self::Accept | Self::Reject | Self::Revoke | Self::Sweep | Self::End => {
                let service = app.with_service().await;
                if self == Self::End {
                    // AWS tells of it, so there is a notification that has to go with it.
                    hint_setup::run_pass(&app.place().await).await.unwrap();
                }
                let consumer = app.consumer();
                let made = (0..REQUESTS).map(|_| consumer.create_endpoint(&service.name).unwrap());
                let made: Vec<_> = made.collect();
                app.run_worker().await;
                for endpoint in &made {
                    scene.requests.push(app.found(endpoint).await);
                }
                scene.service = Some(service);
            }
        }
        if matches!(self, Self::Revoke | Self::Sweep | Self::End) {
            scene.decide(app, "accept").await;
            app.run_until_rest().await;
        }
        let endpoints = scene.requests.iter().map(|r| r.endpoint.clone());
        scene.endpoints = endpoints.collect();
        // Nothing is young any more: not the decisions, not the endpoints.
        app.advance(Duration::from_secs(30));
        scene
    }

    /// What the worker has to follow.
    pub(super) async fn act(self, app: &TestApp, scene: &mut Scene) {
        match self {
            Self::Register => register(app).await,
            Self::Reclaim | Self::Listen => {}
            Self::Mend => {
                app.tamper_with_road().await;
                app.advance(Duration::from_mins(6));
            }
            Self::Hear => {
                let consumer = app.consumer();
                for gone in &scene.gone {
                    consumer.delete_endpoint(gone).unwrap();
                }
                let name = &scene.service.as_ref().unwrap().name;
                for _ in 0..2 {
                    scene
                        .endpoints
                        .push(consumer.create_endpoint(name).unwrap());
                }
            }
            Self::Adopt => {
                let aws_id = scene.foreign.as_ref().unwrap();
                let body = json!({ "account_id": PROVIDER, "region": HERE, "name": "old", "aws_service_id": aws_id });
                app.post(Who::Admin, "/v1/services", &body).await.good();
            }
            Self::Change => {
                let service = scene.service.as_ref().unwrap();
                app.change(service, &everything()).await;
            }
            Self::Pay => {
                let service = scene.service.as_ref().unwrap();
                let body = json!({ "payer_responsibility": "ServiceOwner", "confirm_payer_irreversible": true });
                app.change(service, &body).await;
            }
            // Once the record has been visible for long enough.
            Self::Prove => app.advance(Duration::from_mins(6)),
            Self::Accept => scene.decide(app, "accept").await,
            Self::Reject => scene.decide(app, "reject").await,
            Self::Revoke => scene.decide(app, "revoke").await,
            Self::End => {
                app.delete(scene.service.as_ref().unwrap()).await;
            }
            Self::Sweep => {
                for gone in &scene.endpoints[..2] {
                    app.consumer().delete_endpoint(gone).unwrap();
                }
                let name = &scene.service.as_ref().unwrap().name;
                app.consumer().create_endpoint(name).unwrap();
            }
        }
    }
}

impl Scene {
    async fn decide(&mut self, app: &TestApp, verb: &str) {
        for request in &self.requests {
            let seen = app.decide(request, verb).await;
            let id = seen["review"]["decision_id"].as_str().unwrap();
            self.acknowledged.push(id.to_owned());
        }
    }
}

async fn register(app: &TestApp) {
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "allowed_principals": [CONSUMER],
        "load_balancer_arns": [app.load_balancer("edge")],
    });
    app.post(Who::Admin, "/v1/services", &body).await.good();
}
