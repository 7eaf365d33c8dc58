//! Agreements that use something: a plan that counts endpoint-hours and takes reports of requests, agreements of it, and who pays for a connection.

use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use portcullis::domain::agreement::{Agreement, HeardNotice, Notice, Terms, Told, Unbound};
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{AgreementSource, AgreementState};
use portcullis::domain::ids::{AgreementId, ConnectionId};
use portcullis::domain::listing::EndCause;
use portcullis::domain::policy::Stamp;
use portcullis::store::agreement_bindings::NewBinding;
use portcullis::store::{agreement_bindings, agreement_notices, agreements};
use portcullis::worker::usage;
use serde_json::{Value, json};

use super::listings::content;
use super::{CONSUMER, Request, Service, TestApp, Who};

/// What a revision says whose plan counts use.
pub(crate) fn metered(service: &Service) -> Value {
    let mut content = content(service);
    content["plans"] = json!([{
        "name": "Metered", "pricing_model": "usage", "currency": "EUR",
        "dimensions": [
            { "key": "endpoint_hours", "name": "Endpoint hours", "unit": "UnitHrs", "types": ["metered"], "source": "endpoint_hours" },
            { "key": "requests", "name": "Requests", "unit": "Requests", "types": ["externally_metered"] }
        ],
        "rate_cards": [{ "rates": [{ "dimension": "endpoint_hours", "price": "0.03" }, { "dimension": "requests", "price": "0.000001" }] }],
    }]);
    content
}

impl TestApp {
    /// A listing whose plan counts use, and a connection that is accepted, at the beginning of an hour.
    pub(crate) async fn metered(&self) -> (Service, Value, Request) {
        let service = self.with_service().await;
        let listing = self.listing_of("ledger", &metered(&service)).await;
        let verbs = ["submit", "approve", "release"];
        let listing = self.steps(&listing, &verbs).await;
        let request = self.requested(&service).await;
        self.decide(&request, "accept").await;
        self.run_until_rest().await;
        assert_eq!(self.summary(&request).await, "available");
        let now = self.clock.now();
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap() + TimeDelta::hours(1);
        self.advance((hour - now).to_std().unwrap());
        // Milliseconds are rounded up.
        assert!(self.clock.now() - hour < TimeDelta::milliseconds(1));
        (service, listing, request)
    }

    pub(crate) async fn ordered(&self, listing: &Value, reference: &str) -> Agreement {
        let now = self.clock.now();
        let plan = &listing["live"]["content"]["plans"][0]["id"];
        let made = Stamp {
            at: now,
            by: "a test".to_owned(),
        };
        let agreement = Agreement {
            id: AgreementId::new(now),
            source: AgreementSource::Private,
            reference: reference.to_owned(),
            listing: listing["id"].as_str().unwrap().parse().unwrap(),
            plan: plan.as_str().unwrap().parse().unwrap(),
            revision: 1,
            offer: None,
            buyer: CONSUMER.parse().unwrap(),
            term: None,
            anchored_at: None,
            replaces: None,
            state: AgreementState::Active,
            cause: None,
            grace_until: None,
            succeeded_at: None,
            starts_at: Some(now),
            ends_at: None,
            over_quota: None,
            due_at: None,
            version: 1,
            made,
            stood_at: now,
        };
        let mut conn = self.db().acquire().await.unwrap();
        assert!(agreements::insert(&mut conn, &agreement).await.unwrap());
        self.hear_of(
            &agreement,
            "made",
            now,
            Told::Made(Terms::lasting(now, None)),
        )
        .await;
        agreement
    }

    /// The source tells something of an agreement.
    pub(crate) async fn hear_of(&self, of: &Agreement, id: &str, at: DateTime<Utc>, told: Told) {
        let notice = HeardNotice {
            source: of.source,
            reference: of.reference.clone(),
            notice: Notice {
                id: format!("{}/{id}", of.reference),
                at,
                told,
            },
            reason: None,
            heard: Stamp {
                at: self.clock.now(),
                by: "a test".to_owned(),
            },
        };
        let mut conn = self.db().acquire().await.unwrap();
        assert!(agreement_notices::insert(&mut conn, &notice).await.unwrap());
    }

    /// The agreement ends, and goes into a grace of 45 minutes.
    pub(crate) async fn end_agreement(&self, of: &Agreement, at: DateTime<Utc>) {
        self.hear_of(of, "ended", at, Told::Ended(EndCause::Cancelled))
            .await;
        let after = Agreement {
            state: AgreementState::Grace,
            cause: Some(EndCause::Cancelled),
            grace_until: Some(at + TimeDelta::minutes(45)),
            stood_at: self.clock.now(),
            ..of.clone()
        };
        let mut conn = self.db().acquire().await.unwrap();
        agreements::record(&mut conn, &[after]).await.unwrap();
    }

    pub(crate) async fn bind(&self, of: &Agreement, request: &Request, at: DateTime<Utc>) {
        let mut tx = self.db().begin().await.unwrap();
        let connection: ConnectionId = request.id.parse().unwrap();
        let one = NewBinding {
            agreement: of.id,
            connection,
            since: at,
        };
        agreement_bindings::bind_many(&mut tx, &[one])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn unbind(&self, request: &Request, at: DateTime<Utc>) {
        let mut tx = self.db().begin().await.unwrap();
        let connection: ConnectionId = request.id.parse().unwrap();
        agreement_bindings::unbind(&mut tx, &[connection], Unbound::Gone, at)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// What AWS is seen to show, written when it was seen or later.
    pub(crate) async fn see(&self, request: &Request, state: &str, at: DateTime<Utc>) {
        let connection: ConnectionId = request.id.parse().unwrap();
        sqlx::query(
            "INSERT INTO observations (id, at, connection_id, to_state) VALUES (gen_random_uuid(), $1, $2, $3)",
        )
        .bind(at)
        .bind(connection.uuid())
        .bind(state)
        .execute(self.db())
        .await
        .unwrap();
    }

    pub(crate) fn minutes(&self, minutes: u64) {
        self.advance(Duration::from_secs(minutes * 60));
    }

    /// Counts use until nothing more is due now.
    pub(crate) async fn count_usage(&self) {
        for _ in 0..100 {
            let report = usage::run_pass(&self.shared).await.unwrap();
            if report.counted == 0 && !report.more {
                return;
            }
        }
        panic!("counting does not come to rest");
    }

    /// The ledger, oldest rows first.
    pub(crate) async fn ledger(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/usage?limit=200&{query}");
        let listed = self.get(Who::Viewer, &path).await.good();
        let mut rows = listed["items"].as_array().unwrap().clone();
        rows.reverse();
        rows
    }
}
