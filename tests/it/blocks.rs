//! The kill switch: what it shows before, what it cuts off, that it is carried out whatever happens, and how far it can be taken back.

use std::time::Duration;

use portcullis::app::AppContext;
use portcullis::app::block_step::{self, Progress};
use portcullis::app::idempotency::Units;
use portcullis::domain::ids::BlockId;
use portcullis::worker::blocks;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::drifts::OTHER;
use crate::support::{Answer, CONSUMER, Request, Service, TestApp, Who};

const THIRD: &str = "222233334444";

impl TestApp {
    pub(crate) async fn block_preview(&self, of: &str) -> Value {
        let path = format!("/v1/{of}/block-preview");
        self.get(Who::Viewer, &path).await.good()
    }

    pub(crate) async fn try_to_block(&self, of: &str, confirm: &Value) -> Answer {
        let body = json!({ "reason": "credentials leaked", "confirm": confirm });
        self.post(Who::Admin, &format!("/v1/{of}/block"), &body)
            .await
    }

    /// Looks at the preview and blocks.
    pub(crate) async fn block(&self, of: &str) -> Value {
        let confirm = self.block_preview(of).await["confirm"].clone();
        self.try_to_block(of, &confirm).await.good()
    }

    pub(crate) async fn try_to_unblock(&self, of: &str) -> Answer {
        let body = json!({ "reason": "rotated" });
        self.post(Who::Admin, &format!("/v1/{of}/unblock"), &body)
            .await
    }

    /// The loop that carries blocks out, once, and everything that follows.
    pub(crate) async fn carry_out(&self) -> blocks::Report {
        let report = blocks::run_pass(&self.shared, true).await.unwrap();
        self.run_until_rest().await;
        report
    }

    pub(crate) async fn read_block(&self, block: &Value) -> Value {
        let path = format!("/v1/blocks/{}", block["id"].as_str().unwrap());
        self.get(Who::Viewer, &path).await.good()
    }

    /// What use cases are given.
    pub(crate) fn application(&self) -> AppContext {
        AppContext {
            pool: self.db().clone(),
            units: Units::of(self.db()),
            clock: self.shared.clock.clone(),
            nudge: self.shared.nudge.clone(),
            patience: chrono::TimeDelta::minutes(5),
            evidence_lasts: self.shared.settings.evidence_lasts(),
            reviews: self.shared.reviews,
            answers_kept: self.shared.answers_kept,
            shelf: self.shared.shelf.clone(),
            policies: self.shared.policies,
        }
    }
}

fn id_of(block: &Value) -> BlockId {
    block["id"].as_str().unwrap().parse().unwrap()
}

/// Acme with two accounts on two services, and a stranger on one of them.
struct Scene {
    acme: String,
    edge: Service,
    other: Service,
    available: Request,
    waiting: Request,
    elsewhere: Request,
    stranger: Request,
}

