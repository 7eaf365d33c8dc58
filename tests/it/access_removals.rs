//! Access that is taken away: what it shows before, principals and connections both gone in AWS, grace, taking it back, and that nothing slips through.

use std::time::Duration;

use portcullis::app::block_step::{self, Progress};
use portcullis::app::end_access_step;
use portcullis::domain::ids::AccessRemovalId;
use portcullis::worker::{access, observe};
use privatelink::ConnectionState;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::drifts::OTHER;
use crate::support::reviews::ADMIN;
use crate::support::{Answer, CONSUMER, Request, Service, TestApp, Who};

impl TestApp {
    pub(crate) async fn removal_preview(&self, cause: &Value) -> Value {
        let body = json!({ "cause": cause });
        let path = "/v1/access-removals/preview";
        self.post(Who::Viewer, path, &body).await.good()
    }

    pub(crate) async fn try_to_end_access(
        &self,
        cause: &Value,
        confirm: &Value,
        grace: u32,
    ) -> Answer {
        let body = json!({
            "cause": cause, "confirm": confirm, "grace_seconds": grace, "reason": "the contract ended",
        });
        self.post(Who::Admin, "/v1/access-removals", &body).await
    }

    /// Looks at the preview and takes access away.
    pub(crate) async fn end_access(&self, cause: &Value, grace: u32) -> Value {
        let confirm = self.removal_preview(cause).await["confirm"].clone();
        self.try_to_end_access(cause, &confirm, grace).await.good()
    }

    async fn removal(&self, begun: &Value) -> Value {
        let path = format!("/v1/access-removals/{}", begun["id"].as_str().unwrap());
        self.get(Who::Viewer, &path).await.good()
    }

    async fn try_to_take_back(&self, begun: &Value) -> Answer {
        let id = begun["id"].as_str().unwrap();
        let path = format!("/v1/access-removals/{id}/cancel");
        let body = json!({ "reason": "signed after all" });
        self.post(Who::Admin, &path, &body).await
    }

    /// What AWS itself has of an endpoint.
    fn aws_state(&self, account: &str, request: &Request) -> ConnectionState {
        let state = self.account(account).endpoint_state(&request.endpoint);
        state.unwrap().expect("listed")
    }

    /// The worker looks at connections and tells AWS nothing.
    async fn observe_only(&self) {
        observe::run_pass(&self.place().await).await.unwrap();
    }
}

fn of_principal(service: &Service, principal: &str) -> Value {
    json!({ "kind": "principal", "service_id": service.id, "principal": principal })
}

/// One account with access that was given, one request of it that waits, and a stranger.
struct Scene {
    edge: Service,
    live: Request,
    waiting: Request,
    stranger: Request,
}

async fn scene(app: &TestApp) -> Scene {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let live = app.requested_by(OTHER, &edge).await;
    let stranger = app.requested_by(CONSUMER, &edge).await;
    for request in [&live, &stranger] {
        app.decide(request, "accept").await;
    }
    app.run_until_rest().await;
    let waiting = app.requested_by(OTHER, &edge).await;
    Scene {
        edge,
        live,
        waiting,
        stranger,
    }
}

