//! Several who want the access of one connection to end: each has a plan of its own, the earliest counts, and whoever takes theirs back takes back nothing of
//! anybody else.

use std::time::Duration;

use portcullis::app::rejudge;
use portcullis::domain::actor::Actor;
use portcullis::domain::ids::EndpointServiceId;
use portcullis::domain::review_timer::TimerStep;
use portcullis::worker::access;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::rejudgements::{HOUR, NOTHING, OPEN, closed_to, id_of, kept_as};
use crate::support::removals::{Scene, of_principal, scene};
use crate::support::{CONSUMER, Request, TestApp, Who};

/// A re-judgement of the service's that was applied; it finds the one live connection of the account.
async fn rejudged(app: &TestApp, scene: &Scene, grace: Duration) -> Value {
    app.in_force(None, &closed_to(OTHER)).await;
    let seen = app.previewed(&json!({ "service_id": scene.edge.id })).await;
    app.try_to_apply(&seen, grace, 1).await.good();
    app.carry_on().await;
    seen
}

async fn whose_plan(app: &TestApp, request: &Request) -> (Value, Value) {
    let plan = app.plan_of(request).await;
    (
        plan["access_removal_id"].clone(),
        plan["rejudgement_id"].clone(),
    )
}

/// A removal promises that the access is over. An earlier plan of somebody else, taken back, does not keep it.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_ends_access_though_an_earlier_plan_is_taken_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = rejudged(&app, &scene, HOUR).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 7200)
        .await;
    app.carry_access_on().await;
    let earliest = whose_plan(&app, &scene.live).await;
    assert_eq!(earliest, (NOTHING, seen["id"].clone()));

    app.try_to_give_up(&seen).await.good();
    let next = whose_plan(&app, &scene.live).await;
    assert_eq!(
        next,
        (begun["id"].clone(), NOTHING),
        "from the word on, before the loop comes"
    );
    app.carry_on().await;
    assert_eq!(app.pass_time(HOUR + HOUR / 2).await, []);
    assert_eq!(app.summary(&scene.live).await, "available");
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "grace");
    assert_eq!(app.pass_time(HOUR).await, [TimerStep::RevokeScheduled]);
    app.carry_access_on().await;
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.live).await, "revoked");
}

/// The mirror: a re-judgement keeps its plan when a removal that came first is taken back.
#[sqlx::test(migrations = "./migrations")]
async fn a_rejudgement_ends_access_though_an_earlier_removal_is_taken_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    app.carry_access_on().await;
    let seen = rejudged(&app, &scene, 2 * HOUR).await;
    let earliest = whose_plan(&app, &scene.live).await;
    assert_eq!(earliest, (begun["id"].clone(), NOTHING));

    app.try_to_take_back(&begun).await.good();
    let next = whose_plan(&app, &scene.live).await;
    assert_eq!(next, (NOTHING, seen["id"].clone()));
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["connections"]["restored"], 1);
    assert_eq!(app.pass_time(HOUR + HOUR / 2).await, []);
    assert_eq!(app.pass_time(HOUR).await, [TimerStep::RevokeScheduled]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.live).await, "revoked");
}

/// A person's word about one connection clears what was planned for many: it is kept, or goes when they say.
#[sqlx::test(migrations = "./migrations")]
async fn a_persons_word_about_one_connection_clears_all_plans(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = rejudged(&app, &scene, HOUR).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 7200)
        .await;
    app.carry_access_on().await;
    app.plan_by_hand(&scene.live, 9 * HOUR).await;
    let plan = app.plan_of(&scene.live).await;
    assert_eq!(plan["reason"], "the contract ends");
    assert_eq!(whose_plan(&app, &scene.live).await, (NOTHING, NOTHING));
    assert_eq!(app.pass_time(3 * HOUR).await, []);
    app.carry_access_on().await;
    assert_eq!(
        app.removal(&begun).await["state"],
        "done",
        "the rest of it is over"
    );
    app.try_to_give_up(&seen).await.good();
    app.carry_on().await;
    assert_eq!(app.plan_of(&scene.live).await, plan, "it is a person's");
    let why = json!({ "reason": "they stay" });
    app.tell(Who::Approver, &scene.live, "cancel-revocation", &why)
        .await
        .good();
    assert_eq!(app.plan_of(&scene.live).await, NOTHING);
    assert_eq!(app.pass_time(9 * HOUR).await, []);
    assert_eq!(app.summary(&scene.live).await, "available");
}

