//! Connection notifications: which SNS topic hears of which event, and the log of what is to be published.
//!
//! The world only writes down that something is to be said; whoever simulates SNS takes the log and publishes it.

use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region, ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::endpoint_kinds::EndpointKind;
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, World, regions};
use crate::AwsError;
use crate::error::Unsuccessful;

/// The events there are. AWS has none for available, failed, expired or modified.
pub(crate) const EVENTS: [&str; 4] = ["Accept", "Connect", "Delete", "Reject"];

/// More than this is not kept when nobody takes the log; what comes later is lost.
const MAX_LOG: usize = 100_000;

const ACTION: &str = "CreateVpcEndpointConnectionNotification";

const LISTING: &str = "DescribeVpcEndpointConnectionNotifications";

/// One connection notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// `vpce-nfn-…`.
    pub id: String,
    /// The service whose connections it is about, for its owner.
    pub service_id: Option<ServiceId>,
    /// The endpoint it is about, for its consumer.
    pub endpoint_id: Option<VpcEndpointId>,
    /// The SNS topic.
    pub topic_arn: String,
    /// The events, in an order of their own.
    pub events: Vec<String>,
}

/// What `CreateVpcEndpointConnectionNotification` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewNotification {
    /// A service of the caller's; excludes an endpoint.
    pub service_id: Option<String>,
    /// An endpoint of the caller's; excludes a service.
    pub endpoint_id: Option<String>,
    /// The SNS topic.
    pub topic_arn: String,
    /// The events.
    pub events: Vec<String>,
}

/// Something that is to be published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEvent {
    /// The topic that hears of it.
    pub topic_arn: String,
    /// `Connect`, `Accept`, `Reject` or `Delete`.
    pub event: String,
    /// The service.
    pub service_id: ServiceId,
    /// The consumer's endpoint.
    pub endpoint_id: VpcEndpointId,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// The account whose notification it is: a topic's policy may ask for it.
    pub account: AccountId,
    /// The Region of the notification.
    pub region: Region,
}

impl World {
    /// Makes a notification for a service of the caller's or for an endpoint of the caller's, not both.
    pub fn create_notification(
        &mut self,
        caller: &Caller,
        new: &NewNotification,
        client_token: Option<&str>,
    ) -> Result<Notification, AwsError> {
        self.sweep(caller.now);
        if let Some(made) = self.replayed(caller, ACTION, client_token, new)? {
            return self.own_notification(caller, &made).cloned();
        }
        self.check_topic(caller, &new.topic_arn)?;
        let (service_id, endpoint_id) = match (&new.service_id, &new.endpoint_id) {
            (Some(service), None) => (Some(self.notifying_service(caller, service)?), None),
            (None, Some(endpoint)) => (None, Some(self.notifying_endpoint(caller, endpoint)?)),
            (None, None) => return Err(AwsError::missing("ServiceId")),
            (Some(_), Some(_)) => {
                return Err(AwsError::new(
                    "InvalidParameterCombination",
                    "ServiceId and VpcEndpointId exclude each other",
                ));
            }
        };
        let id = self.ids.ec2("vpce-nfn-");
        let events = self.shuffled(&id, &new.events)?;
        let made = Notification {
            id: id.clone(),
            service_id,
            endpoint_id,
            topic_arn: new.topic_arn.clone(),
            events,
        };
        self.place(caller)
            .notifications
            .insert(id.clone(), made.clone());
        self.remember(caller, ACTION, client_token, new, &id);
        Ok(made)
    }

    /// Changes the topic, or replaces all events.
    pub fn modify_notification(
        &mut self,
        caller: &Caller,
        id: &str,
        topic_arn: Option<&str>,
        events: &[String],
    ) -> Result<(), AwsError> {
        self.own_notification(caller, id)?;
        if let Some(topic_arn) = topic_arn {
            self.check_topic(caller, topic_arn)?;
        }
        let events = match events {
            [] => None,
            events => Some(self.shuffled(id, events)?),
        };
        if let Some(notification) = self.place(caller).notifications.get_mut(id) {
            if let Some(topic_arn) = topic_arn {
                topic_arn.clone_into(&mut notification.topic_arn);
            }
            if let Some(events) = events {
                notification.events = events;
            }
        }
        Ok(())
    }

