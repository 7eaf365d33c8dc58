//! Resource policies of queues and topics: who may do what when IAM itself is not modelled.
//!
//! A small evaluator: allow statements, deny statements that win, principals by service and account, and the conditions that
//! PrivateLink and SNS set-ups are written with. A policy that says more is refused when it is set, so that no statement is
//! silently read as something else.

use serde_json::Value;

use crate::AwsError;
use crate::world::{Caller, select};

/// Who asks for something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker<'a> {
    /// An AWS service, such as `sns.amazonaws.com`.
    Service(&'a str),
    /// An identity of an account.
    Caller(&'a Caller),
}

/// What is known about a request besides who and what.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    /// The resource on whose behalf a service asks.
    pub(crate) source_arn: Option<&'a str>,
    /// The account of that resource.
    pub(crate) source_account: Option<&'a str>,
}

/// Refuses what the evaluator would not understand.
pub(crate) fn check(text: &str) -> Result<(), AwsError> {
    let bad = |why: &str| {
        AwsError::new(
            "InvalidParameter",
            format!("Invalid parameter: Policy: {why}"),
        )
    };
    let policy: Value = serde_json::from_str(text).map_err(|_| bad("it is not JSON"))?;
    let statements = list(policy.get("Statement"));
    if statements.is_empty() {
        return Err(bad("it has no Statement"));
    }
    for statement in statements {
        let members = statement
            .as_object()
            .ok_or_else(|| bad("a Statement is not an object"))?;
        let known = [
            "Sid",
            "Effect",
            "Principal",
            "Action",
            "Resource",
            "Condition",
        ];
        if let Some(other) = members.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(bad(&format!("{other} is not modelled by the simulator")));
        }
        if !matches!(text_of(members.get("Effect")), Some("Allow" | "Deny")) {
            return Err(bad("Effect must be Allow or Deny"));
        }
        for needed in ["Principal", "Action"] {
            if !members.contains_key(needed) {
                return Err(bad(&format!("a Statement has no {needed}")));
            }
        }
        for (operator, keys) in entries(members.get("Condition")) {
            if !OPERATORS.contains(&operator) {
                let why = format!("the condition {operator} is not modelled by the simulator");
                return Err(bad(&why));
            }
            for (key, _) in entries(Some(keys)) {
                if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
                    let why = format!("the condition key {key} is not modelled by the simulator");
                    return Err(bad(&why));
                }
            }
        }
    }
    Ok(())
}

const OPERATORS: [&str; 6] = [
    "ArnEquals",
    "ArnLike",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
];

const KEYS: [&str; 3] = ["aws:SourceArn", "aws:SourceAccount", "aws:SourceOwner"];

/// Whether a policy lets this through: some statement allows it and none denies it.
pub(crate) fn allows(
    policy: &str,
    asker: Asker<'_>,
    action: &str,
    resource: &str,
    context: Context<'_>,
) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return false;
    };
    let mut allowed = false;
    for statement in list(policy.get("Statement")) {
        let applies = principal(statement.get("Principal"), asker)
            && strings(statement.get("Action"))
                .any(|pattern| select::matches(&pattern.to_lowercase(), &action.to_lowercase()))
            && statement.get("Resource").is_none_or(|resources| {
                strings(Some(resources)).any(|pattern| select::matches(pattern, resource))
            })
            && entries(statement.get("Condition")).all(|(operator, keys)| {
                entries(Some(keys))
                    .all(|(key, values)| condition(operator, key, values, asker, context))
            });
        if applies && text_of(statement.get("Effect")) == Some("Deny") {
            return false;
        }
        allowed |= applies;
    }
    allowed
}

fn principal(principal: Option<&Value>, asker: Asker<'_>) -> bool {
    match principal {
        Some(Value::String(all)) => all == "*",
        Some(Value::Object(kinds)) => match asker {
            Asker::Service(name) => {
                strings(kinds.get("Service")).any(|service| service == name)
                    || strings(kinds.get("AWS")).any(|who| who == "*")
            }
            Asker::Caller(me) => strings(kinds.get("AWS")).any(|who| {
                who == "*"
                    || who == me.account.as_str()
                    || who == me.identity.arn
                    || me.identity.role_arn.as_deref() == Some(who)
                    || who.ends_with(&format!(":iam::{}:root", me.account))
            }),
        },
        _ => false,
    }
}