/// Revoking means the principal removed and the connections rejected: both, in AWS.
#[sqlx::test(migrations = "./migrations")]
async fn principal_and_connections_go_in_aws_when_the_grace_is_over(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    assert_eq!(preview["account_id"], OTHER);
    assert_eq!(preview["services"][0]["principals"], json!([root(OTHER)]));
    let shown: Vec<&str> = preview["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&scene.live.id.as_str()) && shown.contains(&scene.waiting.id.as_str()));

    let begun = app.end_access(&cause, 3600).await;
    assert_eq!(begun["state"], "grace");
    app.carry_access_on().await;
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert!(
        app.account(OTHER)
            .create_endpoint(&scene.edge.name)
            .is_err(),
        "AWS lets nobody new in"
    );
    assert_eq!(app.summary(&scene.live).await, "available", "it has time");
    assert_eq!(
        app.summary(&scene.waiting).await,
        "rejected",
        "it had no access yet"
    );
    let desk = app.connection(&scene.live).await;
    assert_eq!(
        (
            &desk["scheduled_revocation"]["at"],
            &desk["scheduled_revocation"]["by"]
        ),
        (&begun["ends_at"], &json!(ADMIN)),
        "{desk}"
    );

    app.pass_time(Duration::from_mins(59)).await;
    app.carry_access_on().await;
    assert_eq!(
        app.aws_state(OTHER, &scene.live),
        ConnectionState::Available
    );
    app.pass_time(Duration::from_mins(2)).await;
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&scene.live).await, "revoked");
    assert_eq!(app.summary(&scene.stranger).await, "available");
    app.carry_access_on().await;
    let done = app.removal(&begun).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["connections"]["scheduled"], 1);
    assert_eq!(done["connections"]["rejected"], 1);
    let rest = access::run_pass(&app.shared).await.unwrap();
    assert_eq!(rest.open, 0);
    let notices =
        "SELECT count(*) FROM connection_notices WHERE kind IN ('access_ending', 'access_ended')";
    assert_eq!(app.count(notices).await, 2);
    assert_eq!(
        app.actions_about("access_removal").await,
        ["access_removal.begin", "access_removal.done"]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_grace_it_ends_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let begun = app.end_access(&of_principal(&scene.edge, OTHER), 0).await;
    assert_eq!(begun["state"], "ending");
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(
        app.aws_state(OTHER, &scene.waiting),
        ConnectionState::Rejected
    );
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.summary(&scene.stranger).await, "available");
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
    let late = app.try_to_take_back(&begun).await;
    late.refused("after the end", 409, "access_removal_over");
    let (actor, reason): (String, String) =
        sqlx::query_as("SELECT actor, reason FROM decisions WHERE verb = 'revoke'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(actor, ADMIN);
    assert!(
        reason.contains("the contract ended") && reason.contains("arm_"),
        "{reason}"
    );
}

/// What another principal lets in stays, and the preview says by which.
#[sqlx::test(migrations = "./migrations")]
async fn what_another_principal_lets_in_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let role = format!("arn:aws:iam::{OTHER}:role/edge");
    for also in [role.as_str(), "*"] {
        let all = json!({ "allowed_principals": [CONSUMER, OTHER, also] });
        app.change(&scene.edge, &all).await;
        app.run_until_rest().await;
        let cause = of_principal(&scene.edge, &root(OTHER));
        let preview = app.removal_preview(&cause).await;
        assert_eq!(
            preview["confirm"],
            json!({ "connections": 0, "principals": 1 })
        );
        let stays = &preview["connections_that_stay"];
        assert_eq!(stays.as_array().unwrap().len(), 2, "{also}");
        assert_eq!(stays[0]["kept_by"], also);
        app.end_access(&cause, 0).await;
        app.carry_access_on().await;
        assert_eq!(app.summary(&scene.live).await, "available");
        assert_eq!(app.summary(&scene.waiting).await, "waiting");
    }
    // Everybody goes: whoever has a principal of its own stays.
    let preview = app.removal_preview(&of_principal(&scene.edge, "*")).await;
    assert_eq!(preview["account_id"], Value::Null);
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    assert_eq!(preview["connections_that_stay"][0]["account_id"], CONSUMER);
    app.end_access(&of_principal(&scene.edge, "*"), 0).await;
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&scene.stranger).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_leaves_its_consumer_loses_access_everywhere(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let own = app.service_for("own", &[]).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    // The account itself was approved for one service, whoever it belongs to.
    let request = app.ask(&[&own], &json!({})).await;
    app.give(&request).await;
    // The consumer was approved for another.
    let theirs = app
        .ask(&[&scene.edge], &json!({ "consumer_id": acme }))
        .await;
    app.give(&theirs).await;
    app.run_until_rest().await;
    let approved = app.requested_by(OTHER, &own).await;
    app.decide(&approved, "accept").await;
    app.run_until_rest().await;
    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 2, "principals": 1 })
    );
    let kept: Vec<&Value> = preview["services"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|service| service["principals_that_stay"].as_array().unwrap())
        .collect();
    assert_eq!(kept.len(), 1, "{preview}");
    assert_eq!(kept[0]["access_request_id"], request);
    let denial = app.deny(&json!({ "consumer_id": acme })).await;
    let refused = app.try_to_end_access(&cause, &preview["confirm"], 0).await;
    refused.refused("a way around the denial", 409, "consumer_denied");
    app.lift(Who::Admin, &denial).await.good();
    app.end_access(&cause, 0).await;
    let members = format!("/v1/consumers/{acme}/accounts");
    assert!(app.ids(&members).await.is_empty());
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.summary(&approved).await, "available");
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.allowed(&own).await, [root(OTHER)]);
    assert_eq!(app.access_request(&request).await["state"], "approved");
    assert_eq!(app.access_request(&theirs).await["state"], "revoked");
}

