//! SNS over HTTP and HTTPS: what is to be posted, when, and what becomes of it when the endpoint fails.
//!
//! The world does not post anything. It keeps what is due at which time; somebody takes it, posts it, and says how that ended.
//! What was taken and not reported is due again after a restart, as deliveries are at least once in AWS.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::attributes::{MessageAttribute, MessageAttributes};
use super::policy::{self, Asker, Context};
use super::queue::Message;
use super::retries::{self, LONGEST_CYCLE_MS};
use super::subscriptions::Subscription;
use super::uuid;
use crate::world::{World, later};

/// The kinds of messages that SNS posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageType {
    /// The token that confirms a subscription.
    SubscriptionConfirmation,
    /// A published message.
    Notification,
    /// The news that a subscription is over, with a token that brings it back.
    UnsubscribeConfirmation,
}

impl MessageType {
    /// As the header and the envelope write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::Notification => "Notification",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// One message on its way to one HTTP(S) endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The topic.
    pub topic_arn: String,
    /// The subscription.
    pub subscription_arn: String,
    /// Where to post.
    pub url: String,
    /// What it is.
    pub message_type: MessageType,
    /// The message id; the same each time it is tried.
    pub message_id: String,
    /// Whether the body is the bare message.
    pub raw: bool,
    /// The `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When it was due first.
    pub(crate) first_at: DateTime<Utc>,
    /// When it is due.
    pub(crate) due_at: DateTime<Utc>,
}

/// All deliveries that are not over.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Deliveries {
    next: u64,
    waiting: BTreeMap<u64, Delivery>,
    /// What is due when, by subscription.
    order: BTreeMap<String, BTreeSet<(DateTime<Utc>, u64)>>,
    /// What somebody is posting, by subscription. One at a time, so that an endpoint hears things in the same order each time.
    #[serde(skip)]
    taken: BTreeMap<String, u64>,
}

/// How an attempt to post ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With this HTTP status.
    Status(u16),
    /// Without an answer; the reason.
    NoAnswer(String),
}

impl Deliveries {
    pub(super) fn put(&mut self, delivery: Delivery) {
        self.next += 1;
        let order = self.order.entry(delivery.subscription_arn.clone());
        order.or_default().insert((delivery.due_at, self.next));
        self.waiting.insert(self.next, delivery);
    }

    fn remove(&mut self, id: u64) -> Option<Delivery> {
        self.give_back(id);
        let delivery = self.waiting.remove(&id)?;
        if let Some(order) = self.order.get_mut(&delivery.subscription_arn) {
            order.remove(&(delivery.due_at, id));
            if order.is_empty() {
                self.order.remove(&delivery.subscription_arn);
            }
        }
        Some(delivery)
    }

    fn give_back(&mut self, id: u64) {
        self.taken.retain(|_, taken| *taken != id);
    }

    /// What is due first, of the subscriptions that are sent nothing now.
    fn first(&self) -> Option<(DateTime<Utc>, u64)> {
        let free = self
            .order
            .iter()
            .filter(|(subscription, _)| !self.taken.contains_key(*subscription));
        free.filter_map(|(_, order)| order.first()).min().copied()
    }
}

impl World {
    /// The next delivery that is due, of the subscriptions that are sent nothing now.
    pub(crate) fn take_delivery(&mut self, now: DateTime<Utc>) -> Option<(u64, Delivery)> {
        loop {
            let all = &mut self.messaging.deliveries;
            let (_, id) = all.first().filter(|(due, _)| *due <= now)?;
            let delivery = all.waiting.get(&id)?.clone();
            let gone = delivery.message_type == MessageType::Notification
                && !self
                    .messaging
                    .subscriptions
                    .contains_key(&delivery.subscription_arn);
            if gone {
                all.remove(id);
                continue;
            }
            all.taken.insert(delivery.subscription_arn.clone(), id);
            return Some((id, delivery));
        }
    }

    /// When the next delivery is due, of the subscriptions that are sent nothing now.
    pub(crate) fn next_delivery(&self) -> Option<DateTime<Utc>> {
        self.messaging.deliveries.first().map(|(due, _)| due)
    }

    /// Gives a delivery back whose end nobody knows.
    pub(crate) fn give_back_delivery(&mut self, id: u64) {
        self.messaging.deliveries.give_back(id);
    }

    /// The certificates, in PEM, that vouch for HTTPS endpoints besides the machine's own.
    pub fn trusted_roots(&self) -> &[String] {
        &self.messaging.trusted_roots
    }

