//! What compiles, what does not, and where it is said to be wrong.

use crate::testing::{compiled, wrong};
use crate::{MAX_ARITHMETIC, MAX_DEPTH, MAX_OPERATORS, MAX_POLICIES, PolicySet};

/// Line, column and message of the first thing that is wrong.
fn first(text: &str) -> (usize, usize, String) {
    let first = wrong(text).remove(0);
    (first.place.line, first.place.column, first.message)
}

#[test]
fn an_empty_text_is_a_set_that_says_nothing() {
    for text in ["", "  \n", "// nothing yet\n"] {
        assert!(compiled(text).is_empty(), "{text:?}");
    }
}

#[test]
fn a_text_that_does_not_parse_is_told_with_line_and_column() {
    let (line, column, message) =
        first("permit (principal, action, resource)\nwhen { principal. };");
    assert_eq!((line, column), (2, 19), "{message}");
    assert!(message.contains("unexpected token"), "{message}");
    let (line, column, _) = first("permit (principal, action, resource)\n\n  forbid");
    assert_eq!((line, column), (3, 9), "behind the last word");
}

#[test]
fn an_unknown_attribute_is_told_with_line_column_and_a_hint() {
    let text =
        "// known accounts\npermit (principal, action, resource)\nwhen {\n  principal.knwon\n};";
    let found = wrong(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].place.line, found[0].place.column), (4, 3));
    assert!(found[0].message.contains("`knwon`"), "{}", found[0].message);
    assert!(
        found[0]
            .help
            .as_ref()
            .is_some_and(|help| help.contains("known")),
        "{found:?}"
    );
}

#[test]
fn validation_is_strict() {
    let when =
        |condition: &str| format!("permit (principal, action, resource) when {{ {condition} }};");
    for (condition, part) in [
        ("context.counts.regions == \"1\"", "not compatible"),
        (
            "context.agreement.state == \"active\"",
            "optional attribute",
        ),
        ("principal.consumer.hasTag(\"tier\")", "optional attribute"),
        (
            "principal has consumer && principal.consumer.getTag(\"tier\") == \"gold\"",
            "tag",
        ),
        ("principal.known + 1 == 2", "Bool"),
        ("User::\"a\" == principal", "User"),
        ("principal is Group", "Group"),
        ("action == Action::\"delete\"", "delete"),
    ] {
        let (_, _, message) = first(&when(condition));
        assert!(message.contains(part), "{condition}: {message}");
    }
    let (line, column, _) = first("permit (principal,\n  action == Action::\"delete\", resource);");
    assert_eq!((line, column), (2, 13));
}

#[test]
fn a_word_that_an_attribute_never_has_is_told() {
    let text = "permit (principal, action, resource)\nwhen { context has agreement && [\"active\", \"activ\"].contains(context.agreement.state) };";
    let found = wrong(text);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].place.line, found[0].place.column), (2, 44));
    assert_eq!(
        found[0].message,
        "context.agreement.state is never \"activ\""
    );
    let text = "forbid (principal, action, resource)\nunless { context.endpoint has ipAddressType && \"IPv4\" == context.endpoint.ipAddressType };";
    assert_eq!(
        first(text).2,
        "context.endpoint.ipAddressType is never \"IPv4\""
    );
}

#[test]
fn everything_that_is_wrong_comes_at_once_and_in_order() {
    let text = "permit (principal, action, resource) when { principal.a };\n\
                permit (principal, action, resource) when { resource.b };\n\
                permit (principal, action, resource) when { context.c };";
    let lines: Vec<usize> = wrong(text).iter().map(|d| d.place.line).collect();
    assert_eq!(lines, [1, 2, 3]);
}

#[test]
fn slots_are_for_templates() {
    let (line, column, message) = first("permit (principal == ?principal,\n  action, resource);");
    assert_eq!((line, column), (1, 22), "{message}");
    assert!(message.contains("slot"), "{message}");
}

#[test]
fn annotations_are_checked_where_they_stand() {
    let policy = "permit (principal, action, resource);";
    for (annotation, part) in [
        ("@id(\"Has Spaces\")", "is no policy id"),
        ("@id(\"\")", "is no policy id"),
        ("@reason(\"No!\")", "is no reason code"),
        ("@message(\" \")", "a message has"),
        ("@note(\"x\")", "@note means nothing here"),
    ] {
        let (line, column, message) = first(&format!("{policy}\n\n {annotation}\n{policy}"));
        assert_eq!((line, column), (3, 2), "{annotation}");
        assert!(message.contains(part), "{annotation}: {message}");
    }
}

#[test]
fn two_policies_with_one_id_are_refused_at_the_second() {
    let policy = "@id(\"same\")\npermit (principal, action, resource);\n";
    let (line, column, message) = first(&policy.repeat(2));
    assert_eq!((line, column), (3, 1));
    assert_eq!(message, "another policy has the id \"same\" too");
    let bare = "permit (principal, action, resource);";
    assert_eq!(
        first(&format!("{bare}\n{bare}")).0,
        2,
        "the same text has the same derived id"
    );
}

