//! SNS: subscriptions of queues and HTTP(S) endpoints to topics, and their confirmation.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::deliveries::MessageType;
use super::retries::{self, DeliveryPolicy};
use super::topics::invalid;
use super::{filter, uuid};
use crate::AwsError;
use crate::world::{Caller, World, later};

/// A token to confirm with is good for two days.
const TOKEN_MS: u64 = 2 * 24 * 3_600_000;

/// How messages reach a subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A message in a queue.
    #[default]
    Sqs,
    /// A POST.
    Http,
    /// A POST over TLS.
    Https,
}

impl Protocol {
    /// As SNS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A subscription to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its ARN: the topic's and an id.
    pub arn: String,
    /// The topic.
    pub topic_arn: String,
    /// The account that subscribed.
    pub owner: AccountId,
    /// How messages get there.
    #[serde(default)]
    pub protocol: Protocol,
    /// The ARN of the queue, or the URL.
    pub endpoint: String,
    /// Whether it gets the bare message instead of the envelope around it.
    pub raw: bool,
    /// Which messages it wants, as JSON; all when there is none.
    #[serde(default)]
    pub filter_policy: Option<String>,
    /// When failed deliveries are tried again; HTTP(S) only.
    #[serde(default)]
    pub delivery_policy: Option<DeliveryPolicy>,
    /// The same as it was written.
    #[serde(default)]
    pub(crate) delivery_policy_text: Option<String>,
    /// The ARN of the queue for what could not be delivered.
    #[serde(default)]
    pub redrive: Option<String>,
    /// Whether the one who confirmed it was known to AWS.
    #[serde(default)]
    pub(crate) authenticated: bool,
    /// Whether only somebody known to AWS may end it.
    #[serde(default)]
    pub(crate) guarded: bool,
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
}

impl World {
    /// Subscribes a queue or a URL. A queue's own account need not confirm; every other subscription waits for the token that
    /// is sent to its endpoint. The same subscription twice is one.
    pub fn subscribe(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        (protocol, endpoint): (&str, &str),
        attributes: &BTreeMap<String, String>,
    ) -> Result<Subscription, AwsError> {
        self.topic(me, topic_arn, "Subscribe")?;
        let (protocol, needs_token) = check_endpoint(me, protocol, endpoint)?;
        let found = self.messaging.subscriptions.values();
        let found = found
            .filter(|s| s.topic_arn == topic_arn && s.protocol == protocol)
            .find(|s| s.endpoint == endpoint)
            .cloned();
        if let Some(found) = &found
            && found.confirmed()
        {
            let mut same = found.clone();
            for (name, value) in attributes {
                self.set_on(&mut same, name, value)?;
            }
            if same == *found {
                return Ok(same);
            }
            let why = "Attributes Reason: Subscription already exists with different attributes";
            return Err(invalid(why));
        }
        let arn = match found {
            Some(found) => found.arn,
            None => format!("{topic_arn}:{}", uuid(&mut self.ids)),
        };
        let mut subscription = Subscription {
            arn: arn.clone(),
            topic_arn: topic_arn.to_owned(),
            owner: me.account.clone(),
            protocol,
            endpoint: endpoint.to_owned(),
            raw: false,
            filter_policy: None,
            delivery_policy: None,
            delivery_policy_text: None,
            redrive: None,
            authenticated: !needs_token,
            guarded: false,
            waiting: None,
        };
        for (name, value) in attributes {
            self.set_on(&mut subscription, name, value)?;
        }
        if needs_token {
            subscription.waiting = Some(self.new_token(me.now));
        }
        let all = &mut self.messaging.subscriptions;
        all.insert(arn, subscription.clone());
        self.send_token(me.now, &subscription, MessageType::SubscriptionConfirmation);
        Ok(subscription)
    }

    fn new_token(&mut self, now: DateTime<Utc>) -> Token {
        Token {
            text: self.ids.key("", 64).to_lowercase(),
            expires_at: later(now, TOKEN_MS),
        }
    }

