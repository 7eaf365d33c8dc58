//! What fresh eyes found: many renewals at once, renewals that never came to be, claims on what is connected, and what is detached in its grace.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use portcullis::domain::listing::EndCause;
use portcullis::domain::policy::Stamp;
use portcullis::store::agreement_bindings;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{CONSUMER, TestApp, Who};

const BUYER: &str = "210987654321";
const HOUR: Duration = Duration::from_hours(1);

/// More than a transaction of the worker has: the old ones and the new ones are looked at apart.
#[sqlx::test(migrations = "./migrations")]
async fn many_renewals_at_once_take_no_principal_away(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(1);
    let mut olds = Vec::new();
    for number in 0..110 {
        let account = format!("5{number:011}");
        let terms = Terms::lasting(now, Some(ends));
        olds.push((app.agree(&listing, &[&account], terms).await, account));
    }
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await.len(), 110);
    for (old, account) in &mut olds {
        let terms = Terms::lasting(ends, None);
        app.agree_in_place_of(Some(old), &listing, &[account.as_str()], terms)
            .await;
        app.told_as_of(old, Told::Replaced, ends).await;
    }
    app.come_to_rest().await;
    app.advance(HOUR * 25);
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await.len(), 110);
    let removed = "SELECT count(*) FROM audit_entries WHERE action = 'agreement.revoke_principal' AND after ->> 'removed' = 'true'";
    assert_eq!(app.count(removed).await, 0);
    // The old ones let go once the new ones have it.
    app.advance(Duration::from_mins(6));
    app.come_to_rest().await;
    let standing = "SELECT count(*) FROM agreement_grants WHERE ended_at IS NULL";
    assert_eq!(app.count(standing).await, 110);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_that_never_came_to_be_gives_back_what_it_took(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    let mut new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(now, None))
        .await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    app.told(&mut new, Told::RolledBack).await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(old.agreement.id.uuid()));
    let planned = "SELECT count(*) FROM planned_revocations";
    assert_eq!(app.count(planned).await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_waits_for_a_successor_is_told_when_access_ends(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["plans"][0]["grace"] = json!({ "cancelled": 60 }))
        .await;
    let now = app.clock.now();
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.told(&mut old, Told::Ended(EndCause::Cancelled)).await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    let ending = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending'";
    let cancelled =
        "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    app.later(Duration::from_secs(3_599)).await;
    assert_eq!(app.count(ending).await, 0, "most come within the hour");
    app.later(Duration::from_secs(1)).await;
    assert_eq!(app.count(ending).await, 1);
    let kept = app.read(&old).await;
    assert_eq!(kept.state, AgreementState::Superseded);
    assert_eq!(kept.grace_until, Some(now + TimeDelta::hours(24)));
    assert_eq!(app.let_in(&service).await.len(), 1);
    // One comes: nobody is cut.
    let since = app.clock.now();
    let mut new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(since, None))
        .await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    assert_eq!(app.count(cancelled).await, 1);
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    app.later(HOUR * 48).await;
    assert_eq!(app.summary(&request).await, "available");
    // None comes: the cut is when it was said to be.
    app.told(&mut new, Told::Ended(EndCause::Cancelled)).await;
    app.told(&mut new, Told::Replaced).await;
    app.later(HOUR).await;
    assert_eq!(app.count(ending).await, 2);
    app.later(Duration::from_secs(23 * 3_600 - 1)).await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(Duration::from_secs(1)).await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.count(ending).await, 2, "told once");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_claim_moves_what_is_connected(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["plans"][0]["bind_rule"] = json!("oldest"))
        .await;
    let now = app.clock.now();
    let terms = || Terms::lasting(now, None);
    let first = app.agree(&listing, &[BUYER], terms()).await;
    let second = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.payer(&request).await, Some(first.agreement.id.uuid()));
    let path = format!("/v1/connections/{}/agreement", request.id);
    let body = json!({ "agreement_id": second.agreement.id });
    let put = app.request(crate::support::Who::Approver, reqwest::Method::PUT, &path);
    crate::support::http::send(put.json(&body)).await.good();
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, Some(second.agreement.id.uuid()));
    assert_eq!(app.state(&first).await, AgreementState::Active);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_detached_in_its_grace_is_cut_all_the_same(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = Terms::lasting(now, Some(now + TimeDelta::days(1)));
    let deal = app.agree(&listing, &["444455557777", BUYER], terms).await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.later(HOUR * 24).await;
    assert_eq!(app.state(&deal).await, AgreementState::Grace);
    let said = Stamp {
        at: app.clock.now(),
        by: "a test".to_owned(),
    };
    sqlx::query("UPDATE agreement_accounts SET detached_at = $1, detached_by = $2, detach_reason = 'sold' WHERE account_id = $3")
        .bind(said.at)
        .bind(&said.by)
        .bind(BUYER)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE agreements SET due_at = $1")
        .bind(said.at)
        .execute(app.db())
        .await
        .unwrap();
    app.come_to_rest().await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(HOUR * 72).await;
    assert_eq!(app.summary(&request).await, "revoked");
    let mut conn = app.db().acquire().await.unwrap();
    let id: portcullis::domain::ids::ConnectionId = request.id.parse().unwrap();
    let left = agreement_bindings::of_connections(&mut conn, &[id])
        .await
        .unwrap();
    assert!(left.is_empty());
}

/// More than the worker looks at together, all older, and nobody pays for them: their account has two licences and has not said which.
#[sqlx::test(migrations = "./migrations")]
async fn who_has_to_be_asked_hides_nobody_behind(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| {
            content["plans"][0]["bind_rule"] = json!("ask");
            content["services"][0]["acceptance"] = json!("manual");
        })
        .await;
    let other = "444455557777";
    let terms = || Terms::lasting(app.clock.now(), None);
    for buyer in [CONSUMER, CONSUMER, other] {
        app.agree(&listing, &[buyer], terms()).await;
    }
    app.come_to_rest().await;
    let mut all = app.crowd(&service, 205).await;
    app.advance(Duration::from_secs(1));
    all.push(app.endpoint(other, &service).await);
    let ids: Vec<&str> = all.iter().map(|request| request.id.as_str()).collect();
    let done = app.bulk(Who::Approver, "accept", &ids, true).await;
    assert_eq!(done["results"].as_array().unwrap().len(), 206);
    let report = portcullis::worker::agreements::run_pass(&app.shared)
        .await
        .unwrap();
    assert_eq!(report.looked_at, 3);
    let paid = "SELECT count(*) FROM agreement_bindings AS b JOIN connections AS c ON c.id = b.connection_id WHERE c.owner_account = '444455557777'";
    assert_eq!(app.count(paid).await, 1);
}
