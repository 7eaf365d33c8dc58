//! What stands is noticed once, what heals closes by itself, what was ignored keeps quiet until it changes.

use std::time::Duration;

use privatelink::EndpointServiceChange;
use privatelink_sim::{Effect, Fault};
use serde_json::json;
use sqlx::PgPool;

use crate::support::drifts::{OTHER, root};
use crate::support::{CONSUMER, HERE, TestApp, Who};

const RECONFIGURED: &str = "kind=service_reconfigured";

#[sqlx::test(migrations = "./migrations")]
async fn everything_that_is_ours_on_a_service_is_watched(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let change = json!({
        "supported_regions": ["us-east-1"], "supported_ip_address_types": ["ipv4"], "tags": { "team": "edge", "stage": "test" },
    });
    let path = format!("/v1/services/{}", service.id);
    let version = app.service(&service.id).await["version"].clone();
    let mut body = change.clone();
    body["version"] = version;
    let patch = app.request(Who::Admin, reqwest::Method::PATCH, &path);
    crate::support::http::send(patch.json(&body)).await.good();
    app.run_until_rest().await;
    app.look_again().await;
    assert!(app.inbox("").await.is_empty(), "nobody did anything");

    let console = app.console();
    let another: privatelink::LoadBalancerArn = app.load_balancer("another").parse().unwrap();
    app.set_acceptance(&service, false).await;
    app.reconfigure(
        &service,
        EndpointServiceChange {
            add_network_load_balancer_arns: vec![another.clone()],
            ..EndpointServiceChange::default()
        },
    )
    .await;
    app.reconfigure(
        &service,
        EndpointServiceChange {
            remove_supported_regions: vec!["us-east-1".to_owned()],
            ..EndpointServiceChange::default()
        },
    )
    .await;
    let tags = [
        ("team".to_owned(), "core".to_owned()),
        ("theirs".to_owned(), "1".to_owned()),
    ];
    console
        .set_service_tags(&service.aws_id, &tags)
        .await
        .unwrap();
    let gone = ["stage".to_owned()];
    console
        .remove_service_tags(&service.aws_id, &gone)
        .await
        .unwrap();
    app.grant(&service, &[&root(OTHER)], &[&root(CONSUMER)])
        .await;
    app.look_again().await;

    let inbox = app.inbox("").await;
    assert_eq!(inbox.len(), 2, "{inbox:#?}");
    let drift = inbox
        .iter()
        .find(|d| d["kind"] == "service_reconfigured")
        .unwrap();
    let arns = app.service(&service.id).await["load_balancer_arns"].clone();
    assert_eq!(
        drift["before"],
        json!({
            "acceptance_required": true, "load_balancer_arns": arns, "supported_regions": ["us-east-1"],
            "tags": { "stage": "test", "team": "edge" }, "allowed_principals": [root(CONSUMER)],
        })
    );
    let mut both = vec![arns[0].as_str().unwrap().to_owned(), another.to_string()];
    both.sort();
    assert_eq!(
        drift["after"],
        json!({
            "acceptance_required": false, "load_balancer_arns": both, "supported_regions": [],
            "tags": { "stage": null, "team": "core" }, "allowed_principals": [],
        })
    );
    let unknown = inbox
        .iter()
        .find(|d| d["kind"] == "unknown_principal")
        .unwrap();
    assert_eq!(unknown["subject"], root(OTHER));
    // Load balancers are not put back from here; all of it can be agreed with.
    let id = drift["id"].as_str().unwrap();
    let refused = app.settle(Who::Admin, id, "revert").await;
    refused.refused("load balancers", 409, "drift_not_revertible");
    let mutations = app.mutations();
    app.settle(Who::Admin, id, "adopt").await.good();
    app.look_again().await;
    let seen = app.service(&service.id).await;
    assert_eq!(seen["differences"], json!([]), "{seen}");
    assert_eq!(seen["tags"], json!({ "team": "core" }));
    assert_eq!(seen["allowed_principals"], json!([]));
    assert_eq!(seen["load_balancer_arns"].as_array().unwrap().len(), 2);
    assert_eq!(app.mutations(), mutations, "AWS is so already");
    let open = app.kinds("state=open").await;
    assert_eq!(
        open,
        ["unknown_principal open"],
        "nobody judged that one yet"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_is_put_right_in_aws_closes_its_drift_by_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.grant(&service, &[&root(OTHER)], &[]).await;
    for _ in 0..3 {
        app.look_again().await;
    }
    let both = ["service_reconfigured open", "unknown_principal open"];
    let mut kinds = app.kinds("").await;
    kinds.sort();
    assert_eq!(kinds, both, "each once");

    app.set_acceptance(&service, true).await;
    app.grant(&service, &[], &[&root(OTHER)]).await;
    app.look_again().await;
    let inbox = app.inbox("").await;
    assert_eq!(inbox.len(), 2);
    for drift in inbox {
        assert_eq!(drift["state"], "resolved", "{drift}");
        assert_eq!(drift["settlement"]["by_kind"], "worker");
        assert!(drift["resolved_at"].is_string());
        let id = drift["id"].as_str().unwrap();
        let late = app.settle(Who::Admin, id, "adopt").await;
        late.refused("healed", 409, "drift_settled");
    }
    // And when it comes back it is another one.
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let states = app.kinds(RECONFIGURED).await;
    assert_eq!(
        states,
        ["service_reconfigured resolved", "service_reconfigured open"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_ignored_is_quiet_until_it_changes(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox(RECONFIGURED).await);
    app.settle(Who::Admin, &id, "ignore").await.good();
    for _ in 0..3 {
        app.look_again().await;
    }
    assert_eq!(app.kinds("").await, ["service_reconfigured ignored"]);
    assert_eq!(
        app.drift(&id).await["resolved_at"],
        json!(null),
        "it stands"
    );

    // One more member differs.
    app.grant(&service, &[], &[&root(CONSUMER)]).await;
    app.look_again().await;
    let states = app.kinds("").await;
    assert_eq!(
        states,
        ["service_reconfigured ignored", "service_reconfigured open"]
    );
    let old = app.drift(&id).await;
    assert!(old["resolved_at"].is_string(), "{old}");
    assert_eq!(
        old["settlement"]["by"], "admin@provider.example",
        "as it was"
    );

    // Ignored again, healed, and back: that is news.
    let new = TestApp::only(&app.inbox("state=open").await);
    app.settle(Who::Admin, &new, "ignore").await.good();
    app.set_acceptance(&service, true).await;
    app.grant(&service, &[&root(CONSUMER)], &[]).await;
    app.look_again().await;
    assert!(app.inbox("state=open").await.is_empty());
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    assert_eq!(app.inbox("state=open").await.len(), 1);
}

/// A drift is about what was seen. When AWS moves on, the old one is closed, and nobody adopts what they have not seen.
#[sqlx::test(migrations = "./migrations")]
async fn a_drift_whose_content_changes_gives_way_to_a_new_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let old = TestApp::only(&app.inbox(RECONFIGURED).await);
    app.grant(&service, &[], &[&root(CONSUMER)]).await;
    app.look_again().await;
    let late = app.settle(Who::Admin, &old, "adopt").await;
    late.refused("moved on", 409, "drift_settled");
    let new = TestApp::only(&app.inbox("state=open").await);
    app.settle(Who::Admin, &new, "revert").await.good();
    app.run_until_rest().await;
    assert!(app.in_aws(&service).await.acceptance_required);
    assert_eq!(app.allowed(&service).await, [root(CONSUMER)]);
    app.look_again().await;
    assert!(app.inbox("state=open").await.is_empty());
}

/// I11, fault 12: what a lagging read shows of the time before our own change is no drift.
#[sqlx::test(migrations = "./migrations")]
async fn our_own_change_is_no_drift_neither_on_its_way_nor_in_a_stale_read(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.look_again().await;
    // AWS refuses for now: the service is behind, and what AWS shows is what it showed.
    let modify = "ModifyVpcEndpointServiceConfiguration";
    app.sim()
        .faults()
        .plan(Fault::once(modify, Effect::Throttle));
    let change = json!({ "acceptance_required": false });
    app.change(&service, &change).await;
    app.run_worker().await;
    assert!(app.inbox("").await.is_empty(), "on its way");
    app.run_until_rest().await;
    let seen = app.service(&service.id).await;
    assert_eq!(seen["applied_version"], seen["version"], "{seen}");

    app.advance(Duration::from_secs(4));
    // The simulated AWS has no lagging reads of settings; one looks the same as somebody who changes it back at once.
    app.set_acceptance(&service, true).await;
    sqlx::query("UPDATE endpoint_services SET sync_due_at = created_at")
        .execute(app.db())
        .await
        .unwrap();
    app.run_worker().await;
    let seen = app.service(&service.id).await;
    assert_eq!(
        seen["observed"]["acceptance_required"], true,
        "as before: {seen}"
    );
    assert!(app.inbox("").await.is_empty(), "{:?}", app.inbox("").await);
    // What is still so when reads have caught up is true.
    app.look_again().await;
    let states = app.kinds("").await;
    assert_eq!(states, ["service_reconfigured open"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_ordinary_verbs_settle_what_they_are_about(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for (verb, state) in [("accept", "adopted"), ("reject", "reverted")] {
        let request = app.requested(&service).await;
        app.accept_behind_our_back(&service, &request).await;
        app.advance(Duration::from_secs(1));
        app.run_until_rest().await;
        app.decide(&request, verb).await;
        app.run_until_rest().await;
        let inbox = app.inbox(&format!("connection_id={}", request.id)).await;
        let drift = app.drift(&TestApp::only(&inbox)).await;
        assert_eq!(drift["state"], state, "{verb}: {drift}");
        assert_eq!(drift["settlement"]["by"], "approver@provider.example");
        assert_eq!(drift["settlement"]["reason"], format!("{verb}: order 4711"));
    }
    // Cut off behind our back, and agreed with.
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    app.reject_behind_our_back(&service, &request).await;
    app.run_until_rest().await;
    app.retry(&request).await.good();
    let query = format!("connection_id={}", request.id);
    let states = app.kinds(&query).await;
    assert_eq!(
        states,
        ["rejected_outside open"],
        "a retry brings nothing back"
    );
    app.run_until_rest().await;
    app.decide(&request, "revoke").await;
    assert_eq!(app.kinds(&query).await, ["rejected_outside adopted"]);

    // A change that overrules what AWS shows, and one that agrees with it.
    for (change, state) in [
        (json!({ "reason": "ours holds" }), "reverted"),
        (json!({ "acceptance_required": false }), "adopted"),
    ] {
        app.set_acceptance(&service, false).await;
        app.look_again().await;
        let id = TestApp::only(&app.inbox("kind=service_reconfigured&state=open").await);
        app.change(&service, &change).await;
        let drift = app.drift(&id).await;
        assert_eq!(drift["state"], state, "{change}: {drift}");
        app.run_until_rest().await;
        let required = app.in_aws(&service).await.acceptance_required;
        assert_eq!(required, state == "reverted");
    }
    app.grant(&service, &[&root(OTHER)], &[]).await;
    app.look_again().await;
    let change = json!({ "allowed_principals": [CONSUMER, OTHER] });
    app.change(&service, &change).await;
    let states = app.kinds("kind=unknown_principal").await;
    assert_eq!(states, ["unknown_principal adopted"]);
    // Whoever registers an unknown service by hand has settled it.
    let aws_id = app.foreign_service("foreign", true).await;
    app.take_fresh_inventory().await;
    assert_eq!(
        app.kinds("kind=unknown_service").await,
        ["unknown_service open"]
    );
    let body = json!({ "account_id": crate::support::PROVIDER, "region": HERE, "name": "found", "aws_service_id": aws_id });
    app.registered(&body).await;
    assert_eq!(
        app.kinds("kind=unknown_service").await,
        ["unknown_service adopted"]
    );
}

/// A connection that comes up goes on with the drift that was noticed first; one that is rejected after that is another.
#[sqlx::test(migrations = "./migrations")]
async fn a_drift_of_a_connection_goes_on_and_gives_way(pool: PgPool) {
    let setup = crate::support::Setup {
        behavior: privatelink_sim::Behavior {
            accept_delay_ms: 5_000,
            ..privatelink_sim::Behavior::instant()
        },
        ..crate::support::Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.advance(Duration::from_secs(1));
    app.run_worker().await;
    let id = TestApp::only(&app.inbox("").await);
    assert_eq!(
        app.drift(&id).await["after"],
        json!({ "observed": "pending" })
    );
    app.settle(Who::Approver, &id, "ignore").await.good();
    app.advance(Duration::from_secs(10));
    app.run_worker().await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.kinds("").await, ["accepted_outside ignored"], "no news");
    assert_eq!(
        app.drift(&id).await["resolved_at"],
        json!(null),
        "it stands"
    );

    app.reject_behind_our_back(&service, &request).await;
    app.advance(Duration::from_secs(1));
    app.run_worker().await;
    let states = app.kinds("").await;
    assert_eq!(
        states,
        ["accepted_outside ignored", "rejected_outside open"]
    );
    assert!(app.drift(&id).await["resolved_at"].is_string());

    // The consumer ends it, and there is nothing left to disagree about.
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_mins(1));
    app.run_worker().await;
    let states = app.kinds("").await;
    assert_eq!(
        states,
        ["accepted_outside ignored", "rejected_outside resolved"]
    );
}

/// Detection looks at what is, not at what has just changed: a row that is missing, or stands without cause, comes right with the next listing.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_missed_comes_right_with_the_next_listing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let (missed, fine) = (app.requested(&service).await, app.requested(&service).await);
    app.accept_behind_our_back(&service, &missed).await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    let old = TestApp::only(&app.inbox("").await);
    sqlx::query("DELETE FROM drifts")
        .execute(app.db())
        .await
        .unwrap();
    // As a replica of the version before writes it, without cause.
    sqlx::query(
        "INSERT INTO drifts (id, connection_id, kind, review_state, observed_state, detected_at)
         SELECT gen_random_uuid(), id, 'rejected_outside', review_state, observed_state, now()
           FROM connections WHERE endpoint_id = $1",
    )
    .bind(fine.endpoint.as_str())
    .execute(app.db())
    .await
    .unwrap();
    app.advance(Duration::from_secs(10));
    app.run_worker().await;
    let mine = |request: &crate::support::Request| format!("connection_id={}", request.id);
    let states = app.kinds(&mine(&missed)).await;
    assert_eq!(states, ["accepted_outside open"]);
    assert_ne!(TestApp::only(&app.inbox(&mine(&missed)).await), old);
    let states = app.kinds(&mine(&fine)).await;
    assert_eq!(states, ["rejected_outside resolved"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn drifts_and_an_inventory_at_rest_cost_reads_only(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.set_acceptance(&service, false).await;
    app.grant(&service, &[&root(OTHER)], &[]).await;
    let foreign = app.foreign_service("foreign", true).await;
    let name = format!("com.amazonaws.vpce.{HERE}.{foreign}");
    app.consumer().create_endpoint(&name).unwrap();
    app.take_inventory().await;
    app.look_again().await;
    let ignored = TestApp::only(&app.inbox("kind=unknown_principal").await);
    app.settle(Who::Admin, &ignored, "ignore").await.good();
    let before = app.row_versions().await;
    assert_eq!(app.inbox("state=open").await.len(), 3);
    assert_eq!(
        before
            .iter()
            .filter(|row| row.starts_with("inventory"))
            .count(),
        2
    );

    for _ in 0..2 {
        app.look_again().await;
        let report = app.take_fresh_inventory().await;
        assert_eq!(
            (report.listed, report.changed, report.drifted),
            (Some(2), 0, 0)
        );
        app.look_again().await;
    }
    assert_eq!(app.row_versions().await, before);
}