/// Somebody takes a re-judgement back in the moment in which its plan is due. Either the timer came before, or nothing is revoked; never after the answer.
#[sqlx::test(migrations = "./migrations")]
async fn a_timer_does_not_overtake_the_word_that_takes_a_plan_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = rejudged(&app, &scene, HOUR).await;
    let mut word = app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM rejudgements FOR UPDATE")
        .execute(&mut *word)
        .await
        .unwrap();
    assert_eq!(app.pass_time(2 * HOUR).await, [], "somebody is at it");
    assert_eq!(app.summary(&scene.live).await, "available");
    sqlx::query(
        "UPDATE rejudgements SET state = 'cancelling', cancelled_at = now(), cancelled_by = 'ann', cancelled_reason = 'paid'",
    )
    .execute(&mut *word)
    .await
    .unwrap();
    word.commit().await.unwrap();
    assert_eq!(app.pass_time(Duration::from_secs(1)).await, []);
    app.carry_on().await;
    assert_eq!(app.plan_of(&scene.live).await, NOTHING);
    assert_eq!(app.rejudgement(&seen).await["state"], "cancelled");

    // The timer first: the word waits for it, and comes too late for this one.
    let again = rejudged(&app, &scene, HOUR).await;
    let mut timer = app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM rejudgements FOR SHARE")
        .execute(&mut *timer)
        .await
        .unwrap();
    let (ctx, id) = (app.application(), id_of(&again));
    let word =
        tokio::spawn(async move { rejudge::cancel(&ctx, &Actor::worker(), id, "paid").await });
    app.queue_of(1).await;
    assert_eq!(app.pass_time(2 * HOUR).await, [TimerStep::RevokeScheduled]);
    timer.commit().await.unwrap();
    word.await.unwrap().unwrap();
    app.carry_on().await;
    let after = app.rejudgement(&again).await;
    assert_eq!(after["cancelled"]["taken_back"], 0);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.live).await, "revoked");
}

