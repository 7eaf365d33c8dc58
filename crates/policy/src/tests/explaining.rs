//! What is missing where a policy does not apply.

use crate::testing::{bare, compiled, facts};
use crate::{Answer, Effect, Explained};

fn unmet(text: &str) -> Vec<(String, String, usize, usize)> {
    let explained = compiled(text).explain(&bare()).unwrap();
    explained
        .into_iter()
        .map(|Explained { id, answer, .. }| match answer {
            Answer::Unmet { clause, met, of } => (id, clause, met, of),
            other => panic!("{id}: {other:?}"),
        })
        .collect()
}

fn first(text: &str) -> (String, usize, usize) {
    let (_, clause, met, of) = unmet(text).remove(0);
    (clause, met, of)
}

#[test]
fn the_first_clause_that_is_not_met_is_named() {
    let text = "permit (principal, action == Action::\"connect\", resource)\n\
                when { !context.live && context.time.weekday <= 5 && principal.known && principal.proven };";
    assert_eq!(first(text), ("principal.known".to_owned(), 3, 5));
}

#[test]
fn a_guard_keeps_the_clause_behind_it_from_being_asked() {
    let text = "permit (principal, action, resource)\n\
                when { context has agreement && context.agreement.state == \"active\" };";
    assert_eq!(first(text), ("context has agreement".to_owned(), 0, 2));
}

#[test]
fn an_unless_is_cut_at_its_alternatives() {
    let text = "forbid (principal, action, resource)\n\
                unless { context.live || context.endpoint.region == \"eu-central-1\" };";
    let (clause, met, of) = first(text);
    assert_eq!((met, of), (1, 2));
    assert_eq!(clause, "unless context.endpoint.region == \"eu-central-1\"");
}

#[test]
fn the_scope_is_told_as_it_is_written() {
    for (scope, clause) in [
        (
            "principal == Account::\"1\", action, resource",
            "principal == Account::\"1\"",
        ),
        (
            "principal in Consumer::\"c\", action, resource",
            "principal in Consumer::\"c\"",
        ),
        (
            "principal is Account in Consumer::\"c\", action, resource",
            "principal is Account in Consumer::\"c\"",
        ),
        (
            "principal, action, resource == Service::\"s\"",
            "resource == Service::\"s\"",
        ),
    ] {
        assert_eq!(first(&format!("permit ({scope});")).0, clause);
    }
}

#[test]
fn what_applies_comes_first_and_then_what_comes_nearest() {
    let text = "@id(\"far\") permit (principal, action, resource) when { principal.known && principal.proven };\n\
                @id(\"near\") permit (principal, action, resource) when { !context.live && principal.known };\n\
                @id(\"hit\") forbid (principal, action, resource) when { !context.live };";
    let explained = compiled(text).explain(&bare()).unwrap();
    let order: Vec<_> = explained
        .iter()
        .map(|e| (e.id.as_str(), e.effect))
        .collect();
    assert_eq!(
        order,
        [
            ("hit", Effect::Forbid),
            ("near", Effect::Permit),
            ("far", Effect::Permit)
        ]
    );
    assert_eq!(explained[0].answer, Answer::Applies);
}

#[test]
fn a_policy_that_fails_is_told_as_failed() {
    let text = "permit (principal, action, resource) when { context.waitedSeconds + 9223372036854775807 > 0 };";
    let explained = compiled(text).explain(&facts()).unwrap();
    assert!(
        matches!(&explained[0].answer, Answer::Failed(m) if m.contains("overflow")),
        "{explained:?}"
    );
}

/// To meet the named clauses one after the other leads to a policy that applies.
#[test]
fn following_the_advice_ends_in_a_permit() {
    let text = crate::TEMPLATES[0].text;
    let mut judged = bare();
    assert_eq!(first(text).0, "principal.known");
    judged.account.consumer = facts().account.consumer;
    let explained = compiled(text).explain(&judged).unwrap();
    assert!(
        matches!(&explained[0].answer, Answer::Unmet { clause, .. } if clause == "principal.proven"),
        "{explained:?}"
    );
    judged.account.proven = true;
    assert_eq!(
        compiled(text).explain(&judged).unwrap()[0].answer,
        Answer::Applies
    );
}