fn condition(
    operator: &str,
    key: &str,
    values: &Value,
    asker: Asker<'_>,
    context: Context<'_>,
) -> bool {
    let actual = match key.to_ascii_lowercase().as_str() {
        "aws:sourcearn" => context.source_arn,
        "aws:sourceaccount" => context.source_account,
        "aws:sourceowner" => match asker {
            Asker::Caller(me) => Some(me.account.as_str()),
            Asker::Service(_) => None,
        },
        _ => None,
    };
    let Some(actual) = actual else {
        return operator == "StringNotEquals";
    };
    let mut values = strings(Some(values));
    match operator {
        "ArnEquals" | "ArnLike" | "StringLike" => {
            values.any(|pattern| select::matches(pattern, actual))
        }
        "StringEquals" => values.any(|value| value == actual),
        "StringEqualsIgnoreCase" => values.any(|value| value.eq_ignore_ascii_case(actual)),
        "StringNotEquals" => values.all(|value| value != actual),
        _ => false,
    }
}

/// One thing or a list of things, as policies are written.
fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    list(value).into_iter().filter_map(Value::as_str)
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

fn text_of(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::caller;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:t";

    fn queue_policy(condition: &str) -> String {
        format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"SQS:SendMessage",
                "Resource":"arn:q","Condition":{condition}}}}}"#
        )
    }

    fn sns_may(policy: &str, topic: &str) -> bool {
        let context = Context {
            source_arn: Some(topic),
            source_account: Some("111111111111"),
        };
        let asker = Asker::Service("sns.amazonaws.com");
        allows(policy, asker, "sqs:SendMessage", "arn:q", context)
    }

    #[test]
    fn a_service_is_let_in_for_its_own_source_only() {
        let policy = queue_policy(&format!(r#"{{"ArnEquals":{{"aws:SourceArn":"{TOPIC}"}}}}"#));
        check(&policy).unwrap();
        assert!(sns_may(&policy, TOPIC));
        assert!(!sns_may(&policy, "arn:aws:sns:eu-west-1:999999999999:t"));
        let other = policy.replace("sns.amazonaws.com", "events.amazonaws.com");
        assert!(!sns_may(&other, TOPIC));
    }

    #[test]
    fn a_deny_wins() {
        let policy = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"},
            {"Effect":"Deny","Principal":"*","Action":"sqs:Send*","Resource":"*"}]}"#;
        let me = caller("222222222222");
        let may = |action| {
            allows(
                policy,
                Asker::Caller(&me),
                action,
                "arn:q",
                Context::default(),
            )
        };
        assert!(may("sqs:ReceiveMessage"));
        assert!(!may("sqs:SendMessage"));
    }

    #[test]
    fn an_account_is_let_in_by_number_or_by_arn() {
        let me = caller("222222222222");
        for (who, expected) in [
            ("222222222222", true),
            ("arn:aws:iam::222222222222:root", true),
            ("333333333333", false),
        ] {
            let policy = format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":["{who}"]}},"Action":"sqs:*"}}]}}"#
            );
            let asker = Asker::Caller(&me);
            let may = allows(
                &policy,
                asker,
                "sqs:DeleteMessage",
                "arn:q",
                Context::default(),
            );
            assert_eq!(may, expected, "{who}");
        }
    }

    #[test]
    fn what_would_not_be_understood_is_refused() {
        for bad in [
            "x".to_owned(),
            "{}".to_owned(),
            queue_policy(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#),
            queue_policy(r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#),
            queue_policy("{}").replace("\"Action\"", "\"NotAction\""),
            queue_policy("{}").replace("Allow", "Perhaps"),
        ] {
            assert_eq!(check(&bad).unwrap_err().code, "InvalidParameter", "{bad}");
        }
    }
}
