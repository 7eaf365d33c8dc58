//! Who bought may connect, for as long as they have a right to it: principals follow agreements, endpoints are accepted by them, and what has no right any more is cut
//! when its grace is over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use portcullis::domain::listing::{EndCause, Quotas};
use portcullis::worker::expire;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{CONSUMER, TestApp, Who};

const BUYER: &str = "210987654321";
const SISTER: &str = "210987654322";
const HOUR: Duration = Duration::from_hours(1);

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

fn at_most(connections: u32) -> Quotas {
    Quotas {
        max_connections: Some(connections),
        ..Quotas::default()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_bought_is_let_in_and_goes_gently_when_it_ends(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(30);
    let mut deal = app
        .agree(&listing, &[BUYER, SISTER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(BUYER), root(SISTER)]);
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(deal.agreement.id.uuid()));

    // It ends: nobody new comes in, the principals go, what is connected has its grace.
    let other = app.endpoint(SISTER, &service).await;
    assert_eq!(app.summary(&other).await, "available");
    app.later(HOUR * 24 * 30).await;
    assert_eq!(app.state(&deal).await, AgreementState::Grace);
    assert_eq!(app.let_in(&service).await, Vec::<String>::new());
    assert_eq!(app.summary(&request).await, "available");
    let grace = app.read(&deal).await.grace_until.unwrap();
    assert_eq!(grace, ends + TimeDelta::hours(72));
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending'";
    assert!(app.count(told).await >= 1, "the consumer is told");

    app.later(HOUR * 71).await;
    assert_eq!(
        app.summary(&request).await,
        "available",
        "not before its grace"
    );
    app.later(HOUR).await;
    assert_eq!(app.state(&deal).await, AgreementState::Ended);
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.summary(&other).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, None);
    let left = "SELECT count(*) FROM agreement_grants WHERE ended_at IS NULL";
    assert_eq!(app.count(left).await, 0);
    assert_eq!(app.read(&deal).await.due_at, None, "nothing is left to do");

    // A late word of its making lifts nothing, and an endpoint that comes now is not let in.
    app.told_as_of(&mut deal, Told::Cleared, now).await;
    app.come_to_rest().await;
    assert_eq!(app.state(&deal).await, AgreementState::Ended);
    let steps = app.steps_of(&deal).await;
    let first = |action: &str| steps.iter().position(|step| step == action);
    let order = [
        "agreement.change_state",
        "agreement.grant",
        "agreement.bind",
        "agreement.revoke_principal",
        "agreement.plan_cuts",
        "agreement.unbind",
    ];
    let places: Vec<Option<usize>> = order.iter().map(|action| first(action)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{steps:?}"
    );
    // Its timeline tells of the connections too, until AWS shows that they are rejected.
    let path = format!("/v1/agreements/{}/timeline?limit=200", deal.agreement.id);
    let timeline = app.get(Who::Viewer, &path).await.good();
    let shown: Vec<String> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| {
            let (of, after) = (&it["details"]["connection_id"], &it["details"]["after"]);
            *of == request.id.as_str() || after["connection_id"] == request.id.as_str()
        })
        .map(|it| match it["kind"].as_str() {
            Some("observed") => format!("observed {}", it["details"]["after"]),
            _ => it["what"].as_str().unwrap().to_owned(),
        })
        .collect();
    let order = [
        "connection.accept",
        "observed \"available\"",
        "connection.notify",
        "connection.revoke",
        "observed \"rejected\"",
    ];
    let places: Vec<Option<usize>> = order
        .iter()
        .map(|wanted| shown.iter().position(|it| it == wanted))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{shown:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_endpoint_may_come_before_the_agreement(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    // AWS let it ask, and nobody has bought: the buyer may be in the middle of it.
    sqlx::query("UPDATE endpoint_services SET allowed_principals = array[$1], version = version + 1, sync_state = 'due', sync_due_at = now()")
        .bind(root(BUYER))
        .execute(app.db())
        .await
        .unwrap();
    app.run_until_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.summary(&request).await, "waiting");
    let now = app.clock.now();
    let mut deal = app
        .agree(
            &listing,
            &[BUYER],
            Terms::lasting(now + TimeDelta::hours(2), None),
        )
        .await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&request).await, "waiting", "it has not begun");
    app.later(HOUR * 2).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(deal.agreement.id.uuid()));
    // The principal was there before, by somebody else's word: it stays when the agreement goes.
    app.told(&mut deal, Told::Ended(EndCause::Terminated)).await;
    app.later(HOUR).await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.let_in(&service).await, [root(BUYER)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_cuts_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(30);
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(ends, None))
        .await;
    app.told_as_of(&mut old, Told::Replaced, ends).await;
    app.come_to_rest().await;
    assert_eq!(app.state(&new).await, AgreementState::Pending);
    assert_eq!(app.payer(&request).await, Some(old.agreement.id.uuid()));
    app.later(HOUR * 24 * 30).await;
    assert_eq!(app.state(&old).await, AgreementState::Superseded);
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    for _ in 0..5 {
        app.later(HOUR * 24).await;
        assert_eq!(app.summary(&request).await, "available");
        assert_eq!(app.let_in(&service).await, [root(BUYER)]);
    }
    assert_eq!(
        app.count("SELECT count(*) FROM planned_revocations").await,
        0
    );
    // Whoever pays is never two, and there is no time between them.
    let gaps = "SELECT count(*) FROM agreement_bindings AS a JOIN agreement_bindings AS b ON b.connection_id = a.connection_id AND b.since > a.since
                 WHERE a.ended_at IS DISTINCT FROM b.since";
    assert_eq!(app.count(gaps).await, 0);
    let ended: DateTime<Utc> =
        sqlx::query_scalar("SELECT ended_at FROM agreement_bindings WHERE ended_at IS NOT NULL")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(ended, ends, "the old one pays until its end");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_lower_quota_cuts_the_newest_after_its_grace(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = |connections| Terms {
        quotas: at_most(connections),
        ..Terms::lasting(now, None)
    };
    let mut deal = app.agree(&listing, &[BUYER], terms(2)).await;
    app.come_to_rest().await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        app.advance(Duration::from_mins(1));
        requests.push(app.endpoint(BUYER, &service).await);
    }
    let mut summaries = Vec::new();
    for request in &requests {
        summaries.push(app.summary(request).await);
    }
    assert_eq!(summaries, ["available", "available", "waiting"]);
    app.told(&mut deal, Told::Made(terms(1))).await;
    app.come_to_rest().await;
    let over = app
        .read(&deal)
        .await
        .over_quota
        .expect("too much is connected");
    assert_eq!(over.until - over.since, TimeDelta::hours(24));
    assert_eq!(app.summary(&requests[1]).await, "available");
    // More is granted again in time: nothing is cut. Then less, and nobody grants it back.
    app.told(&mut deal, Told::Made(terms(2))).await;
    app.later(HOUR * 30).await;
    assert_eq!(app.read(&deal).await.over_quota, None);
    assert_eq!(app.summary(&requests[1]).await, "available");
    app.told(&mut deal, Told::Made(terms(1))).await;
    app.come_to_rest().await;
    app.later(HOUR * 24).await;
    assert_eq!(
        app.summary(&requests[0]).await,
        "available",
        "the oldest stays"
    );
    assert_eq!(app.summary(&requests[1]).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.read(&deal).await.over_quota, None);
    let steps = app.steps_of(&deal).await;
    for step in [
        "agreement.over_quota",
        "agreement.within_quota",
        "agreement.withdraw_cuts",
    ] {
        assert!(steps.iter().any(|one| one == step), "{step} {steps:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_revived_in_its_grace_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let mut deal = app
        .agree(
            &listing,
            &[BUYER],
            Terms::lasting(now, Some(now + TimeDelta::days(1))),
        )
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.later(HOUR * 24).await;
    assert_eq!(app.state(&deal).await, AgreementState::Grace);
    // It is prolonged a moment before the end of its grace, and nobody has looked at it since when the timers run.
    app.advance(Duration::from_secs(72 * 3600 - 1));
    app.told(&mut deal, Told::Made(Terms::lasting(now, None)))
        .await;
    app.advance(Duration::from_secs(2));
    let place = app.place().await;
    let timed = expire::run_pass(&place).await.unwrap();
    assert_eq!(timed.taken, []);
    app.come_to_rest().await;
    assert_eq!(app.state(&deal).await, AgreementState::Active);
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(
        app.let_in(&service).await,
        [root(BUYER)],
        "it is let in again"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_suspended_listing_adds_nobody_and_a_person_decides_where_it_says_so(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["services"][0]["acceptance"] = json!("manual"))
        .await;
    let now = app.clock.now();
    let deal = app
        .agree(&listing, &[CONSUMER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(CONSUMER, &service).await;
    assert_eq!(app.summary(&request).await, "waiting");
    app.decide(&request, "accept").await;
    app.come_to_rest().await;
    assert_eq!(
        app.payer(&request).await,
        Some(deal.agreement.id.uuid()),
        "a person's word is paid for as well"
    );
    app.step(&listing, "suspend", &json!({ "reason": "to see" }))
        .await
        .good();
    let other = app
        .agree(&listing, &[SISTER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    assert_eq!(
        app.let_in(&service).await,
        [root(CONSUMER)],
        "none added, none removed"
    );
    app.step(&listing, "resume", &json!({})).await.good();
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(SISTER), root(CONSUMER)]);
    assert_eq!(app.state(&other).await, AgreementState::Active);
}
