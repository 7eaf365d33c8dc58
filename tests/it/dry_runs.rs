//! Dry runs: what a policy would change of what was decided and of what is live, counted once whoever counts, and asked for before it is put in force.

use std::time::Duration;

use portcullis::app::dry_run_policy::{PAGE, Step, claim};
use portcullis::app::preconditions::ExpectedVersion;
use portcullis::domain::clock::Clock;
use portcullis::domain::ids::{ConnectionId, uuid_at};
use portcullis::worker::dry_runs::{Report, run_pass};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::policies::{KNOWN, NOBODY, text_of};
use crate::support::{CONSUMER, Request, Service, TestApp, Who};

impl TestApp {
    /// A connection that somebody accepted and that is up.
    async fn connected(&self, service: &Service) -> Request {
        let request = self.requested(service).await;
        self.decide(&request, "accept").await;
        self.run_until_rest().await;
        assert_eq!(self.summary(&request).await, "available");
        request
    }

    /// A decision that nobody was asked about.
    async fn rejected_by_a_timer(&self, request: &Request) {
        let connection: ConnectionId = request.id.parse().unwrap();
        sqlx::query(
            "INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at)
             VALUES ($1, $2, 'reject', 'policy', 'timer', 'nobody decided', '{}', $3)",
        )
        .bind(uuid_at(self.clock.now()))
        .bind(connection.uuid())
        .bind(self.clock.now())
        .execute(self.db())
        .await
        .unwrap();
        self.advance(Duration::from_secs(1));
    }

    /// The runner of a run was not heard of for a while.
    async fn runner_dies(&self) {
        sqlx::query("UPDATE policy_dry_runs SET alive_at = now() - interval '2 minutes' WHERE state = 'running'")
            .execute(self.db())
            .await
            .unwrap();
    }
}

fn figures(run: &Value) -> Vec<u64> {
    [
        "judged",
        "live",
        "without_facts",
        "newly_accepted",
        "newly_held",
        "newly_rejected",
        "losing_access",
        "live_held",
    ]
    .iter()
    .map(|member| run["result"][member].as_u64().expect("a number"))
    .collect()
}

/// People's decisions are judged by what was known when they decided, and compared with what they decided. What nobody was asked about goes by the last
/// judgement before it.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_decided_and_what_lives_is_counted_by_what_would_change(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let other = app.created_service("other").await;
    let decided = async |verb: &str| {
        let request = app.requested(&service).await;
        app.decide(&request, verb).await;
        app.advance(Duration::from_secs(1));
        // What is said later does not count.
        app.judged_by_hand(&request, &app.facts(&service, verb == "reject"), None)
            .await;
        app.run_until_rest().await;
    };
    // What would come of each by KNOWN.
    decided("accept").await; // newly held
    decided("reject").await; // newly held
    app.add_consumer_with("Acme", &[CONSUMER]).await;
    decided("accept").await; // stays
    decided("reject").await; // newly accepted
    app.rejected_by_a_timer(&app.requested(&service).await)
        .await; // cannot be judged again
    let request = app.requested(&service).await;
    for known in [false, true] {
        app.judged_by_hand(&request, &app.facts(&service, known), None)
            .await;
        app.advance(Duration::from_secs(1));
    }
    app.rejected_by_a_timer(&request).await; // newly accepted
    app.connected(&other).await; // stays
    let live = "SELECT count(*) FROM connections WHERE review_state = 'accepted' AND observed_state = 'available'";
    assert_eq!(app.count(live).await, 3);

    let wide = app.draft(None, KNOWN).await;
    let run = app.dry_run(&wide, 100).await;
    assert_eq!(figures(&run), [6 + 3, 3, 1, 2, 2, 0, 0, 0], "{run}");
    let narrow = app.draft(Some(&service), KNOWN).await;
    let run = app.dry_run(&narrow, 100).await;
    assert_eq!(figures(&run), [5 + 2, 2, 1, 2, 2, 0, 0, 0], "{run}");
    let run = app.dry_run(&narrow, 2).await;
    assert_eq!(
        figures(&run),
        [1 + 2, 2, 1, 1, 0, 0, 0, 0],
        "the last two alone: {run}"
    );
    let samples = run["result"]["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 1, "{run}");
    assert_eq!(samples[0]["change"], "newly_accepted");
    assert_eq!(samples[0]["before"], "reject");
    assert!(text_of(&samples[0], "id").starts_with("dec_"));
    let closing = app.draft(Some(&service), NOBODY).await;
    let run = app.dry_run(&closing, 100).await;
    assert_eq!(figures(&run), [5 + 2, 2, 1, 0, 0, 2, 2, 0], "{run}");
    let samples = run["result"]["samples"].as_array().unwrap();
    let cut = samples.iter().find(|one| one["change"] == "loses_access");
    assert!(text_of(cut.unwrap(), "id").starts_with("con_"));

    // Beside a set that forbids, nothing is accepted.
    let nobody = app.tested(None, NOBODY).await;
    app.try_to_activate(&nobody, Some(3)).await.good();
    let run = app.dry_run(&narrow, 100).await;
    assert_eq!(figures(&run), [5 + 2, 2, 1, 0, 0, 2, 2, 0], "{run}");
    assert_eq!(run["others"], json!({ "provider": nobody["digest"] }));
}

