//! Requests that hold a transaction while they work in parts, more of them at once than there are connections to the database.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::http::send;
use crate::support::{TestApp, Who};

const AT_ONCE: usize = 32;
const CONNECTIONS: u32 = 4;

/// Were every connection in the hands of a request that waits for another one, none would go on.
#[sqlx::test(migrations = "./migrations")]
async fn thirty_two_bulk_decisions_at_once_on_four_connections(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS);
    let app = TestApp::start(options.connect_lazy_with(database));
    let service = app.with_service().await;
    let crowd = app.crowd(&service, AT_ONCE).await;
    let all = crowd.iter().enumerate().map(|(number, request)| {
        let body = json!({
            "verb": "accept", "reason": "paid", "items": [{ "id": request.id }], "all_or_nothing": false,
        });
        let path = "/v1/connections/bulk-decisions";
        let request = app.request(Who::Approver, Method::POST, path).json(&body);
        send(request.header("Idempotency-Key", format!("key-{number}")))
    });
    for answer in join_all(all).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["results"][0]["result"], "decided");
    }
    let decided = "SELECT count(*) FROM decisions WHERE verb = 'accept'";
    assert_eq!(app.count(decided).await, 32);
    let kept = "SELECT count(*) FROM idempotent_requests WHERE key LIKE 'key-%'";
    assert_eq!(app.count(kept).await, 32);
}
