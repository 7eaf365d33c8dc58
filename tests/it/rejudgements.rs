//! What is live, judged again: what a preview tells and touches, what applying it does and when, how it is taken back, and that it is done once whoever does it.

use std::time::Duration;

use portcullis::app::rejudge::ask_within;
use portcullis::app::rejudge_step::{PART, Progress, step};
use portcullis::domain::actor::Actor;
use portcullis::domain::ids::RejudgementId;
use portcullis::domain::rejudgement::Scope;
use portcullis::domain::review_timer::TimerStep;
use portcullis::worker::rejudgements::{Report, run_pass};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::reviews::ADMIN;
use crate::support::{Answer, CONSUMER, HERE, Request, Service, TestApp, Who};

const THIRD: &str = "222233334444";
const HOUR: Duration = Duration::from_hours(1);
const NOTHING: Value = Value::Null;

/// Lets everybody in but the third account, of whom it says nothing.
const OPEN: &str = r#"
    @id("others") permit (principal, action, resource) unless { principal == Account::"222233334444" };
"#;

/// The same, and keeps one account out.
fn closed_to(account: &str) -> String {
    format!(
        r#"{OPEN} @id("unpaid") @reason("not_paid") @message("You have not paid.")
           forbid (principal == Account::"{account}", action, resource);"#
    )
}

impl TestApp {
    async fn try_to_rejudge(&self, scope: &Value) -> Answer {
        let mut body = scope.clone();
        body["reason"] = json!("the policy is new");
        self.post(Who::Admin, "/v1/rejudgements", &body).await
    }

    /// The loop, once; a second pass must find nothing to do.
    async fn carry_on(&self) -> Report {
        let report = run_pass(&self.shared).await.expect("a pass");
        let again = run_pass(&self.shared).await.expect("a second pass");
        assert_eq!(
            (again.open, again.steps),
            (0, 0),
            "what was done is done again"
        );
        report
    }

    /// Asks, and has the preview made.
    async fn previewed(&self, scope: &Value) -> Value {
        let asked = self.try_to_rejudge(scope).await.good();
        assert_eq!(asked["state"], "previewing");
        self.carry_on().await;
        let seen = self.rejudgement(&asked).await;
        assert_eq!(seen["state"], "previewed");
        seen
    }

    async fn rejudgement(&self, of: &Value) -> Value {
        let path = format!("/v1/rejudgements/{}", of["id"].as_str().unwrap());
        self.get(Who::Viewer, &path).await.good()
    }

    async fn try_to_apply(&self, of: &Value, grace: Duration, confirm: i64) -> Answer {
        let path = format!("/v1/rejudgements/{}/apply", of["id"].as_str().unwrap());
        let body = json!({
            "reason": "they were told", "grace_seconds": grace.as_secs(), "confirm_losing_access": confirm,
        });
        self.post(Who::Admin, &path, &body).await
    }

    async fn try_to_give_up(&self, of: &Value) -> Answer {
        let path = format!("/v1/rejudgements/{}/cancel", of["id"].as_str().unwrap());
        let body = json!({ "reason": "they have paid" });
        self.post(Who::Admin, &path, &body).await
    }

    /// What became of a connection, and why it was left as it is.
    async fn fate(&self, of: &Value, request: &Request) -> (Value, Value) {
        let path = format!(
            "/v1/rejudgements/{}/connections?limit=200",
            of["id"].as_str().unwrap()
        );
        let listed = self.get(Who::Viewer, &path).await.good();
        let items = listed["items"].as_array().unwrap();
        let row = items.iter().find(|row| row["connection_id"] == request.id);
        row.map_or((NOTHING, NOTHING), |row| {
            (row["state"].clone(), row["kept_as"].clone())
        })
    }

    async fn plan_of(&self, request: &Request) -> Value {
        self.connection(request).await["scheduled_revocation"].clone()
    }

    /// Somebody plans a revocation by hand.
    async fn plan_by_hand(&self, request: &Request, by: Duration) {
        let body = json!({ "at": self.clock_in(by), "reason": "the contract ends" });
        self.tell(Who::Approver, request, "schedule-revocation", &body)
            .await
            .good();
    }

