//! What consumers see and do by themselves, and that it is their own alone.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::api::auth::Role;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::http::send;
use crate::support::members::{INTERNAL, Organisation};
use crate::support::{Answer, CONSUMER, HERE, TestApp, Who};

fn ids(listed: &Value) -> Vec<&str> {
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap()).collect()
}

fn members(of: &Value) -> BTreeSet<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Everything that a consumer can read of its own.
async fn everything(app: &TestApp, who: &Organisation) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for path in [
        "/v1/me".to_owned(),
        "/v1/me/accounts".to_owned(),
        "/v1/me/quota".to_owned(),
        "/v1/me/connections".to_owned(),
        format!("/v1/me/connections/{}", who.connection.id),
        "/v1/me/services".to_owned(),
        format!("/v1/me/services/{}", who.service.id),
        "/v1/me/access-requests".to_owned(),
        format!("/v1/me/access-requests/{}", who.asked),
    ] {
        let seen = app.member_gets(&who.id, &path).await.good();
        all.push((path, seen));
    }
    all
}

#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_sees_its_own_and_of_that_what_is_for_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let denial = json!({ "consumer_id": acme.id, "reason": INTERNAL });
    app.post(Who::Approver, "/v1/denials", &denial).await.good();
    for (own, foreign) in [(&acme, &bolt), (&bolt, &acme)] {
        for (path, seen) in everything(&app, own).await {
            let text = seen.to_string();
            for secret in [
                INTERNAL,
                "provider.example",
                "arn:",
                &foreign.id,
                foreign.account,
                &foreign.connection.id,
                foreign.connection.endpoint.as_str(),
                &foreign.service.id,
                &foreign.asked,
            ] {
                assert!(!text.contains(secret), "{path} shows {secret}: {text}");
            }
        }
    }
    let seen: std::collections::BTreeMap<_, _> =
        everything(&app, &acme).await.into_iter().collect();
    let consumer = &seen["/v1/me"];
    assert_eq!(
        members(consumer),
        ["contacts", "created_at", "id", "name", "slug", "state"].into()
    );
    assert_eq!(consumer["name"], "Acme");
    let account = &seen["/v1/me/accounts"]["items"][0];
    assert_eq!(
        members(account),
        ["account_id", "added_at", "id", "proof", "proven_at"].into()
    );
    assert_eq!(account["account_id"], acme.account);
    let quota = &seen["/v1/me/quota"];
    assert_eq!(
        (&quota["most_connections"], &quota["connections"]),
        (&json!(7), &json!(1))
    );
    assert_eq!(quota["regions"], json!([HERE]));
    assert_eq!(quota["services"][0]["service_id"], acme.service.id);
    let connection = &seen[&format!("/v1/me/connections/{}", acme.connection.id)];
    assert_eq!(
        members(connection),
        [
            "account_id",
            "aws_connection_id",
            "created_at",
            "decided_at",
            "dns_names",
            "endpoint_id",
            "endpoint_region",
            "expires_at",
            "first_seen_at",
            "id",
            "ip_address_type",
            "message",
            "observed_at",
            "review",
            "service_id",
            "state",
            "summary",
        ]
        .into()
    );
    assert_eq!(connection["message"], "welcome, Acme");
    assert_eq!(connection["summary"], "available");
    assert!(connection["expires_at"].is_string(), "{connection}");
    let service = &seen[&format!("/v1/me/services/{}", acme.service.id)];
    assert_eq!(
        members(service),
        [
            "availability_zone_ids",
            "id",
            "private_dns_name",
            "region",
            "service_name"
        ]
        .into()
    );
    assert_eq!(service["service_name"], acme.service.name);
    assert_eq!(service["region"], HERE);
    let zones = service["availability_zone_ids"].as_array().unwrap();
    assert!(!zones.is_empty(), "{service}");
    let request = &seen[&format!("/v1/me/access-requests/{}", acme.asked)];
    assert_eq!(
        members(request),
        [
            "account_id",
            "answer",
            "answered_at",
            "contact",
            "ended_at",
            "expires_at",
            "id",
            "made_at",
            "made_by",
            "message",
            "services",
            "state",
        ]
        .into()
    );
    assert_eq!(request["made_by"], "ann");
}

