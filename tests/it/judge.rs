//! Requests that gates and policies decide by themselves, or hold for a person and say why.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::app::judge::{Judged, judge};
use portcullis::app::policies::PolicySets;
use portcullis::app::policy_shelf::Set;
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{Outcome, replay};
use portcullis::domain::ids::ConnectionId;
use portcullis::store::judgements;
use portcullis::worker::judge::{Report, carry_out_wakes, run_pass};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::{CONSUMER, Request, Service, TestApp, Who};

const KNOWN: &str = r#"
    @id("known-accounts") @reason("known_account_2") @message("Your account is registered with us.")
    permit (principal, action, resource) when { principal.known };
"#;

impl TestApp {
    /// Puts a text in force, for every service or for one, in place of what is in force there.
    pub(crate) async fn in_force(&self, service: Option<&Service>, text: &str) {
        let set = Set::compile(text).expect("a good policy");
        self.in_force_as(service, text, set.version()).await;
    }

    pub(crate) async fn in_force_as(&self, service: Option<&Service>, text: &str, digest: &str) {
        let id = service.map(|service| {
            let id: portcullis::domain::ids::EndpointServiceId = service.id.parse().unwrap();
            id.uuid()
        });
        sqlx::query(
            "WITH before AS (
                 UPDATE policies SET state = 'superseded', ended_at = now(), ended_by = 'a test', ended_reason = 'another'
                  WHERE state = 'active' AND endpoint_service_id IS NOT DISTINCT FROM $1
                 RETURNING id)
             INSERT INTO policies (id, endpoint_service_id, number, state, text, digest, created_at, created_by, written_at, written_by,
                                   validated_at, validated_by, passed_at, tested_at, tested_by, activated_at, activated_by, activated_reason)
             SELECT gen_random_uuid(), $1, (SELECT count(*) + 1 FROM policies), 'active', $2, $3, now(), 'a test', now(), 'a test',
                    now(), 'a test', now(), now(), 'a test', now(), 'a test', 'to see'
               FROM (SELECT count(*) FROM before) AS done",
        )
        .bind(id)
        .bind(text)
        .bind(digest)
        .execute(self.db())
        .await
        .unwrap();
    }

    /// Carries wakes out and judges what is due; a second pass must find nothing.
    pub(crate) async fn judge(&self) -> Report {
        carry_out_wakes(&self.shared).await.expect("wakes");
        let mut all = Report::default();
        for place in self.places().await {
            let report = run_pass(&place).await.expect("a pass");
            let again = run_pass(&place).await.expect("a second pass");
            assert_eq!(again.judged, [], "what was judged is judged again");
            all.judged.extend(report.judged);
            all.failed.extend(report.failed);
            all.next_due = all.next_due.into_iter().chain(report.next_due).min();
        }
        all
    }

    /// The same, and what was said in the end.
    async fn judged(&self) -> Vec<Judged> {
        let report = self.judge().await;
        assert_eq!(report.failed, []);
        report
            .judged
            .into_iter()
            .map(|(_, judged)| judged)
            .collect()
    }

    async fn held_code(&self, request: &Request) -> Value {
        let queue = self.queue("limit=100").await;
        let row = queue.iter().find(|row| row["connection_id"] == request.id);
        row.map_or(Value::Null, |row| row["hold"]["code"].clone())
    }
}

fn id_of(request: &Request) -> ConnectionId {
    request.id.parse().unwrap()
}

const ACCEPTED: Judged = Judged::Said(Outcome::Accept);
const REJECTED: Judged = Judged::Said(Outcome::Reject);
const HELD: Judged = Judged::Said(Outcome::Hold);