    /// Confirms the subscription that a token was sent for; answers with its ARN. A token that came with the news of its end
    /// brings a subscription back. `guard` is `AuthenticateOnUnsubscribe`.
    pub fn confirm_subscription(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        token: &str,
        guard: bool,
    ) -> Result<String, AwsError> {
        let good = |subscription: &Subscription| {
            let waiting = subscription.waiting.as_ref();
            subscription.topic_arn == topic_arn
                && waiting.is_some_and(|t| t.text == token && t.expires_at > me.now)
        };
        let messaging = &mut self.messaging;
        if let Some(at) = messaging.ended.iter().position(good) {
            let back = messaging.ended.remove(at);
            if !messaging.topics.contains_key(topic_arn) {
                return Err(invalid("Token"));
            }
            messaging.subscriptions.insert(back.arn.clone(), back);
        }
        let known = !me.identity.is_anonymous();
        let subscription = messaging
            .subscriptions
            .values_mut()
            .find(|subscription| good(subscription))
            .ok_or_else(|| invalid("Token"))?;
        subscription.waiting = None;
        subscription.authenticated = known;
        subscription.guarded = guard && known;
        Ok(subscription.arn.clone())
    }

    /// Removes a subscription. Its owner and the topic's may, and whoever has the link, unless it was confirmed with
    /// `AuthenticateOnUnsubscribe`. One that is gone is removed. An HTTP(S) endpoint is told, with a token that undoes it.
    pub fn unsubscribe(&mut self, me: &Caller, arn: &str) -> Result<(), AwsError> {
        let found = if me.identity.is_anonymous() {
            let found = self.messaging.subscriptions.get(arn);
            found
                .filter(|subscription| !subscription.guarded)
                .ok_or_else(|| denied("Not authorized to unsubscribe without a signature"))
        } else {
            self.subscription(me, arn)
        };
        let mut ended = match found {
            Err(error) if error.code == "NotFound" => return Ok(()),
            other => other?.clone(),
        };
        self.messaging.subscriptions.remove(arn);
        if let Some(topic) = self.messaging.topics.get_mut(&ended.topic_arn) {
            topic.unsubscribed += 1;
        }
        if ended.protocol != Protocol::Sqs && ended.confirmed() {
            ended.waiting = Some(self.new_token(me.now));
            self.send_token(me.now, &ended, MessageType::UnsubscribeConfirmation);
            let old = |s: &Subscription| {
                let waiting = s.waiting.as_ref();
                waiting.is_none_or(|token| token.expires_at <= me.now)
            };
            self.messaging
                .ended
                .retain(|subscription| !old(subscription));
            self.messaging.ended.push(ended);
        }
        Ok(())
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
        Err(denied("Not authorized to access this subscription"))
    }

    /// The attributes, with SNS's names.
    pub fn subscription_attributes(
        &self,
        me: &Caller,
        arn: &str,
    ) -> Result<BTreeMap<&'static str, String>, AwsError> {
        let of = self.subscription(me, arn)?;
        let mut all = BTreeMap::from([
            ("SubscriptionArn", of.arn.clone()),
            ("TopicArn", of.topic_arn.clone()),
            ("Owner", of.owner.to_string()),
            ("Protocol", of.protocol.name().to_owned()),
            ("Endpoint", of.endpoint.clone()),
            ("RawMessageDelivery", of.raw.to_string()),
            ("PendingConfirmation", (!of.confirmed()).to_string()),
            ("ConfirmationWasAuthenticated", of.authenticated.to_string()),
            (
                "SubscriptionPrincipal",
                format!("arn:aws:iam::{}:root", of.owner),
            ),
        ]);
        if let Some(policy) = &of.filter_policy {
            all.insert("FilterPolicy", policy.clone());
            all.insert("FilterPolicyScope", "MessageAttributes".to_owned());
        }
        if let Some(target) = &of.redrive {
            let policy = json!({"deadLetterTargetArn": target});
            all.insert("RedrivePolicy", policy.to_string());
        }
        if let Some(text) = &of.delivery_policy_text {
            all.insert("DeliveryPolicy", text.clone());
        }
        if of.protocol != Protocol::Sqs {
            let topic = self.messaging.topics.get(&of.topic_arn);
            let topic = topic.and_then(|topic| topic.delivery_policy.as_ref());
            let shown = retries::show_subscription(topic, of.delivery_policy.as_ref());
            all.insert("EffectiveDeliveryPolicy", shown);
        }
        Ok(all)
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
        self.set_on(&mut subscription, name, value)?;
        let all = &mut self.messaging.subscriptions;
        all.insert(arn.to_owned(), subscription);
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

