//! SNS: subscriptions of queues to topics, and their confirmation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};

use super::topics::invalid;
use super::uuid;
use crate::AwsError;
use crate::world::{Caller, World, later};

/// A token to confirm with is good for two days.
const TOKEN_MS: u64 = 2 * 24 * 3_600_000;

/// A subscription of a queue to a topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subscription {
    /// Its ARN: the topic's and an id.
    pub arn: String,
    /// The topic.
    pub topic_arn: String,
    /// The account that subscribed.
    pub owner: AccountId,
    /// The ARN of the queue.
    pub endpoint: String,
    /// Whether the queue gets the bare message instead of the envelope around it.
    pub raw: bool,
    /// What confirms it; `None` when it is confirmed.
    pub(crate) waiting: Option<Token>,
}

/// What a subscription is confirmed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Subscription {
    /// Whether messages reach it.
    pub fn confirmed(&self) -> bool {
        self.waiting.is_none()
    }

    /// The attributes, with SNS's names.
    pub fn attributes(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("SubscriptionArn", self.arn.clone()),
            ("TopicArn", self.topic_arn.clone()),
            ("Owner", self.owner.to_string()),
            ("Protocol", "sqs".to_owned()),
            ("Endpoint", self.endpoint.clone()),
            ("RawMessageDelivery", self.raw.to_string()),
            ("PendingConfirmation", (!self.confirmed()).to_string()),
            ("ConfirmationWasAuthenticated", self.confirmed().to_string()),
        ])
    }
}

impl World {
    /// Subscribes a queue. The queue's own account need not confirm; anybody else's subscription waits for the token that
    /// is sent to the queue. The same subscription twice is one.
    pub fn subscribe(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        (protocol, endpoint): (&str, &str),
        attributes: &BTreeMap<String, String>,
    ) -> Result<Subscription, AwsError> {
        self.topic(me, topic_arn, "Subscribe")?;
        if protocol != "sqs" {
            return Err(AwsError::not_modelled(&format!(
                "A subscription with the protocol {protocol}"
            )));
        }
        let parts: Vec<&str> = endpoint.split(':').collect();
        let ["arn", _, "sqs", _, queue_account, _] = parts.as_slice() else {
            return Err(invalid("SQS endpoint ARN"));
        };
        let found = self
            .messaging
            .subscriptions
            .values()
            .find(|s| s.topic_arn == topic_arn && s.endpoint == endpoint);
        if let Some(found) = found
            && found.confirmed()
        {
            return Ok(found.clone());
        }
        let arn = match found {
            Some(found) => found.arn.clone(),
            None => format!("{topic_arn}:{}", uuid(&mut self.ids)),
        };
        let mut subscription = Subscription {
            arn: arn.clone(),
            topic_arn: topic_arn.to_owned(),
            owner: me.account.clone(),
            endpoint: endpoint.to_owned(),
            raw: false,
            waiting: None,
        };
        for (name, value) in attributes {
            set(&mut subscription, name, value)?;
        }
        if *queue_account != me.account.as_str() {
            subscription.waiting = Some(Token {
                text: self.ids.key("", 64).to_lowercase(),
                expires_at: later(me.now, TOKEN_MS),
            });
        }
        self.messaging
            .subscriptions
            .insert(arn, subscription.clone());
        self.ask_to_confirm(me.now, &subscription);
        Ok(subscription)
    }

    /// Confirms the subscription that a token was sent for; answers with its ARN.
    pub fn confirm_subscription(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        token: &str,
    ) -> Result<String, AwsError> {
        let subscription = self
            .messaging
            .subscriptions
            .values_mut()
            .filter(|subscription| subscription.topic_arn == topic_arn)
            .find(|subscription| {
                let waiting = subscription.waiting.as_ref();
                waiting.is_some_and(|t| t.text == token && t.expires_at > me.now)
            })
            .ok_or_else(|| invalid("Token"))?;
        subscription.waiting = None;
        Ok(subscription.arn.clone())
    }

    /// Removes a subscription: its owner or the topic's may. One that is gone is removed.
    pub fn unsubscribe(&mut self, me: &Caller, arn: &str) -> Result<(), AwsError> {
        match self.subscription(me, arn) {
            Err(error) if error.code == "NotFound" => Ok(()),
            Err(error) => Err(error),
            Ok(subscription) => {
                let topic = subscription.topic_arn.clone();
                self.messaging.subscriptions.remove(arn);
                if let Some(topic) = self.messaging.topics.get_mut(&topic) {
                    topic.unsubscribed += 1;
                }
                Ok(())
            }
        }
    }

    /// A subscription of the caller's, or to a topic of the caller's.
    pub fn subscription(&self, me: &Caller, arn: &str) -> Result<&Subscription, AwsError> {
        if arn.split(':').count() != 7 {
            return Err(invalid(
                "SubscriptionArn Reason: An ARN must have at least 7 elements",
            ));
        }
        let none = || AwsError::with_status(404, "NotFound", "Subscription does not exist");
        let subscription = self.messaging.subscriptions.get(arn).ok_or_else(none)?;
        let topic_owner = self.messaging.topics.get(&subscription.topic_arn);
        if subscription.owner == me.account || topic_owner.is_some_and(|t| t.owner == me.account) {
            return Ok(subscription);
        }
        Err(AwsError::with_status(
            403,
            "AuthorizationError",
            "Not authorized to access this subscription",
        ))
    }

    /// Changes one attribute of a subscription.
    pub fn set_subscription_attribute(
        &mut self,
        me: &Caller,
        arn: &str,
        name: &str,
        value: &str,
    ) -> Result<(), AwsError> {
        let mut subscription = self.subscription(me, arn)?.clone();
        set(&mut subscription, name, value)?;
        self.messaging
            .subscriptions
            .insert(arn.to_owned(), subscription);
        Ok(())
    }

    /// The subscriptions to a topic, by ARN.
    pub fn topic_subscriptions(
        &self,
        me: &Caller,
        topic_arn: &str,
    ) -> Result<Vec<Subscription>, AwsError> {
        self.topic(me, topic_arn, "ListSubscriptionsByTopic")?;
        let all = self.messaging.subscriptions.values();
        Ok(all.filter(|s| s.topic_arn == topic_arn).cloned().collect())
    }
}

fn set(subscription: &mut Subscription, name: &str, value: &str) -> Result<(), AwsError> {
    match (name, value) {
        ("RawMessageDelivery", "true") => subscription.raw = true,
        ("RawMessageDelivery", "false") => subscription.raw = false,
        ("RawMessageDelivery", _) => return Err(invalid("Attributes Reason: RawMessageDelivery")),
        (other, _) => {
            return Err(invalid(&format!(
                "AttributeName Reason: {other} is unknown or not modelled by the simulator"
            )));
        }
    }
    Ok(())
}
