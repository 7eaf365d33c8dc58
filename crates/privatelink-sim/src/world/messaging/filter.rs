//! Filter policies of subscriptions: which messages a subscriber wants, told by their attributes.
//!
//! Names are AND-ed, the values of a name OR-ed. The scope `MessageAttributes` with exact values, `prefix`, `suffix`,
//! `anything-but`, `equals-ignore-case`, `numeric` and `exists` is modelled; anything else is refused when it is set.

use serde_json::{Map, Value};

use super::attributes::{MessageAttribute, MessageAttributes};
use super::topics::invalid;
use crate::AwsError;

/// The most names in a policy.
const MAX_NAMES: usize = 5;

/// The most combinations of values.
const MAX_COMBINATIONS: usize = 150;

/// Refuses what is no policy or is not modelled.
pub(crate) fn check(text: &str) -> Result<(), AwsError> {
    let bad = |why: &str| invalid(&format!("FilterPolicy: {why}"));
    let policy: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| bad("failed to parse JSON."))?;
    if policy.len() > MAX_NAMES {
        return Err(bad("Filter policy can not have more than 5 keys"));
    }
    let mut combinations = 1_usize;
    for (name, rules) in &policy {
        if name.starts_with('$') {
            return Err(AwsError::not_modelled(&format!(
                "{name} in a filter policy"
            )));
        }
        let Value::Array(rules) = rules else {
            return Err(bad(&format!(
                "\"{name}\" must be an object or an array; nested policies are for the scope MessageBody"
            )));
        };
        if rules.is_empty() {
            return Err(bad("Empty arrays are not allowed"));
        }
        combinations = combinations.saturating_mul(rules.len());
        for rule in rules {
            check_rule(rule)?;
        }
    }
    if combinations > MAX_COMBINATIONS {
        return Err(bad("Filter policy is too complex"));
    }
    Ok(())
}

fn check_rule(rule: &Value) -> Result<(), AwsError> {
    let bad = |why: &str| invalid(&format!("FilterPolicy: {why}"));
    let Value::Object(rule) = rule else {
        return if rule.is_array() {
            Err(bad(
                "Match value must be String, number, true, false, or null",
            ))
        } else {
            Ok(())
        };
    };
    let mut parts = rule.iter();
    let (Some((operator, operand)), None) = (parts.next(), parts.next()) else {
        return Err(bad("Only one key allowed in match expression"));
    };
    let fits = match operator.as_str() {
        "prefix" | "suffix" | "equals-ignore-case" => operand.is_string(),
        "exists" => operand.is_boolean(),
        "numeric" => numeric(operand, 0.0).is_some(),
        "anything-but" => match operand {
            Value::Object(inner) => {
                inner.len() == 1
                    && inner.iter().all(|(key, to)| {
                        matches!(key.as_str(), "prefix" | "suffix") && to.is_string()
                    })
            }
            Value::Array(values) => {
                !values.is_empty() && values.iter().all(|v| v.is_string() || v.is_number())
            }
            one => one.is_string() || one.is_number(),
        },
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(AwsError::not_modelled(&format!(
                "The match type {shown} in a filter policy"
            )));
        }
    };
    if fits {
        Ok(())
    } else {
        Err(bad(&format!("the operand of {operator} is not valid")))
    }
}

/// Whether a message with these attributes is wanted.
pub(crate) fn wants(policy: &str, attributes: &MessageAttributes) -> bool {
    let Ok(policy) = serde_json::from_str::<Map<String, Value>>(policy) else {
        return false;
    };
    // `exists: false` does not match a message without any attribute, so an empty set matches the empty policy only.
    if attributes.is_empty() {
        return policy.is_empty();
    }
    policy.iter().all(|(name, rules)| {
        let values = attributes.get(name).map(values);
        rules
            .as_array()
            .is_some_and(|rules| rules.iter().any(|rule| matches(rule, values.as_deref())))
    })
}

/// What an attribute says: one value, or the many of an array. Binary attributes match nothing.
fn values(attribute: &MessageAttribute) -> Vec<Value> {
    let text = attribute.written();
    match attribute.data_type.as_str() {
        "String.Array" => match serde_json::from_str(text) {
            Ok(Value::Array(values)) => values,
            _ => Vec::new(),
        },
        "Number" => text.parse::<f64>().map(Value::from).into_iter().collect(),
        "Binary" => Vec::new(),
        _ => vec![Value::from(text)],
    }
}

fn matches(rule: &Value, values: Option<&[Value]>) -> bool {
    let Value::Object(rule) = rule else {
        return values.is_some_and(|values| values.iter().any(|value| same(rule, value)));
    };
    let Some((operator, operand)) = rule.iter().next() else {
        return false;
    };
    if operator == "exists" {
        return operand.as_bool() == Some(values.is_some());
    }
    values.is_some_and(|values| values.iter().any(|value| fits(operator, operand, value)))
}

