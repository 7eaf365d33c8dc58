//! Who uses Portcullis meanwhile: consumers, approvers, a service's owner, and somebody with a console.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Result;
use crate::chance::Chance;
use crate::rest::Rest;
use crate::scene::{Endpoint, Ledger, MARK, PROVIDER, Scene, Service};
use crate::sim::Sim;
use crate::tally::Tally;

/// Consumers' accounts.
const CONSUMERS: u64 = 8;
const APPROVERS: u64 = 3;

/// Everybody, until they are told to stop.
pub(crate) struct People {
    stop: watch::Sender<bool>,
    all: JoinSet<()>,
}

impl People {
    /// Lets everybody finish what they are at.
    pub(crate) async fn stop(mut self) {
        // Nobody listens when everybody has left already.
        let _ = self.stop.send(true);
        while self.all.join_next().await.is_some() {}
    }
}

/// What each of them has.
#[derive(Clone)]
struct Person {
    chance: Chance,
    sim: Sim,
    rest: Rest,
    services: Vec<Service>,
    ledger: Ledger,
    tally: Tally,
}

/// Sends them all.
pub(crate) fn begin(scene: &Scene, seed: u64) -> People {
    let (stop, stopped) = watch::channel(false);
    let mut all = JoinSet::new();
    let person = |actor| Person {
        chance: Chance::new(seed, actor),
        sim: scene.sim.clone(),
        rest: scene.rest.clone(),
        services: scene.services.clone(),
        ledger: scene.ledger.clone(),
        tally: scene.tally.clone(),
    };
    for number in 0..CONSUMERS {
        all.spawn(
            person(100 + number).consume(format!("{}", 222_222_222_220 + number), stopped.clone()),
        );
    }
    for number in 0..APPROVERS {
        all.spawn(person(200 + number).approve(stopped.clone()));
    }
    all.spawn(person(300).own(stopped.clone()));
    all.spawn(person(400).use_the_console(stopped));
    People { stop, all }
}

/// Waits; answers whether to go on.
async fn rest(stop: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => false,
        () = tokio::time::sleep(pause) => true,
    }
}

impl Person {
    fn count(&self, what: &str, result: &Result<bool>) {
        match result {
            Ok(true) => self.tally.add(what),
            Ok(false) => {}
            Err(_) => self.tally.add(&format!("{what}: no answer, or a refusal")),
        }
    }

