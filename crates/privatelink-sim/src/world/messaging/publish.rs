//! SNS: a message to a topic and from there into its queues, in SNS's envelope.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::policy::{self, Asker, Context};
use super::queue::Message;
use super::signature;
use super::subscriptions::Subscription;
use super::topics::invalid;
use super::uuid;
use crate::AwsError;
use crate::world::{Caller, World, later};

/// The longest message in bytes.
const LONGEST: usize = 262_144;

/// A message on its way to the subscriptions of a topic.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) topic_arn: String,
    pub(super) message_id: String,
    pub(super) subject: Option<String>,
    pub(super) message: String,
    pub(super) published_at: DateTime<Utc>,
}

impl Publication {
    /// The envelope around the message, for one subscription.
    fn envelope(&self, subscription: &str, signature_version: &str) -> String {
        let host = sns_host(&self.topic_arn);
        let mut envelope = Map::new();
        envelope.insert("Type".into(), "Notification".into());
        envelope.insert("MessageId".into(), self.message_id.clone().into());
        envelope.insert("TopicArn".into(), self.topic_arn.clone().into());
        if let Some(subject) = &self.subject {
            envelope.insert("Subject".into(), subject.clone().into());
        }
        envelope.insert("Message".into(), self.message.clone().into());
        envelope.insert("Timestamp".into(), time(self.published_at).into());
        finish(&mut envelope, signature_version, &host);
        let leave = format!("{host}/?Action=Unsubscribe&SubscriptionArn={subscription}");
        envelope.insert("UnsubscribeURL".into(), leave.into());
        Value::Object(envelope).to_string()
    }
}

/// Signs an envelope, if its topic signs with the version that can be signed here.
fn finish(envelope: &mut Map<String, Value>, signature_version: &str, host: &str) {
    envelope.insert("SignatureVersion".into(), signature_version.into());
    if signature_version == "2" {
        signature::sign(envelope, host);
    }
}

impl World {
    /// Publishes a message; answers with its id.
    pub fn publish(
        &mut self,
        me: &Caller,
        topic_arn: &str,
        subject: Option<&str>,
        message: &str,
    ) -> Result<String, AwsError> {
        self.topic(me, topic_arn, "Publish")?;
        if message.is_empty() {
            return Err(invalid("Empty message"));
        }
        if message.len() > LONGEST {
            return Err(invalid("Message too long"));
        }
        let printable = |s: &str| !s.is_empty() && s.len() <= 100 && !s.contains(char::is_control);
        if subject.is_some_and(|subject| !printable(subject)) {
            return Err(invalid("Subject"));
        }
        let publication = Publication {
            topic_arn: topic_arn.to_owned(),
            message_id: uuid(&mut self.ids),
            subject: subject.map(str::to_owned),
            message: message.to_owned(),
            published_at: me.now,
        };
        self.fan_out(&publication, me.now);
        Ok(publication.message_id)
    }

    /// Hands a message to every confirmed subscription of a topic; it arrives at this time.
    pub(super) fn fan_out(&mut self, publication: &Publication, arrival: DateTime<Utc>) {
        let confirmed: Vec<Subscription> = self
            .messaging
            .subscriptions
            .values()
            .filter(|s| s.topic_arn == publication.topic_arn && s.confirmed())
            .cloned()
            .collect();
        let version = self.signature_version(&publication.topic_arn);
        for subscription in confirmed {
            let body = if subscription.raw {
                publication.message.clone()
            } else {
                publication.envelope(&subscription.arn, &version)
            };
            self.deliver(arrival, &subscription, body);
        }
    }

    /// Sends the token of a subscription that is not confirmed to its queue.
    pub(super) fn ask_to_confirm(&mut self, now: DateTime<Utc>, subscription: &Subscription) {
        let Some(token) = &subscription.waiting else {
            return;
        };
        let topic = &subscription.topic_arn;
        let host = sns_host(topic);
        let url = format!(
            "{host}/?Action=ConfirmSubscription&TopicArn={topic}&Token={}",
            token.text
        );
        let message = format!(
            "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL \
             included in this message."
        );
        let mut body = Map::new();
        for (name, value) in [
            ("Type", "SubscriptionConfirmation".to_owned()),
            ("MessageId", uuid(&mut self.ids)),
            ("Token", token.text.clone()),
            ("TopicArn", topic.clone()),
            ("Message", message),
            ("SubscribeURL", url),
            ("Timestamp", time(now)),
        ] {
            body.insert(name.to_owned(), value.into());
        }
        finish(&mut body, &self.signature_version(topic), &host);
        self.deliver(now, subscription, Value::Object(body).to_string());
    }

    fn signature_version(&self, topic_arn: &str) -> String {
        let topic = self.messaging.topics.get(topic_arn);
        topic.map_or_else(|| "1".to_owned(), |topic| topic.signature_version.clone())
    }

    /// Puts a message into a queue, if the queue is there and its policy lets the topic in. Otherwise it is lost.
    fn deliver(&mut self, now: DateTime<Utc>, subscription: &Subscription, body: String) {
        let id = uuid(&mut self.ids);
        let topic = subscription.topic_arn.as_str();
        let Some(queue) = self.messaging.queues.get_mut(&subscription.endpoint) else {
            tracing::warn!(topic, queue = %subscription.endpoint, "a topic's queue does not exist, the message is lost");
            return;
        };
        let context = Context {
            source_arn: Some(topic),
            source_account: topic.split(':').nth(4),
        };
        let service = Asker::Service("sns.amazonaws.com");
        let policy = queue.settings.policy.as_deref().unwrap_or_default();
        if !policy::allows(policy, service, "sqs:SendMessage", &queue.arn, context) {
            tracing::warn!(topic, queue = %queue.arn, "the queue's policy refuses the topic, the message is lost");
            return;
        }
        let delay = queue.settings.delay;
        queue.put(Message {
            id,
            body,
            sender: "AIDAISMY6WEXAMPLESNS0".to_owned(),
            sent_at: now,
            visible_at: later(now, delay * 1_000),
            received: 0,
            first_received_at: None,
            dead_letter_source: None,
        });
    }
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
