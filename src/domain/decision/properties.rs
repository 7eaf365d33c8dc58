//! What holds of every decision, whatever the facts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{bare, denial, facts, failing, removal, verdict};
use super::*;
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;

fn verdicts() -> impl Strategy<Value = PolicyVerdict> {
    (
        prop::sample::select(PolicyEffect::ALL),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(effect, fails, set)| {
            let mut verdict = verdict(
                effect,
                if effect == PolicyEffect::Neither {
                    &[]
                } else {
                    &["p"]
                },
            );
            if !set && effect == PolicyEffect::Neither {
                verdict.versions.clear();
            }
            if fails { failing(verdict) } else { verdict }
        })
}

fn approval() -> impl Strategy<Value = Approval> {
    prop_oneof![
        Just(Approval::Auto {}),
        Just(Approval::Manual {}),
        (0..200_u64).prop_map(|seconds| Approval::AutoAfter { seconds }),
        (0..200_u64).prop_map(|seconds| Approval::RejectAfter { seconds }),
    ]
}

fn regions() -> impl Strategy<Value = BTreeSet<privatelink::Region>> {
    let one = prop::sample::select(&["eu-central-1", "eu-west-1", "us-east-1"][..]);
    prop::collection::btree_set(one.prop_map(|r| r.parse().unwrap()), 0..3)
}

fn zones() -> impl Strategy<Value = BTreeSet<privatelink::AvailabilityZoneId>> {
    let one = prop::sample::select(&["euc1-az1", "euc1-az2"][..]);
    prop::collection::btree_set(one.prop_map(|z| z.parse().unwrap()), 0..3)
}

fn plan() -> impl Strategy<Value = Plan> {
    let parts = (
        prop::option::of(regions()),
        prop::option::of(zones()),
        any::<bool>(),
    );
    (parts, 0..200_u64, approval(), any::<bool>()).prop_map(
        |(
            (regions, zones, agreement_required),
            orphan_wait_seconds,
            approval,
            registration_required,
        )| Plan {
            id: "basic".to_owned(),
            regions,
            zones,
            agreement_required,
            orphan_wait_seconds,
            approval,
            registration_required,
        },
    )
}

fn agreement() -> impl Strategy<Value = Agreement> {
    let until = prop::option::of(-2..2_i64);
    (prop::sample::select(AgreementState::ALL), until).prop_map(|(state, until)| Agreement {
        id: "agr_1".to_owned(),
        state,
        source: AgreementSource::Aws,
        grace_until: until.map(|s| facts().at + chrono::TimeDelta::seconds(s)),
    })
}

fn licences() -> impl Strategy<Value = Licences> {
    let licence = (0..3_i64, 0..3_u32, prop::bool::weighted(0.2));
    (
        prop::collection::vec(licence, 0..4),
        prop::sample::select(BindRule::ALL),
    )
        .prop_map(|(licences, rule)| Licences {
            active: licences
                .into_iter()
                .enumerate()
                .map(|(n, (age, free, claimed))| Licence {
                    id: format!("lic_{n}"),
                    since: facts().at - chrono::TimeDelta::days(age),
                    free,
                    claimed,
                })
                .collect(),
            rule,
        })
}

/// Facts of every kind, in and out of order.
fn any_facts() -> impl Strategy<Value = Facts> {
    let sold = (
        prop::option::of((
            prop::sample::select(ListingState::ALL),
            any::<bool>(),
            prop::option::of(prop::sample::select(Acceptance::ALL)),
        )),
        prop::option::of(plan()),
        prop::option::of(agreement()),
        prop::option::of(licences()),
    );
    let quota = (prop::sample::select(QuotaFigure::ALL), 0..5_i64, 0..5_i64);
    let state = (
        prop::sample::select(LifecycleState::ALL),
        prop::bool::weighted(0.1),
    );
    let state = prop_oneof![2 => Just((LifecycleState::Active, false)), 1 => state];
    let at = (
        prop::sample::select(Standing::ALL),
        0..200_u64,
        prop::option::of(regions()),
        prop::option::of(zones()),
    );
    let flags = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.15),
        any::<bool>(),
    );
    (sold, prop::collection::vec(quota, 0..2), state, at, flags).prop_map(
        |((listing, plan, agreement, licences), quotas, state, at, flags)| {
            let (standing, waited_seconds, region, zones) = at;
            let (proven, registered, denied, ending, approved) = flags;
            let mut facts = bare();
            facts.listing = listing.map(|(state, allow_listed, acceptance)| Listing {
                id: "lst_1".to_owned(),
                state,
                allow_listed,
                acceptance,
            });
            (facts.plan, facts.agreement, facts.licences) = (plan, agreement, licences);
            facts.quotas = quotas
                .into_iter()
                .map(|(figure, would_be, limit)| Quota {
                    figure,
                    would_be,
                    limit,
                })
                .collect();
            (facts.service.lifecycle, facts.service.blocked) = state;
            facts.connection.standing = standing;
            facts.connection.waited_seconds = waited_seconds;
            facts.connection.region = region.and_then(|r| r.into_iter().next());
            facts.connection.zones = zones;
            (facts.account.proven, facts.account.registered) = (proven, registered);
            if denied {
                facts.account.denials.insert(denial(1));
            }
            facts.access_ending = ending.then(|| removal(1));
            facts.approved = approved;
            facts
        },
    )
}

/// How far an outcome lets a consumer in.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Reject => 0,
        Outcome::Hold => 1,
        Outcome::Accept => 2,
    }
}

