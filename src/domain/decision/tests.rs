//! Each gate, the order, and what follows from the policies.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::testing::{bare, facts, failing, permits, upset, verdict};
use super::*;
use crate::domain::quota::QuotaFigure;

fn codes(decision: &Decision) -> Vec<&str> {
    decision
        .reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect()
}

fn live(mut facts: Facts) -> Facts {
    facts.connection.standing = Standing::Live;
    facts
}

#[test]
fn a_request_that_no_gate_stops_and_a_policy_permits_is_accepted() {
    for facts in [facts(), bare(), live(facts()), live(bare())] {
        let decision = decide(&facts, &permits);
        assert_eq!(
            (decision.outcome, decision.gate),
            (Outcome::Accept, Gate::Policy)
        );
        assert_eq!(codes(&decision), ["policy_permits"]);
        assert_eq!(
            (decision.policies.len(), decision.policy_versions.len()),
            (1, 1)
        );
    }
}

/// Each gate, upset alone: were it left out, this request would be accepted.
#[test]
fn each_gate_stops_what_everything_else_would_let_through() {
    for gate in Gate::ALL.iter().filter(|gate| **gate != Gate::Policy) {
        let mut facts = facts();
        upset(*gate, &mut facts);
        let decision = decide(&facts, &permits);
        assert_eq!(decision.gate, *gate);
        assert_ne!(decision.outcome, Outcome::Accept, "{gate}");
        assert!(!decision.reasons.is_empty(), "{gate}");
        assert!(
            decision.policies.is_empty() && decision.policy_versions.is_empty(),
            "{gate}"
        );
        assert_eq!(decision.licence, None, "{gate}");
    }
}

#[test]
fn of_two_gates_the_earlier_one_decides() {
    for (n, first) in Gate::ALL.iter().enumerate() {
        for second in Gate::ALL.iter().skip(n + 1) {
            let mut facts = facts();
            upset(*second, &mut facts);
            upset(*first, &mut facts);
            assert_eq!(decide(&facts, &permits).gate, *first, "before {second}");
        }
    }
}

#[test]
fn policies_are_not_asked_where_a_gate_decides() {
    let mut denied = facts();
    upset(Gate::DenyList, &mut denied);
    let asked = |_: &Facts| -> PolicyVerdict { panic!("the policies were asked") };
    assert_eq!(decide(&denied, &asked).outcome, Outcome::Reject);
}

#[test]
fn what_follows_from_the_policies() {
    use PolicyEffect::{Forbid, Neither, Permit};
    let no_set = PolicyVerdict {
        versions: vec![],
        ..verdict(Neither, &[])
    };
    for (verdict, outcome, code) in [
        (verdict(Permit, &["a"]), Outcome::Accept, "policy_permits"),
        (verdict(Forbid, &["a"]), Outcome::Reject, "policy_forbids"),
        (verdict(Neither, &[]), Outcome::Hold, "no_policy_applies"),
        (no_set, Outcome::Hold, "no_policy"),
        (
            failing(verdict(Permit, &["a"])),
            Outcome::Hold,
            "policy_failed",
        ),
        (
            failing(verdict(Neither, &[])),
            Outcome::Hold,
            "policy_failed",
        ),
        (
            failing(verdict(Forbid, &["a"])),
            Outcome::Reject,
            "policy_forbids",
        ),
    ] {
        let decision = decide(&facts(), &|_: &Facts| verdict.clone());
        assert_eq!(
            (decision.outcome, codes(&decision)),
            (outcome, vec![code]),
            "{verdict:?}"
        );
    }
    let decision = decide(&facts(), &NoPolicies);
    assert_eq!(
        (decision.outcome, codes(&decision)),
        (Outcome::Hold, vec!["no_policy"])
    );
}

#[test]
fn a_policy_s_own_reason_and_message_are_told_once() {
    let own = MatchedPolicy {
        id: "a".to_owned(),
        reason: Some("known_account".to_owned()),
        message: Some("You are known.".to_owned()),
    };
    let same = MatchedPolicy {
        id: "b".to_owned(),
        ..own.clone()
    };
    let judge = |_: &Facts| PolicyVerdict {
        policies: vec![own.clone(), same.clone()],
        ..verdict(PolicyEffect::Permit, &[])
    };
    let decision = decide(&facts(), &judge);
    assert_eq!(codes(&decision), ["known_account"]);
    assert_eq!(decision.reasons[0].sentence, "You are known.");
    assert_eq!(decision.policies, ["a", "b"]);
}