/// Only what requests alone brought goes with the last of them.
#[sqlx::test(migrations = "./migrations")]
async fn a_request_that_is_revoked_takes_what_it_brought(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[OTHER]).await;
    let fresh = app.service_for("fresh", &[]).await;
    let one = app.ask(&[&edge, &fresh], &json!({})).await;
    app.give(&one).await;
    let two = app.ask(&[&fresh], &json!({})).await;
    app.give(&two).await;
    app.run_until_rest().await;
    let mut live = Vec::new();
    for service in [&edge, &fresh] {
        let request = app.requested_by(OTHER, service).await;
        app.decide(&request, "accept").await;
        live.push(request);
    }
    app.run_until_rest().await;
    let of = |id: &str| json!({ "kind": "access_request", "access_request_id": id });
    let preview = app.removal_preview(&of(&one)).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 0, "principals": 0 })
    );
    assert_eq!(
        preview["connections_that_stay"].as_array().unwrap().len(),
        2
    );
    app.end_access(&of(&one), 0).await;
    app.carry_access_on().await;
    assert_eq!(app.access_request(&one).await["state"], "revoked");
    let again = json!({ "connections": 0, "principals": 0 });
    let twice = app.try_to_end_access(&of(&one), &again, 0).await;
    twice.refused("twice", 409, "access_request_not_approved");
    assert_eq!(app.allowed(&fresh).await, [root(OTHER)]);

    let preview = app.removal_preview(&of(&two)).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 1, "principals": 1 })
    );
    app.end_access(&of(&two), 0).await;
    app.carry_access_on().await;
    assert!(app.allowed(&fresh).await.is_empty());
    assert_eq!(app.aws_state(OTHER, &live[1]), ConnectionState::Rejected);
    assert_eq!(
        app.allowed(&edge).await,
        [root(OTHER)],
        "it was there before"
    );
    assert_eq!(app.summary(&live[0]).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_confirmed_has_to_be_what_would_be_done(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    let confirm = app.removal_preview(&cause).await["confirm"].clone();
    let fresh = app.requested_by(OTHER, &scene.edge).await;
    let stale = app.try_to_end_access(&cause, &confirm, 0).await;
    stale.refused("one more since", 409, "preview_changed");
    assert!(
        app.ids("/v1/access-removals").await.is_empty(),
        "nothing is left of it"
    );
    let named = app.service(&scene.edge.id).await["allowed_principals"].clone();
    assert_eq!(named, json!([root(CONSUMER), root(OTHER)]));
    app.decide(&fresh, "reject").await;
    let long = app.try_to_end_access(&cause, &confirm, 7_776_001).await;
    long.refused("too long", 400, "invalid_request");
    app.try_to_end_access(&cause, &confirm, 0).await.good();
    let twice = app.try_to_end_access(&cause, &confirm, 0).await;
    twice.refused("twice", 404, "principal_not_found");
    let nobody = "00000000000000000000000000000000";
    let acme = app.add_consumer("Acme").await;
    let service = format!("svc_{nobody}");
    for (cause, status, code) in [
        (
            json!({ "kind": "principal", "service_id": service, "principal": "*" }),
            404,
            "service_not_found",
        ),
        (of_principal(&scene.edge, "else"), 400, "invalid_request"),
        (
            json!({ "kind": "account", "consumer_id": format!("cns_{nobody}"), "account_id": OTHER }),
            404,
            "consumer_not_found",
        ),
        (
            json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER }),
            404,
            "consumer_account_not_found",
        ),
        (
            json!({ "kind": "access_request", "access_request_id": format!("acq_{nobody}") }),
            404,
            "access_request_not_found",
        ),
        (json!({ "kind": "mood" }), 400, "invalid_json"),
    ] {
        let body = json!({ "cause": cause });
        let answer = app
            .post(Who::Viewer, "/v1/access-removals/preview", &body)
            .await;
        answer.refused(&cause.to_string(), status, code);
    }
    let unknown = json!({ "id": format!("arm_{nobody}") });
    let answer = app.try_to_take_back(&unknown).await;
    answer.refused("unknown", 404, "access_removal_not_found");
}