fn fits(operator: &str, operand: &Value, value: &Value) -> bool {
    let texts = || Some((value.as_str()?, operand.as_str()?));
    match operator {
        "prefix" => texts().is_some_and(|(value, start)| value.starts_with(start)),
        "suffix" => texts().is_some_and(|(value, end)| value.ends_with(end)),
        "equals-ignore-case" => {
            texts().is_some_and(|(value, other)| value.to_lowercase() == other.to_lowercase())
        }
        "numeric" => value
            .as_f64()
            .and_then(|number| numeric(operand, number))
            .unwrap_or(false),
        "anything-but" => match operand {
            Value::Object(inner) => inner
                .iter()
                .all(|(operator, operand)| !fits(operator, operand, value)),
            Value::Array(values) => values.iter().all(|other| !same(other, value)),
            one => !same(one, value),
        },
        _ => false,
    }
}

/// Whether a number meets `[operator, bound, …]`; `None` when that is not what the operand is.
fn numeric(operand: &Value, number: f64) -> Option<bool> {
    let parts = operand.as_array()?;
    if parts.is_empty() || parts.len() % 2 == 1 || parts.len() > 4 {
        return None;
    }
    let mut meets = true;
    for pair in parts.chunks(2) {
        let [operator, bound] = pair else { return None };
        let bound = bound.as_f64()?;
        meets &= match operator.as_str()? {
            "=" => equal(number, bound),
            "<" => number < bound,
            "<=" => number <= bound,
            ">" => number > bound,
            ">=" => number >= bound,
            _ => return None,
        };
    }
    Some(meets)
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => equal(one, other),
        _ => one == other,
    }
}

fn equal(one: f64, other: f64) -> bool {
    // SNS compares numbers with five digits after the point.
    (one - other).abs() < 0.000_005
}

#[cfg(test)]
mod tests {
    use super::super::attributes::AttributeValue;
    use super::*;

    fn attributes(rows: &[(&str, &str, &str)]) -> MessageAttributes {
        rows.iter()
            .map(|(name, data_type, value)| {
                let attribute = MessageAttribute {
                    data_type: (*data_type).to_owned(),
                    value: AttributeValue::Text((*value).to_owned()),
                };
                ((*name).to_owned(), attribute)
            })
            .collect()
    }

    #[test]
    fn each_operator_decides_by_the_attributes() {
        let sent = attributes(&[
            ("store", "String", "example_corp"),
            ("price", "Number", "210.75"),
            ("likes", "String.Array", r#"["soccer", "rugby", 7]"#),
        ]);
        for (policy, wanted) in [
            (r"{}", true),
            (r#"{"store": ["example_corp"]}"#, true),
            (r#"{"store": ["other"]}"#, false),
            (r#"{"store": ["other", {"prefix": "exam"}]}"#, true),
            (r#"{"store": [{"suffix": "corp"}]}"#, true),
            (
                r#"{"store": [{"equals-ignore-case": "EXAMPLE_corp"}]}"#,
                true,
            ),
            (r#"{"store": [{"anything-but": ["example_corp"]}]}"#, false),
            (r#"{"store": [{"anything-but": {"prefix": "x"}}]}"#, true),
            (r#"{"price": [210.75]}"#, true),
            (r#"{"price": ["210.75"]}"#, false),
            (r#"{"price": [{"numeric": [">", 0, "<=", 210.75]}]}"#, true),
            (r#"{"price": [{"numeric": ["<", 210.75]}]}"#, false),
            (r#"{"likes": ["rugby"], "store": [{"exists": true}]}"#, true),
            (r#"{"likes": ["rugby"], "none": ["x"]}"#, false),
            (r#"{"none": [{"exists": false}]}"#, true),
            (r#"{"likes": [{"anything-but": ["rugby"]}]}"#, true),
            (r#"{"likes": [7]}"#, true),
        ] {
            check(policy).unwrap();
            assert_eq!(wants(policy, &sent), wanted, "{policy}");
        }
        assert!(!wants(r#"{"none": [{"exists": false}]}"#, &attributes(&[])));
    }

    #[test]
    fn what_is_not_modelled_is_refused_when_it_is_set() {
        for (policy, code) in [
            ("no", "InvalidParameter"),
            (r#"{"a": "b"}"#, "InvalidParameter"),
            (r#"{"a": []}"#, "InvalidParameter"),
            (r#"{"a": {"b": ["c"]}}"#, "InvalidParameter"),
            (r#"{"a": [{"numeric": ["<"]}]}"#, "InvalidParameter"),
            (
                r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#,
                "InvalidParameter",
            ),
            (r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, "UnsupportedOperation"),
            (r#"{"$or": [{"a": ["b"]}]}"#, "UnsupportedOperation"),
        ] {
            assert_eq!(check(policy).unwrap_err().code, code, "{policy}");
        }
    }
}