async fn scene(app: &TestApp) -> Scene {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER, THIRD]).await;
    let other = app.service_for("other", &[OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let available = app.requested_by(CONSUMER, &edge).await;
    let elsewhere = app.requested_by(OTHER, &other).await;
    let stranger = app.requested_by(THIRD, &edge).await;
    for request in [&available, &elsewhere, &stranger] {
        app.decide(request, "accept").await;
    }
    app.run_until_rest().await;
    let waiting = app.requested_by(OTHER, &edge).await;
    Scene {
        acme,
        edge,
        other,
        available,
        waiting,
        elsewhere,
        stranger,
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_blocked_consumer_is_cut_off_everywhere_and_nobody_else_is(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("consumers/{}", scene.acme);
    let preview = app.block_preview(&of).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 3, "principals": 3 })
    );
    let counts: Vec<(&str, &str, i64)> = preview["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let word = |member: &str| row[member].as_str().unwrap();
            (
                word("service_name"),
                word("state"),
                row["count"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("edge", "available", 1),
        ("edge", "pendingAcceptance", 1),
        ("other", "available", 1),
    ];
    assert_eq!(counts, expected);
    assert_eq!(
        preview["services"][0]["principals"],
        json!([root(CONSUMER), root(OTHER)])
    );

    let block = app.block(&of).await;
    assert_eq!(
        (&block["state"], &block["cut"]),
        (&json!("cutting"), &json!(0))
    );
    // Already now nothing is accepted any more.
    app.assert_denied(&scene.waiting, "blocked").await;
    app.carry_out().await;
    let block = app.read_block(&block).await;
    assert_eq!(
        (&block["state"], &block["cut"]),
        (&json!("standing"), &json!(3))
    );
    assert_eq!(app.summary(&scene.available).await, "revoked");
    assert_eq!(app.summary(&scene.elsewhere).await, "revoked");
    assert_eq!(app.summary(&scene.waiting).await, "rejected");
    assert_eq!(app.summary(&scene.stranger).await, "available");
    assert_eq!(app.allowed(&scene.edge).await, [root(THIRD)]);
    assert!(app.allowed(&scene.other).await.is_empty());

    let (actor, reason): (String, String) = sqlx::query_as(
        "SELECT actor, reason FROM decisions WHERE verb = 'revoke' ORDER BY id LIMIT 1",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(actor, "admin@provider.example");
    assert!(
        reason.contains("credentials leaked") && reason.contains("blk_"),
        "{reason}"
    );
    let told = "SELECT count(*) FROM audit_entries WHERE action IN ('block.add', 'block.cut', 'denial.add')";
    assert_eq!(app.count(told).await, 3);
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.change' AND reason LIKE 'blocked as blk_%'";
    assert_eq!(app.count(told).await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_a_block_took_comes_back_except_for_connections(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("consumers/{}", scene.acme);
    let block = app.block(&of).await;
    app.carry_out().await;
    let lifted = app.try_to_unblock(&of).await.good();
    assert_eq!(lifted["state"], "restoring");
    app.carry_out().await;
    let block = app.read_block(&block).await;
    assert_eq!(
        (&block["state"], &block["lifted"]["reason"]),
        (&json!("lifted"), &json!("rotated"))
    );
    let mut all = [root(CONSUMER), root(OTHER), root(THIRD)];
    all.sort();
    assert_eq!(app.allowed(&scene.edge).await, all);
    assert_eq!(app.allowed(&scene.other).await, [root(OTHER)]);
    assert_eq!(
        app.summary(&scene.available).await,
        "revoked",
        "AWS has no way back"
    );
    let denials = app.ids("/v1/denials?state=standing").await;
    assert!(denials.is_empty());
    let again = app.requested_by(CONSUMER, &scene.edge).await;
    app.decide(&again, "accept").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&again).await, "available");
    let twice = app.try_to_unblock(&of).await;
    twice.refused("twice", 409, "not_blocked");
    assert_eq!(
        app.actions_about("block").await,
        ["block.add", "block.cut", "block.lift", "block.restored"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_confirmed_has_to_be_what_would_be_done(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("consumers/{}", scene.acme);
    let confirm = app.block_preview(&of).await["confirm"].clone();
    let fresh = app.requested_by(CONSUMER, &scene.edge).await;
    let stale = app.try_to_block(&of, &confirm).await;
    stale.refused("one more since", 409, "preview_changed");
    let detail = stale.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("4 connections and 3 principals"),
        "{detail}"
    );
    assert!(
        app.ids("/v1/denials").await.is_empty(),
        "nothing is left of it"
    );
    app.decide(&fresh, "reject").await;
    app.try_to_block(&of, &confirm).await.good();
    let again = app.block_preview(&of).await["confirm"].clone();
    let twice = app.try_to_block(&of, &again).await;
    twice.refused("twice", 409, "already_blocked");

    let denial = app.ids("/v1/denials?state=standing").await.remove(0);
    let lifted = app.lift(Who::Admin, &denial).await;
    lifted.refused("its denial alone", 409, "denial_of_block");
    let out = app.try_to_detach(&scene.acme, CONSUMER).await;
    out.refused("an account out of it", 409, "consumer_denied");
    for (of, code) in [
        (
            "consumers/cns_00000000000000000000000000000000",
            "consumer_not_found",
        ),
        (
            "services/svc_00000000000000000000000000000000",
            "service_not_found",
        ),
    ] {
        let body = json!({ "connections": 0, "principals": 0 });
        app.try_to_block(of, &body).await.refused(of, 404, code);
        app.try_to_unblock(of).await.refused(of, 404, code);
        let path = format!("/v1/{of}/block-preview");
        app.get(Who::Viewer, &path).await.refused(of, 404, code);
    }
}

/// Two people throw the same switch at once: one is heard.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_who_block_one_is_heard(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("consumers/{}", scene.acme);
    let confirm = app.block_preview(&of).await["confirm"].clone();
    let (one, two) = tokio::join!(
        app.try_to_block(&of, &confirm),
        app.try_to_block(&of, &confirm)
    );
    let loser = if one.status == 200 { two } else { one };
    loser.refused("the second", 409, "already_blocked");
    assert_eq!(app.count("SELECT count(*) FROM blocks").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM denials").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_blocked_service_lets_nobody_in_and_keeps_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("services/{}", scene.edge.id);
    assert_eq!(
        app.block_preview(&of).await["confirm"],
        json!({ "connections": 3, "principals": 3 })
    );
    app.block(&of).await;
    let waiting = app
        .try_to_decide(Who::Admin, &scene.waiting, "accept")
        .await;
    waiting.refused("on the service", 409, "account_denied");
    app.carry_out().await;
    for (request, end) in [
        (&scene.available, "revoked"),
        (&scene.stranger, "revoked"),
        (&scene.waiting, "rejected"),
        (&scene.elsewhere, "available"),
    ] {
        assert_eq!(app.summary(request).await, end);
    }
    assert!(app.allowed(&scene.edge).await.is_empty());
    assert_eq!(app.allowed(&scene.other).await, [root(OTHER)]);
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(app.allowed(&scene.edge).await.len(), 3);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_is_blocked_whoever_it_belongs_to(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("accounts/{THIRD}");
    let block = app.block(&of).await;
    assert_eq!(
        (&block["subject"], &block["account_id"]),
        (&json!("account"), &json!(THIRD))
    );
    app.carry_out().await;
    assert_eq!(app.summary(&scene.stranger).await, "revoked");
    assert_eq!(app.summary(&scene.available).await, "available");
    assert_eq!(
        app.ids(&format!("/v1/blocks?account_id={THIRD}&state=standing"))
            .await,
        [block["id"].as_str().unwrap()]
    );
    assert!(
        app.ids(&format!("/v1/blocks?consumer_id={}", scene.acme))
            .await
            .is_empty()
    );
}

/// Principals that nobody here asked for stay in AWS. What comes through them, and what is put back by hand, is cut off while the block stands.
#[sqlx::test(migrations = "./migrations")]
async fn a_standing_block_cuts_off_what_comes_later(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER]).await;
    app.grant(&service, &[&root(OTHER)], &[]).await;
    app.look_again().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let of = format!("consumers/{acme}");
    let preview = app.block_preview(&of).await;
    assert_eq!(
        preview["services"][0]["principals_that_stay"],
        json!([root(OTHER)])
    );
    assert_eq!(preview["confirm"]["principals"], 1);
    let block = app.block(&of).await;
    app.carry_out().await;
    assert_eq!(app.allowed(&service).await, [root(OTHER)]);
    let late = app.requested_by(OTHER, &service).await;
    app.change(&service, &json!({ "allowed_principals": [CONSUMER] }))
        .await;
    app.carry_out().await;
    assert_eq!(app.summary(&late).await, "rejected");
    assert_eq!(app.allowed(&service).await, [root(OTHER)]);
    assert_eq!(app.read_block(&block).await["cut"], 1);
    let rest = blocks::run_pass(&app.shared, true).await.unwrap();
    assert_eq!((rest.open, rest.steps), (1, 0), "and then it rests");
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(app.allowed(&service).await, [root(CONSUMER), root(OTHER)]);
}

/// What two blocks keep out comes back with the second, whichever is lifted first.
#[sqlx::test(migrations = "./migrations")]
async fn what_another_block_keeps_out_stays_out(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let blocks = [
        format!("consumers/{}", scene.acme),
        format!("accounts/{CONSUMER}"),
        format!("services/{}", scene.edge.id),
    ];
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        for of in &blocks {
            app.block(of).await;
            app.carry_out().await;
        }
        assert!(app.allowed(&scene.edge).await.is_empty());
        for (nth, index) in order.into_iter().enumerate() {
            app.try_to_unblock(&blocks[index]).await.good();
            app.carry_out().await;
            let back = app.allowed(&scene.edge).await.contains(&root(CONSUMER));
            assert_eq!(back, nth == 2, "{order:?} {nth}");
        }
        assert_eq!(app.allowed(&scene.edge).await.len(), 3, "{order:?}");
        assert_eq!(app.allowed(&scene.other).await, [root(OTHER)]);
    }
}

/// `*` comes back with the confirmation that it had.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_was_open_to_everybody_is_open_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let open = json!({
        "allowed_principals": ["*"], "acceptance_required": false, "confirm_open_to_everybody": true,
    });
    app.change(&service, &open).await;
    app.run_until_rest().await;
    let live = app.requested_by(OTHER, &service).await;
    let of = format!("services/{}", service.id);
    app.block(&of).await;
    app.carry_out().await;
    assert!(app.allowed(&service).await.is_empty());
    assert_eq!(app.summary(&live).await, "rejected");
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    let seen = app.service(&service.id).await;
    assert_eq!(
        (&seen["open_to_everybody"], &seen["sync"]["state"]),
        (&json!(true), &json!("idle")),
        "{seen}"
    );
    assert_eq!(app.allowed(&service).await, ["*"]);
}

