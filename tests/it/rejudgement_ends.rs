//! A re-judgement that is given up, and one that is carried out: nothing is revoked by a word that was taken back, and each part is done once whoever does it.

use std::time::Duration;

use portcullis::app::rejudge::ask_within;
use portcullis::app::rejudge_step::{PART, Progress, step};
use portcullis::domain::actor::Actor;
use portcullis::domain::rejudgement::Scope;
use portcullis::domain::review_timer::TimerStep;
use portcullis::worker::rejudgements::run_pass;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::rejudgements::{HOUR, NOTHING, closed_to, id_of, kept_as, scene};
use crate::support::{CONSUMER, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn giving_up_takes_back_what_it_planned_and_nothing_else(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[OTHER]).await;
    let mut requests = Vec::new();
    for _ in 0..4 {
        requests.push(app.live(OTHER, &edge).await);
    }
    let [plain, replaced, moved, revoked] = &requests[..] else {
        panic!("four");
    };
    app.plan_by_hand(replaced, 50 * HOUR).await;
    let theirs = app.plan_of(replaced).await;
    app.in_force(None, &closed_to(OTHER)).await;
    let seen = app.previewed(&json!({})).await;
    app.try_to_apply(&seen, 10 * HOUR, 4).await.good();
    app.carry_on().await;
    assert_ne!(app.plan_of(replaced).await, theirs);
    app.plan_by_hand(moved, 20 * HOUR).await;
    let moved_to = app.plan_of(moved).await;
    app.decide(revoked, "revoke").await;

    let cancelled = app.try_to_give_up(&seen).await.good();
    assert_eq!(cancelled["state"], "cancelling");
    let twice = app.try_to_give_up(&seen).await;
    twice.refused("twice", 409, "rejudgement_cancelled");
    app.carry_on().await;
    let after = app.rejudgement(&seen).await;
    assert_eq!(after["state"], "cancelled");
    assert_eq!(after["cancelled"]["taken_back"], 2);
    assert_eq!(app.plan_of(plain).await, NOTHING);
    assert_eq!(app.plan_of(replaced).await, theirs, "it is there again");
    assert_eq!(app.plan_of(moved).await, moved_to, "it is somebody else's");
    for (request, state) in [
        (plain, "taken_back"),
        (replaced, "taken_back"),
        (moved, "planned"),
        (revoked, "planned"),
    ] {
        assert_eq!(app.fate(&seen, request).await.0, state);
    }
    let story = app.story(plain).await;
    assert!(
        story.iter().any(|step| step == "revocation_cancelled"),
        "{story:?}"
    );
    app.run_until_rest().await;
    assert_eq!(app.pass_time(11 * HOUR).await, []);
    assert_eq!(app.pass_time(10 * HOUR).await, [TimerStep::RevokeScheduled]);
    assert_eq!(app.summary(plain).await, "available");
    let late = app.try_to_apply(&seen, HOUR, 4).await;
    late.refused("after the end", 409, "rejudgement_not_previewed");
    assert_eq!(
        app.actions_about("rejudgement").await,
        ["rejudgement.apply", "rejudgement.ask", "rejudgement.cancel"]
    );
}

/// A word that was taken back revokes nothing: neither when another plan gives the place back, nor when the timer comes before the loop.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_taken_back_revokes_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[OTHER]).await;
    let live = app.live(OTHER, &edge).await;
    app.in_force(None, &closed_to(OTHER)).await;
    let later = app.previewed(&json!({})).await;
    app.try_to_apply(&later, 20 * HOUR, 1).await.good();
    app.carry_on().await;
    let sooner = app.previewed(&json!({})).await;
    app.try_to_apply(&sooner, 10 * HOUR, 1).await.good();
    app.carry_on().await;
    for seen in [&later, &sooner] {
        app.try_to_give_up(seen).await.good();
        app.carry_on().await;
    }
    assert_eq!(app.pass_time(21 * HOUR).await, []);
    assert_eq!(app.plan_of(&live).await, NOTHING);
    assert_eq!(app.summary(&live).await, "available");

    let third = app.previewed(&json!({})).await;
    app.try_to_apply(&third, HOUR, 1).await.good();
    app.carry_on().await;
    app.try_to_give_up(&third).await.good();
    assert_eq!(app.pass_time(2 * HOUR).await, []);
    app.carry_on().await;
    assert_eq!(app.rejudgement(&third).await["state"], "cancelled");
    assert_eq!(app.summary(&live).await, "available");
}

