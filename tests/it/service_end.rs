//! A service is drained, deleted, taken back or released: what people see, what AWS is told, and what stays.

use std::time::Duration;

use portcullis::worker::{hint_setup, sync_services};
use privatelink_sim::Behavior;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::{GRANT, MODIFY, root};
use crate::support::drifts::OTHER;
use crate::support::ending::{ATTACHED, DELETE};
use crate::support::http::send;
use crate::support::{CONSUMER, HERE, PROVIDER, Setup, TestApp, Who};

/// I17: every connection that goes has a decision, in the name of whoever asked.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_frozen_announced_emptied_and_deleted(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let live = app.accepted(&service, 2).await;
    let waiting = app.requested(&service).await;
    assert_eq!(app.notifications().await.len(), 1);

    let body = json!({ "reject_after_seconds": 600, "then_delete": true, "confirm_delete": true });
    let drained = app.end(&service, "drain", body).await;
    assert_eq!(drained["lifecycle"]["state"], "draining");
    assert_eq!(drained["lifecycle"]["by"], "admin@provider.example");
    assert_eq!(drained["lifecycle"]["reason"], "drain: ticket 99");
    assert_eq!(drained["drain"]["phase"], "freezing");
    app.run_until_rest().await;

    let drain = app.drain_of(&service).await;
    assert_eq!(drain["phase"], "notice", "{drain}");
    assert_eq!(
        drain["connections"],
        json!({ "available": 2, "pendingAcceptance": 1 })
    );
    assert_eq!(
        (drain["live"].as_i64(), drain["to_reject"].as_i64()),
        (Some(3), Some(3))
    );
    assert_eq!(drain["blocking_count"], 3);
    assert_eq!(drain["blocking"][0]["owner_account_id"], CONSUMER);
    assert!(drain["frozen_at"].is_string(), "{drain}");
    assert_eq!(app.allowed(&service).await, Vec::<String>::new());
    assert_eq!(
        app.kinds("").await,
        Vec::<String>::new(),
        "what we did is no drift"
    );
    assert!(app.consumer().create_endpoint(&service.name).is_err());
    for request in live.iter().chain([&waiting]) {
        let history = app.connection(request).await["history"].clone();
        let told = history
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["event"] == "notified");
        let told: Vec<&Value> = told.collect();
        assert_eq!(told.len(), 1, "{history}");
        assert_eq!(told[0]["notice"], "service_draining");
        assert_eq!(told[0]["content"]["reason"], "drain: ticket 99");
    }
    app.try_to_decide(Who::Approver, &waiting, "accept")
        .await
        .refused("accept", 409, "service_draining");
    // Access may still be taken away by hand.
    app.decide(&live[0], "revoke").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&live[0]).await, "revoked");
    assert_eq!(app.summary(&live[1]).await, "available");

    app.until_life(&service, "deleted").await;
    assert!(!app.stands(&service).await);
    assert_eq!(app.notifications().await.len(), 0, "ours went with it");
    let road = app.hint_setup().await;
    assert!(
        app.messages()
            .topic(road["topic_arn"].as_str().unwrap())
            .await
            .is_ok()
    );
    for (request, word) in [(&live[1], "revoke"), (&waiting, "reject")] {
        let seen = app.connection(request).await;
        let mut decided = seen["history"].as_array().unwrap().iter().rev();
        let decided = decided.find(|e| e["event"] == "decided").unwrap();
        assert_eq!(decided["verb"], word, "{seen}");
        assert_eq!(decided["actor"], "admin@provider.example");
        assert_eq!(decided["reason"], "drain: ticket 99");
    }
    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM audit_entries WHERE subject_kind = 'endpoint_service' ORDER BY at, id",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(
        actions[1..],
        [
            "endpoint_service.drain",
            "endpoint_service.call_delete",
            "endpoint_service.deleted"
        ]
    );
    // Nothing is asked of AWS for it any more, and no notification is made again.
    let calls = app.sim().calls().count();
    app.advance(Duration::from_mins(10));
    assert_eq!(sync_services::run_pass(&place).await.unwrap().due, 0);
    assert_eq!(app.sim().calls().count(), calls);
    hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(app.notifications().await.len(), 0);
    let doctor = app
        .get(Who::Viewer, &format!("/v1/services/{}/doctor", service.id))
        .await
        .good();
    let told = doctor["most_likely"].as_str().unwrap();
    assert!(told.contains("the service was deleted"), "{told}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_drain_alone_ends_drained_and_can_be_deleted_later(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let live = app.accepted(&service, 1).await;
    app.drain(&service, 0).await;
    app.run_until_rest().await;
    app.after(Duration::from_secs(5)).await;
    assert_eq!(app.summary(&live[0]).await, "revoked");
    assert_eq!(app.phase(&service).await, "drained");
    assert!(app.stands(&service).await);
    let doctor = app
        .get(Who::Viewer, &format!("/v1/services/{}/doctor", service.id))
        .await
        .good();
    let told = doctor["most_likely"].as_str().unwrap();
    assert!(told.contains("on its way out"), "{told}");

    let with_notice = json!({ "reject_after_seconds": 5, "confirm_delete": true });
    let refused = app.try_to_end(&service, "delete", with_notice).await;
    refused.refused("a second notice", 400, "invalid_request");
    let unconfirmed = app.try_to_end(&service, "delete", json!({})).await;
    unconfirmed.refused("unconfirmed", 409, "confirmation_required");
    app.end(&service, "delete", json!({ "confirm_delete": true }))
        .await;
    app.until_life(&service, "deleted").await;
    assert!(!app.stands(&service).await);
    let again = app
        .try_to_end(&service, "delete", json!({ "confirm_delete": true }))
        .await;
    again.refused("again", 409, "service_ended");
}

