//! The moment before a cut: somebody else may pay by now, somebody may have had another word about it, and what AWS shows may have changed meanwhile.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::{Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::AgreementState;
use portcullis::domain::listing::{EndCause, Quotas};
use privatelink_sim::{Behavior, Legality};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::deals::Deal;
use crate::support::{Answer, Request, Service, Setup, TestApp, Who};

const BUYER: &str = "210987654321";
const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
const CANCELLED: &str =
    "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending_cancelled'";
const PLANNED: &str = "SELECT count(*) FROM planned_revocations";

fn at_most(connections: u32) -> Quotas {
    Quotas {
        max_connections: Some(connections),
        ..Quotas::default()
    }
}

impl TestApp {
    /// Terms from now on that grant so many connections.
    fn granting(&self, connections: u32) -> Terms {
        Terms {
            quotas: at_most(connections),
            ..Terms::lasting(self.clock.now(), None)
        }
    }

    /// Somebody who bought is connected, and the agreement has ended: it is cut in a day.
    async fn in_grace(&self, change: impl Fn(&mut Value)) -> (Service, Value, Deal, Request) {
        let (service, listing) = self.market(change).await;
        let terms = Terms::lasting(self.clock.now(), None);
        let mut deal = self.agree(&listing, &[BUYER], terms).await;
        self.come_to_rest().await;
        let request = self.endpoint(BUYER, &service).await;
        self.told(&mut deal, Told::Ended(EndCause::Cancelled)).await;
        self.come_to_rest().await;
        assert_eq!(self.count(PLANNED).await, 1);
        (service, listing, deal, request)
    }

    async fn pays(&self, request: &Request, deal: &Deal) {
        assert_eq!(self.payer(request).await, Some(deal.agreement.id.uuid()));
    }

    async fn try_to(&self, verb: &str, request: &Request, body: &Value) -> Answer {
        let path = format!("/v1/connections/{}/{verb}", request.id);
        self.post(Who::Approver, &path, body).await
    }
}

/// The timer runs before the worker has looked at either agreement.
#[sqlx::test(migrations = "./migrations")]
async fn whoever_buys_a_second_before_the_cut_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, old, request) = app.in_grace(|_| {}).await;
    app.later(Duration::from_secs(86_399)).await;
    let terms = Terms::lasting(app.clock.now(), None);
    let new = app.agree(&listing, &[BUYER], terms).await;
    app.advance(SECOND * 2);
    app.timers_run().await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(HOUR * 24).await;
    app.pays(&request, &new).await;
    assert_eq!(app.state(&old).await, AgreementState::Ended);
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.count(PLANNED).await, 0);
}

/// What was bought for a later time begins a moment before the cut, and nobody has looked since.
#[sqlx::test(migrations = "./migrations")]
async fn what_begins_a_second_before_the_cut_pays(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, _, request) = app.in_grace(|_| {}).await;
    let begins = app.clock.now() + TimeDelta::hours(24) - TimeDelta::seconds(1);
    let new = app
        .agree(&listing, &[BUYER], Terms::lasting(begins, None))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.state(&new).await, AgreementState::Pending);
    app.advance(HOUR * 24 + SECOND);
    app.timers_run().await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(HOUR * 24).await;
    app.pays(&request, &new).await;
    assert_eq!(app.summary(&request).await, "available");
}

/// Another one that grants no more keeps nobody, and the cut does not wait for it for ever.
#[sqlx::test(migrations = "./migrations")]
async fn another_without_room_saves_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| {
            content["plans"][0]["bind_rule"] = json!("oldest");
            content["plans"][0]["quotas"] = json!({ "max_connections": 1 });
        })
        .await;
    let terms = || Terms::lasting(app.clock.now(), None);
    let mut first = app.agree(&listing, &[BUYER], terms()).await;
    let second = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let (left, full) = (
        app.endpoint(BUYER, &service).await,
        app.endpoint(BUYER, &service).await,
    );
    app.pays(&full, &second).await;
    app.told(&mut first, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    app.advance(HOUR * 24);
    app.timers_run().await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&left).await, "revoked");
    assert_eq!(app.summary(&full).await, "available");
}

/// Nobody can choose between two when something is cut otherwise, so the oldest pays.
#[sqlx::test(migrations = "./migrations")]
async fn one_of_several_pays_although_they_ask_for_a_word(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["plans"][0]["bind_rule"] = json!("ask"))
        .await;
    let terms = || Terms::lasting(app.clock.now(), None);
    let mut first = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.pays(&request, &first).await;
    app.advance(SECOND);
    let second = app.agree(&listing, &[BUYER], terms()).await;
    app.advance(SECOND);
    let _third = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    app.told(&mut first, Told::Ended(EndCause::Cancelled)).await;
    app.come_to_rest().await;
    app.pays(&request, &second).await;
    app.later(HOUR * 25).await;
    assert_eq!(app.summary(&request).await, "available");
}