/// What is being drained keeps what is desired of it, so there is nothing to take; if the drain is taken back, the block takes it then. What ended while
/// something was out has nothing to come back to.
#[sqlx::test(migrations = "./migrations")]
async fn a_block_goes_along_with_the_end_of_a_service(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let of = format!("consumers/{}", scene.acme);
    app.drain(&scene.edge, 3600).await;
    app.run_until_rest().await;
    assert_eq!(
        app.block_preview(&of).await["confirm"],
        json!({ "connections": 3, "principals": 1 })
    );
    let block = app.block(&of).await;
    app.carry_out().await;
    assert_eq!(app.read_block(&block).await["state"], "standing");
    assert_eq!(app.summary(&scene.available).await, "revoked");
    assert_eq!(app.summary(&scene.waiting).await, "rejected");

    app.end(&scene.edge, "cancel-drain", json!({})).await;
    app.run_until_rest().await;
    app.carry_out().await;
    assert_eq!(app.allowed(&scene.edge).await, [root(THIRD)]);

    app.drain(&scene.edge, 3600).await;
    app.end(&scene.other, "release", json!({})).await;
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(
        app.read_block(&block).await["state"],
        "restoring",
        "the drain has yet to end"
    );
    app.end(&scene.edge, "cancel-drain", json!({})).await;
    app.run_until_rest().await;
    app.carry_out().await;
    assert_eq!(app.read_block(&block).await["state"], "lifted");
    assert_eq!(app.allowed(&scene.edge).await.len(), 3);
    let released = app.service(&scene.other.id).await;
    assert_eq!(
        released["allowed_principals"],
        json!([]),
        "nothing is changed there any more"
    );
}

