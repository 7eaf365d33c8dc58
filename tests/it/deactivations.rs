//! Policies that are taken out of force: what is decided without them was looked at before, and cuts off no more than was said.

use std::time::Duration;

use portcullis::domain::clock::Clock;
use portcullis::domain::ids::uuid_at;
use portcullis::worker::dry_runs::run_pass;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::policies::{KNOWN, NOBODY, text_of};
use crate::support::{CONSUMER, TestApp};

/// Says nothing of anybody.
const SILENT: &str = "permit (principal, action, resource) when { context.waitedSeconds < 0 };";

/// A service's `forbid` keeps back what the provider's set permits. Without it that is let in, and somebody has to have seen that.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_taken_out_of_force_was_tried_without_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.add_consumer_with("Acme", &[CONSUMER]).await;
    let request = app.requested(&service).await;
    app.decide(&request, "reject").await;
    let wide = app.tested(None, KNOWN).await;
    app.try_to_activate(&wide, None).await.good();
    let tested = app.tested(Some(&service), NOBODY).await;
    let narrow = app.try_to_activate(&tested, None).await.good();

    let untried = app.try_to_deactivate(&narrow, None).await;
    untried.refused("its own run was with it", 409, "dry_run_missing");
    let stale = app.try_to_deactivate(&tested, None).await;
    stale.refused("an old version", 409, "policy_changed");

    let run = app.dry_run(&narrow, 100).await;
    assert_eq!(run["without_it"], true);
    assert_eq!(run["result"]["newly_accepted"], 1, "{run}");
    assert_eq!(run["others"], json!({ "provider": wide["digest"] }));
    let draft = app.draft(Some(&service), NOBODY).await;
    let with = app.dry_run(&draft, 100).await;
    assert_eq!(
        (&with["without_it"], &with["result"]["newly_accepted"]),
        (&json!(false), &json!(0))
    );

    // Other policies decide without it now.
    let other = app.tested(None, SILENT).await;
    app.try_to_activate(&other, None).await.good();
    let outdated = app.try_to_deactivate(&narrow, None).await;
    outdated.refused("beside others", 409, "dry_run_outdated");
    let run = app.dry_run(&narrow, 100).await;
    assert_eq!(run["result"]["newly_accepted"], 0, "{run}");
    app.advance(Duration::from_hours(25));
    let outdated = app.try_to_deactivate(&narrow, None).await;
    outdated.refused("of yesterday", 409, "dry_run_outdated");
    assert_eq!(app.policy(&narrow).await["state"], "active");

    let run = app.dry_run(&narrow, 100).await;
    let ended = app.try_to_deactivate(&narrow, None).await.good();
    assert_eq!(
        (&ended["state"], &ended["superseded_by"]),
        (&json!("superseded"), &json!(null))
    );
    let noted: Value =
        sqlx::query_scalar("SELECT after FROM audit_entries WHERE action = 'policy.deactivate'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(
        noted,
        json!({
            "state": "superseded", "superseded_by": null, "dry_run_id": run["id"], "losing_access": 0, "confirmed": null,
            "rejudgement_id": ended["rejudgement_id"],
        })
    );
    let twice = app.try_to_deactivate(&ended, None).await;
    twice.refused("twice", 409, "policy_not_active");
    let again = app
        .policy_step(&ended, "dry-runs", &json!({ "decisions": 1 }))
        .await;
    again.refused("nothing left to try", 409, "policy_settled");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_cuts_too_many_off_without_it_has_to_be_confirmed_by_its_number(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let live = [
        app.live(CONSUMER, &service).await,
        app.live(OTHER, &service).await,
    ];
    let tested = app.tested(Some(&service), KNOWN).await;
    let narrow = app.try_to_activate(&tested, None).await.good();
    let closed = app.tested(None, NOBODY).await;
    app.try_to_activate(&closed, Some(2)).await.good();
    app.dry_run(&narrow, 0).await;
    let refusal = app.try_to_deactivate(&narrow, None).await;
    refusal.refused("unconfirmed", 409, "policy_cuts_too_much");
    let detail = refusal.json()["detail"].to_string();
    assert!(detail.contains("2 of 2 live connections"), "{detail}");
    for other in [0, 1, 3] {
        let refusal = app.try_to_deactivate(&narrow, Some(other)).await;
        refusal.refused("another number", 409, "preview_changed");
    }
    assert_eq!(app.policy(&narrow).await["state"], "active");
    app.try_to_deactivate(&narrow, Some(2)).await.good();
    app.run_until_rest().await;
    for request in &live {
        assert_eq!(app.summary(request).await, "available");
    }
}

/// What would be without it is what is, so nobody goes on with trying that.
#[sqlx::test(migrations = "./migrations")]
async fn a_run_that_is_not_over_ends_with_the_policy(pool: PgPool) {
    let app = TestApp::start(pool);
    let tested = app.tested(None, KNOWN).await;
    let active = app.try_to_activate(&tested, None).await.good();
    app.dry_run(&active, 0).await;
    let path = app.ask_for_dry_run(&active, 10).await;
    app.try_to_deactivate(&active, None).await.good();
    let runner = uuid_at(app.clock.now());
    run_pass(&app.shared, runner).await.expect("a pass");
    let run = app.get(crate::support::Who::Viewer, &path).await.good();
    assert_eq!(run["state"], "failed", "{run}");
    assert!(text_of(&run, "failure").contains("not in force"), "{run}");
}

/// Of two who take it out at once one does, and the other is told.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_deactivations_at_once_one_stands(pool: PgPool) {
    let app = TestApp::start(pool);
    let tested = app.tested(None, KNOWN).await;
    let active = app.try_to_activate(&tested, None).await.good();
    app.dry_run(&active, 0).await;
    let held = app.hold_force().await;
    let let_go = async {
        app.queue_of(2).await;
        held.rollback().await.unwrap();
    };
    let (one, two, ()) = tokio::join!(
        app.try_to_deactivate(&active, None),
        app.try_to_deactivate(&active, None),
        let_go,
    );
    let loser = if one.status == 200 { two } else { one };
    loser.refused("the second", 409, "policy_not_active");
    assert_eq!(app.count("SELECT count(*) FROM rejudgements").await, 2);
}
