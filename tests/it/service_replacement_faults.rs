//! AWS misbehaves, or the worker dies, while load balancers are replaced and a private DNS name is set: it arrives all the same.

use std::time::Duration;

use portcullis::worker::sync_services;
use privatelink_sim::{Effect, Fault, When};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::MODIFY;
use crate::support::halting::halt_after;
use crate::support::{Service, TestApp, Who};

const CALLS: [&str; 4] = [
    MODIFY,
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpointServicePermissions",
    "DescribeListeners",
];

/// The two load balancers between which a service goes there and back.
struct Ends {
    old: String,
    new: String,
}

impl Ends {
    fn there(&self) -> Value {
        json!({ "load_balancer_arns": [self.new], "private_dns_name": "api.example.com" })
    }

    fn back(&self) -> Value {
        json!({
            "load_balancer_arns": [self.old], "private_dns_name": null, "confirm_remove_private_dns_name": true,
        })
    }
}

async fn begin(app: &TestApp) -> (Service, Ends) {
    let service = app.with_service().await;
    let old = app.balancers(&service).await.remove(0);
    let new = app.load_balancer("new");
    (service, Ends { old, new })
}

async fn at(app: &TestApp, service: &Service, arn: &str, name: Option<&str>, what: &str) {
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{what}: {shown}");
    assert_eq!(shown["applied_version"], shown["version"], "{what}");
    assert_eq!(shown["differences"], json!([]), "{what}");
    assert_eq!(app.balancers(service).await, [arn], "{what}");
    let named = app.in_aws(service).await.private_dns_name;
    assert_eq!(named.map(|dns| dns.name).as_deref(), name, "{what}");
}

/// Whatever happens to two calls in a row, there and back again.
async fn every_call_suffers(app: &TestApp, effect: &Effect) {
    // It is large, and awaited in many places.
    Box::pin(each_suffers(app, effect)).await;
}

async fn each_suffers(app: &TestApp, effect: &Effect) {
    let (service, ends) = begin(app).await;
    for action in CALLS {
        for (change, arn, name) in [
            (ends.there(), &ends.new, Some("api.example.com")),
            (ends.back(), &ends.old, None),
        ] {
            let what = format!("{action}: {effect:?}");
            app.advance(Duration::from_mins(1));
            app.change(&service, &change).await;
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
            at(app, &service, arn, name, &what).await;
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_throttling(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Throttle).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_a_missing_permission(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DenyAction).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_errors_before_the_work(pool: PgPool) {
    let effect = Effect::ErrorBefore {
        status: 500,
        code: "InternalError".to_owned(),
    };
    every_call_suffers(&TestApp::start(pool), &effect).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_errors_after_the_work(pool: PgPool) {
    let effect = Effect::ErrorAfter {
        status: 500,
        code: "InternalError".to_owned(),
    };
    every_call_suffers(&TestApp::start(pool), &effect).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_lost_answers(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DropAnswer).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_half_answers(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Truncate).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_survives_reset_connections(pool: PgPool) {
    let app = TestApp::start(pool);
    every_call_suffers(&app, &Effect::Reset { when: When::Before }).await;
}

/// The worker dies after each of the changes, with AWS's work done and nothing recorded of it.
#[sqlx::test(migrations = "./migrations")]
async fn a_worker_that_dies_in_a_replacement_is_continued_by_the_next(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, ends) = begin(&app).await;
    // Adding, naming, removing.
    for step in 0..3 {
        app.change(&service, &ends.there()).await;
        let made = app.changes_made();
        let mut place = app.place().await;
        let halt = halt_after(&mut place, step);
        tokio::select! {
            _ = sync_services::run_pass(&place) => panic!("step {step} is held back"),
            () = halt.done.notified() => {}
        }
        drop(place);
        assert_eq!(app.changes_made(), made + step + 1);
        // Whenever it dies, there is a load balancer.
        assert!(!app.balancers(&service).await.is_empty());
        app.expire_leases().await;
        let heir = app.another_worker();
        app.run_until_rest_of(&heir).await;
        let what = format!("died after step {step}");
        at(&app, &service, &ends.new, Some("api.example.com"), &what).await;
        assert_eq!(app.changes_made(), made + 3, "no step was taken twice");
        app.change(&service, &ends.back()).await;
        app.run_until_rest_of(&heir).await;
        at(&app, &service, &ends.old, None, &what).await;
        app.expire_leases().await;
    }
}
