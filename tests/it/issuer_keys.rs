//! The keys of issuers: rotated, unknown, old, out of reach, and not what they should be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use portcullis::api::auth::{
    AuthError, AuthMetrics, KeyClient, Reason, TrustedIssuer, Verifier, keep_fresh,
};
use portcullis::domain::clock::{Clock, TestClock};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::http::{Answer, send};
use crate::support::issuer::{FakeIssuer, SigningKey, ok};
use crate::support::{Setup, TestApp, Who};

fn claims(app: &TestApp, issuer: &FakeIssuer) -> Value {
    let now = app.clock.now().timestamp();
    json!({ "iss": issuer.url, "aud": "portcullis", "sub": "ada", "iat": now, "exp": now + 600, "roles": ["viewer"] })
}

async fn show(app: &TestApp, token: &str) -> Answer {
    let request = app.request(Who::Nobody, Method::GET, "/v1/services");
    send(request.bearer_auth(token)).await
}

/// The API, with issuers that are configured so.
fn trusting(pool: PgPool, issuers: &[(&FakeIssuer, &str, Value)]) -> TestApp {
    let settings = issuers.iter();
    let setup = Setup {
        issuers: settings
            .map(|(it, name, more)| it.settings(name, more))
            .collect(),
        ..Setup::default()
    };
    TestApp::start_with(pool, setup)
}

#[sqlx::test(migrations = "./migrations")]
async fn keys_rotate_without_a_refusal_and_the_old_one_ends(pool: PgPool) {
    let (old, new) = (SigningKey::ed(), SigningKey::p256());
    let issuer = FakeIssuer::start(vec![old.jwk("old")]).await;
    let app = trusting(pool, &[(&issuer, "corp", json!({}))]);
    let by_old = || old.signed("old", &claims(&app, &issuer));
    let by_new = || new.signed("new", &claims(&app, &issuer));
    assert_eq!(show(&app, &by_old()).await.status, 200);
    // Overlapping, as issuers do it.
    issuer.change(|it| it.keys.push(new.jwk("new")));
    app.clock.advance(TimeDelta::seconds(60));
    assert_eq!(show(&app, &by_new()).await.status, 200);
    assert_eq!(show(&app, &by_old()).await.status, 200);
    assert_eq!(issuer.asked(), 2);
    // A key that is taken back is not trusted after the next fetch.
    issuer.change(|it| it.keys = vec![new.jwk("new")]);
    app.clock.advance(TimeDelta::seconds(60));
    let unknown = old.signed("unheard-of", &claims(&app, &issuer));
    show(&app, &unknown)
        .await
        .refused("causes a fetch", 401, "unauthenticated");
    show(&app, &by_old())
        .await
        .refused("gone", 401, "unauthenticated");
    assert_eq!(show(&app, &by_new()).await.status, 200);
}

#[sqlx::test(migrations = "./migrations")]
async fn unknown_keys_cause_one_fetch_in_the_time_between_two(pool: PgPool) {
    let key = SigningKey::ed();
    let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
    let app = trusting(pool, &[(&issuer, "corp", json!({ "min_refresh": "30s" }))]);
    let flood = || {
        let tokens = (0..40).map(|n| key.signed(&format!("kid-{n}"), &claims(&app, &issuer)));
        let tokens: Vec<_> = tokens.collect();
        let app = &app;
        async move { join_all(tokens.iter().map(|token| show(app, token))).await }
    };
    for answer in flood().await {
        answer.refused("unknown", 401, "unauthenticated");
    }
    assert_eq!(issuer.asked(), 1);
    flood().await;
    app.clock.advance(TimeDelta::seconds(29));
    flood().await;
    assert_eq!(issuer.asked(), 1);
    app.clock.advance(TimeDelta::seconds(1));
    flood().await;
    assert_eq!(issuer.asked(), 2);
    // One that is known goes through all the while.
    let good = key.signed("a", &claims(&app, &issuer));
    assert_eq!(show(&app, &good).await.status, 200);
}

#[sqlx::test(migrations = "./migrations")]
async fn keys_that_are_too_old_are_not_believed_and_others_are(pool: PgPool) {
    let (key, others) = (SigningKey::ed(), SigningKey::rsa());
    let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
    let other = FakeIssuer::start(vec![others.jwk("a")]).await;
    let times = json!({ "max_staleness": "1h" });
    let app = trusting(
        pool,
        &[(&issuer, "corp", times), (&other, "other", json!({}))],
    );
    let token = || key.signed("a", &claims(&app, &issuer));
    assert_eq!(show(&app, &token()).await.status, 200);
    issuer.change(|it| it.down = true);
    app.clock.advance(TimeDelta::hours(1));
    assert_eq!(show(&app, &token()).await.status, 200, "not too old yet");
    app.clock.advance(TimeDelta::seconds(1));
    let answer = show(&app, &token()).await;
    answer.refused("too old", 503, "issuer_unavailable");
    assert_eq!(answer.header("retry-after"), "10");
    // It says so, and the others are not touched by it.
    let theirs = others.signed("a", &claims(&app, &other));
    assert_eq!(show(&app, &theirs).await.status, 200);
    assert_eq!(app.get(Who::Viewer, "/v1/services").await.status, 200);
    let ready = app.get(Who::Nobody, "/readyz").await.good();
    assert_eq!(ready["issuers_without_keys"], json!(["corp"]));
    issuer.change(|it| it.down = false);
    app.clock.advance(TimeDelta::seconds(60));
    assert_eq!(show(&app, &token()).await.status, 200, "fetched anew");
    let ready = app.get(Who::Nobody, "/readyz").await.good();
    assert_eq!(ready, json!({ "status": "ok" }));
}

