//! AWS misbehaves while a service is created, granted and checked: it ends in step all the same, made once.

use std::time::Duration;

use privatelink_sim::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{CONSUMER, HERE, PROVIDER, TestApp, Who};

/// The calls that a new service needs, in their order.
const CALLS: [&str; 9] = [
    "CreateVpcEndpointServiceConfiguration",
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpointServicePermissions",
    "ModifyVpcEndpointServicePermissions",
    "DescribeAvailabilityZones",
    "DescribeLoadBalancers",
    "DescribeListeners",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
];

/// I4, I5, I7 for services.
async fn every_call_suffers(app: &TestApp, effect: &Effect) {
    app.add_account_region().await;
    for (number, action) in (1..).zip(CALLS) {
        let what = format!("{action}: {effect:?}");
        let name = format!("edge-{number}");
        app.sim().faults().plan(Fault {
            times: Some(2),
            ..Fault::always(action, effect.clone())
        });
        let body = json!({
            "account_id": PROVIDER, "region": HERE, "name": name, "allowed_principals": [CONSUMER],
            "load_balancer_arns": [app.load_balancer(&name)],
        });
        let made = app.post(Who::Admin, "/v1/services", &body).await.good();
        let id = made["id"].as_str().unwrap();
        app.run_until_rest().await;
        app.sim().faults().clear();
        if app.service(id).await["sync"]["state"] == "stalled" {
            let code = &app.service(id).await["sync"]["code"];
            assert_ne!(*code, Value::Null, "{what}");
            let path = format!("/v1/services/{id}/retry-sync");
            app.post(Who::Admin, &path, &json!({})).await.good();
        }
        // The next check, for what was denied to the last one.
        app.advance(Duration::from_mins(10));
        app.run_until_rest().await;

        let seen = app.service(id).await;
        assert_eq!(seen["sync"]["state"], "idle", "{what}: {seen}");
        assert_eq!(seen["ready"], true, "{what}: {seen}");
        let in_aws = app.console().endpoint_services(None).await.unwrap();
        assert_eq!(in_aws.items.len(), number, "{what}");
        let service_id = seen["aws_service_id"].as_str().unwrap().parse().unwrap();
        let granted = app.console().principals(&service_id, None).await.unwrap();
        assert_eq!(granted.items.len(), 1, "{what}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_survives_throttling_of_every_call(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::Throttle).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_survives_the_loss_of_every_answer(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DropAnswer).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_survives_an_error_before_every_call(pool: PgPool) {
    let (status, code) = (500, "InternalError".to_owned());
    every_call_suffers(&TestApp::start(pool), &Effect::ErrorBefore { status, code }).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_survives_a_missing_permission_for_every_call(pool: PgPool) {
    every_call_suffers(&TestApp::start(pool), &Effect::DenyAction).await;
}

/// I5, fault 12: what AWS has just created it may not list yet. That is no service that is missing.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_aws_does_not_show_yet_is_not_given_up(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let lag = Effect::StaleReads { lag_ms: 8_000 };
    let describe = "DescribeVpcEndpointServiceConfigurations";
    app.sim().faults().plan(Fault::always(describe, lag));
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [app.load_balancer("edge")],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    app.run_worker().await;
    let seen = app.service(id).await;
    assert_eq!(seen["sync"]["state"], "due", "{seen}");
    assert_eq!(seen["sync"]["code"], "not_confirmed", "{seen}");
    app.run_until_rest().await;
    assert_eq!(app.service(id).await["sync"]["state"], "idle");
    app.sim().faults().clear();

    // One that is gone for longer than any read lags is missing.
    app.advance(Duration::from_mins(10));
    let aws_id = app.service(id).await["aws_service_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    app.console()
        .delete_endpoint_service(&aws_id)
        .await
        .unwrap();
    app.advance(Duration::from_mins(10));
    app.run_worker().await;
    assert_eq!(app.service(id).await["sync"]["code"], "service_missing");
}