/// Before anything was planned there is nothing to take back, and nothing is planned any more.
#[sqlx::test(migrations = "./migrations")]
async fn giving_up_early_is_the_end(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let unseen = app.try_to_rejudge(&json!({})).await.good();
    let cancelled = app.try_to_give_up(&unseen).await.good();
    assert_eq!(cancelled["state"], "cancelled");
    let previewed = app.previewed(&json!({})).await;
    let cancelled = app.try_to_give_up(&previewed).await.good();
    assert_eq!(cancelled["state"], "cancelled");
    let applied = app.previewed(&json!({})).await;
    app.try_to_apply(&applied, HOUR, 2).await.good();
    app.try_to_give_up(&applied).await.good();
    app.carry_on().await;
    let seen = app.rejudgement(&unseen).await;
    assert_eq!(
        (&seen["judged"], &seen["state"]),
        (&json!(0), &json!("cancelled"))
    );
    let seen = app.rejudgement(&applied).await;
    assert_eq!(seen["state"], "cancelled");
    assert_eq!(seen["applied"]["planned"], 0);
    assert_eq!(app.fate(&applied, &scene.unpaid).await.0, "found");
    assert_eq!(app.plan_of(&scene.unpaid).await, NOTHING);
}

/// Does steps until a state is reached: some are dropped at one of their moments of waiting, then two are done at once.
async fn whoever_comes(app: &TestApp, of: &Value, state: &str) {
    let id = id_of(of);
    for _ in 0..200 {
        for moments in [1, 4, 9, 30, 90] {
            let dropped = tokio::spawn({
                let ctx = app.application();
                async move { step(&ctx, id).await }
            });
            for _ in 0..moments {
                tokio::task::yield_now().await;
            }
            dropped.abort();
            let _ = dropped.await;
        }
        let ctx = app.application();
        let (one, two) = tokio::join!(step(&ctx, id), step(&ctx, id));
        one.unwrap();
        two.unwrap();
        if app.rejudgement(of).await["state"] == state {
            assert_eq!(step(&ctx, id).await.unwrap(), Progress::Rest);
            return;
        }
    }
    panic!("it does not come to {state}");
}

/// A step is a transaction. Whoever dies between two of them, or in one, leaves rows that the next one goes on with: nothing twice, nothing left.
#[sqlx::test(migrations = "./migrations")]
async fn it_is_carried_out_in_parts_by_whoever_comes(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.live(CONSUMER, &service).await;
    app.multiply_live(1_200).await;
    app.in_force(None, &closed_to(CONSUMER)).await;
    let many = app.try_to_rejudge(&json!({})).await.good();
    whoever_comes(&app, &many, "previewed").await;
    let seen = app.rejudgement(&many).await;
    assert_eq!(
        (&seen["judged"], &seen["losing_access"]),
        (&json!(1_201), &json!(1_201))
    );
    assert_eq!(seen["samples"].as_array().unwrap().len(), 20);
    let found = "SELECT count(*) FROM rejudgement_connections";
    assert_eq!(app.count(found).await, 1_201);

    // Fewer, for the parts are smaller.
    sqlx::query("UPDATE connections SET review_state = 'undecided', decision_id = NULL WHERE endpoint_id > 'vpce-00000000000000080' AND endpoint_id LIKE 'vpce-0000000%'")
        .execute(app.db())
        .await
        .unwrap();
    let some = app.try_to_rejudge(&json!({})).await.good();
    whoever_comes(&app, &some, "previewed").await;
    let count = app.rejudgement(&some).await["losing_access"]
        .as_i64()
        .unwrap();
    assert!(count > 2 * PART && count < 1_000, "{count}");
    app.try_to_apply(&some, HOUR, count).await.good();
    whoever_comes(&app, &some, "applied").await;
    let seen = app.rejudgement(&some).await;
    assert_eq!(seen["applied"]["planned"], count);
    let steps =
        "SELECT count(*) FROM audit_entries WHERE action = 'connection.schedule_revocation'";
    assert_eq!(app.count(steps).await, count);
    let connections = "SELECT count(DISTINCT subject_id) FROM audit_entries WHERE action = 'connection.schedule_revocation'";
    assert_eq!(app.count(connections).await, count);
    let plans = "SELECT count(*) FROM planned_revocations";
    assert_eq!(app.count(plans).await, count);
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM planned_revocations GROUP BY xmin::text) AS parts";
    assert!(app.count(most).await <= PART);

    app.try_to_give_up(&some).await.good();
    whoever_comes(&app, &some, "cancelled").await;
    let seen = app.rejudgement(&some).await;
    assert_eq!(seen["cancelled"]["taken_back"], count);
    assert_eq!(app.count(plans).await, 0);
    let steps = "SELECT count(*) FROM audit_entries WHERE action = 'connection.cancel_revocation'";
    assert_eq!(app.count(steps).await, count);
}

