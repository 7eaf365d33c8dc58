//! What time does to reviews: reminders, escalations, rejections, expiries and planned revocations, with the clock moved by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use portcullis::app::run_timers::facts;
use portcullis::domain::clock::Clock;
use portcullis::domain::review_timer::{TimerStep as Step, steps};
use portcullis::store::review_timers;
use portcullis::worker::{PassError, census, expire};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::reviews::ADMIN;
use crate::support::{Request, TestApp, Who};

const HOUR: Duration = Duration::from_hours(1);
const NOTHING: Value = Value::Null;

fn hours(count: u32) -> Duration {
    HOUR * count
}

impl TestApp {
    /// An accepted connection whose access has an end.
    async fn accepted_for(&self, request: &Request, time: Duration) {
        let body = json!({ "reason": "a trial", "expires_at": self.clock_in(time) });
        self.tell(Who::Approver, request, "accept", &body)
            .await
            .good();
        self.run_until_rest().await;
        assert_eq!(self.summary(request).await, "available");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_request_that_waits_is_told_of_twice_and_kept(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    assert_eq!(app.pass_time(hours(17)).await, []);
    assert_eq!(app.pass_time(hours(1)).await, [Step::Remind]);
    assert_eq!(app.pass_time(hours(5)).await, []);
    assert_eq!(app.pass_time(hours(1)).await, [Step::Escalate]);
    assert_eq!(app.pass_time(hours(200)).await, []);
    let row = &app.queue("overdue=true").await[0];
    assert_ne!(row["reminded_at"], NOTHING);
    assert_ne!(row["escalated_at"], NOTHING);
    assert_eq!(
        app.story(&request).await,
        ["observed", "reminded", "escalated"]
    );
    // A later deadline is told of anew, when it comes.
    app.rules(&service, &json!({ "review_sla_seconds": 300 * 3600 }))
        .await;
    assert_eq!(app.queue("overdue=true").await.len(), 0);
    assert_eq!(app.pass_time(hours(1)).await, [Step::Remind]);
    assert_eq!(app.pass_time(hours(75)).await, [Step::Escalate]);
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);
    let told = "SELECT count(*) FROM audit_entries WHERE actor_kind = 'policy' AND actor = 'timer'";
    assert_eq!(app.count(told).await, 4);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_overdue_is_rejected_where_the_service_wants_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.rules(&service, &json!({ "on_overdue": "reject" }))
        .await;
    let (request, held) = (app.requested(&service).await, app.requested(&service).await);
    let until = app.clock_in(hours(30));
    let body = json!({ "reason": "the contract is being signed", "until": until });
    app.tell(Who::Approver, &held, "hold", &body).await.good();
    let taken = app.pass_time(hours(24)).await;
    assert_eq!(
        taken.iter().filter(|step| **step == Step::Escalate).count(),
        2
    );
    assert_eq!(
        taken
            .iter()
            .filter(|step| **step == Step::RejectOverdue)
            .count(),
        1
    );
    let decision = app.only_decision(&request).await;
    assert_eq!(decision["actor_kind"], "policy");
    assert_eq!(decision["actor"], "timer");
    assert_eq!(decision["reason_code"], "review_overdue");
    assert_eq!(
        app.story(&request).await,
        ["observed", "escalated", "reject"]
    );
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    assert_eq!(app.summary(&held).await, "waiting", "held by a person");
    assert_eq!(
        app.pass_time(hours(6)).await,
        [Step::RejectOverdue],
        "the hold is over"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn access_for_a_time_ends_after_the_grace(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accepted_for(&request, hours(10)).await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["expiry"]["expiring"], false);
    assert_eq!(app.pass_time(hours(9)).await, []);
    assert_eq!(app.pass_time(hours(1)).await, [Step::MarkExpiring]);
    let seen = app.connection(&request).await;
    assert_eq!(seen["expiry"]["expiring"], true);
    assert_eq!(seen["expiry"]["ends_at"], app.clock_in(hours(72)));
    assert_eq!(seen["summary"], "available", "the grace");
    assert_eq!(app.pass_time(hours(71)).await, []);
    assert_eq!(app.pass_time(hours(1)).await, [Step::Expire]);
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "revoked");
    assert_eq!(seen["expiry"], NOTHING);
    let history = seen["history"].as_array().unwrap();
    let revoked = history
        .iter()
        .find(|entry| entry["verb"] == "revoke")
        .unwrap();
    assert_eq!(revoked["actor"], "timer");
    assert_eq!(revoked["reason_code"], "approval_expired");
    assert_eq!(app.rejects(&request), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn access_can_be_renewed_until_the_grace_is_over(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let body = json!({ "expires_at": app.clock_in(hours(5)), "reason": "more" });
    app.tell(Who::Approver, &request, "renew", &body)
        .await
        .refused("early", 409, "connection_not_accepted");
    app.accepted_for(&request, hours(10)).await;
    assert_eq!(app.pass_time(hours(50)).await, [Step::MarkExpiring]);
    let body = json!({ "expires_at": app.clock_in(hours(5)), "reason": "more" });
    let renewed = app.tell(Who::Admin, &request, "renew", &body).await.good();
    assert_eq!(renewed["expiry"]["expiring"], false);
    assert_eq!(app.pass_time(hours(5)).await, [Step::MarkExpiring]);
    let for_good = json!({ "expires_at": null, "reason": "bought" });
    let renewed = app
        .tell(Who::Admin, &request, "renew", &for_good)
        .await
        .good();
    assert_eq!(renewed["expiry"], NOTHING);
    assert_eq!(app.pass_time(hours(1000)).await, []);
    for (what, body, code) in [
        (
            "past",
            json!({ "expires_at": "2020-01-01T00:00:00Z", "reason": "r" }),
            "invalid_request",
        ),
        ("no end said", json!({ "reason": "r" }), "invalid_json"),
        ("no reason", json!({ "expires_at": null }), "invalid_json"),
    ] {
        app.tell(Who::Admin, &request, "renew", &body)
            .await
            .refused(what, 400, code);
    }
    app.decide(&request, "revoke").await;
    app.tell(Who::Admin, &request, "renew", &for_good)
        .await
        .refused("late", 409, "connection_not_accepted");
    let steps = app.story(&request).await;
    assert_eq!(steps.iter().filter(|step| *step == "renewed").count(), 2);
    assert_eq!(steps.iter().filter(|step| *step == "expiring").count(), 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_revocation_can_be_planned_and_given_up(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let plan =
        |hours: u32| json!({ "at": app.clock_in(HOUR * hours), "reason": "the contract ends" });
    app.tell(Who::Approver, &request, "schedule-revocation", &plan(5))
        .await
        .refused("early", 409, "connection_not_accepted");
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    let planned = app
        .tell(Who::Admin, &request, "schedule-revocation", &plan(5))
        .await
        .good();
    assert_eq!(planned["scheduled_revocation"]["by"], ADMIN);
    app.tell(Who::Approver, &request, "schedule-revocation", &plan(9))
        .await
        .good();
    assert_eq!(app.pass_time(hours(6)).await, [], "the later plan counts");
    let why = json!({ "reason": "prolonged" });
    let kept = app
        .tell(Who::Approver, &request, "cancel-revocation", &why)
        .await
        .good();
    assert_eq!(kept["scheduled_revocation"], NOTHING);
    app.tell(Who::Approver, &request, "cancel-revocation", &why)
        .await
        .refused("twice", 409, "revocation_not_scheduled");
    assert_eq!(app.pass_time(hours(6)).await, []);
    app.tell(Who::Admin, &request, "schedule-revocation", &plan(1))
        .await
        .good();
    assert_eq!(app.pass_time(hours(1)).await, [Step::RevokeScheduled]);
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "revoked");
    assert_eq!(seen["scheduled_revocation"], NOTHING);
    let history = seen["history"].as_array().unwrap();
    let revoked = history
        .iter()
        .find(|entry| entry["verb"] == "revoke")
        .unwrap();
    assert_eq!(revoked["reason"], "the contract ends");
    assert_eq!(revoked["reason_code"], "revocation_scheduled");
    let by: String = sqlx::query_scalar(
        "SELECT inputs #>> '{timer,scheduled_by}' FROM decisions WHERE verb = 'revoke'",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(by, ADMIN);
}

/// Nothing is decided about an endpoint that the consumer deleted; what was scheduled is forgotten.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_gone_is_not_revoked(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accepted_for(&request, hours(10)).await;
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    app.run_worker().await;
    assert_eq!(app.pass_time(hours(10)).await, [Step::Lapse]);
    assert_eq!(app.pass_time(hours(100)).await, []);
    assert_eq!(
        app.connection(&request).await["review"]["state"],
        "accepted"
    );
}

/// A service that was let go of has no queue and no timers: nothing could be decided about it.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_was_let_go_of_has_no_timers(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.rules(&service, &json!({ "on_overdue": "reject" }))
        .await;
    let kept = app.requested(&service).await;
    app.accepted_for(&kept, hours(10)).await;
    sqlx::query(
        "UPDATE endpoint_services
            SET lifecycle = 'released', lifecycle_since = now(), lifecycle_by = 'x', lifecycle_reason = 'x'",
    )
        .execute(app.db())
        .await
        .unwrap();
    assert_eq!(app.pass_time(hours(200)).await, []);
    assert_eq!(app.queue("").await.len(), 0);
    let summary = app.get(Who::Viewer, "/v1/reviews/summary").await.good();
    assert_eq!(summary["waiting"], 0);
    let plan = json!({ "verb": "accept", "reason": "r", "items": [{ "id": request.id }] });
    let answer = app
        .post(Who::Approver, "/v1/connections/bulk-decisions", &plan)
        .await
        .good();
    assert_eq!(answer["results"][0]["code"], "service_ended");
}

/// A renewal at the very moment at which access ends: one of the two comes first, and both say the same of it.
#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_against_the_timer_has_one_outcome(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for _ in 0..6 {
        let request = app.requested(&service).await;
        app.accepted_for(&request, HOUR).await;
        app.advance(hours(73));
        app.make_partitions().await;
        let body = json!({ "expires_at": app.clock_in(hours(50)), "reason": "more" });
        let place = app.place().await;
        let (renewed, pass) = tokio::join!(
            app.tell(Who::Approver, &request, "renew", &body),
            expire::run_pass(&place),
        );
        let taken = pass.unwrap().taken;
        let seen = app.connection(&request).await;
        if renewed.status == 200 {
            assert_eq!(taken, []);
            assert_eq!(seen["review"]["state"], "accepted");
            assert_eq!(app.timers().await, []);
        } else {
            renewed.refused("late", 409, "connection_not_accepted");
            assert_eq!(taken.len(), 1);
            assert_eq!(seen["review"]["state"], "revoked");
        }
        let verb = json!({ "reason": "the end" });
        if seen["review"]["state"] == "accepted" {
            app.tell(Who::Approver, &request, "revoke", &verb)
                .await
                .good();
        }
    }
}

/// Two replicas at once, one of which has lost its lease: nothing is done twice.
#[sqlx::test(migrations = "./migrations")]
async fn a_replica_without_the_lease_does_nothing_in_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.rules(&service, &json!({ "on_overdue": "reject" }))
        .await;
    let request = app.requested(&service).await;
    let old = app.place().await;
    app.expire_leases().await;
    let heir = app.another_worker();
    let new = heir.lease_once().await.unwrap().remove(0);
    app.advance(hours(24));
    let (lost, done) = tokio::join!(expire::run_pass(&old), expire::run_pass(&new));
    assert!(lost.is_err_and(|error| error.lease_is_lost()));
    assert_eq!(done.unwrap().taken.len(), 2);
    app.only_decision(&request).await;
}

