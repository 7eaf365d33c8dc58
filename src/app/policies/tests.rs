//! The decision with a real policy engine.

use std::collections::BTreeSet;

use policy::PolicySet;

use super::{PolicySets, explain};
use crate::domain::decision::{
    AgreementSource, AgreementState, Counts, Facts, Gate, ListingState, Outcome, decide, testing,
};
use crate::domain::ids::ConsumerId;

fn compiled(text: &str) -> PolicySet {
    PolicySet::compile(text).unwrap_or_else(|wrong| panic!("{text}\n{wrong:#?}"))
}

/// A request of a proven account from another Region; nothing is sold.
fn facts() -> Facts {
    let mut facts = Facts {
        counts: Counts {
            connections: 2,
            on_service: 1,
            regions: 1,
        },
        account: testing::facts().account,
        ..testing::bare()
    };
    facts.connection.region = Some("eu-west-1".parse().unwrap());
    facts.connection.zones = Some(BTreeSet::from(["euw1-az1".parse().unwrap()]));
    facts
}

#[test]
fn a_template_decides_and_its_reason_is_told() {
    let set = compiled(policy::TEMPLATES[0].text);
    let decision = decide(&facts(), &PolicySets(&[&set]));
    assert_eq!(
        (decision.outcome, decision.gate),
        (Outcome::Accept, Gate::Policy)
    );
    assert_eq!(decision.reasons[0].code, "known_account");
    assert_eq!(
        decision.reasons[0].sentence,
        "Your account is registered with us."
    );
    assert_eq!(decision.policies, ["known-accounts"]);
    assert_eq!(decision.policy_versions, [set.version()]);
    let mut unknown = facts();
    unknown.account.consumer = None;
    let decision = decide(&unknown, &PolicySets(&[&set]));
    assert_eq!(
        (decision.outcome, decision.reasons[0].code.as_str()),
        (Outcome::Hold, "no_policy_applies")
    );
    assert_eq!(explain(&set, &unknown).unwrap().len(), 1);
}

#[test]
fn policies_see_what_the_facts_say() {
    for condition in [
        "principal == Account::\"444455556666\" && principal in Consumer::\"CONSUMER\" && principal.proven",
        "principal has consumer && principal.consumer.getTag(\"tier\") == \"gold\"",
        "resource == Service::\"svc_00000000000000000000000000000001\" && resource.name == \"ledger\"",
        "resource.account == \"111122223333\" && resource.region == \"eu-central-1\"",
        "resource.regions.containsAll([\"eu-west-1\", \"eu-central-1\"])",
        "context.endpoint.crossRegion && context.endpoint.region == \"eu-west-1\"",
        "context.endpoint has zones && context.endpoint.zones == [\"euw1-az1\"]",
        "context.endpoint has ipAddressType && context.endpoint.ipAddressType == \"ipv4\"",
        "!context.live && context.waitedSeconds == 60",
        "context.counts.connections == 2 && context.counts.onService == 1 && context.counts.regions == 1",
        "context.time.weekday == 5 && context.time.minuteOfDay == 750",
        "!(context has listing) && !(context has agreement)",
    ] {
        let condition = condition.replace(
            "principal.consumer.getTag",
            "principal.consumer.hasTag(\"tier\") && principal.consumer.getTag",
        );
        let condition = condition.replace(
            "CONSUMER",
            &ConsumerId::from(uuid::Uuid::from_u128(2)).to_string(),
        );
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let set = compiled(&text);
        assert_eq!(
            decide(&facts(), &PolicySets(&[&set])).outcome,
            Outcome::Accept,
            "{condition}"
        );
    }
}

#[test]
fn sets_decide_together_and_none_accepts_alone_what_another_forbids() {
    let permit = compiled("permit (principal, action, resource);");
    let forbid = compiled("@id(\"no\") forbid (principal, action, resource);");
    let broken = compiled(
        "permit (principal, action, resource) when { context.waitedSeconds * 9223372036854775807 > 0 };",
    );
    let empty = compiled("");
    for (sets, outcome) in [
        (vec![], Outcome::Hold),
        (vec![&empty], Outcome::Hold),
        (vec![&permit, &empty], Outcome::Accept),
        (vec![&permit, &forbid], Outcome::Reject),
        (vec![&permit, &broken], Outcome::Hold),
        (vec![&broken, &forbid], Outcome::Reject),
    ] {
        let decision = decide(&facts(), &PolicySets(&sets));
        assert_eq!(
            (decision.outcome, decision.policy_versions.len()),
            (outcome, sets.len())
        );
    }
}

/// The engine refuses words that a state never has; they are this product's words.
#[test]
fn the_engine_knows_every_word_of_our_states() {
    let compiles = |attribute: &str, word: &str| {
        let part = attribute.split('.').next().unwrap();
        let text = format!(
            "permit (principal, action, resource) when {{ context has {part} && context.{attribute} == \"{word}\" }};"
        );
        PolicySet::compile(&text).is_ok()
    };
    for state in ListingState::ALL {
        assert!(compiles("listing.state", state.as_str()), "{state}");
    }
    for state in AgreementState::ALL {
        assert!(compiles("agreement.state", state.as_str()), "{state}");
    }
    for source in AgreementSource::ALL {
        assert!(compiles("agreement.source", source.as_str()), "{source}");
    }
    assert!(!compiles("agreement.state", "activ"));
}
