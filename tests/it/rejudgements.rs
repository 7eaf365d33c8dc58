//! What is live, judged again: what a preview tells and touches, what applying it does and when.

use std::time::Duration;

use portcullis::domain::review_timer::TimerStep;
use serde_json::json;
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::rejudgements::{HOUR, NOTHING, OPEN, closed_to, kept_as, scene};
use crate::support::reviews::ADMIN;
use crate::support::{CONSUMER, HERE, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn a_preview_tells_who_would_lose_access_and_touches_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    // A request is none of its business.
    let waiting = app.requested_by(OTHER, &scene.edge).await;
    let before = app.story(&scene.unpaid).await;
    let asked = app.try_to_rejudge(&json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let location = asked.header("location").to_owned();
    let asked = asked.good();
    assert_eq!(
        location,
        format!("/v1/rejudgements/{}", asked["id"].as_str().unwrap())
    );
    assert_eq!(
        (&asked["asked"]["by"], &asked["judged"]),
        (&json!(ADMIN), &json!(0))
    );
    app.carry_on().await;
    let seen = app.rejudgement(&asked).await;
    let counts = [&seen["judged"], &seen["losing_access"], &seen["held"]];
    assert_eq!(counts, [&json!(4), &json!(2), &json!(1)]);
    assert_eq!(seen["state"], "previewed");
    let samples = seen["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert_eq!(sample["owner_account"], OTHER);
        assert_eq!(sample["code"], "not_paid");
        assert_eq!(sample["sentence"], "You have not paid.");
        assert_eq!(sample["state"], "found");
    }
    assert_eq!(app.fate(&asked, &waiting).await.0, NOTHING);

    assert_eq!(app.story(&scene.unpaid).await, before);
    let due = app.pass_time(48 * HOUR).await;
    assert!(!due.contains(&TimerStep::RevokeScheduled), "{due:?}");
    app.run_until_rest().await;
    for request in [
        &scene.paid,
        &scene.unpaid,
        &scene.unpaid_elsewhere,
        &scene.third,
    ] {
        assert_eq!(app.summary(request).await, "available");
        assert_eq!(app.plan_of(request).await, NOTHING);
    }
    assert_eq!(app.actions_about("rejudgement").await, ["rejudgement.ask"]);

    for (scope, judged, losing) in [
        (json!({ "service_id": scene.edge.id }), 3, 1),
        (json!({ "consumer_id": scene.acme }), 3, 2),
        (json!({ "account_id": OTHER }), 2, 2),
        (json!({ "account_id": CONSUMER }), 1, 0),
        (json!({ "account_id": "999988887777" }), 0, 0),
    ] {
        let seen = app.previewed(&scope).await;
        let counts = [&seen["judged"], &seen["losing_access"]];
        assert_eq!(counts, [&json!(judged), &json!(losing)], "{scope}");
        for (member, value) in scope.as_object().unwrap() {
            assert_eq!(seen[member], *value);
        }
    }
    let of_service = format!("/v1/rejudgements?service_id={}", scene.edge.id);
    assert_eq!(app.ids(&of_service).await.len(), 1);
    assert_eq!(app.ids("/v1/rejudgements?state=previewed").await.len(), 6);
    let page = app
        .get(
            Who::Viewer,
            &format!("{location}/connections?limit=1&state=found"),
        )
        .await
        .good();
    let next = format!(
        "{location}/connections?limit=1&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let rest = app.get(Who::Viewer, &next).await.good();
    assert_eq!(rest["next_cursor"], NOTHING);
    assert_ne!(rest["items"][0], page["items"][0]);
}

#[sqlx::test(migrations = "./migrations")]
async fn only_what_was_shown_is_applied(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let asked = app.try_to_rejudge(&json!({})).await.good();
    let early = app.try_to_apply(&asked, HOUR, 0).await;
    early.refused("unseen", 409, "rejudgement_not_previewed");
    app.carry_on().await;
    let other = app.try_to_apply(&asked, HOUR, 1).await;
    other.refused("another number", 409, "preview_changed");
    let long = app.try_to_apply(&asked, 24 * 91 * HOUR, 2).await;
    long.refused("more than 90 days", 400, "invalid_request");
    app.carry_on().await;
    assert_eq!(app.rejudgement(&asked).await["state"], "previewed");
    let applied = app.try_to_apply(&asked, HOUR, 2).await.good();
    assert_eq!(applied["state"], "applying");
    let twice = app.try_to_apply(&asked, HOUR, 2).await;
    twice.refused("twice", 409, "rejudgement_not_previewed");

    let both = json!({ "service_id": scene.edge.id, "account_id": OTHER });
    app.try_to_rejudge(&both)
        .await
        .refused("two scopes", 400, "invalid_request");
    for (scope, code) in [
        (
            json!({ "service_id": "svc_00000000000000000000000000000000" }),
            "service_not_found",
        ),
        (
            json!({ "consumer_id": "cns_00000000000000000000000000000000" }),
            "consumer_not_found",
        ),
    ] {
        app.try_to_rejudge(&scope).await.refused("none", 404, code);
    }
    let nothing = json!({ "id": "rjd_00000000000000000000000000000000" });
    let code = "rejudgement_not_found";
    app.try_to_apply(&nothing, HOUR, 0)
        .await
        .refused("apply", 404, code);
    app.try_to_give_up(&nothing)
        .await
        .refused("cancel", 404, code);
    for path in ["", "/connections"] {
        let path = format!("/v1/rejudgements/rjd_00000000000000000000000000000000{path}");
        app.get(Who::Viewer, &path).await.refused(&path, 404, code);
    }
    assert_eq!(
        app.actions_about("rejudgement").await,
        ["rejudgement.apply", "rejudgement.ask"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn access_ends_after_the_grace_and_no_sooner(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({})).await;
    let applied = app.try_to_apply(&seen, HOUR, 2).await.good();
    let end = applied["applied"]["revoke_at"].clone();
    assert_eq!(end, app.clock_in(HOUR));
    app.carry_on().await;
    let seen = app.rejudgement(&seen).await;
    assert_eq!(seen["state"], "applied");
    let counts = [&seen["applied"]["planned"], &seen["applied"]["kept"]];
    assert_eq!(counts, [&json!(2), &json!(0)]);
    let plan = app.plan_of(&scene.unpaid).await;
    assert_eq!((&plan["at"], &plan["by"]), (&end, &json!(ADMIN)));
    let reason = plan["reason"].as_str().unwrap().to_owned();
    for part in [
        seen["id"].as_str().unwrap(),
        "You have not paid.",
        "they were told",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let story = app.story(&scene.unpaid).await;
    assert!(
        story.iter().any(|step| step == "revocation_scheduled"),
        "{story:?}"
    );

    assert_eq!(app.pass_time(Duration::from_secs(3599)).await, []);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.unpaid).await, "available");
    let revoked = [TimerStep::RevokeScheduled, TimerStep::RevokeScheduled];
    assert_eq!(app.pass_time(Duration::from_secs(1)).await, revoked);
    app.run_until_rest().await;
    for request in [&scene.unpaid, &scene.unpaid_elsewhere] {
        assert_eq!(app.summary(request).await, "revoked");
        assert_eq!(app.rejects(request), 1);
    }
    for request in [&scene.paid, &scene.third] {
        assert_eq!(app.summary(request).await, "available");
        assert_eq!(app.rejects(request), 0);
    }
    let said: String =
        sqlx::query_scalar("SELECT min(reason) FROM decisions WHERE verb = 'revoke'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(said, reason);
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_grace_access_ends_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({ "service_id": scene.edge.id })).await;
    app.try_to_apply(&seen, Duration::ZERO, 1).await.good();
    app.carry_on().await;
    assert_eq!(app.timers().await, [TimerStep::RevokeScheduled]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.unpaid).await, "revoked");
    assert_eq!(app.summary(&scene.unpaid_elsewhere).await, "available");
}

/// What the preview found is judged once more when its turn comes, and only that.
#[sqlx::test(migrations = "./migrations")]
async fn what_has_changed_since_the_preview_counts(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let core = app.service_for("core", &[OTHER]).await;
    let elsewhere = app.live(OTHER, &core).await;
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(app.live(OTHER, &edge).await);
    }
    let [plain, sooner, later, gone, revoked] = &requests[..] else {
        panic!("five");
    };
    app.in_force(None, &closed_to(OTHER)).await;
    let seen = app.previewed(&json!({})).await;
    assert_eq!(seen["losing_access"], 6);

    // A connection that came after the preview, whatever would be said of it.
    let new = app.live(OTHER, &edge).await;
    // The other service lets them in again: a forbid cannot be overruled, so the provider's has to go.
    let only_edge = format!(
        r#"{OPEN} @id("unpaid") @reason("not_paid") forbid (principal, action, resource == Service::"{}");"#,
        edge.id
    );
    app.in_force(None, &only_edge).await;
    app.plan_by_hand(sooner, HOUR).await;
    app.plan_by_hand(later, 50 * HOUR).await;
    let consumer = app
        .sim()
        .consumer(OTHER.parse().unwrap(), HERE.parse().unwrap());
    consumer.delete_endpoint(&gone.endpoint).unwrap();
    app.decide(revoked, "revoke").await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;

    app.try_to_apply(&seen, 2 * HOUR, 6).await.good();
    app.carry_on().await;
    let planned = (json!("planned"), NOTHING);
    assert_eq!(app.fate(&seen, plain).await, planned);
    assert_eq!(app.fate(&seen, later).await, planned);
    assert_eq!(app.fate(&seen, sooner).await, planned);
    assert_eq!(app.fate(&seen, gone).await, kept_as("not_live"));
    assert_eq!(app.fate(&seen, revoked).await, kept_as("not_live"));
    assert_eq!(app.fate(&seen, &elsewhere).await, kept_as("not_rejected"));
    assert_eq!(app.fate(&seen, &new).await, (NOTHING, NOTHING));
    let after = app.rejudgement(&seen).await;
    let counts = [&after["applied"]["planned"], &after["applied"]["kept"]];
    assert_eq!(counts, [&json!(3), &json!(3)]);

    assert_eq!(app.plan_of(sooner).await["reason"], "the contract ends");
    assert_eq!(
        app.plan_of(later).await["at"],
        after["applied"]["revoke_at"]
    );
    for request in [&elsewhere, &new] {
        assert_eq!(app.plan_of(request).await, NOTHING);
    }
    let taken = app.pass_time(2 * HOUR).await;
    let revocations = taken
        .iter()
        .filter(|step| **step == TimerStep::RevokeScheduled);
    assert_eq!(
        revocations.count(),
        3,
        "two by its own plans, and one by the earlier"
    );
}
