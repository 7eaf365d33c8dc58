//! The stage: a service without any fault, what can be done to it in AWS, and how a diagnosis is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use privatelink::{LoadBalancerArn, ServiceNotification};
use privatelink_sim::AwsError;
use privatelink_sim::world::notifications::NewNotification;
use privatelink_sim::world::{Caller, World};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, CONSUMER, HERE, PROVIDER, Request, Service, TestApp, Who};

/// The status of every check, by its name and what it is about.
pub(super) type Checks = BTreeMap<String, String>;

/// A service without any fault, and what it stands on.
pub(super) struct Stage {
    pub(super) app: TestApp,
    pub(super) service: Service,
    balancer: LoadBalancerArn,
    /// One that covers a zone more than the service's.
    pub(super) wider: LoadBalancerArn,
}

impl Stage {
    pub(super) async fn sound(pool: PgPool) -> Self {
        // Boxed, or it would be a part of every test's own future.
        Box::pin(Self::built(pool)).await
    }

    async fn built(pool: PgPool) -> Self {
        let app = TestApp::start(pool);
        app.add_account_region().await;
        let setup = app
            .sim()
            .provider_setup(PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        let balancer = setup.load_balancer("edge", 2).unwrap();
        let wider = setup.ready_load_balancer("wide").unwrap();
        let body = json!({
            "account_id": PROVIDER, "region": HERE, "name": "edge",
            "load_balancer_arns": [balancer], "allowed_principals": [CONSUMER],
        });
        let service = app.registered(&body).await;
        let stage = Self {
            app,
            service,
            balancer,
            wider,
        };
        stage.change(|world, me, on| {
            let protect = ("deletion_protection.enabled".to_owned(), "true".to_owned());
            world.modify_load_balancer_attributes(me, &on.balancer, &[protect])?;
            let topic =
                world.create_topic(me, "connections", &BTreeMap::new(), &BTreeMap::new())?;
            let new = NewNotification {
                service_id: Some(on.service.clone()),
                endpoint_id: None,
                topic_arn: topic,
                events: ServiceNotification::EVENTS.map(str::to_owned).to_vec(),
            };
            world.create_notification(me, &new, None).map(drop)
        });
        stage.look().await;
        stage
    }

    /// Changes AWS behind the product's back.
    pub(super) fn change<T>(
        &self,
        act: impl FnOnce(&mut World, &Caller, &On) -> Result<T, AwsError>,
    ) -> T {
        let (account, region) = (PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        let me = self.app.sim().caller(&account, &region);
        let on = On {
            balancer: self.balancer.to_string(),
            wider: self.wider.to_string(),
            service: self.service.aws_id.to_string(),
        };
        let done = self.app.sim().with_world(|world| act(world, &me, &on));
        done.unwrap().unwrap()
    }

    /// Asks for a look and lets the worker make it.
    pub(super) async fn look(&self) {
        self.app.advance(Duration::from_secs(1));
        self.app
            .ask_for_look(Who::Approver, &self.service.id)
            .await
            .good();
        self.app.run_worker().await;
    }

    pub(super) async fn diagnosis(&self) -> Value {
        self.app.diagnosis_of_service(&self.service.id).await
    }

    pub(super) async fn checks(&self) -> Checks {
        checks(&self.diagnosis().await)
    }
}

/// What a change in AWS needs to name.
pub(super) struct On {
    pub(super) balancer: String,
    pub(super) wider: String,
    pub(super) service: String,
}

impl TestApp {
    pub(super) async fn ask_for_look(&self, who: Who, id: &str) -> Answer {
        let path = format!("/v1/services/{id}/check");
        self.post(who, &path, &json!({})).await
    }

    pub(super) async fn diagnosis_of_service(&self, id: &str) -> Value {
        let path = format!("/v1/services/{id}/doctor");
        self.get(Who::Viewer, &path).await.good()
    }

    pub(super) async fn diagnosis_of(&self, request: &Request) -> Value {
        let path = format!("/v1/connections/{}/doctor", request.id);
        self.get(Who::Viewer, &path).await.good()
    }
}

pub(super) fn checks(diagnosis: &Value) -> Checks {
    let all = diagnosis["checks"].as_array().unwrap().iter();
    all.map(|check| {
        let name = check["check"].as_str().unwrap();
        let about = check["load_balancer_arn"].as_str().unwrap_or_default();
        // The load balancer's name is enough to tell two apart.
        let about = about.split('/').nth(2).unwrap_or_default();
        let key = format!("{name} {about}").trim().to_owned();
        (key, check["status"].as_str().unwrap().to_owned())
    })
    .collect()
}

/// The one check of a diagnosis by this name.
pub(super) fn check<'a>(diagnosis: &'a Value, name: &str) -> &'a Value {
    let mut all = diagnosis["checks"].as_array().unwrap().iter();
    let found = all.find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {diagnosis}"))
}

/// What is not as it was before: the new status, or `absent`.
pub(super) fn changed(before: &Checks, after: &Checks) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|n| before.get(*n) != after.get(*n));
    differing
        .map(|name| {
            let now = after.get(name).map_or("absent", String::as_str);
            let name = name.strip_suffix(" edge").unwrap_or(name);
            format!("{name} {now}")
        })
        .collect()
}

pub(super) fn group_of(world: &mut World, me: &Caller, on: &On) -> Result<String, AwsError> {
    let groups = world.target_groups(me, Some(&on.balancer), &[], &[])?;
    Ok(groups[0].0.arn.clone())
}
