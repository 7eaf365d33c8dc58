//! The catalogue: what is sold, to those that it is sold to.

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

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
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    let other = app.add_consumer_with("Other", &["999999999999"]).await;
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
        .request(Who::Nobody, reqwest::Method::GET, "/catalog")
        .bearer_auth("x");
    send(forged)
        .await
        .refused("a bad token", 401, "unauthenticated");
}

#[sqlx::test(migrations = "./migrations")]
async fn it_shows_where_and_for_how_much_and_nothing_internal(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
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
            .request(Who::Nobody, reqwest::Method::GET, &path)
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
