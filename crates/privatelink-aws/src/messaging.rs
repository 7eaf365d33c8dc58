//! Topics, queues and connection notifications: the port's `Messaging` over SNS, SQS and EC2.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ec2::types as ec2;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};
use privatelink::messaging::{LONGEST_POLL, MAX_MESSAGES};
use privatelink::{
    ConnectionNotification, GatewayError, ItemFailure, Messaging, NewConnectionNotification, Page,
    PageToken, Queue, QueueMessage, Subscription, Topic, TopicAttribute,
};

use crate::convert::{self, PAGE_SIZE};
use crate::errors::{bad_response, from_sdk, scrub};

/// How SNS lists a subscription that nobody confirmed yet.
const UNCONFIRMED: [&str; 2] = ["PendingConfirmation", "Deleted"];

/// The clients of one account in one Region.
#[derive(Debug)]
pub(crate) struct AwsMessaging {
    ec2: aws_sdk_ec2::Client,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    /// For receives, which may wait longer than any other call may take.
    polling: aws_sdk_sqs::Client,
}

impl AwsMessaging {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let longer = |limit: Option<Duration>| limit.unwrap_or_default() + LONGEST_POLL;
        let timeouts = config.timeout_config();
        let mut patient = TimeoutConfig::builder()
            .operation_attempt_timeout(longer(
                timeouts.and_then(TimeoutConfig::operation_attempt_timeout),
            ))
            .operation_timeout(longer(timeouts.and_then(TimeoutConfig::operation_timeout)));
        patient.set_connect_timeout(timeouts.and_then(TimeoutConfig::connect_timeout));
        let patient = patient.build();
        let patient = aws_sdk_sqs::config::Builder::from(config)
            .timeout_config(patient)
            .build();
        Self {
            ec2: aws_sdk_ec2::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            polling: aws_sdk_sqs::Client::from_conf(patient),
        }
    }
}

#[async_trait]
impl Messaging for AwsMessaging {
    async fn create_topic(&self, name: &str) -> Result<String, GatewayError> {
        let answer = self.sns.create_topic().name(name).send().await;
        let answer = answer.map_err(|error| from_sdk(&error))?;
        said("CreateTopic", "topic ARN", answer.topic_arn())
    }

    async fn topic(&self, arn: &str) -> Result<Topic, GatewayError> {
        let answer = self.sns.get_topic_attributes().topic_arn(arn).send().await;
        let answer = answer.map_err(|error| from_sdk(&error))?;
        // Every topic has a policy: an answer without any attributes says nothing.
        let attributes = answer
            .attributes()
            .ok_or_else(|| bad_response("GetTopicAttributes answered without attributes"))?;
        Ok(Topic {
            policy: attributes.get("Policy").cloned(),
            signature_version: attributes.get("SignatureVersion").cloned(),
        })
    }

    async fn set_topic_attribute(
        &self,
        arn: &str,
        attribute: TopicAttribute<'_>,
    ) -> Result<(), GatewayError> {
        self.sns
            .set_topic_attributes()
            .topic_arn(arn)
            .attribute_name(attribute.name())
            .attribute_value(attribute.value())
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        Ok(())
    }

    async fn subscribe_queue(&self, topic_arn: &str, queue_arn: &str) -> Result<(), GatewayError> {
        self.sns
            .subscribe()
            .topic_arn(topic_arn)
            .protocol("sqs")
            .endpoint(queue_arn)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        Ok(())
    }

    async fn subscriptions(
        &self,
        topic_arn: &str,
        from: Option<&PageToken>,
    ) -> Result<Page<Subscription>, GatewayError> {
        let answer = self
            .sns
            .list_subscriptions_by_topic()
            .topic_arn(topic_arn)
            .set_next_token(from.map(|token| token.0.clone()))
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        let next = convert::next_page(answer.next_token(), from)?;
        Ok(convert::page(answer.subscriptions(), next, |row| {
            Some(Subscription {
                arn: row
                    .subscription_arn()
                    .filter(|arn| !UNCONFIRMED.contains(arn))
                    .map(str::to_owned),
                protocol: row.protocol()?.to_owned(),
                endpoint: row.endpoint()?.to_owned(),
            })
        }))
    }

    async fn create_queue(&self, name: &str) -> Result<String, GatewayError> {
        let answer = self.sqs.create_queue().queue_name(name).send().await;
        let answer = answer.map_err(|error| from_sdk(&error))?;
        said("CreateQueue", "queue URL", answer.queue_url())
    }

    async fn queue_url(&self, name: &str) -> Result<String, GatewayError> {
        let answer = self.sqs.get_queue_url().queue_name(name).send().await;
        let answer = answer.map_err(|error| from_sdk(&error))?;
        said("GetQueueUrl", "queue URL", answer.queue_url())
    }

