//! The feed of events: one order without gaps, whoever commits when; and streams that go on where they broke.

use std::time::Duration;

use futures_util::future::join_all;
use portcullis::worker::number_events;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::Answer;
use crate::support::{TestApp, Who};

/// As long as anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl TestApp {
    /// Gives everything that happened so far its position.
    async fn numbered(&self) {
        while number_events::run_pass(&self.shared).await.unwrap() > 0 {}
    }

    async fn events(&self, query: &str) -> Value {
        let path = format!("/v1/events?limit=200{query}");
        self.get(Who::Viewer, &path).await.good()
    }

    async fn stream(&self, query: &str, last: Option<&str>) -> Client {
        let path = format!("/v1/events{query}");
        let request = self.request(Who::Viewer, Method::GET, &path);
        let request = request.header("Accept", "text/event-stream");
        let request = match last {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Client {
            response,
            text: String::new(),
        }
    }
}

/// A stream that is being read.
struct Client {
    response: reqwest::Response,
    text: String,
}

impl Client {
    /// The next events, as many as asked for.
    async fn next(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        let read = async {
            while events.len() < count {
                if let Some(end) = self.text.find("\n\n") {
                    let block: String = self.text.drain(..end + 2).collect();
                    events.extend(event_of(&block));
                } else {
                    let chunk = self.response.chunk().await.unwrap().expect("more");
                    self.text.push_str(std::str::from_utf8(&chunk).unwrap());
                }
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("events in time");
        events
    }
}

fn event_of(block: &str) -> Option<Value> {
    let line = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name))
    };
    let event: Value = serde_json::from_str(line("data: ")?).unwrap();
    assert_eq!(event["id"], line("id: ").expect("an id"));
    Some(event)
}

fn ids(events: &[Value]) -> Vec<u64> {
    let id = |event: &Value| event["id"].as_str().unwrap().parse().unwrap();
    events.iter().map(id).collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn what_happened_is_listed_in_its_order(pool: PgPool) {
    let app = TestApp::start(pool);
    assert_eq!(app.events("").await["items"], json!([]));
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}/accept", request.id);
    let decided = app
        .post(Who::Approver, &path, &json!({ "reason": "paid" }))
        .await;
    app.numbered().await;

    let all = app.events("").await;
    let items = all["items"].as_array().unwrap();
    let positions: Vec<u64> = (1..=items.len() as u64).collect();
    assert_eq!(ids(items), positions);
    assert_eq!(all["next_cursor"], items.len().to_string());
    let of = |kind: &str| items.iter().find(|e| e["type"] == kind).expect("one");
    let seen = of("connection.observed");
    assert_eq!(
        seen["observed"],
        json!({ "from": null, "to": "pendingAcceptance" })
    );
    assert_eq!(seen["subject_id"], *request.id);
    let accepted = of("connection.accept");
    assert_eq!(accepted["request_id"], decided.header("x-request-id"));
    assert!(accepted["decision_id"].is_string() && accepted["service_id"].is_string());

    // The same words narrow it.
    let connections = app.events("&type=connection").await;
    let count = connections["items"].as_array().unwrap().len();
    assert!(count >= 2 && count < items.len(), "{connections}");
    assert_eq!(connections["next_cursor"], all["next_cursor"]);
    let only = app.events("&type=connection.accept").await;
    assert_eq!(only["items"], json!([accepted]));
    assert_eq!(app.events("&type=connection.acc").await["items"], json!([]));
    let about = app.events(&format!("&subject_id={}", request.id)).await;
    assert_eq!(about["items"], connections["items"]);
    let service = accepted["service_id"].as_str().unwrap();
    let both = app
        .events(&format!("&service_id={service}&type=connection"))
        .await;
    assert_eq!(both["items"], connections["items"]);

    // Polling goes on where it was.
    let cursor = all["next_cursor"].as_str().unwrap();
    let query = format!("&cursor={cursor}");
    assert_eq!(app.events(&query).await["items"], json!([]));
    app.add_consumer_with("acme", &[]).await;
    app.numbered().await;
    let more = app.events(&query).await;
    assert_eq!(more["items"][0]["type"], "consumer.register");
    let latest = app.events("&cursor=latest").await;
    assert_eq!(latest["next_cursor"], more["next_cursor"]);
    assert_eq!(latest["items"], json!([]));
}

