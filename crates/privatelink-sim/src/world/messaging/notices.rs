//! Connection notifications on their way to SNS: who says it, what is said, and whether the topic lets PrivateLink in.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::policy::{self, Asker, Context};
use super::publish::{NewMessage, Publication};
use super::uuid;
use crate::NotificationBody;
use crate::world::notifications::ConnectionEvent;
use crate::world::{World, later, regions};

/// What becomes of a notification on its way to the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is published.
    Delivered,
    /// It is not.
    Lost,
    /// It reaches every queue twice.
    Twice,
    /// It reaches the queues so many milliseconds later.
    Late(u64),
    /// It is published when the next one of its topic has been.
    AfterTheNext,
}

impl World {
    /// Publishes the connection notifications that the last call gave rise to. A topic that is gone, or whose policy does
    /// not let PrivateLink publish for this service, hears nothing; AWS tells nobody either.
    pub(crate) fn publish_notifications(&mut self, mut fate: impl FnMut(&ConnectionEvent) -> Fate) {
        for event in self.take_notifications() {
            match fate(&event) {
                Fate::Lost => continue,
                Fate::AfterTheNext => {
                    let held = self.messaging.held.entry(event.topic_arn.clone());
                    held.or_default().push(event);
                    continue;
                }
                Fate::Delivered => self.publish_notification(&event, event.time, 1),
                Fate::Twice => self.publish_notification(&event, event.time, 2),
                Fate::Late(ms) => self.publish_notification(&event, later(event.time, ms), 1),
            }
            for held in self
                .messaging
                .held
                .remove(&event.topic_arn)
                .unwrap_or_default()
            {
                self.publish_notification(&held, event.time, 1);
            }
        }
    }

    fn publish_notification(
        &mut self,
        event: &ConnectionEvent,
        arrival: DateTime<Utc>,
        copies: usize,
    ) {
        let source = self.source_of(event);
        let context = Context {
            source_arn: Some(&source),
            source_account: Some(event.account.as_str()),
        };
        let service = Asker::Service("vpce.amazonaws.com");
        let topic = self.messaging.topics.get(&event.topic_arn);
        let allowed = topic.is_some_and(|topic| {
            policy::allows(&topic.policy, service, "SNS:Publish", &topic.arn, context)
        });
        if !allowed {
            tracing::warn!(
                topic = %event.topic_arn,
                source,
                "the topic does not exist or does not let PrivateLink publish, the notification is lost"
            );
            return;
        }
        let publication = Publication {
            topic_arn: event.topic_arn.clone(),
            message_id: uuid(&mut self.ids),
            content: NewMessage::text(&body(self.behavior.notification_body, event)),
            published_at: event.time,
        };
        for _ in 0..copies {
            self.fan_out(&publication, arrival);
        }
    }

    /// What a topic's policy sees as `aws:SourceArn`: the service for its owner, the endpoint for its consumer.
    fn source_of(&self, event: &ConnectionEvent) -> String {
        let owner = self.owners.get(&event.service_id);
        let resource = if owner.is_some_and(|(account, _)| *account == event.account) {
            format!("vpc-endpoint-service/{}", event.service_id)
        } else {
            format!("vpc-endpoint/{}", event.endpoint_id)
        };
        format!(
            "arn:{}:ec2:{}:{}:{resource}",
            regions::partition(&event.region),
            event.region,
            event.account
        )
    }
}

/// The text of a notification. AWS documents none and no sample is public, so both shapes are the simulator's own.
fn body(shape: NotificationBody, event: &ConnectionEvent) -> String {
    let (endpoint, service) = (&event.endpoint_id, &event.service_id);
    let time = event.time.to_rfc3339_opts(SecondsFormat::Millis, true);
    match shape {
        NotificationBody::Json => json!({
            "note": "invented by the simulator: AWS does not document this body",
            "event": event.event,
            "serviceId": service,
            "vpcEndpointId": endpoint,
            "time": time,
        })
        .to_string(),
        NotificationBody::Text => format!(
            "(Invented by the simulator.) {} of endpoint {endpoint} at service {service}, {time}",
            event.event
        ),
    }
}
