//! The review queue as people see it: who works on what, what is held, what was said, and what a decision says beside its reason.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::reviews::{ADMIN, APPROVER};
use crate::support::{CONSUMER, TestApp, Who};

const NOTHING: Value = Value::Null;

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["connection_id"].as_str().unwrap())
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_decision_says_more_than_its_reason(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let body = json!({
        "reason": "order 4711", "message": "Welcome.", "ticket_url": "https://tickets.example/4711",
    });
    app.tell(Who::Approver, &request, "accept", &body)
        .await
        .good();
    let seen = app.connection(&request).await;
    let history = seen["history"].as_array().unwrap();
    let decided = history
        .iter()
        .find(|entry| entry["event"] == "decided")
        .unwrap();
    assert_eq!(decided["message"], "Welcome.");
    assert_eq!(decided["ticket_url"], "https://tickets.example/4711");
    assert_eq!(decided["reason_code"], NOTHING);

    let other = app.requested(&service).await;
    for (what, body, code) in [
        (
            "http",
            json!({ "reason": "r", "ticket_url": "http://tickets.example" }),
            "invalid_request",
        ),
        (
            "script",
            json!({ "reason": "r", "ticket_url": "javascript:alert(1)" }),
            "invalid_request",
        ),
        (
            "empty",
            json!({ "reason": "r", "message": " " }),
            "invalid_request",
        ),
        (
            "long",
            json!({ "reason": "r", "message": "x".repeat(1001) }),
            "invalid_request",
        ),
        (
            "past",
            json!({ "reason": "r", "expires_at": "2020-01-01T00:00:00Z" }),
            "invalid_request",
        ),
        (
            "no time",
            json!({ "reason": "r", "expires_at": "soon" }),
            "invalid_json",
        ),
    ] {
        let answer = app.tell(Who::Approver, &other, "accept", &body).await;
        answer.refused(what, 400, code);
    }
    let body = json!({ "reason": "r", "expires_at": "2100-01-01T00:00:00Z" });
    let answer = app.tell(Who::Approver, &other, "reject", &body).await;
    answer.refused("a reject has no end", 400, "invalid_json");
    assert_eq!(app.summary(&other).await, "waiting");
}

