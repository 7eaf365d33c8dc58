//! What becomes of a renewal that has not begun when the agreement whose place it would take is ended: whoever ends it says so.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::agreement::Terms;
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::with;
use crate::support::listings::blamed;
use crate::support::{CONSUMER, TestApp, Who};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

fn why(renewal: &str) -> Value {
    json!({ "reason": "they have moved", "renewal": renewal })
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_ends_an_agreement_says_what_becomes_of_its_renewal(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    for verb in ["cancel", "terminate", "payment-failed"] {
        let first = app.buy(&shop.year()).await;
        let second = app.act(&first, "renew", &json!({})).await.good();
        let silent = app
            .act(&first, verb, &json!({ "reason": "they have moved" }))
            .await;
        silent.refused(verb, 409, "renewal_pending");
        assert_eq!(blamed(&silent), ["renewal"]);
        let detail = silent.json()["detail"].as_str().unwrap().to_owned();
        for word in [second["id"].as_str().unwrap(), "keep", "roll_back"] {
            assert!(detail.contains(word), "{detail}");
        }
        let odd = app.act(&first, verb, &why("burn")).await;
        odd.refused("no such word", 400, "invalid_json");
        assert_eq!(blamed(&odd), ["renewal"]);
        assert_eq!(app.agreement(&first).await["state"], "active");
        assert_eq!(app.agreement(&second).await["state"], "pending");

        let ended = app.act(&first, verb, &why("roll_back")).await.good();
        assert_eq!(
            (&ended["state"], &ended["successor"]),
            (&json!("grace"), &Value::Null),
            "{verb}"
        );
        let gone = app.agreement(&second).await;
        assert_eq!(
            (&gone["state"], &gone["cause"]),
            (&json!("ended"), &Value::Null)
        );
        let timeline = app.timeline(&second).await;
        let step = timeline
            .iter()
            .find(|it| it["what"] == "agreement.roll_back")
            .unwrap_or_else(|| panic!("{timeline:?}"));
        assert_eq!(step["reason"], "they have moved");
        app.advance(Duration::from_hours(24 * 4));
        assert_eq!(app.agreement(&first).await["state"], "ended");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_that_is_kept_begins_all_the_same(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    app.act(&first, "terminate", &why("keep")).await.good();
    assert_eq!(app.agreement(&second).await["state"], "pending");
    app.advance(
        (time(&second["starts_at"]) - app.clock.now())
            .to_std()
            .unwrap(),
    );
    app.make_partitions().await;
    assert_eq!(app.agreement(&first).await["state"], "ended");
    assert_eq!(app.agreement(&second).await["state"], "active");
    // Where there is none, the word makes no difference.
    app.act(&second, "cancel", &why("roll_back")).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_waits_for_a_renewal_that_was_rolled_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let third = with(
        shop.by_use(),
        &json!({ "replaces": second["id"], "starts_at": second["ends_at"] }),
    );
    let third = app.buy(&third).await;
    // Its turn would come within the grace of the cancellation, and would be waited for.
    let until = time(&first["ends_at"]) - app.clock.now() - TimeDelta::hours(12);
    app.advance(until.to_std().unwrap());
    app.make_partitions().await;
    let now = app.clock.now();
    let ended = app.act(&first, "cancel", &why("roll_back")).await.good();
    assert_eq!(
        (&ended["state"], time(&ended["grace_until"])),
        (&json!("grace"), now + TimeDelta::hours(24))
    );
    for gone in [&second, &third] {
        let gone = app.agreement(gone).await;
        assert_eq!(
            (&gone["state"], &gone["cause"]),
            (&json!("ended"), &Value::Null)
        );
    }
    app.advance(Duration::from_hours(13));
    assert_eq!(app.agreement(&first).await["state"], "grace");
    app.advance(Duration::from_hours(12));
    assert_eq!(app.agreement(&first).await["state"], "ended");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_end_behind_the_renewals_beginning_does_not_roll_it_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    let first = app.buy(&shop.by_use()).await;
    let turn = now + TimeDelta::days(3);
    let next = with(
        shop.year(),
        &json!({ "replaces": first["id"], "starts_at": turn }),
    );
    let next = app.buy(&next).await;
    let as_of = |days: i64| {
        with(
            why("roll_back"),
            &json!({ "at": now + TimeDelta::days(days) }),
        )
    };
    let late = app.act(&first, "cancel", &as_of(5)).await;
    late.refused("it has ended by then", 400, "invalid_request");
    assert_eq!(blamed(&late), ["at"]);
    assert_eq!(app.agreement(&next).await["state"], "pending");
    let ended = app.act(&first, "cancel", &as_of(2)).await.good();
    assert_eq!(ended["state"], "active");
    assert_eq!(app.agreement(&next).await["state"], "ended");
    app.advance(Duration::from_hours(48));
    assert_eq!(app.agreement(&first).await["state"], "grace");
}

/// No new agreement and nobody new is let in while a listing is suspended; whoever is a customer stays one.
#[sqlx::test(migrations = "./migrations")]
async fn an_agreement_of_a_suspended_listing_is_renewed(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = Terms::lasting(now, Some(now + TimeDelta::days(30)));
    let old = app.agree(&listing, &[CONSUMER], terms).await;
    app.come_to_rest().await;
    let request = app.endpoint(CONSUMER, &service).await;
    assert_eq!(app.summary(&request).await, "available");
    let let_in = app.let_in(&service).await;
    app.step(&listing, "suspend", &json!({ "reason": "to see" }))
        .await
        .good();
    let order = json!({ "term": "P12M", "quantities": { "endpoint_seat": "1" } });
    let buy = with(
        order.clone(),
        &json!({
            "listing_id": listing["id"], "plan_id": listing["live"]["content"]["plans"][0]["id"], "buyer_account": "210987654321",
        }),
    );
    let refusal = app.try_to_buy(&buy).await;
    refusal.refused("nothing new", 409, "listing_not_selling");
    assert!(
        refusal
            .text
            .contains("suspended: agreements that exist are renewed")
    );
    let renew = format!("/v1/agreements/{}/renew", old.agreement.id);
    let new = app.post(Who::Admin, &renew, &order).await.good();
    assert_eq!(new["state"], "pending");
    app.later(Duration::from_hours(24 * 30)).await;
    assert_eq!(app.state(&old).await, AgreementState::Superseded);
    assert_eq!(app.agreement(&new).await["state"], "active");
    app.later(Duration::from_hours(24 * 5)).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(
        app.let_in(&service).await,
        let_in,
        "none added, none removed"
    );
    let paying = app
        .get(
            Who::Viewer,
            &format!("/v1/connections/{}/agreement", request.id),
        )
        .await
        .good();
    assert_eq!(paying["paid_by"]["agreement_id"], new["id"], "{paying}");
    // Nobody new: another endpoint of the customer waits.
    let other = app.endpoint(CONSUMER, &service).await;
    assert_eq!(app.summary(&other).await, "waiting");
}
