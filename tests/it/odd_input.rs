//! Input that a fuzzer found answered with 500, with 200, or in other words than the document's.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{TestApp, Who};

const NOBODY: &str = "00000000000000000000000000000000";

#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_looked_for_by_nul(pool: PgPool) {
    let app = TestApp::start(pool);
    for query in [
        "audit-entries?actor=a%00b",
        "audit-entries?action=%00",
        "audit-entries?request_id=%00",
        "stalls?code=%00",
        "reviews?claimed_by=%00",
        "consumers?name=%00",
        "consumers?label=team%3D%00",
    ] {
        let answer = app.get(Who::Admin, &format!("/v1/{query}")).await;
        answer.refused(query, 400, "invalid_query");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn times_and_cursors_beyond_the_years_that_there_are_are_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    for query in [
        "audit-entries?since=-262000-01-01T00:00:00Z".to_owned(),
        "audit-entries?until=%2B262000-01-01T00:00:00Z".to_owned(),
        format!("reviews?cursor=-8000000000000000000_con_{NOBODY}"),
        format!("reviews?cursor=8000000000000000000_con_{NOBODY}"),
        format!("stalls?cursor=-8000000000000000000_{NOBODY}"),
    ] {
        let answer = app.get(Who::Admin, &format!("/v1/{query}")).await;
        answer.refused(&query, 400, "invalid_query");
    }
    let body = json!({ "account_id": "222222222222", "reason": "no", "expires_at": "+262000-01-01T00:00:00Z" });
    let answer = app.post(Who::Admin, "/v1/denials", &body).await;
    answer.refused("a denial for ever and a day", 400, "invalid_json");
    assert_eq!(answer.json()["errors"][0]["field"], "expires_at");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_path_by_the_word_is_not_taken_for_an_id(pool: PgPool) {
    let app = TestApp::start(pool);
    for path in [
        "access-removals/preview",
        "connections/bulk-decisions",
        "drifts/adopt",
        "policies/validate",
    ] {
        let answer = app.get(Who::Admin, &format!("/v1/{path}")).await;
        answer.refused(path, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "POST", "{path}");
    }
    let other = app.get(Who::Admin, "/v1/policies/valid").await;
    other.refused("no id and no word", 400, "invalid_path");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_method_that_no_route_takes_is_that_whatever_its_headers(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = format!("/v1/connections/con_{NOBODY}/accept");
    for header in ["if-match", "if-none-match"] {
        let request = app.request(Who::Admin, Method::PUT, &path);
        let answer = send(request.header(header, "no tag")).await;
        answer.refused(header, 405, "method_not_allowed");
    }
}