#[test]
fn a_gate_that_refuses_requests_leaves_a_live_connection_to_a_person() {
    for gate in [Gate::Place, Gate::Agreement] {
        let mut facts = live(facts());
        upset(gate, &mut facts);
        assert_eq!(decide(&facts, &permits).outcome, Outcome::Hold, "{gate}");
    }
    for gate in [
        Gate::Access,
        Gate::Listing,
        Gate::Quota,
        Gate::Approval,
        Gate::Registration,
    ] {
        let mut facts = live(facts());
        upset(gate, &mut facts);
        assert_eq!(decide(&facts, &permits).outcome, Outcome::Accept, "{gate}");
    }
    for gate in [Gate::DenyList, Gate::Service] {
        let mut facts = live(facts());
        upset(gate, &mut facts);
        assert_eq!(decide(&facts, &permits).outcome, Outcome::Reject, "{gate}");
    }
}

#[test]
fn grace_keeps_what_is_live_until_its_second_and_lets_nothing_new_in() {
    let mut facts = facts();
    let now = facts.at;
    let agreement = facts.agreement.as_mut().unwrap();
    agreement.state = AgreementState::Grace;
    for (until, new, kept) in [
        (
            Some(TimeDelta::seconds(1)),
            Outcome::Reject,
            Outcome::Accept,
        ),
        (Some(TimeDelta::zero()), Outcome::Reject, Outcome::Reject),
        (None, Outcome::Reject, Outcome::Hold),
    ] {
        facts.agreement.as_mut().unwrap().grace_until = until.map(|until| now + until);
        facts.connection.standing = Standing::Requested;
        assert_eq!(decide(&facts, &permits).outcome, new, "{until:?}");
        facts.connection.standing = Standing::Live;
        assert_eq!(decide(&facts, &permits).outcome, kept, "{until:?}");
    }
}

#[test]
fn timers_turn_at_their_second() {
    let mut facts = facts();
    facts.agreement = None;
    for (waited, outcome) in [(86_399, Outcome::Hold), (86_400, Outcome::Reject)] {
        facts.connection.waited_seconds = waited;
        assert_eq!(
            decide(&facts, &permits).outcome,
            outcome,
            "no agreement after {waited} s"
        );
    }
    let mut facts = self::facts();
    for (approval, before, after) in [
        (
            Approval::AutoAfter { seconds: 10 },
            Outcome::Hold,
            Outcome::Accept,
        ),
        (
            Approval::RejectAfter { seconds: 10 },
            Outcome::Hold,
            Outcome::Reject,
        ),
        (Approval::Manual {}, Outcome::Hold, Outcome::Hold),
    ] {
        facts.plan.as_mut().unwrap().approval = approval;
        for (waited, approved, outcome) in [
            (9, false, before),
            (10, false, after),
            (9, true, Outcome::Accept),
        ] {
            (facts.connection.waited_seconds, facts.approved) = (waited, approved);
            assert_eq!(
                decide(&facts, &permits).outcome,
                outcome,
                "{approval:?} {waited}"
            );
        }
    }
}

#[test]
fn a_place_has_to_be_allowed_by_the_service_and_by_the_plan() {
    let mut facts = facts();
    let code = |facts: &Facts| decide(facts, &permits).reasons[0].code.clone();
    facts.connection.region = Some("us-east-1".parse().unwrap());
    assert_eq!(code(&facts), "region_not_available");
    facts.connection.region = Some("eu-west-1".parse().unwrap());
    assert_eq!(code(&facts), "policy_permits");
    facts.plan.as_mut().unwrap().regions = Some(BTreeSet::from(["eu-central-1".parse().unwrap()]));
    assert_eq!(code(&facts), "region_not_in_plan");
    facts.connection.region = None;
    assert_eq!(code(&facts), "policy_permits", "the service's own Region");
    facts.plan.as_mut().unwrap().zones = Some(BTreeSet::from(["euc1-az2".parse().unwrap()]));
    assert_eq!(code(&facts), "zone_not_in_plan");
    facts.connection.zones = None;
    assert_eq!(code(&facts), "zone_unknown");
}

#[test]
fn every_exceeded_quota_is_told_with_its_figures() {
    let mut facts = facts();
    facts.quotas = vec![
        Quota {
            figure: QuotaFigure::EndpointsPerService,
            would_be: 3,
            limit: 3,
        },
        Quota {
            figure: QuotaFigure::Regions,
            would_be: 3,
            limit: 2,
        },
        Quota {
            figure: QuotaFigure::Connections,
            would_be: 1,
            limit: 0,
        },
    ];
    let decision = decide(&facts, &permits);
    let sentences: Vec<_> = decision
        .reasons
        .iter()
        .map(|r| r.sentence.as_str())
        .collect();
    assert_eq!(
        sentences,
        [
            "This would be 3 Regions, and your limit is 2.",
            "This would be 1 connections, and your limit is 0."
        ]
    );
}

