//! One queue and its messages: visibility, receipt handles, the way to the dead-letter queue.
//!
//! Messages are kept in the order of the time they may next be seen, so that a receive looks at what it gives out and at
//! nothing else, however many messages are in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use super::attributes::MessageAttributes;
use crate::AwsError;
use crate::world::later;

/// What is set on a queue; times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSettings {
    /// How long a received message stays hidden, 0 to 43,200.
    pub visibility_timeout: u64,
    /// How long a receive waits when it does not say, 0 to 20.
    pub wait_time: u64,
    /// How long a new message stays hidden, 0 to 900.
    pub delay: u64,
    /// The longest message in bytes, 1,024 to 1,048,576.
    pub maximum_message_size: usize,
    /// How long a message is kept, 60 to 1,209,600.
    pub retention: u64,
    /// Who may send, receive and so on besides the owner.
    pub policy: Option<String>,
    /// Where messages go that nobody deletes.
    pub redrive: Option<Redrive>,
}

impl Default for QueueSettings {
    /// SQS's own defaults.
    fn default() -> Self {
        Self {
            visibility_timeout: 30,
            wait_time: 0,
            delay: 0,
            maximum_message_size: 1_048_576,
            retention: 345_600,
            policy: None,
            redrive: None,
        }
    }
}

/// A redrive policy, with SQS's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redrive {
    /// The dead-letter queue.
    pub dead_letter_target_arn: String,
    /// A message that was received this often moves there instead of being received again.
    pub max_receive_count: u32,
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message id.
    pub id: String,
    /// The text.
    pub body: String,
    /// What the sender says besides.
    #[serde(default)]
    pub attributes: MessageAttributes,
    /// The account that sent it, or the service.
    pub sender: String,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// When it may be received (again).
    pub visible_at: DateTime<Utc>,
    /// How often it was received.
    pub received: u32,
    /// When it was received first.
    pub first_received_at: Option<DateTime<Utc>>,
    /// The queue it was moved here from.
    pub dead_letter_source: Option<String>,
}

/// A message as one receive gives it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message, with its count and times as of this receive.
    pub message: Message,
    /// What deletes it.
    pub receipt_handle: String,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// To be received now.
    pub visible: usize,
    /// Received and not deleted.
    pub in_flight: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

/// A queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queue {
    /// Its name, unique in an account and Region.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// What is set on it.
    pub settings: QueueSettings,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last set.
    pub modified_at: DateTime<Utc>,
    /// The tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    pub(crate) purged_at: Option<DateTime<Utc>>,
    next: u64,
    messages: BTreeMap<u64, Message>,
    order: BTreeSet<(DateTime<Utc>, u64)>,
}

