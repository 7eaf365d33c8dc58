//! Facts for tests: a request that every gate passes on, and the one change that makes each gate say something.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::ids::{AccessRemovalId, ConsumerId, DenialId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;

/// 2027-01-15 12:30:00 UTC.
pub(crate) const NOW: i64 = 1_800_016_200;

/// A request with everything that a listing brings, all in order.
pub(crate) fn facts() -> Facts {
    let at = chrono::DateTime::from_timestamp(NOW, 0).unwrap();
    Facts {
        version: FACTS_VERSION,
        at,
        connection: ConnectionFacts {
            endpoint_id: "vpce-0123456789abcdef0".parse().unwrap(),
            standing: Standing::Requested,
            waited_seconds: 60,
            region: None,
            zones: Some(BTreeSet::from(["euc1-az1".parse().unwrap()])),
            ip_address_type: Some("ipv4".to_owned()),
        },
        account: AccountFacts {
            id: "444455556666".parse().unwrap(),
            proven: true,
            consumer: Some(ConsumerFacts {
                id: ConsumerId::from(uuid::Uuid::from_u128(2)),
                name: "Example".to_owned(),
                labels: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
            }),
            denials: BTreeSet::new(),
            registered: true,
        },
        service: ServiceFacts {
            id: EndpointServiceId::from(uuid::Uuid::from_u128(1)),
            name: "ledger".to_owned(),
            account: "111122223333".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
            other_regions: BTreeSet::from(["eu-west-1".parse().unwrap()]),
            lifecycle: LifecycleState::Active,
            blocked: false,
            two_persons: false,
            tags: BTreeMap::new(),
        },
        quotas: QuotaFigure::ALL
            .iter()
            .map(|figure| Quota {
                figure: *figure,
                would_be: 1,
                limit: 3,
            })
            .collect(),
        counts: Counts::default(),
        approved: false,
        access_ending: None,
        listing: Some(Listing {
            id: "lst_1".to_owned(),
            state: ListingState::Public,
            allow_listed: false,
            acceptance: None,
        }),
        plan: Some(Plan {
            id: "basic".to_owned(),
            regions: None,
            zones: None,
            agreement_required: true,
            orphan_wait_seconds: 86_400,
            approval: Approval::Auto {},
            registration_required: true,
        }),
        agreement: Some(Agreement {
            id: "agr_1".to_owned(),
            state: AgreementState::Active,
            source: AgreementSource::Private,
            grace_until: None,
        }),
        licences: Some(Licences {
            active: vec![Licence {
                id: "lic_1".to_owned(),
                since: at,
                free: 1,
                claimed: false,
            }],
            rule: BindRule::Ask,
        }),
    }
}

/// A provider without marketplace: a service, an account, nothing sold.
pub(crate) fn bare() -> Facts {
    let mut facts = facts();
    facts.listing = None;
    facts.plan = None;
    facts.agreement = None;
    facts.licences = None;
    facts.quotas.clear();
    facts.account.consumer = None;
    facts
}

/// Makes one gate say something.
pub(crate) fn upset(gate: Gate, facts: &mut Facts) {
    let mut plan = facts
        .plan
        .take()
        .unwrap_or_else(|| self::facts().plan.unwrap());
    match gate {
        Gate::DenyList => {
            facts.account.denials.insert(denial(1));
        }
        Gate::Access => facts.access_ending = Some(removal(1)),
        Gate::Service => facts.service.blocked = true,
        Gate::Listing => {
            let listing = facts.listing.take().or_else(|| self::facts().listing);
            facts.listing = listing.map(|listing| Listing {
                state: ListingState::Suspended,
                ..listing
            });
        }
        Gate::Place => plan.regions = Some(BTreeSet::from(["us-east-1".parse().unwrap()])),
        Gate::Agreement => facts.agreement = None,
        Gate::Licence => {
            let lic = |id: &str| Licence {
                id: id.to_owned(),
                since: facts.at,
                free: 1,
                claimed: false,
            };
            let active = vec![lic("lic_1"), lic("lic_2")];
            facts.licences = Some(Licences {
                active,
                rule: BindRule::Ask,
            });
        }
        Gate::Quota => {
            facts.quotas.push(Quota {
                figure: QuotaFigure::EndpointsPerService,
                would_be: 4,
                limit: 3,
            });
        }
        Gate::Approval => plan.approval = Approval::Manual {},
        Gate::Registration => facts.account.registered = false,
        Gate::Policy => {}
    }
    facts.plan = Some(plan);
}

/// An entry of the deny list.
pub(crate) fn denial(n: u128) -> DenialId {
    DenialId::from(uuid::Uuid::from_u128(n))
}

/// A removal of access.
pub(crate) fn removal(n: u128) -> AccessRemovalId {
    AccessRemovalId::from(uuid::Uuid::from_u128(n))
}

/// Policies that permit everything.
pub(crate) fn permits(_: &Facts) -> PolicyVerdict {
    verdict(PolicyEffect::Permit, &["yes"])
}

pub(crate) fn verdict(effect: PolicyEffect, policies: &[&str]) -> PolicyVerdict {
    let matched = |id: &&str| MatchedPolicy {
        id: (*id).to_owned(),
        reason: None,
        message: None,
    };
    PolicyVerdict {
        effect,
        policies: policies.iter().map(matched).collect(),
        failures: Vec::new(),
        versions: vec!["v1".to_owned()],
    }
}

pub(crate) fn failing(mut verdict: PolicyVerdict) -> PolicyVerdict {
    let message = "overflow".to_owned();
    verdict.failures.push(PolicyFailure {
        policy: "broken".to_owned(),
        message,
    });
    verdict
}