    async fn queue(&self, url: &str) -> Result<Queue, GatewayError> {
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::QueueArn)
            .attribute_names(QueueAttributeName::Policy)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        let attribute = |name: QueueAttributeName| answer.attributes()?.get(&name).cloned();
        let arn = attribute(QueueAttributeName::QueueArn);
        Ok(Queue {
            arn: said("GetQueueAttributes", "queue ARN", arn.as_deref())?,
            policy: attribute(QueueAttributeName::Policy).filter(|policy| !policy.is_empty()),
        })
    }

    async fn set_queue_policy(&self, url: &str, policy: &str) -> Result<(), GatewayError> {
        self.sqs
            .set_queue_attributes()
            .queue_url(url)
            .attributes(QueueAttributeName::Policy, policy)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        Ok(())
    }

    async fn receive(&self, url: &str, wait: Duration) -> Result<Vec<QueueMessage>, GatewayError> {
        let wait = i32::try_from(wait.min(LONGEST_POLL).as_secs()).unwrap_or_default();
        let most = i32::try_from(MAX_MESSAGES).unwrap_or(1);
        let answer = self
            .polling
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(most)
            .wait_time_seconds(wait)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        // A message without a handle cannot be deleted; it comes back with another.
        let messages = answer.messages().iter().filter_map(|row| {
            Some(QueueMessage {
                id: row.message_id()?.to_owned(),
                receipt_handle: row.receipt_handle()?.to_owned(),
                body: row.body().unwrap_or_default().to_owned(),
            })
        });
        Ok(messages.collect())
    }

    async fn delete_messages(
        &self,
        url: &str,
        receipt_handles: &[String],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        if receipt_handles.is_empty() {
            return Ok(Vec::new());
        }
        let entries: Result<Vec<_>, _> = receipt_handles
            .iter()
            .enumerate()
            .map(|(n, handle)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(handle)
                    .build()
            })
            .collect();
        let entries = entries.map_err(|error| GatewayError::Invalid {
            code: "NotSent".to_owned(),
            message: error.to_string(),
        })?;
        let answer = self
            .sqs
            .delete_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        let failures = answer.failed().iter().map(|failed| ItemFailure {
            resource_id: Some(failed.id().to_owned()),
            code: failed.code().to_owned(),
            message: scrub(failed.message().unwrap_or_default()),
        });
        Ok(failures.collect())
    }

    async fn connection_notifications(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<ConnectionNotification>, GatewayError> {
        let answer = self
            .ec2
            .describe_vpc_endpoint_connection_notifications()
            .max_results(PAGE_SIZE)
            .set_next_token(from.map(|token| token.0.clone()))
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        let next = convert::next_page(answer.next_token(), from)?;
        let rows = answer.connection_notification_set();
        Ok(convert::page(rows, next, notification))
    }

    async fn create_connection_notification(
        &self,
        new: &NewConnectionNotification,
    ) -> Result<ConnectionNotification, GatewayError> {
        let answer = self
            .ec2
            .create_vpc_endpoint_connection_notification()
            .service_id(new.service_id.as_str())
            .connection_notification_arn(&new.topic_arn)
            .set_connection_events(Some(new.events.iter().cloned().collect()))
            .client_token(&new.client_token)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        answer
            .connection_notification()
            .and_then(notification)
            .ok_or_else(|| {
                bad_response("CreateVpcEndpointConnectionNotification named no notification")
            })
    }

    async fn modify_connection_notification(
        &self,
        id: &str,
        topic_arn: &str,
        events: &BTreeSet<String>,
    ) -> Result<(), GatewayError> {
        self.ec2
            .modify_vpc_endpoint_connection_notification()
            .connection_notification_id(id)
            .connection_notification_arn(topic_arn)
            .set_connection_events(Some(events.iter().cloned().collect()))
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        Ok(())
    }

    async fn delete_connection_notification(
        &self,
        id: &str,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        let answer = self
            .ec2
            .delete_vpc_endpoint_connection_notifications()
            .connection_notification_ids(id)
            .send()
            .await
            .map_err(|error| from_sdk(&error))?;
        Ok(answer.unsuccessful().first().map(convert::item_failure))
    }
}

/// One notification; `None` when AWS left out which, or about what topic.
fn notification(row: &ec2::ConnectionNotification) -> Option<ConnectionNotification> {
    Some(ConnectionNotification {
        id: row.connection_notification_id()?.to_owned(),
        service_id: row.service_id().and_then(|id| id.parse().ok()),
        endpoint_id: row.vpc_endpoint_id().and_then(|id| id.parse().ok()),
        topic_arn: row.connection_notification_arn()?.to_owned(),
        events: row.connection_events().iter().cloned().collect(),
        // A state that AWS left out, or a new word, is not the one word that means broken.
        enabled: row
            .connection_notification_state()
            .is_none_or(|state| !state.as_str().eq_ignore_ascii_case("disabled")),
    })
}

/// What an answer has to say for a call to have worked.
fn said(action: &str, what: &str, value: Option<&str>) -> Result<String, GatewayError> {
    value
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| bad_response(&format!("{action} answered without a {what}")))
}
