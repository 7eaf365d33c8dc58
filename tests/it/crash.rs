//! A worker dies in the middle: the next one looks before it acts, and ends where the first would have ended, with one effect.

use std::time::Duration;

use portcullis::worker::sync_connections;
use privatelink_sim::{Effect, Fault};
use serde_json::json;
use sqlx::PgPool;

use crate::support::halting::halt;
use crate::support::{HERE, PROVIDER, TestApp, Who};

/// I4, I7, fault 1: cut off between AWS's work and the record of it.
#[sqlx::test(migrations = "./migrations")]
async fn a_worker_that_dies_after_the_call_is_continued_without_a_second_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for (verb, want) in [("accept", "available"), ("reject", "rejected")] {
        let request = app.requested(&service).await;
        app.decide(&request, verb).await;
        let mut place = app.place().await;
        let halt = halt(&mut place);
        tokio::select! {
            _ = sync_connections::run_pass(&place) => panic!("the answer is held back"),
            () = halt.done.notified() => {}
        }
        drop(place);
        let seen = app.connection(&request).await;
        assert_eq!(seen["sync"]["state"], "due", "nothing was recorded");
        assert_eq!(app.accepts(&request) + app.rejects(&request), 1);

        app.expire_leases().await;
        app.advance(Duration::from_secs(30));
        // Only the loop that calls: it must look by itself, whether or not a listing came first.
        let heir = app.another_worker();
        let place = heir.lease_once().await.unwrap().remove(0);
        let report = sync_connections::run_pass(&place).await.unwrap();
        assert_eq!((report.due, report.sent, report.next_due), (1, 0, None));
        assert_eq!(app.summary(&request).await, want);
        assert_eq!(app.accepts(&request) + app.rejects(&request), 1);
        app.expire_leases().await;
    }
}

/// I4, fault 8: the answer is lost and so is the worker.
#[sqlx::test(migrations = "./migrations")]
async fn a_lost_answer_is_settled_by_looking(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let lost = Fault::once("AcceptVpcEndpointConnections", Effect::DropAnswer);
    app.sim().faults().plan(lost);
    sync_connections::run_pass(&app.place().await)
        .await
        .unwrap();
    let seen = app.connection(&request).await;
    assert_eq!(seen["sync"]["state"], "due");
    assert_eq!(seen["sync"]["attempts"], 1);

    app.expire_leases().await;
    app.advance(Duration::from_secs(30));
    let heir = app.another_worker();
    let place = heir.lease_once().await.unwrap().remove(0);
    let report = sync_connections::run_pass(&place).await.unwrap();
    assert_eq!((report.due, report.sent, report.next_due), (1, 0, None));
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.accepts(&request), 1);
    let outcomes: Vec<String> = sqlx::query_scalar("SELECT outcome FROM sync_attempts")
        .fetch_all(app.db())
        .await
        .unwrap();
    assert_eq!(
        outcomes,
        ["unknown"],
        "the record says what was known, not more"
    );
}

/// A service whose creation was answered to nobody is found again, not made twice.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_was_created_without_an_answer_is_not_created_twice(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [app.load_balancer("edge")],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let lost = Fault::once("CreateVpcEndpointServiceConfiguration", Effect::DropAnswer);
    app.sim().faults().plan(lost);
    app.run_worker().await;
    let seen = app.service(made["id"].as_str().unwrap()).await;
    assert_eq!(seen["sync"]["state"], "due");
    assert_eq!(seen["sync"]["code"], "ConnectionClosed");

    app.expire_leases().await;
    app.run_until_rest_of(&app.another_worker()).await;
    let seen = app.service(made["id"].as_str().unwrap()).await;
    assert_eq!(seen["sync"]["state"], "idle");
    assert_eq!(seen["observed"]["state"], "Available");
    let in_aws = app.console().endpoint_services(None).await.unwrap();
    assert_eq!(in_aws.items.len(), 1);
}