/// What happens, what it answers in place of keys and of its discovery document, what is counted, and the status of its tokens.
type Row = (
    &'static str,
    Option<String>,
    Option<Value>,
    &'static str,
    u16,
);

/// What an issuer publishes, what is counted of it, and that nothing of it is believed.
#[sqlx::test(migrations = "./migrations")]
async fn documents_that_are_not_as_they_should_be_give_no_keys(pool: PgPool) {
    let key = SigningKey::ed();
    let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
    let limits =
        json!({ "fetch_timeout": "300ms", "max_document_bytes": 4096, "min_refresh": "1s" });
    let app = trusting(pool, &[(&issuer, "corp", limits)]);
    let keys = json!({ "keys": [key.jwk("a")] });
    let large = json!({ "keys": [key.jwk("a")], "x": "x".repeat(5_000) });
    let redirect = |status: u16| {
        format!(
            "HTTP/1.1 {status} X\r\nlocation: {}/elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            issuer.url
        )
    };
    let discovery = |changes: Value| {
        let mut own = json!({ "issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url) });
        for (name, value) in changes.as_object().unwrap() {
            own[name] = value.clone();
        }
        Some(own)
    };
    let jwk = key.jwk("a");
    let twice = format!("{{\"keys\":[{jwk}],\"keys\":[{jwk}]}}");
    let raw = |status: u16, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let rows: Vec<Row> = vec![
        (
            "nobody answers in time",
            Some(String::new()),
            None,
            "no_answer",
            503,
        ),
        ("301", Some(redirect(301)), None, "status", 503),
        ("302", Some(redirect(302)), None, "status", 503),
        ("307", Some(redirect(307)), None, "status", 503),
        (
            "500",
            Some(raw(500, &keys.to_string())),
            None,
            "status",
            503,
        ),
        (
            "404",
            Some(raw(404, &keys.to_string())),
            None,
            "status",
            503,
        ),
        ("too long", Some(ok(&large)), None, "too_long", 503),
        (
            "cut off",
            Some(
                "HTTP/1.1 200 OK\r\ncontent-length: 900\r\nconnection: close\r\n\r\n{\"keys\":["
                    .to_owned(),
            ),
            None,
            "no_answer",
            503,
        ),
        ("no JSON", Some(raw(200, "<html>")), None, "bad_keys", 503),
        ("keys twice", Some(raw(200, &twice)), None, "bad_keys", 503),
        (
            "another issuer's document",
            None,
            discovery(json!({ "issuer": "https://evil.example" })),
            "issuer_mismatch",
            503,
        ),
        (
            "another issuer's by a slash",
            None,
            discovery(json!({ "issuer": format!("{}/", issuer.url) })),
            "issuer_mismatch",
            503,
        ),
        (
            "keys without TLS",
            None,
            discovery(json!({ "jwks_uri": "http://keys.example/x" })),
            "bad_discovery",
            503,
        ),
        (
            "keys in a file",
            None,
            discovery(json!({ "jwks_uri": "file:///etc/passwd" })),
            "bad_discovery",
            503,
        ),
        (
            "no place of keys",
            None,
            discovery(json!({ "jwks_uri": null })),
            "bad_discovery",
            503,
        ),
        // It says that it has no keys: then none is its.
        (
            "two keys with one id",
            Some(ok(&json!({ "keys": [jwk, SigningKey::ed().jwk("a")] }))),
            None,
            "ok",
            401,
        ),
        (
            "for encryption",
            Some(ok(&{
                let mut k = key.jwk("a");
                k["use"] = json!("enc");
                json!({ "keys": [k] })
            })),
            None,
            "ok",
            401,
        ),
        (
            "another algorithm",
            Some(ok(&{
                let mut k = key.jwk("a");
                k["alg"] = json!("RS256");
                json!({ "keys": [k] })
            })),
            None,
            "ok",
            401,
        ),
        ("no keys", Some(ok(&json!({ "keys": [] }))), None, "ok", 401),
    ];
    let fetches = async |outcome: &str| {
        let metrics = app.get(Who::Nobody, "/metrics").await.text;
        let line =
            format!("portcullis_jwks_fetches_total{{issuer=\"corp\",outcome=\"{outcome}\"}} ");
        let count = metrics
            .lines()
            .find_map(|it| it.strip_prefix(&line).map(str::to_owned));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    for (what, instead, discovery, outcome, status) in rows {
        issuer.change(|it| (it.instead, it.discovery) = (instead, discovery));
        app.clock.advance(TimeDelta::seconds(1));
        let before = fetches(outcome).await;
        let began = Instant::now();
        let answer = show(&app, &key.signed("a", &claims(&app, &issuer))).await;
        let code = if status == 503 {
            "issuer_unavailable"
        } else {
            "unauthenticated"
        };
        answer.refused(what, status, code);
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
        assert_eq!(fetches(outcome).await, before + 1, "{what}: {outcome}");
    }
    assert_eq!(issuer.strayed(), 0, "a redirect was followed");
    issuer.change(|it| (it.instead, it.discovery) = (None, None));
    app.clock.advance(TimeDelta::seconds(1));
    let good = key.signed("a", &claims(&app, &issuer));
    assert_eq!(
        show(&app, &good).await.status,
        200,
        "and then it is as it should be"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_issuer_that_is_down_at_the_start_keeps_nobody_else_out(pool: PgPool) {
    let key = SigningKey::ed();
    let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
    issuer.change(|it| it.down = true);
    let app = trusting(pool, &[(&issuer, "corp", json!({}))]);
    let token = || key.signed("a", &claims(&app, &issuer));
    let answer = show(&app, &token()).await;
    answer.refused("not known yet", 503, "issuer_unavailable");
    assert_eq!(app.get(Who::Viewer, "/v1/services").await.status, 200);
    let ready = app.get(Who::Nobody, "/readyz").await.good();
    assert_eq!(ready["issuers_without_keys"], json!(["corp"]));
    // What a program sees that is not called by a known name.
    let body = json!({ "name": "Acme", "slug": "acme" });
    let request = app
        .request(Who::Nobody, Method::POST, "/v1/consumers")
        .json(&body);
    let request = request.bearer_auth(token()).header("Idempotency-Key", "k");
    send(request)
        .await
        .refused("with a key too", 503, "issuer_unavailable");
    issuer.change(|it| it.down = false);
    app.clock.advance(TimeDelta::seconds(60));
    assert_eq!(show(&app, &token()).await.status, 200);
}

/// A verifier of one issuer alone, and a token of it.
async fn alone(times: &Value) -> (FakeIssuer, Arc<Verifier>, SigningKey, TestClock) {
    let key = SigningKey::ed();
    let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
    let client = KeyClient::new(&[]).unwrap();
    let settings = issuer.settings("corp", times);
    let trusted = TrustedIssuer::configured(settings, client, AuthMetrics::default());
    let clock = TestClock::at(portcullis::domain::clock::SystemClock.now());
    (issuer, Arc::new(Verifier::new([trusted])), key, clock)
}

#[tokio::test]
async fn keys_are_fetched_before_they_get_old_and_after_a_failure_sooner() {
    let times = json!({ "min_refresh": "10s", "refresh_interval": "10m", "max_staleness": "1h" });
    let (issuer, verifier, key, clock) = alone(&times).await;
    let now = clock.now().timestamp();
    let claims = json!({ "iss": issuer.url, "aud": "portcullis", "sub": "ada", "iat": now, "exp": now + 7200 });
    let token = key.signed("a", &claims);
    let step = async |seconds: i64| {
        clock.advance(TimeDelta::seconds(seconds));
        verifier.refresh_due(clock.now()).await;
        issuer.asked()
    };
    let says = || {
        verifier
            .verify(&token, clock.now())
            .map(|claims| claims.subject)
    };
    assert_eq!(says(), Err(AuthError::KeysUnavailable));
    assert_eq!(step(0).await, 1);
    assert_eq!(says(), Ok("corp|ada".to_owned()));
    assert_eq!(step(599).await, 1, "not due yet");
    assert_eq!(step(1).await, 2);
    let failing = "HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    issuer.change(|it| it.instead = Some(failing.to_owned()));
    assert_eq!(step(600).await, 3);
    assert_eq!(step(9).await, 3, "not that soon");
    assert_eq!(step(1).await, 4);
    assert_eq!(says(), Ok("corp|ada".to_owned()), "by the keys of before");
    issuer.change(|it| (it.instead, it.keys) = (None, Vec::new()));
    assert_eq!(step(10).await, 5);
    let gone = Err(AuthError::Refused(Reason::Key));
    assert_eq!(says(), gone, "it has no keys any more");
}

#[tokio::test]
async fn the_background_task_fetches_at_once_and_ends_when_told() {
    let (issuer, verifier, _, clock) = alone(&json!({})).await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(keep_fresh(verifier, Arc::new(clock), stop.clone()));
    let asked = async {
        while issuer.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_background_task_ends_where_no_keys_are_fetched() {
    let none = Arc::new(Verifier::new([]));
    let clock = Arc::new(TestClock::at(portcullis::domain::clock::SystemClock.now()));
    keep_fresh(none, clock, CancellationToken::new()).await;
}