impl Queue {
    pub(crate) fn new(
        name: String,
        arn: String,
        (account, region): (AccountId, Region),
        settings: QueueSettings,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            name,
            arn,
            account,
            region,
            settings,
            created_at: now,
            modified_at: now,
            tags: BTreeMap::new(),
            purged_at: None,
            next: 0,
            messages: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    pub(crate) fn put(&mut self, message: Message) {
        self.next += 1;
        self.order.insert((message.visible_at, self.next));
        self.messages.insert(self.next, message);
    }

    /// Up to `max` messages that are visible now. Those received too often are in the second list, and no more in the queue.
    pub(crate) fn take(
        &mut self,
        now: DateTime<Utc>,
        max: usize,
        visibility: u64,
        dead_letters: bool,
    ) -> (Vec<Received>, Vec<Message>) {
        self.forget_old(now);
        let limit = self.settings.redrive.as_ref().filter(|_| dead_letters);
        let limit = limit.map(|redrive| redrive.max_receive_count);
        let (mut given, mut dead) = (Vec::new(), Vec::new());
        let hidden_until = later(now, visibility.saturating_mul(1_000));
        let mut after = None;
        let mut seen = BTreeSet::new();
        // With a visibility timeout of zero a message that was given out is due again at once, but not in this receive.
        while given.len() < max
            && let Some(entry) = self.next_entry(after, now)
        {
            after = Some(entry);
            let (_, number) = entry;
            if !seen.insert(number) {
                continue;
            }
            let spent = |message: &Message| limit.is_some_and(|limit| message.received >= limit);
            if self.messages.get(&number).is_some_and(spent) {
                dead.extend(self.remove(number));
                continue;
            }
            self.move_to(number, hidden_until);
            if let Some(message) = self.messages.get_mut(&number) {
                message.received += 1;
                message.first_received_at.get_or_insert(now);
                given.push(Received {
                    receipt_handle: handle(message, number),
                    message: message.clone(),
                });
            }
        }
        (given, dead)
    }

    /// Deletes a message. One that is gone, or was received again since, is left alone without a word, as SQS does.
    pub(crate) fn delete(&mut self, receipt_handle: &str) -> Result<(), AwsError> {
        if let Some(number) = self.find(receipt_handle)? {
            self.remove(number);
        }
        Ok(())
    }

    /// Sets how long a received message stays hidden from now on.
    pub(crate) fn hide(
        &mut self,
        receipt_handle: &str,
        seconds: u64,
        now: DateTime<Utc>,
    ) -> Result<(), AwsError> {
        let number = self.find(receipt_handle)?.ok_or_else(|| {
            AwsError::new(
                "InvalidParameterValue",
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
                 visibility timeout change.",
            )
        })?;
        let hidden = self
            .messages
            .get(&number)
            .is_some_and(|m| m.visible_at > now);
        if !hidden {
            return Err(AwsError::new(
                "MessageNotInflight",
                "The message is not in flight: its visibility timeout is over.",
            ));
        }
        self.move_to(number, later(now, seconds.saturating_mul(1_000)));
        Ok(())
    }

    pub(crate) fn purge(&mut self) {
        self.messages.clear();
        self.order.clear();
    }

    /// How many messages are visible, in flight and delayed.
    pub fn counts(&self, now: DateTime<Utc>) -> Counts {
        let mut counts = Counts {
            visible: 0,
            in_flight: 0,
            delayed: 0,
        };
        for message in self.messages.values().filter(|m| !self.too_old(m, now)) {
            match (message.visible_at <= now, message.received) {
                (true, _) => counts.visible += 1,
                (false, 0) => counts.delayed += 1,
                (false, _) => counts.in_flight += 1,
            }
        }
        counts
    }

    /// Whether so many messages are received and not deleted.
    pub(crate) fn full(&self, now: DateTime<Utc>, limit: usize) -> bool {
        // Most queues hold fewer messages than may be in flight, and need not be counted.
        self.messages.len() >= limit && self.counts(now).in_flight >= limit
    }

    /// When the next message that is hidden now becomes visible.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.order.first().map(|(at, _)| *at)
    }

    fn next_entry(
        &self,
        after: Option<(DateTime<Utc>, u64)>,
        now: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, u64)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let first = self.order.range((from, Bound::Unbounded)).next().copied();
        first.filter(|(visible_at, _)| *visible_at <= now)
    }

    fn move_to(&mut self, number: u64, visible_at: DateTime<Utc>) {
        if let Some(message) = self.messages.get_mut(&number) {
            self.order.remove(&(message.visible_at, number));
            message.visible_at = visible_at;
            self.order.insert((visible_at, number));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Message> {
        let message = self.messages.remove(&number)?;
        self.order.remove(&(message.visible_at, number));
        Some(message)
    }

    fn too_old(&self, message: &Message, now: DateTime<Utc>) -> bool {
        later(
            message.sent_at,
            self.settings.retention.saturating_mul(1_000),
        ) <= now
    }

    /// Messages come in the order of their numbers, so the old ones are in front.
    fn forget_old(&mut self, now: DateTime<Utc>) {
        while let Some((number, message)) = self.messages.first_key_value() {
            if !self.too_old(message, now) {
                break;
            }
            let number = *number;
            self.remove(number);
        }
    }

    /// The number of the message that a handle was last given out for.
    fn find(&self, receipt_handle: &str) -> Result<Option<u64>, AwsError> {
        let wrong = || {
            AwsError::new(
                "ReceiptHandleIsInvalid",
                "The input receipt handle is invalid.",
            )
        };
        let mut parts = receipt_handle
            .strip_prefix(HANDLE)
            .ok_or_else(wrong)?
            .split('/');
        let (number, _id, _received) = (parts.next(), parts.next(), parts.next());
        let number = number
            .and_then(|n| n.parse::<u64>().ok())
            .ok_or_else(wrong)?;
        Ok(self
            .messages
            .get(&number)
            .filter(|message| handle(message, number) == receipt_handle)
            .map(|_| number))
    }
}

/// What receipt handles begin with.
const HANDLE: &str = "AQEB";

fn handle(message: &Message, number: u64) -> String {
    let id: String = message.id.chars().filter(char::is_ascii_hexdigit).collect();
    format!("{HANDLE}{number}/{id}/{}", message.received)
}
