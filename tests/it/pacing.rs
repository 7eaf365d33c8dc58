//! Tokens are few: full calls, and nobody waits behind a call that has none.

use std::time::Duration;

use portcullis::worker::budget::{Bucket, Urgency};
use portcullis::worker::{WorkerSettings, sync_connections};
use privatelink_sim::{Effect, Fault};
use sqlx::PgPool;

use crate::support::{Setup, TestApp};

const ACCEPT: &str = "AcceptVpcEndpointConnections";

/// Decisions for several services come in turn; each call is full all the same.
#[sqlx::test(migrations = "./migrations")]
async fn a_backlog_of_several_services_goes_in_full_calls(pool: PgPool) {
    let usual = Setup::default();
    let setup = Setup {
        settings: WorkerSettings {
            batch_size: 3,
            largest_batch: 3,
            ..usual.settings
        },
        ..usual
    };
    let app = TestApp::start_with(pool, setup);
    let services = [
        app.with_service().await,
        app.created_service("Second").await,
    ];
    let mut requests = Vec::new();
    for _ in 0..6 {
        for service in &services {
            requests.push(app.requested(service).await);
        }
    }
    for request in &requests {
        app.decide(request, "accept").await;
    }
    app.run_until_rest().await;
    for request in &requests {
        assert_eq!(app.summary(request).await, "available");
    }
    // One id of a call is the service's.
    let sizes: Vec<usize> = app
        .sim()
        .calls()
        .of(ACCEPT)
        .iter()
        .map(|call| {
            call.ids
                .iter()
                .filter(|id| !id.starts_with("vpce-svc-"))
                .count()
        })
        .collect();
    assert_eq!(sizes, [3, 3, 3, 3]);
}

/// An accept that has no token holds up neither a revocation nor the pass.
#[sqlx::test(migrations = "./migrations")]
async fn a_pass_does_not_wait_for_a_token(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let (first, second) = (app.requested(&service).await, app.requested(&service).await);
    app.decide(&first, "accept").await;
    app.run_until_rest().await;
    app.decide(&first, "revoke").await;
    app.decide(&second, "accept").await;
    let place = app.place().await;
    while place.budget.wait(Bucket::Accept, Urgency::Person).is_zero() {
        drop(place.budget.take(Bucket::Accept).await);
    }
    let report = sync_connections::run_pass(&place).await.unwrap();
    assert_eq!((report.due, report.sent), (1, 1), "the revocation only");
    assert!(report.next_due.is_some(), "the accept is not forgotten");
    app.run_until_rest().await;
    assert_eq!(app.summary(&first).await, "revoked");
    assert_eq!(app.summary(&second).await, "available");
}

/// What AWS throttles is not hammered: the next call waits for a token that comes back more slowly.
#[sqlx::test(migrations = "./migrations")]
async fn a_throttled_accept_leaves_the_bucket_empty(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.sim()
        .faults()
        .plan(Fault::once(ACCEPT, Effect::Throttle));
    let place = app.place().await;
    sync_connections::run_pass(&place).await.unwrap();
    assert_eq!(place.budget.tokens(Bucket::Accept, Urgency::Person), 0);
    assert_eq!(app.summary(&request).await, "accepting");
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
}

/// Fault 6, for ten minutes: nothing is given up, no call is counted as a try, and AWS is not stormed.
#[sqlx::test(migrations = "./migrations")]
async fn ten_minutes_of_throttling_cost_patience_and_nothing_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let throttled = Fault::always(ACCEPT, Effect::Throttle);
    app.sim().faults().plan(throttled);
    app.decide(&request, "accept").await;
    for _ in 0..600 {
        app.run_worker().await;
        app.advance(Duration::from_secs(1));
    }
    let calls = app.calls(ACCEPT);
    assert!((5..60).contains(&calls), "{calls} calls in ten minutes");
    let seen = app.connection(&request).await;
    assert_eq!(seen["sync"]["state"], "due", "{seen}");
    assert_eq!(seen["sync"]["attempts"], 0, "{seen}");
    app.sim().faults().clear();
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
}
