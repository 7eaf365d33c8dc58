//! What people do around a review, beside deciding, and what time does.

use std::time::Duration;

use portcullis::app::desk::UnderReview;
use portcullis::domain::clock::Clock;
use portcullis::domain::review_timer::TimerStep;
use portcullis::store::{connections, reviews};
use portcullis::worker::expire;
use reqwest::Method;
use serde_json::{Value, json};

use super::http::send;
use super::{Answer, Request, Service, TestApp, Who};

/// The people, as the audit trail knows them.
pub(crate) const APPROVER: &str = "approver@provider.example";
pub(crate) const ADMIN: &str = "admin@provider.example";

impl TestApp {
    /// A verb on a connection.
    pub(crate) async fn tell(
        &self,
        who: Who,
        request: &Request,
        verb: &str,
        body: &Value,
    ) -> Answer {
        let path = format!("/v1/connections/{}/{verb}", request.id);
        self.post(who, &path, body).await
    }

    pub(crate) async fn patched(&self, who: Who, path: &str, body: &Value) -> Answer {
        send(self.request(who, Method::PATCH, path).json(body)).await
    }

    /// The rules of a service, changed.
    pub(crate) async fn rules(&self, service: &Service, change: &Value) -> Value {
        let path = format!("/v1/services/{}/review-rules", service.id);
        let mut body = change.clone();
        body["version"] = self.get(Who::Viewer, &path).await.good()["version"].clone();
        self.patched(Who::Admin, &path, &body).await.good()
    }

    /// The service asks for two persons.
    pub(crate) async fn ask_for_two(&self, service: &Service) {
        self.rules(service, &json!({ "approvals_required": 2 }))
            .await;
    }

    /// The review queue, by a query.
    pub(crate) async fn queue(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/reviews?{query}");
        let listed = self.get(Who::Viewer, &path).await.good();
        listed["items"].as_array().unwrap().clone()
    }

    /// What happened to a connection, by the names of events and steps.
    pub(crate) async fn story(&self, request: &Request) -> Vec<String> {
        let seen = self.connection(request).await;
        let history = seen["history"].as_array().unwrap().iter();
        let name = |entry: &Value| match entry["event"].as_str().unwrap() {
            "reviewed" => entry["step"].as_str().unwrap().to_owned(),
            "decided" => entry["verb"].as_str().unwrap().to_owned(),
            other => other.to_owned(),
        };
        history.map(name).collect()
    }

    /// The time after a while, as the API writes it.
    pub(crate) fn clock_in(&self, by: Duration) -> Value {
        json!(self.clock.now() + by)
    }

    /// Moves time and lets it do what is due.
    pub(crate) async fn pass_time(&self, by: Duration) -> Vec<TimerStep> {
        self.advance(by);
        self.make_partitions().await;
        self.timers().await
    }

    /// One pass of the timers; a second one must find nothing.
    pub(crate) async fn timers(&self) -> Vec<TimerStep> {
        let place = self.place().await;
        let report = expire::run_pass(&place).await.expect("a pass");
        let again = expire::run_pass(&place).await.expect("a second pass");
        assert_eq!(again.taken, [], "what was done is done again");
        report.taken.into_iter().map(|(_, step)| step).collect()
    }

    /// Every connection with the work on its review, for asking the rule about it at other times.
    pub(crate) async fn all_under_review(&self) -> Vec<UnderReview> {
        let ids: Vec<sqlx::types::Uuid> = sqlx::query_scalar("SELECT id FROM connections")
            .fetch_all(self.db())
            .await
            .unwrap();
        let conn = &mut *self.db().acquire().await.unwrap();
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let connection = connections::by_id(conn, id.into()).await.unwrap().unwrap();
            let desk = reviews::desk(conn, connection.id, connection.service_id)
                .await
                .unwrap();
            all.push(UnderReview {
                rules: desk.rules.effective(&self.shared.reviews),
                at: self.clock.now(),
                connection,
                desk,
            });
        }
        all
    }

    /// The only decision about a connection.
    pub(crate) async fn only_decision(&self, request: &Request) -> Value {
        let id: portcullis::domain::ids::ConnectionId = request.id.parse().unwrap();
        let rows: Vec<Value> = sqlx::query_scalar(
            "SELECT to_jsonb(d) FROM decisions d WHERE connection_id = $1 ORDER BY id",
        )
        .bind(id.uuid())
        .fetch_all(self.db())
        .await
        .unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].clone()
    }
}
