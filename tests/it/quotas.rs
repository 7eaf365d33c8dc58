//! Quotas: the last place is taken once, what is beyond it takes a person's word, and what ends makes room.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::app::AppContext;
use portcullis::app::code::Code;
use portcullis::app::decide_connection::decide_connection;
use portcullis::app::decision_words::Said;
use portcullis::app::idempotency::Units;
use portcullis::domain::actor::Actor;
use portcullis::domain::review::Verb;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::drifts::OTHER;
use crate::support::http::send;
use crate::support::{Answer, CONSUMER, Request, TestApp, Who};

impl TestApp {
    /// Sets a quota: of `consumers/…` or `services/…`.
    pub(crate) async fn set_quota(&self, of: &str, quota: &Value) -> Answer {
        let mut body = quota.clone();
        if body.get("reason").is_none() {
            body["reason"] = json!("plan S");
        }
        let path = format!("/v1/{of}/quota");
        send(self.request(Who::Admin, Method::PUT, &path).json(&body)).await
    }

    async fn accept_over_quota(&self, request: &Request) -> Answer {
        let body = json!({ "reason": "they will upgrade", "over_quota": true });
        let path = format!("/v1/connections/{}/accept", request.id);
        self.post(Who::Approver, &path, &body).await
    }

    /// Another replica's application, with database connections of its own.
    fn another_application(&self) -> AppContext {
        let options = PgPoolOptions::new().max_connections(10);
        let pool = options.connect_lazy_with((*self.db().connect_options()).clone());
        AppContext {
            units: Units::of(&pool),
            pool,
            clock: self.shared.clock.clone(),
            nudge: portcullis::app::Nudge::new(),
            patience: TimeDelta::minutes(5),
            evidence_lasts: self.shared.settings.evidence_lasts(),
            reviews: self.shared.reviews,
            answers_kept: self.shared.answers_kept,
            shelf: self.shared.shelf.clone(),
            policies: self.shared.policies,
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_gets_what_its_quota_has_room_for(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let of = format!("consumers/{acme}");
    app.set_quota(&of, &json!({ "connections": 2 }))
        .await
        .good();
    let first = app.requested_by(CONSUMER, &service).await;
    let second = app.requested_by(OTHER, &service).await;
    let third = app.requested_by(CONSUMER, &service).await;
    app.decide(&first, "accept").await;
    app.decide(&second, "accept").await;
    let refused = app.try_to_decide(Who::Admin, &third, "accept").await;
    refused.refused("one too many", 409, "quota_exceeded");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("3 connections of 2") && detail.contains("Acme"),
        "{detail}"
    );

    let used = app
        .get(Who::Viewer, &format!("/v1/{of}/quota"))
        .await
        .good();
    assert_eq!(used["connections"], 2);
    assert_eq!(
        used["services"],
        json!([{ "service_id": service.id, "endpoints": 2 }])
    );
    assert_eq!(
        (&used["regions"], &used["quota"]["connections"]),
        (&json!(["eu-west-1"]), &json!(2))
    );

    // What ends makes room.
    app.run_until_rest().await;
    app.decide(&second, "revoke").await;
    app.decide(&third, "accept").await;
    // By the connection: ids of the same millisecond are in no order.
    let of_third = "SELECT d.inputs FROM decisions d JOIN connections c ON c.decision_id = d.id WHERE c.endpoint_id = $1";
    let told: Value = sqlx::query_scalar(of_third)
        .bind(third.endpoint.as_str())
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(told["consumer"]["name"], "Acme");
    assert_eq!(told["quota"]["limits"]["connections"], 2);
    assert_eq!(told["quota"]["used"]["connections"], 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_may_go_beyond_a_quota_and_it_is_on_record(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    app.set_quota(&format!("consumers/{acme}"), &json!({ "connections": 0 }))
        .await
        .good();
    let request = app.requested(&service).await;
    let refused = app.try_to_decide(Who::Admin, &request, "accept").await;
    refused.refused("without the word", 409, "quota_exceeded");
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);
    app.accept_over_quota(&request).await.good();
    let after: Value =
        sqlx::query_scalar("SELECT after FROM audit_entries WHERE action = 'connection.accept'")
            .fetch_one(app.db())
            .await
            .unwrap();
    let excess = json!([{ "figure": "connections", "limit": 0, "used": 1 }]);
    assert_eq!(after["over_quota"], excess);
    // A denial wins over that word.
    app.deny(&json!({ "account_id": CONSUMER })).await;
    let denied = app.requested(&service).await;
    app.accept_over_quota(&denied)
        .await
        .refused("denied", 409, "account_denied");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_limits_whom_nobody_gave_a_figure(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let accounts = [CONSUMER, OTHER];
    let edge = app.service_for("edge", &accounts).await;
    let other = app.service_for("other", &accounts).await;
    let default = json!({ "endpoints_per_service": 1 });
    app.set_quota(&format!("services/{}", edge.id), &default)
        .await
        .good();
    let shown = app
        .get(Who::Viewer, &format!("/v1/services/{}/quota", edge.id))
        .await
        .good();
    assert_eq!(
        (&shown["endpoints_per_service"], &shown["set_by"]),
        (&json!(1), &json!("admin@provider.example"))
    );

    // An account without a consumer counts by itself.
    for account in accounts {
        let first = app.requested_by(account, &edge).await;
        app.decide(&first, "accept").await;
        let second = app.requested_by(account, &edge).await;
        let answer = app.try_to_decide(Who::Approver, &second, "accept").await;
        answer.refused(account, 409, "quota_exceeded");
        let elsewhere = app.requested_by(account, &other).await;
        app.decide(&elsewhere, "accept").await;
    }
    // A consumer's own figure goes before the service's; the accounts count together.
    let acme = app.add_consumer_with("Acme", &accounts).await;
    app.set_quota(
        &format!("consumers/{acme}"),
        &json!({ "endpoints_per_service": 3 }),
    )
    .await
    .good();
    let third = app.requested_by(CONSUMER, &edge).await;
    app.decide(&third, "accept").await;
    let fourth = app.requested_by(OTHER, &edge).await;
    let answer = app.try_to_decide(Who::Approver, &fourth, "accept").await;
    answer.refused("a fourth", 409, "quota_exceeded");
}

#[sqlx::test(migrations = "./migrations")]
async fn regions_are_counted_where_the_endpoints_are(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_quota(
        &format!("services/{}", service.id),
        &json!({ "regions": 1 }),
    )
    .await
    .good();
    let here = app.requested(&service).await;
    app.decide(&here, "accept").await;
    let again = app.requested(&service).await;
    app.decide(&again, "accept").await;
    let there = app.requested(&service).await;
    sqlx::query("UPDATE connections SET endpoint_region = 'us-east-1' WHERE endpoint_id = $1")
        .bind(there.endpoint.as_str())
        .execute(app.db())
        .await
        .unwrap();
    let answer = app.try_to_decide(Who::Approver, &there, "accept").await;
    answer.refused("a second Region", 409, "quota_exceeded");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("2 regions of 1"), "{detail}");
}

/// What lives without a decision uses a place too, and agreeing with it is an accept like another.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_accepted_behind_our_back_counts(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_quota(
        &format!("services/{}", service.id),
        &json!({ "connections": 1 }),
    )
    .await
    .good();
    let outside = app.requested(&service).await;
    app.accept_behind_our_back(&service, &outside).await;
    app.advance(Duration::from_secs(5));
    app.run_worker().await;
    let request = app.requested(&service).await;
    let answer = app.try_to_decide(Who::Approver, &request, "accept").await;
    answer.refused("the place is taken", 409, "quota_exceeded");
    app.set_quota(
        &format!("services/{}", service.id),
        &json!({ "connections": 0 }),
    )
    .await
    .good();
    let drift = TestApp::only(&app.inbox("state=open").await);
    let adopted = app.settle(Who::Approver, &drift, "adopt").await;
    adopted.refused("beyond the quota", 409, "quota_exceeded");
    let body = json!({ "reason": "leave it", "over_quota": true });
    app.post(Who::Approver, &format!("/v1/drifts/{drift}/adopt"), &body)
        .await
        .good();
}

#[sqlx::test(migrations = "./migrations")]
async fn quotas_are_set_as_a_whole_and_audited(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer("Acme").await;
    let of = format!("consumers/{acme}");
    app.set_quota(&of, &json!({ "connections": 5, "regions": 2 }))
        .await
        .good();
    let set = app
        .set_quota(&of, &json!({ "connections": 6 }))
        .await
        .good();
    assert_eq!(
        (&set["connections"], &set["regions"]),
        (&json!(6), &json!(null))
    );
    let (before, after): (Value, Value) = sqlx::query_as(
        "SELECT before, after FROM audit_entries WHERE action = 'consumer.set_quota' AND before IS NOT NULL",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(
        (&before["regions"], &after["regions"]),
        (&json!(2), &json!(null))
    );
    for (of, body, status, code) in [
        (
            of.clone(),
            json!({ "connections": -1 }),
            400,
            "invalid_request",
        ),
        (
            of.clone(),
            json!({ "regions": 1_000_001 }),
            400,
            "invalid_request",
        ),
        (of.clone(), json!({ "reason": "" }), 400, "invalid_request"),
        (of, json!({ "endpoints": 1 }), 400, "invalid_json"),
        (
            "consumers/cns_00000000000000000000000000000000".to_owned(),
            json!({}),
            404,
            "consumer_not_found",
        ),
        (
            "services/svc_00000000000000000000000000000000".to_owned(),
            json!({}),
            404,
            "service_not_found",
        ),
    ] {
        app.set_quota(&of, &body)
            .await
            .refused(&format!("{of} {body}"), status, code);
    }
    let path = format!("services/{}", service.id);
    app.set_quota(&path, &json!({})).await.good();
    assert_eq!(
        app.count("SELECT count(*) FROM service_quotas WHERE most_connections IS NULL")
            .await,
        1
    );
}

/// The last place of a quota, wanted by ten requests of two accounts on two replicas at once: one gets it. Whoever is known by a consumer shares
/// its place; whoever is not has one alone.
#[sqlx::test(migrations = "./migrations")]
async fn the_last_place_is_taken_by_one_of_ten(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let replicas = [app.another_application(), app.another_application()];
    for round in 1..=4 {
        app.set_quota(
            &format!("consumers/{acme}"),
            &json!({ "connections": round }),
        )
        .await
        .good();
        let endpoints: Vec<_> = (0..10)
            .map(|n| app.endpoint_of(if n % 2 == 0 { CONSUMER } else { OTHER }, &service))
            .collect();
        app.run_worker().await;
        let held = app.hold_consumer(&acme).await;
        let mut wanting = Vec::new();
        for (number, endpoint) in endpoints.iter().enumerate() {
            let id = app.found(endpoint).await.id.parse().unwrap();
            let ctx = replicas[number % 2].clone();
            wanting.push(tokio::spawn(async move {
                let actor = Actor::person(format!("approver {number}"), "race");
                let said = Said {
                    reason: "the last place".to_owned(),
                    ..Said::default()
                };
                decide_connection(&ctx, &actor, id, Verb::Accept, &said).await
            }));
        }
        // All of them stand before the consumer, or before the account of one that does.
        app.queue_of(10).await;
        held.commit().await.unwrap();
        let mut taken = 0;
        for one in wanting {
            match one.await.unwrap() {
                Ok(_) => taken += 1,
                Err(refusal) => assert_eq!(refusal.code(), Code::QuotaExceeded, "{refusal}"),
            }
        }
        assert_eq!(taken, 1, "round {round}");
    }
    let accepted = "SELECT count(*) FROM connections WHERE review_state = 'accepted'";
    assert_eq!(app.count(accepted).await, 4);
}

/// Everybody who locks accounts, consumers, services, connections and drifts, all at once and again and again: whoever waits for whom, nobody waits
/// in a circle. A deadlock would be answered with 503.
#[sqlx::test(migrations = "./migrations")]
async fn locks_are_taken_in_one_order(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let accounts = [CONSUMER, OTHER];
    let service = app.service_for("edge", &accounts).await;
    let acme = app.add_consumer_with("Acme", &accounts).await;
    app.set_quota(
        &format!("consumers/{acme}"),
        &json!({ "connections": 1000 }),
    )
    .await
    .good();
    for round in 0..6 {
        let endpoints: Vec<_> = (0..6)
            .map(|n| app.endpoint_of(accounts[n % 2], &service))
            .collect();
        app.run_worker().await;
        let mut requests = Vec::new();
        for endpoint in &endpoints {
            requests.push(app.found(endpoint).await);
        }
        let outside = &requests[5];
        app.accept_behind_our_back(&service, outside).await;
        app.advance(Duration::from_secs(5));
        app.run_worker().await;
        let drift = app.inbox("state=open").await;
        let drift = drift.last().unwrap()["id"].as_str().unwrap().to_owned();
        let decide =
            async |n: usize, verb: &str| app.try_to_decide(Who::Approver, &requests[n], verb).await;
        let quota = json!({ "connections": 1000 - round });
        let (of_consumer, of_service) = (
            format!("consumers/{acme}"),
            format!("services/{}", service.id),
        );
        let service_denial = json!({ "account_id": CONSUMER, "service_id": service.id });
        let everywhere = json!({ "consumer_id": acme });
        let version = json!({});
        let renamed = json!({ "notes": format!("round {round}") });
        let answers = tokio::join!(
            decide(0, "accept"),
            decide(1, "accept"),
            decide(2, "reject"),
            decide(3, "accept"),
            app.settle(Who::Admin, &drift, "adopt"),
            app.try_to_deny(Who::Approver, &service_denial),
            app.try_to_deny(Who::Approver, &everywhere),
            app.try_to_detach(&acme, OTHER),
            app.set_quota(&of_consumer, &quota),
            app.set_quota(&of_service, &quota),
            app.try_to_change(&service, &version),
            app.try_to_change_consumer(&acme, &renamed),
            decide(4, "accept"),
            app.run_worker(),
        );
        let (a, b, c, d, e, f, g, h, i, j, k, l, m, ()) = answers;
        for answer in [a, b, c, d, e, f, g, h, i, j, k, l, m] {
            assert!(answer.status < 500, "round {round}: {}", answer.text);
        }
        for denial in app.ids("/v1/denials?state=standing").await {
            app.lift(Who::Admin, &denial).await.good();
        }
        app.try_to_attach(&acme, OTHER).await;
    }
}
