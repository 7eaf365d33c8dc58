//! Two people, or a person and AWS, at the same time.

use std::time::Duration;

use portcullis::domain::drift_inbox::DriftVerb;
use serde_json::json;
use sqlx::PgPool;

use crate::support::drifts::{OTHER, root};
use crate::support::{HERE, PROVIDER, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn of_two_people_the_second_is_told_what_the_first_did(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let mut number = 0;
    for one in DriftVerb::ALL {
        for two in DriftVerb::ALL {
            number += 1;
            let service = app.created_service(&format!("race-{number}")).await;
            let request = app.requested(&service).await;
            app.accept_behind_our_back(&service, &request).await;
            app.set_acceptance(&service, false).await;
            app.look_again().await;
            for kind in ["accepted_outside", "service_reconfigured"] {
                let query = format!("state=open&kind={kind}&service_id={}", service.id);
                let id = TestApp::only(&app.inbox(&query).await);
                let (first, second) = tokio::join!(
                    app.settle(Who::Admin, &id, one.as_str()),
                    app.settle(Who::Admin, &id, two.as_str()),
                );
                let (winner, verb, loser) = if first.status == 200 {
                    (first, one, second)
                } else {
                    (second, two, first)
                };
                assert_eq!(winner.status, 200, "{one} {two}: {}", winner.text);
                loser.refused(&format!("{one} {two}"), 409, "drift_settled");
                let told = loser.json()["detail"].as_str().unwrap().to_owned();
                assert!(told.contains(&format!("{verb}: ticket 12")), "{told}");
                assert_eq!(app.drift(&id).await["state"], verb.settles_as().as_str());
            }
        }
    }
    app.run_until_rest().await;
    // I17: one decision at most for each connection.
    let twice = app
        .count("SELECT count(*) FROM (SELECT FROM decisions GROUP BY connection_id HAVING count(*) > 1) AS d")
        .await;
    assert_eq!(twice, 0);
}

/// The inbox and the ordinary verb: whoever is first settles it, and the other is refused in its own words.
#[sqlx::test(migrations = "./migrations")]
async fn a_decision_and_the_inbox_do_not_both_win(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for _ in 0..4 {
        let request = app.requested(&service).await;
        app.accept_behind_our_back(&service, &request).await;
        app.advance(Duration::from_secs(1));
        app.run_until_rest().await;
        let id = TestApp::only(&app.inbox("state=open").await);
        let (settled, decided) = tokio::join!(
            app.settle(Who::Approver, &id, "adopt"),
            app.try_to_decide(Who::Approver, &request, "reject"),
        );
        let state = app.drift(&id).await["state"].clone();
        if settled.status == 200 {
            decided.refused("too late", 409, "connection_already_decided");
            assert_eq!(state, "adopted");
        } else {
            settled.refused("too late", 409, "drift_settled");
            decided.good();
            assert_eq!(state, "reverted");
        }
    }
}

/// The same drift is found by two looks at once: it stands once.
#[sqlx::test(migrations = "./migrations")]
async fn the_same_unknown_service_registered_twice_at_once_is_registered_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    let aws_id = app.foreign_service("foreign", true).await;
    app.take_inventory().await;
    let id = TestApp::only(&app.inbox("").await);
    let import = format!("/v1/account-regions/{place}/import");
    let by_hand = json!({ "account_id": PROVIDER, "region": HERE, "name": "found", "aws_service_id": aws_id });
    let whole = json!({});
    let (adopted, imported, registered) = tokio::join!(
        app.settle(Who::Admin, &id, "adopt"),
        app.post(Who::Admin, &import, &whole),
        app.post(Who::Admin, "/v1/services", &by_hand),
    );
    let imported = imported.good();
    let made = [
        adopted.status == 200,
        imported["adopted"] == 1,
        registered.status == 201,
    ];
    assert_eq!(
        made.iter().filter(|m| **m).count(),
        1,
        "{made:?} {adopted:?} {registered:?}"
    );
    assert!(
        imported["services"][0]["service_id"].is_string(),
        "{imported}"
    );
    assert_eq!(app.count("SELECT count(*) FROM endpoint_services").await, 1);
    assert_eq!(app.kinds("").await, ["unknown_service adopted"]);
}

/// The person saw one thing, AWS shows another by the time the row is locked: nothing that nobody has seen is adopted or overwritten.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_unseen_is_adopted_or_overwritten(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox("").await);
    // A look that has not been judged yet, because a change of ours was too near for it.
    sqlx::query("UPDATE endpoint_services SET observed_principals = '{}'")
        .execute(app.db())
        .await
        .unwrap();
    for verb in ["adopt", "revert"] {
        let late = app.settle(Who::Admin, &id, verb).await;
        late.refused(verb, 409, "drift_blocked");
    }
    // Reverting a principal makes AWS follow in all, and so waits for the other drift to be judged.
    app.grant(&service, &[&root(OTHER)], &[]).await;
    app.look_again().await;
    let principal = TestApp::only(&app.inbox("kind=unknown_principal").await);
    let blocked = app.settle(Who::Admin, &principal, "revert").await;
    blocked.refused("revert", 409, "drift_blocked");
    let detail = blocked.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&id), "{detail}");
    app.settle(Who::Admin, &id, "adopt").await.good();
    app.settle(Who::Admin, &principal, "revert").await.good();
    app.run_until_rest().await;
    assert!(!app.in_aws(&service).await.acceptance_required, "adopted");
    assert!(!app.allowed(&service).await.contains(&root(OTHER)));
}
