//! What is asked of SNS, SQS and EC2 so that AWS tells of connections by itself: topics, queues, subscriptions and connection
//! notifications.
//!
//! AWS does not document the body of a connection notification, so nothing here reads one.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use crate::{GatewayError, ItemFailure, Page, PageToken, ServiceId, VpcEndpointId};

/// The events that a connection notification can tell of, in AWS's words. There is none for available, failed, expired or changed.
pub const CONNECTION_EVENTS: [&str; 4] = ["Accept", "Connect", "Delete", "Reject"];

/// The most messages that SQS gives out, or deletes, at once.
pub const MAX_MESSAGES: usize = 10;

/// The longest that SQS lets a receive wait for a message.
pub const LONGEST_POLL: Duration = Duration::from_secs(20);

/// An SNS topic's attributes, as far as they matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Who may publish and subscribe, as JSON.
    pub policy: Option<String>,
    /// How SNS signs what it posts over HTTP; `1` (SHA-1) unless it was set to `2` (SHA-256).
    pub signature_version: Option<String>,
}

/// An attribute of a topic that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicAttribute<'a> {
    /// The policy, as JSON.
    Policy(&'a str),
    /// The version of the signatures.
    SignatureVersion(&'a str),
}

impl<'a> TopicAttribute<'a> {
    /// The attribute's name in SNS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy(_) => "Policy",
            Self::SignatureVersion(_) => "SignatureVersion",
        }
    }

    /// The value to set.
    pub fn value(self) -> &'a str {
        match self {
            Self::Policy(value) | Self::SignatureVersion(value) => value,
        }
    }
}

/// A subscription to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its ARN; absent while somebody has still to confirm it.
    pub arn: Option<String>,
    /// `sqs`, `https` and others.
    pub protocol: String,
    /// The queue's ARN, or an address.
    pub endpoint: String,
}

/// An SQS queue's attributes, as far as they matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its ARN.
    pub arn: String,
    /// Who may send, as JSON; a new queue has none.
    pub policy: Option<String>,
}

/// A message that was received and is hidden from others for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// SQS's id of it. The same SNS message sent twice is two of these.
    pub id: String,
    /// What it is deleted by; new with each receive.
    pub receipt_handle: String,
    /// Whatever was sent: for SNS without raw delivery, its JSON envelope.
    pub body: String,
}

/// A connection notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionNotification {
    /// `vpce-nfn-…`.
    pub id: String,
    /// The service that it tells of, for its provider.
    pub service_id: Option<ServiceId>,
    /// The endpoint that it tells of, for its consumer.
    pub endpoint_id: Option<VpcEndpointId>,
    /// The SNS topic.
    pub topic_arn: String,
    /// The events, whose order AWS does not keep.
    pub events: BTreeSet<String>,
    /// AWS shows `Disabled` when it could not publish to the topic.
    pub enabled: bool,
}

/// What a connection notification of a service is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnectionNotification {
    /// Makes a repeat harmless, at most 64 ASCII characters.
    pub client_token: String,
    /// The service.
    pub service_id: ServiceId,
    /// The topic.
    pub topic_arn: String,
    /// The events.
    pub events: BTreeSet<String>,
}

/// What is asked of SNS, SQS and EC2's connection notifications, for one account in one Region. As [`crate::PrivateLink`]: one request
/// a call, one retry at most, no patience but that of a long poll.
#[async_trait]
pub trait Messaging: Send + Sync {
    /// Makes a topic, or finds the one of that name (`CreateTopic` without attributes does both); its ARN.
    async fn create_topic(&self, name: &str) -> Result<String, GatewayError>;

    /// Reads a topic's attributes.
    async fn topic(&self, arn: &str) -> Result<Topic, GatewayError>;

    /// Sets one attribute of a topic.
    async fn set_topic_attribute(
        &self,
        arn: &str,
        attribute: TopicAttribute<'_>,
    ) -> Result<(), GatewayError>;

    /// Subscribes a queue of the same account. The same subscription twice is one.
    async fn subscribe_queue(&self, topic_arn: &str, queue_arn: &str) -> Result<(), GatewayError>;

    /// Lists a topic's subscriptions, 100 a page.
    async fn subscriptions(
        &self,
        topic_arn: &str,
        from: Option<&PageToken>,
    ) -> Result<Page<Subscription>, GatewayError>;

    /// Makes a queue with SQS's default settings, or finds the one of that name that has them; its URL.
    async fn create_queue(&self, name: &str) -> Result<String, GatewayError>;

    /// Finds a queue by its name; its URL.
    async fn queue_url(&self, name: &str) -> Result<String, GatewayError>;

    /// Reads a queue's attributes.
    async fn queue(&self, url: &str) -> Result<Queue, GatewayError>;

    /// Sets a queue's policy.
    async fn set_queue_policy(&self, url: &str, policy: &str) -> Result<(), GatewayError>;

    /// Receives up to [`MAX_MESSAGES`] messages, waiting for the first at most so long, in whole seconds up to [`LONGEST_POLL`].
    async fn receive(&self, url: &str, wait: Duration) -> Result<Vec<QueueMessage>, GatewayError>;

    /// Deletes up to [`MAX_MESSAGES`] received messages by their receipt handles. Each that was not deleted is an item of the answer,
    /// by its place in `receipt_handles`. Without any, no call.
    async fn delete_messages(
        &self,
        url: &str,
        receipt_handles: &[String],
    ) -> Result<Vec<ItemFailure>, GatewayError>;

    /// Lists the account's connection notifications, up to 1,000 a page.
    async fn connection_notifications(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<ConnectionNotification>, GatewayError>;

    /// Makes a connection notification for a service. Repeating it with an equal request and the same token answers with the first one.
    async fn create_connection_notification(
        &self,
        new: &NewConnectionNotification,
    ) -> Result<ConnectionNotification, GatewayError>;

    /// Gives a connection notification another topic and other events, both whole.
    async fn modify_connection_notification(
        &self,
        id: &str,
        topic_arn: &str,
        events: &BTreeSet<String>,
    ) -> Result<(), GatewayError>;

    /// Deletes a connection notification. `Ok(Some(_))` is a refusal inside an HTTP 200, also of one that is gone already.
    async fn delete_connection_notification(
        &self,
        id: &str,
    ) -> Result<Option<ItemFailure>, GatewayError>;
}

/// All four events.
pub fn all_connection_events() -> BTreeSet<String> {
    CONNECTION_EVENTS.map(str::to_owned).into()
}
