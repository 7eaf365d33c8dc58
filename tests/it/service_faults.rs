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
