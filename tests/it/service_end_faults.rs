//! AWS misbehaves while a service ends, or the worker dies: it ends once, and nothing is believed that no read has shown.

use std::time::Duration;

use portcullis::worker::sync_services;
use privatelink_sim::{Behavior, Effect, Fault, When};
use serde_json::json;
use sqlx::PgPool;

use crate::support::ending::{ATTACHED, DELETE};
use crate::support::{Service, Setup, TestApp, Who};

const SERVICES: &str = "DescribeVpcEndpointServiceConfigurations";

async fn drained(app: &TestApp) -> Service {
    let service = app.with_service().await;
    app.accepted(&service, 1).await;
    app.drain(&service, 0).await;
    app.run_until_rest().await;
    app.after(Duration::from_secs(5)).await;
    assert_eq!(app.phase(&service).await, "drained");
    service
}

async fn ask(app: &TestApp, service: &Service) {
    let body = json!({ "confirm_delete": true });
    app.end(service, "delete", body).await;
}

fn refusal(service: &Service, code: &str) -> Effect {
    Effect::PartialUnsuccessful {
        resource_id: service.aws_id.to_string(),
        code: code.to_owned(),
        message: "Not now.".to_owned(),
    }
}

/// HTTP 200 is not success: what AWS says of the service is joined to it.
#[sqlx::test(migrations = "./migrations")]
async fn a_refusal_inside_success_is_a_refusal(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = drained(&app).await;
    let effect = refusal(&service, ATTACHED);
    app.sim().faults().plan(Fault::once(DELETE, effect));
    ask(&app, &service).await;
    app.run_until_rest().await;
    let drain = app.drain_of(&service).await;
    assert_eq!(
        (drain["code"].as_str(), drain["delete_refusals"].as_i64()),
        (Some(ATTACHED), Some(1))
    );
    assert_eq!(app.life(&service).await, "draining");
    assert!(app.stands(&service).await);
    app.until_life(&service, "deleted").await;
    assert_eq!(app.calls(DELETE), 2);
}

/// Another refusal than for endpoints is tried some times and then waits for a person, who may also take the drain back.
#[sqlx::test(migrations = "./migrations")]
async fn what_aws_refuses_for_good_stalls_and_is_retried(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = drained(&app).await;
    let effect = refusal(&service, "OperationNotPermitted");
    app.sim().faults().plan(Fault::always(DELETE, effect));
    ask(&app, &service).await;
    for _ in 0..40 {
        app.after(Duration::from_mins(5)).await;
    }
    let seen = app.service(&service.id).await;
    assert_eq!(seen["sync"]["state"], "stalled", "{seen}");
    assert_eq!(seen["sync"]["code"], "OperationNotPermitted");
    assert_eq!(seen["lifecycle"]["state"], "draining");
    let calls = app.calls(DELETE);
    assert_eq!(calls, 8);
    app.sim().faults().clear();
    let path = format!("/v1/services/{}/retry-sync", service.id);
    app.post(Who::Admin, &path, &json!({})).await.good();
    app.until_life(&service, "deleted").await;
    assert_eq!(app.calls(DELETE), calls + 1);
}

/// I4, I5, I7: the answer is lost, comes as a 5xx, or the call never arrives.
#[sqlx::test(migrations = "./migrations")]
async fn a_lost_answer_is_settled_by_reading(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let error = |before: bool| {
        let (status, code) = (500, "InternalError".to_owned());
        if before {
            Effect::ErrorBefore { status, code }
        } else {
            Effect::ErrorAfter { status, code }
        }
    };
    let reset = Effect::Reset { when: When::Before };
    for (number, (effect, worked)) in [
        (Effect::DropAnswer, true),
        (error(false), true),
        (error(true), false),
        (reset, false),
        (Effect::Throttle, false),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{effect:?}");
        let service = app.created_service(&format!("edge-{number}")).await;
        app.drain(&service, 0).await;
        app.run_until_rest().await;
        let calls = app.calls(DELETE);
        app.sim().faults().plan(Fault::once(DELETE, effect.clone()));
        ask(&app, &service).await;
        sync_services::run_pass(&app.place().await).await.unwrap();
        if !matches!(effect, Effect::Throttle) {
            assert_eq!(app.life(&service).await, "deleting", "{what}");
            let refused = app.try_to_end(&service, "cancel-drain", json!({})).await;
            refused.refused(&what, 409, "service_deleting");
            let refused = app.try_to_end(&service, "release", json!({})).await;
            refused.refused(&what, 409, "service_deleting");
        }
        app.until_life(&service, "deleted").await;
        assert!(!app.stands(&service).await, "{what}");
        let made = app.calls(DELETE) - calls;
        assert_eq!(made, if worked { 1 } else { 2 }, "{what}");
    }
}