    /// An accepted connection that lives.
    async fn live(&self, account: &str, service: &Service) -> Request {
        let request = self.requested_by(account, service).await;
        self.decide(&request, "accept").await;
        self.run_until_rest().await;
        assert_eq!(self.summary(&request).await, "available");
        request
    }

    /// Puts so many more connections like the only one there is beside it.
    async fn multiply_live(&self, count: i32) {
        let sql = format!(
            "DO $$ DECLARE columns text; BEGIN
                 SELECT string_agg(quote_ident(column_name), ', ') INTO columns FROM information_schema.columns
                  WHERE table_schema = 'public' AND table_name = 'connections' AND is_generated = 'NEVER'
                    AND column_name NOT IN ('id', 'endpoint_id');
                 EXECUTE format('INSERT INTO connections (id, endpoint_id, %s)
                                 SELECT gen_random_uuid(), ''vpce-'' || lpad(to_hex(n), 17, ''0''), %s
                                   FROM connections, generate_series(1, {count}) AS n', columns, columns);
             END $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(self.db())
            .await
            .unwrap();
    }
}

fn id_of(rejudgement: &Value) -> RejudgementId {
    rejudgement["id"].as_str().unwrap().parse().unwrap()
}

/// What `fate` answers of one that was kept.
fn kept_as(why: &str) -> (Value, Value) {
    (json!("kept"), json!(why))
}

/// Acme's two accounts and a third on one service, and one of Acme's on another; all live. The second account of Acme's has not paid.
struct Scene {
    acme: String,
    edge: Service,
    paid: Request,
    unpaid: Request,
    unpaid_elsewhere: Request,
    third: Request,
}

async fn scene(app: &TestApp) -> Scene {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER, THIRD]).await;
    let core = app.service_for("core", &[OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let paid = app.live(CONSUMER, &edge).await;
    let unpaid = app.live(OTHER, &edge).await;
    let unpaid_elsewhere = app.live(OTHER, &core).await;
    let third = app.live(THIRD, &edge).await;
    app.in_force(None, &closed_to(OTHER)).await;
    Scene {
        acme,
        edge,
        paid,
        unpaid,
        unpaid_elsewhere,
        third,
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_preview_tells_who_would_lose_access_and_touches_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    // A request is none of its business.
    let waiting = app.requested_by(OTHER, &scene.edge).await;
    let before = app.story(&scene.unpaid).await;
    let asked = app.try_to_rejudge(&json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let location = asked.header("location").to_owned();
    let asked = asked.good();
    assert_eq!(
        location,
        format!("/v1/rejudgements/{}", asked["id"].as_str().unwrap())
    );
    assert_eq!(
        (&asked["asked"]["by"], &asked["judged"]),
        (&json!(ADMIN), &json!(0))
    );
    app.carry_on().await;
    let seen = app.rejudgement(&asked).await;
    let counts = [&seen["judged"], &seen["losing_access"], &seen["held"]];
    assert_eq!(counts, [&json!(4), &json!(2), &json!(1)]);
    assert_eq!(seen["state"], "previewed");
    let samples = seen["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert_eq!(sample["owner_account"], OTHER);
        assert_eq!(sample["code"], "not_paid");
        assert_eq!(sample["sentence"], "You have not paid.");
        assert_eq!(sample["state"], "found");
    }
    assert_eq!(app.fate(&asked, &waiting).await.0, NOTHING);

    assert_eq!(app.story(&scene.unpaid).await, before);
    let due = app.pass_time(48 * HOUR).await;
    assert!(!due.contains(&TimerStep::RevokeScheduled), "{due:?}");
    app.run_until_rest().await;
    for request in [
        &scene.paid,
        &scene.unpaid,
        &scene.unpaid_elsewhere,
        &scene.third,
    ] {
        assert_eq!(app.summary(request).await, "available");
        assert_eq!(app.plan_of(request).await, NOTHING);
    }
    assert_eq!(app.actions_about("rejudgement").await, ["rejudgement.ask"]);

    for (scope, judged, losing) in [
        (json!({ "service_id": scene.edge.id }), 3, 1),
        (json!({ "consumer_id": scene.acme }), 3, 2),
        (json!({ "account_id": OTHER }), 2, 2),
        (json!({ "account_id": CONSUMER }), 1, 0),
        (json!({ "account_id": "999988887777" }), 0, 0),
    ] {
        let seen = app.previewed(&scope).await;
        let counts = [&seen["judged"], &seen["losing_access"]];
        assert_eq!(counts, [&json!(judged), &json!(losing)], "{scope}");
        for (member, value) in scope.as_object().unwrap() {
            assert_eq!(seen[member], *value);
        }
    }
    let of_service = format!("/v1/rejudgements?service_id={}", scene.edge.id);
    assert_eq!(app.ids(&of_service).await.len(), 1);
    assert_eq!(app.ids("/v1/rejudgements?state=previewed").await.len(), 6);
    let page = app
        .get(
            Who::Viewer,
            &format!("{location}/connections?limit=1&state=found"),
        )
        .await
        .good();
    let next = format!(
        "{location}/connections?limit=1&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let rest = app.get(Who::Viewer, &next).await.good();
    assert_eq!(rest["next_cursor"], NOTHING);
    assert_ne!(rest["items"][0], page["items"][0]);
}

#[sqlx::test(migrations = "./migrations")]
async fn only_what_was_shown_is_applied(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let asked = app.try_to_rejudge(&json!({})).await.good();
    let early = app.try_to_apply(&asked, HOUR, 0).await;
    early.refused("unseen", 409, "rejudgement_not_previewed");
    app.carry_on().await;
    let other = app.try_to_apply(&asked, HOUR, 1).await;
    other.refused("another number", 409, "preview_changed");
    let long = app.try_to_apply(&asked, 24 * 91 * HOUR, 2).await;
    long.refused("more than 90 days", 400, "invalid_request");
    app.carry_on().await;
    assert_eq!(app.rejudgement(&asked).await["state"], "previewed");
    let applied = app.try_to_apply(&asked, HOUR, 2).await.good();
    assert_eq!(applied["state"], "applying");
    let twice = app.try_to_apply(&asked, HOUR, 2).await;
    twice.refused("twice", 409, "rejudgement_not_previewed");

    let both = json!({ "service_id": scene.edge.id, "account_id": OTHER });
    app.try_to_rejudge(&both)
        .await
        .refused("two scopes", 400, "invalid_request");
    for (scope, code) in [
        (
            json!({ "service_id": "svc_00000000000000000000000000000000" }),
            "service_not_found",
        ),
        (
            json!({ "consumer_id": "cns_00000000000000000000000000000000" }),
            "consumer_not_found",
        ),
    ] {
        app.try_to_rejudge(&scope).await.refused("none", 404, code);
    }
    let nothing = json!({ "id": "rjd_00000000000000000000000000000000" });
    let code = "rejudgement_not_found";
    app.try_to_apply(&nothing, HOUR, 0)
        .await
        .refused("apply", 404, code);
    app.try_to_give_up(&nothing)
        .await
        .refused("cancel", 404, code);
    for path in ["", "/connections"] {
        let path = format!("/v1/rejudgements/rjd_00000000000000000000000000000000{path}");
        app.get(Who::Viewer, &path).await.refused(&path, 404, code);
    }
    assert_eq!(
        app.actions_about("rejudgement").await,
        ["rejudgement.apply", "rejudgement.ask"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn access_ends_after_the_grace_and_no_sooner(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({})).await;
    let applied = app.try_to_apply(&seen, HOUR, 2).await.good();
    let end = applied["applied"]["revoke_at"].clone();
    assert_eq!(end, app.clock_in(HOUR));
    app.carry_on().await;
    let seen = app.rejudgement(&seen).await;
    assert_eq!(seen["state"], "applied");
    let counts = [&seen["applied"]["planned"], &seen["applied"]["kept"]];
    assert_eq!(counts, [&json!(2), &json!(0)]);
    let plan = app.plan_of(&scene.unpaid).await;
    assert_eq!((&plan["at"], &plan["by"]), (&end, &json!(ADMIN)));
    let reason = plan["reason"].as_str().unwrap().to_owned();
    for part in [
        seen["id"].as_str().unwrap(),
        "You have not paid.",
        "they were told",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let story = app.story(&scene.unpaid).await;
    assert!(
        story.iter().any(|step| step == "revocation_scheduled"),
        "{story:?}"
    );

    assert_eq!(app.pass_time(Duration::from_secs(3599)).await, []);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.unpaid).await, "available");
    let revoked = [TimerStep::RevokeScheduled, TimerStep::RevokeScheduled];
    assert_eq!(app.pass_time(Duration::from_secs(1)).await, revoked);
    app.run_until_rest().await;
    for request in [&scene.unpaid, &scene.unpaid_elsewhere] {
        assert_eq!(app.summary(request).await, "revoked");
        assert_eq!(app.rejects(request), 1);
    }
    for request in [&scene.paid, &scene.third] {
        assert_eq!(app.summary(request).await, "available");
        assert_eq!(app.rejects(request), 0);
    }
    let said: String =
        sqlx::query_scalar("SELECT min(reason) FROM decisions WHERE verb = 'revoke'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(said, reason);
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_grace_access_ends_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let seen = app.previewed(&json!({ "service_id": scene.edge.id })).await;
    app.try_to_apply(&seen, Duration::ZERO, 1).await.good();
    app.carry_on().await;
    assert_eq!(app.timers().await, [TimerStep::RevokeScheduled]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.unpaid).await, "revoked");
    assert_eq!(app.summary(&scene.unpaid_elsewhere).await, "available");
}

/// What the preview found is judged once more when its turn comes, and only that.
#[sqlx::test(migrations = "./migrations")]
async fn what_has_changed_since_the_preview_counts(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let core = app.service_for("core", &[OTHER]).await;
    let elsewhere = app.live(OTHER, &core).await;
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(app.live(OTHER, &edge).await);
    }
    let [plain, sooner, later, gone, revoked] = &requests[..] else {
        panic!("five");
    };
    app.in_force(None, &closed_to(OTHER)).await;
    let seen = app.previewed(&json!({})).await;
    assert_eq!(seen["losing_access"], 6);

    // A connection that came after the preview, whatever would be said of it.
    let new = app.live(OTHER, &edge).await;
    // The other service lets them in again: a forbid cannot be overruled, so the provider's has to go.
    let only_edge = format!(
        r#"{OPEN} @id("unpaid") @reason("not_paid") forbid (principal, action, resource == Service::"{}");"#,
        edge.id
    );
    app.in_force(None, &only_edge).await;
    app.plan_by_hand(sooner, HOUR).await;
    app.plan_by_hand(later, 50 * HOUR).await;
    let consumer = app
        .sim()
        .consumer(OTHER.parse().unwrap(), HERE.parse().unwrap());
    consumer.delete_endpoint(&gone.endpoint).unwrap();
    app.decide(revoked, "revoke").await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;

    app.try_to_apply(&seen, 2 * HOUR, 6).await.good();
    app.carry_on().await;
    let planned = (json!("planned"), NOTHING);
    assert_eq!(app.fate(&seen, plain).await, planned);
    assert_eq!(app.fate(&seen, later).await, planned);
    assert_eq!(app.fate(&seen, sooner).await, kept_as("planned_before"));
    assert_eq!(app.fate(&seen, gone).await, kept_as("not_live"));
    assert_eq!(app.fate(&seen, revoked).await, kept_as("not_live"));
    assert_eq!(app.fate(&seen, &elsewhere).await, kept_as("not_rejected"));
    assert_eq!(app.fate(&seen, &new).await, (NOTHING, NOTHING));
    let after = app.rejudgement(&seen).await;
    let counts = [&after["applied"]["planned"], &after["applied"]["kept"]];
    assert_eq!(counts, [&json!(2), &json!(4)]);

    assert_eq!(app.plan_of(sooner).await["reason"], "the contract ends");
    assert_eq!(
        app.plan_of(later).await["at"],
        after["applied"]["revoke_at"]
    );
    for request in [&elsewhere, &new] {
        assert_eq!(app.plan_of(request).await, NOTHING);
    }
    let taken = app.pass_time(2 * HOUR).await;
    let revocations = taken
        .iter()
        .filter(|step| **step == TimerStep::RevokeScheduled);
    assert_eq!(
        revocations.count(),
        3,
        "two of its own, and the earlier one"
    );
}

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
    let plans = "SELECT count(*) FROM reviews WHERE revoke_at IS NOT NULL";
    assert_eq!(app.count(plans).await, count);
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM reviews WHERE revoke_at IS NOT NULL GROUP BY xmin::text) AS parts";
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
