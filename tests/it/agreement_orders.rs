//! Purchase, licence, registration and endpoint come in any order, late and twice: all of them end in the same.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::agreement::{HeardNotice, Notice, Terms, Told};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{AgreementSource, AgreementState};
use portcullis::domain::policy::Stamp;
use portcullis::store::{agreement_notices, agreements};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::deals::Deal;
use crate::support::{Request, TestApp, Who};

/// What happens around a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Purchase,
    Licence,
    Registration,
    Endpoint,
}

const ALL: [Event; 4] = [
    Event::Purchase,
    Event::Licence,
    Event::Registration,
    Event::Endpoint,
];

/// Every order of them.
fn orders(of: &[Event]) -> Vec<Vec<Event>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in of.iter().enumerate() {
        let mut rest = of.to_vec();
        rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

/// One account's purchase.
struct Buyer {
    account: String,
    reference: String,
    deal: Option<Deal>,
    request: Option<Request>,
}

impl TestApp {
    async fn happens(
        &self,
        buyer: &mut Buyer,
        event: Event,
        listing: &Value,
        service: &crate::support::Service,
    ) {
        let now = self.clock.now();
        match event {
            Event::Purchase => {
                let terms = Terms::lasting(now - TimeDelta::hours(1), None);
                let deal = self
                    .agree_in_aws(&buyer.reference, listing, &buyer.account, terms)
                    .await;
                buyer.deal = Some(deal);
            }
            Event::Licence => {
                let heard = HeardNotice {
                    source: AgreementSource::Aws,
                    reference: buyer.reference.clone(),
                    notice: Notice {
                        id: format!("{}-licence", buyer.reference),
                        at: now,
                        told: Told::Licensed,
                    },
                    reason: None,
                    heard: Stamp {
                        at: now,
                        by: "a test".to_owned(),
                    },
                };
                // The source tells it twice.
                for new in [true, false] {
                    let mut tx = self.db().begin().await.unwrap();
                    assert_eq!(
                        agreement_notices::insert(&mut tx, &heard).await.unwrap(),
                        new
                    );
                    if let Some(deal) = &buyer.deal {
                        let ids = [deal.agreement.id];
                        let rows = agreements::locked(&mut tx, &ids).await.unwrap();
                        let actor = portcullis::domain::actor::Actor::worker();
                        portcullis::app::agreement_standing::stand(&mut tx, &actor, &rows, now)
                            .await
                            .unwrap();
                    }
                    tx.commit().await.unwrap();
                }
            }
            Event::Registration => {
                let slug = format!("buyer-{}", buyer.account);
                let made = self
                    .post(
                        Who::Admin,
                        "/v1/consumers",
                        &json!({ "name": slug, "slug": slug }),
                    )
                    .await
                    .good();
                let path = format!("/v1/consumers/{}/accounts", made["id"].as_str().unwrap());
                let body = json!({ "account_id": buyer.account, "proof": "operator_vouched", "reason": "they wrote" });
                self.post(Who::Admin, &path, &body).await.good();
            }
            Event::Endpoint => {
                buyer.request = Some(self.requested_by(&buyer.account, service).await);
            }
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn all_orders_of_a_purchase_end_in_the_same(pool: PgPool) {
    let app = TestApp::start(pool);
    let orders = orders(&ALL);
    let accounts: Vec<String> = (0..orders.len()).map(|n| format!("4{n:011}")).collect();
    let (service, listing) = app
        .market(|content| content["plans"][0]["registration_required"] = json!(true))
        .await;
    // AWS lets everybody ask; only who bought, and is registered, is accepted.
    let allowed: Vec<String> = accounts
        .iter()
        .map(|account| format!("arn:aws:iam::{account}:root"))
        .collect();
    sqlx::query("UPDATE endpoint_services SET allowed_principals = $1, version = version + 1, sync_state = 'due', sync_due_at = now()")
        .bind(&allowed)
        .execute(app.db())
        .await
        .unwrap();
    app.run_until_rest().await;
    let mut buyers: Vec<Buyer> = accounts
        .into_iter()
        .map(|account| Buyer {
            reference: format!("agreement-{account}"),
            account,
            deal: None,
            request: None,
        })
        .collect();
    for turn in 0..ALL.len() {
        for (buyer, order) in buyers.iter_mut().zip(&orders) {
            app.happens(buyer, order[turn], &listing, &service).await;
        }
        app.advance(Duration::from_mins(7));
        app.come_to_rest().await;
        for (buyer, order) in buyers.iter().zip(&orders) {
            let Some(request) = &buyer.request else {
                continue;
            };
            let whole = turn + 1 == ALL.len();
            let expected = if whole { "available" } else { "waiting" };
            assert_eq!(
                app.summary(request).await,
                expected,
                "{order:?} after {}",
                turn + 1
            );
        }
    }
    for (buyer, order) in buyers.iter().zip(&orders) {
        let (Some(deal), Some(request)) = (&buyer.deal, &buyer.request) else {
            panic!("{order:?} did not happen");
        };
        assert_eq!(app.state(deal).await, AgreementState::Active, "{order:?}");
        assert_eq!(
            app.payer(request).await,
            Some(deal.agreement.id.uuid()),
            "{order:?}"
        );
    }
}
