//! Offers: made of what is sold, for everybody or for some, never changed, and taken back.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::listings::{blamed, content};
use crate::support::{CONSUMER, TestApp, Who};

fn plan(listing: &Value) -> &Value {
    &listing["live"]["content"]["plans"][0]["id"]
}

fn private(app: &TestApp, listing: &Value) -> Value {
    json!({
        "listing_id": listing["id"], "plan_id": plan(listing), "kind": "private", "name": "For Acme", "accounts": [CONSUMER],
        "valid_until": app.clock.now() + TimeDelta::days(30),
        "prices": [{ "dimension": "endpoint_seat", "term": "P12M", "price": "900.00" }],
    })
}

#[sqlx::test(migrations = "./migrations")]
async fn an_offer_pins_its_plan_until_it_is_over(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    let body = private(&app, &listing);
    let made = app.post(Who::Admin, "/v1/offers", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let offer = made.json();
    let path = made.header("location").to_owned();
    assert_eq!(
        (&offer["state"], &offer["revision"], &offer["prices"]),
        (&json!("open"), &json!(1), &body["prices"])
    );

    // The plan gets another price; the offer was made by the old revision.
    let mut next = content(&service);
    next["plans"][0]["rate_cards"][0]["rates"][0]["price"] = json!("1300.00");
    app.write(&listing, &next).await.good();
    app.steps(&listing, &["submit", "approve", "release"]).await;
    assert_eq!(
        app.get(Who::Viewer, &path).await.good()["revision"],
        json!(1)
    );

    let newer = app.post(Who::Admin, "/v1/offers", &body).await.good();
    let withdrawn = app
        .post(
            Who::Admin,
            &format!("{path}/withdraw"),
            &json!({ "reason": "a mistake" }),
        )
        .await
        .good();
    assert_eq!(
        (&withdrawn["state"], &withdrawn["withdrawn"]["reason"]),
        (&json!("withdrawn"), &json!("a mistake"))
    );
    let twice = app
        .post(
            Who::Admin,
            &format!("{path}/withdraw"),
            &json!({ "reason": "again" }),
        )
        .await;
    twice.refused("twice", 409, "offer_ended");
    app.advance(Duration::from_hours(31 * 24));
    let path = format!("/v1/offers/{}", newer["id"].as_str().unwrap());
    assert_eq!(app.get(Who::Viewer, &path).await.good()["state"], "expired");
    let late = app
        .post(
            Who::Admin,
            &format!("{path}/withdraw"),
            &json!({ "reason": "late" }),
        )
        .await;
    late.refused("it is over", 409, "offer_ended");
    for (query, count) in [
        ("state=expired", 1),
        ("state=open", 0),
        ("state=withdrawn", 1),
        ("account_id=444455556666", 2),
        ("account_id=999999999999", 0),
        ("kind=public", 0),
    ] {
        let listed = app
            .get(Who::Viewer, &format!("/v1/offers?{query}"))
            .await
            .good();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{query}");
    }
    for sql in [
        "UPDATE offers SET prices = '[]'",
        "UPDATE offers SET accounts = '{}'",
        "DELETE FROM offers",
    ] {
        let refused = sqlx::query(sql).execute(app.db()).await.unwrap_err();
        let code = refused.into_database_error().unwrap();
        assert_eq!(code.code().unwrap_or_default(), "42501", "{sql}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_offer_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.limited("ledger").await;
    let good = private(&app, &listing);
    let many: Vec<String> = (0..27).map(|n| format!("{n:012}")).collect();
    for (member, value, field, said) in [
        (
            "accounts",
            json!([]),
            "accounts",
            "a private offer names the 1 to 26 accounts",
        ),
        (
            "accounts",
            json!(many),
            "accounts",
            "may have 26 entries, not 27",
        ),
        (
            "accounts",
            json!([CONSUMER, CONSUMER]),
            "accounts[1]",
            "is there already",
        ),
        ("accounts", json!(["12"]), "accounts[0]", "12"),
        (
            "kind",
            json!("public"),
            "accounts",
            "a public offer is for everybody",
        ),
        (
            "valid_until",
            Value::Null,
            "valid_until",
            "a private offer has an end",
        ),
        (
            "valid_until",
            json!("2020-01-01T00:00:00Z"),
            "valid_until",
            "yet to come",
        ),
        ("name", json!(""), "name", "must not be empty"),
        (
            "plan_id",
            json!("pln_00000000000000000000000000000009"),
            "plan_id",
            "sells no plan",
        ),
        (
            "prices",
            json!([{ "dimension": "nothing", "price": "1" }]),
            "prices[0].dimension",
            "no price for usage",
        ),
        (
            "prices",
            json!([{ "dimension": "endpoint_seat", "term": "P12M", "price": "1.001" }]),
            "prices[0].price",
            "EUR has 2 decimals",
        ),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refusal = app.post(Who::Admin, "/v1/offers", &body).await;
        refusal.refused(&format!("{member} {field}"), 400, "invalid_request");
        assert_eq!(blamed(&refusal)[0], field, "{}", refusal.text);
        assert!(
            refusal.text.contains(said)
                || refusal.json()["detail"]
                    .as_str()
                    .unwrap()
                    .to_lowercase()
                    .contains(said),
            "{}",
            refusal.text
        );
    }
    let mut float = good.clone();
    float["prices"][0]["price"] = json!(900.0);
    let refusal = app.post(Who::Admin, "/v1/offers", &float).await;
    refusal.refused("a float", 400, "invalid_json");
    assert_eq!(blamed(&refusal), ["prices[0].price"]);
    assert_eq!(app.count("SELECT count(*) FROM offers").await, 0);

    app.steps(&listing, &["restrict"]).await;
    let refusal = app.post(Who::Admin, "/v1/offers", &good).await;
    refusal.refused("nothing new is sold", 409, "listing_not_selling");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_a_plan_is_one_public_offer_at_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.limited("ledger").await;
    let now = app.clock.now();
    let offer = |from: i64, until: Option<i64>| {
        json!({
            "listing_id": listing["id"], "plan_id": plan(&listing), "kind": "public", "name": "Autumn",
            "valid_from": now + TimeDelta::days(from), "valid_until": until.map(|days| now + TimeDelta::days(days)),
        })
    };
    let first = app
        .post(Who::Admin, "/v1/offers", &offer(1, Some(10)))
        .await
        .good();
    assert_eq!(first["state"], "scheduled");
    for (from, until) in [(0, None), (5, Some(6)), (0, Some(2)), (9, None)] {
        let refusal = app
            .post(Who::Admin, "/v1/offers", &offer(from, until))
            .await;
        refusal.refused("at the same time", 409, "offer_exists");
    }
    for (from, until) in [(0, Some(1)), (10, None)] {
        app.post(Who::Admin, "/v1/offers", &offer(from, until))
            .await
            .good();
    }
    let body = private(&app, &listing);
    let (one, two) = tokio::join!(
        app.post(Who::Admin, "/v1/offers", &body),
        app.post(Who::Admin, "/v1/offers", &body),
    );
    assert_eq!(
        (one.status, two.status),
        (201, 201),
        "private ones are as many as there are buyers"
    );
}
