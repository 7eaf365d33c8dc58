//! The road that connection notifications take to us: a topic, a queue, and who may use them. What it should be; pure.

use chrono::{DateTime, Utc};
use privatelink::AccountRegionRef;
use serde_json::{Value, json};

use super::silence::Silence;
use super::text::text_enum;

text_enum!(
    /// Where the set-up stands.
    SetupState {
        /// Nobody asked for it.
        Off = "off",
        /// Being made.
        SettingUp = "setting_up",
        /// All of it stands, and the queue is read.
        Listening = "listening",
        /// AWS denies or refuses a part of it. What stands is used, and the rest is tried again.
        Failed = "failed",
    }
);

/// What the topic and the queue are called, in every account and Region.
pub const NAME: &str = "portcullis-connections";
/// How our statement in a policy is told from others'.
const SID: &str = "PortcullisConnections";
/// The version of SNS's signatures that the topic is set to: SHA-256 instead of SHA-1.
pub const SIGNATURE_VERSION: &str = "2";

/// The set-up of an AccountRegion.
#[derive(Debug, Clone)]
pub struct HintSetup {
    /// Where it stands.
    pub state: SetupState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The topic, once it is known.
    pub topic_arn: Option<String>,
    /// The queue, once it is known.
    pub queue_url: Option<String>,
    /// AWS's code and words, where it said no.
    pub failure: Option<(String, String)>,
    /// When all of it is looked at again.
    pub check_at: DateTime<Utc>,
    /// When the last message came.
    pub last_message_at: Option<DateTime<Utc>>,
    /// Whether messages are missing.
    pub silence: Option<Silence>,
}

/// Lets PrivateLink publish to the topic, for services of this account in this Region only (the AWS PrivateLink guide's policy for
/// notifications, with its two conditions against a confused deputy).
pub fn topic_statement(topic_arn: &str, place: &AccountRegionRef) -> Value {
    let partition = topic_arn.split(':').nth(1).unwrap_or("aws");
    let services = format!(
        "arn:{partition}:ec2:{}:{}:vpc-endpoint-service/*",
        place.region, place.account
    );
    json!({
        "Sid": SID,
        "Effect": "Allow",
        "Principal": { "Service": "vpce.amazonaws.com" },
        "Action": "SNS:Publish",
        "Resource": topic_arn,
        "Condition": {
            "ArnLike": { "aws:SourceArn": services },
            "StringEquals": { "aws:SourceAccount": place.account.as_str() },
        },
    })
}

/// Lets the topic send to the queue, and no other topic.
pub fn queue_statement(queue_arn: &str, topic_arn: &str) -> Value {
    json!({
        "Sid": SID,
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
    })
}

/// The policy to set so that it has this statement, or nothing when it has it already. Others' statements stay as they are; what cannot
/// be read as a policy is replaced.
pub fn policy_with(policy: Option<&str>, statement: &Value) -> Option<String> {
    let parsed = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let statements: Vec<Value> = match parsed.as_ref().and_then(|p| p.get("Statement")) {
        Some(Value::Array(all)) => all.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let ours = |s: &Value| s.get("Sid").and_then(Value::as_str) == Some(SID);
    let mut found = statements.iter().filter(|s| ours(s));
    if found.next().is_some_and(|s| same(s, statement)) && found.next().is_none() {
        return None;
    }
    let mut kept: Vec<Value> = statements.into_iter().filter(|s| !ours(s)).collect();
    kept.push(statement.clone());
    let mut policy = match parsed {
        Some(Value::Object(members)) => members,
        _ => serde_json::Map::from_iter([("Version".to_owned(), json!("2012-10-17"))]),
    };
    policy.insert("Statement".to_owned(), kept.into());
    Some(Value::Object(policy).to_string())
}

/// Whether two statements say the same. AWS may write a list of one as its member, and the other way round.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(list), other) | (other, Value::Array(list)) if !other.is_array() => {
            matches!(list.as_slice(), [one] if same(one, other))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws-cn:sns:cn-north-1:111122223333:portcullis-connections";

    fn statement() -> Value {
        let place = AccountRegionRef {
            account: "111122223333".parse().unwrap(),
            region: "cn-north-1".parse().unwrap(),
            role_arn: None,
            external_id: None,
        };
        topic_statement(TOPIC, &place)
    }

    #[test]
    fn the_topic_hears_of_our_services_only() {
        let condition = &statement()["Condition"];
        assert_eq!(
            condition["ArnLike"]["aws:SourceArn"],
            "arn:aws-cn:ec2:cn-north-1:111122223333:vpc-endpoint-service/*"
        );
        assert_eq!(
            condition["StringEquals"]["aws:SourceAccount"],
            "111122223333"
        );
    }

    #[test]
    fn a_policy_that_has_the_statement_is_left_alone_however_it_is_written() {
        let statement = statement();
        let made = policy_with(None, &statement).unwrap();
        assert_eq!(policy_with(Some(&made), &statement), None);
        let mut listed = statement.clone();
        listed["Action"] = json!(["SNS:Publish"]);
        listed["Principal"]["Service"] = json!(["vpce.amazonaws.com"]);
        let as_lists = json!({ "Version": "2012-10-17", "Statement": listed }).to_string();
        assert_eq!(policy_with(Some(&as_lists), &statement), None);
    }

    #[test]
    fn others_statements_stay() {
        let statement = statement();
        let theirs = json!({ "Sid": "theirs", "Effect": "Deny", "Principal": "*", "Action": "*" });
        for before in [json!([theirs]), theirs.clone()] {
            let policy = json!({ "Version": "2008-10-17", "Id": "x", "Statement": before });
            let after = policy_with(Some(&policy.to_string()), &statement).unwrap();
            let after: Value = serde_json::from_str(&after).unwrap();
            let wanted =
                json!({ "Version": "2008-10-17", "Id": "x", "Statement": [theirs, statement] });
            assert_eq!(after, wanted);
        }
    }

    #[test]
    fn a_statement_of_ours_that_somebody_changed_is_put_right() {
        let statement = statement();
        let mut wide = statement.clone();
        wide["Condition"] = json!({});
        for before in [json!([wide]), json!([statement, wide])] {
            let policy = json!({ "Version": "2012-10-17", "Statement": before }).to_string();
            let after = policy_with(Some(&policy), &statement).unwrap();
            let after: Value = serde_json::from_str(&after).unwrap();
            assert_eq!(after["Statement"], json!([statement]));
        }
    }

    #[test]
    fn what_is_no_policy_is_replaced() {
        for before in [None, Some(""), Some("[]"), Some("{}"), Some("nonsense")] {
            let after = policy_with(before, &statement()).unwrap();
            let after: Value = serde_json::from_str(&after).unwrap();
            assert_eq!(after["Statement"], json!([statement()]), "{before:?}");
        }
    }
}
