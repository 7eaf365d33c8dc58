//! Access that is asked for before there is an endpoint: who may approve what, that it is all services or none, and that AWS lets the account in then.

use std::collections::HashSet;
use std::time::Duration;

use portcullis::store::access_requests;
use portcullis::worker::access;
use privatelink::AccountId;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::drifts::OTHER;
use crate::support::reviews::{ADMIN, APPROVER};
use crate::support::{Answer, CONSUMER, Service, TestApp, Who};

impl TestApp {
    pub(crate) async fn try_to_ask(&self, services: &[&Service], more: &Value) -> Answer {
        let ids: Vec<&str> = services.iter().map(|service| service.id.as_str()).collect();
        let mut body = json!({
            "account_id": OTHER, "service_ids": ids,
            "contact": { "name": "Ann Doe", "email": "ann@consumer.example", "role": "technical" },
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post(Who::Approver, "/v1/access-requests", &body).await
    }

    /// Asks for access; answers the request's id.
    pub(crate) async fn ask(&self, services: &[&Service], more: &Value) -> String {
        let made = self.try_to_ask(services, more).await.good();
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn try_to_answer(
        &self,
        who: Who,
        id: &str,
        verb: &str,
        more: &Value,
    ) -> Answer {
        let mut body = json!({ "reason": format!("{verb}: order 4711") });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let path = format!("/v1/access-requests/{id}/{verb}");
        self.post(who, &path, &body).await
    }

    /// Approves a request that one person's yes is enough for.
    pub(crate) async fn give(&self, id: &str) -> Value {
        let nothing = json!({});
        let given = self.try_to_answer(Who::Approver, id, "approve", &nothing);
        let given = given.await.good();
        assert_eq!(given["state"], "approved", "{given}");
        given
    }

    pub(crate) async fn access_request(&self, id: &str) -> Value {
        let path = format!("/v1/access-requests/{id}");
        self.get(Who::Viewer, &path).await.good()
    }

    /// The loop that ends access, once, and everything that follows.
    pub(crate) async fn carry_access_on(&self) -> access::Report {
        let report = access::run_pass(&self.shared).await.unwrap();
        self.run_until_rest().await;
        report
    }

    /// For which services an account has an approval.
    async fn approved(&self, account: &str, services: &[&Service]) -> Vec<bool> {
        let account: AccountId = account.parse().unwrap();
        let pairs: Vec<_> = services
            .iter()
            .map(|service| (account.clone(), service.id.parse().unwrap()))
            .collect();
        let conn = &mut *self.db().acquire().await.unwrap();
        let now = portcullis::domain::clock::Clock::now(&self.clock);
        let found: HashSet<_> = access_requests::approved(conn, &pairs, now).await.unwrap();
        pairs.iter().map(|pair| found.contains(pair)).collect()
    }

    async fn principals_of(&self, service: &Service) -> Value {
        self.service(&service.id).await["allowed_principals"].clone()
    }
}

async fn two_services(app: &TestApp) -> (Service, Service) {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER]).await;
    let other = app.service_for("other", &[]).await;
    (edge, other)
}

/// The whole story: asked, approved, in AWS, and an endpoint can be made.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_approved_lets_the_account_in(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    let acme = app.add_consumer("Acme").await;
    assert!(
        app.account(OTHER).create_endpoint(&edge.name).is_err(),
        "AWS lets nobody in unasked"
    );
    let more = json!({ "consumer_id": acme, "message": "For the ledger" });
    let id = app.ask(&[&edge, &other], &more).await;
    let asked = app.access_request(&id).await;
    assert_eq!(asked["state"], "pending");
    assert_eq!(asked["services"][0]["state"], "waiting");
    assert_eq!(asked["services"][0]["in_aws"], Value::Null);
    assert_eq!(app.approved(OTHER, &[&edge, &other]).await, [false, false]);
    let members = format!("/v1/consumers/{acme}/accounts");
    assert!(app.ids(&members).await.is_empty(), "nothing is given yet");