/// What goes beyond one agreement goes to another with room, and not back and forth.
#[sqlx::test(migrations = "./migrations")]
async fn what_goes_beyond_one_goes_to_another_with_room(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["plans"][0]["bind_rule"] = json!("oldest"))
        .await;
    let terms = |most| app.granting(most);
    let mut first = app.agree(&listing, &[BUYER], terms(2)).await;
    let second = app.agree(&listing, &[BUYER], terms(1)).await;
    app.come_to_rest().await;
    let older = app.endpoint(BUYER, &service).await;
    app.advance(SECOND);
    let newer = app.endpoint(BUYER, &service).await;
    app.pays(&newer, &first).await;
    app.told(&mut first, Told::Made(terms(1))).await;
    app.come_to_rest().await;
    app.pays(&older, &first).await;
    app.pays(&newer, &second).await;
    assert_eq!(app.read(&first).await.over_quota, None);
    assert_eq!(app.count(PLANNED).await, 0);
    // Somebody says that the first shall pay all the same: that stands, and so does its end.
    let word = json!({ "id": first.agreement.id });
    app.claim(&newer.id, &word).await.good();
    app.come_to_rest().await;
    app.pays(&newer, &first).await;
    assert_eq!(app.count(PLANNED).await, 1);
    app.later(HOUR * 24).await;
    assert_eq!(app.summary(&newer).await, "revoked");
    assert_eq!(app.summary(&older).await, "available");
}

/// The second agreement comes after the first one's quota was lowered: it pays from then on, not from the cut on.
#[sqlx::test(migrations = "./migrations")]
async fn what_goes_beyond_one_goes_to_another_that_comes_later(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["plans"][0]["bind_rule"] = json!("oldest"))
        .await;
    let terms = |most| app.granting(most);
    let mut first = app.agree(&listing, &[BUYER], terms(1)).await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.told(&mut first, Told::Made(terms(0))).await;
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 1);
    app.advance(SECOND);
    let second = app.agree(&listing, &[BUYER], terms(1)).await;
    app.come_to_rest().await;
    app.pays(&request, &second).await;
    assert_eq!(app.count(PLANNED).await, 0);
    assert_eq!(app.read(&first).await.over_quota, None);
}

/// Something is told of an agreement before the cut and again after it, and the worker has looked at neither.
#[sqlx::test(migrations = "./migrations")]
async fn a_later_word_does_not_hide_an_earlier_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let terms = |most| app.granting(most);
    let mut deal = app.agree(&listing, &[BUYER], terms(1)).await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.told(&mut deal, Told::Made(terms(0))).await;
    app.come_to_rest().await;
    app.later(Duration::from_secs(86_399)).await;
    app.told(&mut deal, Told::Made(terms(1))).await;
    app.advance(SECOND * 2);
    app.told(&mut deal, Told::Questioned).await;
    app.timers_run().await;
    assert_eq!(app.summary(&request).await, "available");
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 0);
}

/// Rejected in AWS by hand and accepted again, which AWS might allow: the end of the agreement counts for it all the same.
#[sqlx::test(migrations = "./migrations")]
async fn what_comes_back_in_aws_is_cut_at_the_end(pool: PgPool) {
    let behavior = Behavior {
        accept_after_reject: Legality::Allow,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let (service, _, deal, request) = app.in_grace(|_| {}).await;
    app.reject_behind_our_back(&service, &request).await;
    app.later(HOUR).await;
    app.come_to_rest().await;
    app.pays(&request, &deal).await;
    assert_eq!(app.count(PLANNED).await, 1);
    assert_eq!(app.count(CANCELLED).await, 0, "it is not given up");
    app.accept_behind_our_back(&service, &request).await;
    app.later(HOUR).await;
    assert_eq!(app.summary(&request).await, "available");
    app.later(HOUR * 22).await;
    assert_eq!(app.state(&deal).await, AgreementState::Ended);
    assert_eq!(app.summary(&request).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, None);
}

/// What was rejected in AWS by hand takes nobody's place, so another agreement with room does not keep it from its end.
#[sqlx::test(migrations = "./migrations")]
async fn another_with_room_does_not_keep_what_was_rejected(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, old, request) = app
        .in_grace(|content| content["plans"][0]["bind_rule"] = json!("oldest"))
        .await;
    app.reject_behind_our_back(&service, &request).await;
    app.later(HOUR).await;
    let terms = Terms::lasting(app.clock.now(), None);
    app.agree(&listing, &[BUYER], terms).await;
    app.later(HOUR).await;
    app.pays(&request, &old).await;
    app.later(HOUR * 23).await;
    assert_eq!(app.summary(&request).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, None);
    assert_eq!(app.count("SELECT count(*) FROM agreement_wakes").await, 0);
}

