//! AWS misbehaves while it is told a decision: every kind of fault on every call that a decision needs. What was decided arrives all the
//! same, with one effect, or the connection says that it is stuck.

use std::time::Duration;

use privatelink_sim::{Effect, Fault, When};
use serde_json::Value;
use sqlx::PgPool;

use crate::support::{Request, Service, TestApp, Who};

const ACCEPT: &str = "AcceptVpcEndpointConnections";
const REJECT: &str = "RejectVpcEndpointConnections";
const DESCRIBE: &str = "DescribeVpcEndpointConnections";

fn server_error() -> (u16, String) {
    (503, "Unavailable".to_owned())
}

/// How many [`effects`] there are.
const KINDS: usize = 13;

/// Every kind of fault that the simulator knows. A new kind does not compile until it is listed.
fn effects(request: &Request) -> Vec<Effect> {
    let (status, code) = server_error();
    let all = vec![
        Effect::Throttle,
        Effect::ErrorBefore {
            status,
            code: code.clone(),
        },
        Effect::ErrorAfter { status, code },
        Effect::DropAnswer,
        Effect::DenyAction,
        Effect::PartialUnsuccessful {
            resource_id: request.endpoint.to_string(),
            code: "InvalidState".to_owned(),
            message: String::new(),
        },
        Effect::StaleReads { lag_ms: 5_000 },
        Effect::Reset { when: When::Before },
        Effect::Reset { when: When::After },
        Effect::Truncate,
        Effect::Garbled,
        Effect::Slow {
            delay_ms: 20,
            when: When::After,
        },
        Effect::Refuse {
            code: "InvalidParameter".to_owned(),
        },
    ];
    assert_eq!(all.len(), KINDS);
    for effect in &all {
        match effect {
            Effect::Throttle
            | Effect::ErrorBefore { .. }
            | Effect::ErrorAfter { .. }
            | Effect::DropAnswer
            | Effect::DenyAction
            | Effect::PartialUnsuccessful { .. }
            | Effect::StaleReads { .. }
            | Effect::Reset { .. }
            | Effect::Truncate
            | Effect::Garbled
            | Effect::Slow { .. }
            | Effect::Refuse { .. }
            // These befall notifications, which no decision needs.
            | Effect::LoseNotification
            | Effect::DuplicateNotification
            | Effect::DelayNotification { .. }
            | Effect::ReorderNotification => {}
        }
    }
    all
}

/// Asks for a connection that stands where `verb` applies, a minute ago, so that a stale read knows it already.
async fn prepared(app: &TestApp, service: &Service, verb: &str) -> Request {
    let request = app.requested(service).await;
    if verb == "revoke" {
        app.decide(&request, "accept").await;
        app.run_until_rest().await;
    }
    app.advance(Duration::from_mins(1));
    request
}

