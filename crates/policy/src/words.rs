//! Words that an attribute can have. The schema only knows that it is a text, so a misspelt word would never match and nobody would be told.

use serde_json::Value;

/// Attributes with a closed list of words: the path, and the words.
pub(crate) const WORDS: &[(&[&str], &[&str])] = &[
    (
        &["context", "endpoint", "ipAddressType"],
        &["ipv4", "dualstack", "ipv6"],
    ),
    (
        &["context", "listing", "state"],
        &[
            "draft",
            "in_review",
            "changes_requested",
            "approved",
            "limited",
            "public",
            "restricted",
            "suspended",
            "retired",
        ],
    ),
    (
        &["context", "agreement", "state"],
        &[
            "pending",
            "active",
            "review",
            "superseded",
            "grace",
            "ended",
        ],
    ),
    (&["context", "agreement", "source"], &["aws", "private"]),
];

/// A word that its attribute never has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) word: String,
    pub(crate) attribute: String,
    pub(crate) known: &'static [&'static str],
}

/// The words of an attribute, if they are a closed list.
pub(crate) fn of(path: &[&str]) -> Option<&'static [&'static str]> {
    WORDS
        .iter()
        .find(|(of, _)| *of == path)
        .map(|(_, words)| *words)
}

/// Every comparison of an expression (in Cedar's JSON form) with a word that can never be there.
pub(crate) fn unknown(expression: &Value, into: &mut Vec<Unknown>) {
    match expression {
        Value::Object(members) => {
            for (operator, operands) in members {
                if matches!(
                    operator.as_str(),
                    "==" | "!=" | "contains" | "containsAny" | "containsAll"
                ) {
                    let (left, right) = (&operands["left"], &operands["right"]);
                    compare(left, right, into);
                    compare(right, left, into);
                }
                unknown(operands, into);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| unknown(element, into)),
        _ => {}
    }
}

fn compare(attribute: &Value, with: &Value, into: &mut Vec<Unknown>) {
    let Some(path) = path(attribute) else { return };
    let Some(known) = of(&path) else { return };
    let mut check = |literal: &Value| {
        if let Some(word) = literal["Value"].as_str()
            && !known.contains(&word)
        {
            into.push(Unknown {
                word: word.to_owned(),
                attribute: path.join("."),
                known,
            });
        }
    };
    check(with);
    if let Some(elements) = with["Set"].as_array() {
        elements.iter().for_each(check);
    }
}

/// `context.a.b` as its names.
pub(crate) fn path(expression: &Value) -> Option<Vec<&str>> {
    if let Some(variable) = expression["Var"].as_str() {
        return Some(vec![variable]);
    }
    let access = expression.get(".")?;
    let mut names = path(&access["left"])?;
    names.push(access["attr"].as_str()?);
    Some(names)
}
