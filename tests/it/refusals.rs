//! What the API refuses, and in which words: status, media type and code of each. Decisions are in [`crate::refusals_of_decisions`].

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::api::auth::Role;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{CONSUMER, HERE, PROVIDER, TestApp, Who};

const GOOD: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/edge/0123456789abcdef";

/// A registration that is good but for `changes`; null takes a field out.
fn registration(changes: Value) -> Value {
    let mut body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [GOOD],
    });
    let fields = body.as_object_mut().unwrap();
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    fields.extend(changes);
    fields.retain(|_, value| !value.is_null());
    body
}

#[sqlx::test(migrations = "./migrations")]
async fn a_bad_registration_is_refused_and_the_field_is_blamed(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let alb = GOOD.replace("/net/", "/app/");
    let bad = "invalid_request";
    let cases: &[(&str, Value, u16, &str, &str)] = &[
        (
            "a malformed ARN",
            json!({ "load_balancer_arns": ["arn:edge"] }),
            400,
            bad,
            "load_balancer_arns[0]",
        ),
        (
            "an ALB",
            json!({ "load_balancer_arns": [alb] }),
            400,
            bad,
            "load_balancer_arns[0]",
        ),
        (
            "another account's ARN",
            json!({ "load_balancer_arns": [GOOD, GOOD.replace(PROVIDER, CONSUMER)] }),
            400,
            bad,
            "load_balancer_arns[1]",
        ),
        (
            "another Region's ARN",
            json!({ "load_balancer_arns": [GOOD.replace(HERE, "us-east-1")] }),
            400,
            bad,
            "load_balancer_arns[0]",
        ),
        (
            "one ARN twice",
            json!({ "load_balancer_arns": [GOOD, GOOD] }),
            400,
            bad,
            "load_balancer_arns[1]",
        ),
        (
            "no ARN",
            json!({ "load_balancer_arns": [] }),
            400,
            bad,
            "load_balancer_arns",
        ),
        (
            "neither source",
            json!({ "load_balancer_arns": null }),
            400,
            bad,
            "load_balancer_arns",
        ),
        (
            "both sources",
            json!({ "aws_service_id": "vpce-svc-0123456789abcdef0" }),
            400,
            bad,
            "load_balancer_arns",
        ),
        (
            "a malformed AWS id",
            json!({ "load_balancer_arns": null, "aws_service_id": "vpce-svc-*" }),
            400,
            bad,
            "aws_service_id",
        ),
        (
            "acceptance of an adopted service",
            json!({ "load_balancer_arns": null, "aws_service_id": "vpce-svc-0123456789abcdef0", "acceptance_required": false }),
            400,
            bad,
            "acceptance_required",
        ),
        (
            "no place",
            json!({ "account_id": null, "region": null }),
            400,
            bad,
            "account_region_id",
        ),
        (
            "half a place",
            json!({ "region": null }),
            400,
            bad,
            "account_region_id",
        ),
        (
            "a malformed account",
            json!({ "account_id": "1234" }),
            400,
            bad,
            "account_id",
        ),
        ("an empty name", json!({ "name": "  " }), 400, bad, "name"),
        (
            "a long name",
            json!({ "name": "x".repeat(129) }),
            400,
            bad,
            "name",
        ),
        (
            "an STS session",
            json!({ "allowed_principals": ["arn:aws:sts::444455556666:assumed-role/edge/me"] }),
            400,
            bad,
            "allowed_principals[0]",
        ),
        (
            "a principal with a path",
            json!({ "allowed_principals": [CONSUMER, "arn:aws:iam::444455556666:role/team/edge"] }),
            400,
            bad,
            "allowed_principals[1]",
        ),
        (
            "everybody without acceptance",
            json!({ "allowed_principals": ["*"], "acceptance_required": false }),
            400,
            bad,
            "allowed_principals[0]",
        ),
        (
            "a wrong type",
            json!({ "load_balancer_arns": "edge" }),
            400,
            "invalid_json",
            "load_balancer_arns",
        ),
        (
            "another kind of id",
            json!({
                "account_id": null, "region": null, "account_region_id": "svc_0192f0c1000070008000000000000000",
            }),
            400,
            "invalid_json",
            "account_region_id",
        ),
        (
            "an unknown field",
            json!({ "colour": "red" }),
            400,
            "invalid_json",
            "colour",
        ),
    ];
    for (what, changes, status, code, field) in cases {
        let answer = app
            .post(Who::Admin, "/v1/services", &registration(changes.clone()))
            .await;
        answer.refused(what, *status, code);
        let body = answer.json();
        assert_eq!(body["errors"][0]["field"], *field, "{what}: {body}");
    }
    let unknown = registration(
        json!({ "account_id": CONSUMER, "load_balancer_arns": [GOOD.replace(PROVIDER, CONSUMER)] }),
    );
    let answer = app.post(Who::Admin, "/v1/services", &unknown).await;
    answer.refused("an unknown AccountRegion", 404, "account_region_not_found");

    assert_eq!(app.count("SELECT count(*) FROM endpoint_services").await, 0);
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.register'";
    assert_eq!(app.count(told).await, 0, "a refusal leaves no trace");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_same_thing_is_not_registered_twice(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let again = json!({ "account_id": PROVIDER, "region": HERE, "name": "again" });
    let answer = app.post(Who::Admin, "/v1/account-regions", &again).await;
    answer.refused("an AccountRegion again", 409, "account_region_exists");

    let service = app.created_service("edge").await;
    let body =
        registration(json!({ "load_balancer_arns": null, "aws_service_id": service.aws_id }));
    let answer = app.post(Who::Admin, "/v1/services", &body).await;
    answer.refused("a service again", 409, "service_exists");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_bad_account_region_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let role = "arn:aws:iam::111122223333:role/portcullis";
    let cases = [
        (
            "account_id",
            json!({ "account_id": "edge", "region": HERE }),
        ),
        (
            "region",
            json!({ "account_id": PROVIDER, "region": "Ireland" }),
        ),
        (
            "name",
            json!({ "account_id": PROVIDER, "region": HERE, "name": "" }),
        ),
        (
            "role_arn",
            json!({ "account_id": CONSUMER, "region": HERE, "role_arn": role }),
        ),
        (
            "external_id",
            json!({ "account_id": PROVIDER, "region": HERE, "external_id": "abc" }),
        ),
        (
            "external_id",
            json!({ "account_id": PROVIDER, "region": HERE, "role_arn": role, "external_id": "a b" }),
        ),
    ];
    for (field, body) in cases {
        let answer = app.post(Who::Admin, "/v1/account-regions", &body).await;
        answer.refused(&body.to_string(), 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_does_not_exist_is_not_found_and_another_kind_of_id_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let tail = "0192f0c1000070008000000000000000";
    let nouns = [
        (
            "account-regions",
            "acr_",
            "svc_",
            "account_region_not_found",
        ),
        ("services", "svc_", "con_", "service_not_found"),
        ("connections", "con_", "svc_", "connection_not_found"),
    ];
    for (noun, prefix, other, code) in nouns {
        let unknown = app
            .get(Who::Viewer, &format!("/v1/{noun}/{prefix}{tail}"))
            .await;
        unknown.refused(noun, 404, code);
        for bad in [
            format!("{other}{tail}"),
            format!("{prefix}17"),
            "%00".to_owned(),
        ] {
            let answer = app.get(Who::Viewer, &format!("/v1/{noun}/{bad}")).await;
            answer.refused(&format!("{noun}/{bad}"), 400, "invalid_path");
        }
    }
    let retries = [
        (
            format!("/v1/services/svc_{tail}/retry-sync"),
            "service_not_found",
        ),
        (
            format!("/v1/connections/con_{tail}/retry-sync"),
            "connection_not_found",
        ),
    ];
    for (path, code) in retries {
        app.post(Who::Admin, &path, &json!({}))
            .await
            .refused(&path, 404, code);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn only_what_stalled_is_retried(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/services/{}/retry-sync", service.id);
    let answer = app.post(Who::Admin, &path, &json!({})).await;
    answer.refused("a service in step", 409, "service_not_stalled");
    let answer = app.retry(&request).await;
    answer.refused("a connection at rest", 409, "connection_not_stalled");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_bad_query_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let queries = [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=5&limit=6",
        "cursor=abc",
        "cursor=",
        "colour=red",
    ];
    for noun in ["account-regions", "services", "connections"] {
        for query in queries {
            let path = format!("/v1/{noun}?{query}");
            app.get(Who::Viewer, &path)
                .await
                .refused(&path, 400, "invalid_query");
        }
    }
    for query in [
        "summary=gone",
        "owner_account_id=12",
        "aws_service_id=vpce-svc-",
        "endpoint_id=*",
        "review=maybe",
    ] {
        let path = format!("/v1/connections?{query}");
        app.get(Who::Viewer, &path)
            .await
            .refused(&path, 400, "invalid_query");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_body_that_is_too_large_or_not_json_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let post = || app.request(Who::Admin, Method::POST, "/v1/services");
    let typed = |media: &'static str| post().header("content-type", media);
    let large = typed("application/json").body("x".repeat(2 * 1024 * 1024));
    send(large).await.refused("2 MB", 413, "payload_too_large");
    let form = typed("application/x-www-form-urlencoded").body("name=edge");
    send(form)
        .await
        .refused("a form", 415, "unsupported_media_type");
    send(post().body("{}"))
        .await
        .refused("no type", 415, "unsupported_media_type");
    for text in [
        "",
        "{",
        "[]",
        "[\"a reason by position\"]",
        "null",
        "{} {}",
        "\u{feff}{}",
    ] {
        let answer = send(typed("application/json").body(text)).await;
        answer.refused(&format!("{text:?}"), 400, "invalid_json");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn unknown_routes_and_wrong_methods_are_told_apart(pool: PgPool) {
    let app = TestApp::start(pool);
    for path in [
        "/v1",
        "/v2/services",
        "/v1/services/",
        "/v1/services/a/b/c",
        "/v1//services",
    ] {
        app.get(Who::Admin, path)
            .await
            .refused(path, 404, "not_found");
    }
    let cases = [
        (Method::DELETE, "/v1/services", "GET, POST"),
        (Method::PUT, "/v1/connections/con_1", "GET"),
        (Method::GET, "/v1/connections/con_1/accept", "POST"),
        (Method::POST, "/v1/connections", "GET"),
    ];
    for (method, path, allow) in cases {
        let answer = send(app.request(Who::Admin, method, path)).await;
        answer.refused(path, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_caller_without_a_good_token_is_challenged(pool: PgPool) {
    let app = TestApp::start(pool);
    let path = "/v1/services";
    let nobody = app.get(Who::Nobody, path).await;
    nobody.refused("no token", 401, "unauthenticated");
    assert_eq!(
        nobody.header("www-authenticate"),
        "Bearer realm=\"portcullis\""
    );

    let bearer = |token: &str| {
        app.request(Who::Nobody, Method::GET, path)
            .bearer_auth(token)
    };
    for garbage in ["garbage", "a.b.c", ""] {
        send(bearer(garbage))
            .await
            .refused(garbage, 401, "unauthenticated");
    }
    let good = app.token(Who::Admin).unwrap();
    let (head, _) = good.rsplit_once('.').unwrap();
    send(bearer(&format!("{head}.AAAA")))
        .await
        .refused("forged", 401, "unauthenticated");

    let then = app.clock.now() - TimeDelta::hours(1);
    let old = app
        .issuer
        .issue("me", &[Role::Admin], Duration::from_mins(1), then)
        .unwrap();
    let expired = send(bearer(&old)).await;
    expired.refused("expired", 401, "token_expired");
    assert!(expired.header("www-authenticate").contains("expired"));
}
