//! AWS's ids wherever ours are taken.

use privatelink::ServiceId;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::members::Organisation;
use crate::support::{Answer, TestApp, Who};

const UNKNOWN_SERVICE: &str = "vpce-svc-00000000000000000";
const UNKNOWN_ENDPOINT: &str = "vpce-00000000000000000";

fn ids(listed: &Value) -> Vec<&str> {
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap()).collect()
}

impl TestApp {
    async fn hands_over(&self, service: &ServiceId) {
        let path = format!("/v1/services/{service}/release");
        let release = json!({ "reason": "handed over" });
        let request = self.request(Who::Admin, Method::POST, &path).json(&release);
        send(request.header("If-Match", "*")).await.good();
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_path_takes_either_id(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let (ours, aws) = (
        format!("/v1/connections/{}", request.id),
        format!("/v1/connections/{}", request.endpoint),
    );
    let by_ours = app.get(Who::Viewer, &ours).await;
    let by_aws = app.get(Who::Viewer, &aws).await;
    assert_eq!((by_aws.status, &by_aws.text), (200, &by_ours.text));
    // The tag of the one is good for the other, and a repeated key is the same request.
    let tag = by_aws.header("etag").to_owned();
    assert_eq!(tag, by_ours.header("etag"));
    let body = json!({ "reason": "paid" });
    let accept = |path: String| {
        let request = app.request(Who::Approver, Method::POST, &path).json(&body);
        send(
            request
                .header("If-Match", &tag)
                .header("Idempotency-Key", "once"),
        )
    };
    let done = accept(format!("{aws}/accept")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let again = accept(format!("{ours}/accept")).await;
    assert_eq!((again.status, again.text), (200, done.text));

    let path = format!("/v1/services/{}", service.aws_id);
    assert_eq!(app.get(Who::Viewer, &path).await.good()["id"], service.id);
    let doctor = app.get(Who::Viewer, &format!("{path}/doctor")).await.good();
    assert_eq!(doctor["service_id"], service.id);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_not_known_is_refused_by_the_name_that_it_was_given(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let path = format!("/v1/connections/{UNKNOWN_ENDPOINT}");
    let missing = app.get(Who::Viewer, &path).await;
    missing.refused("an endpoint", 404, "connection_not_found");
    assert!(missing.text.contains(UNKNOWN_ENDPOINT), "{}", missing.text);
    let body = json!({ "reason": "paid" });
    let tagged = app.request(Who::Approver, Method::POST, &format!("{path}/accept"));
    send(tagged.header("If-Match", "*").json(&body))
        .await
        .refused("a tagged write", 404, "connection_not_found");
    app.get(Who::Viewer, &format!("/v1/services/{UNKNOWN_SERVICE}"))
        .await
        .refused("a service", 404, "service_not_found");
    // The caller's permission comes first, and an id in the wrong place is none.
    let nobody_of_ours = "cns_00000000000000000000000000000007";
    app.member_gets(nobody_of_ours, &path)
        .await
        .refused("a consumer", 403, "forbidden");
    app.get(Who::Nobody, &path)
        .await
        .refused("nobody", 401, "unauthenticated");
    app.get(Who::Viewer, &format!("/v1/connections/{}", service.aws_id))
        .await
        .refused("a service's", 400, "invalid_path");
    app.get(Who::Viewer, "/v1/services/vpce-svc-x")
        .await
        .refused("no id", 400, "invalid_path");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_filter_and_a_body_take_either_id(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let aws = &service.aws_id;
    let path = format!("/v1/connections?service_id={aws}&limit=5");
    let listed = app.get(Who::Viewer, &path).await.good();
    assert_eq!(ids(&listed), [request.id.as_str()]);
    for other in [UNKNOWN_SERVICE, "svc_00000000000000000000000000000000"] {
        let path = format!("/v1/connections?service_id={other}");
        let listed = app.get(Who::Viewer, &path).await.good();
        assert_eq!(listed["items"], json!([]), "{other}");
    }
    app.decide(&request, "accept").await;
    let path = format!("/v1/audit-entries?subject_id={}", request.endpoint);
    let trail = app.get(Who::Auditor, &path).await.good();
    assert_eq!(trail["items"][0]["subject_id"], request.id);

    let denial = json!({ "account_id": "444455556666", "service_id": aws, "reason": "unpaid" });
    let denied = app.post(Who::Approver, "/v1/denials", &denial).await.good();
    assert_eq!(denied["service_id"], service.id);
    let denial =
        json!({ "account_id": "444455556666", "service_id": UNKNOWN_SERVICE, "reason": "unpaid" });
    let missing = app.post(Who::Approver, "/v1/denials", &denial).await;
    missing.refused("a service", 404, "service_not_found");
    assert_eq!(missing.json()["errors"][0]["field"], "service_id");
    let judged = json!({ "service_id": aws, "reason": "again" });
    let judged = app.post(Who::Admin, "/v1/rejudgements", &judged).await;
    assert_eq!(judged.good()["service_id"], service.id);
    let policy = json!({ "service_id": aws, "template": "known-accounts" });
    let policy = app.post(Who::Admin, "/v1/policies", &policy).await.good();
    assert_eq!(policy["service_id"], service.id);
}

#[sqlx::test(migrations = "./migrations")]
async fn of_several_that_have_an_id_the_current_one_is_meant(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let path = format!("/v1/services/{}", service.aws_id);
    app.hands_over(&service.aws_id).await;
    assert_eq!(app.get(Who::Viewer, &path).await.good()["id"], service.id);
    let place = app.get(Who::Viewer, "/v1/account-regions").await.good();
    let adopt = json!({
        "name": "again", "account_region_id": place["items"][0]["id"], "aws_service_id": service.aws_id,
    });
    let again = app.registered(&adopt).await;
    assert_ne!(again.id, service.id);
    assert_eq!(app.get(Who::Viewer, &path).await.good()["id"], again.id);

    // The same id in another Region: only the caller can know which is meant.
    sqlx::query(
        "INSERT INTO account_regions SELECT (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid(), 'region', 'eu-west-3'))).* FROM account_regions a",
    )
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO endpoint_services SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'account_region_id', a.id))).*
           FROM endpoint_services s, account_regions a WHERE a.region = 'eu-west-3' AND s.lifecycle = 'active'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let refused = app.get(Who::Viewer, &path).await;
    refused.refused("two", 400, "invalid_path");
    assert!(refused.text.contains(&again.id), "{}", refused.text);
    let listed = format!("/v1/connections?service_id={}", service.aws_id);
    let refused = app.get(Who::Viewer, &listed).await;
    refused.refused("two", 400, "invalid_query");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_finds_its_own_alone(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let connection = |of: &Organisation| format!("/v1/me/connections/{}", of.connection.endpoint);
    let service = |of: &Organisation| format!("/v1/me/services/{}", of.service.aws_id);
    let seen = app.member_gets(&acme.id, &connection(&acme)).await.good();
    assert_eq!(seen["id"], acme.connection.id);
    let seen = app.member_gets(&acme.id, &service(&acme)).await.good();
    assert_eq!(seen["id"], acme.service.id);
    for (path, unknown) in [
        (
            connection(&bolt),
            format!("/v1/me/connections/{UNKNOWN_ENDPOINT}"),
        ),
        (service(&bolt), format!("/v1/me/services/{UNKNOWN_SERVICE}")),
    ] {
        let foreign = app.member_gets(&acme.id, &path).await;
        let unknown = app.member_gets(&acme.id, &unknown).await;
        let code = unknown.json()["code"].as_str().unwrap().to_owned();
        foreign.refused(&path, 404, &code);
        assert!(!foreign.text.contains(&bolt.service.id), "{}", foreign.text);
        assert!(
            !foreign.text.contains(&bolt.connection.id),
            "{}",
            foreign.text
        );
    }
    let filter = |aws: &str| format!("/v1/me/connections?service_id={aws}");
    let own = app
        .member_gets(&acme.id, &filter(acme.service.aws_id.as_str()))
        .await;
    assert_eq!(ids(&own.good()), [acme.connection.id.as_str()]);
    let foreign = app
        .member_gets(&acme.id, &filter(bolt.service.aws_id.as_str()))
        .await;
    assert_eq!(foreign.good()["items"], json!([]));

    // Asking is not seeing: any service may be asked for, and one that cannot be had is refused as one that is not known.
    let asks = |aws: String| {
        let app = &app;
        let acme = &acme;
        async move { app.member_asks(&acme.id, acme.account, &[&aws]).await }
    };
    let asked = asks(bolt.service.aws_id.to_string()).await.good();
    assert_eq!(asked["services"][0]["service_id"], bolt.service.id);
    let unknown = asks(UNKNOWN_SERVICE.to_owned()).await;
    unknown.refused("unknown", 404, "service_not_found");
    app.hands_over(&bolt.service.aws_id).await;
    let over = asks(bolt.service.aws_id.to_string()).await;
    over.refused("released", 404, "service_not_found");
    // With somebody else's account, nothing is learnt of any of them.
    for id in [bolt.service.aws_id.as_str(), UNKNOWN_SERVICE] {
        app.member_asks(&acme.id, bolt.account, &[id])
            .await
            .refused(id, 404, "consumer_account_not_found");
    }
    let words = |answer: &Answer| answer.json()["detail"].clone();
    assert_eq!(words(&over), words(&unknown));
}
