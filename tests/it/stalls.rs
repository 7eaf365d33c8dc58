//! What the worker gave up on: who takes care, who accepts that nothing can be done, and what wakes it again.

use std::time::Duration;

use portcullis::worker::stalls;
use privatelink_sim::{Effect, Fault};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::MODIFY;
use crate::support::http::send;
use crate::support::{Answer, Request, Service, TestApp, Who};

const ACCEPT: &str = "AcceptVpcEndpointConnections";

impl TestApp {
    /// A connection whose accept AWS denies.
    async fn stalled(&self, service: &Service) -> Request {
        let request = self.requested(service).await;
        self.decide(&request, "accept").await;
        let faults = self.sim().faults();
        faults.plan(Fault::once(ACCEPT, Effect::DenyAction));
        self.run_worker().await;
        assert_eq!(self.summary(&request).await, "stalled");
        request
    }

    async fn verb(&self, who: Who, request: &Request, verb: &str, body: &Value) -> Answer {
        let path = format!("/v1/connections/{}/{verb}", request.id);
        self.post(who, &path, body).await
    }

    async fn give_up(&self, request: &Request) -> Answer {
        let body = json!({ "reason": "the consumer's account is closed" });
        self.verb(Who::Admin, request, "give-up", &body).await
    }

    async fn stalls(&self, query: &str) -> Vec<Value> {
        let listed = self.get(Who::Viewer, &format!("/v1/stalls{query}")).await;
        listed.good()["items"].as_array().unwrap().clone()
    }

    async fn set_stall_owner(&self, request: &Request, owner: &str) {
        let sql = "UPDATE connections SET stall_owner = $2, stall_owned_at = now() WHERE endpoint_id = $1";
        let set = sqlx::query(sql).bind(request.endpoint.as_str()).bind(owner);
        set.execute(self.db()).await.unwrap();
    }

    async fn audited(&self, action: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM audit_entries WHERE action = $1")
            .bind(action)
            .fetch_one(self.db())
            .await
            .unwrap()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stall_shows_since_when_and_is_taken_care_of_by_one_person(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.stalled(&service).await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["sync"]["code"], "UnauthorizedOperation");
    assert!(seen["sync"]["stalled_at"].is_string(), "{seen}");
    assert_eq!(seen["sync"]["owner"], Value::Null);

    let claimed = app
        .verb(Who::Admin, &request, "claim-stall", &json!({}))
        .await
        .good();
    assert_eq!(claimed["sync"]["owner"], "admin@provider.example");
    assert!(claimed["sync"]["owned_at"].is_string());
    app.verb(Who::Admin, &request, "claim-stall", &json!({}))
        .await
        .good();

    app.set_stall_owner(&request, "sam@provider.example").await;
    let refused = app
        .verb(Who::Admin, &request, "claim-stall", &json!({}))
        .await;
    refused.refused("somebody else's", 409, "stall_claimed");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("sam@provider.example"), "{detail}");

    let released = app
        .verb(Who::Admin, &request, "release-stall", &json!({}))
        .await
        .good();
    assert_eq!(released["sync"]["owner"], Value::Null);
    app.verb(Who::Admin, &request, "claim-stall", &json!({}))
        .await
        .good();
    assert_eq!(app.audited("connection.claim_stall").await, 3);
    assert_eq!(app.audited("connection.release_stall").await, 1);

    // With the stall ends the care.
    app.retry(&request).await.good();
    let seen = app.connection(&request).await;
    assert_eq!(seen["sync"]["owner"], Value::Null);
    assert_eq!(seen["sync"]["stalled_at"], Value::Null);
    for verb in ["claim-stall", "release-stall"] {
        let late = app.verb(Who::Admin, &request, verb, &json!({})).await;
        late.refused(verb, 409, "connection_not_stalled");
    }
    let late = app.give_up(&request).await;
    late.refused("not stalled", 409, "connection_not_stalled");
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_given_up_rests_and_says_who_and_why(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.stalled(&service).await;
    let given_up = app.give_up(&request).await.good();
    assert_eq!(given_up["summary"], "given_up");
    assert_eq!(given_up["sync"]["state"], "given_up");
    assert_eq!(
        given_up["sync"]["code"], "UnauthorizedOperation",
        "the code stays"
    );
    let word = &given_up["sync"]["given_up"];
    assert_eq!(word["by"], "admin@provider.example");
    assert_eq!(word["reason"], "the consumer's account is closed");
    assert!(app.stalls("").await.is_empty());
    let listed = app
        .get(Who::Viewer, "/v1/connections?summary=given_up")
        .await
        .good();
    assert_eq!(listed["items"][0]["id"], request.id);
    assert_eq!(app.audited("connection.give_up").await, 1);

    // Nothing is called while nothing changes, however often AWS is listed.
    app.advance(Duration::from_hours(1));
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "given_up");
    assert_eq!(app.sim().calls().of(ACCEPT).len(), 1);