/// The rule is written twice, in Rust and in SQL. Over many connections in all kinds of states, at many times, both find the same ones.
#[sqlx::test(migrations = "./migrations")]
async fn sql_finds_those_for_which_something_is_due(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let seed = app.requested(&service).await;
    app.rules(&service, &json!({ "review_sla_seconds": 1000, "expiry_grace_seconds": 300, "on_overdue": "reject", "confirm_reject_overdue": true })).await;
    app.decide(&seed, "reject").await;
    // Every review × every state × times that are absent, just over, or to come.
    sqlx::query(
        "WITH d AS (SELECT id FROM decisions LIMIT 1), made AS (
             INSERT INTO connections (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state,
                                      observed_at, first_seen_at, review_state, decision_id)
             SELECT gen_random_uuid(), c.endpoint_service_id, c.account_region_id,
                    'vpce-' || lpad(to_hex(row_number() OVER ()), 17, '0'), c.owner_account, state, c.observed_at, c.first_seen_at,
                    review, CASE WHEN review <> 'undecided' THEN d.id END
               FROM connections c, d,
                    unnest(ARRAY['undecided', 'accepted', 'rejected', 'revoked']) AS review,
                    unnest(ARRAY['pendingAcceptance', 'available', 'rejected', 'deleted', 'odd']) AS state,
                    generate_series(1, 40)
             RETURNING id, first_seen_at)
         INSERT INTO reviews (connection_id, reminded_at, escalated_at, expires_at, expiring_at,
                              held_code, held_reason, held_until, held_by_kind, held_by, held_at)
         SELECT made.id,
                CASE WHEN r[1] < 0.7 THEN first_seen_at + r[1] * 2000 * interval '1 second' END,
                CASE WHEN r[2] < 0.7 THEN first_seen_at + r[2] * 2000 * interval '1 second' END,
                CASE WHEN r[3] < 0.7 THEN first_seen_at + r[3] * 2000 * interval '1 second' END,
                CASE WHEN r[4] < 0.5 THEN first_seen_at + r[4] * 3000 * interval '1 second' END,
                CASE WHEN r[6] < 0.5 THEN 'x' END, CASE WHEN r[6] < 0.5 THEN 'x' END,
                CASE WHEN r[6] < 0.3 THEN first_seen_at + r[6] * 5000 * interval '1 second' END,
                CASE WHEN r[6] < 0.5 THEN CASE WHEN r[5] < 0.5 THEN 'person' ELSE 'policy' END END,
                CASE WHEN r[6] < 0.5 THEN 'x' END, CASE WHEN r[6] < 0.5 THEN first_seen_at END
           FROM made, LATERAL (SELECT ARRAY[random(), random(), random(), random(), random(), random()] AS r, made.id AS of_id) AS x",
    )
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO planned_revocations (connection_id, at, reason, by)
         SELECT id, first_seen_at + random() * 1500 * interval '1 second', 'x', 'x' FROM connections WHERE random() < 0.3",
    )
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO approvals (id, connection_id, approver, reason, approved_at)
         SELECT gen_random_uuid(), id, 'x', 'x', first_seen_at FROM connections WHERE review_state = 'undecided' AND random() < 0.5",
    )
    .execute(app.db())
    .await
    .unwrap();
    let place = app.place().await;
    let mut all = app.all_under_review().await;
    let mut found = 0;
    for _ in 0..12 {
        let now = app.clock.now();
        let mut conn = app.db().acquire().await.unwrap();
        let region = place.lease.account_region;
        let by_sql = review_timers::due(&mut conn, region, &app.shared.reviews, now, 10_000)
            .await
            .unwrap();
        let by_sql: BTreeSet<_> = by_sql.into_iter().collect();
        let by_rust = all.iter_mut().filter_map(|one| {
            one.at = now;
            (!steps(&facts(one), now).is_empty()).then_some(one.connection.id)
        });
        let by_rust: BTreeSet<_> = by_rust.collect();
        assert_eq!(by_sql, by_rust, "at {now}");
        found += by_sql.len();
        // What comes next is never missed: before that time nothing more is due.
        let next = review_timers::next(&mut conn, region, &app.shared.reviews, now)
            .await
            .unwrap();
        drop(conn);
        if let Some(next) = next.filter(|next| *next - now > TimeDelta::milliseconds(2)) {
            let mut conn = app.db().acquire().await.unwrap();
            let early = next - TimeDelta::milliseconds(1);
            let then = review_timers::due(&mut conn, region, &app.shared.reviews, early, 10_000)
                .await
                .unwrap();
            assert_eq!(
                then.into_iter().collect::<BTreeSet<_>>(),
                by_sql,
                "before {next}"
            );
        }
        app.advance(Duration::from_millis(163_457));
    }
    assert!(found > 500, "{found} are too few to show anything");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_queue_and_the_timers_are_counted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.requested(&service).await;
    app.tell(Who::Approver, &request, "claim", &NOTHING)
        .await
        .good();
    app.pass_time(hours(25)).await;
    // Whoever gives a place up takes its figures away.
    let here = app.place().await;
    census::run_pass(&here).await.unwrap();
    let mut registry = Registry::default();
    app.shared.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    drop(here);
    let place = r#"account="111122223333",region="eu-west-1""#;
    for line in [
        format!(r#"portcullis_reviews{{{place},kind="waiting"}} 2"#),
        format!(r#"portcullis_reviews{{{place},kind="overdue"}} 2"#),
        format!(r#"portcullis_reviews{{{place},kind="held"}} 0"#),
        // The claim has ended by itself.
        format!(r#"portcullis_reviews{{{place},kind="unclaimed"}} 2"#),
        format!("portcullis_reviews_oldest_seconds{{{place}}} 90000"),
        r#"portcullis_review_timers_total{step="escalate"} 2"#.to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
}

/// Steps that were committed are counted, and the sync loop is told of them, also where the store fails at the next.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_done_before_the_store_failed_is_counted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.rules(&service, &json!({ "on_overdue": "reject" }))
        .await;
    let [good, bad] = [app.requested(&service).await, app.requested(&service).await];
    let id: portcullis::domain::ids::ConnectionId = bad.id.parse().unwrap();
    for statement in [
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$".to_owned(),
        format!(
            "CREATE CONSTRAINT TRIGGER fails_at_commit AFTER UPDATE ON connections DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
               WHEN (NEW.id = '{}') EXECUTE FUNCTION fail()",
            id.uuid()
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(app.db()).await.unwrap();
    }
    app.advance(hours(49));
    let place = app.place().await;
    let nudged = app.shared.nudge.listen();
    let failed = expire::run_pass(&place).await.unwrap_err();
    assert!(matches!(failed, PassError::Store(_)), "{failed:?}");
    assert!(nudged.has_changed().unwrap(), "AWS is to be told");
    let mut registry = Registry::default();
    app.shared.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = r#"portcullis_review_timers_total{step="reject_overdue"} 1"#;
    assert!(text.contains(line), "{text}");
    assert_eq!(app.summary(&good).await, "rejecting");
    assert_eq!(app.summary(&bad).await, "waiting");
}

/// Waits until its time, but never longer than other processes may be waited for.
#[sqlx::test(migrations = "./migrations")]
async fn a_pass_says_when_the_next_timer_runs_out(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let nothing = expire::run_pass(&app.place().await).await.unwrap();
    assert_eq!(nothing.next_due, None);
    app.requested(&service).await;
    let place = app.place().await;
    let report = expire::run_pass(&place).await.unwrap();
    let first_seen = app.queue("").await[0]["first_seen_at"].clone();
    let remind_at = report.next_due.unwrap() - TimeDelta::hours(18);
    assert_eq!(json!(remind_at), first_seen);
    assert_eq!(expire::rest(&place, report.next_due), expire::LONGEST_REST);
    assert_eq!(
        expire::rest(&place, Some(app.clock.now())),
        Duration::from_millis(5)
    );
}