/// What the provider has trouble with, the consumer sees on its way.
#[sqlx::test(migrations = "./migrations")]
async fn a_stall_of_the_providers_is_not_the_consumers(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, _] = app.two_organisations().await;
    sqlx::query(
        "UPDATE connections SET sync_state = 'stalled', sync_due_at = NULL, sync_code = 'classified', sync_message = 'classified'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let path = format!("/v1/me/connections/{}", acme.connection.id);
    let seen = app.member_gets(&acme.id, &path).await.good();
    assert_eq!(seen["summary"], "available");
    assert_eq!(app.summary(&acme.connection).await, "stalled");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_asks_is_answered_and_takes_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let more = app.service_for("more", &[]).await;
    let asked = app
        .member_asks(&acme.id, acme.account, &[&more.id])
        .await
        .good();
    let id = asked["id"].as_str().unwrap();
    assert_eq!(asked["state"], "pending");
    let twice = app.member_asks(&acme.id, acme.account, &[&more.id]).await;
    twice.refused("twice", 409, "access_request_exists");
    assert!(!twice.text.contains("acq_"), "{}", twice.text);

    // The provider sees whose word it is.
    let provider = app.access_request(id).await;
    assert_eq!(provider["made_by"], format!("{}/ann", acme.id));
    assert_eq!(provider["consumer_id"], acme.id);
    let path = format!("/v1/me/services/{}", more.id);
    let unknown = app.member_gets(&acme.id, &path).await;
    unknown.refused("not given yet", 404, "service_not_found");
    let body = json!({ "reason": INTERNAL, "message": "welcome" });
    app.post(
        Who::Approver,
        &format!("/v1/access-requests/{id}/approve"),
        &body,
    )
    .await
    .good();
    app.run_until_rest().await;
    let own = format!("/v1/me/access-requests/{id}");
    let seen = app.member_gets(&acme.id, &own).await.good();
    assert_eq!(
        (&seen["state"], &seen["answer"]),
        (&json!("approved"), &json!("welcome"))
    );
    assert!(!seen.to_string().contains(INTERNAL));
    let known = app.member_gets(&acme.id, &path).await.good();
    assert_eq!(known["service_name"], more.name);
    let late = app
        .member_posts(
            &acme.id,
            &format!("{own}/withdraw"),
            &json!({ "reason": "no need" }),
        )
        .await;
    late.refused("answered", 409, "access_request_answered");

    let withdraw = format!("/v1/me/access-requests/{}/withdraw", bolt.asked);
    let why = json!({ "reason": "no need" });
    let foreign = app.member_posts(&acme.id, &withdraw, &why).await;
    foreign.refused("another's", 404, "access_request_not_found");
    let back = app.member_posts(&bolt.id, &withdraw, &why).await.good();
    assert_eq!(back["state"], "withdrawn");
    assert_eq!(back["services"][0]["state"], "over");
    let again = app
        .member_asks(&bolt.id, bolt.account, &[&bolt.service.id])
        .await;
    again.good();

    let who: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT action, actor_kind, actor FROM audit_entries WHERE subject_kind = 'access_request' AND actor LIKE 'cns_%'
          ORDER BY at, id",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let actions: Vec<&str> = who.iter().map(|(action, _, _)| action.as_str()).collect();
    let [make, withdraw] = ["access_request.make", "access_request.withdraw"];
    assert_eq!(actions, [make, make, make, withdraw, make]);
    assert!(who.iter().all(|(_, kind, _)| kind == "person"));
    assert_eq!(who[3].2, format!("{}/ann", bolt.id));
}

