//! SNS topics and SQS queues: the road that connection notifications travel.
//!
//! A notification is published to its topic when the topic's policy lets PrivateLink in, and the topic hands it to every
//! queue whose policy lets the topic in. What a policy refuses is lost, as in AWS: nobody is told.

pub mod attributes;
pub mod deliveries;
mod filter;
pub mod notices;
pub mod policy;
pub mod publish;
pub mod queue;
pub mod queues;
pub mod retries;
mod rsa_sha1;
pub mod signature;
pub mod subscriptions;
pub mod topics;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use super::ids::IdSource;
use super::notifications::ConnectionEvent;
use super::{Caller, World, regions};
use deliveries::Deliveries;
use queue::Queue;
use subscriptions::Subscription;
use topics::Topic;

/// All topics, subscriptions and queues, by ARN.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Messaging {
    pub(crate) queues: BTreeMap<String, Queue>,
    /// When queues were deleted: their names rest for a minute.
    pub(crate) deleted_queues: BTreeMap<String, DateTime<Utc>>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// HTTP(S) subscriptions that are over and can be brought back with the token they were sent.
    #[serde(default)]
    pub(crate) ended: Vec<Subscription>,
    /// What is to be posted to HTTP(S) endpoints.
    #[serde(default)]
    pub(crate) deliveries: Deliveries,
    /// Certificates, in PEM, that HTTPS endpoints may be vouched for by besides the machine's own.
    #[serde(default)]
    pub(crate) trusted_roots: Vec<String>,
    /// Connection notifications that wait until another one of their topic was published, because a fault says so.
    #[serde(default)]
    pub(crate) held: BTreeMap<String, Vec<ConnectionEvent>>,
    /// Whether a receive has moved messages to another queue since somebody asked.
    #[serde(skip)]
    pub(crate) moved: bool,
}

impl World {
    /// Whether messages were moved to dead-letter queues since this was asked last.
    pub(crate) fn dead_letters_moved(&mut self) -> bool {
        std::mem::take(&mut self.messaging.moved)
    }
}

/// An ARN in the caller's account and Region.
pub(crate) fn own_arn(service: &str, me: &Caller, name: &str) -> String {
    arn(service, &me.region, &me.account, name)
}

/// The ARN of a queue or topic.
pub(crate) fn arn(service: &str, region: &Region, account: &AccountId, name: &str) -> String {
    let partition = regions::partition(region);
    format!("arn:{partition}:{service}:{region}:{account}:{name}")
}

/// The next id in the form of a UUID, as messages have.
pub(crate) fn uuid(ids: &mut IdSource) -> String {
    let (a, b) = (ids.next_hex16(), ids.next_hex16());
    let part = |text: &str, from: usize, to: usize| text.get(from..to).unwrap_or("").to_owned();
    format!(
        "{}-{}-4{}-a{}-{}",
        part(&a, 0, 8),
        part(&a, 8, 12),
        part(&a, 13, 16),
        part(&b, 1, 4),
        part(&b, 4, 16)
    )
}

#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod topic_tests;
