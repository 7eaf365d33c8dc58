//! Two people, or a person and the worker, about a service that ends.

use std::time::Duration;

use portcullis::domain::clock::Clock;
use portcullis::domain::ids::{ConnectionId, DecisionId};
use portcullis::domain::review::ReviewState;
use portcullis::store::connections::{self, Reviewed};
use portcullis::worker::sync_services;
use serde_json::json;
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::halting::{halt, halt_read};
use crate::support::{TestApp, Who};

/// Whoever is second is refused: no accept is decided after the drain began, whichever comes first.
#[sqlx::test(migrations = "./migrations")]
async fn an_accept_and_a_drain_do_not_cross(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    for number in 0..6 {
        let service = app.created_service(&format!("race-{number}")).await;
        let mut requests = Vec::new();
        for _ in 0..4 {
            requests.push(app.requested(&service).await);
        }
        let accepts = requests
            .iter()
            .map(|r| app.try_to_decide(Who::Approver, r, "accept"));
        let drain = app.try_to_end(&service, "drain", json!({ "reject_after_seconds": 0 }));
        let (accepted, drained) = tokio::join!(futures_util::future::join_all(accepts), drain);
        drained.good();
        for answer in &accepted {
            if answer.status != 200 {
                answer.refused("too late", 409, "service_draining");
            }
        }
        app.run_until_rest().await;
        for request in &requests {
            let summary = app.summary(request).await;
            assert!(summary == "rejected" || summary == "revoked", "{summary}");
        }
    }
    let late = app
        .count(
            "SELECT count(*) FROM decisions d JOIN connections c ON c.id = d.connection_id
               JOIN endpoint_services s ON s.id = c.endpoint_service_id
              WHERE d.verb = 'accept' AND d.decided_at > s.lifecycle_since",
        )
        .await;
    assert_eq!(late, 0);
}

/// Every way to let somebody in asks the service's life.
#[sqlx::test(migrations = "./migrations")]
async fn no_way_in_is_left_open(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let [by_hand, outside, stalled] = [
        app.requested(&service).await,
        app.requested(&service).await,
        app.requested(&service).await,
    ];
    app.accept_behind_our_back(&service, &outside).await;
    app.decide(&stalled, "accept").await;
    app.run_until_rest().await;
    sqlx::query(
        "UPDATE connections SET sync_state = 'stalled', sync_due_at = NULL WHERE endpoint_id = $1",
    )
    .bind(stalled.endpoint.as_str())
    .execute(app.db())
    .await
    .unwrap();
    app.grant(&service, &[&crate::support::drifts::root(OTHER)], &[])
        .await;
    app.look_again().await;
    let drift = TestApp::only(&app.inbox("state=open&kind=accepted_outside").await);
    let principal = TestApp::only(&app.inbox("state=open&kind=unknown_principal").await);
    app.drain(&service, 600).await;
    app.run_until_rest().await;

    let refused = app.try_to_decide(Who::Approver, &by_hand, "accept").await;
    refused.refused("accept", 409, "service_draining");
    app.settle(Who::Admin, &drift, "adopt")
        .await
        .refused("adopt", 409, "service_draining");
    app.retry(&stalled)
        .await
        .refused("retry", 409, "service_draining");
    for verb in ["adopt", "revert"] {
        let refused = app.settle(Who::Admin, &principal, verb).await;
        refused.refused(verb, 409, "service_draining");
    }
    let many = json!({ "ids": [drift], "reason": "all of them" });
    let many = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(many["results"][0]["code"], "service_draining", "{many}");
    // The statement itself holds it too, for whoever forgets to ask.
    let conn = &mut *app.db().acquire().await.unwrap();
    let id: ConnectionId = by_hand.id.parse().unwrap();
    let forgotten = Reviewed {
        id,
        from: ReviewState::Undecided,
        version: 1,
        to: ReviewState::Accepted,
        decision: DecisionId::new(app.clock.now()),
        due: None,
    };
    assert!(!connections::record_review(conn, &forgotten).await.unwrap());
    // And it is not `deleting` before AWS was asked.
    let sql = "UPDATE endpoint_services SET lifecycle = 'deleting'";
    assert!(sqlx::query(sql).execute(app.db()).await.is_err());
    // Taking access away is what a drain is about.
    app.settle(Who::Admin, &drift, "revert").await.good();
    app.settle(Who::Admin, &principal, "ignore").await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(&outside).await, "rejected");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_admins_one_drains(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    for number in 0..5 {
        let service = app.created_service(&format!("two-{number}")).await;
        let body = json!({ "reject_after_seconds": 60 });
        let with_delete = json!({ "reject_after_seconds": 60, "confirm_delete": true });
        let (one, two) = tokio::join!(
            app.try_to_end(&service, "drain", body),
            app.try_to_end(&service, "delete", with_delete),
        );
        let seen = app.service(&service.id).await;
        assert_eq!(seen["version"], 2, "one word was taken");
        let (winner, loser) = if one.status == 200 {
            (one, two)
        } else {
            (two, one)
        };
        winner.good();
        let code = loser.json()["code"].as_str().unwrap().to_owned();
        // A delete that comes second finds a drain that has its notice, or another version than it has read.
        let told = ["service_draining", "service_changed", "invalid_request"];
        assert!(told.contains(&code.as_str()), "{code}");
    }
}