/// AWS counts rejected endpoints until their consumers delete them: which they are is shown, and AWS is asked again ever more rarely.
#[sqlx::test(migrations = "./migrations")]
async fn endpoints_in_the_way_are_shown_and_waited_for(pool: PgPool) {
    let behavior = Behavior {
        reject_settle_ms: 30 * 24 * 3_600_000,
        ..Behavior::instant()
    };
    let app = TestApp::start_with(
        pool,
        Setup {
            behavior,
            ..Setup::default()
        },
    );
    let service = app.with_service().await;
    let live = app.accepted(&service, 2).await;
    app.delete(&service).await;
    app.run_until_rest().await;
    let drain = app.drain_of(&service).await;
    assert_eq!(drain["phase"], "waiting", "{drain}");
    assert_eq!(drain["code"], ATTACHED);
    assert_eq!(drain["blocking_count"], 2);
    assert_eq!(drain["blocking"][0]["state"], "rejected");
    for request in &live {
        let named = drain["blocking"].as_array().unwrap().iter();
        let mut named = named.map(|row| row["endpoint_id"].as_str().unwrap());
        assert!(named.any(|id| id == request.endpoint.as_str()), "{drain}");
    }
    assert_eq!(
        app.life(&service).await,
        "draining",
        "AWS did nothing, so it can be taken back"
    );
    let asked = app.calls(DELETE);
    assert_eq!(asked, 1);
    for _ in 0..20 {
        app.after(Duration::from_secs(30)).await;
    }
    let calls = app.calls(DELETE) - asked;
    assert!((3..=10).contains(&calls), "{calls} calls in 10 minutes");
    // Whoever does not want to wait asks at once.
    let path = format!("/v1/services/{}/retry-sync", service.id);
    app.post(Who::Admin, &path, &json!({})).await.good();
    app.run_until_rest().await;
    assert_eq!(app.calls(DELETE) - asked, calls + 1);

    for request in &live {
        app.consumer().delete_endpoint(&request.endpoint).unwrap();
    }
    app.until_life(&service, "deleted").await;
    assert!(!app.stands(&service).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_drain_is_taken_back_in_every_phase(pool: PgPool) {
    let behavior = Behavior {
        reject_settle_ms: 30 * 24 * 3_600_000,
        ..Behavior::instant()
    };
    let app = TestApp::start_with(
        pool,
        Setup {
            behavior,
            ..Setup::default()
        },
    );
    app.add_account_region().await;
    for phase in ["freezing", "notice", "waiting"] {
        let service = app.created_service(phase).await;
        let open = json!({ "acceptance_required": false, "allowed_principals": [CONSUMER, OTHER] });
        let live = app.accepted(&service, 1).await.remove(0);
        app.change(&service, &open).await;
        app.run_until_rest().await;
        let seconds = if phase == "notice" { 600 } else { 0 };
        let body =
            json!({ "reject_after_seconds": seconds, "then_delete": true, "confirm_delete": true });
        app.end(&service, "drain", body).await;
        if phase != "freezing" {
            app.run_until_rest().await;
            assert!(app.in_aws(&service).await.acceptance_required, "{phase}");
            assert_eq!(app.allowed(&service).await, Vec::<String>::new(), "{phase}");
        }
        assert_eq!(app.phase(&service).await, phase);
        let active = app.end(&service, "cancel-drain", json!({})).await;
        assert_eq!(active["lifecycle"]["state"], "active", "{phase}");
        assert_eq!(active["drain"], Value::Null, "{phase}");
        app.run_until_rest().await;
        let seen = app.service(&service.id).await;
        assert_eq!(seen["sync"]["state"], "idle", "{phase}: {seen}");
        assert_eq!(seen["differences"], json!([]), "{phase}");
        assert!(!app.in_aws(&service).await.acceptance_required, "{phase}");
        assert_eq!(
            app.allowed(&service).await,
            [root(CONSUMER), root(OTHER)],
            "{phase}"
        );
        let end = if phase == "waiting" {
            "revoked"
        } else {
            "available"
        };
        assert_eq!(app.summary(&live).await, end, "{phase}");
        let history = app.connection(&live).await["history"].clone();
        let told = history.as_array().unwrap().iter();
        let told = told
            .filter(|e| e["notice"] == "service_drain_cancelled")
            .count();
        assert_eq!(told, usize::from(phase == "notice"), "{phase}: {history}");
        let again = app.try_to_end(&service, "cancel-drain", json!({})).await;
        again.refused(phase, 409, "service_not_draining");
    }
    // No drift came of it, but for what the service let in by itself.
    assert_eq!(
        app.kinds("kind=service_reconfigured").await,
        Vec::<String>::new()
    );
    assert_eq!(
        app.kinds("kind=unknown_principal").await,
        Vec::<String>::new()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_on_its_way_out_is_not_changed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.drain(&service, 600).await;
    app.run_until_rest().await;
    let changed = app
        .try_to_change(&service, &json!({ "name": "other" }))
        .await;
    changed.refused("change", 409, "service_draining");
    let path = format!("/v1/services/{}", service.id);
    let zones = app
        .post(Who::Admin, &format!("{path}/refresh-zones"), &json!({}))
        .await;
    zones.refused("refresh", 409, "service_draining");
    let again = app
        .try_to_end(&service, "drain", json!({ "reject_after_seconds": 0 }))
        .await;
    again.refused("again", 409, "service_draining");
    app.end(&service, "release", json!({})).await;
    for verb in ["drain", "delete", "cancel-drain", "release"] {
        let body = match verb {
            "drain" => json!({ "reject_after_seconds": 0 }),
            "delete" => json!({ "reject_after_seconds": 0, "confirm_delete": true }),
            _ => json!({}),
        };
        let refused = app.try_to_end(&service, verb, body).await;
        refused.refused(verb, 409, "service_ended");
    }
    for verb in ["refresh-zones", "retry-sync", "check"] {
        let refused = app
            .post(Who::Admin, &format!("{path}/{verb}"), &json!({}))
            .await;
        refused.refused(verb, 409, "service_ended");
    }
    let changed = app
        .try_to_change(&service, &json!({ "name": "other" }))
        .await;
    changed.refused("change", 409, "service_ended");
}

#[sqlx::test(migrations = "./migrations")]
async fn requests_that_make_no_sense_are_refused_by_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for (body, field) in [
        (json!({}), "reject_after_seconds"),
        (
            json!({ "reject_after_seconds": 40_000_000 }),
            "reject_after_seconds",
        ),
        (
            json!({ "reject_after_seconds": 1, "reject_at": "2030-01-01T00:00:00Z" }),
            "reject_at",
        ),
    ] {
        let answer = app.try_to_end(&service, "drain", body.clone()).await;
        answer.refused(&body.to_string(), 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
    let body = json!({ "reject_after_seconds": 1, "then_delete": true });
    let answer = app.try_to_end(&service, "drain", body).await;
    answer.refused("unconfirmed", 409, "confirmation_required");
    let path = format!("/v1/services/{}/drain", service.id);
    let stale = json!({ "version": 77, "reason": "x", "reject_after_seconds": 1 });
    app.post(Who::Admin, &path, &stale)
        .await
        .refused("stale", 409, "service_changed");
    let silent = json!({ "version": 1, "reason": " ", "reject_after_seconds": 1 });
    app.post(Who::Admin, &path, &silent)
        .await
        .refused("silent", 400, "invalid_request");
    let unread = json!({ "account_id": PROVIDER, "region": HERE, "name": "old", "aws_service_id": "vpce-svc-0123456789abcdef0" });
    let made = app.post(Who::Admin, "/v1/services", &unread).await.good();
    let path = format!("/v1/services/{}/drain", made["id"].as_str().unwrap());
    let body = json!({ "version": 1, "reason": "x", "reject_after_seconds": 1 });
    app.post(Who::Admin, &path, &body)
        .await
        .refused("unread", 409, "service_not_observed");
}

/// What somebody else let in is named and left; what was not ours before is not ours now.
#[sqlx::test(migrations = "./migrations")]
async fn only_our_principals_are_taken_out(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.grant(&service, &[&root(OTHER)], &[]).await;
    app.drain(&service, 600).await;
    app.run_until_rest().await;
    assert_eq!(app.allowed(&service).await, [root(OTHER)]);
    let drain = app.drain_of(&service).await;
    assert_eq!(drain["foreign_principals"], json!([root(OTHER)]));
    assert_eq!(app.kinds("").await, Vec::<String>::new());
    let calls = app.calls(GRANT) + app.calls(MODIFY);
    // Somebody opens it again: the freeze stands.
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    assert!(app.in_aws(&service).await.acceptance_required);
    assert_eq!(app.calls(GRANT) + app.calls(MODIFY), calls + 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_released_service_is_left_alone_and_can_be_registered_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let live = app.accepted(&service, 1).await.remove(0);
    let waiting = app.requested(&service).await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    assert_eq!(app.kinds("state=open").await, ["service_reconfigured open"]);
    app.decide(&waiting, "reject").await;
    let released = app.end(&service, "release", json!({})).await;
    assert_eq!(released["lifecycle"]["state"], "released");
    assert_eq!(app.kinds("state=open").await, Vec::<String>::new());
    let mutations = app.mutations();
    app.consumer().delete_endpoint(&live.endpoint).unwrap();
    app.look_again().await;
    assert_eq!(app.mutations(), mutations, "AWS is told nothing more");
    assert_eq!(app.summary(&live).await, "available", "as it was last seen");
    assert_eq!(app.connection(&waiting).await["sync"]["state"], "idle");
    for verb in ["accept", "reject", "revoke"] {
        let refused = app.try_to_decide(Who::Approver, &live, verb).await;
        refused.refused(verb, 409, "service_ended");
    }
    // It is a service that nobody registered, until somebody does.
    app.take_fresh_inventory().await;
    assert_eq!(app.kinds("state=open").await, ["unknown_service open"]);
    let body = json!({ "account_id": PROVIDER, "region": HERE, "name": "again", "aws_service_id": service.aws_id });
    let again = app.registered(&body).await;
    assert_ne!(again.id, service.id);
    assert_eq!(
        app.kinds("state=open&kind=unknown_service").await,
        Vec::<String>::new()
    );
    app.post(Who::Admin, "/v1/services", &body)
        .await
        .refused("twice", 409, "service_exists");
    app.look_again().await;
    let path = format!("/v1/connections?service_id={}", again.id);
    let listed = app.get(Who::Viewer, &path).await.good();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    for (lifecycle, count) in [("active", 1), ("released", 1), ("deleted", 0)] {
        let path = format!("/v1/services?lifecycle={lifecycle}");
        let listed = app.get(Who::Viewer, &path).await.good();
        assert_eq!(
            listed["items"].as_array().unwrap().len(),
            count,
            "{lifecycle}"
        );
    }
    app.delete(&again).await;
    app.until_life(&again, "deleted").await;
    assert_eq!(app.life(&service).await, "released");
}

/// Decisions are made in many short transactions, and AWS is told in batches as ever.
#[sqlx::test(migrations = "./migrations")]
async fn hundreds_are_drained_in_chunks(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let consumer = app.consumer();
    for _ in 0..300 {
        consumer.create_endpoint(&service.name).unwrap();
    }
    app.run_worker().await;
    let begun = app.count("SELECT count(*) FROM connections").await;
    assert_eq!(begun, 300);
    app.delete(&service).await;
    app.until_life(&service, "deleted").await;
    let transactions = app
        .count("SELECT count(DISTINCT xmin::text) FROM decisions")
        .await;
    assert_eq!(transactions, 6, "50 in each");
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 300);
    let notices = app.count("SELECT count(*) FROM connection_notices").await;
    assert_eq!(notices, 300);
    let calls = app.calls("RejectVpcEndpointConnections");
    assert!((1..=4).contains(&calls), "{calls} calls for 300");
}

/// A service that AWS never answered for has nothing to be deleted there.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_never_made_is_closed_without_a_call(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [app.load_balancer("edge")],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/services/{id}");
    let body = json!({ "version": 1, "reason": "a mistake", "reject_after_seconds": 0, "confirm_delete": true });
    app.post(Who::Admin, &format!("{path}/delete"), &body)
        .await
        .good();
    app.run_until_rest().await;
    assert_eq!(app.service(id).await["lifecycle"]["state"], "deleted");
    assert_eq!(app.mutations(), 0);
    let request = app.request(Who::Admin, reqwest::Method::DELETE, &path);
    send(request)
        .await
        .refused("there is a verb for that", 405, "method_not_allowed");
}
