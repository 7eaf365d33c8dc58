//! The same POST twice: one effect and one answer, whenever, wherever and however often at once; and nothing half done.

use std::time::Duration;

use futures_util::future::join_all;
use portcullis::api::auth::Role;
use portcullis::api::limits::HttpSettings;
use portcullis::app::forget_answers::forget_answers;
use portcullis::domain::clock::Clock;
use portcullis::worker::house;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::{Answer, send};
use crate::support::{CONSUMER, Setup, TestApp, Who};

impl TestApp {
    async fn keyed(&self, who: Who, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(who, Method::POST, path).json(body);
        send(request.header("Idempotency-Key", key)).await
    }
}

fn acme(slug: &str) -> Value {
    json!({ "name": "Acme", "slug": slug })
}

#[sqlx::test(migrations = "./migrations")]
async fn ten_at_once_have_one_effect_and_ten_equal_answers(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}/comments", request.id);
    let said = json!({ "body": "hello" });
    let ten = (0..10).map(|_| app.keyed(Who::Approver, &path, "k-1", &said));
    let answers = join_all(ten).await;
    let first = &answers[0];
    assert_eq!(first.status, 201, "{}", first.text);
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (201, &first.text));
        assert_eq!(answer.header("content-type"), first.header("content-type"));
    }
    let replayed = |answer: &&Answer| answer.header("idempotency-replayed") == "true";
    assert_eq!(answers.iter().filter(replayed).count(), 9);
    let comments = "SELECT count(*) FROM connection_comments";
    assert_eq!(app.count(comments).await, 1);

    // On another replica too, and after a while; not for ever.
    app.advance(Duration::from_hours(23));
    let again = app.keyed(Who::Approver, &path, "\"k-1\"", &said).await;
    assert_eq!(again.text, first.text);
    app.advance(Duration::from_hours(1));
    let anew = app.keyed(Who::Approver, &path, "k-1", &said).await;
    assert_ne!(anew.text, first.text);
    assert_eq!(app.count(comments).await, 2);
}

/// Answers go when nobody gets them any more, a thousand at a time, and how long that is can be set.
#[sqlx::test(migrations = "./migrations")]
async fn answers_are_forgotten_bit_by_bit(pool: PgPool) {
    let setup = Setup {
        http: HttpSettings {
            idempotency_ttl: Duration::from_hours(2),
            ..Setup::default().http
        },
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let first = app
        .keyed(Who::Admin, "/v1/consumers", "k", &acme("acme"))
        .await;
    assert_eq!(first.status, 201, "{}", first.text);
    let old = "INSERT INTO idempotent_requests (subject, key, request_hash, at, status, headers, body)
               SELECT subject, 'old-' || n, request_hash, at - interval '1 minute', status, headers, body FROM idempotent_requests, generate_series(1, 2500) AS n";
    sqlx::query(old).execute(app.db()).await.unwrap();
    let kept = "SELECT count(*) FROM idempotent_requests";
    app.advance(Duration::from_mins(119));
    let ctx = app.application();
    // Another replica is about to replace one of them: it is passed over.
    let mut held = app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM idempotent_requests WHERE key = 'old-7' FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    assert_eq!(forget_answers(&ctx).await.unwrap(), 2_499);
    held.rollback().await.unwrap();
    let again = app
        .keyed(Who::Admin, "/v1/consumers", "k", &acme("acme"))
        .await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    app.advance(Duration::from_mins(1));
    let anew = app
        .keyed(Who::Admin, "/v1/consumers", "k", &acme("other"))
        .await;
    assert_eq!(anew.status, 201, "{}", anew.text);
    house::run_pass(&app.shared).await.unwrap();
    assert_eq!(app.count(kept).await, 1, "the new one");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_key_is_one_callers_and_one_requests(pool: PgPool) {
    let app = TestApp::start(pool);
    let body = acme("acme");
    let made = app.keyed(Who::Admin, "/v1/consumers", "k", &body).await;
    assert_eq!(made.status, 201);
    let other = app
        .keyed(Who::Admin, "/v1/consumers", "k", &acme("other"))
        .await;
    other.refused("another body", 422, "idempotency_key_reused");
    let other = app.keyed(Who::Admin, "/v1/consumers?x=1", "k", &body).await;
    other.refused("another query", 422, "idempotency_key_reused");
    let other = app.keyed(Who::Admin, "/v1/rejudgements", "k", &body).await;
    other.refused("another path", 422, "idempotency_key_reused");
    let theirs = app.keyed(Who::Approver, "/v1/consumers", "k", &body).await;
    theirs.refused("somebody else", 403, "forbidden");
    let name = "admin@provider.example";
    let ttl = Duration::from_mins(10);
    let token = app
        .issuer
        .issue(name, &[Role::Viewer], ttl, app.clock.now());
    let lesser = app
        .request(Who::Nobody, Method::POST, "/v1/consumers")
        .bearer_auth(token.unwrap())
        .header("Idempotency-Key", "k");
    let lesser = send(lesser.json(&body)).await;
    lesser.refused("the same person with less to say", 403, "forbidden");
    let nobody = app.keyed(Who::Nobody, "/v1/consumers", "k", &body).await;
    nobody.refused("nobody", 401, "unauthenticated");
    assert_eq!(app.count("SELECT count(*) FROM consumers").await, 1);
    let rows = "SELECT count(*) FROM idempotent_requests";
    assert_eq!(app.count(rows).await, 1);
}

/// A refusal did nothing, so the same request may succeed once what kept it is gone.
#[sqlx::test(migrations = "./migrations")]
async fn a_refusal_is_not_kept(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let denial = app.deny(&json!({ "account_id": CONSUMER })).await;
    let path = format!("/v1/connections/{}/accept", request.id);
    let body = json!({ "reason": "paid" });
    let refused = app.keyed(Who::Approver, &path, "k", &body).await;
    refused.refused("denied", 409, "account_denied");
    let lift = format!("/v1/denials/{denial}/lift");
    app.post(Who::Admin, &lift, &json!({ "reason": "a mistake" }))
        .await
        .good();
    app.keyed(Who::Approver, &path, "k", &body).await.good();
    let again = app.keyed(Who::Approver, &path, "k", &body).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, "true")
    );
    app.only_decision(&request).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_no_key_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let long = "x".repeat(256);
    for bad in ["", " ", "a b", "\"a", &long] {
        let answer = app
            .keyed(Who::Admin, "/v1/consumers", bad, &acme("a"))
            .await;
        answer.refused(bad, 400, "idempotency_key_invalid");
    }
    let twice = app
        .request(Who::Admin, Method::POST, "/v1/consumers")
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b")
        .json(&acme("a"));
    send(twice)
        .await
        .refused("two keys", 400, "idempotency_key_invalid");
    let large = json!({ "name": "x".repeat(70_000) });
    let answer = app.keyed(Who::Admin, "/v1/consumers", "k", &large).await;
    answer.refused("a large body", 413, "payload_too_large");
    assert_eq!(app.count("SELECT count(*) FROM consumers").await, 0);
}