    /// Lists the caller's notifications. An unknown id fails the call.
    pub fn notifications(
        &mut self,
        caller: &Caller,
        id: Option<&str>,
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<Notification>, AwsError> {
        filters.check(&[
            "connection-notification-arn",
            "connection-notification-id",
            "connection-notification-state",
            "connection-notification-type",
            "service-id",
            "vpc-endpoint-id",
        ])?;
        if let Some(id) = id {
            self.own_notification(caller, id)?;
        }
        let limit = self.behavior.page_size_limit;
        let after = paging.after(LISTING)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self
            .place(caller)
            .notifications
            .range((from, Bound::Unbounded))
            .filter(|(key, row)| {
                id.is_none_or(|id| id == key.as_str())
                    && filters.allow(&Tags::new(), |name| field(row, name))
            });
        Ok(paging.take(LISTING, limit, rows).map(Clone::clone))
    }

    /// Deletes notifications one by one. Each that is unknown is an item of the answer.
    pub fn delete_notifications(
        &mut self,
        caller: &Caller,
        ids: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        if ids.is_empty() {
            return Err(AwsError::missing("ConnectionNotificationId"));
        }
        Ok(ids
            .iter()
            .filter_map(|id| {
                let error = caller.forced_failure(id).or_else(|| {
                    let gone = self.place(caller).notifications.remove(id);
                    gone.is_none().then(|| no_notification(id))
                })?;
                Some(Unsuccessful {
                    resource_id: id.clone(),
                    error,
                })
            })
            .collect())
    }

    /// Takes what is to be published, in the order in which it happened.
    pub fn take_notifications(&mut self) -> Vec<ConnectionEvent> {
        std::mem::take(&mut self.notification_log)
    }

    /// Writes down an event for everybody who asked to hear of it: the service's owner and the endpoint's.
    pub(super) fn notify(
        &mut self,
        event: &str,
        service: &ServiceId,
        endpoint: &VpcEndpointId,
        time: DateTime<Utc>,
    ) {
        let provider = self.owners.get(service).cloned();
        let consumer = self
            .service(service)
            .and_then(|service| service.connections.get(endpoint))
            .map(|connection| (connection.owner.clone(), connection.endpoint_region.clone()));
        let mut heard = Vec::new();
        let mut sides: Vec<_> = provider.into_iter().chain(consumer).collect();
        sides.dedup();
        for (account, region) in sides {
            let Some(place) = self.existing_place(&account, &region) else {
                continue;
            };
            heard.extend(
                place
                    .notifications
                    .values()
                    .filter(|row| {
                        row.service_id.as_ref() == Some(service)
                            || row.endpoint_id.as_ref() == Some(endpoint)
                    })
                    .filter(|row| row.events.iter().any(|wanted| wanted == event))
                    .map(|row| ConnectionEvent {
                        topic_arn: row.topic_arn.clone(),
                        event: event.to_owned(),
                        service_id: service.clone(),
                        endpoint_id: endpoint.clone(),
                        time,
                        account: account.clone(),
                        region: region.clone(),
                    }),
            );
        }
        let room = MAX_LOG.saturating_sub(self.notification_log.len());
        self.notification_log.extend(heard.into_iter().take(room));
    }

    fn notifying_service(&mut self, caller: &Caller, id: &str) -> Result<ServiceId, AwsError> {
        let service = self.own_service(caller, id)?;
        if service.is_gateway() {
            return Err(AwsError::new(
                "InvalidParameter",
                "Connection notifications are not supported for services of type GatewayLoadBalancer",
            ));
        }
        Ok(service.id.clone())
    }

    fn notifying_endpoint(&mut self, caller: &Caller, id: &str) -> Result<VpcEndpointId, AwsError> {
        let endpoint = self.endpoint(caller, id)?.endpoint;
        if endpoint.kind != EndpointKind::Interface {
            return Err(AwsError::new(
                "InvalidParameter",
                "Connection notifications are supported only for endpoints of type Interface",
            ));
        }
        Ok(endpoint.id)
    }

    fn own_notification(&mut self, caller: &Caller, id: &str) -> Result<&Notification, AwsError> {
        let found = self.place(caller).notifications.get(id);
        found.ok_or_else(|| no_notification(id))
    }

    fn check_topic(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let refuse = |why: &str| {
            let shown: String = arn.chars().take(256).collect();
            AwsError::new(
                "InvalidParameter",
                format!("The connection notification ARN '{shown}' is not valid: {why}"),
            )
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return Err(refuse("it is not the ARN of an SNS topic"));
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if *partition != regions::partition(&caller.region)
            || account.parse::<AccountId>().is_err()
            || region.parse::<Region>().is_err()
            || !(1..=256).contains(&name.len())
            || !name.bytes().all(plain)
        {
            return Err(refuse("it is not the ARN of a standard SNS topic"));
        }
        if *region != caller.region.as_str() && !self.behavior.notification_topic_in_other_region {
            return Err(refuse("the topic is in another Region"));
        }
        if self.behavior.notification_topic_must_exist && !self.messaging.topics.contains_key(arn) {
            return Err(refuse("the topic does not exist"));
        }
        Ok(())
    }

    /// Checks events and puts them into another order than they came in: AWS's answers do not keep the order.
    fn shuffled(&self, id: &str, events: &[String]) -> Result<Vec<String>, AwsError> {
        if events.is_empty() {
            return Err(AwsError::missing("ConnectionEvents"));
        }
        if let Some(unknown) = events.iter().find(|e| !EVENTS.contains(&e.as_str())) {
            return Err(AwsError::bad_value("ConnectionEvents", unknown));
        }
        let mut shuffled = events.to_vec();
        shuffled.sort();
        shuffled.dedup();
        shuffled.sort_by_key(|event| self.ids.fixed_number(&["events", id, event]));
        if shuffled == events {
            shuffled.reverse();
        }
        Ok(shuffled)
    }
}

fn field(row: &Notification, name: &str) -> Vec<String> {
    match name {
        "connection-notification-arn" => vec![row.topic_arn.clone()],
        "connection-notification-id" => vec![row.id.clone()],
        "connection-notification-state" => vec!["Enabled".to_owned()],
        "connection-notification-type" => vec!["Topic".to_owned()],
        "service-id" => row.service_id.iter().map(ToString::to_string).collect(),
        "vpc-endpoint-id" => row.endpoint_id.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn no_notification(id: &str) -> AwsError {
    let shown: String = id.chars().take(64).collect();
    AwsError::new(
        "InvalidConnectionNotification",
        format!("The connection notification '{shown}' does not exist"),
    )
}

#[cfg(test)]
#[path = "notifications_tests.rs"]
mod tests;