/// What would be held is listed, keeps its access and is told nothing. What loses it is told so, and told when it is taken back.
#[sqlx::test(migrations = "./migrations")]
async fn what_would_be_held_is_listed_and_what_loses_access_is_told(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let only_others = format!(
        r#"@id("others") permit (principal, action, resource) unless {{ principal == Account::"{OTHER}" }};"#
    );
    app.in_force(None, &only_others).await;
    let seen = app.previewed(&json!({})).await;
    assert_eq!(
        (&seen["losing_access"], &seen["held"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(seen["samples"], json!([]));
    let path = format!(
        "/v1/rejudgements/{}/connections?state=held",
        seen["id"].as_str().unwrap()
    );
    let held = app.get(Who::Viewer, &path).await.good();
    assert_eq!(held["items"][0]["connection_id"], scene.live.id);
    assert_eq!(held["items"][0]["code"], "no_policy_applies");
    app.try_to_apply(&seen, HOUR, 0).await.good();
    app.carry_on().await;
    assert_eq!(app.fate(&seen, &scene.live).await.0, "held");
    let notices = "SELECT count(*) FROM connection_notices";
    assert_eq!(app.count(notices).await, 0);

    let seen = rejudged(&app, &scene, HOUR).await;
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending' AND content->>'code' = 'not_paid'";
    assert_eq!(app.count(told).await, 1);
    app.try_to_give_up(&seen).await.good();
    app.carry_on().await;
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    assert_eq!(app.count(told).await, 1);
}

/// Naming a principal of the account again is the later word. What was planned does not stand from then on, and does not stand again when the removal is over.
#[sqlx::test(migrations = "./migrations")]
async fn whoever_is_let_in_again_within_the_grace_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    app.carry_access_on().await;
    assert_eq!(whose_plan(&app, &scene.live).await.0, begun["id"]);
    let again = json!({ "allowed_principals": [CONSUMER, OTHER] });
    app.change(&scene.edge, &again).await;
    assert_eq!(app.plan_of(&scene.live).await, NOTHING, "at once");
    app.run_until_rest().await;
    assert_eq!(app.pass_time(2 * HOUR).await, []);
    app.carry_access_on().await;
    app.carry_access_on().await;
    let over = app.removal(&begun).await;
    assert_eq!(
        (&over["state"], &over["connections"]["restored"]),
        (&json!("done"), &json!(1)),
        "{over}"
    );
    assert_eq!(app.summary(&scene.live).await, "available");
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    assert_eq!(app.count(told).await, 1);
    // A plain change takes no connection away: not by the old plan either.
    app.change(&scene.edge, &json!({ "allowed_principals": [CONSUMER] }))
        .await;
    app.run_until_rest().await;
    assert_eq!(app.pass_time(HOUR).await, []);
    assert_eq!(app.summary(&scene.live).await, "available");
}

/// It is done when AWS was seen to have done its part. Who lives on by a person's word is counted, and the consumer knows.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_is_done_when_aws_is_and_says_who_was_kept(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let second = app.live(OTHER, &scene.edge).await;
    let begun = app
        .end_access(&of_principal(&scene.edge, OTHER), 3600)
        .await;
    app.carry_access_on().await;
    let why = json!({ "reason": "they stay" });
    app.tell(Who::Approver, &second, "cancel-revocation", &why)
        .await
        .good();
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    assert_eq!(app.count(told).await, 1);
    assert_eq!(app.pass_time(2 * HOUR).await, [TimerStep::RevokeScheduled]);
    access::run_pass(&app.shared).await.unwrap();
    access::run_pass(&app.shared).await.unwrap();
    let seen = app.removal(&begun).await;
    assert_eq!(seen["state"], "ending", "AWS has not been told: {seen}");
    app.carry_access_on().await;
    app.carry_access_on().await;
    let seen = app.removal(&begun).await;
    assert_eq!(seen["state"], "done");
    assert_eq!(seen["connections"]["kept"], 1, "{seen}");
    assert_eq!(app.summary(&second).await, "available");

    // A principal that AWS has all the same lets nobody slip in afterwards.
    let edge: EndpointServiceId = scene.edge.id.parse().unwrap();
    let there = format!(
        "UPDATE endpoint_services SET observed_principals = observed_principals || 'arn:aws:iam::{OTHER}:root'::text WHERE id = '{}'",
        edge.uuid()
    );
    sqlx::query(sqlx::AssertSqlSafe(there))
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE connections SET review_state = 'undecided', decision_id = NULL, observed_state = 'pendingAcceptance' WHERE owner_account = $1 AND review_state = 'revoked'")
        .bind(OTHER)
        .execute(app.db())
        .await
        .unwrap();
    let body = json!({ "reason": "r" });
    let answer = app.tell(Who::Approver, &scene.live, "accept", &body).await;
    answer.refused("after the end", 409, "access_ending");
}

/// AWS has no way back, so whoever has cured what they were rejected for is judged once more when the time has come.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_not_rejected_any_more_at_the_end_is_spared(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = rejudged(&app, &scene, HOUR).await;
    app.in_force(None, OPEN).await;
    assert_eq!(whose_plan(&app, &scene.live).await.1, seen["id"]);
    assert_eq!(app.pass_time(2 * HOUR).await, []);
    assert_eq!(app.plan_of(&scene.live).await, NOTHING);
    assert_eq!(app.fate(&seen, &scene.live).await, kept_as("not_rejected"));
    assert_eq!(app.summary(&scene.live).await, "available");
    let story = app.story(&scene.live).await;
    assert!(
        story.iter().any(|step| step == "revocation_cancelled"),
        "{story:?}"
    );
    // Another one's plan is another matter.
    rejudged(&app, &scene, HOUR).await;
    app.plan_by_hand(&scene.live, 2 * HOUR).await;
    app.in_force(None, OPEN).await;
    assert_eq!(app.pass_time(3 * HOUR).await, [TimerStep::RevokeScheduled]);
}
