//! Whoever an agreement does not let in any more: somebody else of theirs pays, or access ends after a grace. Nobody is cut who has a right, and nobody stays who has none.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use portcullis::domain::listing::EndCause;
use serde_json::json;
use sqlx::PgPool;

use crate::support::TestApp;

const BUYER: &str = "210987654321";
const SISTER: &str = "310987654321";
const HOUR: Duration = Duration::from_hours(1);
const ENDING: &str = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending'";
const PLANNED: &str = "SELECT count(*) FROM planned_revocations";

/// The trail has no room for a time before it began; a binding may begin then.
#[sqlx::test(migrations = "./migrations")]
async fn a_replacement_may_have_begun_long_ago(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let long_ago = now - TimeDelta::days(200);
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(long_ago, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    let since = now - TimeDelta::days(150);
    let mut new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(since, None))
        .await;
    app.told_as_of(&mut old, Told::Replaced, since).await;
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    assert_eq!(
        app.count("SELECT count(*) FROM agreements WHERE failures > 0")
            .await,
        0
    );
    let noted = "SELECT count(*) FROM audit_entries WHERE action = 'agreement.bind' AND at < now() - interval '100 days'";
    assert_eq!(app.count(noted).await, 0, "the trail is written as of now");
    app.told(&mut new, Told::Ended(EndCause::Terminated)).await;
    app.later(HOUR * 2).await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert!(app.let_in(&service).await.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_buys_again_in_the_grace_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(app.clock.now(), None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.told(&mut old, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 1);
    app.later(HOUR * 20).await;
    let new = app
        .agree(&listing, &[BUYER], Terms::lasting(app.clock.now(), None))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    assert_eq!(app.count(PLANNED).await, 0);
    app.later(HOUR * 48).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.state(&old).await, AgreementState::Ended);
}

/// The worker finds the old one ended and the new one bought in one pass.
#[sqlx::test(migrations = "./migrations")]
async fn whoever_buys_again_at_the_last_moment_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(app.clock.now(), None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.told(&mut old, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    app.later(HOUR * 23).await;
    app.advance(Duration::from_secs(3_599));
    let terms = Terms::lasting(app.clock.now(), None);
    let new = app.agree(&listing, &[BUYER], terms).await;
    app.advance(Duration::from_secs(2));
    while portcullis::worker::agreements::run_pass(&app.shared)
        .await
        .unwrap()
        .looked_at
        > 0
    {}
    assert_eq!(app.state(&old).await, AgreementState::Ended);
    assert_eq!(app.count(PLANNED).await, 0);
    app.later(HOUR * 48).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
}

/// A renewal that never came to be let in everybody; the one that came does not.
#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_that_never_came_to_be_keeps_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = || Terms::lasting(now, None);
    let mut old = app.agree(&listing, &[BUYER, SISTER], terms()).await;
    app.come_to_rest().await;
    let request = app.endpoint(SISTER, &service).await;
    let later = Terms::lasting(now + TimeDelta::days(1), None);
    let mut never = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER, SISTER], later)
        .await;
    app.told(&mut never, Told::RolledBack).await;
    app.come_to_rest().await;
    app.agree_in_place_of(Some(&old), &listing, &[BUYER], terms())
        .await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 1);
    app.later(HOUR * 24).await;
    assert_eq!(app.summary(&request).await, "revoked");
}

#[sqlx::test(migrations = "./migrations")]
async fn room_that_comes_free_is_for_whoever_is_left_behind(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| {
            content["plans"][0]["bind_rule"] = json!("oldest");
            content["plans"][0]["quotas"] = json!({ "max_connections": 1 });
        })
        .await;
    let terms = || Terms::lasting(app.clock.now(), None);
    let mut first = app.agree(&listing, &[BUYER], terms()).await;
    let second = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let left = app.endpoint(BUYER, &service).await;
    let full = app.endpoint(BUYER, &service).await;
    app.told(&mut first, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    assert_eq!(app.payer(&left).await, Some(first.agreement.id.uuid()));
    assert_eq!(app.count(PLANNED).await, 1);
    app.post(
        crate::support::Who::Approver,
        &format!("/v1/connections/{}/revoke", full.id),
        &json!({ "reason": "not needed" }),
    )
    .await
    .good();
    app.come_to_rest().await;
    assert_eq!(app.payer(&left).await, Some(second.agreement.id.uuid()));
    app.later(HOUR * 48).await;
    assert_eq!(app.summary(&left).await, "available");
}