/// A step is a transaction. Whoever dies between two of them, or in one, leaves rows that the next one goes on with: nothing twice, nothing left.
#[sqlx::test(migrations = "./migrations")]
async fn a_block_is_carried_out_in_parts_by_whoever_comes(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    let count = 3 * usize::try_from(block_step::CHUNK).unwrap() / 2;
    for _ in 0..count {
        app.endpoint_of(CONSUMER, &service);
    }
    app.run_worker().await;
    let block = app.block(&format!("consumers/{acme}")).await;
    let id = id_of(&block);
    let mut steps = 0;
    let mut cut = Vec::new();
    loop {
        // A step that is dropped at any of its moments of waiting has done nothing or everything.
        for moments in [1, 3, 7, 20, 60] {
            let step = tokio::spawn({
                let ctx = app.application();
                async move { block_step::step(&ctx, id).await }
            });
            for _ in 0..moments {
                tokio::task::yield_now().await;
            }
            step.abort();
            let _ = step.await;
        }
        // Two at once: one of them works.
        let ctx = app.application();
        let (one, two) = tokio::join!(block_step::step(&ctx, id), block_step::step(&ctx, id));
        let (one, two) = (one.unwrap(), two.unwrap());
        steps += 1;
        cut.push(app.read_block(&block).await["cut"].as_i64().unwrap());
        if app.read_block(&block).await["state"] == "standing" {
            break;
        }
        assert!(steps < 50, "{one:?} {two:?} {cut:?}");
    }
    let ctx = app.application();
    assert_eq!(block_step::step(&ctx, id).await.unwrap(), Progress::Rest);
    let expected = i64::try_from(count).unwrap();
    assert_eq!(cut.last(), Some(&expected), "{cut:?}");
    assert_eq!(
        app.count("SELECT count(*) FROM decisions WHERE verb = 'reject'")
            .await,
        expected
    );
    let twice = "SELECT count(*) FROM (SELECT connection_id FROM decisions GROUP BY 1 HAVING count(*) > 1) AS twice";
    assert_eq!(app.count(twice).await, 0);
    let most =
        "SELECT max(n) FROM (SELECT count(*) AS n FROM decisions GROUP BY xmin::text) AS parts";
    assert!(app.count(most).await <= block_step::CHUNK);
    app.run_until_rest().await;
    let rejected = "SELECT count(*) FROM connections WHERE summary = 'rejected'";
    assert_eq!(app.count(rejected).await, expected);
}

