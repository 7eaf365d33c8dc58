//! Two persons for one accept: who counts, what ends an approval, and what happens when they come at once.

use std::time::Duration;

use portcullis::worker::observe;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::reviews::{ADMIN, APPROVER};
use crate::support::{TestApp, Who};

const NOTHING: Value = Value::Null;

#[sqlx::test(migrations = "./migrations")]
async fn two_different_persons_accept(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let request = app.requested(&service).await;
    let far = app.clock_in(Duration::from_hours(500));
    let near = app.clock_in(Duration::from_hours(100));
    let body = json!({ "reason": "paid", "expires_at": near, "ticket_url": "https://t.example/1" });
    let first = app
        .tell(Who::Approver, &request, "accept", &body)
        .await
        .good();
    assert_eq!(first["review"]["state"], "undecided");
    assert_eq!(first["summary"], "waiting");
    assert_eq!(first["approvals_required"], 2);
    assert_eq!(first["approvals"][0]["approver"], APPROVER);
    app.run_until_rest().await;
    assert_eq!(
        app.accepts(&request),
        0,
        "AWS is not told of one person's yes"
    );
    let again = app.try_to_decide(Who::Approver, &request, "accept").await;
    again.refused("the same person", 409, "approval_by_same_person");
    assert_eq!(app.queue("").await[0]["approvals"][0]["approver"], APPROVER);

    let body = json!({ "reason": "checked", "expires_at": far, "message": "Welcome." });
    let second = app.tell(Who::Admin, &request, "accept", &body).await.good();
    assert_eq!(second["review"]["state"], "accepted");
    assert_eq!(second["approvals"], json!([]));
    assert_eq!(second["expiry"]["expires_at"], near, "the earliest counts");
    let decision = app.only_decision(&request).await;
    assert_eq!(decision["actor"], ADMIN);
    assert_eq!(decision["message"], "Welcome.");
    let approvals = decision["inputs"]["approvals"].as_array().unwrap();
    let by: Vec<&str> = approvals
        .iter()
        .map(|one| one["approver"].as_str().unwrap())
        .collect();
    assert_eq!(by, [APPROVER, ADMIN]);
    assert_eq!(
        app.count(
            "SELECT count(*) FROM approvals WHERE ended_as = 'used' AND decision_id IS NOT NULL"
        )
        .await,
        2
    );
    assert_eq!(
        app.story(&request).await,
        ["observed", "approved", "approved", "accept"]
    );
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_approval_can_be_taken_back_and_one_reject_is_enough(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let why = json!({ "reason": "a mistake" });
    app.tell(Who::Admin, &request, "withdraw-approval", &why)
        .await
        .refused("not theirs", 409, "approval_missing");
    let without = app
        .tell(Who::Approver, &request, "withdraw-approval", &why)
        .await
        .good();
    assert_eq!(without["approvals"], json!([]));
    app.tell(Who::Approver, &request, "withdraw-approval", &why)
        .await
        .refused("twice", 409, "approval_missing");
    // The other person is the first now.
    let first = app
        .try_to_decide(Who::Admin, &request, "accept")
        .await
        .good();
    assert_eq!(first["review"]["state"], "undecided");
    let rejected = app.decide(&request, "reject").await;
    assert_eq!(rejected["review"]["state"], "rejected");
    assert_eq!(rejected["approvals"], json!([]));
    let ended = "SELECT count(*) FROM approvals WHERE (ended_as, approver) IN (('withdrawn', 'approver@provider.example'), ('overruled', 'admin@provider.example'))";
    assert_eq!(app.count(ended).await, 2);
    app.tell(Who::Admin, &request, "withdraw-approval", &why)
        .await
        .refused("decided", 409, "approval_missing");
    assert_eq!(
        app.story(&request).await,
        [
            "observed",
            "approved",
            "approval_withdrawn",
            "approved",
            "reject"
        ]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_approval_counts_when_the_service_asks_for_one_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.rules(&service, &json!({ "approvals_required": 1 }))
        .await;
    let accepted = app.decide(&request, "accept").await;
    assert_eq!(accepted["review"]["state"], "accepted");
    app.only_decision(&request).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn approvals_lapse_when_the_endpoint_is_gone(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    app.run_worker().await;
    let late = app.try_to_decide(Who::Admin, &request, "accept").await;
    late.refused("gone", 409, "connection_closed");
    let taken = app.timers().await;
    assert_eq!(
        taken.iter().map(|step| step.as_str()).collect::<Vec<_>>(),
        ["lapse"]
    );
    assert_eq!(app.connection(&request).await["approvals"], json!([]));
    assert_eq!(
        app.count("SELECT count(*) FROM approvals WHERE ended_as = 'lapsed'")
            .await,
        1
    );
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);
}

/// A drift is adopted by one person, so it is no way round the second.
#[sqlx::test(migrations = "./migrations")]
async fn adopting_a_drift_does_not_stand_in_for_the_second_person(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox("state=open&kind=accepted_outside").await);
    let answer = app.settle(Who::Admin, &id, "adopt").await;
    answer.refused("adopt", 409, "approvals_required");
    app.decide(&request, "accept").await;
    let done = app
        .try_to_decide(Who::Admin, &request, "accept")
        .await
        .good();
    assert_eq!(done["review"]["state"], "accepted");
    assert_eq!(app.drift(&id).await["state"], "adopted");
}

/// Of two approvers at once each is heard, and there is one decision with both.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_approvers_at_once_both_count_and_one_decision_is_made(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    for _ in 0..8 {
        let request = app.requested(&service).await;
        let (one, two, same) = tokio::join!(
            app.try_to_decide(Who::Approver, &request, "accept"),
            app.try_to_decide(Who::Admin, &request, "accept"),
            app.try_to_decide(Who::Approver, &request, "accept"),
        );
        // The same person twice: one of the two is refused, in whichever words its moment has.
        let answers = [&one, &two, &same];
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 2, "{answers:?}");
        let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
        let code = refused.json()["code"].as_str().unwrap().to_owned();
        assert!(
            ["approval_by_same_person", "connection_already_decided"].contains(&code.as_str()),
            "{code}"
        );
        assert_eq!(
            app.connection(&request).await["review"]["state"],
            "accepted"
        );
        let decision = app.only_decision(&request).await;
        let mut by: Vec<&str> = decision["inputs"]["approvals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["approver"].as_str().unwrap())
            .collect();
        by.sort_unstable();
        assert_eq!(by, [ADMIN, APPROVER]);
    }
}

