//! When AWS is looked at for the doctor, and how much that costs.

use std::time::Duration;

use privatelink::EndpointServiceChange;
use privatelink_sim::world::listeners::NewListener;
use privatelink_sim::world::services::ServiceChange;
use privatelink_sim::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::stage::{Stage, check, group_of};
use crate::support::{CONSUMER, HERE, PROVIDER, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn a_private_dns_name_is_followed_to_its_proof(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    stage.change(|world, me, on| {
        let change = ServiceChange {
            private_dns_name: Some("api.example.com".into()),
            ..ServiceChange::default()
        };
        world.modify_service(me, &on.service, &change)
    });
    // AWS leaves the proof out of the first read after a change.
    stage.look().await;
    let seen = stage.diagnosis().await;
    assert_eq!(check(&seen, "private_dns")["status"], "unknown", "{seen:#}");
    stage.look().await;
    let seen = stage.diagnosis().await;
    let dns = check(&seen, "private_dns");
    assert_eq!(dns["status"], "warn");
    let found = stage
        .app
        .console()
        .endpoint_service(&stage.service.aws_id)
        .await;
    let proof = found.unwrap().private_dns_name.unwrap().txt_value.unwrap();
    assert!(dns["fix"].as_str().unwrap().contains(&proof), "{dns}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_look_is_made_once_however_often_it_is_asked_for(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let (app, id) = (&stage.app, &stage.service.id);
    app.advance(Duration::from_secs(5));
    let viewer = app.ask_for_look(Who::Viewer, id).await;
    viewer.refused("a viewer asks", 403, "forbidden");
    let first = app.ask_for_look(Who::Approver, id).await.good();
    app.advance(Duration::from_secs(1));
    let second = app.ask_for_look(Who::Admin, id).await.good();
    let since = &first["check_requested_at"];
    assert_eq!(&second["check_requested_at"], since);
    let seen = stage.diagnosis().await;
    assert_eq!(&seen["check_requested_at"], since);
    assert!(seen["checked_at"].as_str() < since.as_str(), "{seen}");

    let calls = app.sim().calls().count();
    stage.diagnosis().await;
    assert_eq!(app.sim().calls().count(), calls, "the doctor asks nobody");
    app.run_worker().await;
    let seen = stage.diagnosis().await;
    assert_eq!(seen["check_requested_at"], Value::Null);
    assert!(seen["checked_at"].as_str() >= since.as_str(), "{seen}");
    let audited = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.check'";
    // One for this, one for the look that set the stage.
    assert_eq!(app.count(audited).await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_look_that_fails_keeps_the_last_one_and_is_not_repeated_without_end(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.diagnosis().await;
    let faults = stage.app.sim().faults();
    faults.plan(Fault::always("DescribeTargetHealth", Effect::Throttle));
    stage.look().await;
    let calls = stage.app.sim().calls().of("DescribeTargetHealth").len();
    stage.app.sim().faults().clear();
    let seen = stage.diagnosis().await;
    assert_eq!(seen["checked_at"], before["checked_at"]);
    assert_eq!(check(&seen, "target_health")["status"], "pass");
    assert_eq!(check(&seen, "service_sync")["status"], "warn");
    assert!(calls < 20, "{calls} calls");
    stage.app.run_until_rest().await;
    let seen = stage.diagnosis().await;
    assert!(
        seen["checked_at"].as_str() > before["checked_at"].as_str(),
        "{seen}"
    );
    assert_eq!(seen["status"], "pass", "{seen:#}");
}

/// The service cannot be made; what is behind it can be looked at all the same, and nothing is retried by looking.
#[sqlx::test(migrations = "./migrations")]
async fn a_stalled_service_can_be_examined(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let arn = app.load_balancer("edge");
    app.sim().faults().plan(Fault::always(
        "CreateVpcEndpointServiceConfiguration",
        Effect::DenyAction,
    ));
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge",
        "load_balancer_arns": [arn], "allowed_principals": [CONSUMER],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    app.run_worker().await;
    let seen = app.diagnosis_of_service(id).await;
    assert_eq!(seen["status"], "fail");
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(sentence.contains("UnauthorizedOperation"), "{sentence}");
    assert_eq!(check(&seen, "last_look")["status"], "unknown");

    let creates = || {
        app.sim()
            .calls()
            .of("CreateVpcEndpointServiceConfiguration")
            .len()
    };
    let before = creates();
    app.ask_for_look(Who::Approver, id).await.good();
    app.run_worker().await;
    app.sim().faults().clear();
    let seen = app.diagnosis_of_service(id).await;
    assert_eq!(check(&seen, "target_health")["status"], "pass", "{seen:#}");
    assert_eq!(seen["check_requested_at"], Value::Null);
    assert_eq!(app.service(id).await["sync"]["state"], "stalled");
    assert_eq!(creates(), before);
}

/// ELBv2 allows ten reads a second for all services together: what hardly ever changes is not read at every look.
#[sqlx::test(migrations = "./migrations")]
async fn a_look_at_a_service_at_rest_makes_four_reads_of_load_balancers(pool: PgPool) {
    const ALWAYS: [&str; 4] = [
        "DescribeLoadBalancers",
        "DescribeListeners",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    ];
    const RARELY: [&str; 5] = [
        "DescribeLoadBalancerAttributes",
        "DescribeListenerAttributes",
        "DescribeTargetGroupAttributes",
        "DescribeAvailabilityZones",
        "DescribeVpcEndpointConnectionNotifications",
    ];
    let stage = Stage::sound(pool).await;
    let count = |actions: &[&str]| -> Vec<usize> {
        let of = |action: &&str| stage.app.sim().calls().of(action).len();
        actions.iter().map(of).collect()
    };
    let (always, rarely) = (count(&ALWAYS), count(&RARELY));
    for round in 1..=3 {
        stage.app.advance(Duration::from_secs(301));
        stage.app.run_worker().await;
        let want: Vec<usize> = always.iter().map(|n| n + round).collect();
        assert_eq!(count(&ALWAYS), want);
        assert_eq!(count(&RARELY), rarely);
    }
    stage.app.advance(Duration::from_mins(30));
    stage.app.run_worker().await;
    let want: Vec<usize> = rarely.iter().map(|n| n + 1).collect();
    assert_eq!(count(&RARELY), want);
}

/// A load balancer may have 50 listeners: their attributes are read in portions, so that one service does not take all reads.
#[sqlx::test(migrations = "./migrations")]
async fn very_many_listeners_are_read_in_portions(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    stage.change(|world, me, on| {
        let group = group_of(world, me, on)?;
        for port in 1000..1045 {
            let new = NewListener {
                load_balancer: on.balancer.clone(),
                port,
                protocol: "TCP".into(),
                forward: vec![(group.clone(), None)],
                ..NewListener::default()
            };
            world.create_listener(me, new)?;
        }
        Ok(())
    });
    let reads = || {
        stage
            .app
            .sim()
            .calls()
            .of("DescribeListenerAttributes")
            .len()
    };
    let before = reads();
    stage.app.advance(Duration::from_mins(5));
    stage.app.run_worker().await;
    assert_eq!(reads(), before + 30);
    let seen = stage.diagnosis().await;
    assert_eq!(
        check(&seen, "idle_timeout")["status"],
        "unknown",
        "{seen:#}"
    );
    // The rest follows soon.
    stage.app.advance(Duration::from_secs(4));
    stage.app.run_worker().await;
    assert_eq!(reads(), before + 45);
    assert_eq!(stage.diagnosis().await["status"], "pass");
    // Whoever asks waits for all of it.
    stage.look().await;
    assert_eq!(reads(), before + 45 + 46);
}

/// The doctor and the list of services agree on what is behind a service.
#[sqlx::test(migrations = "./migrations")]
async fn the_checks_of_the_service_are_among_the_doctors(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let change = EndpointServiceChange {
        add_network_load_balancer_arns: vec![stage.wider.clone()],
        ..EndpointServiceChange::default()
    };
    let console = stage.app.console();
    let changed = console.modify_endpoint_service(&stage.service.aws_id, &change);
    changed.await.unwrap();
    stage.look().await;
    let service = stage.app.service(&stage.service.id).await;
    let seen = stage.diagnosis().await;
    assert_eq!(service["checked_at"], seen["checked_at"]);
    let all = seen["checks"].as_array().unwrap();
    for check in service["checks"].as_array().unwrap() {
        assert!(all.contains(check), "{check}");
    }
}
