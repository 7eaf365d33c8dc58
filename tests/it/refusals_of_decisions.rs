//! Decisions that are refused: too late, twice, by the wrong person, without a reason.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn a_second_decision_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let early = app.try_to_decide(Who::Approver, &request, "revoke").await;
    early.refused("revoke before accept", 409, "connection_not_revocable");

    app.decide(&request, "accept").await;
    for at in ["before AWS is told", "after"] {
        for verb in ["accept", "reject"] {
            let again = app.try_to_decide(Who::Approver, &request, verb).await;
            again.refused(&format!("{verb} {at}"), 409, "connection_already_decided");
        }
        app.run_until_rest().await;
    }
    app.decide(&request, "revoke").await;
    let twice = app.try_to_decide(Who::Approver, &request, "revoke").await;
    twice.refused("revoke twice", 409, "connection_not_revocable");
    let back = app.try_to_decide(Who::Approver, &request, "accept").await;
    back.refused("accept after revoke", 409, "connection_already_decided");

    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 2);
    let told = "SELECT count(*) FROM audit_entries WHERE action LIKE 'connection.%' AND decision_id IS NOT NULL";
    assert_eq!(app.count(told).await, 2, "a refusal leaves no trace");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_has_ended_is_not_decided(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let deleted = app.requested(&service).await;
    app.consumer().delete_endpoint(&deleted.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    app.run_worker().await;
    assert_eq!(app.summary(&deleted).await, "deleted");

    let expired = app.requested(&service).await;
    app.advance(Duration::from_hours(15 * 24));
    app.make_partitions().await;
    app.run_worker().await;
    assert_eq!(app.summary(&expired).await, "expired");

    for (what, request) in [("deleted", &deleted), ("expired", &expired)] {
        for verb in ["accept", "reject"] {
            let late = app.try_to_decide(Who::Approver, request, verb).await;
            late.refused(&format!("{verb} {what}"), 409, "connection_closed");
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_decision_needs_a_reason_of_a_bounded_length(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let cases: &[(Value, &str)] = &[
        (json!({ "reason": "" }), "invalid_request"),
        (json!({ "reason": " \n " }), "invalid_request"),
        (json!({ "reason": "x".repeat(1001) }), "invalid_request"),
        (json!({ "reason": "nul\u{0}" }), "invalid_request"),
        (json!({}), "invalid_json"),
        (json!({ "reason": 7 }), "invalid_json"),
        (json!({ "reason": "fine", "force": true }), "invalid_json"),
    ];
    for verb in ["accept", "reject", "revoke"] {
        for (body, code) in cases {
            let path = format!("/v1/connections/{}/{verb}", request.id);
            let answer = app.post(Who::Approver, &path, body).await;
            answer.refused(&format!("{verb} {body}"), 400, code);
        }
    }
    let longest = json!({ "reason": "ä".repeat(1000) });
    let path = format!("/v1/connections/{}/accept", request.id);
    app.post(Who::Approver, &path, &longest).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn deciding_is_for_approvers_and_registering_for_admins(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    for verb in ["accept", "reject", "revoke"] {
        let answer = app.try_to_decide(Who::Viewer, &request, verb).await;
        answer.refused(verb, 403, "forbidden");
        assert!(
            answer
                .header("www-authenticate")
                .contains(r#"scope="decide""#)
        );
    }
    let answer = app
        .post(Who::Approver, "/v1/services", &json!({ "rubbish": true }))
        .await;
    answer.refused("registering", 403, "forbidden");
    assert_eq!(app.summary(&request).await, "waiting");
}
