//! Agreements as sources tell of them, and the loops that they are a matter of.

use std::time::Duration;

use chrono::{DateTime, Utc};
use portcullis::app::agreement_standing::stand;
use portcullis::domain::actor::Actor;
use portcullis::domain::agreement::{
    Account, AccountProof, Agreement, HeardNotice, Notice, Terms, Told,
};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{AgreementSource, AgreementState};
use portcullis::domain::ids::{AgreementAccountId, AgreementId};
use portcullis::domain::policy::Stamp;
use portcullis::store::{agreement_accounts, agreement_notices, agreements};
use portcullis::worker::{agreements as agreements_loop, expire};
use serde_json::{Value, json};

use super::listings::content;
use super::{Request, Service, TestApp};

/// What was bought, as a source tells of it.
#[derive(Clone)]
pub(crate) struct Deal {
    pub(crate) agreement: Agreement,
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
    pub(crate) async fn agree(&self, listing: &Value, accounts: &[&str], terms: Terms) -> Deal {
        self.agree_in_place_of(None, listing, accounts, terms).await
    }

    /// The same by a source that licenses: it is not in force before that told of a licence.
    pub(crate) async fn agree_in_aws(
        &self,
        reference: &str,
        listing: &Value,
        account: &str,
        terms: Terms,
    ) -> Deal {
        let mut agreement = self.bought(listing, account);
        agreement.source = AgreementSource::Aws;
        agreement.reference = reference.to_owned();
        self.keep_deal(agreement, &[account], terms).await
    }

    pub(crate) async fn agree_in_place_of(
        &self,
        replaces: Option<&Deal>,
        listing: &Value,
        accounts: &[&str],
        terms: Terms,
    ) -> Deal {
        let mut agreement = self.bought(listing, accounts[0]);
        agreement.replaces = replaces.map(|deal| deal.agreement.id);
        self.keep_deal(agreement, accounts, terms).await
    }

    /// An agreement of the listing's first plan that nobody has looked at.
    fn bought(&self, listing: &Value, buyer: &str) -> Agreement {
        let at = self.clock.now();
        let id = AgreementId::new(at);
        let plan = &listing["live"]["content"]["plans"][0]["id"];
        Agreement {
            id,
            source: AgreementSource::Private,
            reference: id.to_string(),
            listing: listing["id"].as_str().unwrap().parse().unwrap(),
            plan: plan.as_str().unwrap().parse().unwrap(),
            revision: 1,
            offer: None,
            buyer: buyer.parse().unwrap(),
            term: None,
            anchored_at: None,
            replaces: None,
            state: AgreementState::Pending,
            cause: None,
            grace_until: None,
            succeeded_at: None,
            starts_at: None,
            ends_at: None,
            over_quota: None,
            due_at: None,
            version: 1,
            made: Stamp {
                at,
                by: "a test".to_owned(),
            },
            stood_at: at,
        }
    }

    async fn keep_deal(&self, agreement: Agreement, accounts: &[&str], terms: Terms) -> Deal {
        let (at, stamp) = (self.clock.now(), agreement.made.clone());
        let id = agreement.id;
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
    pub(crate) async fn told(&self, deal: &mut Deal, told: Told) {
        let at = self.clock.now();
        self.told_as_of(deal, told, at).await;
    }

    pub(crate) async fn told_as_of(&self, deal: &mut Deal, told: Told, at: DateTime<Utc>) {
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

    pub(crate) async fn read(&self, deal: &Deal) -> Agreement {
        let mut conn = self.db().acquire().await.unwrap();
        let found = agreements::by_id(&mut conn, deal.agreement.id).await;
        found.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, deal: &Deal) -> AgreementState {
        self.read(deal).await.state
    }

    /// Every loop that agreements are a matter of, until none has anything to do.
    pub(crate) async fn come_to_rest(&self) {
        for _ in 0..20 {
            let looked = agreements_loop::run_pass(&self.shared).await.unwrap();
            assert_eq!(looked.failed, 0, "an agreement could not be carried out");
            let judged = self.judge().await;
            assert_eq!(judged.failed, []);
            let mut timed = 0;
            for place in self.places().await {
                timed += expire::run_pass(&place).await.unwrap().taken.len();
            }
            self.run_until_rest().await;
            if looked.looked_at == 0 && judged.judged.is_empty() && timed == 0 {
                return;
            }
        }
        panic!("agreements do not come to rest");
    }

    pub(crate) async fn later(&self, time: Duration) {
        self.advance(time);
        self.make_partitions().await;
        self.come_to_rest().await;
    }

    /// An account's endpoint, and what became of it.
    pub(crate) async fn endpoint(&self, account: &str, service: &Service) -> Request {
        let request = self.requested_by(account, service).await;
        self.come_to_rest().await;
        request
    }

    /// The accounts that AWS lets in.
    pub(crate) async fn let_in(&self, service: &Service) -> Vec<String> {
        let shown = self.service(&service.id).await;
        let desired = shown["allowed_principals"].as_array().unwrap().iter();
        let mut desired: Vec<String> = desired
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        desired.sort();
        assert_eq!(self.allowed(service).await, desired, "AWS does not follow");
        desired
    }

    pub(crate) async fn steps_of(&self, deal: &Deal) -> Vec<String> {
        sqlx::query_scalar("SELECT action FROM audit_entries WHERE subject_kind = 'agreement' AND subject_id = $1 ORDER BY id")
            .bind(deal.agreement.id.uuid())
            .fetch_all(self.db())
            .await
            .unwrap()
    }

    pub(crate) async fn payer(&self, request: &Request) -> Option<uuid::Uuid> {
        let id: portcullis::domain::ids::ConnectionId = request.id.parse().unwrap();
        sqlx::query_scalar("SELECT agreement_id FROM agreement_bindings WHERE connection_id = $1 AND ended_at IS NULL")
            .bind(id.uuid())
            .fetch_optional(self.db())
            .await
            .unwrap()
    }
}
