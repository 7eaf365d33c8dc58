//! Who bought may connect, for as long as they have a right to it: principals follow agreements, endpoints are accepted by them, and what has no right any more is cut
//! when its grace is over.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::app::agreement_standing::stand;
use portcullis::domain::actor::Actor;
use portcullis::domain::agreement::{
    Account, AccountProof, Agreement, HeardNotice, Notice, Terms, Told,
};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{AgreementSource, AgreementState};
use portcullis::domain::ids::{AgreementAccountId, AgreementId};
use portcullis::domain::listing::{EndCause, Quotas};
use portcullis::domain::policy::Stamp;
use portcullis::store::{agreement_accounts, agreement_notices, agreements};
use portcullis::worker::{agreements as agreements_loop, expire};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::listings::content;
use crate::support::{CONSUMER, Request, Service, TestApp};

const BUYER: &str = "210987654321";
const SISTER: &str = "210987654322";
const HOUR: Duration = Duration::from_hours(1);

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// What was bought, as a source tells of it.
#[derive(Clone)]
struct Deal {
    agreement: Agreement,
    told: u32,
}

impl TestApp {
    /// A service that lets nobody in by itself, and a listing of it that everybody can buy from.
    pub(crate) async fn market(&self, change: impl Fn(&mut Value)) -> (Service, Value) {
        self.add_account_region().await;
        let service = self.service_for("ledger", &[]).await;
        let mut content = content(&service);
        content["plans"][0]["quotas"] = json!({});
        change(&mut content);
        let listing = self.listing_of("ledger", &content).await;
        let listing = self
            .steps(&listing, &["submit", "approve", "release"])
            .await;
        sqlx::query("UPDATE listings SET state = 'public'")
            .execute(self.db())
            .await
            .unwrap();
        (service, listing)
    }

    /// An agreement of the listing's first plan.
    async fn agree(&self, listing: &Value, accounts: &[&str], terms: Terms) -> Deal {
        self.agree_in_place_of(None, listing, accounts, terms).await
    }

    async fn agree_in_place_of(
        &self,
        replaces: Option<&Deal>,
        listing: &Value,
        accounts: &[&str],
        terms: Terms,
    ) -> Deal {
        let at = self.clock.now();
        let id = AgreementId::new(at);
        let stamp = Stamp {
            at,
            by: "a test".to_owned(),
        };
        let plan = &listing["live"]["content"]["plans"][0]["id"];
        let agreement = Agreement {
            id,
            source: AgreementSource::Private,
            reference: id.to_string(),
            listing: listing["id"].as_str().unwrap().parse().unwrap(),
            plan: plan.as_str().unwrap().parse().unwrap(),
            revision: 1,
            offer: None,
            buyer: accounts[0].parse().unwrap(),
            term: None,
            replaces: replaces.map(|deal| deal.agreement.id),
            state: AgreementState::Pending,
            cause: None,
            grace_until: None,
            succeeded_at: None,
            starts_at: None,
            ends_at: None,
            over_quota: None,
            due_at: None,
            version: 1,
            made: stamp.clone(),
            stood_at: at,
        };
        let mut tx = self.db().begin().await.unwrap();
        assert!(agreements::insert(&mut tx, &agreement).await.unwrap());
        for (number, account) in accounts.iter().enumerate() {
            let row = Account {
                id: AgreementAccountId::new(at),
                agreement: id,
                account: account.parse().unwrap(),
                proof: if number == 0 {
                    AccountProof::Buyer
                } else {
                    AccountProof::OperatorVouched
                },
                attached: stamp.clone(),
                reason: None,
                detached: None,
            };
            assert!(agreement_accounts::attach(&mut tx, &row).await.unwrap());
        }
        tx.commit().await.unwrap();
        let mut deal = Deal { agreement, told: 0 };
        self.told(&mut deal, Told::Made(terms)).await;
        deal
    }

    /// The source tells something, as of now.
    async fn told(&self, deal: &mut Deal, told: Told) {
        let at = self.clock.now();
        self.told_as_of(deal, told, at).await;
    }