/// Whether a decision is made by a right to connect, and not by a policy.
fn is_right(decision: &Decision) -> bool {
    decision.reasons == [ReasonCode::Entitled.into()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_has_a_reason_and_only_policies_and_rights_accept(facts in any_facts(), verdict in verdicts()) {
        let decision = decide(&facts, &|_: &Facts| verdict.clone());
        prop_assert!(!decision.reasons.is_empty());
        prop_assert!(decision.reasons.iter().all(|r| !r.code.is_empty() && r.sentence.ends_with('.')));
        if decision.outcome == Outcome::Accept {
            if is_right(&decision) {
                // By an agreement in force, or where it is open to everybody; and no policy has anything against it.
                prop_assert_eq!(decision.gate, Gate::Agreement);
                prop_assert_eq!(verdict.effect, PolicyEffect::Neither);
                prop_assert!(verdict.failures.is_empty());
                let agreed = facts.agreement.as_ref().is_some_and(|it| it.state == AgreementState::Active);
                let open = facts.plan.as_ref().is_some_and(|plan| !plan.agreement_required);
                let acceptance = facts.listing.as_ref().and_then(|it| it.acceptance);
                prop_assert!(acceptance == Some(Acceptance::EntitledAuto) && agreed || acceptance == Some(Acceptance::Open) && open);
            } else {
                prop_assert_eq!(decision.gate, Gate::Policy);
                prop_assert_eq!(verdict.effect, PolicyEffect::Permit);
            }
        } else {
            prop_assert_eq!(&decision.licence, &None);
        }
        let versions = if decision.gate == Gate::Policy || is_right(&decision) { verdict.versions } else { vec![] };
        prop_assert_eq!(decision.policy_versions, versions);
    }

    #[test]
    fn a_stored_decision_is_made_again_as_it_was(facts in any_facts(), verdict in verdicts()) {
        let policies = |_: &Facts| verdict.clone();
        let decision = decide(&facts, &policies);
        let (facts, stored) = (facts.to_json().unwrap(), serde_json::to_string(&decision).unwrap());
        let text: serde_json::Value = serde_json::from_str(&facts.to_string()).unwrap();
        prop_assert_eq!(replay(&text, &policies), Ok(decision));
        let again: Decision = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(Ok(again), replay(&facts, &policies));
    }

    #[test]
    fn the_deny_list_beats_all(mut facts in any_facts(), verdict in verdicts()) {
        facts.account.denials.insert(denial(2));
        let decision = decide(&facts, &|_: &Facts| verdict.clone());
        prop_assert_eq!((decision.outcome, decision.gate), (Outcome::Reject, Gate::DenyList));
    }

    #[test]
    fn another_denial_lets_nobody_further_in(facts in any_facts(), verdict in verdicts()) {
        let policies = |_: &Facts| verdict.clone();
        let mut denied = facts.clone();
        denied.account.denials.insert(denial(3));
        prop_assert!(rank(decide(&denied, &policies).outcome) <= rank(decide(&facts, &policies).outcome));
    }

    /// Nobody new comes in, and what is in has the time that the removal gave it: no less by this, and no more.
    #[test]
    fn access_that_ends_lets_no_request_in_and_leaves_what_is_live_alone(mut facts in any_facts(), verdict in verdicts()) {
        let policies = |_: &Facts| verdict.clone();
        facts.access_ending = None;
        let before = decide(&facts, &policies);
        facts.access_ending = Some(removal(2));
        let ending = decide(&facts, &policies);
        if facts.is_live() {
            prop_assert_eq!(ending, before);
        } else {
            prop_assert_eq!(ending.outcome, Outcome::Reject);
            let gate = if facts.account.denials.is_empty() { Gate::Access } else { Gate::DenyList };
            prop_assert_eq!(ending.gate, gate);
        }
    }

    #[test]
    fn a_forbid_lets_nobody_further_in(facts in any_facts(), before in verdicts()) {
        let forbids = |_: &Facts| verdict(PolicyEffect::Forbid, &["no"]);
        let without = decide(&facts, &|_: &Facts| before.clone());
        prop_assert!(rank(decide(&facts, &forbids).outcome) <= rank(without.outcome));
    }

    #[test]
    fn a_failed_policy_never_accepts(facts in any_facts(), before in verdicts()) {
        let broken = failing(before);
        let decision = decide(&facts, &|_: &Facts| broken.clone());
        prop_assert_ne!(decision.outcome, Outcome::Accept);
        let without = decide(&facts, &NoPolicies);
        prop_assert!(without.outcome != Outcome::Accept || is_right(&without));
    }

    #[test]
    fn a_lower_limit_never_accepts_more(mut facts in any_facts(), verdict in verdicts()) {
        let policies = |_: &Facts| verdict.clone();
        let before = decide(&facts, &policies);
        for quota in &mut facts.quotas {
            quota.limit -= 1;
        }
        let after = decide(&facts, &policies);
        // It may hold what a policy would reject: the gate comes first.
        prop_assert!(after.outcome != Outcome::Accept || before.outcome == Outcome::Accept);
    }

    /// A gate judges a live connection no more strictly than a request in the same place.
    #[test]
    fn what_is_live_is_not_judged_more_strictly(mut facts in any_facts(), verdict in verdicts()) {
        let policies = |_: &Facts| verdict.clone();
        facts.connection.standing = Standing::Requested;
        let requested = decide(&facts, &policies);
        facts.connection.standing = Standing::Live;
        let live = decide(&facts, &policies);
        if live.gate == requested.gate && live.gate != Gate::Policy {
            prop_assert!(rank(live.outcome) >= rank(requested.outcome), "{:?} {:?}", requested, live);
        }
    }
}
