//! Principals that agreements bring, beside people who take them out and listings that are suspended.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{TestApp, Who};

/// An account of the allow-list: its connection is the test that publishing asks for.
const BUYER: &str = "444455556666";
const HOUR: Duration = Duration::from_hours(1);

#[sqlx::test(migrations = "./migrations")]
async fn what_a_person_takes_out_stays_out_until_somebody_grants_it_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let deal = app
        .agree(&listing, &[BUYER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await.len(), 1);
    let out = json!({ "allowed_principals": [], "confirm_principals_of_agreements": true });
    app.change(&service, &out).await;
    for _ in 0..3 {
        app.later(HOUR).await;
        assert!(app.let_in(&service).await.is_empty(), "it came back");
    }
    let path = format!("/v1/agreements/{}/grant", deal.agreement.id);
    let body = json!({ "reason": "that was a mistake" });
    app.post(Who::Admin, &path, &body).await.good();
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await.len(), 1);
}

/// A suspended listing adds nobody, so the renewal cannot have the principal for itself; nobody may be cut for that.
#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_under_a_suspended_listing_keeps_whom_it_lets_in(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(1);
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(ends, None))
        .await;
    app.told_as_of(&mut old, Told::Replaced, ends).await;
    app.steps(&listing, &["suspend"]).await;
    app.come_to_rest().await;
    for _ in 0..4 {
        app.later(HOUR * 25).await;
        assert_eq!(app.let_in(&service).await.len(), 1);
        assert_eq!(app.summary(&request).await, "available");
    }
    assert_eq!(app.state(&old).await, AgreementState::Superseded);
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    // Sold again, the renewal has it for itself, and it goes with the renewal.
    app.steps(&listing, &["resume"]).await;
    app.later(HOUR).await;
    let standing = "SELECT count(*) FROM agreement_grants WHERE ended_at IS NULL AND agreement_id = (SELECT id FROM agreements WHERE replaces IS NOT NULL)";
    assert_eq!(app.count(standing).await, 1);
    assert_eq!(app.let_in(&service).await.len(), 1);
}
