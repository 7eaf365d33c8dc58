//! SNS: a message to a topic and from there to its subscriptions, in SNS's envelope or raw.

use std::cell::OnceCell;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::attributes::{self, MessageAttributes};
use super::deliveries::{Delivery, MessageType};
use super::filter;
use super::retries::{self, PLAIN};
use super::signature;
use super::subscriptions::{Protocol, Subscription};
use super::topics::invalid;
use super::uuid;
use crate::AwsError;
use crate::world::{Caller, World};

/// The longest message in bytes, and the longest batch.
pub(crate) const LONGEST: usize = 262_144;

/// A queue takes no more attributes than this; a raw message with more does not reach it.
const MAX_RAW_ATTRIBUTES: usize = 10;

/// What somebody publishes.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The subject of mails; part of the envelope.
    pub subject: Option<String>,
    /// The text.
    pub message: String,
    /// Whether the text is a JSON object with a text for each protocol.
    pub per_protocol: bool,
    /// What is said besides.
    pub attributes: MessageAttributes,
}

impl NewMessage {
    /// A text with nothing else.
    pub fn text(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            ..Self::default()
        }
    }

    /// How long the message is, as SNS counts.
    pub fn size(&self) -> usize {
        self.message.len() + attributes::size(&self.attributes)
    }
}

/// A message on its way to the subscriptions of a topic.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) topic_arn: String,
    pub(super) message_id: String,
    pub(super) content: NewMessage,
    pub(super) published_at: DateTime<Utc>,
}

impl Publication {
    /// The text for one protocol.
    fn message(&self, protocol: Protocol) -> String {
        let whole = &self.content.message;
        if !self.content.per_protocol {
            return whole.clone();
        }
        let texts: Map<String, Value> = serde_json::from_str(whole).unwrap_or_default();
        let own = texts.get(protocol.name()).or_else(|| texts.get("default"));
        own.and_then(Value::as_str).unwrap_or(whole).to_owned()
    }

    /// The signed envelope around a text, without what differs between subscriptions.
    fn envelope(&self, message: String, signature_version: &str) -> Map<String, Value> {
        let mut envelope = Map::new();
        envelope.insert("Type".into(), "Notification".into());
        envelope.insert("MessageId".into(), self.message_id.clone().into());
        envelope.insert("TopicArn".into(), self.topic_arn.clone().into());
        if let Some(subject) = &self.content.subject {
            envelope.insert("Subject".into(), subject.clone().into());
        }
        envelope.insert("Message".into(), message.into());
        envelope.insert("Timestamp".into(), time(self.published_at).into());
        signature::sign(&mut envelope, signature_version, &sns_host(&self.topic_arn));
        envelope
    }

    /// What one subscription is sent. The signature does not cover the link, so one is enough for all of a protocol.
    fn body(
        &self,
        subscription: &Subscription,
        version: &str,
        signed: &OnceCell<Map<String, Value>>,
    ) -> String {
        let text = || self.message(subscription.protocol);
        if subscription.raw {
            return text();
        }
        let mut envelope = if self.content.per_protocol {
            self.envelope(text(), version)
        } else {
            signed
                .get_or_init(|| self.envelope(text(), version))
                .clone()
        };
        let (host, arn) = (sns_host(&self.topic_arn), &subscription.arn);
        let leave = format!("{host}/?Action=Unsubscribe&SubscriptionArn={arn}");
        envelope.insert("UnsubscribeURL".into(), leave.into());
        if !self.content.attributes.is_empty() {
            let shown = attributes::in_envelope(&self.content.attributes);
            envelope.insert("MessageAttributes".into(), shown.into());
        }
        Value::Object(envelope).to_string()
    }
}

impl World {
    /// Publishes a message; answers with its id.
    pub fn publish(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        new: &NewMessage,
    ) -> Result<String, AwsError> {
        self.topic(me, topic_arn, "Publish")?;
        check(new)?;
        let publication = Publication {
            topic_arn: topic_arn.to_owned(),
            message_id: uuid(&mut self.ids),
            content: new.clone(),
            published_at: me.now,
        };
        self.fan_out(&publication, me.now);
        Ok(publication.message_id)
    }

    /// Hands a message to every confirmed subscription that wants it, as of the time it arrives.
    pub(super) fn fan_out(&mut self, publication: &Publication, arrival: DateTime<Utc>) {
        let attributes = &publication.content.attributes;
        let receivers: Vec<Subscription> = self
            .messaging
            .subscriptions
            .values()
            .filter(|s| s.topic_arn == publication.topic_arn && s.confirmed())
            .filter(|s| {
                let policy = s.filter_policy.as_deref();
                policy.is_none_or(|policy| filter::wants(policy, attributes))
            })
            .cloned()
            .collect();
        let version = self.signature_version(&publication.topic_arn);
        let signed = OnceCell::new();
        for subscription in receivers {
            let body = publication.body(&subscription, &version, &signed);
            if subscription.protocol != Protocol::Sqs {
                let message = (MessageType::Notification, publication.message_id.clone());
                self.post(arrival, &subscription, message, body);
                continue;
            }
            let carried = if subscription.raw {
                attributes.clone()
            } else {
                MessageAttributes::new()
            };
            self.deliver(arrival, &subscription, body, carried);
        }
    }