/// All that was taken comes back within the grace, except for what was rejected at once.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_can_be_taken_back_while_its_grace_lasts(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    let fresh = app.service_for("fresh", &[]).await;
    let request = app.ask(&[&fresh], &json!({ "consumer_id": acme })).await;
    app.give(&request).await;
    app.run_until_rest().await;
    let later = json!({ "at": app.clock_in(Duration::from_hours(24)), "reason": "as agreed" });
    app.tell(Who::Approver, &scene.live, "schedule-revocation", &later)
        .await
        .good();

    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    assert!(app.allowed(&fresh).await.is_empty());
    assert_eq!(app.access_request(&request).await["state"], "revoked");
    let taken = app.try_to_take_back(&begun).await.good();
    assert_eq!(taken["state"], "cancelling");
    app.carry_access_on().await;
    let over = app.removal(&begun).await;
    assert_eq!(
        (&over["state"], &over["connections"]["restored"]),
        (&json!("cancelled"), &json!(1))
    );
    assert_eq!(
        app.allowed(&scene.edge).await,
        [root(CONSUMER), root(OTHER)]
    );
    assert_eq!(app.allowed(&fresh).await, [root(OTHER)]);
    assert_eq!(app.access_request(&request).await["state"], "approved");
    let members = format!("/v1/consumers/{acme}/accounts");
    let member = app.get(Who::Viewer, &members).await.good()["items"][0].clone();
    assert_eq!(
        (&member["account_id"], &member["known_by"]),
        (&json!(OTHER), &json!("observed"))
    );
    let desk = app.connection(&scene.live).await;
    assert_eq!(
        desk["scheduled_revocation"]["at"], later["at"],
        "as it was planned before"
    );
    assert_eq!(
        app.summary(&scene.waiting).await,
        "rejected",
        "AWS has no way back"
    );
    let twice = app.try_to_take_back(&begun).await;
    twice.refused("twice", 409, "access_removal_over");
    app.pass_time(Duration::from_hours(2)).await;
    app.carry_access_on().await;
    assert_eq!(app.summary(&scene.live).await, "available");
    assert_eq!(
        app.actions_about("access_removal").await,
        [
            "access_removal.begin",
            "access_removal.cancel",
            "access_removal.cancelled"
        ]
    );
}