/// A read that lags shows the service as it was: it is neither taken for a call that failed nor for one that worked.
#[sqlx::test(migrations = "./migrations")]
async fn reads_that_lag_are_not_believed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = drained(&app).await;
    // No read lags so far behind that it would show the service before it was frozen.
    app.advance(Duration::from_secs(30));
    ask(&app, &service).await;
    let lag = Effect::StaleReads { lag_ms: 8_000 };
    app.sim().faults().plan(Fault::always(SERVICES, lag));
    app.run_worker().await;
    assert_eq!(app.life(&service).await, "deleting");
    app.until_life(&service, "deleted").await;
    app.sim().faults().clear();
    assert_eq!(app.calls(DELETE), 1);
}

/// What AWS denies stalls under its own code, before and after the service is gone, and goes on when it is allowed.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_denied_stalls_and_goes_on(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, _) = app.listening().await;
    let notification = "DeleteVpcEndpointConnectionNotifications";
    let calls = ["ModifyVpcEndpointServicePermissions", DELETE, notification];
    for call in calls {
        app.sim().faults().plan(Fault {
            times: Some(1),
            ..Fault::always(call, Effect::DenyAction)
        });
    }
    app.delete(&service).await;
    for call in calls {
        app.run_until_rest().await;
        let seen = app.service(&service.id).await;
        assert_eq!(seen["sync"]["state"], "stalled", "{call}: {seen}");
        assert_eq!(seen["sync"]["code"], "UnauthorizedOperation", "{call}");
        let path = format!("/v1/services/{}/retry-sync", service.id);
        app.post(Who::Admin, &path, &json!({})).await.good();
    }
    app.run_until_rest().await;
    assert_eq!(app.life(&service).await, "deleted");
    assert_eq!(app.notifications().await.len(), 0);
}

/// Somebody deletes the service in the console while it is drained.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_others_delete_is_found_gone(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = drained(&app).await;
    let refused = app.console().delete_endpoint_service(&service.aws_id).await;
    assert_eq!(refused.unwrap(), None);
    app.look_again().await;
    let seen = app.service(&service.id).await;
    assert_eq!(seen["sync"]["code"], "service_missing", "{seen}");
    ask(&app, &service).await;
    app.run_until_rest().await;
    assert_eq!(app.life(&service).await, "deleted");
    assert_eq!(app.calls(DELETE), 1, "the console's");
}

/// The service stays `Deleting` for a while: it is waited for, and its load balancer is free after that.
#[sqlx::test(migrations = "./migrations")]
async fn a_deletion_that_takes_time_is_waited_for(pool: PgPool) {
    let behavior = Behavior {
        service_deleting_ms: 45_000,
        service_linger_ms: 1_000,
        ..Behavior::instant()
    };
    let app = TestApp::start_with(
        pool,
        Setup {
            behavior,
            ..Setup::default()
        },
    );
    let service = drained(&app).await;
    ask(&app, &service).await;
    app.run_worker().await;
    assert_eq!(app.life(&service).await, "deleting");
    assert_eq!(
        app.service(&service.id).await["observed"]["state"],
        "Deleting"
    );
    app.until_life(&service, "deleted").await;
    assert_eq!(app.calls(DELETE), 1);
}
