//! Entity tags: what is read has one, and a write that names one is done to that state or not at all.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::{Answer, send};
use crate::support::{TestApp, Who};

impl TestApp {
    async fn tagged(&self, method: Method, path: &str, tag: &str, body: &Value) -> Answer {
        let request = self.request(Who::Admin, method, path).json(body);
        send(request.header("If-Match", tag)).await
    }

    async fn tag_of(&self, path: &str) -> String {
        let answer = self.get(Who::Viewer, path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.header("etag").to_owned()
    }

    /// More entries about the one consumer, so many seconds after the first.
    async fn more_entries(&self, count: i64, seconds: f64) {
        sqlx::query(
            "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
             SELECT gen_random_uuid(), at + $2 * interval '1 second', actor_kind, actor, 'consumer.change', subject_kind, subject_id
               FROM (SELECT * FROM audit_entries ORDER BY at, id LIMIT 1) AS first, generate_series(1, $1)",
        )
        .bind(count)
        .bind(seconds)
        .execute(self.db())
        .await
        .unwrap();
    }
}

fn reason() -> Value {
    json!({ "reason": "paid" })
}

async fn consumer(app: &TestApp) -> String {
    let body = json!({ "name": "Acme", "slug": "acme" });
    let made = app.post(Who::Admin, "/v1/consumers", &body).await.good();
    format!("/v1/consumers/{}", made["id"].as_str().expect("an id"))
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_is_made_to_the_state_that_was_read(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = consumer(&app).await;
    let first = app.tag_of(&path).await;
    assert_eq!(first, app.tag_of(&path).await);

    let renamed = json!({ "name": "Acme Ltd" });
    let done = app.tagged(Method::PATCH, &path, &first, &renamed).await;
    assert_eq!(done.status, 200, "{}", done.text);
    // The new state is known from the answer, and reading it says the same.
    let next = done.header("etag").to_owned();
    assert_ne!(next, first);
    let read = app.tag_of(&path).await;
    assert!(
        read.starts_with(next.trim_end_matches('"')),
        "{read} {next}"
    );

    let again = app.tagged(Method::PATCH, &path, &first, &renamed).await;
    again.refused("what is past", 412, "precondition_failed");
    let weak = format!("W/{next}");
    let again = app.tagged(Method::PATCH, &path, &weak, &renamed).await;
    again.refused("a weak tag", 412, "precondition_failed");
    let both = format!("{first}, {next}");
    let other = json!({ "name": "Acme Inc" });
    let done = app.tagged(Method::PATCH, &path, &both, &other).await;
    assert_eq!(done.good()["name"], "Acme Inc");
    let any = app.tagged(Method::PATCH, &path, "*", &renamed).await;
    assert_eq!(any.good()["version"], 4);
    // A version in the body is compared as well.
    let stale = json!({ "name": "Acme", "version": 3 });
    let both = app.tagged(Method::PATCH, &path, "*", &stale).await;
    both.refused("an old version", 409, "consumer_changed");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_ten_at_once_one_is_done(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = consumer(&app).await;
    let tag = app.tag_of(&path).await;
    let bodies: Vec<Value> = (0..10)
        .map(|n| json!({ "notes": format!("by {n}") }))
        .collect();
    let ten = bodies
        .iter()
        .map(|body| app.tagged(Method::PATCH, &path, &tag, body));
    let answers = join_all(ten).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused("too late", 412, "precondition_failed");
    }
    let changes = "SELECT count(*) FROM audit_entries WHERE action = 'consumer.change'";
    assert_eq!(app.count(changes).await, 1);
    assert_eq!(app.get(Who::Viewer, &path).await.good()["version"], 2);
}

/// Decisions have no version in their bodies; the tag is the only word about the state.
#[sqlx::test(migrations = "./migrations")]
async fn a_decision_is_about_the_review_that_was_read(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}", request.id);
    let read = app.tag_of(&path).await;
    let comment = format!("{path}/comments");
    let said = json!({ "body": "wait, they have not paid" });
    app.post(Who::Approver, &comment, &said).await.good();
    let accept = format!("{path}/accept");
    let blind = app.tagged(Method::POST, &accept, &read, &reason()).await;
    blind.refused("somebody said something", 412, "precondition_failed");
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);

