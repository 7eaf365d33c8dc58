//! Topics, queues and connection notifications as [`super::metered::Metered`] has the rest: each call is paid for, made only while the
//! lease lasts, counted and logged.
//!
//! A receive may wait longer than a lease lasts for sure. It changes nothing but how long its messages are hidden, and what it brings is
//! written only by whoever holds the lease then.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use privatelink::{
    ConnectionNotification, GatewayError, ItemFailure, Messaging, NewConnectionNotification, Page,
    PageToken, Queue, QueueMessage, Subscription, Topic, TopicAttribute,
};

use super::budget::Bucket;
use super::metered::Meter;

/// Wraps an implementation of the port.
pub struct MeteredMessaging {
    inner: Arc<dyn Messaging>,
    meter: Meter,
}

impl MeteredMessaging {
    /// Wraps `inner`, which then pays as the meter says.
    pub fn new(inner: Arc<dyn Messaging>, meter: Meter) -> Self {
        Self { inner, meter }
    }

    async fn call<T>(
        &self,
        action: &'static str,
        bucket: Bucket,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        self.meter.call(action, bucket, call).await
    }
}

#[async_trait]
impl Messaging for MeteredMessaging {
    async fn create_topic(&self, name: &str) -> Result<String, GatewayError> {
        let call = self.inner.create_topic(name);
        self.call("CreateTopic", Bucket::Messaging, call).await
    }

    async fn topic(&self, arn: &str) -> Result<Topic, GatewayError> {
        let call = self.inner.topic(arn);
        self.call("GetTopicAttributes", Bucket::Messaging, call)
            .await
    }

    async fn set_topic_attribute(
        &self,
        arn: &str,
        attribute: TopicAttribute<'_>,
    ) -> Result<(), GatewayError> {
        let call = self.inner.set_topic_attribute(arn, attribute);
        self.call("SetTopicAttributes", Bucket::Messaging, call)
            .await
    }

    async fn subscribe_queue(&self, topic_arn: &str, queue_arn: &str) -> Result<(), GatewayError> {
        let call = self.inner.subscribe_queue(topic_arn, queue_arn);
        self.call("Subscribe", Bucket::Messaging, call).await
    }

    async fn subscriptions(
        &self,
        topic_arn: &str,
        from: Option<&PageToken>,
    ) -> Result<Page<Subscription>, GatewayError> {
        let call = self.inner.subscriptions(topic_arn, from);
        self.call("ListSubscriptionsByTopic", Bucket::Messaging, call)
            .await
    }

    async fn create_queue(&self, name: &str) -> Result<String, GatewayError> {
        let call = self.inner.create_queue(name);
        self.call("CreateQueue", Bucket::Messaging, call).await
    }

    async fn queue_url(&self, name: &str) -> Result<String, GatewayError> {
        let call = self.inner.queue_url(name);
        self.call("GetQueueUrl", Bucket::Messaging, call).await
    }

    async fn queue(&self, url: &str) -> Result<Queue, GatewayError> {
        let call = self.inner.queue(url);
        self.call("GetQueueAttributes", Bucket::Messaging, call)
            .await
    }

    async fn set_queue_policy(&self, url: &str, policy: &str) -> Result<(), GatewayError> {
        let call = self.inner.set_queue_policy(url, policy);
        self.call("SetQueueAttributes", Bucket::Messaging, call)
            .await
    }

    async fn receive(&self, url: &str, wait: Duration) -> Result<Vec<QueueMessage>, GatewayError> {
        let call = self.inner.receive(url, wait);
        self.call("ReceiveMessage", Bucket::Queue, call).await
    }

    async fn delete_messages(
        &self,
        url: &str,
        receipt_handles: &[String],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let call = self.inner.delete_messages(url, receipt_handles);
        self.call("DeleteMessageBatch", Bucket::Queue, call).await
    }

    async fn connection_notifications(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<ConnectionNotification>, GatewayError> {
        let call = self.inner.connection_notifications(from);
        self.call(
            "DescribeVpcEndpointConnectionNotifications",
            Bucket::Read,
            call,
        )
        .await
    }

    async fn create_connection_notification(
        &self,
        new: &NewConnectionNotification,
    ) -> Result<ConnectionNotification, GatewayError> {
        let call = self.inner.create_connection_notification(new);
        self.call(
            "CreateVpcEndpointConnectionNotification",
            Bucket::Mutation,
            call,
        )
        .await
    }

    async fn modify_connection_notification(
        &self,
        id: &str,
        topic_arn: &str,
        events: &BTreeSet<String>,
    ) -> Result<(), GatewayError> {
        let call = self
            .inner
            .modify_connection_notification(id, topic_arn, events);
        self.call(
            "ModifyVpcEndpointConnectionNotification",
            Bucket::Mutation,
            call,
        )
        .await
    }

    async fn delete_connection_notification(
        &self,
        id: &str,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        let call = self.inner.delete_connection_notification(id);
        self.call(
            "DeleteVpcEndpointConnectionNotifications",
            Bucket::Mutation,
            call,
        )
        .await
    }
}
