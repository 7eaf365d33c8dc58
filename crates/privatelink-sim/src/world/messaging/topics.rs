//! SNS: topics and their attributes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::own_arn;
use super::policy::{self, Asker, Context};
use super::retries::{self, DeliveryPolicy};
use crate::AwsError;
use crate::world::{Caller, World};

/// The most tags of a topic.
const MAX_TAGS: usize = 50;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its ARN.
    pub arn: String,
    /// Whose it is.
    pub owner: AccountId,
    /// Where it is.
    pub region: Region,
    /// Who may publish and subscribe.
    pub policy: String,
    /// The name that mails show.
    pub display_name: String,
    /// `1` or `2`, as it was set; AWS signs with version 1 unless told otherwise.
    pub signature_version: String,
    /// When failed HTTP(S) deliveries are tried again.
    #[serde(default)]
    pub delivery_policy: Option<DeliveryPolicy>,
    /// The same as it was written.
    #[serde(default)]
    pub(crate) delivery_policy_text: Option<String>,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many of its subscriptions were removed.
    pub(crate) unsubscribed: u64,
}

impl World {
    /// Makes a topic, or answers with the one that has this name. `InvalidParameter` when it has other attributes.
    pub fn create_topic(
        &mut self,
        me: &Caller,
        name: &str,
        attributes: &BTreeMap<String, String>,
        tags: &BTreeMap<String, String>,
    ) -> Result<String, AwsError> {
        check_tags(tags)?;
        if name.strip_suffix(".fifo").is_some() {
            return Err(AwsError::not_modelled("A FIFO topic"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
            return Err(invalid("Topic Name"));
        }
        let arn = own_arn("sns", me, name);
        let found = self.messaging.topics.get(&arn);
        let before = found.cloned().unwrap_or_else(|| Topic {
            policy: default_policy(&arn, me),
            arn: arn.clone(),
            owner: me.account.clone(),
            region: me.region.clone(),
            display_name: String::new(),
            signature_version: "1".to_owned(),
            delivery_policy: None,
            delivery_policy_text: None,
            tags: tags.clone(),
            created_at: me.now,
            unsubscribed: 0,
        });
        let mut topic = before.clone();
        for (attribute, value) in attributes {
            set(&mut topic, me, attribute, value)?;
        }
        if found.is_some() && !tags.is_empty() && *tags != before.tags {
            return Err(invalid(
                "Tags Reason: Topic already exists with different tags",
            ));
        }
        if found.is_some() && topic != before {
            return Err(invalid(
                "Attributes Reason: Topic already exists with different attributes",
            ));
        }
        self.messaging.topics.insert(arn.clone(), topic);
        Ok(arn)
    }

    /// A topic that the caller may do this action on: its own, or one whose policy says so. `NotFound` and
    /// `AuthorizationError`.
    pub fn topic(&self, me: &Caller, arn: &str, action: &str) -> Result<&Topic, AwsError> {
        if arn.split(':').count() != 6 || arn.split(':').nth(2) != Some("sns") {
            return Err(invalid("TopicArn"));
        }
        let none = || AwsError::with_status(404, "NotFound", "Topic does not exist");
        let topic = self.messaging.topics.get(arn).ok_or_else(none)?;
        if topic.region != me.region {
            return Err(none());
        }
        let full = format!("SNS:{action}");
        let asker = Asker::Caller(me);
        if topic.owner == me.account
            || policy::allows(&topic.policy, asker, &full, arn, Context::default())
        {
            return Ok(topic);
        }
        Err(AwsError::with_status(
            403,
            "AuthorizationError",
            format!(
                "User: {} is not authorized to perform: {full} on resource: {arn}",
                me.identity.arn
            ),
        ))
    }

    /// Changes one attribute.
    pub fn set_topic_attribute(
        &mut self,
        me: &Caller,
        arn: &str,
        attribute: &str,
        value: &str,
    ) -> Result<(), AwsError> {
        let mut topic = self.topic(me, arn, "SetTopicAttributes")?.clone();
        set(&mut topic, me, attribute, value)?;
        self.messaging.topics.insert(arn.to_owned(), topic);
        Ok(())
    }

    /// The attributes, with SNS's names.
    pub fn topic_attributes(
        &self,
        me: &Caller,
        arn: &str,
    ) -> Result<BTreeMap<&'static str, String>, AwsError> {
        let topic = self.topic(me, arn, "GetTopicAttributes")?;
        let subscriptions = self.messaging.subscriptions.values();
        let (confirmed, pending): (Vec<_>, Vec<_>) = subscriptions
            .filter(|subscription| subscription.topic_arn == arn)
            .partition(|subscription| subscription.confirmed());
        let policy = topic.delivery_policy.as_ref();
        let mut all = BTreeMap::from([
            ("TopicArn", topic.arn.clone()),
            ("Owner", topic.owner.to_string()),
            ("Policy", topic.policy.clone()),
            ("DisplayName", topic.display_name.clone()),
            ("SignatureVersion", topic.signature_version.clone()),
            ("SubscriptionsConfirmed", confirmed.len().to_string()),
            ("SubscriptionsPending", pending.len().to_string()),
            ("SubscriptionsDeleted", topic.unsubscribed.to_string()),
            ("EffectiveDeliveryPolicy", retries::show_topic(policy)),
        ]);
        if let Some(text) = &topic.delivery_policy_text {
            all.insert("DeliveryPolicy", text.clone());
        }
        Ok(all)
    }

    /// The tags of a topic of the caller's; `ResourceNotFound`.
    pub fn topic_tags(
        &mut self,
        me: &Caller,
        arn: &str,
    ) -> Result<&mut BTreeMap<String, String>, AwsError> {
        let found = self.messaging.topics.get_mut(arn);
        let own = found.filter(|topic| topic.owner == me.account && topic.region == me.region);
        let none = || AwsError::with_status(404, "ResourceNotFound", "Resource does not exist");
        own.map(|topic| &mut topic.tags).ok_or_else(none)
    }

    /// Adds tags to a topic, or gives those it has other values; `TagLimitExceeded`.
    pub fn tag_topic(
        &mut self,
        me: &Caller,
        arn: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let of = self.topic_tags(me, arn)?;
        let mut all = of.clone();
        all.extend(tags.clone());
        check_tags(&all)?;
        *of = all;
        Ok(())
    }

    /// The ARNs of the caller's topics in this Region.
    pub fn topics(&self, me: &Caller) -> Vec<String> {
        self.messaging
            .topics
            .values()
            .filter(|topic| topic.owner == me.account && topic.region == me.region)
            .map(|topic| topic.arn.clone())
            .collect()
    }

    /// Deletes a topic with its subscriptions; one that is gone is deleted.
    pub fn delete_topic(&mut self, me: &Caller, arn: &str) -> Result<(), AwsError> {
        match self.topic(me, arn, "DeleteTopic") {
            Err(error) if error.code == "NotFound" => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                self.messaging.topics.remove(arn);
                self.messaging
                    .subscriptions
                    .retain(|_, subscription| subscription.topic_arn != arn);
                Ok(())
            }
        }
    }
}