/// An approval against a reject: whatever comes first, the reject stands, and no approval is left over.
#[sqlx::test(migrations = "./migrations")]
async fn an_approval_against_a_reject_leaves_one_decision(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    for _ in 0..8 {
        let request = app.requested(&service).await;
        let (accept, reject) = tokio::join!(
            app.try_to_decide(Who::Approver, &request, "accept"),
            app.try_to_decide(Who::Admin, &request, "reject"),
        );
        reject.good();
        if accept.status != 200 {
            accept.refused("late", 409, "connection_already_decided");
        }
        assert_eq!(app.only_decision(&request).await["verb"], "reject");
        assert_eq!(app.connection(&request).await["approvals"], json!([]));
    }
    assert_eq!(
        app.count("SELECT count(*) FROM approvals WHERE ended_at IS NULL")
            .await,
        0
    );
}

/// The last approval against a reject: one of the two is heard.
#[sqlx::test(migrations = "./migrations")]
async fn the_second_approval_against_a_reject_leaves_one_decision(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    for _ in 0..8 {
        let request = app.requested(&service).await;
        app.decide(&request, "accept").await;
        let (accept, reject) = tokio::join!(
            app.try_to_decide(Who::Admin, &request, "accept"),
            app.try_to_decide(Who::Approver, &request, "reject"),
        );
        let (verb, loser) = if accept.status == 200 {
            ("accept", reject)
        } else {
            ("reject", accept)
        };
        loser.refused("the second", 409, "connection_already_decided");
        assert_eq!(app.only_decision(&request).await["verb"], verb);
    }
    assert_eq!(
        app.count("SELECT count(*) FROM approvals WHERE ended_at IS NULL")
            .await,
        0
    );
}

/// The consumer deletes the endpoint while the second person approves: either there is a decision that came first, or there is none.
#[sqlx::test(migrations = "./migrations")]
async fn an_approval_against_the_consumers_delete_is_refused_or_came_first(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    for _ in 0..6 {
        let request = app.requested(&service).await;
        app.decide(&request, "accept").await;
        app.consumer().delete_endpoint(&request.endpoint).unwrap();
        app.advance(Duration::from_secs(1));
        let place = app.place().await;
        let (looked, accept) = tokio::join!(
            observe::run_pass(&place),
            app.try_to_decide(Who::Admin, &request, "accept"),
        );
        looked.unwrap();
        let decided = if accept.status == 200 {
            "accepted"
        } else {
            accept.refused("late", 409, "connection_closed");
            "undecided"
        };
        app.run_until_rest().await;
        app.timers().await;
        let seen = app.connection(&request).await;
        assert_eq!(seen["review"]["state"], decided);
        assert_eq!(seen["approvals"], json!([]));
        assert_eq!(seen["summary"], "deleted", "{seen}");
        assert_eq!(
            seen["review"]["decision_id"] == NOTHING,
            decided == "undecided"
        );
        assert_eq!(
            app.accepts(&request),
            0,
            "nothing is sent for an endpoint that is gone"
        );
    }
    assert_eq!(
        app.count("SELECT count(*) FROM approvals WHERE ended_at IS NULL")
            .await,
        0
    );
}
