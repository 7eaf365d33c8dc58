//! Who buys, and who takes the last seat, at one moment: different buyers do not wait for each other, and of two that exclude each other one comes through.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::Terms;
use portcullis::domain::clock::Clock;
use portcullis::domain::listing::Quotas;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{Shop, path, with};
use crate::support::{Answer, TestApp, Who};

const BUYER: &str = "210987654321";
const SISTER: &str = "210987654322";

/// A shop where everybody buys.
async fn open_shop(app: &TestApp) -> Shop {
    let shop = app.shop().await;
    sqlx::query("UPDATE listings SET state = 'public'")
        .execute(app.db())
        .await
        .unwrap();
    shop
}

fn by(order: Value, buyer: &str) -> Value {
    with(order, &json!({ "buyer_account": buyer }))
}

/// Of two answers one is good, and the other one is refused so.
#[track_caller]
fn one_of(answers: [Answer; 2], code: &str, round: usize) {
    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status < 300);
    assert_eq!(good.len(), 1, "round {round}: {refused:?}");
    refused[0].refused(&format!("round {round}"), 409, code);
}

/// One purchase is held open: it waits for somebody who writes its reference. Meanwhile others buy, and whoever would suspend the listing waits for it.
#[sqlx::test(migrations = "./migrations")]
async fn different_buyers_do_not_wait_for_each_other(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = open_shop(&app).await;
    app.buy(&by(shop.year(), BUYER)).await;
    let mut held = app.db().begin().await.unwrap();
    sqlx::query(
        "INSERT INTO agreements (id, source, reference, listing_id, plan_id, revision, buyer_account, state, made_at, made_by, stood_at)
         SELECT gen_random_uuid(), source, 'held', listing_id, plan_id, revision, buyer_account, 'pending', made_at, made_by, stood_at FROM agreements LIMIT 1",
    )
    .execute(&mut *held)
    .await
    .unwrap();
    let order = with(by(shop.year(), SISTER), &json!({ "reference": "held" }));
    let first = async { app.try_to_buy(&order).await };
    let suspend = json!({ "reason": "to see" });
    let others = async {
        app.queue_of(1).await;
        for buyer in ["210987654323", "210987654324"] {
            app.buy(&by(shop.year(), buyer)).await;
        }
        let step = async { app.step(&shop.listing, "suspend", &suspend).await };
        let end = async {
            app.queue_of(2).await;
            held.rollback().await.unwrap();
        };
        tokio::join!(step, end).0
    };
    let (first, step) = tokio::join!(first, others);
    assert_eq!(first.status, 201, "{}", first.text);
    step.good();
    let late = app.try_to_buy(&by(shop.year(), "210987654325")).await;
    late.refused("it is suspended", 409, "listing_not_selling");
}