    // A retry wakes it.
    let woken = app.retry(&request).await.good();
    assert_eq!(woken["sync"]["given_up"], Value::Null);
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_aws_shows_next_and_a_new_decision_wake_what_was_given_up(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let (shown, decided) = (app.stalled(&service).await, app.stalled(&service).await);
    app.give_up(&shown).await.good();
    app.give_up(&decided).await.good();

    // Somebody accepts the first in the console: AWS is in step after all.
    let ids = [shown.endpoint.clone()];
    let console = app.console();
    assert_eq!(
        console.accept_connections(&service.aws_id, &ids).await,
        Ok(Vec::new())
    );
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    let seen = app.connection(&shown).await;
    assert_eq!(seen["summary"], "available", "{seen}");
    assert_eq!(seen["sync"]["given_up"], Value::Null);

    app.decide(&decided, "revoke").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&decided).await, "revoked");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_given_up_and_rests_until_it_is_changed_or_retried(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let path = format!("/v1/services/{}", service.id);
    let give_up = || async {
        let body = json!({ "reason": "the account is being closed" });
        app.post(Who::Admin, &format!("{path}/give-up"), &body)
            .await
    };
    give_up()
        .await
        .refused("in step", 409, "service_not_stalled");
    let stalled = |accept: bool| {
        let (app, path) = (&app, path.clone());
        async move {
            let fault = Fault::once(MODIFY, Effect::DenyAction);
            app.sim().faults().plan(fault);
            let version = app.get(Who::Viewer, &path).await.good()["version"].clone();
            let body = json!({ "version": version, "acceptance_required": accept });
            send(app.request(Who::Admin, Method::PATCH, &path).json(&body))
                .await
                .good();
            app.run_until_rest().await;
            let seen = app.get(Who::Viewer, &path).await.good();
            assert_eq!(seen["sync"]["state"], "stalled", "{seen}");
        }
    };
    stalled(false).await;
    let given_up = give_up().await.good();
    assert_eq!(given_up["sync"]["state"], "given_up");
    assert_eq!(given_up["sync"]["code"], "UnauthorizedOperation");
    let word = &given_up["sync"]["given_up"];
    assert_eq!(word["by"], "admin@provider.example");
    assert_eq!(word["reason"], "the account is being closed");
    assert!(app.stalls("").await.is_empty());
    assert_eq!(app.audited("endpoint_service.give_up").await, 1);
    give_up().await.refused("again", 409, "service_not_stalled");

    // Nothing is called while nobody says anything else, however much time passes.
    let modified = || app.sim().calls().of(MODIFY).len();
    let before = modified();
    app.advance(Duration::from_hours(2));
    app.run_until_rest().await;
    assert_eq!(modified(), before);
    let seen = app.get(Who::Viewer, &path).await.good();
    assert_eq!(seen["sync"]["state"], "given_up");

    let woken = app
        .post(Who::Admin, &format!("{path}/retry-sync"), &json!({}))
        .await;
    assert_eq!(woken.good()["sync"]["given_up"], Value::Null);
    app.run_until_rest().await;
    let seen = app.get(Who::Viewer, &path).await.good();
    assert_eq!(seen["sync"]["state"], "idle", "{seen}");
    assert_eq!(seen["applied_version"], seen["version"]);

    // A change wakes it as well.
    stalled(true).await;
    give_up().await.good();
    let version = app.get(Who::Viewer, &path).await.good()["version"].clone();
    let body = json!({ "version": version, "name": "Another" });
    send(app.request(Who::Admin, Method::PATCH, &path).json(&body))
        .await
        .good();
    app.run_until_rest().await;
    let seen = app.get(Who::Viewer, &path).await.good();
    assert_eq!(seen["sync"]["state"], "idle", "{seen}");
    assert_eq!(seen["sync"]["given_up"], Value::Null);
}

