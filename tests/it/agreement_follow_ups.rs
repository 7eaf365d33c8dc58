//! What is done to an agreement while its renewal waits: accounts go along, no amendment cuts anybody, and what is succeeded is done with.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{SECOND, path, with};
use crate::support::listings::blamed;
use crate::support::{Answer, CONSUMER, TestApp, Who};

const OTHER: &str = "210987654321";

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().unwrap()
}

impl TestApp {
    async fn try_to_add(&self, agreement: &Value, account: &str, proof: Option<&str>) -> Answer {
        let mut body = json!({ "account_id": account, "reason": "named in the order" });
        if let Some(proof) = proof {
            body["proof"] = json!(proof);
        }
        let at = format!("{}/accounts", path(agreement));
        self.post(Who::Admin, &at, &body).await
    }

    async fn vouch(&self, agreement: &Value, account: &str) {
        let added = self.try_to_add(agreement, account, Some("operator_vouched"));
        added.await.good();
    }

    async fn remove(&self, agreement: &Value, account: &str) -> Answer {
        let at = format!("{}/accounts/{account}/remove", path(agreement));
        let body = json!({ "reason": "they have left" });
        self.post(Who::Admin, &at, &body).await
    }

    /// How an account is attached to an agreement now.
    async fn proof(&self, agreement: &Value, account: &str) -> Option<String> {
        let shown = self.agreement(agreement).await;
        let accounts = shown["accounts"].as_array().unwrap().iter();
        let mut standing = accounts.filter(|it| it["detached"].is_null());
        let found = standing.find(|it| it["account_id"] == account)?;
        Some(found["proof"].as_str().unwrap().to_owned())
    }