#[sqlx::test(migrations = "./migrations")]
async fn what_cuts_too_many_off_has_to_be_confirmed_by_its_number(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.connected(&service).await;
    app.connected(&service).await;
    let policy = app.tested(None, NOBODY).await;
    let refusal = app.try_to_activate(&policy, None).await;
    refusal.refused("unconfirmed", 409, "policy_cuts_too_much");
    let detail = refusal.json()["detail"].to_string();
    assert!(detail.contains("2 of 2 live connections"), "{detail}");
    for other in [0, 1, 3] {
        let refusal = app.try_to_activate(&policy, Some(other)).await;
        refusal.refused("another number", 409, "preview_changed");
    }
    assert_eq!(app.policy(&policy).await["state"], "tested");

    // The number that was shown is not the number any more.
    app.connected(&service).await;
    app.dry_run(&policy, 0).await;
    let refusal = app.try_to_activate(&policy, Some(2)).await;
    refusal.refused("the old number", 409, "preview_changed");
    assert!(refusal.json()["detail"].to_string().contains("3 of 3"));
    let active = app.try_to_activate(&policy, Some(3)).await.good();
    assert_eq!(active["state"], "active");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_small_share_needs_no_confirmation(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let service = app.with_service().await;
    app.connected(&service).await;
    app.shared.policies.max_cut_percent = 100;
    let policy = app.tested(None, NOBODY).await;
    let ctx = app.application();
    let actor = portcullis::domain::actor::Actor::worker();
    let id = text_of(&policy, "id").parse().unwrap();
    let version = policy["version"].as_i64().unwrap();
    let done = portcullis::app::activate_policy::activate(
        &ctx,
        &actor,
        id,
        ExpectedVersion::Exactly(version),
        None,
        "to see",
    );
    done.await.unwrap();
    assert_eq!(app.policy(&policy).await["state"], "active");
}

#[sqlx::test(migrations = "./migrations")]
async fn another_goes_on_where_a_runner_died_and_nothing_is_counted_twice(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let live = app.connected(&service).await;
    // More than one page of decisions about one connection, all by the same facts.
    let facts = app.facts(&service, true);
    let connection: ConnectionId = live.id.parse().unwrap();
    sqlx::query(
        "INSERT INTO judgements (id, connection_id, judged_at, outcome, gate, reasons, policies, policy_versions, facts)
         VALUES (gen_random_uuid(), $1, '2020-01-01', 'hold', 'policy', '[]', '{}', '{}', $2)",
    )
    .bind(connection.uuid())
    .bind(&facts)
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at)
         SELECT gen_random_uuid(), $1, 'accept', 'person', 'a test', 'many', '{}', now() FROM generate_series(1, $2)",
    )
    .bind(connection.uuid())
    .bind(PAGE + 499)
    .execute(app.db())
    .await
    .unwrap();
    let policy = app.draft(None, NOBODY).await;
    let path = app.ask_for_dry_run(&policy, 10_000).await;
    let (ctx, now) = (app.application(), app.clock.now());
    let (dead, heir) = (uuid_at(now), uuid_at(now));
    let mut first = claim(&ctx, dead).await.unwrap().expect("a run");
    assert_eq!(first.step(&ctx).await.unwrap(), Step::More);
    let shown = app.get(Who::Viewer, &path).await.good();
    assert_eq!(
        (&shown["state"], &shown["stage"]),
        (&json!("running"), &json!("decisions"))
    );
    assert_eq!(figures(&shown)[0], u64::try_from(PAGE).unwrap());

    let report = run_pass(&app.shared, heir).await.unwrap();
    assert_eq!(report, Report::default(), "its runner lives");
    app.runner_dies().await;
    let report = run_pass(&app.shared, heir).await.unwrap();
    assert_eq!((report.taken, report.done), (1, 1));
    let done = app.get(Who::Viewer, &path).await.good();
    let all = u64::try_from(PAGE + 500).unwrap();
    assert_eq!(figures(&done), [all + 1, 1, 0, 0, 0, all, 1, 0], "{done}");
    // It wakes up and finds that the run is not its own any more.
    assert_eq!(first.step(&ctx).await.unwrap(), Step::Lost);
    assert_eq!(app.get(Who::Viewer, &path).await.good(), done);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_of_a_text_that_is_gone_ends(pool: PgPool) {
    let app = TestApp::start(pool);
    let policy = app.draft(None, KNOWN).await;
    let path = app.ask_for_dry_run(&policy, 10).await;
    let twice = app
        .policy_step(&policy, "dry-runs", &json!({ "decisions": 10 }))
        .await;
    twice.refused("a second one", 409, "dry_run_open");
    let (ctx, runner) = (app.application(), uuid_at(app.clock.now()));
    let mut run = claim(&ctx, runner).await.unwrap().expect("a run");
    let policy = app
        .change_policy(&policy, json!({ "text": NOBODY }))
        .await
        .good();
    assert_eq!(run.step(&ctx).await.unwrap(), Step::Lost);
    let shown = app.get(Who::Viewer, &path).await.good();
    assert_eq!(shown["state"], "failed", "{shown}");
    assert!(text_of(&shown, "failure").contains("another text"));
    let run = app.dry_run(&policy, 10).await;
    assert_eq!(run["digest"], policy["digest"]);

    let path = text_of(&policy, "id").to_owned();
    let missing = format!("/v1/policies/{path}/dry-runs/dry_{:032x}", 1);
    let refusal = app.get(Who::Viewer, &missing).await;
    refusal.refused("no such run", 404, "dry_run_not_found");
    let nowhere = format!(
        "/v1/policies/pol_{:032x}/dry-runs/{}",
        1,
        text_of(&run, "id")
    );
    let refusal = app.get(Who::Viewer, &nowhere).await;
    refusal.refused("no such policy", 404, "policy_not_found");
    for decisions in [-1, 1_000_001] {
        let refusal = app
            .policy_step(&policy, "dry-runs", &json!({ "decisions": decisions }))
            .await;
        refusal.refused("too many", 400, "invalid_request");
    }
}

