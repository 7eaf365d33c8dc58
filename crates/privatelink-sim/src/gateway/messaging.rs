//! Topics, queues and connection notifications of the simulator in process, as the port sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use privatelink::messaging::MAX_MESSAGES;
use privatelink::{
    ConnectionNotification, GatewayError, ItemFailure, Messaging, NewConnectionNotification, Page,
    PageToken, Queue, QueueMessage, Subscription, Topic, TopicAttribute,
};

use super::port_types::{items, page, paging};
use super::{SimGateway, sort};
use crate::AwsError;
use crate::api::Api;
use crate::calls::in_process;
use crate::waiting::Look;
use crate::wire::sqs::{queue_name, queue_url};
use crate::world::messaging::queues::ReceiveRequest;
use crate::world::notifications::{NewNotification, Notification};
use crate::world::select::{Filters, Paging};

/// Where queues are, as their URLs say. Only the path of an URL is read.
const BASE: &str = "https://sqs.simulated.invalid";

/// How many subscriptions SNS puts on a page.
const SUBSCRIPTIONS: usize = 100;

#[async_trait]
impl Messaging for SimGateway {
    async fn create_topic(&self, name: &str) -> Result<String, GatewayError> {
        let none = BTreeMap::new();
        self.call(Api::Sns, "CreateTopic", Vec::new(), |world, me| {
            world.create_topic(me, name, &none, &none)
        })
        .await
    }

    async fn topic(&self, arn: &str) -> Result<Topic, GatewayError> {
        self.call(Api::Sns, "GetTopicAttributes", Vec::new(), |world, me| {
            let mut attributes = world.topic_attributes(me, arn)?;
            Ok(Topic {
                policy: attributes.remove("Policy"),
                signature_version: attributes.remove("SignatureVersion"),
            })
        })
        .await
    }

    async fn set_topic_attribute(
        &self,
        arn: &str,
        attribute: TopicAttribute<'_>,
    ) -> Result<(), GatewayError> {
        self.call(Api::Sns, "SetTopicAttributes", Vec::new(), |world, me| {
            world.set_topic_attribute(me, arn, attribute.name(), attribute.value())
        })
        .await
    }

    async fn subscribe_queue(&self, topic_arn: &str, queue_arn: &str) -> Result<(), GatewayError> {
        self.call(Api::Sns, "Subscribe", Vec::new(), |world, me| {
            let to = ("sqs", queue_arn);
            world
                .subscribe(me, topic_arn, to, &BTreeMap::new())
                .map(drop)
        })
        .await
    }

    async fn subscriptions(
        &self,
        topic_arn: &str,
        from: Option<&PageToken>,
    ) -> Result<Page<Subscription>, GatewayError> {
        let action = "ListSubscriptionsByTopic";
        self.call(Api::Sns, action, Vec::new(), |world, me| {
            let listing = format!("{action} {topic_arn}");
            let paging = Paging {
                max: Some(SUBSCRIPTIONS),
                ..Paging::from(from.map(|token| token.0.as_str()))
            };
            let after = paging.after(&listing)?;
            let rows = world.topic_subscriptions(me, topic_arn)?.into_iter();
            let rest = rows
                .filter(|row| after.as_ref().is_none_or(|after| row.arn > *after))
                .map(|row| (row.arn.clone(), row));
            let limit = world.behavior.page_size_limit;
            Ok(page(paging.take(&listing, limit, rest).map(|row| {
                Subscription {
                    arn: row.confirmed().then(|| row.arn.clone()),
                    protocol: row.protocol.name().to_owned(),
                    endpoint: row.endpoint,
                }
            })))
        })
        .await
    }

    async fn create_queue(&self, name: &str) -> Result<String, GatewayError> {
        self.call(Api::Sqs, "CreateQueue", Vec::new(), |world, me| {
            let made = world.create_queue(me, name, &BTreeMap::new())?;
            Ok(queue_url(BASE, &made))
        })
        .await
    }

    async fn queue_url(&self, name: &str) -> Result<String, GatewayError> {
        self.call(Api::Sqs, "GetQueueUrl", Vec::new(), |world, me| {
            let at = crate::world::messaging::queues::QueueName {
                account: me.account.clone(),
                name: name.to_owned(),
            };
            world.queue(me, &at, "GetQueueUrl")?;
            Ok(queue_url(BASE, &at))
        })
        .await
    }

    async fn queue(&self, url: &str) -> Result<Queue, GatewayError> {
        self.call(Api::Sqs, "GetQueueAttributes", Vec::new(), |world, me| {
            let queue = world.queue(me, &queue_name(url)?, "GetQueueAttributes")?;
            Ok(Queue {
                arn: queue.arn.clone(),
                policy: queue.settings.policy.clone(),
            })
        })
        .await
    }