/// Two workers begin with the same part: one does it, and the other finds it done.
#[sqlx::test(migrations = "./migrations")]
async fn two_workers_do_each_part_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.live(CONSUMER, &service).await;
    app.multiply_live(i32::try_from(PART).unwrap() + 9).await;
    let all = PART + 10;
    app.in_force(None, &closed_to(CONSUMER)).await;
    let seen = app.previewed(&json!({})).await;
    app.try_to_apply(&seen, HOUR, all).await.good();
    let held = app.hold_account(CONSUMER).await;
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (ctx, id) = (app.application(), id_of(&seen));
            tokio::spawn(async move { step(&ctx, id).await.unwrap() })
        })
        .collect();
    app.queue_of(2).await;
    held.commit().await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    let after = app.rejudgement(&seen).await;
    assert_eq!(after["applied"]["planned"], PART, "the part, once");
    app.carry_on().await;
    let after = app.rejudgement(&seen).await;
    assert_eq!(after["applied"]["planned"], all);
    let steps =
        "SELECT count(*) FROM audit_entries WHERE action = 'connection.schedule_revocation'";
    assert_eq!(app.count(steps).await, all);
}

/// Somebody revokes while a worker waits for the account: what the worker then finds counts.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_decided_before_the_lock_counts(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({ "service_id": scene.edge.id })).await;
    app.try_to_apply(&seen, HOUR, 1).await.good();
    let held = app.hold_account(OTHER).await;
    let worker = {
        let (ctx, id) = (app.application(), id_of(&seen));
        tokio::spawn(async move { step(&ctx, id).await.unwrap() })
    };
    app.queue_of(1).await;
    app.decide(&scene.unpaid, "revoke").await;
    held.commit().await.unwrap();
    worker.await.unwrap();
    app.carry_on().await;
    assert_eq!(app.fate(&seen, &scene.unpaid).await, kept_as("not_live"));
    assert_eq!(app.rejudgement(&seen).await["state"], "applied");
}

/// What ends something that connections were accepted by asks for one itself: with its own transaction it stands or falls.
#[sqlx::test(migrations = "./migrations")]
async fn a_use_case_asks_for_one_in_its_own_transaction(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let ctx = app.application();
    let scope = Scope::Consumer(scene.acme.parse().unwrap());
    for stands in [false, true] {
        let mut tx = app.db().begin().await.unwrap();
        let why = "the agreement ended";
        ask_within(&mut tx, &ctx, &Actor::worker(), &scope, why)
            .await
            .unwrap();
        if stands {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let listed = app.ids("/v1/rejudgements").await;
        assert_eq!(listed.len(), usize::from(stands));
    }
    app.carry_on().await;
    let listed = app.get(Who::Viewer, "/v1/rejudgements").await.good();
    let row = &listed["items"][0];
    assert_eq!(row["asked"]["by"], "worker");
    assert_eq!(row["asked"]["reason"], "the agreement ended");
    assert_eq!(
        (&row["state"], &row["losing_access"]),
        (&json!("previewed"), &json!(2))
    );
}

/// A text that does not compile, whoever brought it into the database, takes access from nobody.
#[sqlx::test(migrations = "./migrations")]
async fn a_broken_policy_takes_access_from_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({})).await;
    app.try_to_apply(&seen, Duration::ZERO, 2).await.good();
    sqlx::query("ALTER TABLE policies DISABLE TRIGGER policies_kept")
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE policies SET text = 'forbid everybody', digest = repeat('0', 64) WHERE state = 'active'")
        .execute(app.db())
        .await
        .unwrap();
    assert!(run_pass(&app.shared).await.is_err());
    assert_eq!(app.rejudgement(&seen).await["state"], "applying");
    assert_eq!(app.plan_of(&scene.unpaid).await, NOTHING);
    // And it does not keep another one waiting.
    let other = app
        .try_to_rejudge(&json!({ "account_id": "999988887777" }))
        .await
        .good();
    assert!(run_pass(&app.shared).await.is_err());
    assert_eq!(app.rejudgement(&other).await["state"], "previewed");
    app.in_force(None, &closed_to(OTHER)).await;
    app.carry_on().await;
    assert_eq!(app.rejudgement(&seen).await["state"], "applied");
}