#[test]
fn the_licence_that_pays_follows_the_bind_rule() {
    let facts = facts();
    let licence = |id: &str, age: i64, free: u32, claimed: bool| Licence {
        id: id.to_owned(),
        since: facts.at - TimeDelta::days(age),
        free,
        claimed,
    };
    let two = || vec![licence("a", 1, 5, false), licence("b", 9, 2, false)];
    let mut claimed = two();
    claimed.push(licence("c", 0, 1, true));
    let full = vec![licence("a", 1, 0, false), licence("b", 2, 0, false)];
    let only = vec![licence("a", 1, 0, false), licence("b", 2, 1, false)];
    let claimed_full = vec![licence("a", 1, 0, true), licence("b", 2, 1, false)];
    let bind = |active: Vec<Licence>, rule| {
        let mut facts = facts.clone();
        facts.licences = Some(Licences { active, rule });
        let decision = decide(&facts, &permits);
        (decision.licence, decision.reasons[0].code.clone())
    };
    let pays = |id: &str| (Some(id.to_owned()), "policy_permits".to_owned());
    let held = |code: &str| (None, code.to_owned());
    assert_eq!(bind(vec![], BindRule::Oldest), held("licences_full"));
    assert_eq!(bind(two(), BindRule::Ask), held("licence_ambiguous"));
    assert_eq!(bind(two(), BindRule::Oldest), pays("b"));
    assert_eq!(bind(two(), BindRule::MostFree), pays("a"));
    assert_eq!(bind(claimed, BindRule::MostFree), pays("c"));
    assert_eq!(bind(only, BindRule::Ask), pays("b"));
    assert_eq!(bind(full, BindRule::Oldest), held("licences_full"));
    assert_eq!(bind(claimed_full, BindRule::Oldest), held("licences_full"));
}

#[test]
fn facts_are_read_back_as_they_were_and_others_are_refused() {
    for facts in [facts(), bare()] {
        let stored = facts.to_json().unwrap();
        assert_eq!(Facts::from_json(&stored), Ok(facts.clone()));
        assert_eq!(replay(&stored, &permits), Ok(decide(&facts, &permits)));
    }
    let mut stored = facts().to_json().unwrap();
    stored["surprise"] = true.into();
    assert!(matches!(
        Facts::from_json(&stored),
        Err(UnreadableFacts::Shape(_))
    ));
    stored["version"] = 2.into();
    assert_eq!(Facts::from_json(&stored), Err(UnreadableFacts::Version(2)));
    stored["version"] = serde_json::Value::Null;
    assert_eq!(Facts::from_json(&stored), Err(UnreadableFacts::NoVersion));
}

/// What was decided before a fact was known is made again as if it were not so.
#[test]
fn facts_from_before_removals_were_known_are_made_again_as_they_were() {
    let mut ending = facts();
    upset(Gate::Access, &mut ending);
    let mut stored = ending.to_json().unwrap();
    assert_eq!(
        stored["access_ending"],
        "arm_00000000000000000000000000000001"
    );
    let decision = replay(&stored, &permits).unwrap();
    assert_eq!(
        (decision.outcome, decision.gate, codes(&decision)),
        (Outcome::Reject, Gate::Access, vec!["access_ending"])
    );
    stored.as_object_mut().unwrap().remove("access_ending");
    assert_eq!(replay(&stored, &permits), Ok(decide(&facts(), &permits)));
    assert_eq!(
        stored,
        facts().to_json().unwrap(),
        "nothing is written where nothing ends"
    );
}

/// The stored format, written out: a change here needs a new version.
#[test]
fn the_stored_format_is_this() {
    let expected = serde_json::json!({
        "version": 1,
        "at": "2027-01-15T12:30:00Z",
        "connection": {
            "endpoint_id": "vpce-0123456789abcdef0",
            "standing": "requested",
            "waited_seconds": 60,
            "zones": ["euc1-az1"],
            "ip_address_type": "ipv4",
        },
        "account": {
            "id": "444455556666",
            "proven": true,
            "consumer": { "id": "cns_00000000000000000000000000000002", "name": "Example", "labels": { "tier": "gold" } },
            "registered": true,
        },
        "service": {
            "id": "svc_00000000000000000000000000000001",
            "name": "ledger",
            "account": "111122223333",
            "region": "eu-central-1",
            "other_regions": ["eu-west-1"],
            "lifecycle": "active",
            "blocked": false,
            "two_persons": false,
        },
        "quotas": [
            { "figure": "connections", "would_be": 1, "limit": 3 },
            { "figure": "endpoints_per_service", "would_be": 1, "limit": 3 },
            { "figure": "regions", "would_be": 1, "limit": 3 },
        ],
        "counts": { "connections": 0, "on_service": 0, "regions": 0 },
        "approved": false,
        "listing": { "id": "lst_1", "state": "public", "allow_listed": false },
        "plan": {
            "id": "basic",
            "agreement_required": true,
            "orphan_wait_seconds": 86400,
            "approval": { "mode": "auto" },
            "registration_required": true,
        },
        "agreement": { "id": "agr_1", "state": "active", "source": "private" },
        "licences": {
            "active": [{ "id": "lic_1", "since": "2027-01-15T12:30:00Z", "free": 1, "claimed": false }],
            "rule": "ask",
        },
    });
    assert_eq!(facts().to_json().unwrap(), expected);
    let decision = serde_json::to_value(decide(&facts(), &permits)).unwrap();
    let expected = serde_json::json!({
        "outcome": "accept",
        "gate": "policy",
        "reasons": [{
            "code": "policy_permits",
            "sentence": "Your request meets the provider's conditions.",
        }],
        "policies": ["yes"],
        "policy_versions": ["v1"],
        "licence": "lic_1",
    });
    assert_eq!(decision, expected);
}