#[sqlx::test(migrations = "./migrations")]
async fn a_permit_accepts_and_the_decision_says_by_what(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.add_consumer_with("Acme", &[CONSUMER]).await;
    app.in_force(None, KNOWN).await;
    let request = app.requested(&service).await;
    assert_eq!(app.judged().await, [ACCEPTED]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "available");

    let decision = app.only_decision(&request).await;
    assert_eq!(decision["actor_kind"], "policy");
    assert_eq!(decision["actor"], "known-accounts");
    assert_eq!(decision["reason_code"], "known_account_2");
    assert_eq!(decision["message"], "Your account is registered with us.");
    let set = Set::compile(KNOWN).unwrap();
    let judgement = &decision["inputs"]["judgement"];
    assert_eq!(judgement["policies"], json!(["known-accounts"]));
    assert_eq!(judgement["policy_versions"], json!([set.version()]));

    // Made again from what was kept, it says the same.
    let conn = &mut *app.db().acquire().await.unwrap();
    let kept = judgements::latest(conn, id_of(&request))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(json!(kept.id), judgement["judgement_id"]);
    assert_eq!(json!(kept.decided.unwrap().uuid()), decision["id"]);
    let again = replay(&kept.facts, &PolicySets(&[&set])).unwrap();
    assert_eq!(again, kept.decision);
    assert_eq!(
        app.actions_about("connection").await.last().unwrap(),
        "connection.accept"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn without_policies_a_person_decides_and_nothing_is_said(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    assert_eq!(app.judged().await, [HELD]);
    assert_eq!(app.held_code(&request).await, Value::Null);
    assert_eq!(app.story(&request).await, ["observed"]);
    app.advance(Duration::from_mins(6));
    assert_eq!(app.judged().await, [HELD]);
    let kept = app.count("SELECT count(*) FROM judgements").await;
    assert_eq!(kept, 1, "the same answer is kept once");
    let told = app.explained(&request).await;
    assert_eq!(told["last_judged_at"], json!(app.clock.now()), "{told}");
    assert_ne!(told["judgement"]["judged_at"], told["last_judged_at"]);
}

/// The same answer from other facts is another judgement: what is explained and tried again is what was last decided from.
#[sqlx::test(migrations = "./migrations")]
async fn the_last_judgement_has_the_facts_of_now(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, "permit (principal, action, resource) when { false };")
        .await;
    let request = app.requested(&service).await;
    assert_eq!(app.judged().await, [HELD]);
    app.advance(Duration::from_secs(1));
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    assert_eq!(app.judged().await, [HELD]);
    let told = app.explained(&request).await;
    let account = &told["judgement"]["facts"]["account"];
    assert_eq!(account["consumer"]["id"], acme, "{told}");
    assert_eq!(told["last_judged_at"], told["judgement"]["judged_at"]);
    let kept = "SELECT count(*) FROM judgements";
    assert_eq!(app.count(kept).await, 2);
    for _ in 0..3 {
        app.advance(Duration::from_mins(6));
        assert_eq!(app.judged().await, [HELD]);
    }
    assert_eq!(app.count(kept).await, 2, "only time has passed");
    let told = app.explained(&request).await;
    assert_eq!(told["last_judged_at"], json!(app.clock.now()), "{told}");
    // Nothing judges what was decided, and the person's own judgement is the last.
    app.decide(&request, "reject").await;
    let told = app.explained(&request).await;
    assert_eq!(told["judgement"]["decision_id"], told["decision"]["id"]);
    assert_eq!(app.count(kept).await, 3);
}

/// What no policy speaks of waits; when its account becomes a consumer's, it is judged again at once.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_held_says_why_and_is_judged_again_when_something_changes(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, KNOWN).await;
    let request = app.requested(&service).await;
    assert_eq!(app.judged().await, [HELD]);
    assert_eq!(app.held_code(&request).await, "no_policy_applies");
    assert_eq!(app.judged().await, [], "nothing changed");
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    assert_eq!(app.judged().await, [ACCEPTED]);
    assert_eq!(app.story(&request).await, ["observed", "held", "accept"]);

    // A label is a fact too.
    app.in_force(
        Some(&service),
        r#"@id("closed") forbid (principal, action, resource) when { principal has consumer && principal.consumer.hasTag("unpaid") };"#,
    )
    .await;
    let held = app.requested(&service).await;
    app.in_force(
        None,
        r#"@id("nobody") permit (principal, action, resource) when { false };"#,
    )
    .await;
    assert_eq!(app.judged().await, [HELD]);
    let labels = json!({ "labels": { "unpaid": "since March" } });
    app.try_to_change_consumer(&acme, &labels).await.good();
    assert_eq!(app.judged().await, [REJECTED]);
    assert_eq!(app.only_decision(&held).await["actor"], "closed");
    assert_eq!(
        app.only_decision(&held).await["reason_code"],
        "policy_forbids"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_denied_is_rejected_whatever_a_policy_permits(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, "permit (principal, action, resource);")
        .await;
    app.deny(&json!({ "account_id": CONSUMER })).await;
    let request = app.requested(&service).await;
    assert_eq!(app.judged().await, [REJECTED]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    let decision = app.only_decision(&request).await;
    assert_eq!(
        (&decision["actor"], &decision["reason_code"]),
        (&json!("gate:deny_list"), &json!("account_denied"))
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn beyond_a_quota_a_person_decides_until_there_is_room(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    app.in_force(None, KNOWN).await;
    let of = format!("consumers/{acme}");
    app.set_quota(&of, &json!({ "connections": 2 }))
        .await
        .good();
    let requests = [
        app.requested(&service).await,
        app.requested(&service).await,
        app.requested(&service).await,
    ];
    // The oldest come first, and each counts for the next.
    assert_eq!(app.judged().await, [ACCEPTED, ACCEPTED, HELD]);
    assert_eq!(app.held_code(&requests[2]).await, "quota_exceeded");
    app.set_quota(&of, &json!({ "connections": 3 }))
        .await
        .good();
    assert_eq!(app.judged().await, [ACCEPTED]);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_a_person_holds_is_left_alone_until_they_let_go(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, "permit (principal, action, resource);")
        .await;
    let request = app.requested(&service).await;
    let body = json!({ "reason": "I am on the telephone with them" });
    app.tell(Who::Approver, &request, "hold", &body)
        .await
        .good();
    assert_eq!(app.judged().await, [Judged::Left]);
    app.advance(Duration::from_hours(1));
    assert_eq!(app.judged().await, [Judged::Left]);
    let body = json!({ "reason": "all clear" });
    app.tell(Who::Approver, &request, "unhold", &body)
        .await
        .good();
    assert_eq!(app.judged().await, [ACCEPTED]);
}

/// Where two persons are asked for, a policy can refuse but not let in.
#[sqlx::test(migrations = "./migrations")]
async fn a_policy_is_no_person(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    app.ask_for_two(&service).await;
    let only = format!(
        r#"permit (principal, action, resource);
           @id("no") forbid (principal == Account::"{OTHER}", action, resource);"#
    );
    app.in_force(None, &only).await;
    let held = app.requested_by(CONSUMER, &service).await;
    let refused = app.requested_by(OTHER, &service).await;
    assert_eq!(app.judged().await, [HELD, REJECTED]);
    assert_eq!(app.held_code(&held).await, "needs_approval");
    assert_eq!(app.only_decision(&refused).await["actor"], "no");
    app.decide(&held, "accept").await;
    assert_eq!(app.judged().await, [], "one approval decides nothing");
    let second = app.try_to_decide(Who::Admin, &held, "accept").await;
    assert_eq!(second.good()["review"]["state"], "accepted");
}

/// Nothing wakes for the time of day: requests are asked about again.
#[sqlx::test(migrations = "./migrations")]
async fn time_is_a_fact_too(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(
        None,
        "permit (principal, action, resource) when { context.waitedSeconds >= 420 };",
    )
    .await;
    app.requested(&service).await;
    assert_eq!(app.judged().await, [HELD]);
    app.advance(Duration::from_mins(4));
    assert_eq!(app.judged().await, [], "not yet");
    app.advance(Duration::from_mins(2));
    assert_eq!(app.judged().await, [HELD]);
    app.advance(Duration::from_mins(5));
    assert_eq!(app.judged().await, [ACCEPTED]);
}

/// An AccountRegion where nobody waits lets its loop rest.
#[sqlx::test(migrations = "./migrations")]
async fn the_loop_rests_until_somebody_is_due(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    assert_eq!(app.judge().await.next_due, None);
    let request = app.requested(&service).await;
    let next = app.judge().await.next_due.unwrap();
    assert_eq!(next, app.clock.now() + TimeDelta::minutes(5));
    app.decide(&request, "reject").await;
    assert_eq!(app.judge().await.next_due, None);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_is_drained_refuses_by_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, "permit (principal, action, resource);")
        .await;
    let request = app.requested(&service).await;
    app.drain(&service, 3600).await;
    assert_eq!(app.judged().await, [REJECTED]);
    assert_eq!(
        app.only_decision(&request).await["reason_code"],
        "service_draining"
    );
}

/// A text that does not compile, whoever brought it into the database, lets nobody in, and is tried again.
#[sqlx::test(migrations = "./migrations")]
async fn a_broken_policy_accepts_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let broken = app.service_for("edge", &[CONSUMER]).await;
    let sound = app.service_for("core", &[CONSUMER]).await;
    app.in_force(None, "permit (principal, action, resource);")
        .await;
    app.in_force_as(Some(&broken), "permit everybody", &"0".repeat(64))
        .await;
    let request = app.requested(&broken).await;
    let other = app.requested(&sound).await;
    let report = app.judge().await;
    assert_eq!(report.failed, [id_of(&request)]);
    assert_eq!(report.judged, [(id_of(&other), ACCEPTED)]);
    assert_eq!(app.summary(&request).await, "waiting");
    app.in_force(Some(&broken), "permit (principal, action, resource);")
        .await;
    app.advance(Duration::from_mins(2));
    assert_eq!(app.judged().await, [ACCEPTED]);
}

/// An approver and a policy at once, in either order: one decision, and the other finds it made.
#[sqlx::test(migrations = "./migrations")]
async fn an_approver_and_a_policy_decide_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for person_first in [true, false] {
        let text = if person_first {
            r#"@id("no") forbid (principal, action, resource);"#
        } else {
            r#"@id("yes") permit (principal, action, resource);"#
        };
        app.in_force(None, text).await;
        let request = app.requested(&service).await;
        let held = app.hold_account(CONSUMER).await;
        let person = async { app.try_to_decide(Who::Approver, &request, "accept").await };
        let policy = async {
            let ctx = app.application();
            let mut tx = app.db().begin().await.unwrap();
            let ids = [id_of(&request)];
            let said = judge(&mut tx, &ctx, &ids, TimeDelta::minutes(5))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            said[0].1
        };
        let one_after_the_other = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (person, policy) = if person_first {
            let second = async {
                app.queue_of(1).await;
                policy.await
            };
            let (person, policy, ()) = tokio::join!(person, second, one_after_the_other);
            (person, policy)
        } else {
            let second = async {
                app.queue_of(1).await;
                person.await
            };
            let (policy, person, ()) = tokio::join!(policy, second, one_after_the_other);
            (person, policy)
        };
        let decision = app.only_decision(&request).await;
        if person_first {
            assert_eq!(person.good()["review"]["state"], "accepted");
            assert_eq!(policy, Judged::Left);
            assert_eq!(decision["actor_kind"], "person");
        } else {
            assert_eq!(policy, ACCEPTED);
            person.refused("the policy was first", 409, "connection_already_decided");
            assert_eq!(decision["actor"], "yes");
        }
    }
}

/// The last places of a quota, wanted by ten requests that two replicas judge at once: each is given once.
#[sqlx::test(migrations = "./migrations")]
async fn the_last_places_are_given_once_by_two_replicas(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    app.in_force(None, KNOWN).await;
    let of = format!("consumers/{acme}");
    app.set_quota(&of, &json!({ "connections": 3 }))
        .await
        .good();
    let endpoints: Vec<_> = (0..10)
        .map(|n| app.endpoint_of(if n % 2 == 0 { CONSUMER } else { OTHER }, &service))
        .collect();
    app.run_worker().await;
    let mut halves = [Vec::new(), Vec::new()];
    for (n, endpoint) in endpoints.iter().enumerate() {
        halves[n % 2].push(id_of(&app.found(endpoint).await));
    }
    let held = app.hold_consumer(&acme).await;
    let mut replicas = Vec::new();
    for half in halves {
        let ctx = app.application();
        replicas.push(tokio::spawn(async move {
            let mut tx = ctx.pool.begin().await.unwrap();
            let said = judge(&mut tx, &ctx, &half, TimeDelta::minutes(5))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            said
        }));
    }
    app.queue_of(2).await;
    held.commit().await.unwrap();
    let mut said = Vec::new();
    for replica in replicas {
        said.extend(replica.await.unwrap().into_iter().map(|(_, judged)| judged));
    }
    assert_eq!(said.iter().filter(|judged| **judged == ACCEPTED).count(), 3);
    assert_eq!(said.iter().filter(|judged| **judged == HELD).count(), 7);
    let accepted = "SELECT count(*) FROM connections WHERE review_state = 'accepted'";
    assert_eq!(app.count(accepted).await, 3);
}

/// Something changes while a request is being judged by what was before: it is judged once more.
#[sqlx::test(migrations = "./migrations")]
async fn a_change_during_the_judging_is_not_missed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, KNOWN).await;
    let request = app.requested(&service).await;
    let ctx = app.application();
    let mut tx = app.db().begin().await.unwrap();
    let ids = [id_of(&request)];
    let said = judge(&mut tx, &ctx, &ids, TimeDelta::minutes(5))
        .await
        .unwrap();
    assert_eq!(said[0].1, HELD);
    // The change's wake, committed before the judging is: the account's own lock would let no change by, another replica's label does not ask for it.
    sqlx::query(
        "INSERT INTO judge_wakes (id, account_id, woken_at) VALUES (gen_random_uuid(), $1, now())",
    )
    .bind(CONSUMER)
    .execute(app.db())
    .await
    .unwrap();
    let waking = carry_out_wakes(&app.shared);
    let commit = async {
        app.queue_of(1).await;
        tx.commit().await.unwrap();
    };
    let (parts, ()) = tokio::join!(waking, commit);
    assert_eq!(parts.unwrap(), 1);
    let place = app.place().await;
    assert_eq!(run_pass(&place).await.unwrap().judged, [(ids[0], HELD)]);
}

