//! What sets say.

use crate::request::Question;
use crate::testing::{FRIDAY_NOON, bare, compiled, facts};
use crate::vocabulary::Vocabulary;
use crate::{Effect, Facts, Matched, TEMPLATES, Verdict};

fn template(name: &str) -> &'static str {
    TEMPLATES.iter().find(|t| t.name == name).unwrap().text
}

fn effect(text: &str, facts: &Facts) -> Effect {
    compiled(text).evaluate(facts).effect
}

fn ids(verdict: &Verdict) -> Vec<&str> {
    verdict.determining.iter().map(|m| m.id.as_str()).collect()
}

/// Facts are put to the policies without asking the schema; this is why that is allowed.
#[test]
fn facts_fit_the_schema() {
    let schema = &Vocabulary::get().unwrap().schema;
    for facts in [facts(), bare()] {
        assert!(Question::of(&facts, Some(schema)).is_ok());
    }
}

#[test]
fn a_permit_accepts_a_forbid_refuses_and_neither_says_nothing() {
    let permit = "@id(\"yes\") permit (principal, action, resource) when { principal.known };";
    let forbid =
        "@id(\"no\") forbid (principal, action, resource) when { context.counts.regions > 1 };";
    let both = format!("{permit}\n{forbid}");
    let verdict = compiled(&both).evaluate(&facts());
    assert_eq!(
        (verdict.effect, ids(&verdict)),
        (Effect::Permit, vec!["yes"])
    );
    let mut many = facts();
    many.counts.regions = 2;
    let verdict = compiled(&both).evaluate(&many);
    assert_eq!(
        (verdict.effect, ids(&verdict)),
        (Effect::Forbid, vec!["no"])
    );
    assert_eq!(effect(permit, &bare()), Effect::Neither);
    assert_eq!(effect("", &facts()), Effect::Neither);
}

#[test]
fn the_determining_policies_come_with_their_reason_and_message_in_the_order_of_their_ids() {
    let text = "@id(\"b\") permit (principal, action, resource);\n\
                @id(\"a\") @reason(\"why\") @message(\"Because.\") permit (principal, action, resource);";
    let verdict = compiled(text).evaluate(&facts());
    let a = Matched {
        id: "a".to_owned(),
        reason: Some("why".to_owned()),
        message: Some("Because.".to_owned()),
    };
    let b = Matched {
        id: "b".to_owned(),
        reason: None,
        message: None,
    };
    assert_eq!(verdict.determining, [a, b]);
}

#[test]
fn a_policy_that_fails_keeps_from_permitting_and_is_named() {
    let permit = "@id(\"yes\") permit (principal, action, resource);";
    // Counted up to the largest number, one more is too much.
    let fails = "when { context.waitedSeconds + 9223372036854775807 > 0 };";
    for kind in ["permit", "forbid"] {
        let text =
            format!("{permit}\n@id(\"broken\") {kind} (principal, action, resource) {fails}");
        let verdict = compiled(&text).evaluate(&facts());
        assert_eq!(verdict.effect, Effect::Neither, "{kind}");
        assert_eq!(ids(&verdict), ["yes"], "what would have permitted is told");
        assert_eq!(verdict.failures.len(), 1);
        assert_eq!(verdict.failures[0].policy, "broken");
        assert!(
            verdict.failures[0].message.contains("overflow"),
            "{:?}",
            verdict.failures
        );
        let forbid = "@id(\"no\") forbid (principal, action, resource);";
        let verdict = compiled(&format!("{text}\n{forbid}")).evaluate(&facts());
        assert_eq!(
            (verdict.effect, ids(&verdict)),
            (Effect::Forbid, vec!["no"]),
            "a forbid stands"
        );
    }
}

/// Each attribute of the schema, asked for by its value.
#[test]
fn policies_see_the_facts_as_they_are() {
    for condition in [
        "principal == Account::\"444455556666\"",
        "principal in Consumer::\"cns_1\"",
        "principal.known",
        "principal.proven",
        "principal has consumer && principal.consumer == Consumer::\"cns_1\"",
        "principal has consumer && principal.consumer.name == \"Example\"",
        "principal has consumer && principal.consumer.hasTag(\"tier\") && principal.consumer.getTag(\"tier\") == \"gold\"",
        "resource == Service::\"svc_1\"",
        "resource.name == \"ledger\"",
        "resource.account == \"111122223333\"",
        "resource.region == \"eu-central-1\"",
        "resource.regions == [\"eu-west-1\", \"eu-central-1\"]",
        "resource.hasTag(\"stage\") && resource.getTag(\"stage\") == \"live\"",
        "context.endpoint.id == \"vpce-0123456789abcdef0\"",
        "context.endpoint.region == \"eu-central-1\"",
        "!context.endpoint.crossRegion",
        "context.endpoint has zones && context.endpoint.zones.containsAll([\"euc1-az1\", \"euc1-az2\"])",
        "context.endpoint has ipAddressType && context.endpoint.ipAddressType == \"ipv4\"",
        "!context.live",
        "context.waitedSeconds == 60",
        "context.counts.connections == 3",
        "context.counts.onService == 1",
        "context.counts.regions == 1",
        "context.time.unixSeconds == 1800016200",
        "context.time.hour == 12",
        "context.time.minuteOfDay == 750",
        "context.time.weekday == 5",
        "context has listing && context.listing.id == \"lst_1\"",
        "context has listing && context.listing.state == \"public\"",
        "context has listing.plan && context.listing.plan == \"basic\"",
        "context has agreement && context.agreement.id == \"agr_1\"",
        "context has agreement && context.agreement.state == \"active\"",
        "context has agreement && context.agreement.source == \"aws\"",
    ] {
        let text = |kind| format!("permit (principal, action, resource) {kind} {{ {condition} }};");
        assert_eq!(
            effect(&text("when"), &facts()),
            Effect::Permit,
            "{condition}"
        );
        assert_eq!(
            effect(&text("unless"), &facts()),
            Effect::Neither,
            "{condition}"
        );
        let verdict = compiled(&text("when")).evaluate(&bare());
        assert!(
            verdict.failures.is_empty(),
            "{condition}: nothing fails where it is absent"
        );
    }
}