/// An accept of the same account's against the removal: whichever comes first, nobody has access in the end.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_that_is_accepted_slips_past_a_removal(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    for accept_first in [true, false] {
        let new = app.requested_by(OTHER, &scene.edge).await;
        let cause = of_principal(&scene.edge, OTHER);
        let confirm = app.removal_preview(&cause).await["confirm"].clone();
        let held = app.hold_account(OTHER).await;
        let accept = app.try_to_decide(Who::Approver, &new, "accept");
        let end = app.try_to_end_access(&cause, &confirm, 0);
        let let_go = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (accepted, ended, ()) = if accept_first {
            let end = async {
                app.queue_of(1).await;
                end.await
            };
            tokio::join!(accept, end, let_go)
        } else {
            let accept = async {
                app.queue_of(1).await;
                accept.await
            };
            tokio::join!(accept, end, let_go)
        };
        let begun = ended.good();
        if accept_first {
            accepted.good();
        } else {
            accepted.refused("after the removal", 409, "access_ending");
        }
        // AWS was not told yet, so one more can come in; nobody accepts it, and it is rejected.
        let endpoint = app.endpoint_of(OTHER, &scene.edge);
        app.observe_only().await;
        let late = app.found(&endpoint).await;
        let answer = app.try_to_decide(Who::Admin, &late, "accept").await;
        answer.refused("later", 409, "access_ending");
        app.carry_access_on().await;
        app.carry_access_on().await;
        for request in [&new, &late, &scene.waiting] {
            assert_eq!(app.aws_state(OTHER, request), ConnectionState::Rejected);
        }
        assert_eq!(app.removal(&begun).await["state"], "done");
        app.change(
            &scene.edge,
            &json!({ "allowed_principals": [CONSUMER, OTHER] }),
        )
        .await;
        app.run_until_rest().await;
    }
    let again = app.requested_by(OTHER, &scene.edge).await;
    app.decide(&again, "accept").await;
}

/// A plain change of the service takes the principal and nobody's access, and says how many keep it.
#[sqlx::test(migrations = "./migrations")]
async fn a_plain_change_says_who_keeps_access(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let changed = app.change(&scene.edge, &json!({ "name": "Edge" })).await;
    assert_eq!(changed["connections_without_principal"], Value::Null);
    let only = json!({ "allowed_principals": [CONSUMER] });
    let changed = app.change(&scene.edge, &only).await;
    assert_eq!(changed["connections_without_principal"], 2, "{changed}");
    app.run_until_rest().await;
    assert_eq!(app.summary(&scene.live).await, "available");
}

/// Somebody lets the account in again while the removal is under way: that is the later word.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_let_in_again_meanwhile_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    app.end_access(&of_principal(&scene.edge, OTHER), 0).await;
    let all = json!({ "allowed_principals": [CONSUMER, OTHER] });
    app.change(&scene.edge, &all).await;
    app.carry_access_on().await;
    assert_eq!(app.summary(&scene.live).await, "available");
    app.decide(&scene.waiting, "accept").await;
}

/// Taking it back against the timer that revokes. The one that has the service first is the one that counts, also where the worker has not undone
/// the plan yet.
#[sqlx::test(migrations = "./migrations")]
async fn taking_it_back_against_the_timer_has_one_outcome(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let cause = of_principal(&scene.edge, OTHER);
    // Taken back in time; the timer finds the plan before the worker has undone it.
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    app.try_to_take_back(&begun).await.good();
    app.pass_time(Duration::from_hours(2)).await;
    assert_eq!(
        app.connection(&scene.live).await["review"]["state"],
        "accepted"
    );
    app.carry_access_on().await;
    let over = app.removal(&begun).await;
    assert_eq!(
        (&over["state"], &over["connections"]["restored"]),
        (&json!("cancelled"), &json!(1))
    );
    assert_eq!(app.summary(&scene.live).await, "available");
    let notices = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
    assert_eq!(app.count(notices).await, 1);

    // It waits for the service while the time runs out and the timer comes: too late.
    let begun = app.end_access(&cause, 3600).await;
    app.carry_access_on().await;
    app.advance(Duration::from_mins(59));
    let held = app.hold_service(&scene.edge).await;
    let take_back = app.try_to_take_back(&begun);
    let let_go = async {
        app.queue_of(1).await;
        app.advance(Duration::from_mins(2));
        let timer = app.timers();
        let release = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        tokio::join!(timer, release).0
    };
    let (answer, steps) = tokio::join!(take_back, let_go);
    answer.refused("too late", 409, "access_removal_over");
    assert_eq!(steps.len(), 1, "{steps:?}");
    app.carry_access_on().await;
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
}