    let read = app.tag_of(&path).await;
    let decided = app.tagged(Method::POST, &accept, &read, &reason()).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    app.only_decision(&request).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_key_and_a_tag_go_together(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}", request.id);
    let tag = app.tag_of(&path).await;
    let reject = || {
        let request = app.request(Who::Approver, Method::POST, &format!("{path}/reject"));
        let request = request.json(&reason()).header("Idempotency-Key", "once");
        send(request.header("If-Match", &tag))
    };
    let first = reject().await;
    assert_eq!(first.status, 200, "{}", first.text);
    // The state is another one now, and the answer is the first one all the same: nothing is done.
    let again = reject().await;
    assert_eq!((again.status, &again.text), (200, &first.text));
    app.only_decision(&request).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_known_is_not_sent_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = consumer(&app).await;
    let tag = app.tag_of(&path).await;
    let ask = |tag: String| {
        let request = app.request(Who::Viewer, Method::GET, &path);
        send(request.header("If-None-Match", tag))
    };
    let same = ask(format!("\"other\", W/{tag}")).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(same.header("etag"), tag);
    app.tagged(Method::PATCH, &path, &tag, &json!({ "name": "Acme Ltd" }))
        .await
        .good();
    let new = ask(tag.clone()).await;
    assert_eq!(new.good()["name"], "Acme Ltd");
}

/// Whoever may not write, or names what is not there, learns nothing of the state.
#[sqlx::test(migrations = "./migrations")]
async fn other_refusals_come_first(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = consumer(&app).await;
    let body = json!({ "name": "Acme Ltd" });
    for (who, status, code) in [
        (Who::Nobody, 401, "unauthenticated"),
        (Who::Viewer, 403, "forbidden"),
    ] {
        let request = app.request(who, Method::PATCH, &path).json(&body);
        let answer = send(request.header("If-Match", "\"1\"")).await;
        answer.refused("not theirs", status, code);
    }
    let unknown = "/v1/consumers/cns_00000000000000000000000000000007";
    let answer = app.tagged(Method::PATCH, unknown, "*", &body).await;
    answer.refused("unknown", 404, "consumer_not_found");
    let none = send(app.request(Who::Admin, Method::PATCH, &path).json(&body)).await;
    none.refused("no state named", 428, "precondition_required");
    for wrong in ["", "7", "\"7", "\"a\" \"b\""] {
        let answer = app.tagged(Method::PATCH, &path, wrong, &body).await;
        answer.refused(wrong, 400, "invalid_request");
    }
    let new = json!({ "name": "Other", "slug": "other" });
    let answer = app.tagged(Method::POST, "/v1/consumers", "*", &new).await;
    answer.refused("no one resource", 400, "invalid_request");
    let request = app.request(Who::Admin, Method::PATCH, &path).json(&body);
    let answer = send(request.header("If-None-Match", "*")).await;
    answer.refused("the other header", 400, "invalid_request");
    assert_eq!(app.get(Who::Viewer, &path).await.good()["version"], 1);
}

/// Every resource that has an id and can be read has a tag, and the document says so.
#[test]
fn the_document_names_tags_and_preconditions() {
    let document = serde_json::to_value(portcullis::api::openapi::document()).unwrap();
    let (mut reads, mut writes) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        let get = &item["get"]["responses"];
        if !get["304"].is_null() {
            assert!(get["200"]["headers"]["ETag"].is_object(), "{path}");
            reads += 1;
        }
        for method in ["post", "patch", "put"] {
            let takes = item[method]["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|p| p["name"] == "If-Match"));
            assert_eq!(takes, !item[method]["responses"]["412"].is_null(), "{path}");
            writes += usize::from(takes);
            // A change of what others may have changed has to name a state.
            let patch = method == "patch" && item[method].is_object();
            assert!(
                !patch || !item[method]["responses"]["428"].is_null(),
                "{path}"
            );
        }
    }
    assert_eq!(reads, 19, "resources with states");
    assert!(writes >= 45, "{writes}");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_ten_comments_on_one_state_one_is_made(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}", request.id);
    for _ in 0..5 {
        let tag = app.tag_of(&path).await;
        let comments = format!("{path}/comments");
        let body = json!({ "body": "seen" });
        let ten = (0..10).map(|_| app.tagged(Method::POST, &comments, &tag, &body));
        let done = join_all(ten).await;
        let made = done.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "{done:?}");
        for refused in done.iter().filter(|answer| answer.status != 201) {
            refused.refused("a second one", 412, "precondition_failed");
        }
    }
}

/// However much has happened to something, and however late an entry about it comes.
#[sqlx::test(migrations = "./migrations")]
async fn a_state_with_a_long_trail_is_told_apart(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = consumer(&app).await;
    let mut tags = vec![app.tag_of(&path).await];
    // One by one behind all others, or before the newest: by a transaction that took longer.
    for (count, seconds) in [(500, 100.0), (1, 200.0), (1, 150.0)] {
        app.more_entries(count, seconds).await;
        tags.push(app.tag_of(&path).await);
    }
    let mut known = tags.clone();
    known.sort();
    known.dedup();
    assert_eq!(known.len(), tags.len(), "{tags:?}");

    let renamed = json!({ "name": "Acme Ltd" });
    for past in &tags[..3] {
        let late = app.tagged(Method::PATCH, &path, past, &renamed).await;
        late.refused("what is past", 412, "precondition_failed");
    }
    let done = app.tagged(Method::PATCH, &path, &tags[3], &renamed).await;
    assert_eq!(done.good()["name"], "Acme Ltd");
}