/// A request that the provider made for an account, without a word of whose it is, is its owner's; one that names another organisation is that one's.
#[sqlx::test(migrations = "./migrations")]
async fn requests_belong_to_whom_they_name_and_else_to_whose_account_it_is(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let more = app.service_for("more", &[]).await;
    let third = app.service_for("third", &[]).await;
    let nobodys = app.ask(&[&more], &json!({ "account_id": OTHER })).await;
    let listed = app.member_gets(&bolt.id, "/v1/me/access-requests").await;
    assert_eq!(ids(&listed.good()), [nobodys.as_str(), &bolt.asked]);
    let listed = app.member_gets(&acme.id, "/v1/me/access-requests").await;
    assert_eq!(ids(&listed.good()), [acme.asked.as_str()]);
    // What the provider's people are called is not shown.
    let path = format!("/v1/me/access-requests/{nobodys}");
    let seen = app.member_gets(&bolt.id, &path).await.good();
    assert_eq!(seen["made_by"], Value::Null);

    // The account is sold: what it asked for without naming anybody goes with it, what was asked for in a name does not.
    let stranger = json!({ "account_id": "123412341234", "consumer_id": bolt.id });
    let named = app.ask(&[&third], &stranger).await;
    app.try_to_attach(&acme.id, "123412341234").await.good();
    app.try_to_detach(&bolt.id, OTHER).await.good();
    app.try_to_attach(&acme.id, OTHER).await.good();
    let listed = app.member_gets(&acme.id, "/v1/me/access-requests").await;
    assert_eq!(ids(&listed.good()), [nobodys.as_str(), &acme.asked]);
    let listed = app.member_gets(&bolt.id, "/v1/me/access-requests").await;
    assert_eq!(ids(&listed.good()), [named.as_str(), &bolt.asked]);
    let listed = app.member_gets(&bolt.id, "/v1/me/connections").await.good();
    assert_eq!(ids(&listed), Vec::<&str>::new());
    let listed = app.member_gets(&acme.id, "/v1/me/connections").await.good();
    assert_eq!(ids(&listed).len(), 2);
    // That somebody waits already is all that is said of another's request.
    let twice = app
        .member_asks(&acme.id, "123412341234", &[&third.id])
        .await;
    twice.refused("another's waits", 409, "access_request_exists");
    assert!(!twice.text.contains(&named), "{}", twice.text);
}

/// Accounts and services of others answer as those that are not there.
#[sqlx::test(migrations = "./migrations")]
async fn asking_tells_nothing_of_what_is_not_ones_own(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let plain = |answer: &Answer, id: &str| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        (answer.status, body.to_string().replace(id, "ID"))
    };
    let foreign = app.member_asks(&acme.id, OTHER, &[&acme.service.id]).await;
    foreign.refused("another's account", 404, "consumer_account_not_found");
    let unknown = app
        .member_asks(&acme.id, "999999999999", &[&acme.service.id])
        .await;
    assert_eq!(plain(&foreign, OTHER), plain(&unknown, "999999999999"));

    let ended = app.service_for("ended", &[]).await;
    let body = json!({ "version": 1, "reason": "over", "confirm_delete": true, "reject_after_seconds": 0 });
    let path = format!("/v1/services/{}/delete", ended.id);
    app.post(Who::Admin, &path, &body).await.good();
    let nowhere = format!("svc_{}", "0".repeat(32));
    let ended_answer = app.member_asks(&acme.id, CONSUMER, &[&ended.id]).await;
    let unknown_answer = app.member_asks(&acme.id, CONSUMER, &[&nowhere]).await;
    ended_answer.refused("an ended service", 404, "service_not_found");
    assert_eq!(
        plain(&ended_answer, &ended.id),
        plain(&unknown_answer, &nowhere)
    );
    let locked = "SELECT count(*) FROM aws_accounts WHERE account_id = '999999999999'";
    assert_eq!(app.count(locked).await, 0);
    // Filters find nothing either, and say nothing.
    for filter in [
        format!("connections?service_id={}", bolt.service.id),
        format!("connections?account_id={OTHER}"),
        format!("access-requests?account_id={OTHER}"),
    ] {
        let path = format!("/v1/me/{filter}");
        let listed = app.member_gets(&acme.id, &path).await.good();
        assert_eq!(
            listed,
            json!({ "items": [], "next_cursor": null }),
            "{path}"
        );
    }
}

