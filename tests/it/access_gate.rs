//! Access that is being taken away, as gates and policies see it: nobody new comes in, and what is live has the time that it was given.

use std::time::Duration;

use portcullis::app::judge::Judged;
use portcullis::domain::decision::Outcome;
use serde_json::json;
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::rejudgements::{OPEN, closed_to};
use crate::support::removals::{of_principal, scene};
use crate::support::{CONSUMER, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn what_waits_is_rejected_by_the_gate_and_the_record_says_by_which_removal(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    app.in_force(None, OPEN).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    // The judge comes before the removal does.
    let report = app.judge().await;
    assert_eq!(report.failed, []);
    let said: Vec<Judged> = report.judged.into_iter().map(|(_, said)| said).collect();
    assert_eq!(said, [Judged::Said(Outcome::Reject)]);
    let decision = app.only_decision(&scene.waiting).await;
    assert_eq!(
        (
            &decision["actor"],
            &decision["reason_code"],
            &decision["message"]
        ),
        (
            &json!("gate:access"),
            &json!("access_ending"),
            &json!("Your access to the service is ending.")
        )
    );
    let path = format!("/v1/connections/{}/judgements", scene.waiting.id);
    let judged = app.get(Who::Viewer, &path).await.good();
    let facts = &judged["items"][0]["facts"];
    assert_eq!(facts["access_ending"], begun["id"], "{facts}");
    let path = format!("/v1/connections/{}/explanation", scene.waiting.id);
    let explained = app.get(Who::Viewer, &path).await.good();
    assert_eq!(explained["judgement"]["gate"], "access");
    assert_eq!(explained["replay"]["same"], true, "{explained}");

    app.carry_access_on().await;
    assert_eq!(app.summary(&scene.waiting).await, "rejected");
    assert_eq!(app.summary(&scene.live).await, "available");
    // Another account of the same service is none of its business.
    let other = app.requested_by(CONSUMER, &scene.edge).await;
    app.judge().await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&other).await, "available");
}

/// Judged again, what is live keeps the grace that the removal has promised, and no longer than a policy lets it.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_live_is_judged_again_as_if_nothing_ended(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    app.in_force(None, OPEN).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    app.carry_access_on().await;
    let account = json!({ "account_id": OTHER });
    let seen = app.previewed(&account).await;
    let counts = [&seen["judged"], &seen["losing_access"], &seen["held"]];
    assert_eq!(counts, [&json!(1), &json!(0), &json!(0)]);
    app.try_to_apply(&seen, Duration::ZERO, 0).await.good();
    app.carry_on().await;
    let plan = app.plan_of(&scene.live).await;
    assert_eq!(plan["at"], begun["ends_at"]);
    app.in_force(None, &closed_to(OTHER)).await;
    let seen = app.previewed(&account).await;
    assert_eq!(seen["losing_access"], 1, "nothing is shielded by it");
}

/// Whoever lets the account in again has the later word, and a removal that was taken back takes nothing.
#[sqlx::test(migrations = "./migrations")]
async fn who_is_let_in_again_passes_the_gate(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    app.in_force(None, OPEN).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    let all = json!({ "allowed_principals": [CONSUMER, OTHER] });
    app.change(&scene.edge, &all).await;
    app.judge().await;
    assert_eq!(app.only_decision(&scene.waiting).await["verb"], "accept");
    app.run_until_rest().await;

    let begun_again = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    for removal in [&begun, &begun_again] {
        app.try_to_take_back(removal).await.good();
    }
    let endpoint = app.endpoint_of(OTHER, &scene.edge);
    app.observe_only().await;
    let late = app.found(&endpoint).await;
    app.judge().await;
    assert_eq!(app.only_decision(&late).await["verb"], "accept");
}