/// A seller's worker says a word for each account whose agreement turns; they do not cost a transaction each. An account that has more waiting than a part takes is worked
/// off part by part.
#[sqlx::test(migrations = "./migrations")]
async fn words_of_many_accounts_are_heard_together(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("ledger", &["*"]).await;
    let accounts: Vec<String> = (0..40).map(|n| format!("6{n:011}")).collect();
    for account in &accounts {
        let _ = app.endpoint_of(account, &service);
    }
    app.run_worker().await;
    let rest = async || {
        carry_out_wakes(&app.shared).await.unwrap();
        run_pass(&app.place().await).await.unwrap()
    };
    rest().await;
    assert_eq!(rest().await.judged, []);
    let wake = "INSERT INTO judge_wakes (id, account_id, woken_at) SELECT gen_random_uuid(), account, now() FROM unnest($1::text[]) AS u (account)";
    let woken: Vec<String> = accounts.iter().cycle().take(80).cloned().collect();
    sqlx::query(wake)
        .bind(&woken)
        .execute(app.db())
        .await
        .unwrap();
    assert_eq!(carry_out_wakes(&app.shared).await.unwrap(), 1);
    assert_eq!(app.count("SELECT count(*) FROM judge_wakes").await, 0);
    let place = app.place().await;
    assert_eq!(run_pass(&place).await.unwrap().judged.len(), 40);

    // One of them has 600 that wait.
    let many = "INSERT INTO connections (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state, observed_at, first_seen_at)
                SELECT gen_random_uuid(), endpoint_service_id, account_region_id, 'vpce-' || lpad(to_hex(n), 17, '0'), owner_account, 'pendingAcceptance', observed_at, first_seen_at
                  FROM connections, generate_series(1, 600) AS n WHERE owner_account = $1";
    sqlx::query(many)
        .bind(&accounts[0])
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE connections SET judge_due_at = 'infinity'")
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query(wake)
        .bind(&accounts[..2])
        .execute(app.db())
        .await
        .unwrap();
    assert_eq!(carry_out_wakes(&app.shared).await.unwrap(), 3);
    let due = "SELECT count(*) FROM connections WHERE judge_due_at = '-infinity'";
    assert_eq!(app.count(due).await, 602);
    assert_eq!(app.count("SELECT count(*) FROM judge_wakes").await, 0);
}