    async fn told_as_of(&self, deal: &mut Deal, told: Told, at: DateTime<Utc>) {
        deal.told += 1;
        let now = self.clock.now();
        let heard = HeardNotice {
            source: deal.agreement.source,
            reference: deal.agreement.reference.clone(),
            notice: Notice {
                id: format!("{}-{}", deal.agreement.reference, deal.told),
                at,
                told,
            },
            reason: None,
            heard: Stamp {
                at: now,
                by: "a test".to_owned(),
            },
        };
        let mut tx = self.db().begin().await.unwrap();
        let ids = [deal.agreement.id];
        let rows = agreements::locked(&mut tx, &ids).await.unwrap();
        assert!(agreement_notices::insert(&mut tx, &heard).await.unwrap());
        let actor = Actor::worker();
        stand(&mut tx, &actor, &rows, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn read(&self, deal: &Deal) -> Agreement {
        let mut conn = self.db().acquire().await.unwrap();
        let found = agreements::by_id(&mut conn, deal.agreement.id).await;
        found.unwrap().unwrap()
    }

    async fn state(&self, deal: &Deal) -> AgreementState {
        self.read(deal).await.state
    }

    /// Every loop that agreements are a matter of, until none has anything to do.
    async fn come_to_rest(&self) {
        for _ in 0..20 {
            let looked = agreements_loop::run_pass(&self.shared).await.unwrap();
            assert_eq!(looked.failed, 0, "an agreement could not be carried out");
            let judged = self.judge().await;
            assert_eq!(judged.failed, []);
            let place = self.place().await;
            let timed = expire::run_pass(&place).await.unwrap();
            self.run_until_rest().await;
            if looked.looked_at == 0 && judged.judged.is_empty() && timed.taken.is_empty() {
                return;
            }
        }
        panic!("agreements do not come to rest");
    }

    async fn later(&self, time: Duration) {
        self.advance(time);
        self.make_partitions().await;
        self.come_to_rest().await;
    }

    /// An account's endpoint, and what became of it.
    async fn endpoint(&self, account: &str, service: &Service) -> Request {
        let request = self.requested_by(account, service).await;
        self.come_to_rest().await;
        request
    }

    /// The accounts that AWS lets in.
    async fn let_in(&self, service: &Service) -> Vec<String> {
        let shown = self.service(&service.id).await;
        let aws = shown["aws"]["allowed_principals"].as_array();
        let desired = shown["allowed_principals"].as_array();
        let words = |all: Option<&Vec<Value>>| -> Vec<String> {
            let all = all.into_iter().flatten();
            all.map(|one| one.as_str().unwrap_or_default().to_owned())
                .collect()
        };
        let desired = words(desired);
        if aws.is_some() {
            assert_eq!(words(aws), desired, "AWS does not follow");
        }
        desired
    }

    async fn steps_of(&self, deal: &Deal) -> Vec<String> {
        sqlx::query_scalar("SELECT action FROM audit_entries WHERE subject_kind = 'agreement' AND subject_id = $1 ORDER BY id")
            .bind(deal.agreement.id.uuid())
            .fetch_all(self.db())
            .await
            .unwrap()
    }

    async fn payer(&self, request: &Request) -> Option<uuid::Uuid> {
        let id: portcullis::domain::ids::ConnectionId = request.id.parse().unwrap();
        sqlx::query_scalar("SELECT agreement_id FROM agreement_bindings WHERE connection_id = $1 AND ended_at IS NULL")
            .bind(id.uuid())
            .fetch_optional(self.db())
            .await
            .unwrap()
    }
}

fn at_most(connections: u32) -> Quotas {
    Quotas {
        max_connections: Some(connections),
        ..Quotas::default()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_bought_is_let_in_and_goes_gently_when_it_ends(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(30);
    let mut deal = app
        .agree(&listing, &[BUYER, SISTER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(BUYER), root(SISTER)]);
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(deal.agreement.id.uuid()));

    // It ends: nobody new comes in, the principals go, what is connected has its grace.
    let other = app.endpoint(SISTER, &service).await;
    assert_eq!(app.summary(&other).await, "available");
    app.later(HOUR * 24 * 30).await;
    assert_eq!(app.state(&deal).await, AgreementState::Grace);
    assert_eq!(app.let_in(&service).await, Vec::<String>::new());
    assert_eq!(app.summary(&request).await, "available");
    let grace = app.read(&deal).await.grace_until.unwrap();
    assert_eq!(grace, ends + TimeDelta::hours(72));
    let told = "SELECT count(*) FROM connection_notices WHERE kind = 'access_ending'";
    assert!(app.count(told).await >= 1, "the consumer is told");

    app.later(HOUR * 71).await;
    assert_eq!(
        app.summary(&request).await,
        "available",
        "not before its grace"
    );
    app.later(HOUR).await;
    assert_eq!(app.state(&deal).await, AgreementState::Ended);
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.summary(&other).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.payer(&request).await, None);
    let left = "SELECT count(*) FROM agreement_grants WHERE ended_at IS NULL";
    assert_eq!(app.count(left).await, 0);
    assert_eq!(app.read(&deal).await.due_at, None, "nothing is left to do");

    // A late word of its making lifts nothing, and an endpoint that comes now is not let in.
    app.told_as_of(&mut deal, Told::Cleared, now).await;
    app.come_to_rest().await;
    assert_eq!(app.state(&deal).await, AgreementState::Ended);
    let steps = app.steps_of(&deal).await;
    let first = |action: &str| steps.iter().position(|step| step == action);
    let order = [
        "agreement.change_state",
        "agreement.grant",
        "agreement.bind",
        "agreement.revoke_principal",
        "agreement.plan_cuts",
        "agreement.unbind",
    ];
    let places: Vec<Option<usize>> = order.iter().map(|action| first(action)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{steps:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_endpoint_may_come_before_the_agreement(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    // AWS let it ask, and nobody has bought: the buyer may be in the middle of it.
    sqlx::query("UPDATE endpoint_services SET allowed_principals = array[$1], version = version + 1, sync_state = 'due', sync_due_at = now()")
        .bind(root(BUYER))
        .execute(app.db())
        .await
        .unwrap();
    app.run_until_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    assert_eq!(app.summary(&request).await, "waiting");
    let now = app.clock.now();
    let mut deal = app
        .agree(
            &listing,
            &[BUYER],
            Terms::lasting(now + TimeDelta::hours(2), None),
        )
        .await;
    app.come_to_rest().await;
    assert_eq!(app.summary(&request).await, "waiting", "it has not begun");
    app.later(HOUR * 2).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.payer(&request).await, Some(deal.agreement.id.uuid()));
    // The principal was there before, by somebody else's word: it stays when the agreement goes.
    app.told(&mut deal, Told::Ended(EndCause::Terminated)).await;
    app.later(HOUR).await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!(app.let_in(&service).await, [root(BUYER)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_renewal_cuts_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let ends = now + TimeDelta::days(30);
    let mut old = app
        .agree(&listing, &[BUYER], Terms::lasting(now, Some(ends)))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    let new = app
        .agree_in_place_of(Some(&old), &listing, &[BUYER], Terms::lasting(ends, None))
        .await;
    app.told_as_of(&mut old, Told::Replaced, ends).await;
    app.come_to_rest().await;
    assert_eq!(app.state(&new).await, AgreementState::Pending);
    assert_eq!(app.payer(&request).await, Some(old.agreement.id.uuid()));
    app.later(HOUR * 24 * 30).await;
    assert_eq!(app.state(&old).await, AgreementState::Superseded);
    assert_eq!(app.payer(&request).await, Some(new.agreement.id.uuid()));
    for _ in 0..5 {
        app.later(HOUR * 24).await;
        assert_eq!(app.summary(&request).await, "available");
        assert_eq!(app.let_in(&service).await, [root(BUYER)]);
    }
    assert_eq!(
        app.count("SELECT count(*) FROM planned_revocations").await,
        0
    );
    // Whoever pays is never two, and there is no time between them.
    let gaps = "SELECT count(*) FROM agreement_bindings AS a JOIN agreement_bindings AS b ON b.connection_id = a.connection_id AND b.since > a.since
                 WHERE a.ended_at IS DISTINCT FROM b.since";
    assert_eq!(app.count(gaps).await, 0);
    let ended: DateTime<Utc> =
        sqlx::query_scalar("SELECT ended_at FROM agreement_bindings WHERE ended_at IS NOT NULL")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert_eq!(ended, ends, "the old one pays until its end");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_lower_quota_cuts_the_newest_after_its_grace(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let terms = |connections| Terms {
        quotas: at_most(connections),
        ..Terms::lasting(now, None)
    };
    let mut deal = app.agree(&listing, &[BUYER], terms(2)).await;
    app.come_to_rest().await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        app.advance(Duration::from_mins(1));
        requests.push(app.endpoint(BUYER, &service).await);
    }
    let mut summaries = Vec::new();
    for request in &requests {
        summaries.push(app.summary(request).await);
    }
    assert_eq!(summaries, ["available", "available", "waiting"]);
    app.told(&mut deal, Told::Made(terms(1))).await;
    app.come_to_rest().await;
    let over = app
        .read(&deal)
        .await
        .over_quota
        .expect("too much is connected");
    assert_eq!(over.until - over.since, TimeDelta::hours(24));
    assert_eq!(app.summary(&requests[1]).await, "available");
    // More is granted again in time: nothing is cut. Then less, and nobody grants it back.
    app.told(&mut deal, Told::Made(terms(2))).await;
    app.later(HOUR * 30).await;
    assert_eq!(app.read(&deal).await.over_quota, None);
    assert_eq!(app.summary(&requests[1]).await, "available");
    app.told(&mut deal, Told::Made(terms(1))).await;
    app.come_to_rest().await;
    app.later(HOUR * 24).await;
    assert_eq!(
        app.summary(&requests[0]).await,
        "available",
        "the oldest stays"
    );
    assert_eq!(app.summary(&requests[1]).await, "revoked");
    app.come_to_rest().await;
    assert_eq!(app.read(&deal).await.over_quota, None);
    let steps = app.steps_of(&deal).await;
    for step in [
        "agreement.over_quota",
        "agreement.within_quota",
        "agreement.withdraw_cuts",
    ] {
        assert!(steps.iter().any(|one| one == step), "{step} {steps:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_revived_in_its_grace_is_not_cut(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let now = app.clock.now();
    let mut deal = app
        .agree(
            &listing,
            &[BUYER],
            Terms::lasting(now, Some(now + TimeDelta::days(1))),
        )
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(BUYER, &service).await;
    app.later(HOUR * 24).await;
    assert_eq!(app.state(&deal).await, AgreementState::Grace);
    // It is prolonged a moment before the end of its grace, and nobody has looked at it since when the timers run.
    app.advance(Duration::from_secs(72 * 3600 - 1));
    app.told(&mut deal, Told::Made(Terms::lasting(now, None)))
        .await;
    app.advance(Duration::from_secs(2));
    let place = app.place().await;
    let timed = expire::run_pass(&place).await.unwrap();
    assert_eq!(timed.taken, []);
    app.come_to_rest().await;
    assert_eq!(app.state(&deal).await, AgreementState::Active);
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(
        app.let_in(&service).await,
        [root(BUYER)],
        "it is let in again"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_suspended_listing_adds_nobody_and_a_person_decides_where_it_says_so(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app
        .market(|content| content["services"][0]["acceptance"] = json!("manual"))
        .await;
    let now = app.clock.now();
    let deal = app
        .agree(&listing, &[CONSUMER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    let request = app.endpoint(CONSUMER, &service).await;
    assert_eq!(app.summary(&request).await, "waiting");
    app.decide(&request, "accept").await;
    app.come_to_rest().await;
    assert_eq!(
        app.payer(&request).await,
        Some(deal.agreement.id.uuid()),
        "a person's word is paid for as well"
    );
    app.step(&listing, "suspend", &json!({ "reason": "to see" }))
        .await
        .good();
    let other = app
        .agree(&listing, &[SISTER], Terms::lasting(now, None))
        .await;
    app.come_to_rest().await;
    assert_eq!(
        app.let_in(&service).await,
        [root(CONSUMER)],
        "none added, none removed"
    );
    app.step(&listing, "resume", &json!({})).await.good();
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(CONSUMER), root(SISTER)]);
    assert_eq!(app.state(&other).await, AgreementState::Active);
}