#[test]
fn weekday_and_hour_are_right_before_1970_and_at_the_edges_of_a_day() {
    use crate::request::Clock;
    let at = |seconds| {
        let Clock {
            weekday,
            hour,
            minute_of_day,
            ..
        } = Clock::at(seconds);
        (weekday, hour, minute_of_day)
    };
    assert_eq!(at(0), (4, 0, 0), "1970-01-01 was a Thursday");
    assert_eq!(at(-1), (3, 23, 1_439));
    assert_eq!(
        at(951_782_399),
        (1, 23, 1_439),
        "2000-02-28 23:59:59 was a Monday"
    );
    assert_eq!(at(951_782_400), (2, 0, 0), "2000-02-29");
    assert_eq!(at(FRIDAY_NOON), (5, 12, 750));
}

#[test]
fn known_accounts_takes_the_proven_and_leaves_the_rest_to_people() {
    let text = template("known-accounts");
    assert_eq!(effect(text, &facts()), Effect::Permit);
    let mut unproven = facts();
    unproven.account.proven = false;
    assert_eq!(effect(text, &unproven), Effect::Neither);
    assert_eq!(effect(text, &bare()), Effect::Neither);
}

#[test]
fn approved_requests_takes_what_was_approved_beforehand() {
    let text = template("approved-requests");
    assert_eq!(effect(text, &facts()), Effect::Neither);
    let mut approved = facts();
    approved.approved = true;
    assert_eq!(effect(text, &approved), Effect::Permit);
}

#[test]
fn active_agreement_goes_by_the_agreement() {
    let text = template("active-agreement");
    let mut judged = facts();
    for (state, expected) in [
        ("active", Effect::Permit),
        ("pending", Effect::Neither),
        ("review", Effect::Neither),
        ("grace", Effect::Neither),
        ("ended", Effect::Forbid),
    ] {
        judged.agreement.as_mut().unwrap().state = state;
        assert_eq!(effect(text, &judged), expected, "{state}");
    }
    assert_eq!(effect(text, &bare()), Effect::Neither);
}

#[test]
fn business_hours_are_from_monday_to_friday_from_8_to_18() {
    let text = template("business-hours");
    let mut judged = facts();
    let friday = FRIDAY_NOON - FRIDAY_NOON.rem_euclid(86_400);
    for (seconds, expected) in [
        (friday + 8 * 3_600 - 1, Effect::Neither),
        (friday + 8 * 3_600, Effect::Permit),
        (friday + 18 * 3_600 - 1, Effect::Permit),
        (friday + 18 * 3_600, Effect::Neither),
        (friday + 86_400 + 12 * 3_600, Effect::Neither),
        (friday + 2 * 86_400 + 12 * 3_600, Effect::Neither),
        (friday + 3 * 86_400 + 12 * 3_600, Effect::Permit),
    ] {
        judged.unix_seconds = seconds;
        assert_eq!(effect(text, &judged), expected, "{seconds}");
    }
}

#[test]
fn regions_takes_its_list_and_refuses_all_others() {
    let text = template("regions");
    let mut judged = facts();
    assert_eq!(effect(text, &judged), Effect::Permit);
    judged.endpoint.region = "us-east-1";
    assert_eq!(effect(text, &judged), Effect::Forbid);
    judged = bare();
    assert_eq!(
        effect(text, &judged),
        Effect::Neither,
        "from the list, but unknown"
    );
}

#[test]
fn quota_depends_on_the_label() {
    let text = template("quota");
    let mut judged = facts();
    judged.counts.on_service = 19;
    assert_eq!(effect(text, &judged), Effect::Permit, "gold");
    judged.counts.on_service = 20;
    assert_eq!(effect(text, &judged), Effect::Neither);
    let none = std::collections::BTreeMap::new();
    judged.account.consumer.as_mut().unwrap().labels = &none;
    for (others, expected) in [(1, Effect::Permit), (2, Effect::Neither)] {
        judged.counts.on_service = others;
        assert_eq!(effect(text, &judged), expected, "{others}");
    }
}
