//! What would have to change, held against the gates: who does it is asked again, and the reason is gone.

use std::collections::BTreeSet;

use super::table::{rows, verdicts, with};
use super::testing::{facts, permits, upset};
use super::*;
use crate::domain::lifecycle::LifecycleState;

/// Does what a remedy says.
fn apply(remedy: &Remedy, facts: &mut Facts) {
    use RemedyKind as Kind;
    let detail = |name: &str| remedy.details[name].clone();
    let listing = facts.listing.as_mut();
    match remedy.kind {
        Kind::LiftDenial => {
            let lifted: BTreeSet<crate::domain::ids::DenialId> =
                serde_json::from_value(detail("denials")).unwrap();
            facts.account.denials.retain(|one| !lifted.contains(one));
        }
        Kind::GiveAccessBack => facts.access_ending = None,
        Kind::LiftBlock => facts.service.blocked = false,
        Kind::CancelDrain | Kind::RegisterService | Kind::UseAnotherService => {
            facts.service.lifecycle = LifecycleState::Active;
            facts.listing = super::testing::facts().listing;
        }
        Kind::ReleaseListing | Kind::ReopenListing | Kind::ResumeListing => {
            listing.unwrap().state = ListingState::Public;
        }
        Kind::AddToAllowList => listing.unwrap().allow_listed = true,
        Kind::AddRegion => {
            let region = serde_json::from_value(detail("region")).unwrap();
            facts.service.other_regions.insert(region);
        }
        Kind::MoveEndpoint => {
            let (regions, zones) = (remedy.details.get("regions"), remedy.details.get("zones"));
            if let Some(regions) = regions {
                facts.connection.region = serde_json::from_value(regions[0].clone()).unwrap();
            }
            if let Some(zones) = zones {
                facts.connection.zones = serde_json::from_value(zones.clone()).unwrap();
            }
        }
        Kind::ExtendPlan => {
            let plan = facts.plan.as_mut().unwrap();
            if let Some(region) = remedy.details.get("region") {
                let region = serde_json::from_value(region.clone()).unwrap();
                plan.regions.as_mut().unwrap().insert(region);
            }
            if let Some(zones) = remedy.details.get("zones") {
                let zones: BTreeSet<_> = serde_json::from_value(zones.clone()).unwrap();
                plan.zones.as_mut().unwrap().extend(zones);
            }
        }
        Kind::MakeAgreement | Kind::AwaitAgreement | Kind::SettleAgreement => {
            facts.agreement = super::testing::facts().agreement;
        }
        Kind::ClaimLicence => {
            let one: String = serde_json::from_value(detail("licences")[0].clone()).unwrap();
            let active = &mut facts.licences.as_mut().unwrap().active;
            active.iter_mut().find(|all| all.id == one).unwrap().claimed = true;
        }
        Kind::AddLicence => {
            let active = &mut facts.licences.as_mut().unwrap().active;
            let claimed = active
                .iter_mut()
                .any(|one| std::mem::take(&mut one.claimed));
            active.push(Licence {
                id: "lic_new".to_owned(),
                since: facts.at,
                free: 1,
                claimed,
            });
        }
        Kind::RaiseLimit => {
            let quota = quota_of(facts, &detail("figure"));
            assert_eq!(detail("limit"), quota.limit);
            assert_eq!(detail("by"), quota.would_be - quota.limit);
            quota.limit = detail("to").as_i64().unwrap();
        }
        Kind::GiveUp => {
            quota_of(facts, &detail("figure")).would_be -= detail("by").as_i64().unwrap();
        }
        Kind::Approve => facts.approved = true,
        Kind::Wait => facts.connection.waited_seconds += detail("seconds").as_u64().unwrap(),
        Kind::AskAgain => facts.connection.waited_seconds = 0,
        Kind::CompleteRegistration => facts.account.registered = true,
        Kind::ChangePolicy | Kind::WritePolicy | Kind::MendPolicy | Kind::Decide => {
            panic!("{remedy:?} changes no fact")
        }
    }
}

fn quota_of<'a>(facts: &'a mut Facts, figure: &serde_json::Value) -> &'a mut Quota {
    let mut all = facts.quotas.iter_mut();
    all.find(|quota| quota.figure.as_str() == figure).unwrap()
}