/// A good token whose organisation is not served is refused everywhere, in the same words.
#[sqlx::test(migrations = "./migrations")]
async fn an_unknown_or_closed_organisation_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let closed = app.add_consumer("Gone").await;
    app.member_gets(&closed, "/v1/me").await.good();
    app.try_to_change_consumer(&closed, &json!({ "state": "closed" }))
        .await
        .good();
    let unknown = format!("cns_{}", "0".repeat(32));
    for id in [&closed, &unknown] {
        for path in [
            "",
            "/accounts",
            "/quota",
            "/connections",
            "/services",
            "/access-requests",
        ] {
            let path = format!("/v1/me{path}");
            let answer = app.member_gets(id, &path).await;
            answer.refused(&path, 403, "forbidden");
            let detail = answer.json()["detail"].clone();
            let said = "The consumer that the token speaks for is not known here, or is closed.";
            assert_eq!(detail, said, "{path}");
        }
        let service = format!("svc_{}", "0".repeat(32));
        let asked = app.member_asks(id, CONSUMER, &[&service]).await;
        asked.refused("asking", 403, "forbidden");
    }
}

/// A token that could be read in two ways is read in none.
#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_without_an_organisation_or_with_another_role_is_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let (ttl, now) = (Duration::from_mins(10), app.clock.now());
    for roles in [
        &[Role::Consumer][..],
        &[Role::Consumer, Role::Admin],
        &[Role::Viewer, Role::Consumer],
    ] {
        let token = app.issuer.issue("ann", roles, ttl, now).unwrap();
        for path in ["/v1/me", "/v1/services"] {
            let request = app.request(Who::Nobody, Method::GET, path);
            let answer = send(request.bearer_auth(&token)).await;
            answer.refused(path, 401, "unauthenticated");
        }
    }
}

/// One subject, one key and one request of two organisations are two requests, and the unit's own record is written by the provider's role after the
/// consumer's part.
#[sqlx::test(migrations = "./migrations")]
async fn a_key_is_one_organisations(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let more = app.service_for("more", &[]).await;
    let rows =
        "SELECT count(*) FROM idempotent_requests WHERE subject LIKE 'consumer %' AND key = 'k'";
    let keyed = async |who: &Organisation| {
        let body = json!({
            "account_id": who.account, "service_ids": [more.id],
            "contact": { "name": "Ann Doe", "email": "ann@consumer.example", "role": "technical" },
        });
        let request = app.as_member(&who.id, Method::POST, "/v1/me/access-requests");
        send(request.header("Idempotency-Key", "k").json(&body)).await
    };
    let first = keyed(&acme).await;
    let again = keyed(&acme).await;
    assert_eq!((first.status, &first.text), (201, &again.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = keyed(&bolt).await;
    assert_eq!(
        (other.status, other.header("idempotency-replayed")),
        (201, "")
    );
    assert_ne!(other.text, first.text);
    assert_eq!(app.count(rows).await, 2);

    // A refusal leaves nothing, and the next with the key is a new one.
    let path = format!("/v1/me/access-requests/{}/withdraw", bolt.asked);
    let why = json!({ "reason": "no need" });
    let withdraw = async |who: &Organisation| {
        let request = app.as_member(&who.id, Method::POST, &path);
        send(request.header("Idempotency-Key", "w").json(&why)).await
    };
    withdraw(&acme)
        .await
        .refused("another's", 404, "access_request_not_found");
    let done = withdraw(&bolt).await;
    assert_eq!(
        (done.status, done.header("idempotency-replayed")),
        (200, "")
    );
    let again = withdraw(&bolt).await;
    assert_eq!(
        (&again.text, again.header("idempotency-replayed")),
        (&done.text, "true")
    );
}
