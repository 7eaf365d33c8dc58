//! SQS: the actions on queues and their messages.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::Value;

use super::attributes::{self, MessageAttributes};
use super::policy::{self, Asker, Context};
use super::queue::{Message, Queue, QueueSettings, Received, Redrive};
use super::{arn, own_arn, uuid};
use crate::AwsError;
use crate::world::{Caller, World, later};

/// Milliseconds that a deleted queue's name rests, and that a purge lasts.
const REST_MS: u64 = 60_000;

/// Where a queue is: SQS names them by URL, and the end of the URL says this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueName {
    /// Whose queue.
    pub account: AccountId,
    /// Its name.
    pub name: String,
}

/// The most tags of a queue.
const MAX_TAGS: usize = 50;

/// The most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;

/// What somebody sends to a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The text.
    pub body: String,
    /// What is said besides.
    pub attributes: MessageAttributes,
    /// Seconds that it stays hidden; as the queue is set when it is missing.
    pub delay: Option<u64>,
}

/// How a receive is meant; what it leaves open is as the queue is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// 1 to 10.
    pub max: Option<usize>,
    /// Seconds that the messages stay hidden, 0 to 43,200.
    pub visibility_timeout: Option<u64>,
    /// Seconds that the receive may wait, 0 to 20.
    pub wait_time: Option<u64>,
}