    /// The caller's subscriptions in this Region, by ARN.
    pub fn own_subscriptions(&self, me: &Caller) -> Vec<Subscription> {
        let here = |s: &&Subscription| s.arn.split(':').nth(3) == Some(me.region.as_str());
        let all = self.messaging.subscriptions.values();
        let own = all.filter(|s| s.owner == me.account).filter(here);
        own.cloned().collect()
    }

    fn set_on(&self, on: &mut Subscription, name: &str, value: &str) -> Result<(), AwsError> {
        match (name, value) {
            ("RawMessageDelivery", "true") => on.raw = true,
            ("RawMessageDelivery", "false") => on.raw = false,
            ("RawMessageDelivery", _) => {
                return Err(invalid("Attributes Reason: RawMessageDelivery"));
            }
            ("FilterPolicy", "" | "{}") => on.filter_policy = None,
            ("FilterPolicy", text) => {
                filter::check(text)?;
                on.filter_policy = Some(text.to_owned());
            }
            ("FilterPolicyScope", "MessageAttributes") => {}
            ("FilterPolicyScope", "MessageBody") => {
                return Err(AwsError::not_modelled(
                    "The filter policy scope MessageBody",
                ));
            }
            ("FilterPolicyScope", _) => {
                return Err(invalid("Attributes Reason: FilterPolicyScope"));
            }
            ("RedrivePolicy", "") => on.redrive = None,
            ("RedrivePolicy", text) => on.redrive = Some(self.dead_letters(on, text)?),
            ("DeliveryPolicy", _) if on.protocol == Protocol::Sqs => {
                return Err(invalid(
                    "DeliveryPolicy: not supported by the protocol of the subscription",
                ));
            }
            ("DeliveryPolicy", "") => {
                on.delivery_policy = None;
                on.delivery_policy_text = None;
            }
            ("DeliveryPolicy", text) => {
                on.delivery_policy = Some(retries::of_subscription(text)?);
                on.delivery_policy_text = Some(text.to_owned());
            }
            (other, _) => {
                return Err(invalid(&format!(
                    "AttributeName Reason: {other} is unknown or not modelled by the simulator"
                )));
            }
        }
        Ok(())
    }

    /// The queue that a redrive policy names: it must exist, in the account and the Region of the subscription.
    fn dead_letters(&self, on: &Subscription, text: &str) -> Result<String, AwsError> {
        let bad = |why: &str| invalid(&format!("RedrivePolicy: {why}"));
        let policy: Value = serde_json::from_str(text).map_err(|_| bad("failed to parse JSON."))?;
        let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
        let target = target.ok_or_else(|| bad("deadLetterTargetArn is missing"))?;
        let region = on.topic_arn.split(':').nth(3);
        let here = |account: &str, at: &str| account == on.owner.as_str() && Some(at) == region;
        let queue = self.messaging.queues.get(target);
        if !queue.is_some_and(|queue| here(queue.account.as_str(), queue.region.as_str())) {
            return Err(bad(
                "the dead-letter queue does not exist in the account and the Region of the subscription",
            ));
        }
        Ok(target.to_owned())
    }
}

/// What an endpoint is, and whether it must confirm.
fn check_endpoint(
    me: &Caller,
    protocol: &str,
    endpoint: &str,
) -> Result<(Protocol, bool), AwsError> {
    let protocol = match protocol {
        "sqs" => {
            let parts: Vec<&str> = endpoint.split(':').collect();
            let ["arn", _, "sqs", _, account, _] = parts.as_slice() else {
                return Err(invalid("SQS endpoint ARN"));
            };
            return Ok((Protocol::Sqs, *account != me.account.as_str()));
        }
        "http" => Protocol::Http,
        "https" => Protocol::Https,
        "email" | "email-json" | "sms" | "application" | "lambda" | "firehose" => {
            return Err(AwsError::not_modelled(&format!(
                "A subscription with the protocol {protocol}"
            )));
        }
        _ => return Err(invalid("Protocol")),
    };
    let rest = endpoint
        .strip_prefix(protocol.name())
        .and_then(|rest| rest.strip_prefix("://"))
        .ok_or_else(|| invalid("Endpoint must match the specified protocol"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || endpoint.len() > 2_048 || endpoint.contains(char::is_whitespace) {
        return Err(invalid("HTTP(S) endpoint"));
    }
    Ok((protocol, true))
}

fn denied(why: &str) -> AwsError {
    AwsError::with_status(403, "AuthorizationError", why)
}