    async fn set_queue_policy(&self, url: &str, policy: &str) -> Result<(), GatewayError> {
        let attributes = BTreeMap::from([("Policy".to_owned(), policy.to_owned())]);
        self.call(Api::Sqs, "SetQueueAttributes", Vec::new(), |world, me| {
            world.set_queue_attributes(me, &queue_name(url)?, &attributes)
        })
        .await
    }

    async fn receive(&self, url: &str, wait: Duration) -> Result<Vec<QueueMessage>, GatewayError> {
        let place = (&self.account, &self.region);
        let (call, identity) = in_process(place, Api::Sqs, "ReceiveMessage", Vec::new());
        let ended = self
            .simulator
            .call_waiting(call, identity, |world, me| {
                let at = queue_name(url)?;
                let request = ReceiveRequest {
                    max: Some(MAX_MESSAGES),
                    visibility_timeout: None,
                    wait_time: Some(wait.as_secs()),
                };
                let found = world.receive_messages(me, &at, &request)?;
                if found.is_empty() {
                    return Ok(Look::Nothing {
                        answer: Vec::new(),
                        patience: Duration::from_secs(wait.as_secs()),
                        due: world.next_due(me, &at),
                    });
                }
                let messages = found.into_iter().map(|received| QueueMessage {
                    id: received.message.id,
                    receipt_handle: received.receipt_handle,
                    body: received.message.body,
                });
                Ok(Look::Found(messages.collect()))
            })
            .await;
        ended.seen().map_err(sort)
    }

    async fn delete_messages(
        &self,
        url: &str,
        receipt_handles: &[String],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        if receipt_handles.is_empty() {
            return Ok(Vec::new());
        }
        self.call(Api::Sqs, "DeleteMessageBatch", Vec::new(), |world, me| {
            let at = queue_name(url)?;
            if receipt_handles.len() > MAX_MESSAGES {
                let message = "Maximum number of entries per request are 10.";
                return Err(AwsError::new("TooManyEntriesInBatchRequest", message));
            }
            world.queue(me, &at, "DeleteMessage")?;
            let deleted = receipt_handles
                .iter()
                .enumerate()
                .filter_map(|(n, handle)| {
                    let deleted = match me.forced_failure(&n.to_string()) {
                        Some(error) => Err(error),
                        None => world.delete_message(me, &at, handle),
                    };
                    let error = deleted.err()?;
                    Some(ItemFailure {
                        resource_id: Some(n.to_string()),
                        code: error.code,
                        message: error.message,
                    })
                });
            Ok(deleted.collect())
        })
        .await
    }

    async fn connection_notifications(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<ConnectionNotification>, GatewayError> {
        let action = "DescribeVpcEndpointConnectionNotifications";
        self.call(Api::Ec2, action, Vec::new(), |world, me| {
            let from = paging(from, me, &[]);
            let found = world.notifications(me, None, &Filters::default(), &from)?;
            Ok(page(found.map(notification)))
        })
        .await
    }

    async fn create_connection_notification(
        &self,
        new: &NewConnectionNotification,
    ) -> Result<ConnectionNotification, GatewayError> {
        let request = NewNotification {
            service_id: Some(new.service_id.to_string()),
            endpoint_id: None,
            topic_arn: new.topic_arn.clone(),
            events: new.events.iter().cloned().collect(),
        };
        let action = "CreateVpcEndpointConnectionNotification";
        self.call(
            Api::Ec2,
            action,
            vec![new.service_id.to_string()],
            |world, me| {
                let token = Some(new.client_token.as_str());
                world
                    .create_notification(me, &request, token)
                    .map(notification)
            },
        )
        .await
    }

    async fn modify_connection_notification(
        &self,
        id: &str,
        topic_arn: &str,
        events: &BTreeSet<String>,
    ) -> Result<(), GatewayError> {
        let action = "ModifyVpcEndpointConnectionNotification";
        let events: Vec<String> = events.iter().cloned().collect();
        self.call(Api::Ec2, action, Vec::new(), |world, me| {
            world.modify_notification(me, id, Some(topic_arn), &events)
        })
        .await
    }

    async fn delete_connection_notification(
        &self,
        id: &str,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        let action = "DeleteVpcEndpointConnectionNotifications";
        let ids = [id.to_owned()];
        let refused = self
            .call(Api::Ec2, action, Vec::new(), |world, me| {
                world.delete_notifications(me, &ids)
            })
            .await?;
        Ok(items(refused).into_iter().next())
    }
}

fn notification(row: Notification) -> ConnectionNotification {
    ConnectionNotification {
        id: row.id,
        service_id: row.service_id,
        endpoint_id: row.endpoint_id,
        topic_arn: row.topic_arn,
        events: row.events.into_iter().collect(),
        enabled: true,
    }
}
