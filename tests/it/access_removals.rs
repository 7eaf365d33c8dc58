//! Access that is taken away: what it shows before, and that principals and connections are both gone in AWS.

use std::time::Duration;

use portcullis::worker::access;
use privatelink::ConnectionState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::drifts::OTHER;
use crate::support::removals::{of_principal, scene};
use crate::support::reviews::ADMIN;
use crate::support::{CONSUMER, TestApp, Who};

/// Revoking means the principal removed and the connections rejected: both, in AWS.
#[sqlx::test(migrations = "./migrations")]
async fn principal_and_connections_go_in_aws_when_the_grace_is_over(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    assert_eq!(preview["account_id"], OTHER);
    assert_eq!(preview["services"][0]["principals"], json!([root(OTHER)]));
    let shown: Vec<&str> = preview["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&scene.live.id.as_str()) && shown.contains(&scene.waiting.id.as_str()));

    let begun = app.end_access(&cause, 3600).await;
    assert_eq!(begun["state"], "grace");
    app.carry_access_on().await;
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert!(
        app.account(OTHER)
            .create_endpoint(&scene.edge.name)
            .is_err(),
        "AWS lets nobody new in"
    );
    assert_eq!(app.summary(&scene.live).await, "available", "it has time");
    assert_eq!(
        app.summary(&scene.waiting).await,
        "rejected",
        "it had no access yet"
    );
    let desk = app.connection(&scene.live).await;
    assert_eq!(
        (
            &desk["scheduled_revocation"]["at"],
            &desk["scheduled_revocation"]["by"]
        ),
        (&begun["ends_at"], &json!(ADMIN)),
        "{desk}"
    );

    app.pass_time(Duration::from_mins(59)).await;
    app.carry_access_on().await;
    assert_eq!(
        app.aws_state(OTHER, &scene.live),
        ConnectionState::Available
    );
    app.pass_time(Duration::from_mins(2)).await;
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&scene.live).await, "revoked");
    assert_eq!(app.summary(&scene.stranger).await, "available");
    app.carry_access_on().await;
    let done = app.removal(&begun).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["connections"]["scheduled"], 1);
    assert_eq!(done["connections"]["rejected"], 1);
    let rest = access::run_pass(&app.shared).await.unwrap();
    assert_eq!(rest.open, 0);
    let notices =
        "SELECT count(*) FROM connection_notices WHERE kind IN ('access_ending', 'access_ended')";
    assert_eq!(app.count(notices).await, 2);
    assert_eq!(
        app.actions_about("access_removal").await,
        ["access_removal.begin", "access_removal.done"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_grace_it_ends_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let begun = app.end_access(&of_principal(&scene.edge, OTHER), 0).await;
    assert_eq!(begun["state"], "ending");
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(
        app.aws_state(OTHER, &scene.waiting),
        ConnectionState::Rejected
    );
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.summary(&scene.stranger).await, "available");
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
    let late = app.try_to_take_back(&begun).await;
    late.refused("after the end", 409, "access_removal_over");
    let (actor, reason): (String, String) =
        sqlx::query_as("SELECT actor, reason FROM decisions WHERE verb = 'revoke'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(actor, ADMIN);
    assert!(
        reason.contains("the contract ended") && reason.contains("arm_"),
        "{reason}"
    );
}

/// What another principal lets in stays, and the preview says by which.
#[sqlx::test(migrations = "./migrations")]
async fn what_another_principal_lets_in_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let role = format!("arn:aws:iam::{OTHER}:role/edge");
    for also in [role.as_str(), "*"] {
        let all = json!({ "allowed_principals": [CONSUMER, OTHER, also] });
        app.change(&scene.edge, &all).await;
        app.run_until_rest().await;
        let cause = of_principal(&scene.edge, &root(OTHER));
        let preview = app.removal_preview(&cause).await;
        assert_eq!(
            preview["confirm"],
            json!({ "connections": 0, "principals": 1 })
        );
        let stays = &preview["connections_that_stay"];
        assert_eq!(stays.as_array().unwrap().len(), 2, "{also}");
        assert_eq!(stays[0]["kept_by"], also);
        app.end_access(&cause, 0).await;
        app.carry_access_on().await;
        assert_eq!(app.summary(&scene.live).await, "available");
        assert_eq!(app.summary(&scene.waiting).await, "waiting");
    }
    // Everybody goes: whoever has a principal of its own stays.
    let preview = app.removal_preview(&of_principal(&scene.edge, "*")).await;
    assert_eq!(preview["account_id"], Value::Null);
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    assert_eq!(preview["connections_that_stay"][0]["account_id"], CONSUMER);
    app.end_access(&of_principal(&scene.edge, "*"), 0).await;
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&scene.stranger).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_leaves_its_consumer_loses_access_everywhere(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let own = app.service_for("own", &[]).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    // The account itself was approved for one service, whoever it belongs to.
    let request = app.ask(&[&own], &json!({})).await;
    app.give(&request).await;
    // The consumer was approved for another.
    let theirs = app
        .ask(&[&scene.edge], &json!({ "consumer_id": acme }))
        .await;
    app.give(&theirs).await;
    app.run_until_rest().await;
    let approved = app.requested_by(OTHER, &own).await;
    app.decide(&approved, "accept").await;
    app.run_until_rest().await;
    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    let kept: Vec<&Value> = preview["services"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|service| service["principals_that_stay"].as_array().unwrap())
        .collect();
    assert_eq!(kept.len(), 1, "{preview}");
    assert_eq!(kept[0]["access_request_id"], request);
    let denial = app.deny(&json!({ "consumer_id": acme })).await;
    let refused = app.try_to_end_access(&cause, &preview["confirm"], 0).await;
    refused.refused("a way around the denial", 409, "consumer_denied");
    app.lift(Who::Admin, &denial).await.good();
    app.end_access(&cause, 0).await;
    let members = format!("/v1/consumers/{acme}/accounts");
    assert!(app.ids(&members).await.is_empty());
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&approved).await, "available");
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.allowed(&own).await, [root(OTHER)]);
    assert_eq!(app.access_request(&request).await["state"], "approved");
    assert_eq!(app.access_request(&theirs).await["state"], "revoked");
}

