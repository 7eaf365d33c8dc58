//! Agreements that are to follow one another, of which one in between never comes to be: what was to take its place takes the place of the one before it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{SECOND, Shop, path, with};
use crate::support::deals::Deal;
use crate::support::listings::blamed;
use crate::support::{TestApp, Who};

const BUYER: &str = "210987654321";
const SISTER: &str = "310987654321";
const HOUR: Duration = Duration::from_hours(1);

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

fn why(renewal: &str) -> Value {
    json!({ "reason": "a mistake", "renewal": renewal })
}

/// Three years, one behind the other: the first has begun.
async fn three_years(app: &TestApp, shop: &Shop) -> [Value; 3] {
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let third = with(
        shop.year(),
        &json!({ "replaces": second["id"], "starts_at": second["ends_at"] }),
    );
    let third = app.buy(&third).await;
    [first, second, third]
}

fn never(agreement: &Value) -> bool {
    agreement["state"] == "ended" && agreement["cause"].is_null()
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_rolls_one_back_says_what_becomes_of_the_one_behind_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let [first, second, third] = three_years(&app, &shop).await;
    let silent = app
        .act(&second, "roll-back", &json!({ "reason": "a mistake" }))
        .await;
    silent.refused("nobody said", 409, "renewal_pending");
    assert_eq!(blamed(&silent), ["renewal"]);
    let detail = silent.json()["detail"].as_str().unwrap().to_owned();
    for word in [third["id"].as_str().unwrap(), "keep", "roll_back"] {
        assert!(detail.contains(word), "{detail}");
    }
    assert_eq!(app.agreement(&second).await["state"], "pending");

    app.act(&second, "roll-back", &why("roll_back"))
        .await
        .good();
    for gone in [&second, &third] {
        assert!(never(&app.agreement(gone).await));
    }
    let timeline = app.timeline(&third).await;
    let step = timeline
        .iter()
        .find(|it| it["what"] == "agreement.roll_back")
        .unwrap_or_else(|| panic!("{timeline:?}"));
    assert_eq!(step["details"]["after"]["with"], second["id"], "{step}");
    let before = app.agreement(&first).await;
    assert_eq!(
        (&before["state"], &before["successor"]),
        (&json!("active"), &Value::Null)
    );
    // It ends for the one that was rolled back, so a later end would come to nothing. There is room for another, and behind it nothing that is asked for.
    let later = json!({ "ends_at": time(&first["ends_at"]) + TimeDelta::days(90) });
    app.act(&first, "amend", &later)
        .await
        .refused("in vain", 409, "agreement_step_impossible");
    let second = app.act(&first, "renew", &json!({})).await.good();
    app.act(&second, "roll-back", &json!({ "reason": "again" }))
        .await
        .good();
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_kept_takes_the_place_of_the_one_before(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let [first, second, third] = three_years(&app, &shop).await;
    app.act(&second, "roll-back", &why("keep")).await.good();
    assert!(never(&app.agreement(&second).await));
    assert_eq!(app.agreement(&second).await["successor"], Value::Null);
    assert_eq!(app.agreement(&third).await["state"], "pending");
    let successor = json!({ "agreement_id": third["id"], "since": third["starts_at"] });
    assert_eq!(app.agreement(&first).await["successor"], successor);
    app.act(&first, "renew", &json!({})).await.refused(
        "it has a successor",
        409,
        "agreement_renewed",
    );
    let until = json!({ "ends_at": third["starts_at"] });
    app.act(&first, "amend", &until)
        .await
        .refused("in vain", 409, "agreement_step_impossible");
    // Its accounts go along to it.
    let vouch = json!({ "account_id": SECOND, "proof": "operator_vouched", "reason": "named" });
    app.post(Who::Admin, &format!("{}/accounts", path(&first)), &vouch)
        .await
        .good();
    assert_eq!(
        app.agreement(&third).await["accounts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // Whoever ends the first one is asked for it. Nobody waits a year for it, so the grace is that of the end.
    let until = time(&first["ends_at"]) - app.clock.now() - TimeDelta::hours(12);
    app.advance(until.to_std().unwrap());
    app.make_partitions().await;
    app.act(&first, "cancel", &json!({ "reason": "they moved" }))
        .await
        .refused("nobody said", 409, "renewal_pending");
    let now = app.clock.now();
    let ended = app.act(&first, "cancel", &why("keep")).await.good();
    assert_eq!(
        (&ended["state"], time(&ended["grace_until"])),
        (&json!("grace"), now + TimeDelta::hours(24))
    );
    // It can be rolled back as well, although the first one ended at another's time.
    app.act(&third, "roll-back", &json!({ "reason": "so be it" }))
        .await
        .good();
    assert_eq!(app.agreement(&first).await["successor"], Value::Null);
}

/// Who connects by the first of three, of which the second is told by its source never to have come to be. The third begins half a day after the first has ended.
async fn a_line(app: &TestApp, listing: &Value, third: &[&str]) -> [Deal; 3] {
    let now = app.clock.now();
    let ends = now + TimeDelta::days(2);
    let terms = Terms::lasting(now, Some(ends));
    let mut first = app.agree(listing, &[BUYER, SISTER], terms).await;
    let terms = Terms::lasting(ends, None);
    let mut second = app
        .agree_in_place_of(Some(&first), listing, &[BUYER, SISTER], terms)
        .await;
    app.told_as_of(&mut first, Told::Replaced, ends).await;
    let begins = ends + TimeDelta::hours(12);
    let third = app
        .agree_in_place_of(Some(&second), listing, third, Terms::lasting(begins, None))
        .await;
    app.told_as_of(&mut second, Told::Replaced, begins).await;
    let at = format!("/v1/agreements/{}/notices", second.agreement.id);
    let notice = json!({ "event_id": "never", "at": now, "kind": "rolled_back" });
    app.post(Who::Admin, &at, &notice).await.good();
    app.come_to_rest().await;
    [first, second, third]
}

#[sqlx::test(migrations = "./migrations")]
async fn behind_one_that_its_source_takes_back_nothing_is_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let [first, second, third] = a_line(&app, &listing, &[BUYER, SISTER]).await;
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.payer(&request).await, Some(first.agreement.id.uuid()));
    assert_eq!(app.state(&third).await, AgreementState::Pending);
    app.later(HOUR * 48).await;
    let waits = app.read(&first).await;
    assert_eq!(
        (waits.state, waits.succeeded_at),
        (AgreementState::Superseded, None)
    );
    app.later(HOUR * 12).await;
    let begins = app.clock.now();
    let over = app.read(&first).await;
    assert_eq!(
        (over.state, over.succeeded_at),
        (AgreementState::Superseded, app.read(&third).await.starts_at),
        "{begins}"
    );
    assert_eq!(app.state(&third).await, AgreementState::Active);
    assert_eq!(app.payer(&request).await, Some(third.agreement.id.uuid()));
    for _ in 0..3 {
        app.later(HOUR * 30).await;
        assert_eq!(app.summary(&request).await, "available");
        assert_eq!(app.let_in(&service).await.len(), 2);
    }
    assert_eq!(app.state(&second).await, AgreementState::Ended);
}

/// Whoever is not let in by the one that took the place is cut after a grace, unless it is let in at the last moment.
#[sqlx::test(migrations = "./migrations")]
async fn whoever_the_one_behind_lets_in_at_the_last_moment_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let [_, _, third] = a_line(&app, &listing, &[BUYER]).await;
    let saved = app.endpoint(SISTER, &service).await;
    app.later(HOUR * 60).await;
    let planned = "SELECT count(*) FROM planned_revocations";
    assert_eq!(app.count(planned).await, 1);
    app.advance(HOUR * 25);
    app.make_partitions().await;
    let attach = "INSERT INTO agreement_accounts (id, agreement_id, account_id, proof, attached_at, attached_by)
                  VALUES (gen_random_uuid(), $1, $2, 'operator_vouched', $3, 'a test')";
    sqlx::query(attach)
        .bind(third.agreement.id.uuid())
        .bind(SISTER)
        .bind(app.clock.now())
        .execute(app.db())
        .await
        .unwrap();
    app.timers_run().await;
    assert_eq!(app.summary(&saved).await, "available");
}

/// One that ended early for another is not given back to nothing. Where its source took that one back all the same, the one behind may go as well.
#[sqlx::test(migrations = "./migrations")]
async fn the_one_behind_may_go_where_there_is_a_gap_already(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    let first = app.buy(&shop.by_use()).await;
    let place = json!({ "replaces": first["id"], "starts_at": now + TimeDelta::days(3) });
    let second = app.buy(&with(shop.year(), &place)).await;
    let place = json!({ "replaces": second["id"], "starts_at": second["ends_at"] });
    let third = app.buy(&with(shop.by_use(), &place)).await;
    app.act(&second, "roll-back", &why("keep")).await.refused(
        "a gap",
        409,
        "agreement_step_impossible",
    );
    let notice = json!({ "event_id": "never", "at": now, "kind": "rolled_back" });
    app.act(&second, "notices", &notice).await.good();
    assert_eq!(app.agreement(&third).await["state"], "pending");
    app.act(&third, "roll-back", &json!({ "reason": "so be it" }))
        .await
        .good();
    assert!(never(&app.agreement(&third).await));
}