    let given = app.give(&id).await;
    assert_eq!(given["answer"]["by"], APPROVER);
    for service in given["services"].as_array().unwrap() {
        assert_eq!(service["principal"], root(OTHER));
        assert_eq!(service["state"], "standing");
        assert_eq!(service["in_aws"], false, "AWS was not told yet: {service}");
    }
    let member = app.get(Who::Viewer, &members).await.good()["items"][0].clone();
    assert_eq!(
        (&member["account_id"], &member["known_by"]),
        (&json!(OTHER), &json!("access_request"))
    );
    app.run_until_rest().await;
    for service in app.access_request(&id).await["services"]
        .as_array()
        .unwrap()
    {
        assert_eq!(service["in_aws"], true, "{service}");
    }
    assert_eq!(app.allowed(&edge).await, [root(CONSUMER), root(OTHER)]);
    assert_eq!(app.allowed(&other).await, [root(OTHER)]);
    app.requested_by(OTHER, &edge).await;

    assert_eq!(app.approved(OTHER, &[&edge, &other]).await, [true, true]);
    assert_eq!(app.approved(CONSUMER, &[&edge]).await, [false]);
    app.try_to_attach(&acme, CONSUMER).await.good();
    assert_eq!(
        app.approved(CONSUMER, &[&edge]).await,
        [false],
        "another account of the consumer was not approved"
    );
    assert_eq!(
        app.actions_about("access_request").await,
        ["access_request.approve", "access_request.make"]
    );
    let told = "SELECT count(*) FROM access_request_notices WHERE kind = 'approved'";
    assert_eq!(app.count(told).await, 1);
    let woken =
        "SELECT count(*) FROM judge_wakes WHERE account_id IS NOT NULL OR consumer_id IS NOT NULL";
    assert!(app.count(woken).await >= 2, "requests are judged again");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_request_is_answered_once_and_not_made_twice(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    let id = app.ask(&[&edge], &json!({})).await;
    let twice = app.try_to_ask(&[&other, &edge], &json!({})).await;
    twice.refused("the same again", 409, "access_request_exists");
    let by_another = json!({ "account_id": CONSUMER });
    let another = app.ask(&[&edge], &by_another).await;

    let told = json!({ "message": "Please order first" });
    let rejected = app.try_to_answer(Who::Approver, &id, "reject", &told).await;
    let rejected = rejected.good();
    assert_eq!(rejected["state"], "rejected");
    assert_eq!(rejected["answer"]["message"], "Please order first");
    assert_eq!(rejected["services"][0]["state"], "over");
    for verb in ["approve", "reject", "withdraw"] {
        let late = app.try_to_answer(Who::Admin, &id, verb, &json!({})).await;
        late.refused(verb, 409, "access_request_answered");
    }
    let nothing = json!({});
    let withdrawn = app.try_to_answer(Who::Approver, &another, "withdraw", &nothing);
    assert_eq!(withdrawn.await.good()["state"], "withdrawn");
    let again = app.ask(&[&edge], &json!({})).await;
    assert_eq!(
        app.ids("/v1/access-requests?state=pending").await,
        std::slice::from_ref(&again)
    );
    let path = format!(
        "/v1/access-requests?account_id={OTHER}&service_id={}",
        edge.id
    );
    assert_eq!(app.ids(&path).await, [again, id]);
    let path = format!("/v1/access-requests?service_id={}", other.id);
    assert!(app.ids(&path).await.is_empty());
    assert_eq!(app.principals_of(&edge).await, json!([root(CONSUMER)]));
    let told = "SELECT count(*) FROM access_request_notices WHERE kind = 'rejected'";
    assert_eq!(app.count(told).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn malformed_requests_are_refused_by_the_field(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, _) = two_services(&app).await;
    let nobody = "00000000000000000000000000000000";
    for (more, status, code) in [
        (json!({ "service_ids": [] }), 400, "invalid_request"),
        (json!({ "account_id": "1" }), 400, "invalid_request"),
        (json!({ "message": "" }), 400, "invalid_request"),
        (
            json!({ "expires_at": "2020-01-01T00:00:00Z" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "contact": { "name": "A", "email": "nowhere", "role": "x" } }),
            400,
            "invalid_request",
        ),
        (
            json!({ "service_ids": [format!("svc_{nobody}")] }),
            404,
            "service_not_found",
        ),
        (
            json!({ "consumer_id": format!("cns_{nobody}") }),
            404,
            "consumer_not_found",
        ),
    ] {
        let refused = app.try_to_ask(&[&edge], &more).await;
        refused.refused(&more.to_string(), status, code);
    }
    let acme = app.add_consumer_with("Acme", &[OTHER]).await;
    let rival = app.add_consumer("Rival").await;
    let theirs = app
        .try_to_ask(&[&edge], &json!({ "consumer_id": rival }))
        .await;
    theirs.refused("another's account", 409, "account_taken");
    app.ask(&[&edge], &json!({ "consumer_id": acme })).await;
    let unknown = format!("acq_{nobody}");
    for verb in ["approve", "reject", "withdraw"] {
        let answer = app
            .try_to_answer(Who::Admin, &unknown, verb, &json!({}))
            .await;
        answer.refused(verb, 404, "access_request_not_found");
    }
}

/// One service of two is denied, drained or gone: neither gets the principal, and the request still waits.
#[sqlx::test(migrations = "./migrations")]
async fn what_cannot_be_given_everywhere_is_given_nowhere(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    let acme = app.add_consumer("Acme").await;
    let id = app
        .ask(&[&edge, &other], &json!({ "consumer_id": acme }))
        .await;
    let nothing = async |what: &str, code: &str| {
        let answer = app
            .try_to_answer(Who::Approver, &id, "approve", &json!({}))
            .await;
        answer.refused(what, 409, code);
        assert_eq!(app.access_request(&id).await["state"], "pending", "{what}");
        assert_eq!(
            app.principals_of(&edge).await,
            json!([root(CONSUMER)]),
            "{what}"
        );
        assert_eq!(app.principals_of(&other).await, json!([]), "{what}");
        let members = format!("/v1/consumers/{acme}/accounts");
        assert!(app.ids(&members).await.is_empty(), "{what}");
    };
    for denied in [
        json!({ "account_id": OTHER }),
        json!({ "account_id": OTHER, "service_id": other.id }),
        json!({ "consumer_id": acme }),
    ] {
        let denial = app.deny(&denied).await;
        nothing("denied", "account_denied").await;
        app.lift(Who::Admin, &denial).await.good();
    }
    app.drain(&other, 3600).await;
    nothing("drained", "service_draining").await;
    app.end(&other, "cancel-drain", json!({})).await;
    app.give(&id).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn two_persons_approve_where_any_service_asks_for_two(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    app.ask_for_two(&other).await;
    let id = app.ask(&[&edge, &other], &json!({})).await;
    let first = json!({ "expires_at": app.clock_in(Duration::from_hours(48)) });
    let waits = app
        .try_to_answer(Who::Approver, &id, "approve", &first)
        .await
        .good();
    assert_eq!(waits["state"], "pending");
    assert_eq!(waits["approvals"][0]["approver"], APPROVER);
    assert_eq!(app.principals_of(&edge).await, json!([root(CONSUMER)]));
    let same = app
        .try_to_answer(Who::Approver, &id, "approve", &json!({}))
        .await;
    same.refused("the same person", 409, "approval_by_same_person");
    let second = json!({ "expires_at": app.clock_in(Duration::from_hours(72)) });
    let given = app
        .try_to_answer(Who::Admin, &id, "approve", &second)
        .await
        .good();
    assert_eq!(
        (&given["state"], &given["answer"]["by"]),
        (&json!("approved"), &json!(ADMIN))
    );
    assert_eq!(
        given["expires_at"], first["expires_at"],
        "the earliest counts"
    );
    assert_eq!(given["approvals"].as_array().unwrap().len(), 2);
}

/// A yes that was taken back does not count, neither for the other person nor against the same one.
#[sqlx::test(migrations = "./migrations")]
async fn a_yes_is_taken_back_while_the_other_one_is_missing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    app.ask_for_two(&other).await;
    let id = app.ask(&[&edge, &other], &json!({})).await;
    let answer = async |who, verb| app.try_to_answer(who, &id, verb, &json!({})).await;
    let take_back = "withdraw-approval";
    let none = answer(Who::Approver, take_back).await;
    none.refused("nobody has approved", 409, "approval_missing");
    answer(Who::Approver, "approve").await.good();
    let theirs = answer(Who::Admin, take_back).await;
    theirs.refused("another's", 409, "approval_missing");
    let waits = answer(Who::Approver, take_back).await.good();
    assert_eq!(
        (&waits["state"], &waits["approvals"]),
        (&json!("pending"), &json!([]))
    );
    let waits = answer(Who::Admin, "approve").await.good();
    assert_eq!(waits["state"], "pending", "it is the first one now");
    assert_eq!(app.principals_of(&edge).await, json!([root(CONSUMER)]));
    let given = answer(Who::Approver, "approve").await.good();
    assert_eq!(given["state"], "approved");
    assert_eq!(given["approvals"].as_array().unwrap().len(), 2);
    let late = answer(Who::Approver, take_back).await;
    late.refused("answered", 409, "access_request_answered");
    let actions = app.actions_about("access_request").await;
    let withdrawn = actions
        .iter()
        .filter(|action| *action == "access_request.withdraw_yes");
    assert_eq!(withdrawn.count(), 1);
    assert_eq!(
        app.count("SELECT count(*) FROM access_request_approvals")
            .await,
        3,
        "what was said stays on record"
    );
}

/// Two approvers at once: whoever comes second finds it answered, and every service has one version more.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_approvers_at_once_one_gives_access(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    for two in [false, true] {
        if two {
            app.ask_for_two(&edge).await;
        }
        let account = if two { "222233334444" } else { OTHER };
        let id = app
            .ask(&[&edge, &other], &json!({ "account_id": account }))
            .await;
        let before = app.service(&edge.id).await["version"].as_i64().unwrap();
        let held = app.hold_account(account).await;
        let nothing = json!({});
        let one = app.try_to_answer(Who::Approver, &id, "approve", &nothing);
        let another = app.try_to_answer(Who::Admin, &id, "approve", &nothing);
        let let_go = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (one, another, ()) = tokio::join!(one, another, let_go);
        if two {
            let states = [one.good()["state"].clone(), another.good()["state"].clone()];
            assert!(states.contains(&json!("pending")) && states.contains(&json!("approved")));
        } else {
            let loser = if one.status == 200 { another } else { one };
            loser.refused("the second", 409, "access_request_answered");
        }
        assert_eq!(app.service(&edge.id).await["version"], before + 1);
        assert_eq!(app.access_request(&id).await["state"], "approved");
    }
    let answers = "SELECT count(*) FROM audit_entries WHERE action = 'access_request.approve'";
    assert_eq!(app.count(answers).await, 2);
}