/// What was counted beside other sets says nothing about these.
#[sqlx::test(migrations = "./migrations")]
async fn an_heir_begins_anew_where_other_policies_decide_now(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.judged_by_hand(&request, &app.facts(&service, true), None)
        .await;
    app.decide(&request, "accept").await;
    let policy = app.draft(Some(&service), KNOWN).await;
    let path = app.ask_for_dry_run(&policy, 10).await;
    let (ctx, now) = (app.application(), app.clock.now());
    let mut first = claim(&ctx, uuid_at(now)).await.unwrap().expect("a run");
    assert_eq!(first.step(&ctx).await.unwrap(), Step::More);
    let wide = {
        // The other run is at work, so this one is done by hand.
        let wide = app.draft(None, NOBODY).await;
        let facts = app.facts(&service, true);
        let cases = json!({ "cases": [{ "name": "x", "facts": facts, "expect": "reject" }] });
        app.policy_step(&wide, "test", &cases).await.good();
        app.dry_run(&wide, 0).await;
        app.policy(&wide).await
    };
    app.try_to_activate(&wide, Some(1)).await.good();
    app.runner_dies().await;
    run_pass(&app.shared, uuid_at(now)).await.unwrap();
    let done = app.get(Who::Viewer, &path).await.good();
    assert_eq!(done["others"], json!({ "provider": wide["digest"] }));
    assert_eq!(done["result"]["newly_rejected"], 1, "{done}");
}