/// Blocks, accepts, denials, changes and the worker at once: nobody waits in a circle, and at the end nothing of it lives.
#[sqlx::test(migrations = "./migrations")]
async fn blocking_against_everybody_else_ends_with_nothing_alive(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let of = [
        format!("consumers/{acme}"),
        format!("services/{}", service.id),
    ];
    for round in 0..4 {
        let endpoints: Vec<_> = [CONSUMER, OTHER, CONSUMER, OTHER]
            .map(|account| app.endpoint_of(account, &service))
            .to_vec();
        app.run_worker().await;
        let mut requests = Vec::new();
        for endpoint in &endpoints {
            requests.push(app.found(endpoint).await);
        }
        let of = &of[round % 2];
        let confirm = app.block_preview(of).await["confirm"].clone();
        let accept = async |n: usize| {
            app.try_to_decide(Who::Approver, &requests[n], "accept")
                .await
        };
        let ctx = app.application();
        let carry = async {
            for _ in 0..20 {
                blocks::run_pass(&app.shared, true).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let version = json!({});
        let (blocked, a, b, c, changed, (), ()) = tokio::join!(
            app.try_to_block(of, &confirm),
            accept(0),
            accept(1),
            accept(2),
            app.try_to_change(&service, &version),
            carry,
            app.run_worker(),
        );
        for answer in [&a, &b, &c, &changed, &blocked] {
            assert!(answer.status < 500, "round {round}: {}", answer.text);
        }
        drop(ctx);
        if blocked.status != 200 {
            blocked.refused("accepted meanwhile", 409, "preview_changed");
            app.block(of).await;
        }
        app.carry_out().await;
        let alive = "SELECT count(*) FROM connections WHERE review_state IN ('undecided', 'accepted')
                       AND observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')";
        assert_eq!(app.count(alive).await, 0, "round {round}");
        app.try_to_unblock(of).await.good();
        app.carry_out().await;
        app.advance(Duration::from_secs(30));
        app.look_again().await;
    }
}