/// An approval and a denial that is being written: whichever comes first, nobody is let in after the denial.
#[sqlx::test(migrations = "./migrations")]
async fn an_approval_and_a_denial_come_one_after_the_other(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    let acme = app.add_consumer("Acme").await;
    for (of_consumer, denial_first) in [(false, true), (false, false), (true, true), (true, false)]
    {
        let id = app
            .ask(&[&edge, &other], &json!({ "consumer_id": acme }))
            .await;
        let (denied, held) = if of_consumer {
            (
                json!({ "consumer_id": acme }),
                app.hold_consumer(&acme).await,
            )
        } else {
            (
                json!({ "account_id": OTHER }),
                app.hold_account(OTHER).await,
            )
        };
        let nothing = json!({});
        let approve = app.try_to_answer(Who::Approver, &id, "approve", &nothing);
        let deny = app.try_to_deny(Who::Approver, &denied);
        let let_go = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (approved, denial, ()) = if denial_first {
            let approve = async {
                app.queue_of(1).await;
                approve.await
            };
            tokio::join!(approve, deny, let_go)
        } else {
            let deny = async {
                app.queue_of(1).await;
                deny.await
            };
            tokio::join!(approve, deny, let_go)
        };
        let denial = denial.good()["id"].as_str().unwrap().to_owned();
        if denial_first {
            approved.refused("after the denial", 409, "account_denied");
            assert_eq!(app.principals_of(&other).await, json!([]));
        } else {
            approved.good();
            // Back to the beginning.
            app.change(&edge, &json!({ "allowed_principals": [CONSUMER] }))
                .await;
            app.change(&other, &json!({ "allowed_principals": [] }))
                .await;
        }
        app.lift(Who::Admin, &denial).await.good();
        if denial_first {
            let back = app
                .try_to_answer(Who::Approver, &id, "withdraw", &nothing)
                .await;
            back.good();
        } else {
            app.try_to_detach(&acme, OTHER).await.good();
        }
    }
}

