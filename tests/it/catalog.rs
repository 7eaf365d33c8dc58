//! The catalogue: what is sold, to those that it is sold to.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::http::send;
use crate::support::listings::content;
use crate::support::{CONSUMER, HERE, TestApp, Who};

fn slugs(listed: &Value) -> Vec<&str> {
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|item| item["slug"].as_str().unwrap()).collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_sees_what_is_public_and_a_consumer_what_is_sold_to_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_vouched_consumer("Acme", CONSUMER).await;
    let other = app.add_vouched_consumer("Other", "999999999999").await;
    let (service, listing) = app.limited("ledger").await;
    let id = listing["id"].as_str().unwrap();
    let path = format!("/catalog/{id}");
    let seen = async || {
        let mut all = Vec::new();
        for (who, asks) in [
            ("nobody", None),
            ("acme", Some(&acme)),
            ("other", Some(&other)),
        ] {
            let (list, one) = match asks {
                None => (
                    app.get(Who::Nobody, "/catalog").await.good(),
                    app.get(Who::Nobody, &path).await.status,
                ),
                Some(consumer) => (
                    app.member_gets(consumer, "/catalog").await.good(),
                    app.member_gets(consumer, &path).await.status,
                ),
            };
            all.push(format!("{who}: {} {one}", slugs(&list).len()));
        }
        all.join(", ")
    };
    assert_eq!(seen().await, "nobody: 0 404, acme: 1 200, other: 0 404");
    app.connect(&service).await;
    app.steps(&listing, &["publish"]).await;
    assert_eq!(seen().await, "nobody: 1 200, acme: 1 200, other: 1 200");
    for (visibility, expected) in [
        ("unlisted", "nobody: 0 200, acme: 1 200, other: 0 200"),
        ("allow_list", "nobody: 0 404, acme: 1 200, other: 0 404"),
    ] {
        let now = app.listing(&listing).await;
        app.try_to_change_listing(&now, json!({ "visibility": visibility }))
            .await
            .good();
        assert_eq!(seen().await, expected);
    }
    app.steps(&listing, &["suspend"]).await;
    assert_eq!(seen().await, "nobody: 0 404, acme: 0 404, other: 0 404");
    // The provider's people see what everybody sees, and a token that is no good is nobody's.
    assert_eq!(
        slugs(&app.get(Who::Admin, "/catalog").await.good()),
        Vec::<&str>::new()
    );
    let forged = app
        .request(Who::Nobody, Method::GET, "/catalog")
        .bearer_auth("x");
    send(forged)
        .await
        .refused("a bad token", 401, "unauthenticated");
}

#[sqlx::test(migrations = "./migrations")]
async fn it_shows_where_and_for_how_much_and_nothing_internal(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_vouched_consumer("Acme", CONSUMER).await;
    let (service, listing) = app.published("ledger").await;
    let plan = &listing["live"]["content"]["plans"][0]["id"];
    let offer = json!({
        "listing_id": listing["id"], "plan_id": plan, "kind": "private", "name": "For Acme", "accounts": [CONSUMER],
        "valid_until": app.clock.now() + TimeDelta::days(30), "prices": [{ "dimension": "endpoint_seat", "term": "P12M", "price": "900.00" }],
    });
    app.post(Who::Admin, "/v1/offers", &offer).await.good();
    let path = format!("/catalog/{}", listing["id"].as_str().unwrap());
    let shown = app.get(Who::Nobody, &path).await;
    assert_eq!(
        (shown.header("cache-control"), shown.header("vary")),
        ("no-store", "Accept, Authorization")
    );
    let shown = shown.good();
    let place = &shown["services"][0];
    assert_eq!(
        (&place["region"], &place["service_name"]),
        (&json!(HERE), &json!(service.name))
    );
    assert_eq!(place["ports"], json!([{ "protocol": "tcp", "port": 443 }]));
    assert!(
        place["availability_zone_ids"].as_array().unwrap().len() >= 2,
        "{place}"
    );
    assert_eq!(
        shown["plans"][0]["rate_cards"][0]["rates"][0]["price"],
        "1200.00"
    );
    assert_eq!(
        shown["offers"],
        json!([]),
        "a private offer is for its accounts"
    );
    let text = shown.to_string();
    for internal in [
        "provider.example/v1",
        "admin@",
        "approver@",
        "authors",
        "checklist",
        "bind_rule",
        CONSUMER,
        "svc_",
    ] {
        assert!(!text.contains(internal), "{internal}: {text}");
    }
    let own = app.member_gets(&acme, &path).await.good();
    assert_eq!(own["offers"][0]["prices"][0]["price"], "900.00");
}

