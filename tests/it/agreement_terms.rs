//! From which day terms are counted that follow one another.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::TestApp;
use crate::support::agreements::{Shop, with};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

/// A shop whose plan is sold by the month, too, and an order of a month that begins on a 31st of January.
async fn from_a_31st(app: &TestApp) -> (Shop, Value, i32) {
    let shop = app
        .shop_with(|plans| {
            let rates = plans[0]["rate_cards"][0]["rates"].clone();
            let cards = plans[0]["rate_cards"].as_array_mut().unwrap();
            cards.push(json!({ "term": "P1M", "rates": rates }));
            let mut other = plans[0].clone();
            other["name"] = json!("Other");
            plans.as_array_mut().unwrap().push(other);
        })
        .await;
    // The February behind it has 28 days.
    let next = app.clock.now().year() + 1;
    let year = if next % 4 == 0 { next + 1 } else { next };
    let begins = json!({ "term": "P1M", "starts_at": format!("{year}-01-31T10:00:00Z") });
    let order = with(shop.year(), &begins);
    (shop, order, year)
}

async fn until(app: &TestApp, at: &Value) {
    let passed = time(at) - app.clock.now();
    app.advance(passed.to_std().unwrap());
    app.make_partitions().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn months_from_a_31st_come_back_to_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, order, year) = from_a_31st(&app).await;
    let first = app.buy(&order).await;
    assert_eq!(first["anchored_at"], Value::Null);
    let day = |month: u32, day: u32| json!(format!("{year}-{month:02}-{day:02}T10:00:00Z"));
    let mut last = first.clone();
    for (ends, next) in [
        (day(2, 28), day(3, 31)),
        (day(3, 31), day(4, 30)),
        (day(4, 30), day(5, 31)),
    ] {
        assert_eq!(last["ends_at"], ends);
        until(&app, &last["starts_at"]).await;
        let renewed = app.act(&last, "renew", &json!({})).await.good();
        assert_eq!((&renewed["starts_at"], &renewed["ends_at"]), (&ends, &next));
        assert_eq!(renewed["anchored_at"], first["starts_at"]);
        last = renewed;
    }
    // For another term of the plan it is the same chain: thirteen months behind the beginning in February it would be the 28th.
    until(&app, &last["starts_at"]).await;
    let order = json!({ "term": "P12M" });
    let year_of = app.act(&last, "renew", &order).await.good();
    assert_eq!(
        time(&year_of["ends_at"]),
        time(&json!(format!("{}-05-31T10:00:00Z", year + 1)))
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_begins_at_another_time_or_of_another_plan_is_counted_from_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let (shop, order, year) = from_a_31st(&app).await;
    let first = app.buy(&order).await;
    let day = |month: u32, day: u32| json!(format!("{year}-{month:02}-{day:02}T10:00:00Z"));
    until(&app, &first["starts_at"]).await;
    let why = json!({ "reason": "to see" });
    let behind = |plan: usize, starts_at: Value| {
        let place =
            json!({ "replaces": first["id"], "plan_id": shop.plan(plan), "starts_at": starts_at });
        with(order.clone(), &place)
    };
    for (plan, ends) in [(0, day(3, 31)), (2, day(3, 28))] {
        let next = app.buy(&behind(plan, day(2, 28))).await;
        assert_eq!(next["ends_at"], ends, "the plan {plan}");
        assert_eq!(next["anchored_at"].is_null(), plan == 2);
        app.act(&next, "roll-back", &why).await.good();
    }
    // In its grace, an hour behind its end.
    let late = json!(time(&first["ends_at"]) + TimeDelta::hours(1));
    until(&app, &late).await;
    let renewed = app.act(&first, "renew", &json!({})).await.good();
    assert_eq!(
        renewed["starts_at"],
        json!(format!("{year}-02-28T11:00:00Z"))
    );
    assert_eq!(renewed["ends_at"], json!(format!("{year}-03-28T11:00:00Z")));
    assert_eq!(renewed["anchored_at"], Value::Null);
    let changed = sqlx::query("UPDATE agreements SET anchored_at = now() WHERE term IS NOT NULL")
        .execute(app.db())
        .await;
    assert!(changed.is_err(), "what was bought stays as it is");
}
