//! Bad requests: each is refused with the right status, the right code and a complete problem.

use actix_web::test::TestRequest;
use serde_json::json;

use super::super::auth::Role;
use super::super::auth::test_tokens::TestTokens;
use super::{Answer, ask, ask_as, edge};
use crate::app::code::Code;

const DECIDE: &str = "/v1/things/7/decide";

fn echo() -> TestRequest {
    TestRequest::get().uri("/v1/echo?number=7")
}

async fn decide(content_type: &str, body: impl Into<actix_web::web::Bytes>) -> Answer {
    let tokens = TestTokens::new();
    let request = TestRequest::post()
        .uri(DECIDE)
        .insert_header(("content-type", content_type))
        .set_payload(body);
    ask_as(&tokens, &tokens.of(Role::Approver), request).await
}

#[actix_web::test]
async fn a_missing_token_is_refused_with_a_bare_challenge() {
    let answer = ask(edge(&TestTokens::new(), true), echo()).await;
    answer.assert_problem(Code::Unauthenticated);
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="portcullis""#
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[actix_web::test]
async fn tokens_that_are_not_ours_are_refused() {
    let tokens = TestTokens::new();
    for (kind, token) in [
        ("garbage", "not.a.token".to_owned()),
        (
            "wrong audience",
            tokens.with_claims(&json!({ "aud": "another-service" })),
        ),
        ("no expiry", tokens.with_claims(&json!({ "exp": null }))),
        ("unsigned", tokens.unsigned("none")),
        ("HMAC with the public key", tokens.hmac_with_public_key()),
        ("another installation's", TestTokens::new().of(Role::Admin)),
        (
            "not valid yet",
            tokens.with_claims(&json!({ "nbf": tokens.now.timestamp() + 61 })),
        ),
    ] {
        let answer = ask_as(&tokens, &token, echo()).await;
        assert_eq!(answer.status, 401, "{kind}");
        answer.assert_problem(Code::Unauthenticated);
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{kind}: {challenge}"
        );
    }
}

#[actix_web::test]
async fn an_expired_token_is_told_from_a_bad_one() {
    let tokens = TestTokens::new();
    let token = tokens.with_claims(&json!({ "exp": tokens.now.timestamp() - 61 }));
    let answer = ask_as(&tokens, &token, echo()).await;
    answer.assert_problem(Code::TokenExpired);
    assert!(answer.header("www-authenticate").contains("expired"));
}

#[actix_web::test]
async fn a_viewer_cannot_decide() {
    let tokens = TestTokens::new();
    let request = TestRequest::post()
        .uri(DECIDE)
        .set_json(json!({ "reason": "known" }));
    let answer = ask_as(&tokens, &tokens.of(Role::Viewer), request).await;
    answer.assert_problem(Code::Forbidden);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.contains(r#"error="insufficient_scope", scope="decide""#),
        "{challenge}"
    );
}

#[actix_web::test]
async fn a_token_without_a_role_of_ours_may_not_even_read() {
    let tokens = TestTokens::new();
    for roles in [json!([]), json!(["superuser"]), json!(null)] {
        let token = tokens.with_claims(&json!({ "roles": roles }));
        ask_as(&tokens, &token, echo())
            .await
            .assert_problem(Code::Forbidden);
    }
}

#[actix_web::test]
async fn each_role_may_do_what_its_step_allows_and_no_more() {
    let tokens = TestTokens::new();
    let body = || json!({ "reason": "known" });
    for role in Role::ALL {
        let token = tokens.of(role);
        let read = ask_as(&tokens, &token, echo()).await;
        assert_eq!(read.status == 200, role != Role::Consumer, "{role}");
        let decide = TestRequest::post().uri(DECIDE).set_json(body());
        let decided = ask_as(&tokens, &token, decide).await;
        let may = matches!(role, Role::Approver | Role::Admin);
        assert_eq!(decided.status == 200, may, "{role}");
        let create = TestRequest::post().uri("/v1/things").set_json(body());
        let created = ask_as(&tokens, &token, create).await;
        assert_eq!(created.status == 200, role == Role::Admin, "{role}");
    }
}