/// Eight clients buy one after the other, each for others; somebody suspends the listing in the middle, and does not wait until they are done.
#[sqlx::test(migrations = "./migrations")]
async fn many_buy_at_once_and_a_step_comes_in_between(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = open_shop(&app).await;
    let client = async |client: u64| {
        let mut made = 0;
        for number in 0..12 {
            let buyer = (300_000_000_000 + client * 1_000 + number).to_string();
            let answer = app.try_to_buy(&by(shop.by_use(), &buyer)).await;
            if answer.status == 201 {
                made += 1;
            } else {
                answer.refused(&buyer, 409, "listing_not_selling");
            }
        }
        made
    };
    let suspend = async {
        let bought = "SELECT count(*) FROM agreements";
        while app.count(bought).await < 16 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let why = json!({ "reason": "to see" });
        app.step(&shop.listing, "suspend", &why).await.good();
    };
    let clients = async {
        let all = tokio::join!(
            client(0),
            client(1),
            client(2),
            client(3),
            client(4),
            client(5),
            client(6),
            client(7)
        );
        [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7]
            .iter()
            .sum::<i64>()
    };
    let (made, ()) = tokio::join!(clients, suspend);
    assert_eq!(app.count("SELECT count(*) FROM agreements").await, made);
    assert!((16..96).contains(&made), "{made} of 96 were made");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_that_overlap_one_is_made(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = open_shop(&app).await;
    for round in 0..12 {
        let now = app.clock.now();
        let days = |count: i64| now + TimeDelta::days(count);
        let account = |kind: usize| (400_000_000_000 + kind * 1_000 + round).to_string();
        // Two purchases.
        let buyer = account(1);
        let (year, use_) = (by(shop.year(), &buyer), by(shop.by_use(), &buyer));
        let both = tokio::join!(app.try_to_buy(&year), app.try_to_buy(&use_));
        one_of(both.into(), "agreement_overlaps", round);
        // A purchase, and somebody attaches the account to another's.
        let (host, guest) = (account(2), account(3));
        let hosts = app.buy(&by(shop.by_use(), &host)).await;
        let attach = json!({ "account_id": guest, "proof": "operator_vouched", "reason": "named" });
        let accounts = format!("{}/accounts", path(&hosts));
        let own = by(shop.by_use(), &guest);
        let both = tokio::join!(
            app.post(Who::Admin, &accounts, &attach),
            app.try_to_buy(&own)
        );
        one_of(both.into(), "agreement_overlaps", round);
        // A purchase behind an agreement, and an amendment that has that last longer.
        let buyer = account(4);
        let ending = with(by(shop.by_use(), &buyer), &json!({ "ends_at": days(30) }));
        let ending = app.buy(&ending).await;
        let longer = json!({ "ends_at": days(60) });
        let behind = with(by(shop.by_use(), &buyer), &json!({ "starts_at": days(40) }));
        let both = tokio::join!(app.act(&ending, "amend", &longer), app.try_to_buy(&behind));
        one_of(both.into(), "agreement_overlaps", round);
        // Two trials, at different times.
        let trial = by(shop.trial(), &account(5));
        let later = with(trial.clone(), &json!({ "starts_at": days(40) }));
        let both = tokio::join!(app.try_to_buy(&trial), app.try_to_buy(&later));
        one_of(both.into(), "trial_taken", round);
        // Two that take the place of one.
        let same = json!({});
        let old = app.buy(&by(shop.by_use(), &account(6))).await;
        let both = tokio::join!(app.act(&old, "renew", &same), app.act(&old, "renew", &same));
        let (good, refused): (Vec<_>, Vec<_>) = <[Answer; 2]>::from(both)
            .into_iter()
            .partition(|it| it.status == 201);
        assert_eq!(good.len(), 1, "round {round}");
        assert_eq!(refused[0].status, 409, "round {round}: {}", refused[0].text);
    }
}

/// Two persons accept connections of two accounts at one moment, and the agreement that would pay for both has one seat.
#[sqlx::test(migrations = "./migrations")]
async fn the_last_seat_is_taken_by_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["services"][0]["acceptance"] = json!("manual"))
        .await;
    let mut terms = Terms::lasting(app.clock.now(), None);
    terms.quotas = Quotas {
        max_connections: Some(1),
        ..Quotas::default()
    };
    let deal = app.agree(&listing, &[BUYER, SISTER], terms).await;
    app.come_to_rest().await;
    for round in 0..8 {
        let requests = [
            app.endpoint(BUYER, &service).await,
            app.endpoint(SISTER, &service).await,
        ];
        let mut held = app.db().begin().await.unwrap();
        sqlx::query("SELECT FROM agreements WHERE id = $1 FOR UPDATE")
            .bind(deal.agreement.id.uuid())
            .execute(&mut *held)
            .await
            .unwrap();
        let accept = |one: usize| app.try_to_decide(Who::Approver, &requests[one], "accept");
        let release = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (first, second, ()) = tokio::join!(accept(0), accept(1), release);
        let mut taken = Vec::new();
        for (answer, request) in [first, second].into_iter().zip(&requests) {
            if answer.status == 200 {
                taken.push(request);
                continue;
            }
            answer.refused("the other", 409, "quota_exceeded");
            let id = deal.agreement.id.to_string();
            assert!(answer.text.contains(&id), "{}", answer.text);
        }
        assert_eq!(taken.len(), 1, "round {round}");
        // Nobody has to look at it before the seat is taken.
        assert_eq!(
            app.payer(taken[0]).await,
            Some(deal.agreement.id.uuid()),
            "round {round}"
        );
        for request in &requests {
            let verb = if request.id == taken[0].id {
                "revoke"
            } else {
                "reject"
            };
            app.decide(request, verb).await;
        }
        app.come_to_rest().await;
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_goes_beyond_an_agreement_by_saying_so(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["services"][0]["acceptance"] = json!("manual"))
        .await;
    let mut terms = Terms::lasting(app.clock.now(), None);
    terms.quotas.max_connections = Some(1);
    let deal = app.agree(&listing, &[BUYER], terms).await;
    app.come_to_rest().await;
    let first = app.endpoint(BUYER, &service).await;
    let second = app.endpoint(BUYER, &service).await;
    let third = app.endpoint(BUYER, &service).await;
    app.decide(&first, "accept").await;
    let bulk = json!({ "verb": "accept", "reason": "all of them", "items": [{ "id": second.id }, { "id": third.id }] });
    let bulk = app
        .post(Who::Approver, "/v1/connections/bulk-decisions", &bulk)
        .await;
    assert!(
        bulk.text.matches("quota_exceeded").count() == 2,
        "{}",
        bulk.text
    );
    let refused = app.try_to_decide(Who::Approver, &second, "accept").await;
    refused.refused("one seat", 409, "quota_exceeded");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains(&format!(
            "{} would have 2 connections of 1",
            deal.agreement.id
        )),
        "{detail}"
    );
    let accept = format!("/v1/connections/{}/accept", second.id);
    let meant = json!({ "reason": "they will upgrade", "over_quota": true });
    app.post(Who::Approver, &accept, &meant).await.good();
    let after: Value = sqlx::query_scalar(
        "SELECT after FROM audit_entries WHERE action = 'connection.accept' ORDER BY id DESC LIMIT 1",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    let beyond = json!([{ "figure": "connections", "limit": 1, "used": 2, "agreement_id": deal.agreement.id }]);
    assert_eq!(after["over_quota"], beyond);
}
