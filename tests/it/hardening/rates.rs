//! How often clients may ask, and what they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis::api::limits::{HttpSettings, RateSettings, Ticks};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{Answer, Setup, TestApp, Who};

fn limited(pool: PgPool) -> (TestApp, Arc<AtomicU64>) {
    let millis = Arc::new(AtomicU64::new(0));
    let rate = RateSettings {
        caller_reads: "1/s burst 3".parse().unwrap(),
        caller_writes: "1/m burst 1".parse().unwrap(),
        address: "1/s burst 4".parse().unwrap(),
        ..RateSettings::off()
    };
    let setup = Setup {
        http: HttpSettings {
            rate,
            ..HttpSettings::default()
        },
        ticks: Ticks::Told(millis.clone()),
        ..Setup::default()
    };
    (TestApp::start_with(pool, setup), millis)
}

fn told(answer: &Answer) -> (&str, &str, &str) {
    (
        answer.header("ratelimit"),
        answer.header("ratelimit-policy"),
        answer.header("retry-after"),
    )
}

#[sqlx::test(migrations = "./migrations")]
async fn a_caller_has_a_burst_and_then_a_rate(pool: PgPool) {
    let (app, millis) = limited(pool);
    let read = || app.get(Who::Viewer, "/v1/services");
    for left in [2, 1, 0] {
        let answer = read().await;
        let limit = format!("\"reads\";r={left};t={}", 3 - left);
        assert_eq!(answer.status, 200);
        assert_eq!(told(&answer), (limit.as_str(), "\"reads\";q=3;w=3", ""));
    }
    let refused = read().await;
    refused.refused("a fourth read", 429, "rate_limited");
    let limit = "\"reads\";r=0;t=1";
    assert_eq!(told(&refused), (limit, "\"reads\";q=3;w=3", "1"));
    assert_eq!(refused.header("cache-control"), "no-store");

    // Another caller, a write, and a probe have nothing to do with it.
    assert_eq!(app.get(Who::Admin, "/v1/services").await.status, 200);
    let consumer = json!({ "name": "Acme", "slug": "acme" });
    let made = app.post(Who::Admin, "/v1/consumers", &consumer).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let more = app.post(Who::Admin, "/v1/consumers", &consumer).await;
    more.refused("a second write", 429, "rate_limited");
    assert_eq!(more.header("retry-after"), "60");
    for path in ["/healthz", "/readyz", "/metrics"] {
        for _ in 0..20 {
            let answer = app.get(Who::Viewer, path).await;
            assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
        }
    }
    millis.store(1_000, Ordering::Relaxed);
    assert_eq!(read().await.status, 200);
    assert_eq!(read().await.status, 429);
}

/// Whoever guesses tokens is slowed down, and does not slow down those who have one, from the same address.
#[sqlx::test(migrations = "./migrations")]
async fn an_address_may_fail_so_often(pool: PgPool) {
    let (app, millis) = limited(pool);
    let guess = |token: &'static str| {
        let request = app.request(Who::Nobody, Method::GET, "/v1/services");
        send(request.bearer_auth(token))
    };
    for token in ["a", "b.c.d", "e"] {
        guess(token)
            .await
            .refused("a guess", 401, "unauthenticated");
    }
    let anonymous = app.get(Who::Nobody, "/v1/services").await;
    anonymous.refused("no token", 401, "unauthenticated");
    assert_eq!(anonymous.header("ratelimit"), "\"address\";r=0;t=4");
    guess("f")
        .await
        .refused("a guess too many", 429, "rate_limited");
    // Pages and the document are paid for in the same way.
    let document = app.get(Who::Nobody, "/openapi.json").await;
    document.refused("the document", 429, "rate_limited");
    assert_eq!(app.get(Who::Viewer, "/v1/services").await.status, 200);
    // SNS has a limit of its own.
    let hook = app.request(Who::Nobody, Method::POST, "/hooks/sns");
    send(hook.body("{}"))
        .await
        .refused("SNS", 400, "sns_message_malformed");
    millis.store(1_000, Ordering::Relaxed);
    guess("g")
        .await
        .refused("a second later", 401, "unauthenticated");
}

/// What is shaped like a service token has to be looked up, so its address pays before that, and the database is asked no more often than the address may ask. Tokens
/// that were good before are not kept by it.
#[sqlx::test(migrations = "./migrations")]
async fn a_forged_service_token_is_paid_for_before_it_is_looked_up(pool: PgPool) {
    let (app, millis) = limited(pool);
    let shown = |token: String| {
        let request = app.request(Who::Nobody, Method::GET, "/v1/services");
        send(request.bearer_auth(token))
    };
    let ends = app.clock_in(Duration::from_hours(24));
    let body = json!({ "name": "ci", "roles": ["viewer"], "expires_at": ends });
    let made = app.post(Who::Admin, "/v1/service-tokens", &body).await;
    let good = made.good()["secret"].as_str().unwrap().to_owned();
    let proven = shown(good.clone()).await;
    assert_eq!(proven.status, 200, "{}", proven.text);
    assert_eq!(proven.header("ratelimit"), "\"reads\";r=2;t=1");
    // Its first time was paid for by the address, which has three left.
    for left in [2, 1, 0] {
        let answer = shown(forged(left)).await;
        answer.refused("a guess", 401, "unauthenticated");
        let limit = format!("\"address\";r={left};t={}", 4 - left);
        assert_eq!(answer.header("ratelimit"), limit);
    }
    assert_eq!(shown(good.clone()).await.status, 200, "it is known");
    app.db().close().await;
    let answer = shown(forged(7)).await;
    answer.refused("nobody was asked", 429, "rate_limited");
    assert_eq!(answer.header("retry-after"), "1");
    // What is not even shaped like one is not looked up, as ever.
    millis.store(3_000, Ordering::Relaxed);
    let misshapen = shown(format!("{}0", forged(8))).await;
    misshapen.refused("no token", 401, "unauthenticated");
    for asked in [forged(9), good] {
        shown(asked).await.refused("asked", 503, "unavailable");
    }
}

/// What is shaped like a service token, with its checksum, and is none.
fn forged(number: usize) -> String {
    let text = format!("pcl_{number:032x}_{number:064x}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let sum = digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"));
    sum.fold(text, |text, digits| text + &digits)
}

/// What a tool that sends thousands of requests with one token is given.
#[sqlx::test(migrations = "./migrations")]
async fn without_limits_nobody_is_told_of_any(pool: PgPool) {
    let app = TestApp::start(pool);
    for _ in 0..600 {
        let answer = app.get(Who::Viewer, "/v1/replicas").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
    }
}