fn set(topic: &mut Topic, me: &Caller, attribute: &str, value: &str) -> Result<(), AwsError> {
    match attribute {
        "Policy" if value.is_empty() => topic.policy = default_policy(&topic.arn, me),
        "Policy" => {
            policy::check(value)?;
            value.clone_into(&mut topic.policy);
        }
        "DeliveryPolicy" if value.is_empty() => {
            topic.delivery_policy = None;
            topic.delivery_policy_text = None;
        }
        "DeliveryPolicy" => {
            topic.delivery_policy = Some(retries::of_topic(value)?);
            topic.delivery_policy_text = Some(value.to_owned());
        }
        "DisplayName" => value.clone_into(&mut topic.display_name),
        "SignatureVersion" if matches!(value, "1" | "2") => {
            value.clone_into(&mut topic.signature_version);
        }
        "SignatureVersion" => return Err(invalid("SignatureVersion")),
        other => {
            return Err(invalid(&format!(
                "AttributeName Reason: {other} is unknown or not modelled by the simulator"
            )));
        }
    }
    Ok(())
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    if tags.len() > MAX_TAGS {
        return Err(AwsError::new(
            "TagLimitExceeded",
            "Could not complete request: tag quota of per resource exceeded",
        ));
    }
    let wrong = |(key, value): (&String, &String)| {
        key.is_empty()
            || key.chars().count() > 128
            || value.chars().count() > 256
            || key.starts_with("aws:")
    };
    if tags.iter().any(wrong) {
        return Err(invalid("Tags Reason: a key or a value is not allowed"));
    }
    Ok(())
}

/// The policy of a new topic: its owner may do everything, and no service may publish.
fn default_policy(arn: &str, me: &Caller) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": me.account}},
        }],
    })
    .to_string()
}

pub(crate) fn invalid(what: &str) -> AwsError {
    AwsError::new("InvalidParameter", format!("Invalid parameter: {what}"))
}