    /// Sets the certificates, in PEM, that vouch for HTTPS endpoints besides the machine's own.
    pub fn trust_roots(&mut self, roots: Vec<String>) {
        self.messaging.trusted_roots = roots;
    }

    /// How many deliveries are not over: due, waiting for a retry, or on their way.
    pub fn deliveries(&self) -> usize {
        self.messaging.deliveries.waiting.len()
    }

    /// Notes how an attempt ended. A status from 200 to 299 is the end. Any other below 500 is as well, and the message goes to
    /// the dead-letter queue: SNS does not retry what it takes for the client's own mistake. Everything else is tried again, as the
    /// delivery policy says.
    pub(crate) fn delivery_ended(&mut self, id: u64, now: DateTime<Utc>, outcome: &Outcome) {
        let Some(mut delivery) = self.messaging.deliveries.remove(id) else {
            return;
        };
        let (code, why) = match outcome {
            Outcome::Status(200..=299) => return,
            Outcome::Status(status) => (status.to_string(), format!("HTTP status {status}")),
            Outcome::NoAnswer(why) => ("500".to_owned(), why.clone()),
        };
        delivery.attempts += 1;
        let final_refusal = matches!(outcome, Outcome::Status(300..=499));
        let subscription = self
            .messaging
            .subscriptions
            .get(&delivery.subscription_arn)
            .cloned();
        let topic = self.messaging.topics.get(&delivery.topic_arn);
        let (policy, _) = retries::effective(
            topic.and_then(|topic| topic.delivery_policy.as_ref()),
            subscription
                .as_ref()
                .and_then(|s| s.delivery_policy.as_ref()),
        );
        let end = later(delivery.first_at, LONGEST_CYCLE_MS);
        let next = policy
            .delay_ms(delivery.attempts)
            .map(|delay| later(now, delay))
            .filter(|due| *due <= end && !final_refusal);
        if let Some(due_at) = next {
            self.messaging
                .deliveries
                .put(Delivery { due_at, ..delivery });
            return;
        }
        tracing::warn!(
            topic = %delivery.topic_arn,
            endpoint = %delivery.url,
            attempts = delivery.attempts,
            why,
            "a message could not be delivered, it goes to the subscription's dead-letter queue if there is one"
        );
        if let Some(subscription) = subscription
            && delivery.message_type == MessageType::Notification
        {
            self.bury_message(now, &subscription, delivery.body, (&code, &why));
        }
    }

    /// Puts a message that could not be delivered into the dead-letter queue of its subscription.
    pub(super) fn bury_message(
        &mut self,
        now: DateTime<Utc>,
        subscription: &Subscription,
        body: String,
        (code, why): (&str, &str),
    ) {
        let Some(target) = &subscription.redrive else {
            return;
        };
        let attributes = MessageAttributes::from([
            (
                "RequestID".to_owned(),
                MessageAttribute::text(&uuid(&mut self.ids)),
            ),
            ("ErrorCode".to_owned(), MessageAttribute::text(code)),
            ("ErrorMessage".to_owned(), MessageAttribute::text(why)),
        ]);
        let topic = &subscription.topic_arn;
        if let Err(why) = self.put_into_queue(now, (topic, target), body, attributes) {
            tracing::warn!(%topic, queue = %target, why, "the dead-letter queue does not take the message, it is lost");
        }
    }

    /// Puts a message into a queue, if the queue is there and its policy lets the topic in; answers with the reason otherwise.
    pub(super) fn put_into_queue(
        &mut self,
        now: DateTime<Utc>,
        (topic, queue): (&str, &str),
        body: String,
        attributes: MessageAttributes,
    ) -> Result<(), &'static str> {
        let id = uuid(&mut self.ids);
        let queue = self
            .messaging
            .queues
            .get_mut(queue)
            .ok_or("the queue does not exist")?;
        let context = Context {
            source_arn: Some(topic),
            source_account: topic.split(':').nth(4),
        };
        let service = Asker::Service("sns.amazonaws.com");
        let policy = queue.settings.policy.as_deref().unwrap_or_default();
        if !policy::allows(policy, service, "sqs:SendMessage", &queue.arn, context) {
            return Err("the queue's policy refuses the topic");
        }
        let delay = queue.settings.delay;
        queue.put(Message {
            id,
            body,
            attributes,
            sender: "AIDAISMY6WEXAMPLESNS0".to_owned(),
            sent_at: now,
            visible_at: later(now, delay * 1_000),
            received: 0,
            first_received_at: None,
            dead_letter_source: None,
        });
        Ok(())
    }
}