/// Whoever reads on after the last position that it was shown misses nothing, although transactions commit in another order than they began in.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_missed_whoever_commits_last(pool: PgPool) {
    let app = TestApp::start(pool);
    let note = |key: u128, at: &'static str| {
        let sql = format!(
            "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
             VALUES ('{}', now() {at}, 'worker', 'worker', 'consumer.note', 'consumer', gen_random_uuid())",
            uuid::Uuid::from_u128(key)
        );
        sqlx::AssertSqlSafe(sql)
    };
    let mut slow = app.db().begin().await.unwrap();
    sqlx::raw_sql(note(1, "- interval '1 minute'"))
        .execute(&mut *slow)
        .await
        .unwrap();
    sqlx::raw_sql(note(2, "")).execute(app.db()).await.unwrap();
    app.numbered().await;
    let first = app.events("").await;
    assert_eq!(ids(first["items"].as_array().unwrap()), [1]);
    slow.commit().await.unwrap();
    // Two replicas at once do it once.
    join_all((0..4).map(|_| number_events::run_pass(&app.shared))).await;
    app.numbered().await;
    let rest = app.events("&cursor=1").await;
    assert_eq!(ids(rest["items"].as_array().unwrap()), [2]);
    assert_eq!(app.count("SELECT count(*) FROM events_waiting").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM events").await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stream_goes_on_where_it_broke(pool: PgPool) {
    let app = TestApp::start(pool);
    for name in ["one", "two", "three"] {
        app.add_consumer_with(name, &[]).await;
    }
    app.numbered().await;
    let mut client = app.stream("", Some("1")).await;
    assert_eq!(ids(&client.next(2).await), [2, 3]);
    let mut latest = app.stream("", None).await;
    app.add_consumer_with("four", &[]).await;
    app.numbered().await;
    let listed = app.events("&cursor=3").await;
    assert_eq!(client.next(1).await[0], listed["items"][0]);
    assert_eq!(ids(&latest.next(1).await), [4]);
    drop(client);
    app.add_consumer_with("five", &[]).await;
    app.numbered().await;
    let mut client = app.stream("?type=consumer", Some("4")).await;
    assert_eq!(ids(&client.next(1).await), [5]);
    // What the filter keeps back is not sent, and does not hold up what follows.
    let mut policies = app.stream("?type=policy&cursor=0", None).await;
    app.draft(None, "permit(principal, action, resource);")
        .await;
    app.numbered().await;
    let created = policies.next(1).await;
    assert_eq!(created[0]["type"], "policy.create");
}

