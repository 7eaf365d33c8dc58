//! What a second reader found: ways around a guard, and what one listing does to others.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::api::auth::Role;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::listings::{blamed, checks, content, ticked};
use crate::support::{Answer, CONSUMER, TestApp, Who};

impl TestApp {
    /// A request of an admin of another name.
    async fn as_another(&self, name: &str, method: Method, path: &str, body: &Value) -> Answer {
        let (ttl, now) = (Duration::from_mins(10), self.clock.now());
        let token = self.issuer.issue(name, &[Role::Admin], ttl, now);
        let request = self.request(Who::Nobody, method, path);
        send(request.bearer_auth(token.expect("signed")).json(body)).await
    }
}

fn path(listing: &Value, rest: &str) -> String {
    format!("/v1/listings/{}{rest}", listing["id"].as_str().unwrap())
}

fn worded(mut content: Value, long: &str) -> Value {
    content["long"] = json!(long);
    content
}

#[sqlx::test(migrations = "./migrations")]
async fn what_comes_back_to_the_public_is_ready(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.published("ledger").await;
    app.steps(&listing, &["suspend"]).await;
    // Here nobody may let everybody ask, and in the console somebody does.
    app.grant(&service, &["*"], &[]).await;
    app.look_again().await;
    let refused = app.step(&listing, "resume", &json!({})).await;
    refused.refused("a principal *", 409, "listing_not_ready");
    assert!(
        checks(&refused).contains(&"no_wildcard_principal".to_owned()),
        "{}",
        refused.text
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_of_the_author_is_nobody_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit"]).await;
    let body = json!({ "name": "mine", "roles": ["approver"], "expires_at": app.clock_in(Duration::from_hours(1)) });
    let made = app
        .post(Who::Admin, "/v1/service-tokens", &body)
        .await
        .good();
    let approve = app.request(Who::Nobody, Method::POST, &path(&listing, "/approve"));
    let approve = approve.bearer_auth(made["secret"].as_str().unwrap());
    send(approve.json(&json!({ "revision": 1, "checklist": ticked() })))
        .await
        .refused("a program", 409, "review_by_same_person");
}

#[sqlx::test(migrations = "./migrations")]
async fn authors_stay_authors_after_a_rejection(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let text = content(&service);
    let listing = app.listing_of("ledger", &text).await;
    app.steps(&listing, &["submit"]).await;
    let reasons = json!([{ "code": "support_unreachable", "detail": "Nobody answers" }]);
    let reject = json!({ "revision": 1, "reasons": reasons });
    app.step(&listing, "reject", &reject).await.good();
    // The text was good, and is sent again as it was, by somebody else.
    let version = app.listing(&listing).await["version"].clone();
    let again = json!({ "content": text, "version": version });
    let next = app
        .as_another("carol", Method::PATCH, &path(&listing, ""), &again)
        .await
        .good();
    assert_eq!(next["next_revision"], 2);
    assert_eq!(
        next["next"]["authors"],
        json!(["admin@provider.example", "carol"])
    );
    app.as_another(
        "carol",
        Method::POST,
        &path(&listing, "/submit"),
        &json!({}),
    )
    .await
    .good();
    let approve = json!({ "revision": 2, "checklist": ticked() });
    app.step_by(Who::Admin, &listing, "approve", &approve)
        .await
        .refused("the first author", 409, "review_by_same_person");
    app.steps(&listing, &["approve"]).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_offer_outlives_the_revision_that_it_is_of(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_vouched_consumer("Acme", CONSUMER).await;
    let (service, listing) = app.published("ledger").await;
    let plan = listing["live"]["content"]["plans"][0]["id"].clone();
    let until = app.clock.now() + TimeDelta::days(30);
    let offer = json!({
        "listing_id": listing["id"], "plan_id": plan, "kind": "private", "name": "First year", "accounts": [CONSUMER], "valid_until": until,
        "prices": [{ "dimension": "endpoint_seat", "term": "P12M", "price": "900.00" }],
    });
    app.post(Who::Admin, "/v1/offers", &offer).await.good();
    let mut text = worded(content(&service), "A ledger, mended.");
    text["plans"][0]["id"] = plan.clone();
    text["plans"][0]["name"] = json!("Renamed");
    let dimension =
        json!({ "key": "region", "name": "Regions", "unit": "Units", "types": ["entitled"] });
    text["plans"][0]["dimensions"]
        .as_array_mut()
        .unwrap()
        .push(dimension);
    text["plans"][0]["rate_cards"] = json!([{ "term": "P12M", "rates": [
        { "dimension": "endpoint_seat", "price": "1500.00" }, { "dimension": "region", "price": "1.00" },
    ] }]);
    app.write(&listing, &text).await.good();
    app.steps(&listing, &["submit", "approve", "release"]).await;
    let path = format!("/catalog/{}", listing["id"].as_str().unwrap());
    let shown = app.member_gets(&acme, &path).await.good();
    assert_eq!(shown["long"], "A ledger, mended.");
    assert_eq!(
        (
            &shown["offers"][0]["revision"],
            &shown["offers"][0]["prices"][0]["price"]
        ),
        (&json!(1), &json!("900.00"))
    );
    // What is bought with it can be read: the plan as it was, with the price of the offer.
    let pinned = &shown["offers"][0]["plan"];
    assert_eq!(
        (&pinned["id"], &pinned["name"]),
        (&plan, &json!("Standard")),
        "{pinned}"
    );
    assert_eq!(
        pinned["rate_cards"],
        json!([{ "term": "P12M", "rates": [{ "dimension": "endpoint_seat", "price": "900.00" }] }])
    );
    assert_eq!(pinned["dimensions"].as_array().unwrap().len(), 1);
    let sold = &shown["plans"][0];
    assert_eq!(
        (&sold["name"], &sold["rate_cards"][0]["rates"][0]["price"]),
        (&json!("Renamed"), &json!("1500.00"))
    );
    let page = app
        .as_member(&acme, Method::GET, &path)
        .header("Accept", "text/html");
    let page = send(page).await.text;
    assert!(
        page.contains("Offer First year of Standard: 900.00 EUR a year for Endpoints"),
        "{page}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_bound_by_any_live_revision_stays_bound(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    let standard = listing["live"]["content"]["plans"][0]["id"].clone();
    // The next revisions sell another plan, and the first one comes back in the third.
    for title in ["second", "third"] {
        let mut other = content(&service);
        other["title"] = json!(title);
        other["plans"][0]["name"] = json!("Large");
        other["plans"][0]["currency"] = json!("USD");
        app.write(&listing, &other).await.good();
        app.steps(&listing, &["submit", "approve", "release"]).await;
    }
    let mut back = content(&service);
    back["plans"][0]["id"] = standard;
    back["plans"][0]["currency"] = json!("USD");
    let refusal = app.write(&listing, &back).await;
    refusal.refused("it was sold for EUR", 409, "plan_bound");
    assert_eq!(blamed(&refusal), ["content.plans[0].currency"]);
    back["plans"][0]["currency"] = json!("EUR");
    app.write(&listing, &back).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn what_cannot_be_read_hides_nothing_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.published("ledger").await;
    app.write(&listing, &worded(content(&service), "The next one"))
        .await
        .good();
    // As a replica of the version to come would write it.
    sqlx::query(
        "UPDATE listing_revisions SET content = content || '{\"new\": 1}' WHERE status = 'draft'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let seen = app.get(Who::Nobody, "/catalog").await.good();
    assert_eq!(seen["items"][0]["slug"], "ledger");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_search_is_bounded(pool: PgPool) {
    let app = TestApp::start(pool);
    app.published("ledger").await;
    let search = async |words: &str| {
        app.get(Who::Nobody, &format!("/catalog?search={words}"))
            .await
    };
    let found = search("LEDGER+ledger++ledger").await.good();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(search("ledger+elsewhere").await.good()["items"], json!([]));
    let many: Vec<String> = (0..11).map(|n| format!("w{n}")).collect();
    for refused in [many.join("+"), "w".repeat(201)] {
        search(&refused)
            .await
            .refused("too much", 400, "invalid_query");
    }
    app.get(
        Who::Nobody,
        &format!("/catalog?category={}", "c".repeat(81)),
    )
    .await
    .refused("too long", 400, "invalid_query");
}

#[sqlx::test(migrations = "./migrations")]
async fn revisions_count_from_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    let page = async |cursor: i64| {
        let path = path(&listing, &format!("/revisions?cursor={cursor}"));
        app.get(Who::Viewer, &path).await
    };
    page(0).await.refused("none has it", 400, "invalid_query");
    assert_eq!(page(1).await.good()["items"], json!([]));
    let items = page(2).await.good()["items"].clone();
    assert_eq!(items[0]["number"], 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn of_many_who_want_a_slug_one_gets_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut drafts = Vec::new();
    for number in 0..6 {
        drafts.push(
            app.listing_of(&format!("draft-{number}"), &content(&service))
                .await,
        );
    }
    let all = drafts
        .iter()
        .map(|draft| app.try_to_change_listing(draft, json!({ "slug": "ledger" })));
    let answers = futures_util::future::join_all(all).await;
    let good = answers.iter().filter(|it| it.status == 200).count();
    assert_eq!(good, 1, "{answers:?}");
    for late in answers.iter().filter(|it| it.status != 200) {
        late.refused("too late", 409, "listing_exists");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_answers_for_a_listing_and_consumers_do_not_see_who(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.published("ledger").await;
    assert_eq!(listing["owner"], "admin@provider.example", "who began it");
    let changed = app
        .try_to_change_listing(&listing, json!({ "owner": "payments" }))
        .await
        .good();
    assert_eq!(changed["owner"], "payments");
    for wrong in [String::new(), "o".repeat(129), "a\nb".to_owned()] {
        let refusal = app
            .try_to_change_listing(&changed, json!({ "owner": wrong }))
            .await;
        refusal.refused(&wrong, 400, "invalid_request");
        assert_eq!(blamed(&refusal), ["owner"]);
    }
    let address = path(&listing, "").replace("/v1/listings", "/catalog");
    let shown = app.get(Who::Nobody, &address).await;
    assert!(shown.status == 200 && !shown.text.contains("payments"));
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'listing.change' AND after ->> 'owner' = 'payments'";
    assert_eq!(app.count(told).await, 1);
}
