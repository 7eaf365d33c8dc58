//! What listings refuse, each with the part to blame and a sentence.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::{OTHER, root};
use crate::support::listings::{blamed, checks, content};
use crate::support::{Answer, CONSUMER, TestApp, Who};

async fn create(app: &TestApp, content: Value) -> Answer {
    let body = json!({ "slug": "ledger", "content": content });
    app.post(Who::Admin, "/v1/listings", &body).await
}

#[sqlx::test(migrations = "./migrations")]
async fn a_price_is_a_string_and_a_currency_is_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let price = "/plans/0/rate_cards/0/rates/0/price";
    for (place, value, field, said) in [
        (
            price,
            json!(1200.5),
            "content.plans[0].rate_cards[0].rates[0].price",
            "a decimal string such as \\\"1200.5\\\", not the JSON number",
        ),
        (
            price,
            json!(1200),
            "content.plans[0].rate_cards[0].rates[0].price",
            "not the JSON number 1200",
        ),
        (
            price,
            json!("1e3"),
            "content.plans[0].rate_cards[0].rates[0].price",
            "without a sign, an exponent",
        ),
        (
            price,
            json!("-1"),
            "content.plans[0].rate_cards[0].rates[0].price",
            "is not an amount",
        ),
        (
            "/plans/0/currency",
            json!("EURO"),
            "content.plans[0].currency",
            "ISO 4217",
        ),
        (
            "/plans/0/currency",
            json!("XAU"),
            "content.plans[0].currency",
            "can be paid in",
        ),
        (
            "/plans/0/dimensions/0/unit",
            json!("Parsecs"),
            "content.plans[0].dimensions[0].unit",
            "unknown variant",
        ),
    ] {
        let mut wrong = content(&service);
        *wrong.pointer_mut(place).unwrap() = value.clone();
        let refusal = create(&app, wrong).await;
        refusal.refused(&format!("{place} {value}"), 400, "invalid_json");
        assert_eq!(blamed(&refusal), [field], "{}", refusal.text);
        assert!(refusal.text.contains(said), "{}", refusal.text);
    }
    assert_eq!(app.count("SELECT count(*) FROM listings").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn everything_that_is_wrong_is_told_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut wrong = content(&service);
    wrong["title"] = json!("x".repeat(73));
    wrong["fulfilment_url"] = json!("http://provider.example");
    wrong["plans"][0]["rate_cards"][0]["rates"][0]["price"] = json!("0.001");
    let refusal = create(&app, wrong).await;
    refusal.refused("three faults", 400, "invalid_request");
    assert_eq!(
        blamed(&refusal),
        [
            "content.title",
            "content.fulfilment_url",
            "content.plans[0].rate_cards[0].rates[0].price"
        ]
    );
    assert!(refusal.text.contains("(2 more)"), "{}", refusal.text);

    let mut wrong = content(&service);
    wrong["services"] = json!([{ "service_id": "svc_00000000000000000000000000000009" }]);
    wrong["plans"][0]["id"] = json!("pln_00000000000000000000000000000009");
    let refusal = create(&app, wrong.clone()).await;
    refusal.refused("a plan of nobody's", 400, "invalid_request");
    assert_eq!(blamed(&refusal), ["content.plans[0].id"]);
    wrong["plans"][0].as_object_mut().unwrap().remove("id");
    let refusal = create(&app, wrong).await;
    refusal.refused("a service that is not there", 400, "invalid_request");
    assert_eq!(blamed(&refusal), ["content.services[0].service_id"]);

    create(&app, content(&service)).await.good();
    let twice = create(&app, content(&service)).await;
    twice.refused("a slug twice", 409, "listing_exists");
    assert_eq!(blamed(&twice), ["slug"]);
    let body = json!({ "content": { "title": "x" }, "allow_list": [CONSUMER, "12"] });
    let refusal = app.post(Who::Admin, "/v1/listings", &body).await;
    refusal.refused("no account", 400, "invalid_request");
    assert_eq!(blamed(&refusal), ["allow_list[1]"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_missing_is_asked_for_when_it_is_submitted(pool: PgPool) {
    let app = TestApp::start(pool);
    let bare = create(&app, json!({ "title": "Ledger" })).await.good();
    let refusal = app.step(&bare, "submit", &json!({})).await;
    refusal.refused("a title alone", 422, "listing_incomplete");
    let fields = blamed(&refusal);
    assert_eq!(fields.len(), 13, "{fields:?}");
    assert!(
        fields.contains(&"content.plans".to_owned())
            && fields.contains(&"content.support_url".to_owned()),
        "{fields:?}"
    );
    let service = app.with_service().await;
    let mut priceless = content(&service);
    priceless["plans"][0]
        .as_object_mut()
        .unwrap()
        .remove("currency");
    app.write(&bare, &priceless).await.good();
    let refusal = app.step(&bare, "submit", &json!({})).await;
    refusal.refused("no currency", 422, "listing_incomplete");
    assert_eq!(blamed(&refusal), ["content.plans[0].currency"]);
    app.write(&bare, &content(&service)).await.good();
    app.steps(&bare, &["submit", "approve"]).await;
    let refusal = app.step(&bare, "release", &json!({})).await;
    refusal.refused("nobody can test it", 422, "listing_incomplete");
    assert_eq!(blamed(&refusal), ["allow_list"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_agreements_are_bound_to_stays_once_it_was_live(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    for (place, value, field, said) in [
        (
            "/plans/0/dimensions/0/key",
            json!("seat"),
            "content.plans[0].dimensions",
            "dimension endpoint_seat is missing",
        ),
        (
            "/plans/0/dimensions/0/types",
            json!(["metered"]),
            "content.plans[0].dimensions[0].types",
            "were entitled and cannot change",
        ),
        (
            "/plans/0/currency",
            json!("USD"),
            "content.plans[0].currency",
            "was EUR and cannot change",
        ),
        (
            "/plans/0/pricing_model",
            json!("byol"),
            "content.plans[0].pricing_model",
            "was contract and cannot change",
        ),
    ] {
        let mut other = content(&service);
        *other.pointer_mut(place).unwrap() = value;
        if place.ends_with("key") {
            other["plans"][0]["rate_cards"][0]["rates"][0]["dimension"] = json!("seat");
        } else if place.ends_with("types") {
            other["plans"][0]["rate_cards"] =
                json!([{ "rates": [{ "dimension": "endpoint_seat", "price": "1" }] }]);
        }
        let refusal = app.write(&listing, &other).await;
        refusal.refused(place, 409, "plan_bound");
        assert_eq!(blamed(&refusal), [field]);
        assert!(refusal.text.contains(said), "{}", refusal.text);
    }
    // A price may change, and a plan with another key is another plan.
    let mut other = content(&service);
    other["plans"][0]["rate_cards"][0]["rates"][0]["price"] = json!("1300.00");
    let mut new = other["plans"][0].clone();
    new["name"] = json!("Seats");
    new["dimensions"][0]["key"] = json!("seat");
    new["rate_cards"][0]["rates"][0]["dimension"] = json!("seat");
    other["plans"].as_array_mut().unwrap().push(new);
    app.write(&listing, &other).await.good();
    app.steps(&listing, &["submit", "approve", "release"]).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_sold_that_everybody_may_ask_for(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    app.connect(&service).await;
    // Somebody lets everybody ask in the console.
    app.grant(&service, &["*"], &[]).await;
    app.look_again().await;
    let refusal = app.step(&listing, "publish", &json!({})).await;
    refusal.refused("everybody may ask", 409, "listing_not_ready");
    assert_eq!(checks(&refusal), ["no_wildcard_principal"]);
    assert_eq!(refusal.json()["checks"][0]["service_id"], json!(service.id));
    // Nor is it reviewed.
    let mut next = content(&service);
    next["short"] = json!("Another word");
    app.write(&listing, &next).await.good();
    let refusal = app.step(&listing, "submit", &json!({})).await;
    refusal.refused("everybody may ask", 409, "listing_not_ready");
    app.grant(&service, &[&root(OTHER)], &["*"]).await;
    app.look_again().await;
    assert_eq!(app.steps(&listing, &["publish"]).await["state"], "public");
}

/// The worker does not look for a while, so nobody knows what is so now. What it saw is shown with its time, and nothing is sold by it.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_sold_by_what_was_seen_too_long_ago(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    app.connect(&service).await;
    let path = format!("/v1/listings/{}/readiness", listing["id"].as_str().unwrap());
    let ready = async || app.get(Who::Viewer, &path).await.good();
    let of = |shown: &Value, check: &str| {
        let mut all = shown["checks"].as_array().unwrap().iter();
        all.find(|one| one["check"] == check).unwrap().clone()
    };
    let shown = ready().await;
    let seen = app.service(&service.id).await;
    for check in [
        "service_available",
        "no_wildcard_principal",
        "private_dns_verified",
    ] {
        assert_eq!(
            of(&shown, check)["observed_at"],
            seen["observed"]["at"],
            "{seen}"
        );
    }
    assert!(of(&shown, "zones_healthy")["observed_at"].is_string());
    assert!(of(&shown, "test_connection")["observed_at"].is_string());
    for check in ["service_free", "fulfilment_url", "support_contact"] {
        assert_eq!(of(&shown, check)["observed_at"], Value::Null);
    }

    // Some looks are missed, and that is no reason.
    app.advance(Duration::from_mins(25));
    assert_eq!(ready().await["ready"], true);
    app.advance(Duration::from_mins(10));
    let shown = ready().await;
    assert_eq!(shown["ready"], false);
    assert_eq!(of(&shown, "test_connection")["status"], "pass");
    let refusal = app.step(&listing, "publish", &json!({})).await;
    refusal.refused("nobody has looked", 409, "listing_not_ready");
    let body = refusal.json();
    let stale = [
        "service_available",
        "no_wildcard_principal",
        "private_dns_verified",
        "zones_healthy",
    ];
    assert_eq!(checks(&refusal), stale);
    for one in body["checks"].as_array().unwrap() {
        assert_eq!(one["status"], "stale");
        assert!(
            one["evidence"].as_str().unwrap().contains("too long ago"),
            "{one}"
        );
    }
    app.run_until_rest().await;
    assert_eq!(app.steps(&listing, &["publish"]).await["state"], "public");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_listing_is_not_ready_before_aws_was_seen_to_be(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let body = json!({
        "account_id": crate::support::PROVIDER, "region": crate::support::HERE, "name": "edge",
        "load_balancer_arns": [app.narrow_load_balancer("edge")], "allowed_principals": [CONSUMER],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let mut text = json!({ "title": "Ledger", "services": [{ "service_id": made["id"] }] });
    text["fulfilment_url"] = json!("https://provider.example/welcome");
    let listing = create(&app, text).await.good();
    let path = format!("/v1/listings/{}/readiness", listing["id"].as_str().unwrap());
    let seen = async || -> Vec<String> {
        let shown = app.get(Who::Viewer, &path).await.good();
        assert_eq!(shown["ready"], false);
        let all = shown["checks"].as_array().unwrap().iter();
        all.map(|one| {
            format!(
                "{} {}",
                one["check"].as_str().unwrap(),
                one["status"].as_str().unwrap()
            )
        })
        .collect()
    };
    assert_eq!(
        seen().await,
        [
            "service_available unknown",
            "no_wildcard_principal unknown",
            "private_dns_verified pass",
            "zones_healthy unknown",
            "service_free pass",
            "test_connection fail",
            "fulfilment_url pass",
            "support_contact fail",
        ]
    );
    app.run_until_rest().await;
    let later = seen().await;
    assert_eq!(
        later[..2],
        ["service_available pass", "no_wildcard_principal pass"]
    );
    let missing = app.get(Who::Viewer, &format!("{path}?revision=7")).await;
    missing.refused("no such revision", 404, "listing_revision_not_found");
}