/// Of two agreements one ends: what it paid for goes to the other as far as that has room, and the rest is cut.
#[sqlx::test(migrations = "./migrations")]
async fn what_one_of_two_paid_for_goes_to_the_other_while_there_is_room(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| {
            content["plans"][0]["bind_rule"] = json!("oldest");
            content["plans"][0]["quotas"] = json!({ "max_connections": 2 });
        })
        .await;
    let terms = || Terms::lasting(app.clock.now(), None);
    let mut first = app.agree(&listing, &[BUYER], terms()).await;
    let second = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(app.endpoint(BUYER, &service).await);
        app.advance(Duration::from_secs(1));
    }
    for (request, payer) in requests.iter().zip([&first, &first, &second]) {
        assert_eq!(app.payer(request).await, Some(payer.agreement.id.uuid()));
    }
    app.told(&mut first, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 1, "the other has room for one");
    app.later(HOUR * 25).await;
    let mut up = 0;
    for request in &requests {
        up += usize::from(app.summary(request).await == "available");
    }
    assert_eq!(up, 2);
    let over = "SELECT count(*) FROM agreements WHERE over_quota_since IS NOT NULL";
    assert_eq!(app.count(over).await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn whom_the_successor_does_not_let_in_is_cut_after_a_grace(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let terms = || Terms::lasting(app.clock.now(), None);
    let mut old = app.agree(&listing, &[BUYER, SISTER], terms()).await;
    app.come_to_rest().await;
    let goes_over = app.endpoint(BUYER, &service).await;
    let stays_behind = app.endpoint(SISTER, &service).await;
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], terms())
        .await;
    app.told(&mut old, Told::Replaced).await;
    app.come_to_rest().await;
    assert_eq!(app.payer(&goes_over).await, Some(new.agreement.id.uuid()));
    assert_eq!(app.count(ENDING).await, 1);
    assert_eq!(app.summary(&stays_behind).await, "available");
    app.later(HOUR * 23).await;
    assert_eq!(app.summary(&stays_behind).await, "available");
    app.later(HOUR).await;
    assert_eq!(app.summary(&stays_behind).await, "revoked");
    assert_eq!(app.summary(&goes_over).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_is_detached_keeps_access_for_a_grace_and_no_longer(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let deal = app
        .agree(&listing, &[BUYER, SISTER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(SISTER, &service).await;
    let detach = async |detached: bool| {
        let by = "UPDATE agreement_accounts SET detached_at = $1, detached_by = $2, detach_reason = $2 WHERE account_id = $3";
        let at = app.clock.now();
        sqlx::query(by)
            .bind(detached.then_some(at))
            .bind(detached.then_some("a test"))
            .bind(SISTER)
            .execute(app.db())
            .await
            .unwrap();
        sqlx::query("UPDATE agreements SET due_at = $1")
            .bind(at)
            .execute(app.db())
            .await
            .unwrap();
        app.come_to_rest().await;
    };
    detach(true).await;
    assert_eq!(app.let_in(&service).await.len(), 1, "the buyer");
    assert_eq!(app.count(ENDING).await, 1);
    app.later(HOUR).await;
    detach(false).await;
    assert_eq!(app.count(PLANNED).await, 0, "it was taken back");
    detach(true).await;
    app.later(HOUR * 23).await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(HOUR).await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.state(&deal).await, AgreementState::Active);
}

/// What cannot be looked at is tried again later and later, and cuts nothing meanwhile.
#[sqlx::test(migrations = "./migrations")]
async fn one_that_cannot_be_carried_out_waits_by_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::hours(1);
    let _good = app
        .agree(&listing, &[SISTER], Terms::lasting(now, None))
        .await;
    let bad = app
        .agree(&listing, &[BUYER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.later(HOUR).await;
    assert_eq!(app.state(&bad).await, AgreementState::Grace);
    // Something is told of both before the grace is over.
    sqlx::query("UPDATE agreements SET due_at = $1")
        .bind(app.clock.now())
        .execute(app.db())
        .await
        .unwrap();
    let broken = "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
         CREATE TRIGGER broken BEFORE UPDATE ON agreements FOR EACH ROW
             WHEN (NEW.buyer_account = '210987654321' AND NEW.failures = 0) EXECUTE FUNCTION break()";
    sqlx::raw_sql(broken).execute(app.db()).await.unwrap();
    app.advance(HOUR * 72);
    app.make_partitions().await;
    let run = || portcullis::worker::agreements::run_pass(&app.shared);
    let report = run().await.unwrap();
    assert_eq!((report.looked_at, report.failed), (1, 1));
    assert_eq!(run().await.unwrap().failed, 0, "it rests for two seconds");
    app.timers_run().await;
    assert_eq!(app.summary(&request).await, "available");
    for rest in [2, 4, 8] {
        app.advance(Duration::from_secs(rest));
        assert_eq!(run().await.unwrap().failed, 1, "after {rest} s");
    }
    assert_eq!(app.shared.metrics.agreements_failed.get(), 4);
    sqlx::raw_sql("DROP TRIGGER broken ON agreements")
        .execute(app.db())
        .await
        .unwrap();
    app.later(HOUR).await;
    assert_eq!(app.summary(&request).await, "revoked");
}
