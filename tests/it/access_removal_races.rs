//! Access that is taken away and given back: within the grace, against timers, drains, blocks and accepts, and that nothing slips through.

use std::time::Duration;

use portcullis::app::block_step::{self, Progress};
use portcullis::app::end_access_step;
use portcullis::domain::ids::AccessRemovalId;
use privatelink::ConnectionState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::drifts::OTHER;
use crate::support::removals::{of_principal, scene};
use crate::support::{CONSUMER, TestApp, Who};

/// All that was taken comes back within the grace, except for what was rejected at once.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_can_be_taken_back_while_its_grace_lasts(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    let fresh = app.service_for("fresh", &[]).await;
    let request = app.ask(&[&fresh], &json!({ "consumer_id": acme })).await;
    app.give(&request).await;
    app.run_until_rest().await;
    let later = json!({ "at": app.clock_in(Duration::from_hours(24)), "reason": "as agreed" });
    app.tell(Who::Approver, &scene.live, "schedule-revocation", &later)
        .await
        .good();

    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    assert!(app.allowed(&fresh).await.is_empty());
    assert_eq!(app.access_request(&request).await["state"], "revoked");
    let taken = app.try_to_take_back(&begun).await.good();
    assert_eq!(taken["state"], "cancelling");
    app.carry_access_on().await;
    let over = app.removal(&begun).await;
    assert_eq!(
        (&over["state"], &over["connections"]["restored"]),
        (&json!("cancelled"), &json!(1))
    );
    assert_eq!(
        app.allowed(&scene.edge).await,
        [root(CONSUMER), root(OTHER)]
    );
    assert_eq!(app.allowed(&fresh).await, [root(OTHER)]);
    assert_eq!(app.access_request(&request).await["state"], "approved");
    let members = format!("/v1/consumers/{acme}/accounts");
    let member = app.get(Who::Viewer, &members).await.good()["items"][0].clone();
    assert_eq!(
        (&member["account_id"], &member["known_by"]),
        (&json!(OTHER), &json!("observed"))
    );
    let desk = app.connection(&scene.live).await;
    assert_eq!(
        desk["scheduled_revocation"]["at"], later["at"],
        "as it was planned before"
    );
    assert_eq!(
        app.summary(&scene.waiting).await,
        "rejected",
        "AWS has no way back"
    );
    let twice = app.try_to_take_back(&begun).await;
    twice.refused("twice", 409, "access_removal_over");
    app.pass_time(Duration::from_hours(2)).await;
    app.carry_access_on().await;
    assert_eq!(app.summary(&scene.live).await, "available");
    assert_eq!(
        app.actions_about("access_removal").await,
        [
            "access_removal.begin",
            "access_removal.cancel",
            "access_removal.cancelled"
        ]
    );
}

/// An accept of the same account's against the removal: whichever comes first, nobody has access in the end.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_that_is_accepted_slips_past_a_removal(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    for accept_first in [true, false] {
        let new = app.requested_by(OTHER, &scene.edge).await;
        let cause = of_principal(&scene.edge, OTHER);
        let confirm = app.removal_preview(&cause).await["confirm"].clone();
        let held = app.hold_account(OTHER).await;
        let accept = app.try_to_decide(Who::Approver, &new, "accept");
        let end = app.try_to_end_access(&cause, &confirm, 0);
        let let_go = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (accepted, ended, ()) = if accept_first {
            let end = async {
                app.queue_of(1).await;
                end.await
            };
            tokio::join!(accept, end, let_go)
        } else {
            let accept = async {
                app.queue_of(1).await;
                accept.await
            };
            tokio::join!(accept, end, let_go)
        };
        let begun = ended.good();
        if accept_first {
            accepted.good();
        } else {
            accepted.refused("after the removal", 409, "access_ending");
        }
        // AWS was not told yet, so one more can come in; nobody accepts it, and it is rejected.
        let endpoint = app.endpoint_of(OTHER, &scene.edge);
        app.observe_only().await;
        let late = app.found(&endpoint).await;
        let answer = app.try_to_decide(Who::Admin, &late, "accept").await;
        answer.refused("later", 409, "access_ending");
        app.carry_access_on().await;
        app.carry_access_on().await;
        for request in [&new, &late, &scene.waiting] {
            assert_eq!(app.aws_state(OTHER, request), ConnectionState::Rejected);
        }
        assert_eq!(app.removal(&begun).await["state"], "done");
        app.change(
            &scene.edge,
            &json!({ "allowed_principals": [CONSUMER, OTHER] }),
        )
        .await;
        app.run_until_rest().await;
    }
    let again = app.requested_by(OTHER, &scene.edge).await;
    app.decide(&again, "accept").await;
}

/// A plain change of the service takes the principal and nobody's access, and says how many keep it.
#[sqlx::test(migrations = "./migrations")]
async fn a_plain_change_says_who_keeps_access(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let changed = app.change(&scene.edge, &json!({ "name": "Edge" })).await;
    assert_eq!(changed["connections_without_principal"], Value::Null);
    let only = json!({ "allowed_principals": [CONSUMER] });
    let changed = app.change(&scene.edge, &only).await;
    assert_eq!(changed["connections_without_principal"], 2, "{changed}");
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.live).await, "available");
}