/// Giving up against trying again: one of the two is taken, and the other is told.
#[sqlx::test(migrations = "./migrations")]
async fn giving_up_and_retrying_at_once_leave_one_of_the_two(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for _ in 0..5 {
        let request = app.stalled(&service).await;
        let nothing = json!({});
        let (gave_up, retried, claimed) = tokio::join!(
            app.give_up(&request),
            app.retry(&request),
            app.verb(Who::Admin, &request, "claim-stall", &nothing),
        );
        // A retry also wakes what was given up a moment before.
        assert_eq!(retried.status, 200, "{retried:?}");
        if gave_up.status != 200 {
            gave_up.refused("the second", 409, "connection_not_stalled");
        }
        if claimed.status != 200 {
            claimed.refused("too late", 409, "connection_not_stalled");
        }
        let seen = app.connection(&request).await;
        assert_eq!(seen["summary"], "accepting", "{seen}");
        assert_eq!(
            (&seen["sync"]["owner"], &seen["sync"]["given_up"]),
            (&Value::Null, &Value::Null)
        );
        app.run_until_rest().await;
        assert_eq!(app.summary(&request).await, "available");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn stalls_are_listed_together_oldest_first_page_by_page(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut wanted = Vec::new();
    for _ in 0..3 {
        wanted.push(app.stalled(&service).await.id);
    }
    let adopt = json!({ "account_id": crate::support::PROVIDER, "region": crate::support::HERE, "name": "Gone",
        "aws_service_id": "vpce-svc-0123456789abcdef0" });
    let gone = app.post(Who::Admin, "/v1/services", &adopt).await.good();
    app.run_worker().await;
    wanted.push(gone["id"].as_str().unwrap().to_owned());

    let ids = |rows: &[Value]| -> Vec<String> {
        let ids = rows
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let all = app.stalls("").await;
    assert_eq!(ids(&all), wanted);
    assert_eq!(all[3]["kind"], "service");
    assert_eq!(all[3]["name"], "Gone");
    assert_eq!(all[3]["code"], "service_missing");
    let mut read = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let from = cursor
            .as_str()
            .map(|c| format!("&cursor={c}"))
            .unwrap_or_default();
        let path = format!("/v1/stalls?limit=3{from}");
        let page = app.get(Who::Viewer, &path).await.good();
        read.extend(ids(page["items"].as_array().unwrap()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(read, wanted);

    let path = format!("/v1/services/{}/claim-stall", wanted[3]);
    let claimed = app.post(Who::Admin, &path, &json!({})).await.good();
    assert_eq!(claimed["sync"]["owner"], "admin@provider.example");
    assert_eq!(ids(&app.stalls("?owned=true").await), wanted[3..]);
    assert_eq!(
        ids(&app.stalls("?owned=false&kind=connection").await),
        wanted[..3]
    );
    assert_eq!(ids(&app.stalls("?code=service_missing").await), wanted[3..]);
    assert!(app.stalls("?code=nothing").await.is_empty());
    let home = app.service(&service.id).await["account_region_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        app.stalls(&format!("?account_region_id={home}"))
            .await
            .len(),
        4
    );
    let path = format!("/v1/services/{}/release-stall", wanted[3]);
    app.post(Who::Admin, &path, &json!({})).await.good();
    assert!(app.stalls("?owned=true").await.is_empty());
    let path = format!("/v1/services/{}/claim-stall", service.id);
    let fine = app.post(Who::Admin, &path, &json!({})).await;
    fine.refused("not stalled", 409, "service_not_stalled");
    let bad = app.get(Who::Viewer, "/v1/stalls?cursor=7").await;
    bad.refused("a cursor of nobody", 400, "invalid_query");
}

#[sqlx::test(migrations = "./migrations")]
async fn stalls_are_counted_by_code_and_a_mended_one_disappears(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let requests = [app.stalled(&service).await, app.stalled(&service).await];
    sqlx::query("UPDATE connections SET stalled_at = stalled_at - interval '90 seconds'")
        .execute(app.db())
        .await
        .unwrap();
    let place = app.place().await;
    let served = [place.lease.account_region];
    let mut registry = Registry::default();
    app.shared.metrics.register(&mut registry);
    let shown = async || {
        stalls::count(&app.shared, &served).await.unwrap();
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("portcullis_stalled"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = shown().await;
    let home = served[0];
    let labels =
        format!(r#"{{account_region="{home}",kind="connection",code="UnauthorizedOperation"}}"#);
    assert!(
        lines.contains(&format!("portcullis_stalled{labels} 2")),
        "{lines:?}"
    );
    let oldest = format!("portcullis_stalled_oldest_seconds{labels} 9");
    assert!(
        lines.iter().any(|line| line.starts_with(&oldest)),
        "{lines:?}"
    );
    for request in &requests {
        app.retry(request).await.good();
    }
    assert_eq!(shown().await, Vec::<String>::new());
}