#[actix_web::test]
async fn a_body_of_two_megabytes_is_too_large() {
    let body = format!(r#"{{"reason":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    decide("application/json", body)
        .await
        .assert_problem(Code::PayloadTooLarge);
}

#[actix_web::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_not() {
    let frame = r#"{"reason":""}"#.len();
    let of_size = |size: usize| format!(r#"{{"reason":"{}"}}"#, "x".repeat(size - frame));
    let limit = crate::api::limits::HttpSettings::default().max_body_bytes;
    assert_eq!(decide("application/json", of_size(limit)).await.status, 200);
    decide("application/json", of_size(limit + 1))
        .await
        .assert_problem(Code::PayloadTooLarge);
}

#[actix_web::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = decide(content_type, r#"{"reason":"known"}"#).await;
        answer.assert_problem(Code::UnsupportedMediaType);
    }
}

#[actix_web::test]
async fn a_body_that_is_not_the_expected_json_is_refused() {
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"reason":7}"#,
        r#"{"reason":"a","force":true}"#,
    ] {
        decide("application/json", body)
            .await
            .assert_problem(Code::InvalidJson);
    }
    let wrong_type = decide("application/json", r#"{"reason":7}"#).await;
    assert_eq!(wrong_type.json()["errors"][0]["field"], "reason");
}

#[actix_web::test]
async fn a_use_case_that_blames_a_field_is_quoted() {
    let answer = decide("application/json", r#"{"reason":""}"#).await;
    answer.assert_problem(Code::InvalidRequest);
    let blamed = json!([{ "field": "reason", "detail": "A reason is needed." }]);
    assert_eq!(answer.json()["errors"], blamed);
}

#[actix_web::test]
async fn bad_parameters_are_refused_where_they_stand() {
    let tokens = TestTokens::new();
    let token = tokens.of(Role::Admin);
    for query in [
        "",
        "?number=seven",
        "?number=7&limit=1",
        "?number=1&number=2",
    ] {
        let request = TestRequest::get().uri(&format!("/v1/echo{query}"));
        ask_as(&tokens, &token, request)
            .await
            .assert_problem(Code::InvalidQuery);
    }
    let request = TestRequest::post()
        .uri("/v1/things/seven/decide")
        .set_json(json!({ "reason": "known" }));
    ask_as(&tokens, &token, request)
        .await
        .assert_problem(Code::InvalidPath);
}

#[actix_web::test]
async fn an_unknown_route_is_not_found_and_a_wrong_method_says_which_would_do() {
    let tokens = TestTokens::new();
    for path in [
        "/v1/nothing",
        "/v1/things/7/decide/again",
        "/V1/echo",
        "/v1//things",
    ] {
        let answer = ask(edge(&tokens, true), TestRequest::get().uri(path)).await;
        answer.assert_problem(Code::NotFound);
    }
    for (request, allow) in [
        (TestRequest::delete().uri("/v1/things"), "GET, POST"),
        (TestRequest::get().uri(DECIDE), "POST"),
        (TestRequest::post().uri("/healthz"), "GET"),
    ] {
        let answer = ask(edge(&tokens, true), request).await;
        answer.assert_problem(Code::MethodNotAllowed);
        assert_eq!(answer.header("allow"), allow);
    }
}

#[actix_web::test]
async fn a_fault_of_ours_shows_its_request_id_and_nothing_else() {
    let tokens = TestTokens::new();
    let request = TestRequest::get()
        .uri("/v1/things")
        .insert_header(("x-request-id", "quote-me"));
    let answer = ask_as(&tokens, &tokens.of(Role::Viewer), request).await;
    answer.assert_problem(Code::Internal);
    assert_eq!(answer.json()["request_id"], "quote-me");
    assert!(!answer.text.contains("relation"), "{}", answer.text);
}

#[actix_web::test]
async fn an_unready_process_says_so_without_details() {
    let answer = ask(
        edge(&TestTokens::new(), false),
        TestRequest::get().uri("/readyz"),
    )
    .await;
    answer.assert_problem(Code::Unavailable);
    assert!(!answer.text.contains("10.0.0.7"), "{}", answer.text);
}