/// While a service is drained nothing of it can be changed and nobody comes in; if the drain is taken back, the principal goes then.
#[sqlx::test(migrations = "./migrations")]
async fn a_drained_service_gives_its_principal_up_when_the_drain_is_taken_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let scene = scene(&app).await;
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    app.drain(&scene.edge, 36_000).await;
    let refused = json!({ "cause": of_principal(&scene.edge, OTHER) });
    let refused = app
        .post(Who::Viewer, "/v1/access-removals/preview", &refused)
        .await;
    refused.refused("alone", 409, "service_draining");
    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": OTHER });
    let preview = app.removal_preview(&cause).await;
    assert_eq!(
        preview["confirm"],
        json!({ "connections": 0, "principals": 0 })
    );
    assert_eq!(
        preview["services"][0]["principals_after_drain"],
        json!([root(OTHER)])
    );
    let begun = app.end_access(&cause, 0).await;
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "ending", "it waits");
    app.end(&scene.edge, "cancel-drain", json!({})).await;
    app.carry_access_on().await;
    app.carry_access_on().await;
    assert_eq!(app.allowed(&scene.edge).await, [root(CONSUMER)]);
    assert_eq!(app.aws_state(OTHER, &scene.live), ConnectionState::Rejected);
    assert_eq!(app.removal(&begun).await["state"], "done");
}

/// What a block keeps out does not come back with the block, once access was taken away.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_taken_away_does_not_come_back_with_a_block(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER]).await;
    let request = app.ask(&[&edge], &json!({})).await;
    app.give(&request).await;
    app.run_until_rest().await;
    let of = format!("accounts/{OTHER}");
    app.block(&of).await;
    app.carry_out().await;
    let of_request = json!({ "kind": "access_request", "access_request_id": request });
    app.end_access(&of_request, 0).await;
    app.carry_access_on().await;
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(app.allowed(&edge).await, [root(CONSUMER)]);
}

/// Steps are dropped at their moments of waiting and run two at a time: nothing is done twice or left out, and each part is small.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_is_carried_on_whatever_happens(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[OTHER]).await;
    let count: usize = 110;
    for _ in 0..count {
        app.endpoint_of(OTHER, &service);
    }
    app.run_worker().await;
    let begun = app.end_access(&of_principal(&service, OTHER), 0).await;
    let id: AccessRemovalId = begun["id"].as_str().unwrap().parse().unwrap();
    let mut steps = 0;
    loop {
        for moments in [1, 3, 7, 20, 60] {
            let step = tokio::spawn({
                let ctx = app.application();
                async move { end_access_step::step(&ctx, id).await }
            });
            for _ in 0..moments {
                tokio::task::yield_now().await;
            }
            step.abort();
            let _ = step.await;
        }
        let ctx = app.application();
        let (one, two) = tokio::join!(
            end_access_step::step(&ctx, id),
            end_access_step::step(&ctx, id)
        );
        steps += 1;
        if one.unwrap() == Progress::Rest && two.unwrap() == Progress::Rest {
            break;
        }
        assert!(steps < 50);
    }
    let expected = i64::try_from(count).unwrap();
    assert_eq!(
        app.removal(&begun).await["connections"]["rejected"],
        expected
    );
    let decided = "SELECT count(*) FROM decisions WHERE verb = 'reject'";
    assert_eq!(app.count(decided).await, expected);
    let notices = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ended'";
    assert_eq!(app.count(notices).await, expected);
    let most =
        "SELECT max(n) FROM (SELECT count(*) AS n FROM decisions GROUP BY xmin::text) AS parts";
    assert!(app.count(most).await <= block_step::CHUNK);
    app.carry_access_on().await;
    app.carry_access_on().await;
    assert_eq!(app.removal(&begun).await["state"], "done");
}
