//! The doctor of a connection.

use std::time::Duration;

use privatelink_sim::{Effect, Fault};
use sqlx::PgPool;

use super::stage::{Stage, check};
use crate::support::CONSUMER;

#[sqlx::test(migrations = "./migrations")]
async fn a_connection_is_explained_from_its_request_to_its_end(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    let seen = app.diagnosis_of(&request).await;
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.contains("nobody has decided about the connection yet"),
        "{sentence}"
    );
    assert_eq!(seen["state"]["state"], "pendingAcceptance");

    app.decide(&request, "accept").await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "connection_sync")["status"], "warn");
    app.run_until_rest().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(seen["status"], "pass", "{seen:#}");
    let zones = check(&seen, "endpoint_zones")["evidence"].as_str().unwrap();
    assert!(zones.starts_with("the endpoint is in 2 zones"), "{zones}");
    assert!(zones.contains("euw1-az"), "zones are told by id: {zones}");

    // Available, and no traffic: the classic.
    stage.change(|world, me, on| {
        let balancer = world.load_balancer(me, &on.balancer)?;
        balancer.security_groups = vec!["sg-0123456789abcdef0".into()];
        balancer.enforce_on_private_link = true;
        Ok(())
    });
    stage.look().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "security_groups")["status"], "warn");
    assert_eq!(
        seen["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["status"] != "pass")
            .count(),
        1
    );

    app.decide(&request, "revoke").await;
    app.run_until_rest().await;
    let seen = app.diagnosis_of(&request).await;
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.contains("the access was revoked here"),
        "{sentence}"
    );
    assert!(sentence.contains("order 4711"), "{sentence}");
    assert_eq!(check(&seen, "connection_state")["status"], "fail");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_connection_that_cannot_be_told_to_aws_says_why(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    app.sim().faults().plan(Fault::always(
        "AcceptVpcEndpointConnections",
        Effect::DenyAction,
    ));
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.sim().faults().clear();
    let seen = app.diagnosis_of(&request).await;
    let sync = check(&seen, "connection_sync");
    assert_eq!(sync["status"], "fail");
    assert!(
        sync["evidence"]
            .as_str()
            .unwrap()
            .contains("UnauthorizedOperation"),
        "{sync}"
    );
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.starts_with("Most likely, the decision has not reached AWS"),
        "{sentence}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn drift_and_a_lost_permission_show_at_the_connection(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    let accepted = app
        .console()
        .accept_connections(
            &stage.service.aws_id,
            std::slice::from_ref(&request.endpoint),
        )
        .await;
    assert_eq!(accepted, Ok(Vec::new()));
    app.advance(Duration::from_secs(6));
    app.run_worker().await;
    let seen = app.diagnosis_of(&request).await;
    let drift = check(&seen, "connection_drift");
    assert_eq!(drift["status"], "warn", "{seen:#}");
    assert!(
        drift["evidence"]
            .as_str()
            .unwrap()
            .contains("accepted_outside"),
        "{drift}"
    );

    let consumer = format!("arn:aws:iam::{CONSUMER}:root");
    let removed = app
        .console()
        .modify_principals(&stage.service.aws_id, &[], &[consumer])
        .await;
    assert_eq!(removed, Ok(()));
    stage.look().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "principal")["status"], "warn");
}