    async fn consume(mut self, account: String, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = self.chance.between(600, 2_500);
            if !rest(&mut stop, pause).await {
                return;
            }
            if self.chance.one_in(5) {
                let done = self.delete_endpoint(&account).await;
                self.count("consumer deletes an endpoint", &done);
            } else {
                let done = self.create_endpoint(&account).await;
                self.count("consumer asks for a connection", &done);
            }
        }
    }

    async fn create_endpoint(&mut self, account: &str) -> Result<bool> {
        let service = self.chance.of(&self.services).ok_or("no service")?.clone();
        let place = self.sim.subnet_for(account, &service.name).await?;
        let id = self
            .sim
            .create_endpoint(account, &service.name, &place)
            .await?;
        self.ledger.note().endpoints.push(Endpoint {
            id,
            owner: account.to_owned(),
            service: service.aws_id,
        });
        Ok(true)
    }

    async fn delete_endpoint(&mut self, account: &str) -> Result<bool> {
        let mine: Vec<String> = {
            let noted = self.ledger.note();
            let mine = noted.endpoints.iter().filter(|e| e.owner == account);
            mine.map(|e| e.id.clone()).collect()
        };
        let Some(id) = self.chance.of(&mine).cloned() else {
            return Ok(false);
        };
        let form = [
            ("Action", "DeleteVpcEndpoints"),
            ("VpcEndpointId.1", id.as_str()),
        ];
        self.sim.aws(account, "ec2", &form).await?;
        Ok(true)
    }

    async fn approve(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = self.chance.between(100, 700);
            if !rest(&mut stop, pause).await {
                return;
            }
            let summary = if self.chance.one_in(4) {
                "available"
            } else {
                "waiting"
            };
            let done = self.decide(summary).await;
            self.count("approver decides", &done);
            if self.chance.one_in(12) {
                let done = self.retry().await;
                self.count("approver retries what is stalled", &done);
            }
        }
    }

    async fn any(&mut self, summary: &str) -> Result<Option<Value>> {
        let path = format!("/v1/connections?summary={summary}&limit=20");
        let listed = self.rest.get(&mut self.chance, &path).await?;
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        Ok(self.chance.of(&items).cloned())
    }

    async fn decide(&mut self, summary: &str) -> Result<bool> {
        let Some(connection) = self.any(summary).await? else {
            return Ok(false);
        };
        let verb = match summary {
            "available" => "revoke",
            _ if self.chance.one_in(4) => "reject",
            _ => "accept",
        };
        let id = connection["id"].as_str().unwrap_or_default();
        let path = format!("/v1/connections/{id}/{verb}");
        let body = json!({ "reason": format!("{verb}: order 4711") });
        let answer = self
            .rest
            .ask(&mut self.chance, Method::POST, &path, Some(&body))
            .await?;
        match (answer.status, answer.body["review"]["decision_id"].as_str()) {
            (200, Some(decision)) => {
                self.ledger.note().acknowledged.push(decision.to_owned());
                Ok(true)
            }
            // Somebody else was faster, or it changed meanwhile.
            (409, _) => Ok(false),
            (status, _) => Err(format!("{path}: {status}").into()),
        }
    }

    async fn retry(&mut self) -> Result<bool> {
        let Some(connection) = self.any("stalled").await? else {
            return Ok(false);
        };
        let path = format!(
            "/v1/connections/{}/retry-sync",
            connection["id"].as_str().unwrap_or_default()
        );
        // Counted before it is sent: whether it was heard may never be known.
        self.ledger.note().retries += 1;
        let answer = self
            .rest
            .ask(&mut self.chance, Method::POST, &path, Some(&json!({})))
            .await?;
        Ok(answer.status == 200)
    }

    /// The owner of the services changes their tags, and retries what is stalled.
    async fn own(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = self.chance.between(2_000, 6_000);
            if !rest(&mut stop, pause).await {
                return;
            }
            let done = self.change_service().await;
            self.count("owner changes a service", &done);
        }
    }

    async fn change_service(&mut self) -> Result<bool> {
        let service = self.chance.of(&self.services).ok_or("no service")?.clone();
        let path = format!("/v1/services/{}", service.id);
        let seen = self.rest.get(&mut self.chance, &path).await?;
        if seen["sync"]["state"] == "stalled" {
            let retry = format!("{path}/retry-sync");
            let answer = self
                .rest
                .ask(&mut self.chance, Method::POST, &retry, Some(&json!({})))
                .await?;
            return Ok(answer.status == 200);
        }
        let stage = self.chance.below(1_000);
        let principals = if self.chance.one_in(3) {
            json!(["*", "999999999999"])
        } else {
            json!(["*"])
        };
        let change = json!({
            "version": seen["version"], "tags": { "stage": stage.to_string() }, "allowed_principals": principals,
        });
        let answer = self
            .rest
            .ask(&mut self.chance, Method::PATCH, &path, Some(&change))
            .await?;
        match answer.status {
            200 => Ok(true),
            409 | 412 => Ok(false),
            status => Err(format!("{path}: {status} {}", answer.body).into()),
        }
    }

    /// Somebody accepts and rejects in AWS, behind Portcullis' back.
    async fn use_the_console(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = self.chance.between(2_000, 5_000);
            if !rest(&mut stop, pause).await {
                return;
            }
            let endpoints = self.ledger.note().endpoints.clone();
            // Mostly young ones: those can still be accepted.
            let old = endpoints.len().saturating_sub(12);
            let endpoints = endpoints.get(old..).unwrap_or_default();
            let Some(endpoint) = self.chance.of(endpoints).cloned() else {
                continue;
            };
            let accept = self.chance.one_in(2);
            let action = if accept {
                "AcceptVpcEndpointConnections"
            } else {
                "RejectVpcEndpointConnections"
            };
            // The second endpoint marks the call as nobody's but the console's; AWS fails it by itself.
            let form = [
                ("Action", action),
                ("ServiceId", endpoint.service.as_str()),
                ("VpcEndpointId.1", endpoint.id.as_str()),
                ("VpcEndpointId.2", MARK),
            ];
            let done = self.sim.aws(PROVIDER, "ec2", &form).await.map(|_| true);
            self.count("console accepts or rejects", &done);
        }
    }
}