/// Somebody lets the account in again while the removal is under way: that is the later word.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_let_in_again_meanwhile_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    app.end_access(&of_principal(&scene.edge, OTHER), 0).await;
    let all = json!({ "allowed_principals": [CONSUMER, OTHER] });
    app.change(&scene.edge, &all).await;
    app.carry_access_on().await;
    assert_eq!(app.summary(&scene.live).await, "available");
    app.decide(&scene.waiting, "accept").await;
}

/// Taking it back against the timer that revokes. The one that has the service first is the one that counts, also where the worker has not undone
/// the plan yet.
#[sqlx::test(migrations = "./migrations")]
async fn taking_it_back_against_the_timer_has_one_outcome(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    // Taken back in time; the timer finds the plan before the worker has undone it.
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    app.try_to_take_back(&begun).await.good();
    app.pass_time(Duration::from_hours(2)).await;
    assert_eq!(
        app.connection(&scene.live).await["review"]["state"],
        "accepted"
    );
    app.carry_access_on().await;
    let over = app.removal(&begun).await;
    assert_eq!(
        (&over["state"], &over["connections"]["restored"]),
        (&json!("cancelled"), &json!(1))
    );
    assert_eq!(app.summary(&scene.live).await, "available");
    let notices = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    assert_eq!(app.count(notices).await, 1);

    // It waits for the service while the time runs out and the timer comes: too late.
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    app.advance(Duration::from_mins(59));
    let held = app.hold_service(&scene.edge).await;
    let take_back = app.try_to_take_back(&begun);
    let let_go = async {
        app.queue_of(1).await;
        app.advance(Duration::from_mins(2));
        let timer = app.timers();
        let release = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        tokio::join!(timer, release).0
    };
    let (answer, steps) = tokio::join!(take_back, let_go);
    answer.refused("too late", 409, "access_removal_over");
    assert_eq!(steps.len(), 1, "{steps:?}");
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
}

/// While a service is drained nothing of it can be changed and nobody comes in; if the drain is taken back, the principal goes then.
#[sqlx::test(migrations = "./migrations")]
async fn a_drained_service_gives_its_principal_up_when_the_drain_is_taken_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    app.drain(&scene.edge, 36_000).await;
    let refused = json!({ "cause": of_principal(&scene.edge, OTHER) });
    let refused = app
        .post(Who::Viewer, "/v1/access-removals/preview", &refused)
        .await;
    refused.refused("alone", 409, "service_draining");
    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 0, "principals": 0 })
    );
    assert_eq!(
        preview["services"][0]["principals_after_drain"],
        json!([root(OTHER)])
    );
    let begun = app.end_access(&cause, 0).await;
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "ending", "it waits");
    app.end(&scene.edge, "cancel-drain", json!({})).await;
    app.carry_access_on().await;
    app.carry_access_on().await;
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.removal(&begun).await["state"], "done");
}

/// What a block keeps out does not come back with the block, once access was taken away.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_taken_away_does_not_come_back_with_a_block(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER]).await;
    let request = app.ask(&[&edge], &json!({})).await;
    app.give(&request).await;
    app.run_until_rest().await;
    let of = format!("accounts/{OTHER}");
    app.block(&of).await;
    app.carry_out().await;
    let of_request = json!({ "kind": "access_request", "access_request_id": request });
    app.end_access(&of_request, 0).await;
    app.carry_access_on().await;
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(app.allowed(&edge).await, [root(CONSUMER)]);
}

/// Steps are dropped at their moments of waiting and run two at a time: nothing is done twice or left out, and each part is small.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_is_carried_on_whatever_happens(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[OTHER]).await;
    let count: usize = 110;
    for _ in 0..count {
        app.endpoint_of(OTHER, &service);
    }
    app.run_worker().await;
    let begun = app.end_access(&of_principal(&service, OTHER), 0).await;
    let id: AccessRemovalId = begun["id"].as_str().unwrap().parse().unwrap();
    let mut steps = 0;
    loop {
        for moments in [1, 3, 7, 20, 60] {
            let step = tokio::spawn({
                let ctx = app.application();
                async move { end_access_step::step(&ctx, id).await }
            });
            for _ in 0..moments {
                tokio::task::yield_now().await;
            }
            step.abort();
            let _ = step.await;
        }
        let ctx = app.application();
        let (one, two) = tokio::join!(
            end_access_step::step(&ctx, id),
            end_access_step::step(&ctx, id)
        );
        steps += 1;
        if one.unwrap() == Progress::Rest && two.unwrap() == Progress::Rest {
            break;
        }
        assert!(steps < 50);
    }
    let expected = i64::try_from(count).unwrap();
    assert_eq!(
        app.removal(&begun).await["connections"]["rejected"],
        expected
    );
    let decided = "SELECT count(*) FROM decisions WHERE verb = 'reject'";
    assert_eq!(app.count(decided).await, expected);
    let notices = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ended'";
    assert_eq!(app.count(notices).await, expected);
    let most =
        "SELECT max(n) FROM (SELECT count(*) AS n FROM decisions GROUP BY xmin::text) AS parts";
    assert!(app.count(most).await <= block_step::CHUNK);
    app.carry_access_on().await;
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
}
