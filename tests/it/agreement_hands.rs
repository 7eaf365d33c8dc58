//! Principals of agreements that people take out by hand: never unnoticed, whatever the door, and never back by itself.

use std::time::Duration;

use portcullis::domain::agreement::Terms;
use portcullis::domain::clock::Clock;
use portcullis::worker::agreements as agreements_loop;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::deals::Deal;
use crate::support::http::send;
use crate::support::removals::of_principal;
use crate::support::{Answer, Service, TestApp, Who};

const BUYER: &str = "444455556666";
const SECOND: &str = "777788889999";
/// Let in by hand, and nobody pays for it.
const GUEST: &str = "123456789012";
const REFUSED: &str = "principals_of_agreements";

/// A service with a guest, and an agreement of two accounts that are let in.
async fn sold(app: &TestApp) -> (Service, Deal) {
    let (service, listing) = app.market(|_| {}).await;
    app.change(&service, &json!({ "allowed_principals": [GUEST] }))
        .await;
    let terms = Terms::lasting(app.clock.now(), None);
    let deal = app.agree(&listing, &[BUYER, SECOND], terms).await;
    app.come_to_rest().await;
    assert_eq!(
        app.let_in(&service).await,
        [root(GUEST), root(BUYER), root(SECOND)]
    );
    (service, deal)
}

/// The refusal names these accounts' principals with the agreement, and no others.
#[track_caller]
fn names(refusal: &Answer, deal: &Deal, accounts: &[&str]) {
    refusal.refused("unconfirmed", 409, REFUSED);
    let body = refusal.json();
    assert_eq!(
        body["errors"][0]["field"],
        "confirm_principals_of_agreements"
    );
    let detail = body["detail"].as_str().unwrap();
    for account in [BUYER, SECOND, GUEST] {
        assert_eq!(
            detail.contains(&root(account)),
            accounts.contains(&account),
            "{detail}"
        );
    }
    let id = deal.agreement.id.to_string();
    assert_eq!(detail.matches(&id).count(), accounts.len(), "{detail}");
}