/// Only what requests alone brought goes with the last of them.
#[sqlx::test(migrations = "./migrations")]
async fn a_request_that_is_revoked_takes_what_it_brought(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[OTHER]).await;
    let fresh = app.service_for("fresh", &[]).await;
    let one = app.ask(&[&edge, &fresh], &json!({})).await;
    app.give(&one).await;
    let two = app.ask(&[&fresh], &json!({})).await;
    app.give(&two).await;
    app.run_until_rest().await;
    let mut live = Vec::new();
    for service in [&edge, &fresh] {
        let request = app.requested_by(OTHER, service).await;
        app.decide(&request, "accept").await;
        live.push(request);
    }
    app.run_until_rest().await;
    let of = |id: &str| json!({ "kind": "access_request", "access_request_id": id });
    let preview = app.removal_preview(&of(&one)).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 0, "principals": 0 })
    );
    assert_eq!(
        preview["connections_that_stay"].as_array().unwrap().len(),
        2
    );
    app.end_access(&of(&one), 0).await;
    app.carry_access_on().await;
    assert_eq!(app.access_request(&one).await["state"], "revoked");
    let again = json!({ "connections": 0, "principals": 0 });
    let twice = app.try_to_end_access(&of(&one), &again, 0).await;
    twice.refused("twice", 409, "access_request_not_approved");
    assert_eq!(app.allowed(&fresh).await, [root(OTHER)]);

    let preview = app.removal_preview(&of(&two)).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 1, "principals": 1 })
    );
    app.end_access(&of(&two), 0).await;
    app.carry_access_on().await;
    assert!(app.allowed(&fresh).await.is_empty());
    assert_eq!(app.aws_state(OTHER, &live[1]), ConnectionState::Rejected);
    assert_eq!(
        app.allowed(&edge).await,
        [root(OTHER)],
        "it was there before"
    );
    assert_eq!(app.summary(&live[0]).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_confirmed_has_to_be_what_would_be_done(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    let confirm = app.removal_preview(&cause).await["confirm"].clone();
    let fresh = app.requested_by(OTHER, &scene.edge).await;
    let stale = app.try_to_end_access(&cause, &confirm, 0).await;
    stale.refused("one more since", 409, "preview_changed");
    assert!(
        app.ids("/v1/access-removals").await.is_empty(),
        "nothing is left of it"
    );
    let named = app.service(&scene.edge.id).await["allowed_principals"].clone();
    assert_eq!(named, json!([root(CONSUMER), root(OTHER)]));
    app.decide(&fresh, "reject").await;
    let long = app.try_to_end_access(&cause, &confirm, 7_776_001).await;
    long.refused("too long", 400, "invalid_request");
    app.try_to_end_access(&cause, &confirm, 0).await.good();
    let twice = app.try_to_end_access(&cause, &confirm, 0).await;
    twice.refused("twice", 404, "principal_not_found");
    let nobody = "00000000000000000000000000000000";
    let acme = app.add_consumer("Acme").await;
    let service = format!("svc_{nobody}");
    for (cause, status, code) in [
        (
            json!({ "kind": "principal", "service_id": service, "principal": "*" }),
            404,
            "service_not_found",
        ),
        (of_principal(&scene.edge, "else"), 400, "invalid_request"),
        (
            json!({ "kind": "account", "consumer_id": format!("cns_{nobody}"), "account_id": OTHER }),
            404,
            "consumer_not_found",
        ),
        (
            json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER }),
            404,
            "consumer_account_not_found",
        ),
        (
            json!({ "kind": "access_request", "access_request_id": format!("acq_{nobody}") }),
            404,
            "access_request_not_found",
        ),
        (json!({ "kind": "mood" }), 400, "invalid_json"),
    ] {
        let body = json!({ "cause": cause });
        let answer = app
            .post(Who::Viewer, "/v1/access-removals/preview", &body)
            .await;
        answer.refused(&cause.to_string(), status, code);
    }
    let unknown = json!({ "id": format!("arm_{nobody}") });
    let answer = app.try_to_take_back(&unknown).await;
    answer.refused("unknown", 404, "access_removal_not_found");
}
