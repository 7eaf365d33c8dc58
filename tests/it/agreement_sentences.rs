//! What is said of agreements that cannot be: which member, and what would be right.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{SECOND, path, with};
use crate::support::listings::blamed;
use crate::support::{Answer, CONSUMER, TestApp, Who};

fn detail(refusal: &Answer) -> String {
    refusal.json()["detail"].as_str().unwrap().to_owned()
}

fn shown(at: &Value) -> String {
    let at: DateTime<Utc> = at.as_str().unwrap().parse().unwrap();
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[sqlx::test(migrations = "./migrations")]
async fn a_quantity_is_no_number_and_no_money(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let order = with(
        shop.year(),
        &json!({ "quantities": { "endpoint_seat": 4 } }),
    );
    let refusal = app.try_to_buy(&order).await;
    refusal.refused("a number", 400, "invalid_json");
    assert_eq!(blamed(&refusal), ["quantities.endpoint_seat"]);
    let said = detail(&refusal);
    assert!(
        said.contains(r#"a decimal string such as "4", not the JSON number 4"#),
        "{said}"
    );
    assert!(!said.contains("money") && !said.contains("price"), "{said}");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_needs_a_reason_says_so(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let made = app.buy(&shop.year()).await;
    for verb in [
        "grant",
        "cancel",
        "terminate",
        "payment-failed",
        "question",
        "clear",
        "roll-back",
    ] {
        let refusal = app.act(&made, verb, &json!({})).await;
        refusal.refused(verb, 400, "invalid_json");
        assert_eq!(blamed(&refusal), ["reason"], "{verb}");
        assert!(
            detail(&refusal).contains("missing field `reason`"),
            "{}",
            refusal.text
        );
    }
    for verb in ["amend", "renew"] {
        app.act(&made, verb, &json!({})).await.good();
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_overlaps_is_named_with_both_times(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let now = app.clock.now();
    let first = app.buy(&shop.year()).await;
    let first_span = format!(
        "from {} until {}",
        shown(&first["starts_at"]),
        shown(&first["ends_at"])
    );
    let starts = now + TimeDelta::days(9);
    let order = with(shop.by_use(), &json!({ "starts_at": starts }));
    let refusal = app.try_to_buy(&order).await;
    refusal.refused("the buyer", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["buyer_account"]);
    let said = detail(&refusal);
    for words in [
        CONSUMER,
        first["id"].as_str().unwrap(),
        &first_span,
        &format!(
            "from {} on, without an end",
            starts.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        ),
        "bind_rule",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // An account besides the buyer's, one that is attached, and a longer time.
    let allow = json!({ "allow_list": [CONSUMER, SECOND] });
    let listing = app.listing(&shop.listing).await;
    app.try_to_change_listing(&listing, allow).await.good();
    let sister = with(
        shop.by_use(),
        &json!({ "buyer_account": SECOND, "accounts": ["777788889999", CONSUMER] }),
    );
    let refusal = app.try_to_buy(&sister).await;
    refusal.refused("a sister", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["accounts[1]"]);
    let other = app
        .buy(&with(shop.by_use(), &json!({ "buyer_account": SECOND })))
        .await;
    let attach = json!({ "account_id": CONSUMER, "proof": "operator_vouched", "reason": "named" });
    let refusal = app
        .post(Who::Admin, &format!("{}/accounts", path(&other)), &attach)
        .await;
    refusal.refused("attached", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["account_id"]);
    app.buy(&with(
        shop.by_use(),
        &json!({ "starts_at": first["ends_at"] }),
    ))
    .await;
    let longer = json!({ "ends_at": now + TimeDelta::days(500) });
    let refusal = app.act(&first, "amend", &longer).await;
    refusal.refused("longer", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["ends_at"]);
    let refusal = app.act(&first, "renew", &json!({})).await;
    refusal.refused("renewed", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["term"]);
}