/// A page of the feed is read whole, and the next ones after it.
#[sqlx::test(migrations = "./migrations")]
async fn a_client_far_behind_gets_everything_once(pool: PgPool) {
    let app = TestApp::start(pool);
    sqlx::raw_sql(
        "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
         SELECT gen_random_uuid(), now(), 'worker', 'worker', 'consumer.note', 'consumer', gen_random_uuid() FROM generate_series(1, 1000)",
    )
    .execute(app.db())
    .await
    .unwrap();
    app.numbered().await;
    let mut clients = join_all((0..5).map(|_| app.stream("?cursor=0", None))).await;
    let whole: Vec<u64> = (1..=1000).collect();
    for client in &mut clients {
        assert_eq!(ids(&client.next(1000).await), whole);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn where_events_are_missing_there_is_no_going_on(pool: PgPool) {
    let app = TestApp::start(pool);
    for name in ["one", "two", "three"] {
        app.add_consumer_with(name, &[]).await;
    }
    app.numbered().await;
    let pruned = "DELETE FROM events WHERE position < 3; UPDATE event_feed SET first = 3";
    sqlx::raw_sql(pruned).execute(app.db()).await.unwrap();
    let asked = async |path: &str, accept: &str| -> Answer {
        let request = app.request(Who::Viewer, Method::GET, path);
        crate::support::http::send(request.header("Accept", accept)).await
    };
    for accept in ["application/json", "text/event-stream"] {
        for cursor in [0, 1, 4] {
            let answer = asked(&format!("/v1/events?cursor={cursor}"), accept).await;
            answer.refused(accept, 410, "events_gone");
        }
        let wrong = asked("/v1/events?cursor=-1", accept).await;
        wrong.refused(accept, 400, "invalid_query");
    }
    let list = app.events("").await;
    assert_eq!(ids(list["items"].as_array().unwrap()), [3]);
    let mut client = app.stream("", Some("2")).await;
    assert_eq!(ids(&client.next(1).await), [3]);
    let request = app.request(Who::Viewer, Method::GET, "/v1/events");
    let request = request.header("Accept", "text/event-stream");
    let wrong = crate::support::http::send(request.header("Last-Event-ID", "x")).await;
    wrong.refused("no id", 400, "invalid_request");
}

/// What a process remembers of the feed ends with the database that it was of.
#[sqlx::test(migrations = "./migrations")]
async fn a_restored_database_has_other_events_at_the_same_positions(pool: PgPool) {
    let app = TestApp::start(pool);
    for name in ["one", "two", "three"] {
        app.add_consumer_with(name, &[]).await;
    }
    app.numbered().await;
    let before = app.stream("?cursor=0", None).await.next(3).await;
    let restored = "DELETE FROM events; UPDATE event_feed SET first = 1, last = 0";
    sqlx::raw_sql(restored).execute(app.db()).await.unwrap();
    app.add_consumer_with("four", &[]).await;
    app.numbered().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let after = app.stream("?cursor=0", None).await.next(1).await;
    assert_eq!(ids(&after), [1]);
    assert_ne!(after[0]["subject_id"], before[0]["subject_id"]);
}

/// Three hundred who listen ask the database no more often than one.
#[sqlx::test(migrations = "./migrations")]
async fn many_who_listen_cost_what_one_costs(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_consumer_with("first", &[]).await;
    app.numbered().await;
    let one = cost(&app, 1).await;
    let many = cost(&app, 300).await;
    assert!(one >= 4, "the feed was looked at {one} times");
    // By the time that it took: a busy machine takes longer, and looks as often in that time.
    assert!(many <= one * 2 + 10, "one: {one}, three hundred: {many}");
}

/// How often the database was asked while so many listened and events came.
async fn cost(app: &TestApp, listeners: usize) -> u64 {
    let mut clients = join_all((0..listeners).map(|_| app.stream("", None))).await;
    let before = reads(app).await;
    for name in ["a", "b", "c"] {
        app.add_consumer_with(&format!("{name}{listeners}"), &[])
            .await;
        app.numbered().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for client in &mut clients {
        assert_eq!(client.next(3).await.len(), 3);
    }
    reads(app).await - before
}

async fn reads(app: &TestApp) -> u64 {
    let metrics = app.get(Who::Nobody, "/metrics").await;
    let mut lines = metrics.text.lines();
    let line = lines.find_map(|line| line.strip_prefix("portcullis_event_feed_reads_total "));
    line.expect("the metric").parse().unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stream_ends_with_its_service_token(pool: PgPool) {
    let app = TestApp::start(pool);
    let begin = async |name: &str| {
        let body = json!({ "name": name, "roles": ["viewer"], "expires_at": app.clock_in(Duration::from_hours(1)) });
        let made = app.post(Who::Admin, "/v1/service-tokens", &body).await;
        let made = made.good();
        app.numbered().await;
        let request = app.request(Who::Nobody, Method::GET, "/v1/events");
        let request = request.bearer_auth(made["secret"].as_str().unwrap());
        let response = request.header("Accept", "text/event-stream").send().await;
        let path = format!(
            "/v1/service-tokens/{}",
            made["token"]["id"].as_str().unwrap()
        );
        (path, response.unwrap())
    };
    let (_, mut kept) = begin("kept").await;
    let (revoked, mut ended) = begin("revoked").await;
    let (rotated, mut renewed) = begin("rotated").await;
    for stream in [&mut kept, &mut ended, &mut renewed] {
        assert_eq!(stream.status(), 200);
        assert!(stream.chunk().await.unwrap().is_some(), "greeted");
    }
    let body = json!({ "reason": "it leaked" });
    app.post(Who::Admin, &format!("{revoked}/revoke"), &body)
        .await
        .good();
    let body = json!({ "grace_seconds": 60 });
    app.post(Who::Admin, &format!("{rotated}/rotate"), &body)
        .await
        .good();
    app.numbered().await;
    for stream in [ended, renewed] {
        let rest = tokio::time::timeout(PATIENCE, stream.text()).await;
        let rest = rest.expect("an end in time").unwrap();
        // What was done to it, and whatever follows, it does not tell.
        assert!(!rest.contains("service_token.rotate"), "{rest}");
    }
    // The other goes on, and tells of both.
    let mut text = String::new();
    let both = async {
        while !(text.contains("service_token.revoke") && text.contains("service_token.rotate")) {
            let chunk = kept.chunk().await.unwrap().expect("more");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, both)
        .await
        .expect("both in time");
}