impl World {
    /// Makes a queue. The same name with attributes that are equal answers with the queue there is.
    pub fn create_queue(
        &mut self,
        me: &Caller,
        name: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<QueueName, AwsError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.strip_suffix(".fifo").is_some() || attributes.contains_key("FifoQueue") {
            return Err(AwsError::not_modelled("A FIFO queue"));
        }
        if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
            return Err(invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        let arn = own_arn("sqs", me, name);
        let address = QueueName {
            account: me.account.clone(),
            name: name.to_owned(),
        };
        if let Some(queue) = self.messaging.queues.get(&arn) {
            let wanted = self.queue_settings(me, queue.settings.clone(), attributes)?;
            if wanted == queue.settings {
                return Ok(address);
            }
            return Err(AwsError::new(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for an attribute",
            ));
        }
        let deleted = self.messaging.deleted_queues.get(&arn);
        if deleted.is_some_and(|at| later(*at, REST_MS) > me.now) {
            return Err(AwsError::new(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        let settings = self.queue_settings(me, QueueSettings::default(), attributes)?;
        let place = (me.account.clone(), me.region.clone());
        let queue = Queue::new(name.to_owned(), arn.clone(), place, settings, me.now);
        self.messaging.deleted_queues.remove(&arn);
        self.messaging.queues.insert(arn, queue);
        Ok(address)
    }

    /// The caller's queues in this Region whose names begin so, by name.
    pub fn queues(&self, me: &Caller, prefix: &str) -> Vec<&Queue> {
        self.messaging
            .queues
            .values()
            .filter(|queue| queue.account == me.account && queue.region == me.region)
            .filter(|queue| queue.name.starts_with(prefix))
            .collect()
    }

    /// A queue that the caller may do this action on: its own, or one whose policy says so.
    pub fn queue(&self, me: &Caller, at: &QueueName, action: &str) -> Result<&Queue, AwsError> {
        let arn = arn("sqs", &me.region, &at.account, &at.name);
        let none = || {
            AwsError::new(
                "QueueDoesNotExist",
                "The specified queue does not exist for this wsdl version.",
            )
        };
        let queue = self.messaging.queues.get(&arn).ok_or_else(none)?;
        if queue.account == me.account {
            return Ok(queue);
        }
        let action = format!("sqs:{action}");
        let context = Context::default();
        let policy = queue.settings.policy.as_deref();
        if policy.is_some_and(|p| policy::allows(p, Asker::Caller(me), &action, &arn, context)) {
            return Ok(queue);
        }
        Err(AwsError::with_status(
            403,
            "AccessDenied",
            format!("Access to the resource {} is denied.", at.name),
        ))
    }

    fn queue_mut(
        &mut self,
        me: &Caller,
        at: &QueueName,
        action: &str,
    ) -> Result<&mut Queue, AwsError> {
        let arn = self.queue(me, at, action)?.arn.clone();
        let gone = || AwsError::new("QueueDoesNotExist", "The specified queue does not exist.");
        self.messaging.queues.get_mut(&arn).ok_or_else(gone)
    }

    /// The caller's queues whose dead-letter queue this is, by name.
    pub fn dead_letter_sources(
        &self,
        me: &Caller,
        at: &QueueName,
    ) -> Result<Vec<&Queue>, AwsError> {
        let target = &self.queue(me, at, "ListDeadLetterSourceQueues")?.arn;
        let buries = |queue: &&Queue| {
            let redrive = queue.settings.redrive.as_ref();
            redrive.is_some_and(|redrive| redrive.dead_letter_target_arn == *target)
        };
        Ok(self.queues(me, "").into_iter().filter(buries).collect())
    }

    /// The tags of a queue, to be read or changed. At most 50.
    pub fn change_queue_tags(
        &mut self,
        me: &Caller,
        at: &QueueName,
        action: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), AwsError> {
        let queue = self.queue_mut(me, at, action)?;
        let mut tags = queue.tags.clone();
        change(&mut tags);
        let wrong = |(key, value): (&String, &String)| {
            key.is_empty()
                || key.chars().count() > 128
                || value.chars().count() > 256
                || key.starts_with("aws:")
        };
        if tags.len() > MAX_TAGS || tags.iter().any(wrong) {
            return Err(invalid(
                "A queue has at most 50 tags, with keys of 1 to 128 characters and values of at most 256.",
            ));
        }
        queue.tags = tags;
        Ok(())
    }

    /// Changes attributes.
    pub fn set_queue_attributes(
        &mut self,
        me: &Caller,
        at: &QueueName,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let queue = self.queue(me, at, "SetQueueAttributes")?;
        let settings = self.queue_settings(me, queue.settings.clone(), attributes)?;
        let queue = self.queue_mut(me, at, "SetQueueAttributes")?;
        queue.settings = settings;
        queue.modified_at = me.now;
        Ok(())
    }

    /// Deletes a queue with its messages; its name rests for a minute.
    pub fn delete_queue(&mut self, me: &Caller, at: &QueueName) -> Result<(), AwsError> {
        let arn = self.queue(me, at, "DeleteQueue")?.arn.clone();
        self.messaging.queues.remove(&arn);
        self.messaging.deleted_queues.insert(arn, me.now);
        Ok(())
    }

    /// Deletes all messages. Once in a minute.
    pub fn purge_queue(&mut self, me: &Caller, at: &QueueName) -> Result<(), AwsError> {
        let queue = self.queue_mut(me, at, "PurgeQueue")?;
        if queue
            .purged_at
            .is_some_and(|then| later(then, REST_MS) > me.now)
        {
            return Err(AwsError::with_status(
                403,
                "PurgeQueueInProgress",
                "Only one PurgeQueue operation is allowed every 60 seconds.",
            ));
        }
        queue.purge();
        queue.purged_at = Some(me.now);
        Ok(())
    }

    /// Sends a message; answers with its id.
    pub fn send_message(
        &mut self,
        me: &Caller,
        at: &QueueName,
        new: &QueuedMessage,
    ) -> Result<String, AwsError> {
        let id = uuid(&mut self.ids);
        let queue = self.queue_mut(me, at, "SendMessage")?;
        let QueuedMessage {
            body,
            attributes,
            delay,
        } = new;
        let extra = attributes::size(attributes);
        check_body(body, extra, queue.settings.maximum_message_size)?;
        attributes::check(attributes).map_err(|why| invalid(&why))?;
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(invalid(
                "Number of message attributes exceeds the allowed maximum [10].",
            ));
        }
        let delay = match delay {
            Some(seconds) => within("DelaySeconds", *seconds, 0, 900)?,
            None => queue.settings.delay,
        };
        queue.put(Message {
            id: id.clone(),
            body: body.clone(),
            attributes: attributes.clone(),
            sender: me.account.to_string(),
            sent_at: me.now,
            visible_at: later(me.now, delay * 1_000),
            received: 0,
            first_received_at: None,
            dead_letter_source: None,
        });
        Ok(id)
    }

    /// Receives what is visible now. The waiting is done by whoever calls.
    pub fn receive_messages(
        &mut self,
        me: &Caller,
        at: &QueueName,
        request: &ReceiveRequest,
    ) -> Result<Vec<Received>, AwsError> {
        let limit = self.behavior.in_flight_limit;
        let queue = self.queue_mut(me, at, "ReceiveMessage")?;
        let max = match request.max {
            Some(max @ 1..=10) => max,
            None => 1,
            Some(max) => {
                return Err(invalid(&format!(
                    "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
                )));
            }
        };
        let visibility = request
            .visibility_timeout
            .unwrap_or(queue.settings.visibility_timeout);
        within("VisibilityTimeout", visibility, 0, 43_200)?;
        within("WaitTimeSeconds", request.wait_time.unwrap_or(0), 0, 20)?;
        if queue.full(me.now, limit) {
            return Err(AwsError::with_status(
                403,
                "OverLimit",
                format!("Too many messages are in flight: {limit} at most."),
            ));
        }
        let source = queue.arn.clone();
        let redrive = queue.settings.redrive.clone();
        let target = redrive.map(|redrive| redrive.dead_letter_target_arn);
        // Without its dead-letter queue a queue goes on giving its messages out.
        let target = target.filter(|arn| self.messaging.queues.contains_key(arn));
        let queue = self.queue_mut(me, at, "ReceiveMessage")?;
        let (given, dead) = queue.take(me.now, max, visibility, target.is_some());
        self.messaging.moved |= !dead.is_empty();
        if let Some(target) = target.and_then(|arn| self.messaging.queues.get_mut(&arn)) {
            for message in dead {
                target.put(Message {
                    visible_at: me.now,
                    dead_letter_source: Some(source.clone()),
                    ..message
                });
            }
        }
        Ok(given)
    }

    /// When the next message of a queue that is hidden now becomes visible.
    pub(crate) fn next_due(&self, me: &Caller, at: &QueueName) -> Option<DateTime<Utc>> {
        self.queue(me, at, "ReceiveMessage").ok()?.next_due()
    }

    /// Deletes the message that a receipt handle was given out for.
    pub fn delete_message(
        &mut self,
        me: &Caller,
        at: &QueueName,
        receipt_handle: &str,
    ) -> Result<(), AwsError> {
        self.queue_mut(me, at, "DeleteMessage")?
            .delete(receipt_handle)
    }

    /// Sets how many seconds a received message stays hidden from now on, 0 to 43,200.
    pub fn change_message_visibility(
        &mut self,
        me: &Caller,
        at: &QueueName,
        receipt_handle: &str,
        seconds: u64,
    ) -> Result<(), AwsError> {
        within("VisibilityTimeout", seconds, 0, 43_200)?;
        self.queue_mut(me, at, "ChangeMessageVisibility")?
            .hide(receipt_handle, seconds, me.now)
    }

    /// The settings with these attributes changed; `InvalidAttributeName` and `InvalidAttributeValue`.
    fn queue_settings(
        &self,
        me: &Caller,
        mut settings: QueueSettings,
        attributes: &BTreeMap<String, String>,
    ) -> Result<QueueSettings, AwsError> {
        for (name, value) in attributes {
            let number = |smallest, largest| {
                value
                    .parse::<u64>()
                    .ok()
                    .filter(|number| (smallest..=largest).contains(number))
                    .ok_or_else(|| bad_attribute(name))
            };
            match name.as_str() {
                "VisibilityTimeout" => settings.visibility_timeout = number(0, 43_200)?,
                "ReceiveMessageWaitTimeSeconds" => settings.wait_time = number(0, 20)?,
                "DelaySeconds" => settings.delay = number(0, 900)?,
                "MessageRetentionPeriod" => settings.retention = number(60, 1_209_600)?,
                "MaximumMessageSize" => {
                    settings.maximum_message_size = usize::try_from(number(1_024, 1_048_576)?)
                        .map_err(|_| bad_attribute(name))?;
                }
                "Policy" if value.is_empty() => settings.policy = None,
                "Policy" => {
                    policy::check(value)
                        .map_err(|error| AwsError::new("InvalidAttributeValue", error.message))?;
                    settings.policy = Some(value.clone());
                }
                "RedrivePolicy" if value.is_empty() => settings.redrive = None,
                "RedrivePolicy" => settings.redrive = Some(self.redrive(me, value)?),
                other => {
                    return Err(AwsError::new(
                        "InvalidAttributeName",
                        format!(
                            "The attribute {other} is unknown or not modelled by the simulator."
                        ),
                    ));
                }
            }
        }
        Ok(settings)
    }

    fn redrive(&self, me: &Caller, text: &str) -> Result<Redrive, AwsError> {
        let bad = |why: &str| {
            invalid(&format!(
                "Value {text} for parameter RedrivePolicy is invalid. Reason: {why}"
            ))
        };
        let policy: Value = serde_json::from_str(text).map_err(|_| bad("It is not JSON."))?;
        let target = policy.get("deadLetterTargetArn").and_then(Value::as_str);
        let target = target.ok_or_else(|| bad("It has no deadLetterTargetArn."))?;
        let count = match policy.get("maxReceiveCount") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_u64(),
            None => None,
        };
        let max_receive_count = count
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| (1..=1_000).contains(count))
            .ok_or_else(|| bad("maxReceiveCount must be 1 to 1000."))?;
        let found = self.messaging.queues.get(target);
        if !found.is_some_and(|q| q.account == me.account && q.region == me.region) {
            return Err(bad("Dead letter target does not exist."));
        }
        Ok(Redrive {
            dead_letter_target_arn: target.to_owned(),
            max_receive_count,
        })
    }
}

fn check_body(body: &str, extra: usize, longest: usize) -> Result<(), AwsError> {
    if body.is_empty() {
        return Err(AwsError::new(
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    if body.len() + extra > longest {
        return Err(invalid(&format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {longest} bytes."
        )));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(allowed) {
        return Err(AwsError::new(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.",
        ));
    }
    Ok(())
}

fn within(name: &str, value: u64, smallest: u64, largest: u64) -> Result<u64, AwsError> {
    if (smallest..=largest).contains(&value) {
        return Ok(value);
    }
    Err(invalid(&format!(
        "Value {value} for parameter {name} is invalid. Reason: Must be >= {smallest} and <= {largest}, if provided."
    )))
}

fn bad_attribute(name: &str) -> AwsError {
    AwsError::new(
        "InvalidAttributeValue",
        format!("Invalid value for the parameter {name}."),
    )
}

fn invalid(message: &str) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}