/// I4, I5, I7: whatever happens to two calls in a row, the decision has exactly one effect and arrives.
async fn every_fault_on(app: &TestApp, verb: &str, action: &str) {
    let service = app.with_service().await;
    let (act, want) = match verb {
        "accept" => ("accept", "available"),
        "reject" => ("reject", "rejected"),
        _ => ("reject", "revoked"),
    };
    for number in 0..KINDS {
        let request = prepared(app, &service, verb).await;
        let effect = effects(&request).swap_remove(number);
        let what = format!("{verb}, {action}: {effect:?}");
        app.sim().faults().plan(Fault {
            times: Some(2),
            ..Fault::always(action, effect)
        });
        app.decide(&request, verb).await;
        app.run_until_rest().await;
        app.sim().faults().clear();

        let seen = app.connection(&request).await;
        if seen["summary"] == "stalled" {
            assert_ne!(seen["sync"]["code"], Value::Null, "{what}");
            app.retry(&request).await.good();
            app.run_until_rest().await;
        }
        assert_eq!(app.summary(&request).await, want, "{what}");
        assert_eq!(app.effective(&request, act).await, 1, "{what}");
    }
    assert_eq!(app.count("SELECT count(*) FROM drifts").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_accept_survives_every_fault_on_accept(pool: PgPool) {
    every_fault_on(&TestApp::start(pool), "accept", ACCEPT).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_accept_survives_every_fault_on_describe(pool: PgPool) {
    every_fault_on(&TestApp::start(pool), "accept", DESCRIBE).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reject_survives_every_fault_on_reject(pool: PgPool) {
    every_fault_on(&TestApp::start(pool), "reject", REJECT).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reject_survives_every_fault_on_describe(pool: PgPool) {
    every_fault_on(&TestApp::start(pool), "reject", DESCRIBE).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_revoke_survives_every_fault_on_reject(pool: PgPool) {
    every_fault_on(&TestApp::start(pool), "revoke", REJECT).await;
}

/// I4, I11: reads that lag behind a recorded call do not make the worker repeat it.
#[sqlx::test(migrations = "./migrations")]
async fn reads_that_lag_do_not_cause_a_second_call(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = prepared(&app, &service, "accept").await;
    let lag = Effect::StaleReads { lag_ms: 8_000 };
    app.sim().faults().plan(Fault::always(DESCRIBE, lag));
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.sim().faults().clear();
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.accepts(&request), 1);
}

/// I7, I15: what goes on failing is given up after a bounded number of calls, and shown; a person's retry starts anew.
#[sqlx::test(migrations = "./migrations")]
async fn a_call_that_always_fails_is_given_up_and_brought_home_by_a_retry(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = prepared(&app, &service, "accept").await;
    let (status, code) = server_error();
    let broken = Fault::always(ACCEPT, Effect::ErrorBefore { status, code });
    app.sim().faults().plan(broken);
    app.decide(&request, "accept").await;
    app.run_until_rest().await;

    let stuck = app.connection(&request).await;
    assert_eq!(stuck["summary"], "stalled");
    assert_eq!(stuck["sync"]["code"], "Unavailable");
    assert_eq!(app.sim().calls().of(ACCEPT).len(), 5);
    app.advance(Duration::from_hours(1));
    app.run_worker().await;
    assert_eq!(
        app.sim().calls().of(ACCEPT).len(),
        5,
        "it waits for a person"
    );

    app.sim().faults().clear();
    app.retry(&request).await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'connection.retry_sync' AND actor_kind = 'person'";
    assert_eq!(app.count(told).await, 1);
}

/// Throttling is nobody's fault: it does not use up attempts, but patience has an end.
#[sqlx::test(migrations = "./migrations")]
async fn throttling_is_waited_out_until_patience_ends(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = prepared(&app, &service, "accept").await;
    app.sim()
        .faults()
        .plan(Fault::always(ACCEPT, Effect::Throttle));
    let decided_at = app.sim().clock().now();
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.sim().faults().clear();
    let stuck = app.connection(&request).await;
    assert_eq!(stuck["summary"], "stalled");
    assert_eq!(stuck["sync"]["code"], "RequestLimitExceeded");
    assert!(app.sim().clock().now() - decided_at >= chrono::TimeDelta::minutes(15));
    assert!(app.sim().calls().of(ACCEPT).len() > 5);
}

/// Credentials that stop working show on the AccountRegion, and no longer once they work again.
#[sqlx::test(migrations = "./migrations")]
async fn a_listing_that_is_denied_is_shown_until_it_works(pool: PgPool) {
    let app = TestApp::start(pool);
    let id = app.add_account_region().await;
    let path = format!("/v1/account-regions/{id}");
    app.sim()
        .faults()
        .plan(Fault::once(DESCRIBE, Effect::DenyAction));
    app.run_worker().await;
    let shown = app.get(Who::Viewer, &path).await.good();
    assert_eq!(shown["error"]["code"], "UnauthorizedOperation");
    assert_eq!(shown["listing"], Value::Null);
    app.run_worker().await;
    let shown = app.get(Who::Viewer, &path).await.good();
    assert_eq!(shown["error"], Value::Null);
    assert_eq!(shown["listing"]["connections"], 0);
}
