//! What an amendment makes of a renewal that has not begun: whoever amends says so.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::TestApp;
use crate::support::agreements::with;
use crate::support::listings::blamed;

fn seats(count: &str) -> Value {
    json!({ "quantities": { "endpoint_seat": count } })
}

fn terms(agreement: &Value) -> (&Value, &Value) {
    let terms = &agreement["terms"];
    (&terms["quantities"]["endpoint_seat"], &terms["quotas"])
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_amends_an_agreement_says_what_becomes_of_its_renewal(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let more = json!({ "quantities": { "endpoint_seat": "8" }, "quotas": { "max_endpoints": 8 }, "reason": "they grow" });
    let amend = async |renewal: &str| {
        let change = with(more.clone(), &json!({ "renewal": renewal }));
        app.act(&first, "amend", &change).await
    };
    let silent = app.act(&first, "amend", &more).await;
    silent.refused("nobody said", 409, "renewal_pending");
    assert_eq!(blamed(&silent), ["renewal"]);
    let detail = silent.json()["detail"].as_str().unwrap().to_owned();
    for word in [second["id"].as_str().unwrap(), "keep", "amend"] {
        assert!(detail.contains(word), "{detail}");
    }
    let odd = amend("roll_back").await;
    odd.refused("no such word", 400, "invalid_json");
    assert_eq!(blamed(&odd), ["renewal"]);
    for one in [&first, &second] {
        assert_eq!(app.agreement(one).await["terms"], one["terms"]);
    }

    let kept = amend("keep").await.good();
    let eight = (&json!("8"), &json!({ "max_endpoints": 8 }));
    assert_eq!(terms(&kept), eight);
    let after = app.agreement(&second).await;
    assert_eq!(
        (&after["terms"], &after["version"]),
        (&second["terms"], &second["version"])
    );

    // It has what it shall have, and the renewal is brought into line.
    let same = amend("amend").await.good();
    assert_eq!(same["version"], kept["version"]);
    let after = app.agreement(&second).await;
    assert_eq!(terms(&after), eight);
    assert_eq!(after["terms"]["starts_at"], second["terms"]["starts_at"]);
    assert_eq!(after["ends_at"], second["ends_at"]);
    let timeline = app.timeline(&second).await;
    let step = timeline
        .iter()
        .find(|it| it["what"] == "agreement.amend")
        .unwrap_or_else(|| panic!("{timeline:?}"));
    assert_eq!(
        (&step["reason"], &step["details"]["after"]["with"]),
        (&json!("they grow"), &first["id"]),
        "{step}"
    );
    // All is in line: there is nothing to be said.
    app.act(&first, "amend", &more).await.good();
    assert_eq!(app.agreement(&second).await["version"], after["version"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_amendment_goes_along_to_all_that_are_to_come(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let third = with(
        shop.year(),
        &json!({ "replaces": second["id"], "starts_at": second["ends_at"] }),
    );
    let third = app.buy(&third).await;
    let five = with(seats("5"), &json!({ "renewal": "amend" }));
    let amended = app.act(&first, "amend", &five).await.good();
    for one in [&amended, &second, &third] {
        assert_eq!(terms(&app.agreement(one).await).0, "5");
    }
    // What is behind one that has not begun itself is asked for, too.
    let six = app.act(&second, "amend", &seats("6")).await;
    six.refused("the third", 409, "renewal_pending");
    assert!(six.text.contains(third["id"].as_str().unwrap()));
    let six = with(seats("6"), &json!({ "renewal": "keep" }));
    app.act(&second, "amend", &six).await.good();
    let now: Vec<Value> = vec![
        app.agreement(&first).await,
        app.agreement(&second).await,
        app.agreement(&third).await,
    ];
    assert_eq!(
        now.iter().map(|one| terms(one).0).collect::<Vec<_>>(),
        ["5", "6", "5"]
    );
    // Behind the last one there is nothing.
    app.act(&third, "amend", &seats("7")).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_is_not_amended_to_what_its_plan_does_not_sell(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = with(
        shop.by_use(),
        &json!({ "replaces": first["id"], "starts_at": first["ends_at"] }),
    );
    let second = app.buy(&second).await;
    let eight = with(seats("8"), &json!({ "renewal": "amend" }));
    let refusal = app.act(&first, "amend", &eight).await;
    refusal.refused("by use", 400, "invalid_request");
    assert_eq!(blamed(&refusal), ["quantities.endpoint_seat"]);
    assert!(refusal.text.contains(second["id"].as_str().unwrap()));
    assert_eq!(terms(&app.agreement(&first).await).0, "4");
    let eight = with(seats("8"), &json!({ "renewal": "keep" }));
    app.act(&first, "amend", &eight).await.good();
    // The figures of either plan can be others.
    let quotas = json!({ "quotas": { "max_endpoints": 2 }, "renewal": "amend" });
    app.act(&first, "amend", &quotas).await.good();
    assert_eq!(
        app.agreement(&second).await["quotas"],
        json!({ "max_endpoints": 2 })
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_end_is_no_matter_of_the_renewals_figures(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let six = app.act(&first, "renew", &seats("6")).await.good();
    let ends: DateTime<Utc> = first["ends_at"].as_str().unwrap().parse().unwrap();
    let sooner = json!({ "ends_at": ends - TimeDelta::hours(1) });
    app.act(&first, "amend", &sooner).await.good();
    // What is said again changes nothing of the agreement, so nobody is asked.
    app.act(&first, "amend", &seats("4")).await.good();
    assert_eq!(terms(&app.agreement(&six).await).0, "6");
    // One that was rolled back is no matter any more.
    app.act(&six, "roll-back", &json!({ "reason": "a mistake" }))
        .await
        .good();
    app.act(&first, "amend", &seats("9")).await.good();
    assert_eq!(terms(&app.agreement(&six).await).0, "6");
}