    /// The details of the steps that said so, and why.
    async fn steps_saying(&self, agreement: &Value, what: &str) -> Vec<(String, Value)> {
        let timeline = self.timeline(agreement).await.into_iter();
        let steps = timeline.filter(|it| it["what"] == what);
        steps
            .map(|it| (it["details"].to_string(), it["reason"].clone()))
            .collect()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_amendment_cuts_nobody_who_has_a_renewal(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let soon = app.clock.now() + TimeDelta::days(30);
    let refusal = app.act(&first, "amend", &json!({ "ends_at": soon })).await;
    refusal.refused("a gap of months", 409, "renewal_pending");
    assert_eq!(blamed(&refusal), ["ends_at"]);
    let detail = refusal.json()["detail"].as_str().unwrap().to_owned();
    for word in [
        second["id"].as_str().unwrap(),
        "roll",
        "renew again",
        &first["ends_at"].as_str().unwrap()[..10],
    ] {
        assert!(detail.contains(word), "{word}: {detail}");
    }
    assert_eq!(app.agreement(&first).await["ends_at"], first["ends_at"]);
    // Its grace, 72 hours, may last until the renewal begins.
    let turn = time(&first["ends_at"]);
    let gap = |hours: i64| json!({ "ends_at": turn - TimeDelta::hours(hours) });
    app.act(&first, "amend", &gap(73)).await.refused(
        "over before the turn",
        409,
        "renewal_pending",
    );
    app.act(&first, "amend", &gap(72)).await.good();
    // What else is amended cuts nobody.
    let quotas = json!({ "quotas": { "max_endpoints": 9 }, "renewal": "keep" });
    app.act(&first, "amend", &quotas).await.good();

    // What the refusal says to do.
    let why = json!({ "reason": "sooner" });
    app.act(&second, "roll-back", &why).await.good();
    let amended = app.act(&first, "amend", &json!({ "ends_at": soon })).await;
    assert_eq!(time(&amended.good()["ends_at"]), soon);
    let second = app.act(&first, "renew", &json!({})).await.good();
    assert_eq!(time(&second["starts_at"]), soon);
    app.advance((soon - app.clock.now()).to_std().unwrap());
    app.make_partitions().await;
    assert_eq!(app.agreement(&first).await["state"], "superseded");
    assert_eq!(app.agreement(&second).await["state"], "active");
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_go_along_to_renewals_that_have_not_begun(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let third = json!({ "replaces": second["id"], "starts_at": second["ends_at"] });
    let third = app.buy(&with(shop.by_use(), &third)).await;
    let all = [&first, &second, &third];
    let id = first["id"].as_str().unwrap();

    app.try_to_add(&first, SECOND, None).await.good();
    for of in all {
        assert_eq!(app.proof(of, SECOND).await.as_deref(), Some("none"));
    }
    app.vouch(&first, SECOND).await;
    for of in all {
        let proof = app.proof(of, SECOND).await;
        assert_eq!(proof.as_deref(), Some("operator_vouched"));
        let steps = app.steps_saying(of, "agreement.attach_account").await;
        let last = steps.last().unwrap();
        assert_eq!(last.1, "named in the order");
        assert_eq!(last.0.contains(id), of["id"] != first["id"], "{steps:?}");
    }
    let again = app.try_to_add(&first, SECOND, Some("operator_vouched"));
    again.await.refused("twice", 409, "account_attached");

    app.remove(&first, SECOND).await.good();
    for of in all {
        assert_eq!(app.proof(of, SECOND).await, None);
        let steps = app.steps_saying(of, "agreement.detach_account").await;
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert_eq!(steps[0].1, "they have left");
        assert_eq!(steps[0].0.contains(id), of["id"] != first["id"]);
    }
    let none = app.remove(&first, SECOND).await;
    none.refused("gone", 404, "agreement_account_not_found");

    // The renewal alone, with what is behind it.
    app.vouch(&second, OTHER).await;
    let proofs = [None, Some("operator_vouched"), Some("operator_vouched")];
    for (of, proof) in all.into_iter().zip(proofs) {
        assert_eq!(app.proof(of, OTHER).await.as_deref(), proof);
    }
    app.vouch(&first, OTHER).await;
    app.remove(&second, OTHER).await.good();
    for (of, is) in all.into_iter().zip([true, false, false]) {
        assert_eq!(app.proof(of, OTHER).await.is_some(), is);
    }

    // What has begun is a matter of its own: the old one's accounts are not its.
    let until = time(&first["ends_at"]) - app.clock.now();
    app.advance(until.to_std().unwrap());
    app.make_partitions().await;
    app.vouch(&second, OTHER).await;
    app.remove(&first, OTHER).await.good();
    for (of, is) in all.into_iter().zip([false, true, true]) {
        assert_eq!(app.proof(of, OTHER).await.is_some(), is);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_attached_where_the_renewal_cannot_have_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    sqlx::query("UPDATE listings SET state = 'public'")
        .execute(app.db())
        .await
        .unwrap();
    let first = app.buy(&shop.year()).await;
    let second = app.act(&first, "renew", &json!({})).await.good();
    let own = json!({ "buyer_account": OTHER, "starts_at": second["starts_at"] });
    let own = app.buy(&with(shop.by_use(), &own)).await;
    let refusal = app
        .try_to_add(&first, OTHER, Some("operator_vouched"))
        .await;
    refusal.refused("it has its own then", 409, "agreement_overlaps");
    assert_eq!(blamed(&refusal), ["account_id"]);
    assert!(refusal.text.contains(own["id"].as_str().unwrap()));
    for of in [&first, &second] {
        assert_eq!(app.proof(of, OTHER).await, None);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_attached_after_a_renewal_keeps_its_access(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = Terms::lasting(now, Some(now + TimeDelta::days(30)));
    let old = app.agree(&listing, &[CONSUMER], terms).await;
    app.come_to_rest().await;
    let shown = json!({ "id": old.agreement.id });
    let order = json!({ "term": "P12M", "quantities": { "endpoint_seat": "1" } });
    let new = app.act(&shown, "renew", &order).await.good();
    app.vouch(&shown, OTHER).await;
    app.come_to_rest().await;
    let request = app.endpoint(OTHER, &service).await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(Duration::from_hours(24 * 30)).await;
    assert_eq!(app.state(&old).await, AgreementState::Superseded);
    app.later(Duration::from_hours(24 * 5)).await;
    assert_eq!(app.summary(&request).await, "available");
    let connection = format!("/v1/connections/{}/agreement", request.id);
    let paying = app.get(Who::Viewer, &connection).await.good();
    assert_eq!(paying["paid_by"]["agreement_id"], new["id"], "{paying}");
    assert_eq!(app.let_in(&service).await.len(), 2);
}

/// The account's connection stayed behind with the old one, because the new one did not have the account.
#[sqlx::test(migrations = "./migrations")]
async fn attaching_to_a_successor_has_the_old_one_looked_at(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = || Terms::lasting(now, None);
    let mut old = app.agree(&listing, &[CONSUMER, OTHER], terms()).await;
    app.come_to_rest().await;
    let request = app.endpoint(OTHER, &service).await;
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[CONSUMER], terms())
        .await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    let woken = "SELECT count(DISTINCT agreement_id) FROM agreement_wakes WHERE agreement_id = (SELECT replaces FROM agreements WHERE replaces IS NOT NULL)";
    assert_eq!(app.count(woken).await, 0);
    app.vouch(&json!({ "id": new.agreement.id }), OTHER).await;
    assert_eq!(app.count(woken).await, 1);
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    assert_eq!(app.summary(&request).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_another_has_taken_the_place_of_is_not_about_to_end(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let first = app.buy(&shop.year()).await;
    let later = time(&first["ends_at"]) + TimeDelta::days(2);
    let later = later.to_rfc3339_opts(SecondsFormat::Secs, true);
    let ending = async || {
        let query = format!("/v1/agreements?ends_before={later}");
        app.ids(&query).await
    };
    let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
    assert_eq!(ending().await, [id(&first)]);
    assert_eq!(
        app.agreement(&first).await["next_change_at"],
        first["ends_at"]
    );
    let second = app.act(&first, "renew", &json!({ "at_once": true })).await;
    let second = second.good();
    let settled = app.agreement(&first).await;
    assert_eq!(
        (&settled["state"], &settled["next_change_at"]),
        (&json!("superseded"), &Value::Null)
    );
    assert_eq!(ending().await, [id(&second)]);
}