/// An approval against the drain of one of its services: it is given everywhere, before the drain, or nowhere.
#[sqlx::test(migrations = "./migrations")]
async fn an_approval_against_a_drain_is_whole_or_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    for drain_first in [true, false] {
        let name = |word: &str| format!("{word}-{drain_first}");
        if drain_first {
            app.add_account_region().await;
        }
        let edge = app.service_for(&name("edge"), &[]).await;
        let other = app.service_for(&name("other"), &[]).await;
        let id = app.ask(&[&edge, &other], &json!({})).await;
        let held = app.hold_service(&other).await;
        let nothing = json!({});
        let approve = app.try_to_answer(Who::Approver, &id, "approve", &nothing);
        let body = json!({
            "version": app.service(&other.id).await["version"], "reason": "moving", "reject_after_seconds": 3600,
        });
        let path = format!("/v1/services/{}/drain", other.id);
        let drain = app.post(Who::Admin, &path, &body);
        let let_go = async {
            app.queue_of(2).await;
            held.commit().await.unwrap();
        };
        let (approved, drained, ()) = if drain_first {
            let approve = async {
                app.queue_of(1).await;
                approve.await
            };
            tokio::join!(approve, drain, let_go)
        } else {
            let drain = async {
                app.queue_of(1).await;
                drain.await
            };
            tokio::join!(approve, drain, let_go)
        };
        if drain_first {
            drained.good();
            approved.refused("after the drain", 409, "service_draining");
            assert_eq!(app.principals_of(&edge).await, json!([]));
            assert_eq!(app.access_request(&id).await["state"], "pending");
        } else {
            approved.good();
            // Whoever drains had read an older version.
            drained.refused("after the approval", 409, "service_changed");
            assert_eq!(app.principals_of(&edge).await, json!([root(OTHER)]));
        }
    }
}