/// The consumer deletes the endpoint before its end: nothing is left to be told.
#[sqlx::test(migrations = "./migrations")]
async fn who_has_gone_is_told_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, _, _, request) = app.in_grace(|_| {}).await;
    let gone = app.account(BUYER).delete_endpoint(&request.endpoint);
    gone.unwrap();
    app.later(HOUR).await;
    app.come_to_rest().await;
    assert_eq!(app.count(PLANNED).await, 0);
    assert_eq!(app.count(CANCELLED).await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_gives_up_for_one_connection_what_an_agreement_plans(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, _, deal, request) = app.in_grace(|_| {}).await;
    let why = json!({ "reason": "a good customer" });
    let refused = app.try_to("cancel-revocation", &request, &why).await;
    refused.refused("an agreement's", 409, "revocation_by_agreement");
    let end = app.read(&deal).await.grace_until.unwrap();
    // A person plans a later end beside it: the earlier one counts, and that is what the consumer is told.
    let later = json!({ "at": end + TimeDelta::days(30), "reason": "they were promised" });
    let shown = app
        .try_to("schedule-revocation", &request, &later)
        .await
        .good();
    assert_eq!(shown["scheduled_revocation"]["at"], json!(end), "{shown}");
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending'";
    assert_eq!(app.count(told).await, 1, "the end is where it was");
    let kept = app.try_to("cancel-revocation", &request, &why).await.good();
    assert_eq!(kept["scheduled_revocation"]["at"], json!(end));
    assert_eq!(app.count(CANCELLED).await, 0, "it still ends");
    app.later(HOUR * 24).await;
    assert_eq!(app.summary(&request).await, "revoked");
}

/// Another one pays by the time the worker looks at what it planned: nothing of that is left.
#[sqlx::test(migrations = "./migrations")]
async fn what_others_pay_for_is_not_cut_whenever_that_came(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, old, request) = app
        .in_grace(|content| content["plans"][0]["bind_rule"] = json!("oldest"))
        .await;
    let terms = Terms::lasting(app.clock.now(), None);
    let new = app.agree(&listing, &[BUYER], terms).await;
    app.bind(&new.agreement, &request, app.clock.now()).await;
    app.advance(HOUR * 24);
    app.make_partitions().await;
    app.timers_run().await;
    assert_eq!(app.summary(&request).await, "available");
    app.come_to_rest().await;
    assert_eq!(app.state(&old).await, AgreementState::Ended);
    assert_eq!(app.count(PLANNED).await, 0);
    assert_eq!(app.summary(&request).await, "available");
}

/// A renewal is in force and nobody has moved what is connected: it is not empty.
#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_counts_what_goes_over_to_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let terms = || app.granting(1);
    let mut old = app.agree(&listing, &[BUYER], terms()).await;
    app.come_to_rest().await;
    let first = app.endpoint(BUYER, &service).await;
    app.advance(SECOND);
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], terms())
        .await;
    app.told(&mut old, Told::Replaced).await;
    let second = app.requested_by(BUYER, &service).await;
    assert_eq!(app.judge().await.failed, []);
    app.pays(&first, &old).await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&second).await, "waiting");
    app.pays(&first, &new).await;
    assert_eq!(app.read(&new).await.over_quota, None);
}

/// The same where the one in between never came to be.
#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_counts_what_goes_over_to_it_past_one_that_never_was(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let begins = now + TimeDelta::days(1);
    let terms = |from, until| Terms {
        quotas: at_most(1),
        ..Terms::lasting(from, until)
    };
    let mut old = app
        .agree(&listing, &[BUYER], terms(now, Some(begins)))
        .await;
    app.come_to_rest().await;
    let first = app.endpoint(BUYER, &service).await;
    let mut never = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], terms(begins, None))
        .await;
    app.told_as_of(&mut old, Told::Replaced, begins).await;
    let new = app
        .agree_in_place_of(Some(&never), &listing, &[BUYER], terms(begins, None))
        .await;
    app.told(&mut never, Told::RolledBack).await;
    app.come_to_rest().await;
    app.advance(HOUR * 24 + SECOND);
    app.make_partitions().await;
    let second = app.requested_by(BUYER, &service).await;
    assert_eq!(app.judge().await.failed, []);
    app.pays(&first, &old).await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&second).await, "waiting");
    app.pays(&first, &new).await;
    assert_eq!(app.read(&new).await.over_quota, None);
}