/// Every decision that is not an accept, as the decision table shows it.
fn stopped() -> Vec<(String, Facts, Decision)> {
    let mut all = Vec::new();
    for gate in Gate::ALL {
        for row in rows(*gate) {
            for standing in Standing::ALL {
                let facts = with(row.facts.clone(), *standing);
                let decision = decide(&facts, &permits);
                if decision.outcome != Outcome::Accept {
                    all.push((format!("{gate}: {} {standing}", row.state), facts, decision));
                }
            }
        }
    }
    for (said, verdict) in verdicts() {
        let decision = decide(&facts(), &|_: &Facts| verdict.clone());
        if decision.outcome != Outcome::Accept {
            all.push((said.to_owned(), facts(), decision));
        }
    }
    all
}

#[test]
fn every_reason_that_stops_a_request_has_a_remedy_and_every_remedy_is_given() {
    let (mut codes, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for (what, facts, decision) in stopped() {
        let all = remedies(&decision, &facts);
        for reason in &decision.reasons {
            assert!(
                all.iter().any(|remedy| remedy.reason == reason.code),
                "{what}: nothing would have to change for {}",
                reason.code
            );
            codes.insert(reason.code.parse::<ReasonCode>().unwrap());
        }
        kinds.extend(all.iter().map(|remedy| remedy.kind));
    }
    let stops = ReasonCode::ALL
        .iter()
        .filter(|code| !matches!(code, ReasonCode::PolicyPermits | ReasonCode::Entitled));
    assert!(codes.iter().eq(stops), "{codes:?}");
    assert!(kinds.iter().eq(RemedyKind::ALL), "{kinds:?}");
}

/// The heart of it: what a remedy says does away with the reason that it was given for.
#[test]
fn what_is_changed_does_away_with_the_reason() {
    for (what, facts, decision) in stopped() {
        for remedy in remedies(&decision, &facts) {
            if matches!(
                remedy.kind,
                RemedyKind::ChangePolicy
                    | RemedyKind::WritePolicy
                    | RemedyKind::MendPolicy
                    | RemedyKind::Decide
            ) {
                continue;
            }
            let mut changed = facts.clone();
            apply(&remedy, &mut changed);
            let after = decide(&changed, &permits);
            let again = after.reasons.iter().any(|one| one.code == remedy.reason);
            assert!(!again, "{what}: {remedy:?} leads to {after:?}");
        }
    }
}

#[test]
fn every_limit_says_by_how_much_and_an_accept_says_nothing() {
    let mut facts = facts();
    for quota in &mut facts.quotas {
        (quota.would_be, quota.limit) = (7, 4);
    }
    let decision = decide(&facts, &permits);
    let all = remedies(&decision, &facts);
    let told: Vec<(&str, &str)> = all
        .iter()
        .map(|remedy| (remedy.kind.as_str(), remedy.sentence.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("raise_limit", "Raise the limit of connections from 4 to 7."),
            ("give_up", "Give up 3 of the accepted connections."),
            (
                "raise_limit",
                "Raise the limit of endpoints per service from 4 to 7."
            ),
            ("give_up", "Give up 3 of the endpoints on this service."),
            ("raise_limit", "Raise the limit of Regions from 4 to 7."),
            ("give_up", "Give up 3 of the Regions."),
        ]
    );
    let fine = super::testing::facts();
    assert_eq!(remedies(&decide(&fine, &permits), &fine), []);
}

/// A policy may spell its code like one of ours; it is still the policy that would have to change.
#[test]
fn a_policy_s_own_code_is_never_taken_for_a_gate_s() {
    let forbids = |_: &Facts| {
        let mut verdict = super::testing::verdict(PolicyEffect::Forbid, &["no"]);
        verdict.policies[0].reason = Some("account_denied".to_owned());
        verdict
    };
    let decision = decide(&facts(), &forbids);
    let all = remedies(&decision, &facts());
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].kind, RemedyKind::ChangePolicy);
    assert_eq!(
        (&all[0].reason[..], &all[0].sentence[..]),
        ("account_denied", "Change no, or what it goes by.")
    );
}

#[test]
fn a_code_of_another_version_has_none() {
    let mut denied = facts();
    upset(Gate::DenyList, &mut denied);
    let mut decision = decide(&denied, &permits);
    decision.reasons[0].code = "moon_in_the_way".to_owned();
    assert_eq!(remedies(&decision, &denied), []);
}
