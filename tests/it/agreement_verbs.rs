//! What people say happened to agreements: ends, questions, amendments, and renewals without a cut.

use std::time::Duration;

use chrono::{DateTime, Months, TimeDelta, Utc};
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{SECOND, path, with};
use crate::support::listings::blamed;
use crate::support::{TestApp, Who};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

fn why() -> Value {
    json!({ "reason": "it is so" })
}

fn days(count: u64) -> Duration {
    Duration::from_hours(24 * count)
}

#[sqlx::test(migrations = "./migrations")]
async fn ends_give_the_grace_of_their_cause(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    for (verb, cause, hours) in [
        ("cancel", "cancelled", 24),
        ("terminate", "terminated", 1),
        ("payment-failed", "payment", 24),
    ] {
        let made = app.buy(&shop.year()).await;
        let now = app.clock.now();
        let ended = app.act(&made, verb, &why()).await.good();
        assert_eq!(
            (&ended["state"], &ended["cause"]),
            (&json!("grace"), &json!(cause)),
            "{verb}"
        );
        assert_eq!(
            time(&ended["grace_until"]),
            now + TimeDelta::hours(hours),
            "{verb}"
        );
        app.act(&made, "cancel", &why())
            .await
            .refused(verb, 409, "agreement_over");
        app.act(&made, "amend", &json!({ "quotas": {} }))
            .await
            .refused(verb, 409, "agreement_over");
        app.act(&made, "question", &why())
            .await
            .refused(verb, 409, "agreement_over");
        app.act(&made, "roll-back", &why())
            .await
            .refused(verb, 409, "agreement_step_impossible");
        app.advance(days(2));
        assert_eq!(app.agreement(&made).await["state"], "ended");
        app.act(&made, "terminate", &why())
            .await
            .refused(verb, 409, "agreement_over");
        app.act(&made, "renew", &json!({}))
            .await
            .refused(verb, 409, "agreement_over");
    }
    // In grace a harder end makes it shorter, and a softer one makes no difference.
    let made = app.buy(&shop.year()).await;
    app.act(&made, "cancel", &why()).await.good();
    app.advance(Duration::from_hours(2));
    let now = app.clock.now();
    let harder = app.act(&made, "terminate", &why()).await.good();
    assert_eq!(time(&harder["grace_until"]), now + TimeDelta::hours(1));
    app.act(&made, "terminate", &why())
        .await
        .refused("twice", 409, "agreement_step_impossible");
    let softer = app.act(&made, "payment-failed", &why()).await.good();
    assert_eq!(softer["grace_until"], harder["grace_until"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn one_may_be_cancelled_as_of_a_later_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let made = app.buy(&shop.year()).await;
    let now = app.clock.now();
    let cancel = async |at: DateTime<Utc>| {
        app.act(&made, "cancel", &json!({ "reason": "moved", "at": at }))
            .await
    };
    let past = cancel(now - TimeDelta::hours(1)).await;
    past.refused("it is past", 400, "invalid_request");
    assert_eq!(blamed(&past), ["at"]);
    cancel(now + TimeDelta::days(400))
        .await
        .refused("behind its end", 400, "invalid_request");
    let later = cancel(now + TimeDelta::days(30)).await.good();
    assert_eq!(later["state"], "active");
    assert_eq!(time(&later["next_change_at"]), now + TimeDelta::days(30));
    cancel(now + TimeDelta::days(40)).await.refused(
        "later still",
        409,
        "agreement_step_impossible",
    );
    cancel(now + TimeDelta::days(20)).await.good();
    app.advance(days(20));
    assert_eq!(app.agreement(&made).await["state"], "grace");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_question_is_cleared_by_somebody(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let made = app.buy(&shop.year()).await;
    app.act(&made, "clear", &why())
        .await
        .refused("no question", 409, "agreement_step_impossible");
    assert_eq!(
        app.act(&made, "question", &why()).await.good()["state"],
        "review"
    );
    app.act(&made, "question", &why())
        .await
        .refused("twice", 409, "agreement_step_impossible");
    assert_eq!(
        app.act(&made, "clear", &why()).await.good()["state"],
        "active"
    );
    assert_eq!(
        app.act(&made, "question", &why()).await.good()["state"],
        "review"
    );
    app.act(&made, "clear", &json!({ "reason": "" }))
        .await
        .refused("no reason", 400, "invalid_request");
    let admin = app
        .post(Who::Viewer, &format!("{}/clear", path(&made)), &why())
        .await;
    admin.refused("a viewer", 403, "forbidden");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_amendment_keeps_what_it_does_not_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let order = with(shop.year(), &json!({ "quotas": { "max_connections": 3 } }));
    let made = app.buy(&order).await;
    let amend = async |change: Value| app.act(&made, "amend", &change).await;
    let now = app.clock.now();
    for (change, field) in [
        (json!({ "quantities": {} }), "quantities.endpoint_seat"),
        (
            json!({ "quantities": { "endpoint_seat": "1", "x": "1" } }),
            "quantities.x",
        ),
        (
            json!({ "quotas": { "max_regions": 0 } }),
            "quotas.max_regions",
        ),
        (json!({ "ends_at": null }), "ends_at"),
        (json!({ "ends_at": now - TimeDelta::days(1) }), "ends_at"),
        (
            json!({ "ends_at": now + TimeDelta::days(11 * 366) }),
            "ends_at",
        ),
    ] {
        let refusal = amend(change.clone()).await;
        refusal.refused(&change.to_string(), 400, "invalid_request");
        assert_eq!(blamed(&refusal)[0], field, "{}", refusal.text);
    }
    let same = amend(json!({ "quotas": { "max_connections": 3 } }))
        .await
        .good();
    assert_eq!(same["version"], made["version"], "nothing new was said");
    let more = amend(json!({ "quantities": { "endpoint_seat": "8" } }))
        .await
        .good();
    assert_eq!(more["terms"]["quantities"], json!({ "endpoint_seat": "8" }));
    assert_eq!(
        (&more["ends_at"], &more["quotas"]),
        (&made["ends_at"], &made["quotas"])
    );
    let fewer = amend(json!({ "quotas": { "max_endpoints": 1 } }))
        .await
        .good();
    assert_eq!(fewer["quotas"], json!({ "max_endpoints": 1 }));
    let next = app
        .buy(&with(
            shop.by_use(),
            &json!({ "starts_at": made["ends_at"] }),
        ))
        .await;
    let longer = time(&made["ends_at"]) + TimeDelta::days(30);
    amend(json!({ "ends_at": longer }))
        .await
        .refused("into the next", 409, "agreement_overlaps");
    app.act(&next, "roll-back", &why()).await.good();
    assert_eq!(
        time(&amend(json!({ "ends_at": longer })).await.good()["ends_at"]),
        longer
    );

    let open = app
        .buy(&with(shop.by_use(), &json!({ "starts_at": longer })))
        .await;
    assert_eq!(
        (&open["ends_at"], &open["state"]),
        (&Value::Null, &json!("pending"))
    );
    let ending = app
        .act(
            &open,
            "amend",
            &json!({ "ends_at": longer + TimeDelta::days(9) }),
        )
        .await
        .good();
    assert_eq!(time(&ending["ends_at"]), longer + TimeDelta::days(9));
    assert_eq!(
        app.act(&open, "amend", &json!({ "ends_at": null }))
            .await
            .good()["ends_at"],
        Value::Null
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn renewals_follow_one_another_without_a_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app
        .buy(&with(shop.year(), &json!({ "accounts": [SECOND] })))
        .await;
    let accounts = format!("{}/accounts", path(&first));
    let vouch = json!({ "account_id": SECOND, "proof": "operator_vouched", "reason": "named" });
    app.post(Who::Admin, &accounts, &vouch).await.good();
    let renewal = json!({ "quantities": { "endpoint_seat": "6" }, "reference": "order-2" });
    let second = app.act(&first, "renew", &renewal).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let second = second.json();
    assert_eq!(
        (&second["starts_at"], &second["state"]),
        (&first["ends_at"], &json!("pending"))
    );
    assert_eq!(
        time(&second["ends_at"]),
        time(&first["ends_at"]) + Months::new(12)
    );
    let proofs = |agreement: &Value| {
        let accounts = agreement["accounts"].as_array().unwrap().iter();
        let standing = accounts.filter(|it| it["detached"].is_null());
        let mut proofs: Vec<Value> = standing
            .map(|it| json!([it["account_id"], it["proof"]]))
            .collect();
        proofs.sort_by_key(Value::to_string);
        proofs
    };
    assert_eq!(proofs(&second), proofs(&app.agreement(&first).await));
    app.act(&first, "renew", &json!({}))
        .await
        .refused("twice", 409, "agreement_renewed");
    app.act(&second, "renew", &json!({})).await.refused(
        "it has not begun",
        409,
        "agreement_step_impossible",
    );
    let before = app.agreement(&first).await;
    assert_eq!(
        (&before["state"], &before["successor"]["agreement_id"]),
        (&json!("active"), &second["id"])
    );

    // One that was rolled back leaves room for another.
    app.act(&second, "roll-back", &why()).await.good();
    assert_eq!(app.agreement(&first).await["successor"], Value::Null);
    let second = app.act(&first, "renew", &json!({})).await.good();
    let turn = time(&first["ends_at"]);
    let passed = turn - app.clock.now();
    app.advance((passed - TimeDelta::seconds(1)).to_std().unwrap());
    assert_eq!(app.agreement(&first).await["state"], "active");
    app.advance(Duration::from_secs(1));
    let old = app.agreement(&first).await;
    assert_eq!(
        (&old["state"], &old["succeeded_at"]),
        (&json!("superseded"), &first["ends_at"])
    );
    assert_eq!(app.agreement(&second).await["state"], "active");

    // At once, and by another plan that takes its place.
    app.make_partitions().await;
    let third = app
        .act(&second, "renew", &json!({ "at_once": true }))
        .await
        .good();
    assert_eq!(
        (&third["state"], &app.agreement(&second).await["state"]),
        (&json!("active"), &json!("superseded"))
    );
    app.act(&second, "terminate", &why())
        .await
        .refused("superseded", 409, "agreement_over");
    let by_use = with(shop.by_use(), &json!({ "replaces": third["id"] }));
    let fourth = app.buy(&by_use).await;
    assert_eq!(
        (&fourth["state"], &fourth["replaces"]),
        (&json!("active"), &third["id"])
    );
    assert_eq!(app.agreement(&third).await["state"], "superseded");
    app.try_to_buy(&by_use)
        .await
        .refused("replaced already", 409, "agreement_renewed");
    // What ends early for another keeps it.
    let early = with(
        shop.by_use(),
        &json!({ "replaces": fourth["id"], "starts_at": app.clock.now() + TimeDelta::days(3) }),
    );
    let early = app.buy(&early).await;
    app.act(&early, "roll-back", &why())
        .await
        .refused("a gap", 409, "agreement_step_impossible");
    app.advance(days(3));
    let fourth = early;
    // Without an end it goes on at once, until somebody ends it.
    let fifth = app.act(&fourth, "renew", &json!({})).await.good();
    assert_eq!(
        (&fifth["state"], &fifth["ends_at"]),
        (&json!("active"), &Value::Null)
    );
    let listed = app
        .get(Who::Viewer, "/v1/agreements?account_id=333344445555")
        .await
        .good();
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        4,
        "the accounts went along until the plan changed"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn one_is_renewed_in_grace_and_not_too_late(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let trial = app.buy(&shop.trial()).await;
    app.act(
        &trial,
        "renew",
        &json!({ "quantities": { "endpoint_seat": "1" } }),
    )
    .await
    .refused("no term", 400, "invalid_request");
    app.advance(days(14) + Duration::from_hours(2));
    assert_eq!(app.agreement(&trial).await["state"], "grace");
    let renewal = json!({ "term": "P12M", "quantities": { "endpoint_seat": "1" } });
    let bought = app.act(&trial, "renew", &renewal).await.good();
    assert_eq!(
        (&bought["state"], &bought["terms"]["trial"]),
        (&json!("active"), &json!(false))
    );
    assert_eq!(app.agreement(&trial).await["state"], "superseded");
    let late = with(
        shop.by_use(),
        &json!({
            "replaces": bought["id"], "starts_at": time(&bought["ends_at"]) + TimeDelta::hours(73),
        }),
    );
    let refusal = app.try_to_buy(&late).await;
    refusal.refused("behind the grace", 400, "invalid_request");
    assert_eq!(blamed(&refusal), ["starts_at"]);
    let just = with(
        late,
        &json!({ "starts_at": time(&bought["ends_at"]) + TimeDelta::hours(71) }),
    );
    app.buy(&just).await;
    // In between it waits, and its accounts are let in.
    let passed = time(&bought["ends_at"]) - app.clock.now();
    app.advance(passed.to_std().unwrap() + Duration::from_hours(1));
    let waits = app.agreement(&bought).await;
    assert_eq!(
        (&waits["state"], &waits["succeeded_at"]),
        (&json!("superseded"), &Value::Null)
    );
    app.advance(Duration::from_hours(71));
    assert_ne!(app.agreement(&bought).await["succeeded_at"], Value::Null);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_bought_elsewhere_is_changed_there(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let made = app.buy(&shop.year()).await;
    sqlx::query(
        "INSERT INTO agreements (id, source, reference, listing_id, plan_id, revision, buyer_account, state, made_at, made_by, stood_at)
         SELECT gen_random_uuid(), 'aws', 'agmt-1', listing_id, plan_id, revision, '999999999999', 'pending', made_at, made_by, stood_at FROM agreements",
    )
    .execute(app.db())
    .await
    .unwrap();
    let listed = app
        .get(Who::Viewer, "/v1/agreements?source=aws")
        .await
        .good();
    let theirs = &listed["items"][0];
    for (verb, body) in [
        ("cancel", why()),
        ("amend", json!({ "quotas": {} })),
        ("renew", json!({})),
        (
            "notices",
            json!({
                "event_id": "e", "at": app.clock.now(), "kind": "cleared",
            }),
        ),
    ] {
        app.act(theirs, verb, &body)
            .await
            .refused(verb, 409, "agreement_foreign");
    }
    assert_eq!(app.agreement(&made).await["state"], "active");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_does_not_exist_cannot_be_changed(pool: PgPool) {
    let app = TestApp::start(pool);
    let nothing = json!({ "id": "agr_00000000000000000000000000000009" });
    for verb in [
        "cancel",
        "terminate",
        "payment-failed",
        "question",
        "clear",
        "roll-back",
    ] {
        app.act(&nothing, verb, &why())
            .await
            .refused(verb, 404, "agreement_not_found");
    }
    for verb in ["amend", "renew"] {
        app.act(&nothing, verb, &json!({}))
            .await
            .refused(verb, 404, "agreement_not_found");
    }
    for part in ["", "/timeline", "/notices"] {
        let at = format!("{}{part}", path(&nothing));
        app.get(Who::Viewer, &at)
            .await
            .refused(part, 404, "agreement_not_found");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn the_timeline_has_what_was_and_what_comes(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let order = with(
        shop.year(),
        &json!({ "reference": "order-1", "event_id": "made-1" }),
    );
    let told = json!({ "event_id": "early", "at": app.clock.now(), "kind": "questioned", "reason": "odd" });
    app.hear("order-1", &told).await.good();
    app.advance(Duration::from_secs(1));
    let made = app.buy(&order).await;
    app.advance(Duration::from_secs(1));
    app.act(&made, "clear", &why()).await.good();
    app.advance(Duration::from_secs(1));
    let at = app.clock.now() + TimeDelta::days(10);
    app.act(&made, "cancel", &json!({ "reason": "moved", "at": at }))
        .await
        .good();
    let timeline = app.timeline(&made).await;
    let shown: Vec<Value> = timeline
        .iter()
        .map(|it| json!([it["kind"], it["what"]]))
        .collect();
    assert_eq!(
        Value::from(shown),
        json!([
            ["told", "questioned"],
            ["done", "agreement.make"],
            ["done", "agreement.change_state"],
            ["told", "made"],
            ["done", "agreement.clear"],
            ["done", "agreement.change_state"],
            ["done", "agreement.cancel"],
            ["planned", "agreement.change_state"],
            ["planned", "agreement.change_state"],
        ])
    );
    let [.., grace, end] = timeline.as_slice() else {
        panic!("too short")
    };
    assert_eq!(
        (time(&grace["at"]), &grace["details"]["state"]),
        (at, &json!("grace"))
    );
    assert_eq!(
        (time(&end["at"]), &end["details"]["state"]),
        (at + TimeDelta::days(1), &json!("ended"))
    );
    assert_eq!(timeline[4]["reason"], "it is so");
    let wrong = app
        .get(Who::Viewer, &format!("{}/timeline?cursor=x", path(&made)))
        .await;
    wrong.refused("no cursor", 400, "invalid_query");
}
