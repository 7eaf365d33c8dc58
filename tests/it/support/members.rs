//! Two organisations that connect, and people who speak for them.

use std::time::Duration;

use portcullis::domain::clock::Clock;
use portcullis::domain::ids::ConsumerId;
use portcullis::domain::member::Member;
use reqwest::Method;
use serde_json::{Value, json};

use super::drifts::OTHER;
use super::http::send;
use super::{Answer, CONSUMER, Request, Service, TestApp, Who};

/// An organisation with one account, and one thing of each kind.
#[derive(Debug)]
pub(crate) struct Organisation {
    pub(crate) id: String,
    pub(crate) account: &'static str,
    /// A service that it alone may reach.
    pub(crate) service: Service,
    /// Accepted, with words for the consumer and for the record.
    pub(crate) connection: Request,
    /// Waits for an answer.
    pub(crate) asked: String,
}

impl Organisation {
    pub(crate) fn member(&self) -> Member {
        let id: ConsumerId = self.id.parse().unwrap();
        Member::new(id, "ann")
    }
}

/// What nobody but the provider may read.
pub(crate) const INTERNAL: &str = "classified";

impl TestApp {
    /// A request of somebody who speaks for a consumer, not sent yet. Everybody is called ann, whatever the organisation.
    pub(crate) fn as_member(
        &self,
        consumer: &str,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let ttl = Duration::from_mins(10);
        let (id, now) = (consumer.parse().unwrap(), self.clock.now());
        let token = self.issuer.issue_for(id, "ann", ttl, now).expect("signed");
        self.request(Who::Nobody, method, path).bearer_auth(token)
    }

    pub(crate) async fn member_gets(&self, consumer: &str, path: &str) -> Answer {
        send(self.as_member(consumer, Method::GET, path)).await
    }

    pub(crate) async fn member_posts(&self, consumer: &str, path: &str, body: &Value) -> Answer {
        let key = uuid::Uuid::new_v4().to_string();
        let request = self.as_member(consumer, Method::POST, path).json(body);
        send(request.header("Idempotency-Key", key)).await
    }

    /// A consumer asks for access by itself.
    pub(crate) async fn member_asks(
        &self,
        consumer: &str,
        account: &str,
        services: &[&str],
    ) -> Answer {
        let body = json!({
            "account_id": account, "service_ids": services, "message": "for the ledger",
            "contact": { "name": "Ann Doe", "email": "ann@consumer.example", "role": "technical" },
        });
        self.member_posts(consumer, "/v1/me/access-requests", &body)
            .await
    }

    /// Two organisations that have the same of everything, and about whom the provider has written down what is not for them.
    pub(crate) async fn two_organisations(&self) -> [Organisation; 2] {
        self.add_account_region().await;
        [
            self.organisation("Acme", CONSUMER).await,
            self.organisation("Bolt", OTHER).await,
        ]
    }

    async fn organisation(&self, name: &str, account: &'static str) -> Organisation {
        let body = json!({ "name": name, "notes": INTERNAL, "labels": { INTERNAL: INTERNAL }, "reason": INTERNAL });
        let made = self.post(Who::Admin, "/v1/consumers", &body).await.good();
        let id = made["id"].as_str().unwrap().to_owned();
        let body = json!({ "account_id": account, "reason": INTERNAL });
        let path = format!("/v1/consumers/{id}/accounts");
        self.post(Who::Admin, &path, &body).await.good();
        let quota = json!({ "connections": 7, "reason": INTERNAL });
        self.set_quota(&format!("consumers/{id}"), &quota)
            .await
            .good();
        let service = self
            .service_for(&format!("{INTERNAL}-{name}"), &[account])
            .await;
        let connection = self.requested_by(account, &service).await;
        let comment = json!({ "body": INTERNAL });
        self.tell(Who::Approver, &connection, "comments", &comment)
            .await
            .good();
        let end = self.clock.now() + chrono::TimeDelta::days(30);
        let body = json!({
            "reason": INTERNAL, "message": format!("welcome, {name}"), "ticket_url": format!("https://{INTERNAL}.example"),
            "expires_at": end,
        });
        self.tell(Who::Approver, &connection, "accept", &body)
            .await
            .good();
        self.run_until_rest().await;
        let asked = self.member_asks(&id, account, &[&service.id]).await.good();
        Organisation {
            id,
            account,
            service,
            connection,
            asked: asked["id"].as_str().unwrap().to_owned(),
        }
    }
}
