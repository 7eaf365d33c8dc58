//! Agreements: made of what is sold, by whom it is sold to, and one at a time unless it is clear which of them pays.

use std::time::Duration;

use chrono::{DateTime, Months, TimeDelta, Utc};
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{SECOND, path, with};
use crate::support::listings::{blamed, content};
use crate::support::{CONSUMER, TestApp, Who};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn an_agreement_is_made_of_what_is_sold(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let order = with(
        shop.year(),
        &json!({ "reference": "order-1", "quotas": { "max_connections": 3 } }),
    );
    let made = app.buy(&order).await;
    assert_eq!(
        (&made["state"], &made["source"], &made["term"]),
        (&json!("active"), &json!("private"), &json!("P12M"))
    );
    let now = app.clock.now();
    assert_eq!(time(&made["starts_at"]), now);
    assert_eq!(time(&made["ends_at"]), now + Months::new(12));
    assert_eq!(time(&made["next_change_at"]), now + Months::new(12));
    assert_eq!(
        made["quotas"],
        json!({ "max_endpoints": 4, "max_connections": 3 })
    );
    assert_eq!(made["terms"]["quantities"], json!({ "endpoint_seat": "4" }));
    assert_eq!(
        made["prices"],
        json!([{ "dimension": "endpoint_seat", "term": "P12M", "price": "1200.00" }])
    );
    assert_eq!(
        made["used"],
        json!({ "connections": 0, "endpoints": 0, "regions": 0 })
    );
    let account = &made["accounts"][0];
    assert_eq!(
        (
            &account["account_id"],
            &account["proof"],
            &account["let_in"]
        ),
        (&json!(CONSUMER), &json!("buyer"), &json!(true))
    );

    // What is sold now is not what was bought.
    let mut next = content(&shop.service);
    next["plans"] = shop.listing["live"]["content"]["plans"].clone();
    next["plans"][0]["rate_cards"][0]["rates"][0]["price"] = json!("1300.00");
    app.write(&shop.listing, &next).await.good();
    app.steps(&shop.listing, &["submit", "approve", "release"])
        .await;
    let read = app.get(Who::Viewer, &path(&made)).await;
    assert!(!read.header("etag").is_empty());
    let read = read.good();
    assert_eq!(
        (&read["revision"], &read["prices"]),
        (&json!(1), &made["prices"])
    );

    let again = app.try_to_buy(&order).await;
    again.refused("overlaps first", 409, "agreement_overlaps");
    let later = with(order, &json!({ "starts_at": now + TimeDelta::days(400) }));
    app.try_to_buy(&later)
        .await
        .refused("the same reference", 409, "agreement_exists");
    for (query, count) in [
        ("state=active", 1),
        ("state=pending", 0),
        ("reference=order-1", 1),
        ("reference=order-2", 0),
        ("account_id=444455556666", 1),
        ("account_id=999999999999", 0),
        ("source=aws", 0),
        ("over_quota=false", 1),
        ("ends_before=2026-01-01T00:00:00Z", 0),
    ] {
        let listed = app
            .get(Who::Viewer, &format!("/v1/agreements?{query}"))
            .await
            .good();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(
        app.actions_about("agreement").await,
        ["agreement.change_state", "agreement.make"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_repeated_request_makes_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let buy = || {
        let request = app.request(Who::Admin, reqwest::Method::POST, "/v1/agreements");
        crate::support::http::send(request.json(&shop.year()).header("Idempotency-Key", "once"))
    };
    let (first, again) = (buy().await, buy().await);
    assert_eq!((first.status, again.status), (201, 201), "{}", first.text);
    assert_eq!(first.text, again.text);
    assert_eq!(app.count("SELECT count(*) FROM agreements").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_the_plan_does_not_sell_is_not_bought(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    let many: Vec<String> = (0..101).map(|n| format!("{n:012}")).collect();
    let year = shop.year();
    for (change, field) in [
        (json!({ "term": null }), "term"),
        (json!({ "term": "P24M" }), "term"),
        (json!({ "trial": true }), "term"),
        (json!({ "ends_at": now + TimeDelta::days(10) }), "ends_at"),
        (
            json!({ "starts_at": now - TimeDelta::days(366) }),
            "starts_at",
        ),
        (
            json!({ "starts_at": now - TimeDelta::days(367) }),
            "starts_at",
        ),
        (
            json!({ "starts_at": now + TimeDelta::days(1099) }),
            "starts_at",
        ),
        (json!({ "quantities": {} }), "quantities.endpoint_seat"),
        (
            json!({ "quantities": { "endpoint_seat": "0" } }),
            "quantities",
        ),
        (
            json!({ "quantities": { "endpoint_seat": "1", "gb": "1" } }),
            "quantities.gb",
        ),
        (
            json!({ "quotas": { "max_connections": 0 } }),
            "quotas.max_connections",
        ),
        (json!({ "buyer_account": "12" }), "buyer_account"),
        (json!({ "accounts": ["x"] }), "accounts[0]"),
        (json!({ "accounts": [SECOND, SECOND] }), "accounts[1]"),
        (json!({ "accounts": [CONSUMER] }), "accounts[0]"),
        (json!({ "accounts": many }), "accounts"),
        (json!({ "reference": "" }), "reference"),
        (json!({ "reference": "two words" }), "reference"),
        (json!({ "event_id": "portcullis:1" }), "event_id"),
        (json!({ "made_at": now + TimeDelta::minutes(6) }), "made_at"),
        (json!({ "plan_id": null }), "plan_id"),
        (
            json!({ "plan_id": "pln_00000000000000000000000000000009" }),
            "plan_id",
        ),
    ] {
        let refusal = app.try_to_buy(&with(year.clone(), &change)).await;
        refusal.refused(&change.to_string(), 400, "invalid_request");
        assert_eq!(blamed(&refusal)[0], field, "{change}: {}", refusal.text);
    }
    let float = with(
        year.clone(),
        &json!({ "quantities": { "endpoint_seat": 4 } }),
    );
    app.try_to_buy(&float)
        .await
        .refused("a float", 400, "invalid_json");
    for change in [
        json!({ "term": "P12M" }),
        json!({ "trial": true }),
        json!({ "ends_at": now }),
        json!({ "quantities": { "gb": "1" } }),
    ] {
        let refusal = app.try_to_buy(&with(shop.by_use(), &change)).await;
        refusal.refused(&change.to_string(), 400, "invalid_request");
    }
    let nothing = with(
        year.clone(),
        &json!({ "listing_id": "lst_00000000000000000000000000000009" }),
    );
    app.try_to_buy(&nothing)
        .await
        .refused("no listing", 404, "listing_not_found");
    let nothing = with(
        year.clone(),
        &json!({ "replaces": "agr_00000000000000000000000000000009" }),
    );
    app.try_to_buy(&nothing)
        .await
        .refused("no agreement", 404, "agreement_not_found");
    let nothing = with(
        year,
        &json!({ "offer_id": "ofr_00000000000000000000000000000009" }),
    );
    app.try_to_buy(&nothing)
        .await
        .refused("no offer", 404, "offer_not_found");
    assert_eq!(app.count("SELECT count(*) FROM agreements").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM agreement_notices").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_offer_says_what_is_bought(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    let offer = json!({
        "listing_id": shop.listing["id"], "plan_id": shop.plan(0), "kind": "private", "name": "For Acme", "accounts": [CONSUMER],
        "valid_until": now + TimeDelta::days(30),
        "prices": [{ "dimension": "endpoint_seat", "term": "P12M", "price": "900.00" }],
    });
    let make = async |change: Value| {
        app.post(Who::Admin, "/v1/offers", &with(offer.clone(), &change))
            .await
            .good()
    };
    let good = make(json!({})).await;
    let order = |offer: &Value| {
        with(
            shop.year(),
            &json!({ "plan_id": null, "offer_id": offer["id"] }),
        )
    };
    let others = make(json!({ "accounts": [SECOND] })).await;
    app.try_to_buy(&order(&others))
        .await
        .refused("for others", 409, "offer_not_for_buyer");
    let later = make(json!({ "valid_from": now + TimeDelta::days(1) })).await;
    app.try_to_buy(&order(&later))
        .await
        .refused("not yet", 409, "offer_not_open");
    let gone = make(json!({})).await;
    let withdraw = format!("/v1/offers/{}/withdraw", gone["id"].as_str().unwrap());
    app.post(Who::Admin, &withdraw, &json!({ "reason": "a mistake" }))
        .await
        .good();
    app.try_to_buy(&order(&gone))
        .await
        .refused("withdrawn", 409, "offer_ended");
    let wrong = with(order(&good), &json!({ "plan_id": shop.plan(1) }));
    app.try_to_buy(&wrong)
        .await
        .refused("another plan", 400, "invalid_request");
    let made = app.buy(&order(&good)).await;
    assert_eq!(
        (&made["offer_id"], &made["plan_id"]),
        (&good["id"], shop.plan(0))
    );
    assert_eq!(made["prices"][0]["price"], "900.00");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_has_one_agreement_at_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let ends = time(&first["ends_at"]);
    for change in [json!({}), json!({ "starts_at": ends - TimeDelta::days(1) })] {
        app.try_to_buy(&with(shop.by_use(), &change)).await.refused(
            &change.to_string(),
            409,
            "agreement_overlaps",
        );
    }
    // It may come before or behind, and for another account at any time.
    app.buy(&with(shop.by_use(), &json!({ "starts_at": ends })))
        .await;
    let allow = json!({ "allow_list": [CONSUMER, SECOND] });
    let listing = app.listing(&shop.listing).await;
    app.try_to_change_listing(&listing, allow).await.good();
    let other = app
        .buy(&with(shop.year(), &json!({ "buyer_account": SECOND })))
        .await;
    let accounts = format!("{}/accounts", path(&first));
    let body = json!({ "account_id": SECOND, "proof": "operator_vouched", "reason": "named in the order" });
    let refusal = app.post(Who::Admin, &accounts, &body).await;
    refusal.refused("it has its own", 409, "agreement_overlaps");
    // What has ended by the clock is in nobody's way.
    app.act(&other, "cancel", &json!({ "reason": "moved" }))
        .await
        .good();
    app.advance(Duration::from_secs(1));
    app.post(Who::Admin, &accounts, &body).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn bind_rules_of_both_plans_allow_several(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app
        .shop_with(|plans| {
            plans[0]["bind_rule"] = json!("oldest");
            let mut third = plans[0].clone();
            third["name"] = json!("Large");
            third["bind_rule"] = json!("most_free");
            plans.as_array_mut().unwrap().push(third);
        })
        .await;
    app.buy(&shop.year()).await;
    let large = with(shop.year(), &json!({ "plan_id": shop.plan(2) }));
    app.buy(&large).await;
    app.buy(&large).await;
    app.try_to_buy(&shop.by_use())
        .await
        .refused("without a rule", 409, "agreement_overlaps");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_plan_is_tried_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    // One that never came to be does not count.
    let later = with(
        shop.trial(),
        &json!({ "starts_at": now + TimeDelta::days(1) }),
    );
    let never = app.buy(&later).await;
    app.act(&never, "roll-back", &json!({ "reason": "a mistake" }))
        .await
        .good();
    let trial = app
        .buy(&with(shop.trial(), &json!({ "accounts": [SECOND] })))
        .await;
    assert_eq!(time(&trial["ends_at"]), now + TimeDelta::days(14));
    assert_eq!(trial["terms"]["trial"], true);
    app.advance(Duration::from_hours(24 * 20));
    let over = app.agreement(&trial).await;
    assert_eq!(
        (&over["state"], &over["cause"]),
        (&json!("ended"), &json!("trial_end"))
    );
    app.try_to_buy(&shop.trial())
        .await
        .refused("again", 409, "trial_taken");
    // Nor by another account that was let in. Without a proof it was not: nobody uses up another's trial by naming it.
    let allow = json!({ "allow_list": [CONSUMER, SECOND] });
    app.try_to_change_listing(&app.listing(&shop.listing).await, allow)
        .await
        .good();
    let second = with(shop.trial(), &json!({ "buyer_account": SECOND }));
    let own = app.buy(&second).await;
    app.act(&own, "terminate", &json!({ "reason": "enough" }))
        .await
        .good();
    app.advance(Duration::from_hours(2));
    app.try_to_buy(&second)
        .await
        .refused("the other account", 409, "trial_taken");
    let untried = with(shop.by_use(), &json!({ "trial": true }));
    app.try_to_buy(&untried)
        .await
        .refused("no trial", 400, "invalid_request");
    app.buy(&shop.year()).await;
}

/// Somebody names an account of somebody else's in a trial and in an agreement. It tries and buys for itself all the same, and is let in by the others' no more.
#[sqlx::test(migrations = "./migrations")]
async fn a_claim_without_a_proof_takes_nothing_from_anybody(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let allow = json!({ "allow_list": [CONSUMER, SECOND] });
    app.try_to_change_listing(&app.listing(&shop.listing).await, allow)
        .await
        .good();
    let named = app
        .buy(&with(shop.trial(), &json!({ "accounts": [SECOND] })))
        .await;
    let own = with(shop.trial(), &json!({ "buyer_account": SECOND }));
    let own = app.buy(&own).await;
    assert_eq!(
        (&own["state"], &own["terms"]["trial"]),
        (&json!("active"), &json!(true))
    );
    let accounts = format!("{}/accounts", path(&named));
    let vouch = json!({ "account_id": SECOND, "proof": "operator_vouched", "reason": "named" });
    app.post(Who::Admin, &accounts, &vouch).await.refused(
        "it has tried by itself",
        409,
        "trial_taken",
    );
    // The same of what is no trial.
    let bought = with(
        shop.by_use(),
        &json!({ "replaces": named["id"], "accounts": [SECOND] }),
    );
    app.try_to_buy(&bought)
        .await
        .refused("it has its own", 409, "agreement_overlaps");
    app.act(&own, "terminate", &json!({ "reason": "enough" }))
        .await
        .good();
    app.advance(Duration::from_secs(1));
    let bought = app.buy(&bought).await;
    let own = with(shop.by_use(), &json!({ "buyer_account": SECOND }));
    app.buy(&own).await;
    let accounts = format!("{}/accounts", path(&bought));
    app.post(Who::Admin, &accounts, &vouch).await.refused(
        "it has bought by itself",
        409,
        "agreement_overlaps",
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_listing_says_who_may_buy(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let second = with(shop.year(), &json!({ "buyer_account": SECOND }));
    app.try_to_buy(&second)
        .await
        .refused("not on the list", 409, "buyer_not_allowed");
    let made = app.buy(&shop.year()).await;
    app.steps(&shop.listing, &["restrict"]).await;
    let later = with(shop.year(), &json!({ "starts_at": made["ends_at"] }));
    app.try_to_buy(&later)
        .await
        .refused("restricted", 409, "listing_not_selling");
    let retired = app.step(&shop.listing, "retire", &json!({})).await;
    retired.refused("an agreement lives", 409, "listing_in_use");
    // Who has one goes on.
    let renewed = app.act(&made, "renew", &json!({})).await.good();
    assert_eq!(
        (&renewed["state"], &renewed["replaces"]),
        (&json!("pending"), &made["id"])
    );
    app.steps(&shop.listing, &["suspend"]).await;
    let next = app.act(&renewed, "renew", &json!({})).await;
    next.refused("it has not begun", 409, "agreement_step_impossible");
    let new = with(shop.by_use(), &json!({ "starts_at": renewed["ends_at"] }));
    app.try_to_buy(&new)
        .await
        .refused("suspended", 409, "listing_not_selling");
    app.steps(&shop.listing, &["resume"]).await;
    app.act(&renewed, "roll-back", &json!({ "reason": "no" }))
        .await
        .good();
    app.act(&made, "terminate", &json!({ "reason": "no" }))
        .await
        .good();
    app.step(&shop.listing, "retire", &json!({}))
        .await
        .refused("in grace", 409, "listing_in_use");
    app.advance(Duration::from_hours(25));
    // The worker looks at it, or whoever tells of it.
    let note = json!({ "event_id": "e1", "at": app.clock.now(), "kind": "cleared" });
    let ended = app.act(&made, "notices", &note).await.good();
    assert_eq!(ended["agreement"]["state"], "ended");
    app.steps(&shop.listing, &["retire"]).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_are_attached_with_their_proofs(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    app.add_consumer_with("Globex", &["777788889999"]).await;
    let vouched = json!({ "account_id": "555566667777", "proof": "operator_vouched", "reason": "named in order 4711" });
    app.post(
        Who::Admin,
        &format!("/v1/consumers/{acme}/accounts"),
        &vouched,
    )
    .await
    .good();
    let others = with(shop.year(), &json!({ "accounts": ["777788889999"] }));
    let refusal = app.try_to_buy(&others).await;
    refusal.refused("somebody else's", 409, "account_taken");
    assert_eq!(blamed(&refusal), ["accounts[0]"]);

    let made = app
        .buy(&with(
            shop.year(),
            &json!({ "accounts": [SECOND, "555566667777"] }),
        ))
        .await;
    let proof = |agreement: &Value, account: &str| {
        let accounts = agreement["accounts"].as_array().unwrap().iter();
        let mut standing =
            accounts.filter(|it| it["account_id"] == account && it["detached"].is_null());
        standing
            .next()
            .map(|it| (it["proof"].clone(), it["let_in"].clone()))
    };
    assert_eq!(proof(&made, SECOND), Some((json!("none"), json!(false))));
    assert_eq!(
        proof(&made, "555566667777"),
        Some((json!("operator_vouched"), json!(true)))
    );

    let accounts = format!("{}/accounts", path(&made));
    let attach = async |account: &str, proof: Value| {
        let body = json!({ "account_id": account, "proof": proof, "reason": "they said so" });
        app.post(Who::Admin, &accounts, &body).await
    };
    attach("777788889999", json!("operator_vouched"))
        .await
        .refused("somebody else's", 409, "account_taken");
    attach(SECOND, json!("sts_presigned"))
        .await
        .refused("its own to give", 400, "invalid_request");
    attach(SECOND, Value::Null)
        .await
        .refused("no better", 409, "account_attached");
    attach(CONSUMER, Value::Null)
        .await
        .refused("the buyer", 409, "account_attached");
    attach("12", Value::Null)
        .await
        .refused("no account", 400, "invalid_request");
    let now_vouched = attach(SECOND, json!("operator_vouched")).await.good();
    assert_eq!(now_vouched["let_in"], true);
    let shown = app.agreement(&made).await;
    assert_eq!(
        proof(&shown, SECOND),
        Some((json!("operator_vouched"), json!(true)))
    );
    assert_eq!(
        shown["accounts"].as_array().unwrap().len(),
        4,
        "what it was stays in the record"
    );

    let remove = async |account: &str, body: Value| {
        app.post(Who::Admin, &format!("{accounts}/{account}/remove"), &body)
            .await
    };
    remove(CONSUMER, json!({ "reason": "x" }))
        .await
        .refused("the buyer", 409, "buyer_stays");
    remove("999999999999", json!({ "reason": "x" }))
        .await
        .refused("not there", 404, "agreement_account_not_found");
    remove(SECOND, json!({ "reason": "" }))
        .await
        .refused("no reason", 400, "invalid_request");
    let gone = remove(SECOND, json!({ "reason": "sold" })).await.good();
    assert_eq!(
        (&gone["detached"]["reason"], &gone["let_in"]),
        (&json!("sold"), &json!(false))
    );
    assert_eq!(proof(&app.agreement(&made).await, SECOND), None);
    remove(SECOND, json!({ "reason": "sold" })).await.refused(
        "twice",
        404,
        "agreement_account_not_found",
    );
    attach(SECOND, json!("operator_vouched")).await.good();
    app.act(&made, "terminate", &json!({ "reason": "no" }))
        .await
        .good();
    attach("111122223333", Value::Null)
        .await
        .refused("it is over", 409, "agreement_over");
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_says_who_pays(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app
        .shop_with(|plans| plans[0]["bind_rule"] = json!("ask"))
        .await;
    let request = app.requested(&shop.service).await;
    let at = format!("/v1/connections/{}/agreement", request.id);
    let shown = app.get(Who::Viewer, &at).await.good();
    assert_eq!(
        (&shown["paid_by"], &shown["claimed"]),
        (&Value::Null, &Value::Null)
    );
    let first = app.buy(&shop.year()).await;
    let now = app.clock.now();
    let second = app
        .buy(&with(
            shop.year(),
            &json!({ "starts_at": now + TimeDelta::days(1) }),
        ))
        .await;
    app.claim(&request.id, &second)
        .await
        .refused("not begun", 409, "agreement_not_in_force");
    let claimed = app.claim(&request.id, &first).await.good();
    assert_eq!(claimed["claimed"]["agreement_id"], first["id"]);
    assert_eq!(
        app.get(Who::Viewer, &at).await.good()["claimed"],
        claimed["claimed"]
    );
    app.advance(Duration::from_hours(25));
    app.claim(&request.id, &second).await.good();
    let nothing = json!({ "id": "agr_00000000000000000000000000000009" });
    app.claim(&request.id, &nothing)
        .await
        .refused("none", 404, "agreement_not_found");
    let nowhere = "con_00000000000000000000000000000009";
    app.claim(nowhere, &first)
        .await
        .refused("none", 404, "connection_not_found");

    let allow = json!({ "allow_list": [CONSUMER, SECOND] });
    app.try_to_change_listing(&app.listing(&shop.listing).await, allow)
        .await
        .good();
    let others = app
        .buy(&with(shop.year(), &json!({ "buyer_account": SECOND })))
        .await;
    app.claim(&request.id, &others)
        .await
        .refused("not attached", 409, "account_not_attached");
    assert_eq!(
        app.count("SELECT count(*) FROM audit_entries WHERE action = 'connection.claim_agreement'")
            .await,
        2
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_buyers_at_once_one_gets_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let (first, other) = (shop.year(), shop.by_use());
    let (one, two) = tokio::join!(app.try_to_buy(&first), app.try_to_buy(&other));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
}