#[test]
fn a_dry_run_tells_who_gains_and_who_loses() {
    let case = |n: usize, facts: Facts, outcome| Case {
        id: format!("case-{n}"),
        facts,
        outcome,
    };
    let forbids = |_: &Facts| verdict(PolicyEffect::Forbid, &["no"]);
    let holds = |_: &Facts| verdict(PolicyEffect::Neither, &[]);
    let mut denied = facts();
    upset(Gate::DenyList, &mut denied);
    let cases = || {
        let requests = [Outcome::Accept, Outcome::Hold, Outcome::Reject]
            .into_iter()
            .map(|outcome| (facts(), outcome));
        let standing = (0..50).map(|_| (live(facts()), Outcome::Accept));
        let all = requests
            .chain([(denied.clone(), Outcome::Reject)])
            .chain(standing);
        all.enumerate()
            .map(|(n, (facts, outcome))| case(n, facts, outcome))
            .collect::<Vec<_>>()
    };
    let run = dry_run(&permits, cases());
    assert_eq!((run.judged, run.live), (54, 50));
    assert_eq!(
        (run.newly_accepted, run.newly_held, run.newly_rejected),
        (2, 0, 0)
    );
    assert_eq!((run.losing_access, run.live_held), (0, 0));
    let run = dry_run(&holds, cases());
    assert_eq!(
        (run.newly_accepted, run.newly_held, run.newly_rejected),
        (0, 2, 0)
    );
    assert_eq!(
        (run.losing_access, run.live_held),
        (0, 50),
        "held is not lost"
    );
    assert!(!run.cuts_more_than(0));
    let run = dry_run(&forbids, cases());
    assert_eq!(
        (run.newly_accepted, run.newly_held, run.newly_rejected),
        (0, 0, 2)
    );
    assert_eq!((run.losing_access, run.live_held), (50, 0));
    assert!(run.cuts_more_than(99) && !run.cuts_more_than(100));
    let lost: Vec<_> = run
        .samples
        .iter()
        .filter(|sample| sample.change == Change::LosesAccess)
        .collect();
    assert_eq!(lost.len(), SAMPLES, "examples are bounded");
    assert_eq!(lost[0].policies, ["no"]);
    assert!(!dry_run(&forbids, []).cuts_more_than(0));
}

/// Only the clock: everything else that is different is another fact, however little it matters to the answer.
#[test]
fn facts_are_the_same_when_only_time_has_passed() {
    let now = facts();
    let stored = |change: &dyn Fn(&mut Facts)| {
        let mut before = facts();
        change(&mut before);
        before.to_json().unwrap()
    };
    assert!(now.are_but_for_time(&stored(&|f| {
        f.at -= TimeDelta::minutes(5);
        f.connection.waited_seconds = 1;
    })));
    for change in [
        |f: &mut Facts| f.account.consumer = None,
        |f: &mut Facts| f.counts.connections += 1,
        |f: &mut Facts| f.quotas[0].would_be += 1,
        |f: &mut Facts| f.approved = true,
        |f: &mut Facts| f.service.two_persons = true,
        |f: &mut Facts| f.connection.standing = Standing::Live,
    ] {
        assert!(!now.are_but_for_time(&stored(&change)));
    }
    // The order of members is nobody's business, and another version's facts are never taken for the same.
    let text = stored(&|_| {}).to_string();
    let mut turned = serde_json::Map::new();
    let members: Vec<(String, serde_json::Value)> =
        serde_json::from_str::<serde_json::Map<_, _>>(&text)
            .unwrap()
            .into_iter()
            .collect();
    turned.extend(members.into_iter().rev());
    assert!(now.are_but_for_time(&turned.clone().into()));
    turned.insert("version".to_owned(), 2.into());
    assert!(!now.are_but_for_time(&turned.into()));
}