#[sqlx::test(migrations = "./migrations")]
async fn it_is_searched_by_words_category_and_region(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.published("ledger").await;
    for (query, found) in [
        ("", 1),
        ("?search=DOUBLE-entry%20banks", 1),
        ("?search=ledger%20nothing", 0),
        ("?search=%25", 0),
        ("?search=", 1),
        ("?category=financial%20services", 1),
        ("?category=Games", 0),
        ("?region=eu-west-1", 1),
        ("?region=us-east-1", 0),
    ] {
        let listed = app
            .get(Who::Nobody, &format!("/catalog{query}"))
            .await
            .good();
        assert_eq!(slugs(&listed).len(), found, "{query}");
    }
    app.get(Who::Nobody, "/catalog?colour=red").await.refused(
        "a filter that is none",
        400,
        "invalid_query",
    );
    // A draft changes nothing that is shown.
    let mut next = content(&service);
    next["title"] = json!("Secret plans");
    app.write(&listing, &next).await.good();
    let listed = app.get(Who::Nobody, "/catalog?search=secret").await.good();
    assert_eq!(slugs(&listed), Vec::<&str>::new());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_browser_gets_a_page_that_runs_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut text = content(&service);
    text["title"] = json!("Ledger <script>alert(1)</script>");
    text["short"] = json!("\"quoted\" & <b>bold</b>");
    let listing = app.listing_of("ledger", &text).await;
    app.steps(&listing, &["submit", "approve", "release"]).await;
    app.connect(&service).await;
    app.steps(&listing, &["publish"]).await;
    for path in [
        "/catalog?search=%22%3E%3Cscript%3E".to_owned(),
        "/catalog".to_owned(),
        format!("/catalog/{}", listing["id"].as_str().unwrap()),
    ] {
        let request = app
            .request(Who::Nobody, Method::GET, &path)
            .header("Accept", "text/html,*/*;q=0.8");
        let page = send(request).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; form-action 'self'"),
            "{policy}"
        );
        assert!(
            !page.text.contains("<script") && !page.text.contains("<b>"),
            "{}",
            page.text
        );
        if !path.contains("search") {
            assert!(
                page.text.contains("Ledger &lt;script&gt;") && page.text.contains("1200.00 EUR"),
                "{}",
                page.text
            );
        }
    }
}

fn private(app: &TestApp, listing: &Value, accounts: &[&str]) -> Value {
    json!({
        "listing_id": listing["id"], "plan_id": listing["live"]["content"]["plans"][0]["id"], "kind": "private", "name": "For you",
        "accounts": accounts, "valid_until": app.clock.now() + TimeDelta::days(30),
        "prices": [{ "dimension": "endpoint_seat", "term": "P12M", "price": "900.00" }],
    })
}