    /// Sends the token of a subscription that is not confirmed to its endpoint, or that of one that is over.
    pub(super) fn send_token(
        &mut self,
        now: DateTime<Utc>,
        subscription: &Subscription,
        kind: MessageType,
    ) {
        let Some(token) = &subscription.waiting else {
            return;
        };
        let topic = &subscription.topic_arn;
        let host = sns_host(topic);
        let url = format!(
            "{host}/?Action=ConfirmSubscription&TopicArn={topic}&Token={}",
            token.text
        );
        let message = match kind {
            MessageType::UnsubscribeConfirmation => format!(
                "The subscription {} is over.\nTo have it back, visit the SubscribeURL in this message.",
                subscription.arn
            ),
            _ => format!(
                "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL \
                 included in this message."
            ),
        };
        let id = uuid(&mut self.ids);
        let mut body = Map::new();
        for (name, value) in [
            ("Type", kind.name().to_owned()),
            ("MessageId", id.clone()),
            ("Token", token.text.clone()),
            ("TopicArn", topic.clone()),
            ("Message", message),
            ("SubscribeURL", url),
            ("Timestamp", time(now)),
        ] {
            body.insert(name.to_owned(), value.into());
        }
        signature::sign(&mut body, &self.signature_version(topic), &host);
        let body = Value::Object(body).to_string();
        match subscription.protocol {
            Protocol::Sqs => self.deliver(now, subscription, body, MessageAttributes::new()),
            Protocol::Http | Protocol::Https => self.post(now, subscription, (kind, id), body),
        }
    }

    fn signature_version(&self, topic_arn: &str) -> String {
        let topic = self.messaging.topics.get(topic_arn);
        topic.map_or_else(|| "1".to_owned(), |topic| topic.signature_version.clone())
    }

    /// Puts a message into the queue of a subscription. What the queue does not take is a client's mistake, which SNS does not
    /// retry: it goes to the subscription's dead-letter queue.
    fn deliver(
        &mut self,
        now: DateTime<Utc>,
        subscription: &Subscription,
        body: String,
        attributes: MessageAttributes,
    ) {
        let (topic, queue) = (&subscription.topic_arn, &subscription.endpoint);
        let sent = if attributes.len() > MAX_RAW_ATTRIBUTES {
            Err("a raw message has more than ten attributes")
        } else {
            self.put_into_queue(now, (topic, queue), body.clone(), attributes)
        };
        if let Err(why) = sent {
            tracing::warn!(%topic, %queue, why, "a message does not reach its queue, it is not tried again");
            self.bury_message(now, subscription, body, ("400", why));
        }
    }

    /// Makes a message due for its HTTP(S) endpoint.
    fn post(
        &mut self,
        due_at: DateTime<Utc>,
        subscription: &Subscription,
        (message_type, message_id): (MessageType, String),
        body: String,
    ) {
        let notification = message_type == MessageType::Notification;
        let topic = self.messaging.topics.get(&subscription.topic_arn);
        let (_, content_type) = retries::effective(
            topic.and_then(|topic| topic.delivery_policy.as_ref()),
            subscription.delivery_policy.as_ref(),
        );
        let content_type = content_type.filter(|_| notification);
        self.messaging.deliveries.put(Delivery {
            topic_arn: subscription.topic_arn.clone(),
            subscription_arn: subscription.arn.clone(),
            url: subscription.endpoint.clone(),
            message_type,
            message_id,
            raw: notification && subscription.raw,
            content_type: content_type.unwrap_or_else(|| PLAIN.to_owned()),
            body,
            attempts: 0,
            first_at: due_at,
            due_at,
        });
    }
}

fn check(new: &NewMessage) -> Result<(), AwsError> {
    if new.message.is_empty() {
        return Err(invalid("Empty message"));
    }
    if new.size() > LONGEST {
        return Err(invalid("Message too long"));
    }
    let subject = new.subject.as_deref();
    let printable = |s: &str| !s.is_empty() && s.len() <= 100 && !s.contains(char::is_control);
    if subject.is_some_and(|subject| !printable(subject)) {
        return Err(invalid("Subject"));
    }
    if new.per_protocol {
        let texts: Map<String, Value> = serde_json::from_str(&new.message)
            .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
        if !texts.get("default").is_some_and(Value::is_string) {
            let why = "Message Structure - No default entry in JSON message body";
            return Err(invalid(why));
        }
    }
    attributes::check(&new.attributes).map_err(|why| AwsError::new("ParameterValueInvalid", why))
}

/// Where SNS is, in the Region of a topic.
fn sns_host(topic_arn: &str) -> String {
    let region = topic_arn.split(':').nth(3).unwrap_or_default();
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://sns.{region}.amazonaws.com{suffix}")
}

/// A time as SNS writes it.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