#[sqlx::test(migrations = "./migrations")]
async fn comments_are_kept_in_order_and_for_good(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    for number in 1..=3 {
        app.advance(Duration::from_secs(1));
        let body = json!({ "body": format!("number {number}") });
        let said = app.tell(Who::Approver, &request, "comments", &body).await;
        assert_eq!(said.status, 201, "{}", said.text);
        assert_eq!(said.json()["author"], APPROVER);
    }
    let path = format!("/v1/connections/{}/comments", request.id);
    let first = app
        .get(Who::Viewer, &format!("{path}?limit=2"))
        .await
        .good();
    assert_eq!(first["items"][0]["body"], "number 3");
    assert_eq!(first["items"][1]["body"], "number 2");
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app
        .get(Who::Viewer, &format!("{path}?limit=2&cursor={cursor}"))
        .await
        .good();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], NOTHING);
    let seen = app.connection(&request).await;
    let history = seen["history"].as_array().unwrap().iter();
    let said: Vec<&Value> = history
        .filter(|entry| entry["step"] == "commented")
        .collect();
    assert_eq!(said.len(), 3);
    assert_eq!(said[0]["details"]["body"], "number 1");
    assert_eq!(app.queue("").await[0]["comments"], 3);

    for (what, body, code) in [
        ("empty", json!({ "body": " " }), "invalid_request"),
        (
            "long",
            json!({ "body": "x".repeat(4001) }),
            "invalid_request",
        ),
        ("none", json!({}), "invalid_json"),
    ] {
        let answer = app.tell(Who::Approver, &request, "comments", &body).await;
        answer.refused(what, 400, code);
    }
    let nobody = "/v1/connections/con_01890000000070008000000000000000/comments";
    let body = json!({ "body": "hello" });
    app.post(Who::Approver, nobody, &body)
        .await
        .refused("nobody's", 404, "connection_not_found");
    app.get(Who::Viewer, nobody)
        .await
        .refused("nobody's", 404, "connection_not_found");
    let changed = sqlx::query("UPDATE connection_comments SET body = 'another'")
        .execute(app.db())
        .await;
    assert!(changed.is_err(), "a comment can be changed");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_claim_is_seen_and_keeps_nobody_from_deciding(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let mine = app
        .tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .good();
    assert_eq!(mine["claim"]["by"], APPROVER);
    let theirs = app.tell(Who::Admin, &request, "claim", &NOTHING).await;
    theirs.refused("claimed", 409, "review_claimed");
    assert!(theirs.json()["detail"].as_str().unwrap().contains(APPROVER));
    // Again by the same person: it lasts longer from now on.
    app.advance(Duration::from_hours(3));
    app.tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .good();
    app.advance(Duration::from_hours(3));
    assert_eq!(app.queue(&format!("claimed_by={APPROVER}")).await.len(), 1);
    assert_eq!(app.queue("claimed=false").await.len(), 0);
    // It ends by itself.
    app.advance(Duration::from_hours(1));
    assert_eq!(app.connection(&request).await["claim"], NOTHING);
    assert_eq!(app.queue("claimed=true").await.len(), 0);
    app.tell(Who::Admin, &request, "release", &NOTHING)
        .await
        .refused("nobody's", 409, "review_not_claimed");
    // Another person's is left alone, but an admin may end anybody's.
    app.tell(Who::Admin, &request, "claim", &NOTHING)
        .await
        .good();
    app.tell(Who::Approver, &request, "release", &NOTHING)
        .await
        .refused("not mine", 409, "review_claimed");
    app.tell(Who::Admin, &request, "release", &NOTHING)
        .await
        .good();
    app.tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .good();
    let released = app
        .tell(Who::Admin, &request, "release", &NOTHING)
        .await
        .good();
    assert_eq!(released["claim"], NOTHING);

    app.tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .good();
    let decided = app
        .try_to_decide(Who::Admin, &request, "accept")
        .await
        .good();
    assert_eq!(decided["claim"], NOTHING, "the decision ends it");
    app.tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .refused("late", 409, "connection_already_decided");
    let steps = app.story(&request).await;
    let claims = steps.iter().filter(|step| *step == "claimed").count();
    let released = steps.iter().filter(|step| *step == "released").count();
    assert_eq!((claims, released), (5, 2), "{steps:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_hold_says_why_and_ends_by_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let until = app.clock_in(Duration::from_hours(2));
    let body = json!({ "reason": "the contract is being signed", "until": until });
    let held = app
        .tell(Who::Approver, &request, "hold", &body)
        .await
        .good();
    assert_eq!(held["hold"]["code"], "held_by_person");
    assert_eq!(held["hold"]["by"], APPROVER);
    let row = &app.queue("held=true").await[0];
    assert_eq!(row["hold"]["reason"], "the contract is being signed");
    assert_eq!(app.queue("held=false").await.len(), 0);
    app.advance(Duration::from_hours(2));
    assert_eq!(app.queue("held=true").await.len(), 0);
    let why = json!({ "reason": "signed" });
    app.tell(Who::Approver, &request, "unhold", &why)
        .await
        .refused("over", 409, "connection_not_held");

    app.tell(
        Who::Approver,
        &request,
        "hold",
        &json!({ "reason": "again" }),
    )
    .await
    .good();
    let free = app.tell(Who::Admin, &request, "unhold", &why).await.good();
    assert_eq!(free["hold"], NOTHING);
    let past = json!({ "reason": "late", "until": "2020-01-01T00:00:00Z" });
    app.tell(Who::Approver, &request, "hold", &past)
        .await
        .refused("past", 400, "invalid_request");

    app.tell(
        Who::Approver,
        &request,
        "hold",
        &json!({ "reason": "again" }),
    )
    .await
    .good();
    let decided = app.decide(&request, "reject").await;
    assert_eq!(decided["hold"], NOTHING, "the decision ends it");
    app.tell(Who::Approver, &request, "hold", &why)
        .await
        .refused("late", 409, "connection_already_decided");
    let steps = app.story(&request).await;
    assert_eq!(
        steps,
        ["observed", "held", "held", "unheld", "held", "reject"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_queue_has_what_waits_the_earliest_deadline_first(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let (slow, fast) = (
        app.created_service("slow").await,
        app.created_service("fast").await,
    );
    let first = app.requested(&slow).await;
    app.advance(Duration::from_hours(1));
    let second = app.requested(&fast).await;
    app.advance(Duration::from_hours(1));
    let third = app.requested(&slow).await;
    let decided = app.requested(&slow).await;
    app.decide(&decided, "reject").await;
    let order = [first.id.as_str(), &second.id, &third.id];
    assert_eq!(ids(&app.queue("").await), order);
    // The deadline counts, not the age.
    app.rules(&fast, &json!({ "review_sla_seconds": 1800 }))
        .await;
    let order = [second.id.as_str(), &first.id, &third.id];
    let rows = app.queue("").await;
    assert_eq!(ids(&rows), order);
    assert_eq!(rows[0]["overdue"], true);
    assert_eq!(rows[0]["age_seconds"], 3600);
    assert_eq!(rows[0]["service_name"], "fast");
    assert_eq!(rows[1]["overdue"], false);

    let mut walked = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let page = app
            .get(Who::Viewer, &format!("/v1/reviews?{query}"))
            .await
            .good();
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("limit=1&cursor={cursor}");
    }
    assert_eq!(ids(&walked), order);

    for (query, found) in [
        (
            format!("service_id={}", slow.id),
            vec![first.id.as_str(), &third.id],
        ),
        (format!("owner_account_id={CONSUMER}"), order.to_vec()),
        ("owner_account_id=999999999999".to_owned(), vec![]),
        ("overdue=true".to_owned(), vec![second.id.as_str()]),
        (
            "overdue=false".to_owned(),
            vec![first.id.as_str(), &third.id],
        ),
    ] {
        assert_eq!(ids(&app.queue(&query).await), found, "{query}");
    }
    for bad in [
        "cursor=1",
        "cursor=x_con_1",
        "overdue=perhaps",
        "owner=me",
        "limit=0",
    ] {
        let answer = app.get(Who::Viewer, &format!("/v1/reviews?{bad}")).await;
        answer.refused(bad, 400, "invalid_query");
    }

    app.tell(Who::Approver, &first, "claim", &NOTHING)
        .await
        .good();
    app.tell(Who::Approver, &third, "hold", &json!({ "reason": "later" }))
        .await
        .good();
    let summary = app.get(Who::Viewer, "/v1/reviews/summary").await.good();
    let figures = [
        "waiting",
        "overdue",
        "held",
        "unclaimed",
        "oldest_age_seconds",
    ];
    assert_eq!(
        figures.map(|name| summary[name].as_i64().unwrap()),
        [3, 1, 1, 2, 7200]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn rules_of_a_service_are_changed_by_whoever_has_read_them(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let path = format!("/v1/services/{}/review-rules", service.id);
    let seen = app.get(Who::Viewer, &path).await.good();
    assert_eq!(seen["version"], 1);
    assert_eq!(seen["approvals_required"], 1);
    assert_eq!(seen["review_sla_seconds"], NOTHING);
    assert_eq!(seen["effective"]["review_sla_seconds"], 86400);
    assert_eq!(seen["effective"]["reminder_seconds"], 64800);
    assert_eq!(seen["effective"]["on_overdue"], "keep");
    let body = json!({ "version": 1, "approvals_required": 2, "expiry_grace_seconds": 60, "reason": "audit" });
    let (one, two) = tokio::join!(
        app.patched(Who::Admin, &path, &body),
        app.patched(Who::Admin, &path, &body),
    );
    let (won, lost) = if one.status == 200 {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!(won.good()["version"], 2);
    lost.refused("the second", 409, "review_rules_changed");
    let body = json!({ "version": 2, "expiry_grace_seconds": null, "on_overdue": "reject" });
    let changed = app.patched(Who::Admin, &path, &body).await.good();
    assert_eq!(changed["version"], 3);
    assert_eq!(changed["approvals_required"], 2);
    assert_eq!(changed["expiry_grace_seconds"], NOTHING);
    assert_eq!(changed["effective"]["on_overdue"], "reject");
    let before = app.service(&service.id).await;
    assert_eq!(before["version"], 1, "AWS has nothing to do with it");
    for (what, change, code) in [
        (
            "three",
            json!({ "version": 3, "approvals_required": 3 }),
            "invalid_request",
        ),
        (
            "none",
            json!({ "version": 3, "review_sla_seconds": 0 }),
            "invalid_request",
        ),
        (
            "negative",
            json!({ "version": 3, "expiry_grace_seconds": -1 }),
            "invalid_request",
        ),
        (
            "for ever",
            json!({ "version": 3, "review_sla_seconds": i64::MAX }),
            "invalid_request",
        ),
        (
            "a word",
            json!({ "version": 3, "on_overdue": "accept" }),
            "invalid_json",
        ),
    ] {
        app.patched(Who::Admin, &path, &change)
            .await
            .refused(what, 400, code);
    }
    let unnamed = json!({ "approvals_required": 2 });
    app.patched(Who::Admin, &path, &unnamed).await.refused(
        "no version",
        428,
        "precondition_required",
    );
    let nothing = "/v1/services/svc_01890000000070008000000000000000/review-rules";
    app.get(Who::Viewer, nothing)
        .await
        .refused("nothing", 404, "service_not_found");
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.change_review_rules' AND actor = 'admin@provider.example'";
    assert_eq!(app.count(told).await, 2);
    assert_eq!(ADMIN, "admin@provider.example");
}

/// A change that would reject what waits now is not made by accident.
#[sqlx::test(migrations = "./migrations")]
async fn rejecting_what_is_overdue_takes_a_confirmation(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.requested(&service).await;
    app.requested(&service).await;
    let path = format!("/v1/services/{}/review-rules", service.id);
    app.advance(Duration::from_hours(2));
    let body = json!({ "version": 1, "review_sla_seconds": 3600, "on_overdue": "reject" });
    let answer = app.patched(Who::Admin, &path, &body).await;
    answer.refused("unconfirmed", 409, "confirmation_required");
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("2 requests"),
        "{}",
        answer.text
    );
    let later = json!({ "version": 1, "review_sla_seconds": 86400, "on_overdue": "reject" });
    app.patched(Who::Admin, &path, &later).await.good();
    let shorter = json!({ "version": 2, "review_sla_seconds": 3600 });
    app.patched(Who::Admin, &path, &shorter)
        .await
        .refused("shorter", 409, "confirmation_required");
    let meant = json!({ "version": 2, "review_sla_seconds": 3600, "confirm_reject_overdue": true });
    app.patched(Who::Admin, &path, &meant).await.good();
}

/// What fills the trail without being a step of the review is not read through for ever.
#[sqlx::test(migrations = "./migrations")]
async fn steps_are_looked_for_among_the_newest_entries(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let said = json!({ "body": "hello" });
    app.tell(Who::Approver, &request, "comments", &said)
        .await
        .good();
    for (more, shown) in [(999, 1), (1, 0)] {
        sqlx::query(
            "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
             SELECT gen_random_uuid(), at + interval '1 minute', actor_kind, actor, 'connection.retry_sync', subject_kind, subject_id
               FROM (SELECT * FROM audit_entries WHERE action = 'connection.comment') AS said, generate_series(1, $1)",
        )
        .bind(more)
        .execute(app.db())
        .await
        .unwrap();
        let seen = app.connection(&request).await;
        let history = seen["history"].as_array().unwrap().iter();
        let steps = history.filter(|entry| entry["step"] == "commented");
        assert_eq!(steps.count(), shown, "after {more} more");
    }
}