/// Time ends what waits and what was given. Access that was given ends as by a person: principal and connections go.
#[sqlx::test(migrations = "./migrations")]
async fn access_for_a_time_ends_by_itself(pool: PgPool) {
    let app = TestApp::start(pool);
    let (edge, other) = two_services(&app).await;
    let end = json!({ "expires_at": app.clock_in(Duration::from_hours(2)) });
    let waiting = app.ask(&[&other], &end).await;
    let given = app.ask(&[&edge], &end).await;
    app.give(&given).await;
    app.run_until_rest().await;
    let live = app.requested_by(OTHER, &edge).await;
    app.decide(&live, "accept").await;
    app.run_until_rest().await;
    assert_eq!(app.carry_access_on().await.expired, 0);
    app.advance(Duration::from_hours(2));
    let late = app
        .try_to_answer(Who::Admin, &waiting, "approve", &json!({}))
        .await;
    late.refused("its time is over", 409, "access_request_answered");
    assert_eq!(app.approved(OTHER, &[&edge]).await, [false]);
    assert_eq!(app.carry_access_on().await.expired, 2);
    for id in [&waiting, &given] {
        let ended = app.access_request(id).await;
        assert_eq!(
            (
                &ended["state"],
                &ended["ended"]["by"],
                &ended["services"][0]["state"]
            ),
            (&json!("expired"), &json!("timer"), &json!("over")),
            "{ended}"
        );
    }
    assert_eq!(app.allowed(&edge).await, [root(CONSUMER)]);
    assert_eq!(app.summary(&live).await, "revoked");
    assert_eq!(app.carry_access_on().await.expired, 0, "once");
    let removal = app.ids("/v1/access-removals").await;
    let path = format!("/v1/access-removals/{}", removal[0]);
    let removal = app.get(Who::Viewer, &path).await.good();
    assert_eq!(
        (
            &removal["state"],
            &removal["removed"]["by"],
            &removal["connections"]["revoked"]
        ),
        (&json!("done"), &json!("timer"), &json!(1)),
        "{removal}"
    );
    let told = "SELECT count(*) FROM access_request_notices WHERE kind = 'expired'";
    assert_eq!(app.count(told).await, 2);
}
