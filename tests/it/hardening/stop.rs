//! How the program ends: it says so, finishes what it has begun, and takes nothing new.

use std::time::{Duration, Instant};

use portcullis::api::auth::Role as TokenRole;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use super::starting::{Start, token};

#[sqlx::test(migrations = "./migrations")]
async fn readiness_fails_first_and_what_was_begun_is_finished(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let mut start = Start::on(&database);
    start.settings.http.drain_delay = Duration::from_secs(1);
    let running = start.api().unwrap();
    let api = format!("http://{}", running.api.unwrap());
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let get = |path: &str| client.get(format!("{api}{path}"));
    let status = async |path: &str| {
        get(path)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    assert_eq!(status("/readyz").await.unwrap(), 200);

    // A request that is worked on until the lock is gone.
    let mut lock = database.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE connections IN ACCESS EXCLUSIVE MODE")
        .execute(&mut lock)
        .await
        .unwrap();
    let bearer = token(&start.path("issuer.pem"), TokenRole::Viewer);
    let slow = tokio::spawn(get("/v1/connections").bearer_auth(bearer).send());
    let busy = "portcullis_http_requests_in_flight 1\n";
    while !get("/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
        .contains(busy)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let begun = Instant::now();
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status("/readyz").await.unwrap(), 503);
    assert_eq!(status("/healthz").await.unwrap(), 200);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(
        status("/healthz").await.is_err(),
        "it does not listen any more"
    );
    assert!(!stopping.is_finished(), "it waits for what it has begun");
    lock.close().await.unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    stopping.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}
