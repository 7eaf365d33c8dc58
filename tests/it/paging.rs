//! Lists are read page by page without a gap or a repeat, while rows are added.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use crate::support::{HERE, PROVIDER, TestApp, Who};

/// Reads a list to its end by pages of three, and does something between the pages. Answers the ids in the order they came.
async fn read_all(app: &TestApp, noun: &str, between: impl AsyncFn(usize)) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    let mark = if noun.contains('?') { '&' } else { '?' };
    for page in 0.. {
        let path = format!("/v1/{noun}{mark}limit=3{cursor}");
        let listed = app.get(Who::Viewer, &path).await.good();
        let items = listed["items"].as_array().unwrap();
        assert!(!items.is_empty() || page == 0, "an empty page was promised");
        ids.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        let Some(next) = listed["next_cursor"].as_str() else {
            break;
        };
        assert_eq!(items.len(), 3, "only the last page is short");
        cursor = format!("&cursor={next}");
        between(page).await;
    }
    ids
}

fn assert_each_once(ids: &[String], expected: &BTreeSet<String>) {
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "something came twice: {ids:?}");
    assert!(expected.is_subset(&distinct), "something is missing");
    let mut newest_first = ids.to_vec();
    newest_first.sort_by(|a, b| b.cmp(a));
    assert_eq!(ids, newest_first);
}

#[sqlx::test(migrations = "./migrations")]
async fn connections_are_paged_while_requests_come_in(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut expected = BTreeSet::new();
    for _ in 0..10 {
        expected.insert(app.requested(&service).await.id);
        app.advance(Duration::from_millis(10));
    }
    let ids = read_all(&app, "connections", async |_| {
        app.requested(&service).await;
        app.advance(Duration::from_millis(10));
    })
    .await;
    assert_eq!(
        ids.len(),
        10,
        "what came later is on no page after the first"
    );
    assert_each_once(&ids, &expected);

    let all = app
        .get(Who::Viewer, "/v1/connections?limit=200")
        .await
        .good();
    assert_eq!(all["items"].as_array().unwrap().len(), 13);
    assert_eq!(all["next_cursor"], json!(null));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_filter_holds_on_every_page(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut waiting = BTreeSet::new();
    for number in 0..12 {
        let request = app.requested(&service).await;
        if number % 3 == 0 {
            app.decide(&request, "reject").await;
        } else {
            waiting.insert(request.id);
        }
        app.advance(Duration::from_millis(10));
    }
    app.run_until_rest().await;
    let ids = read_all(
        &app,
        "connections?summary=waiting&owner_account_id=444455556666",
        async |_| {},
    )
    .await;
    assert_each_once(&ids, &waiting);
    assert_eq!(ids.len(), waiting.len());
}

#[sqlx::test(migrations = "./migrations")]
async fn services_are_paged_while_services_are_registered(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let register = async |name: String| {
        let arn = app.load_balancer(&name);
        let body = json!({ "account_id": PROVIDER, "region": HERE, "name": name, "load_balancer_arns": [arn] });
        let made = app.post(Who::Admin, "/v1/services", &body).await.good();
        app.advance(Duration::from_millis(10));
        made["id"].as_str().unwrap().to_owned()
    };
    let mut expected = BTreeSet::new();
    for number in 0..7 {
        expected.insert(register(format!("edge-{number}")).await);
    }
    let ids = read_all(&app, "services", async |page| {
        register(format!("late-{page}")).await;
    })
    .await;
    assert_eq!(ids.len(), 7);
    assert_each_once(&ids, &expected);
}

#[sqlx::test(migrations = "./migrations")]
async fn account_regions_are_paged(pool: PgPool) {
    let app = TestApp::start(pool);
    let mut expected = BTreeSet::new();
    for number in 0..9 {
        let body = json!({ "account_id": format!("11112222333{number}"), "region": HERE });
        let made = app.post(Who::Admin, "/v1/account-regions", &body).await;
        expected.insert(made.good()["id"].as_str().unwrap().to_owned());
        app.advance(Duration::from_millis(10));
    }
    let ids = read_all(&app, "account-regions", async |_| {}).await;
    assert_eq!(ids.len(), 9, "the last page is full and the last");
    assert_each_once(&ids, &expected);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_oldest_first_reads_on_into_what_is_new(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(app.requested(&service).await.id);
        app.advance(Duration::from_millis(10));
    }
    let later = std::sync::Mutex::new(Vec::new());
    let ids = read_all(&app, "connections?order=asc", async |page| {
        if page == 0 {
            let request = app.requested(&service).await;
            later.lock().unwrap().push(request.id);
        }
    })
    .await;
    expected.extend(later.into_inner().unwrap());
    assert_eq!(ids, expected);
    // The other order is the one without the word.
    expected.reverse();
    for order in ["", "?order=desc"] {
        assert_eq!(
            read_all(&app, &format!("connections{order}"), async |_| {}).await,
            expected
        );
    }
    assert_eq!(
        read_all(&app, "services?order=asc", async |_| {}).await,
        [service.id]
    );

    let path = "/v1/audit-entries?limit=200&order=";
    let mut entries = [Vec::new(), Vec::new()];
    for (order, into) in ["asc", "desc"].into_iter().zip(&mut entries) {
        let listed = app.get(Who::Auditor, &format!("{path}{order}")).await;
        let listed = listed.good();
        let items = listed["items"].as_array().unwrap().iter();
        into.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
    }
    let [oldest_first, mut newest_first] = entries;
    assert!(oldest_first.is_sorted() && oldest_first.len() > 1);
    newest_first.reverse();
    assert_eq!(oldest_first, newest_first);
    app.get(Who::Viewer, "/v1/connections?order=newest")
        .await
        .refused("no order", 400, "invalid_query");
}