/// What a request does and the answer to it are one transaction: where the last word fails, neither is there, and the same request may be sent again.
#[sqlx::test(migrations = "./migrations")]
async fn what_cannot_be_answered_was_not_done(pool: PgPool) {
    let app = TestApp::start(pool);
    let body = acme("acme");
    let sabotage = "ALTER TABLE idempotent_requests ADD CONSTRAINT broken CHECK (key <> 'k')";
    sqlx::query(sabotage).execute(app.db()).await.unwrap();
    let failed = app.keyed(Who::Admin, "/v1/consumers", "k", &body).await;
    failed.refused("no last word", 500, "internal");
    assert_eq!(app.count("SELECT count(*) FROM consumers").await, 0);
    sqlx::query("ALTER TABLE idempotent_requests DROP CONSTRAINT broken")
        .execute(app.db())
        .await
        .unwrap();
    app.keyed(Who::Admin, "/v1/consumers", "k", &body)
        .await
        .good();
    assert_eq!(app.count("SELECT count(*) FROM consumers").await, 1);
}

/// Bulk decisions go on after a chunk that fails, each chunk for itself: with a key as without.
#[sqlx::test(migrations = "./migrations")]
async fn what_a_request_does_in_parts_stands_or_falls_in_parts(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut items = Vec::new();
    for _ in 0..60 {
        let request = app.requested(&service).await;
        items.push(json!({ "id": request.id }));
    }
    let last = "SELECT id::text FROM connections ORDER BY endpoint_id DESC LIMIT 1";
    let last: String = sqlx::query_scalar(last).fetch_one(app.db()).await.unwrap();
    let sabotage =
        format!("ALTER TABLE decisions ADD CONSTRAINT broken CHECK (connection_id <> '{last}')");
    sqlx::query(sqlx::AssertSqlSafe(sabotage))
        .execute(app.db())
        .await
        .unwrap();
    let plan = json!({ "verb": "accept", "reason": "r", "items": items });
    let path = "/v1/connections/bulk-decisions";
    let answer = app.keyed(Who::Approver, path, "k", &plan).await;
    let results = answer.good()["results"].clone();
    let results = results.as_array().unwrap().clone();
    let failed = results.iter().filter(|one| one["code"] == "internal");
    assert_eq!((results.len(), failed.count()), (60, 10));
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 50);
    // The fault is not kept for a day: once it is gone, the same request does the rest.
    sqlx::query("ALTER TABLE decisions DROP CONSTRAINT broken")
        .execute(app.db())
        .await
        .unwrap();
    let again = app.keyed(Who::Approver, path, "k", &plan).await;
    assert_eq!(again.header("idempotency-replayed"), "");
    let again = again.good()["results"].clone();
    let refused = again
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["code"] == "connection_already_decided");
    assert_eq!(refused.count(), 50);
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 60);
    let third = app.keyed(Who::Approver, path, "k", &plan).await;
    assert_eq!(third.header("idempotency-replayed"), "true");
    assert_eq!(third.good()["results"], again);
}

/// Whoever waits for the answer of another does not wait for ever, and holds no database connection meanwhile.
#[sqlx::test(migrations = "./migrations")]
async fn a_request_that_takes_long_is_said_to_be_under_way(pool: PgPool) {
    let app = TestApp::start(pool);
    let mut other = app.db().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended(jsonb_build_array('idempotency', $1::text, 'k')::text, 0))")
        .bind("admin admin@provider.example")
        .execute(&mut *other)
        .await
        .unwrap();
    let body = acme("acme");
    let answer = app.keyed(Who::Admin, "/v1/consumers", "k", &body).await;
    answer.refused("under way", 409, "idempotency_in_progress");
    other.rollback().await.unwrap();
    app.keyed(Who::Admin, "/v1/consumers", "k", &body)
        .await
        .good();
}