async fn hide(app: &TestApp, listing: &Value, visibility: &str) {
    let now = app.listing(listing).await;
    app.try_to_change_listing(&now, json!({ "visibility": visibility }))
        .await
        .good();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_private_offer_shows_its_accounts_what_is_hidden(pool: PgPool) {
    let app = TestApp::start(pool);
    let bolt = app.add_vouched_consumer("Bolt", OTHER).await;
    let (service, listing) = app.limited("ledger").await;
    let path = format!("/catalog/{}", listing["id"].as_str().unwrap());
    let seen = async || {
        let listed = app.member_gets(&bolt, "/catalog").await.good();
        (
            slugs(&listed).len(),
            app.member_gets(&bolt, &path).await.status,
        )
    };
    let offer = private(&app, &listing, &[OTHER]);
    let offer = app.post(Who::Admin, "/v1/offers", &offer).await.good();
    assert_eq!(seen().await, (0, 404), "the allow-list alone tests it");
    app.connect(&service).await;
    app.steps(&listing, &["publish"]).await;
    for visibility in ["allow_list", "unlisted"] {
        hide(&app, &listing, visibility).await;
        assert_eq!(seen().await, (1, 200), "{visibility}");
        let shown = app.member_gets(&bolt, &path).await.good();
        assert_eq!(shown["offers"][0]["id"], offer["id"]);
        let listed = app.get(Who::Nobody, "/catalog").await.good();
        assert_eq!(slugs(&listed), Vec::<&str>::new(), "{visibility}");
    }
    hide(&app, &listing, "allow_list").await;
    let withdraw = format!("/v1/offers/{}/withdraw", offer["id"].as_str().unwrap());
    app.post(Who::Admin, &withdraw, &json!({ "reason": "a mistake" }))
        .await
        .good();
    assert_eq!(seen().await, (0, 404), "it was withdrawn");
    // One that is yet to come, or of a plan that is not sold any more, shows nothing.
    let mut later = private(&app, &listing, &[OTHER]);
    later["valid_from"] = json!(app.clock.now() + TimeDelta::days(1));
    app.post(Who::Admin, "/v1/offers", &later).await.good();
    assert_eq!(seen().await, (0, 404), "its time has not come");
    app.advance(Duration::from_hours(25));
    assert_eq!(seen().await, (1, 200));
    app.run_until_rest().await;
    let mut next = content(&service);
    next["plans"][0]["name"] = json!("Another");
    app.write(&listing, &next).await.good();
    app.steps(&listing, &["submit", "approve", "release"]).await;
    assert_eq!(seen().await, (0, 404), "its plan is gone");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_nobody_vouches_for_sees_what_everybody_sees(pool: PgPool) {
    let app = TestApp::start(pool);
    // Both name the account, one after the other; the first one is believed by nobody.
    let claims = app.add_consumer_with("Claims", &[CONSUMER]).await;
    let (_, listing) = app.published("ledger").await;
    let offer = private(&app, &listing, &[CONSUMER]);
    app.post(Who::Admin, "/v1/offers", &offer).await.good();
    let path = format!("/catalog/{}", listing["id"].as_str().unwrap());
    let shown = app.member_gets(&claims, &path).await.good();
    assert_eq!(shown["offers"], json!([]));
    hide(&app, &listing, "allow_list").await;
    assert_eq!(app.member_gets(&claims, &path).await.status, 404);
    let listed = app.member_gets(&claims, "/catalog").await.good();
    assert_eq!(slugs(&listed), Vec::<&str>::new());
    app.try_to_detach(&claims, CONSUMER).await.good();
    let acme = app.add_vouched_consumer("Acme", CONSUMER).await;
    let shown = app.member_gets(&acme, &path).await.good();
    assert_eq!(shown["offers"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_browser_gets_a_page_where_there_is_no_listing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.published("ledger").await;
    hide(&app, &listing, "allow_list").await;
    let nothing = format!("lst_{}", "0".repeat(32));
    for id in [nothing.as_str(), listing["id"].as_str().unwrap()] {
        let path = format!("/catalog/{id}");
        let ask = |accept: &'static str| {
            let request = app.request(Who::Nobody, Method::GET, &path);
            send(request.header("Accept", accept))
        };
        let page = ask("text/html,*/*;q=0.8").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (404, "text/html; charset=utf-8")
        );
        assert_eq!(page.header("vary"), "Accept, Authorization");
        assert!(!page.header("content-security-policy").is_empty());
        assert!(
            page.text.contains("No such listing") && page.text.contains("href=\"/catalog\""),
            "{}",
            page.text
        );
        let program = ask("*/*").await;
        program.refused("a program", 404, "listing_not_found");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn head_is_answered_as_get_without_the_body(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.published("ledger").await;
    let one = format!("/catalog/{}", listing["id"].as_str().unwrap());
    for path in ["/catalog", "/catalog?limit=1", one.as_str()] {
        for accept in ["application/json", "text/html"] {
            let ask = async |method: Method| {
                let request = app.request(Who::Nobody, method, path);
                send(request.header("Accept", accept)).await
            };
            let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
            assert_eq!(
                (head.status, head.text.as_str()),
                (200, ""),
                "{path} {accept}"
            );
            assert!(!get.text.is_empty());
            for name in ["content-type", "content-length", "vary", "cache-control"] {
                assert_eq!(
                    head.header(name),
                    get.header(name),
                    "{path} {accept} {name}"
                );
            }
        }
    }
    let ask = async |method: Method, path: &str| send(app.request(Who::Nobody, method, path)).await;
    assert_eq!(ask(Method::HEAD, "/catalog/lst_1").await.status, 400);
    assert_eq!(ask(Method::HEAD, "/catalog?colour=red").await.status, 400);
    let other = ask(Method::POST, &one).await;
    other.refused("nothing is posted there", 405, "method_not_allowed");
    assert_eq!(other.header("allow"), "GET, HEAD");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_list_shows_so_many_offers_and_says_that_there_are_more(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_vouched_consumer("Acme", CONSUMER).await;
    let (_, listing) = app.published("ledger").await;
    let public = json!({
        "listing_id": listing["id"], "plan_id": listing["live"]["content"]["plans"][0]["id"], "kind": "public", "name": "For all",
    });
    app.post(Who::Admin, "/v1/offers", &public).await.good();
    let mut names = Vec::new();
    for number in 0..10 {
        if number == 9 {
            let listed = app.member_gets(&acme, "/catalog").await.good();
            let item = &listed["items"][0];
            assert_eq!(item["offers"].as_array().unwrap().len(), 10);
            assert_eq!(item["more_offers"], false, "ten are all of them");
        }
        let mut offer = private(&app, &listing, &[CONSUMER]);
        offer["name"] = json!(format!("Offer {number}"));
        app.post(Who::Admin, "/v1/offers", &offer).await.good();
        names.insert(0, format!("Offer {number}"));
    }
    let named = |shown: &Value| -> Vec<String> {
        let offers = shown["offers"].as_array().unwrap().iter();
        offers
            .map(|offer| offer["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = app.member_gets(&acme, "/catalog").await.good();
    assert_eq!(listed["items"][0]["more_offers"], true);
    assert_eq!(named(&listed["items"][0]), names, "the newest first");
    names.push("For all".to_owned());
    let path = format!("/catalog/{}", listing["id"].as_str().unwrap());
    let shown = app.member_gets(&acme, &path).await.good();
    assert_eq!(
        (named(&shown), &shown["more_offers"]),
        (names, &json!(false))
    );
}
