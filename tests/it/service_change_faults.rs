//! AWS misbehaves, or the worker dies, while a changed service is brought in step: it arrives all the same, or says that it is stuck.

use std::time::Duration;

use portcullis::worker::sync_services;
use privatelink_sim::{Effect, Fault, When};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::{CHANGES, arrived, everything, first, root};
use crate::support::halting::halt_after;
use crate::support::{CONSUMER, TestApp, Who};

/// Every call that following a change needs.
const CALLS: [&str; 6] = [
    CHANGES[0],
    CHANGES[1],
    CHANGES[2],
    CHANGES[3],
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpointServicePermissions",
];

/// How a service was before [`everything`].
fn back() -> Value {
    json!({
        "name": "edge", "acceptance_required": true, "allowed_principals": [CONSUMER], "supported_regions": [],
        "supported_ip_address_types": ["ipv4"], "tags": { "team": "edge", "stage": "test" },
    })
}

/// I4, I5, I7 for changed services: whatever happens to two calls in a row, there and back again.
async fn every_call_suffers(app: &TestApp, effect: &Effect) {
    // It is large, and awaited in many places.
    Box::pin(each_suffers(app, effect)).await;
}

async fn each_suffers(app: &TestApp, effect: &Effect) {
    let service = first(app).await;
    for action in CALLS {
        let what = format!("{action}: {effect:?}");
        app.advance(Duration::from_mins(1));
        app.change(&service, &everything()).await;
        app.sim().faults().plan(Fault {
            times: Some(2),
            ..Fault::always(action, effect.clone())
        });
        app.run_until_rest().await;
        app.sim().faults().clear();
        let shown = app.service(&service.id).await;
        if shown["sync"]["state"] == "stalled" {
            assert_ne!(shown["sync"]["code"], Value::Null, "{what}");
            app.advance(Duration::from_mins(1));
            let path = format!("/v1/services/{}/retry-sync", service.id);
            app.post(Who::Admin, &path, &json!({})).await.good();
            app.run_until_rest().await;
        }
        arrived(app, &service, &what).await;

        app.change(&service, &back()).await;
        app.run_until_rest().await;
        let seen = app.in_aws(&service).await;
        assert!(
            seen.acceptance_required && seen.supported_regions.is_empty(),
            "{what}"
        );
        assert_eq!(app.allowed(&service).await, [root(CONSUMER)], "{what}");
    }
}

fn server_error() -> (u16, String) {
    (500, "InternalError".to_owned())
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_throttling(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Throttle).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_a_missing_permission(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DenyAction).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_errors_before_the_work(pool: PgPool) {
    let (status, code) = server_error();
    let effect = Effect::ErrorBefore { status, code };
    every_call_suffers(&TestApp::start(pool), &effect).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_errors_after_the_work(pool: PgPool) {
    let (status, code) = server_error();
    let effect = Effect::ErrorAfter { status, code };
    every_call_suffers(&TestApp::start(pool), &effect).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_lost_answers(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DropAnswer).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_reset_connections(pool: PgPool) {
    let app = TestApp::start(pool);
    every_call_suffers(&app, &Effect::Reset { when: When::Before }).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_half_answers(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Truncate).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_answers_that_say_nothing(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Garbled).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_survives_stale_reads(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::StaleReads { lag_ms: 5_000 }).await;
}

/// I4, fault 1: the worker dies after each of the changes, with AWS's work done and nothing recorded of it.
#[sqlx::test(migrations = "./migrations")]
async fn a_worker_that_dies_after_any_step_is_continued_by_the_next(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = first(&app).await;
    for step in 0..6 {
        app.change(&service, &everything()).await;
        let made = app.changes_made();
        let mut place = app.place().await;
        let halt = halt_after(&mut place, step);
        tokio::select! {
            _ = sync_services::run_pass(&place) => panic!("step {step} is held back"),
            () = halt.done.notified() => {}
        }
        drop(place);
        assert_eq!(app.changes_made(), made + step + 1);
        app.expire_leases().await;
        let heir = app.another_worker();
        app.run_until_rest_of(&heir).await;
        arrived(&app, &service, &format!("died after step {step}")).await;
        assert_eq!(app.changes_made(), made + 6, "no step was taken twice");
        app.change(&service, &back()).await;
        app.run_until_rest_of(&heir).await;
        // What was granted before the crash counts as ours after it.
        assert_eq!(app.allowed(&service).await, [root(CONSUMER)]);
        app.expire_leases().await;
    }
}

/// A change that comes while the worker is at work on the one before is not lost.
#[sqlx::test(migrations = "./migrations")]
async fn a_change_that_overtakes_the_worker_is_followed_next(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = first(&app).await;
    app.change(&service, &back()).await;
    app.change(&service, &everything()).await;
    let mut place = app.place().await;
    let halt = halt_after(&mut place, 5);
    let overtake = async {
        halt.done.notified().await;
        app.change(
            &service,
            &json!({ "name": "overtaken", "acceptance_required": true }),
        )
        .await;
        halt.go_on.notify_one();
    };
    let mut pass = Box::pin(sync_services::run_pass(&place));
    tokio::select! {
        _ = &mut pass => panic!("the last step is held back"),
        () = overtake => {}
    }
    pass.await.unwrap();
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "due", "{shown}");
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["applied_version"], shown["version"]);
    let seen = app.in_aws(&service).await;
    assert!(seen.acceptance_required);
    let name = ("Name".to_owned(), "overtaken".to_owned());
    assert!(seen.tags.contains(&name), "{:?}", seen.tags);
}
