//! The deny list: while a denial stands nobody accepts what it covers, whoever they are and whichever way they go.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::http::send;
use crate::support::{Answer, CONSUMER, Request, TestApp, Who};

impl TestApp {
    pub(crate) async fn try_to_deny(&self, who: Who, body: &Value) -> Answer {
        let mut body = body.clone();
        if body.get("reason").is_none() {
            body["reason"] = json!("unpaid since March");
        }
        self.post(who, "/v1/denials", &body).await
    }

    /// Denies and answers the denial's id.
    pub(crate) async fn deny(&self, body: &Value) -> String {
        let made = self.try_to_deny(Who::Approver, body).await.good();
        assert_eq!(made["state"], "standing");
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn lift(&self, who: Who, id: &str) -> Answer {
        let body = json!({ "reason": "paid" });
        self.post(who, &format!("/v1/denials/{id}/lift"), &body)
            .await
    }

    pub(crate) async fn assert_denied(&self, request: &Request, what: &str) {
        for who in [Who::Approver, Who::Admin] {
            let answer = self.try_to_decide(who, request, "accept").await;
            answer.refused(what, 409, "account_denied");
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_accepts_what_is_denied_until_it_is_lifted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let denial = app.deny(&json!({ "account_id": CONSUMER })).await;
    app.assert_denied(&request, "denied").await;
    let refusal = app
        .try_to_decide(Who::Admin, &request, "accept")
        .await
        .json();
    let detail = refusal["detail"].as_str().unwrap();
    for part in [
        CONSUMER,
        denial.as_str(),
        "unpaid since March",
        "approver@provider.example",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);
    assert_eq!(app.summary(&request).await, "waiting");
    let rejected = app.requested(&service).await;
    app.decide(&rejected, "reject").await;

    app.lift(Who::Approver, &denial)
        .await
        .refused("lifting", 403, "forbidden");
    let lifted = app.lift(Who::Admin, &denial).await.good();
    assert_eq!(lifted["state"], "lifted");
    assert_eq!(lifted["lifted"]["reason"], "paid");
    let again = app.lift(Who::Admin, &denial).await;
    again.refused("twice", 409, "denial_lifted");
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(
        app.actions_about("denial").await,
        ["denial.add", "denial.lift"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_denial_alone_does_not_touch_what_lives(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    let before = app.mutations();
    app.deny(&json!({ "account_id": CONSUMER })).await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.mutations(), before);
    app.decide(&request, "revoke").await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_denial_of_a_consumer_covers_the_accounts_that_it_has_then(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    let first = app.requested_by(CONSUMER, &service).await;
    let second = app.requested_by(OTHER, &service).await;
    let denial = app.deny(&json!({ "consumer_id": acme })).await;
    app.assert_denied(&first, "its account").await;
    app.try_to_attach(&acme, OTHER).await.good();
    app.assert_denied(&second, "an account that it got later")
        .await;

    // Taking the account out of the consumer is no way around.
    let out = app.try_to_detach(&acme, OTHER).await;
    out.refused("out of a denied consumer", 409, "consumer_denied");
    app.lift(Who::Admin, &denial).await.good();
    app.try_to_detach(&acme, OTHER).await.good();
    app.decide(&second, "accept").await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_denial_may_be_about_one_service_and_for_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let edge = app.with_service().await;
    let other = app.created_service("other").await;
    let here = app.requested(&edge).await;
    let there = app.requested(&other).await;
    let end = app.clock.now() + TimeDelta::minutes(5);
    let body = json!({ "account_id": CONSUMER, "service_id": edge.id, "expires_at": end });
    let denial = app.deny(&body).await;
    app.assert_denied(&here, "on this service").await;
    app.decide(&there, "accept").await;

    let states = async |state: &str| app.ids(&format!("/v1/denials?state={state}")).await;
    assert_eq!(states("standing").await, [denial.as_str()]);
    app.advance(Duration::from_mins(4));
    app.assert_denied(&here, "before its end").await;
    app.advance(Duration::from_mins(1));
    assert_eq!(states("expired").await, [denial.as_str()]);
    assert!(states("standing").await.is_empty());
    app.decide(&here, "accept").await;
    let past = app.try_to_deny(Who::Approver, &body).await;
    past.refused("an end in the past", 400, "invalid_request");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_drift_of_a_denied_account_is_reverted_and_not_adopted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.advance(Duration::from_secs(5));
    app.run_worker().await;
    let drift = TestApp::only(&app.inbox("state=open").await);
    app.deny(&json!({ "account_id": CONSUMER })).await;
    let adopted = app.settle(Who::Admin, &drift, "adopt").await;
    adopted.refused("adopting", 409, "account_denied");
    let many = json!({ "ids": [drift], "reason": "all of them" });
    let many = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(many["results"][0]["code"], "account_denied");
    assert_eq!(app.drift(&drift).await["state"], "open");
    app.settle(Who::Approver, &drift, "revert").await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
}

/// An accept that AWS was not told yet, and that stalled, is not sent again while a denial stands.
#[sqlx::test(migrations = "./migrations")]
async fn an_accept_that_stalled_is_not_retried_against_a_denial(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    sqlx::query(
        "UPDATE connections SET sync_state = 'stalled', sync_due_at = NULL, sync_code = 'test'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let denial = app.deny(&json!({ "account_id": CONSUMER })).await;
    let retried = app.retry(&request).await;
    retried.refused("retrying", 409, "account_denied");
    app.lift(Who::Admin, &denial).await.good();
    app.retry(&request).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn denials_are_listed_and_malformed_ones_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer("Acme").await;
    let first = app.deny(&json!({ "account_id": CONSUMER })).await;
    app.advance(Duration::from_millis(10));
    let second = app
        .deny(&json!({ "consumer_id": acme, "service_id": service.id }))
        .await;
    for (query, found) in [
        (String::new(), vec![&second, &first]),
        (format!("account_id={CONSUMER}"), vec![&first]),
        (format!("consumer_id={acme}"), vec![&second]),
        (format!("service_id={}", service.id), vec![&second]),
        ("state=lifted".to_owned(), vec![]),
        (format!("limit=1&cursor={second}"), vec![&first]),
    ] {
        let ids = app.ids(&format!("/v1/denials?{query}")).await;
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
    let one = app
        .get(Who::Viewer, &format!("/v1/denials/{second}"))
        .await
        .good();
    assert_eq!(
        (&one["subject"], &one["account_id"]),
        (&json!("consumer"), &json!(null))
    );

    let nobody = "cns_00000000000000000000000000000000";
    let nothing = "svc_00000000000000000000000000000000";
    for (body, status, code) in [
        (json!({}), 400, "invalid_request"),
        (
            json!({ "account_id": CONSUMER, "consumer_id": acme }),
            400,
            "invalid_request",
        ),
        (json!({ "account_id": "1" }), 400, "invalid_request"),
        (
            json!({ "account_id": CONSUMER, "reason": "" }),
            400,
            "invalid_request",
        ),
        (json!({ "consumer_id": nobody }), 404, "consumer_not_found"),
        (
            json!({ "account_id": CONSUMER, "service_id": nothing }),
            404,
            "service_not_found",
        ),
    ] {
        let answer = app.try_to_deny(Who::Approver, &body).await;
        answer.refused(&body.to_string(), status, code);
    }
    let viewer = app
        .try_to_deny(Who::Viewer, &json!({ "account_id": CONSUMER }))
        .await;
    viewer.refused("a viewer", 403, "forbidden");
    let path = "/v1/denials/den_00000000000000000000000000000000";
    let missing = send(app.request(Who::Viewer, Method::GET, path)).await;
    missing.refused("nothing", 404, "denial_not_found");
}

/// The two orders in which an accept and a denial can meet, each forced: whoever comes first to the account is heard, and an accept that
/// comes after the denial never is.
#[sqlx::test(migrations = "./migrations")]
async fn an_accept_and_a_denial_come_one_after_the_other(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    for denied in [
        json!({ "account_id": CONSUMER }),
        json!({ "consumer_id": acme }),
    ] {
        for denial_first in [true, false] {
            let request = app.requested(&service).await;
            let held = match denied.get("account_id") {
                Some(_) => app.hold_account(CONSUMER).await,
                None => app.hold_consumer(&acme).await,
            };
            let accept = app.try_to_decide(Who::Approver, &request, "accept");
            let deny = app.try_to_deny(Who::Approver, &denied);
            let let_go = async {
                app.queue_of(2).await;
                held.commit().await.unwrap();
            };
            let (accepted, denial, ()) = if denial_first {
                let accept = async {
                    app.queue_of(1).await;
                    accept.await
                };
                tokio::join!(accept, deny, let_go)
            } else {
                let deny = async {
                    app.queue_of(1).await;
                    deny.await
                };
                tokio::join!(accept, deny, let_go)
            };
            let denial = denial.good()["id"].as_str().unwrap().to_owned();
            if denial_first {
                accepted.refused("after the denial", 409, "account_denied");
            } else {
                accepted.good();
            }
            let later = app.requested(&service).await;
            app.assert_denied(&later, "later").await;
            app.lift(Who::Admin, &denial).await.good();
        }
    }
}

/// The database itself refuses to commit an accept when a denial of the account or its consumer has been committed: only so that a test sees it.
async fn watch(app: &TestApp) {
    for sql in [
        "CREATE FUNCTION watch_accepts() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.verb = 'accept' AND EXISTS (
                 SELECT FROM denials d JOIN connections c ON c.id = NEW.connection_id
                   LEFT JOIN consumer_accounts m ON m.account_id = c.owner_account AND m.removed_at IS NULL
                  WHERE d.lifted_at IS NULL AND (d.account_id = c.owner_account OR d.consumer_id = m.consumer_id))
             THEN
                 RAISE EXCEPTION 'accepted in spite of a denial';
             END IF;
             RETURN NULL;
         END $$",
        "CREATE CONSTRAINT TRIGGER watched AFTER INSERT ON decisions DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION watch_accepts()",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
}

/// The same without force, many times: never an accept that is committed after a denial is there.
#[sqlx::test(migrations = "./migrations")]
async fn no_accept_is_decided_after_a_denial(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    watch(&app).await;
    let mut accepted = 0;
    for round in 0..12 {
        let body = match round % 3 {
            0 => json!({ "account_id": CONSUMER }),
            1 => json!({ "consumer_id": acme }),
            _ => json!({ "consumer_id": acme, "service_id": service.id }),
        };
        let requests = [app.requested(&service).await, app.requested(&service).await];
        let (one, two, denial) = tokio::join!(
            app.try_to_decide(Who::Approver, &requests[0], "accept"),
            app.try_to_decide(Who::Admin, &requests[1], "accept"),
            app.try_to_deny(Who::Approver, &body),
        );
        let denial = denial.good();
        for answer in [one, two] {
            if answer.status == 200 {
                accepted += 1;
            } else {
                answer.refused("the loser", 409, "account_denied");
            }
        }
        app.lift(Who::Admin, denial["id"].as_str().unwrap())
            .await
            .good();
    }
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, accepted);
}