#[test]
fn a_policy_without_an_id_keeps_its_own_wherever_it_stands() {
    let (one, other) = (
        "permit (principal, action, resource) when { principal.known };",
        "forbid (principal, action, resource) when { context.live };",
    );
    let ids = |text: &str| {
        compiled(text)
            .ids()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let (first, turned) = (
        ids(&format!("{one}\n{other}")),
        ids(&format!("{other}\n{one}")),
    );
    assert_eq!(first.len(), 2);
    assert_eq!(
        first.iter().rev().collect::<Vec<_>>(),
        turned.iter().collect::<Vec<_>>()
    );
    assert!(first[0].starts_with("policy-"), "{first:?}");
}

#[test]
fn ids_keep_the_order_of_the_text_beyond_ten_policies() {
    let text: String = (0..25)
        .map(|n| format!("@id(\"p{n}\") permit (principal, action, resource);\n"))
        .collect::<Vec<_>>()
        .concat();
    let expected: Vec<String> = (0..25).map(|n| format!("p{n}")).collect();
    assert_eq!(compiled(&text).ids().collect::<Vec<_>>(), expected);
}

#[test]
fn the_version_is_the_text_s() {
    let version = |text: &str| compiled(text).version().to_owned();
    assert_eq!(
        version(""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_ne!(
        version("// a"),
        version("// b"),
        "a comment is part of what was approved"
    );
}

#[test]
fn a_policy_that_can_never_apply_compiles_with_a_warning() {
    let set =
        compiled("permit (principal, action, resource)\nwhen { context.live && !context.live };");
    assert!(set.warnings().is_empty() || set.warnings()[0].place.line <= 2);
    let set = compiled("\npermit (principal, action, resource)\nwhen { false };");
    assert_eq!(set.warnings().len(), 1, "{:?}", set.warnings());
}

#[test]
fn there_is_a_most_of_policies() {
    let text = |count: usize| -> String {
        (0..count)
            .map(|n| format!("@id(\"p{n}\") permit (principal, action, resource);\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    assert_eq!(compiled(&text(MAX_POLICIES)).len(), MAX_POLICIES);
    let found = wrong(&text(MAX_POLICIES + 1));
    assert_eq!(found[0].place.line, MAX_POLICIES + 1);
}

/// A test's thread has 2 MiB of stack, like a runtime's: the worst that the guard lets through must go through parser, validator and evaluator on it.
#[test]
fn the_deepest_and_longest_that_is_allowed_does_not_exhaust_the_stack() {
    let facts = crate::testing::facts();
    let when =
        |condition: &str| format!("permit (principal, action, resource) when {{ {condition} }};");
    let depth = MAX_DEPTH - 1;
    let links = MAX_OPERATORS / 3;
    let nested =
        |open: &str, inside: &str| format!("{}{inside}{}", open.repeat(depth), ")".repeat(depth));
    let sum = format!("1{} == 1", " + 1".repeat(MAX_ARITHMETIC));
    // In each bracket a part of the longest chain.
    let linked = format!("({}", "context.live && ".repeat(links / MAX_DEPTH));
    for condition in [
        nested("(", "true"),
        nested("!(", "true"),
        format!("{}true", "if context.live then true else ".repeat(depth)),
        format!("true{}", " && context.live".repeat(links)),
        format!("context.live{}", " || context.live".repeat(links)),
        nested("(", &format!("true{}", " && context.live".repeat(links))),
        nested("(", &format!("false{}", " || context.live".repeat(links))),
        nested(&linked, "true"),
        sum.clone(),
        nested("(", &sum),
    ] {
        match PolicySet::compile(&when(&condition)) {
            Ok(set) => {
                set.evaluate(&facts);
                assert!(set.explain(&facts).is_ok());
            }
            Err(wrong) => panic!("{condition}: {wrong:?}"),
        }
    }
    for hostile in [
        "(", "[", "{", "!", "-", "+1", "if ", "a.", "a||", "1+", "\"", "//", "@a(\"", "[[[[(",
    ] {
        let text = when(&hostile.repeat(20_000));
        assert!(PolicySet::compile(&text).is_err(), "{hostile}");
        let text = hostile.repeat(20_000);
        assert!(
            PolicySet::compile(&text).is_err() || hostile == "//",
            "{hostile}"
        );
    }
}

#[test]
fn every_template_compiles_without_a_warning_and_says_why() {
    for template in crate::TEMPLATES {
        let set = compiled(template.text);
        assert!(
            !set.is_empty() && set.warnings().is_empty(),
            "{}",
            template.name
        );
        assert!(
            set.ids().next().is_some_and(|id| id == template.name),
            "{}",
            template.name
        );
        let told = |word: &str| template.text.matches(word).count();
        assert_eq!(
            (told("@reason("), told("@message(")),
            (set.len(), set.len()),
            "{}",
            template.name
        );
        let documented = include_str!("../../../../docs/policies.md");
        let row = format!("| `{}` | {} |", template.name, template.summary);
        assert!(
            documented.contains(&row),
            "docs/policies.md has no row {row}"
        );
    }
}