async fn on_record(app: &TestApp, action: &str) -> Option<Value> {
    let found: Option<Option<Value>> = sqlx::query_scalar(
        "SELECT after -> 'principals_of_agreements' FROM audit_entries WHERE action = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(action)
    .fetch_optional(app.db())
    .await
    .unwrap();
    found.flatten()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_list_that_leaves_out_who_has_paid_is_refused_unless_it_is_meant(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, deal) = sold(&app).await;
    let version = app.service(&service.id).await["version"].clone();
    let none = json!({ "allowed_principals": [] });
    names(
        &app.try_to_change(&service, &none).await,
        &deal,
        &[BUYER, SECOND],
    );
    let one = json!({ "allowed_principals": [GUEST, BUYER], "name": "another" });
    names(&app.try_to_change(&service, &one).await, &deal, &[SECOND]);
    let whatever = app.request(
        Who::Admin,
        Method::PATCH,
        &format!("/v1/services/{}", service.id),
    );
    let whatever = send(whatever.header("If-Match", "*").json(&none)).await;
    names(&whatever, &deal, &[BUYER, SECOND]);
    assert_eq!(app.service(&service.id).await["version"], version);

    // Nobody pays for the guest, and what is not about principals asks nothing.
    app.change(&service, &json!({ "allowed_principals": [BUYER, SECOND] }))
        .await;
    app.change(&service, &json!({ "name": "another" })).await;
    assert_eq!(on_record(&app, "endpoint_service.change").await, None);

    let meant = json!({ "allowed_principals": [BUYER], "confirm_principals_of_agreements": true, "reason": "they attack us" });
    app.change(&service, &meant).await;
    assert_eq!(
        on_record(&app, "endpoint_service.change").await,
        Some(json!([deal.agreement.id]))
    );
    app.later(Duration::from_hours(1)).await;
    assert_eq!(app.let_in(&service).await, [root(BUYER)], "it stays out");
    // What is out already is left out by every list.
    app.change(&service, &json!({ "allowed_principals": [BUYER] }))
        .await;
    names(&app.try_to_change(&service, &none).await, &deal, &[BUYER]);

    // Who has not paid to go on holds nothing from that moment on, whether or not the worker was there.
    let cancel = format!("/v1/agreements/{}/cancel", deal.agreement.id);
    app.post(Who::Admin, &cancel, &json!({ "reason": "moved" }))
        .await
        .good();
    app.change(&service, &none).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_was_detached_holds_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, deal) = sold(&app).await;
    let detach = format!(
        "/v1/agreements/{}/accounts/{SECOND}/remove",
        deal.agreement.id
    );
    app.post(Who::Admin, &detach, &json!({ "reason": "left" }))
        .await
        .good();
    app.change(&service, &json!({ "allowed_principals": [GUEST, BUYER] }))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(GUEST), root(BUYER)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn adopting_that_aws_lost_a_principal_of_an_agreement_takes_the_same_word(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, deal) = sold(&app).await;
    app.grant(&service, &[], &[&root(SECOND)]).await;
    app.look_again().await;
    let open = app.inbox("state=open").await;
    let drift = TestApp::only(&open);
    let adopt = format!("/v1/drifts/{drift}/adopt");
    let body = json!({ "reason": "as it is" });
    names(&app.post(Who::Admin, &adopt, &body).await, &deal, &[SECOND]);
    let many = json!({ "ids": [drift], "reason": "as they are" });
    let many = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(
        (&many["adopted"], &many["results"][0]["code"]),
        (&json!(0), &json!(REFUSED))
    );
    let meant = json!({ "reason": "as it is", "confirm_principals_of_agreements": true });
    app.post(Who::Admin, &adopt, &meant).await.good();
    assert_eq!(
        on_record(&app, "endpoint_service.change").await,
        Some(json!([deal.agreement.id]))
    );
    app.later(Duration::from_hours(1)).await;
    assert_eq!(app.let_in(&service).await, [root(GUEST), root(BUYER)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_removal_of_access_says_whose_agreements_it_takes_from(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, deal) = sold(&app).await;
    let guest = of_principal(&service, &root(GUEST));
    assert_eq!(
        app.removal_preview(&guest).await["principals_of_agreements"],
        json!([])
    );
    app.end_access(&guest, 0).await;
    app.come_to_rest().await;

    let cause = of_principal(&service, &root(SECOND));
    let preview = app.removal_preview(&cause).await;
    let held = json!([{ "service_id": service.id, "principal": root(SECOND), "agreement_id": deal.agreement.id }]);
    assert_eq!(preview["principals_of_agreements"], held);
    let refusal = app.try_to_end_access(&cause, &preview["confirm"], 0).await;
    names(&refusal, &deal, &[SECOND]);
    assert_eq!(app.let_in(&service).await.len(), 2, "nothing was done yet");
    let meant = json!({
        "cause": cause, "confirm": preview["confirm"], "grace_seconds": 0, "reason": "they attack us",
        "confirm_principals_of_agreements": true,
    });
    app.post(Who::Admin, "/v1/access-removals", &meant)
        .await
        .good();
    assert_eq!(
        on_record(&app, "access_removal.begin").await,
        Some(json!([deal.agreement.id]))
    );
    app.carry_access_on().await;
    app.later(Duration::from_hours(1)).await;
    assert_eq!(app.let_in(&service).await, [root(BUYER)]);
}

/// What a removal takes away is given back when that is cancelled, and by nothing else meanwhile.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_given_again_while_a_removal_takes_it_away(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, deal) = sold(&app).await;
    let cause = of_principal(&service, &root(SECOND));
    let confirm = app.removal_preview(&cause).await["confirm"].clone();
    let meant = json!({
        "cause": cause, "confirm": confirm, "grace_seconds": 3600, "reason": "they attack us", "confirm_principals_of_agreements": true,
    });
    let removal = app
        .post(Who::Admin, "/v1/access-removals", &meant)
        .await
        .good();
    app.come_to_rest().await;
    let grant = format!("/v1/agreements/{}/grant", deal.agreement.id);
    let refused = app
        .post(Who::Admin, &grant, &json!({ "reason": "they paid" }))
        .await;
    refused.refused("it is taken away", 409, "access_ending");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(removal["id"].as_str().unwrap()), "{detail}");
    app.try_to_take_back(&removal).await.good();
    app.carry_access_on().await;
    app.come_to_rest().await;
    assert_eq!(
        app.let_in(&service).await,
        [root(GUEST), root(BUYER), root(SECOND)]
    );
    let without = json!({ "allowed_principals": [GUEST, BUYER] });
    names(
        &app.try_to_change(&service, &without).await,
        &deal,
        &[SECOND],
    );
}

/// A person takes a principal out that was there by hand, and the worker has an agreement stand on it: that changes nothing of the service, and not its version. Answers what
/// the person is told, and the agreement.
async fn at_one_moment(app: &TestApp, agreement_first: bool) -> (Answer, Deal) {
    let (service, listing) = app.market(|_| {}).await;
    let by_hand = json!({ "allowed_principals": [BUYER] });
    let version = app.change(&service, &by_hand).await["version"].clone();
    app.run_until_rest().await;
    let terms = Terms::lasting(app.clock.now(), None);
    let deal = app.agree(&listing, &[BUYER], terms).await;
    let held = app.hold_service(&service).await;
    let let_go = async {
        app.queue_of(2).await;
        held.commit().await.unwrap();
    };
    let none = json!({ "allowed_principals": [], "version": version });
    let change = async {
        app.queue_of(i64::from(agreement_first)).await;
        app.try_to_change(&service, &none).await
    };
    let pass = async {
        app.queue_of(i64::from(!agreement_first)).await;
        agreements_loop::run_pass(&app.shared).await.unwrap()
    };
    let (answer, passed, ()) = tokio::join!(change, pass, let_go);
    assert_eq!(passed.failed, 0);
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(BUYER)]);
    (answer, deal)
}

#[sqlx::test(migrations = "./migrations")]
async fn an_agreement_that_begins_at_the_same_moment_is_not_missed(pool: PgPool) {
    let app = TestApp::start(pool);
    let (answer, deal) = at_one_moment(&app, true).await;
    names(&answer, &deal, &[BUYER]);
}

/// Nobody had paid when it was taken out, and the agreement that comes after lets in.
#[sqlx::test(migrations = "./migrations")]
async fn an_agreement_that_begins_the_moment_after_lets_in_again(pool: PgPool) {
    let app = TestApp::start(pool);
    at_one_moment(&app, false).await.0.good();
}