/// A cancel while the worker freezes: what the worker then says of the drain is void, and AWS is opened again.
#[sqlx::test(migrations = "./migrations")]
async fn a_cancel_overtakes_the_worker(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.drain(&service, 0).await;
    let mut place = app.place().await;
    let halt = halt(&mut place);
    let (pass, ()) = tokio::join!(sync_services::run_pass(&place), async {
        halt.done.notified().await;
        app.end(&service, "cancel-drain", json!({})).await;
        halt.go_on.notify_one();
    });
    pass.unwrap();
    assert_eq!(app.life(&service).await, "active");
    app.run_until_rest().await;
    let seen = app.service(&service.id).await;
    assert_eq!(seen["sync"]["state"], "idle", "{seen}");
    assert_eq!(seen["applied_version"], seen["version"]);
    assert_eq!(app.allowed(&service).await.len(), 1);
    assert_eq!(app.kinds("").await, Vec::<String>::new());
}

/// What a pass had planned before a service was let go of, or drained, is not done any more: neither the first step nor a later one.
#[sqlx::test(migrations = "./migrations")]
async fn a_pass_under_way_heeds_the_end(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    for (verb, at_the_read) in [
        ("release", true),
        ("release", false),
        ("drain", true),
        ("drain", false),
    ] {
        let service = app.created_service(&format!("{verb}-{at_the_read}")).await;
        app.run_until_rest().await;
        let version = app.service(&service.id).await["version"].clone();
        let change = json!({
            "version": version, "acceptance_required": false, "tags": { "stage": "live" },
            "allowed_principals": [crate::support::drifts::root(OTHER)],
        });
        let path = format!("/v1/services/{}", service.id);
        app.patched(Who::Admin, &path, &change).await.good();
        let mut place = app.place().await;
        let halt = if at_the_read {
            halt_read(&mut place)
        } else {
            halt(&mut place)
        };
        let mut before = 0;
        let (pass, ()) = tokio::join!(sync_services::run_pass(&place), async {
            halt.done.notified().await;
            before = app.mutations();
            let more = if verb == "drain" {
                json!({ "reject_after_seconds": 3600 })
            } else {
                json!({})
            };
            app.try_to_end(&service, verb, more).await.good();
            for _ in 0..8 {
                halt.go_on.notify_one();
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        });
        pass.unwrap();
        assert_eq!(app.mutations(), before, "{verb} {at_the_read}");
        app.run_until_rest().await;
        let seen = app
            .console()
            .endpoint_service(&service.aws_id)
            .await
            .unwrap();
        assert!(seen.acceptance_required, "{verb} {at_the_read}");
    }
}
