//! SQS on the wire: the actions on messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Request, md5, queue_name, read};
use crate::AwsError;
use crate::waiting::Look;
use crate::world::messaging::attributes::{
    self, AttributeValue, MessageAttribute, MessageAttributes,
};
use crate::world::messaging::queue::Received;
use crate::world::messaging::queues::{QueuedMessage, ReceiveRequest};
use crate::world::{Caller, World};

pub(super) fn send(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Send {
        queue_url: String,
        message_body: String,
        delay_seconds: Option<u64>,
        #[serde(default)]
        message_attributes: Written,
    }
    let send: Send = read(request)?;
    let at = queue_name(&send.queue_url)?;
    let message = queued(
        send.message_body,
        send.delay_seconds,
        send.message_attributes,
    )?;
    let id = world.send_message(me, &at, &message)?;
    Ok(answer(&id, &message))
}

/// Attributes as SQS writes them, by name.
pub(super) type Written = BTreeMap<String, WrittenAttribute>;

/// One attribute as SQS writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct WrittenAttribute {
    data_type: String,
    string_value: Option<String>,
    /// In base64.
    binary_value: Option<String>,
}

/// A message as the world takes it.
pub(super) fn queued(
    body: String,
    delay: Option<u64>,
    attributes: Written,
) -> Result<QueuedMessage, AwsError> {
    let mut read = MessageAttributes::new();
    for (name, written) in attributes {
        let value = match (written.string_value, written.binary_value) {
            (None, Some(bytes)) => AttributeValue::Binary(bytes),
            (Some(text), None) => AttributeValue::Text(text),
            _ => {
                return Err(AwsError::new(
                    "InvalidParameterValue",
                    format!("The message attribute '{name}' must contain one value."),
                ));
            }
        };
        let data_type = written.data_type;
        read.insert(name, MessageAttribute { data_type, value });
    }
    Ok(QueuedMessage {
        body,
        attributes: read,
        delay,
    })
}

/// What the sender hears: the id, and what SQS understood of the message.
pub(super) fn answer(id: &str, message: &QueuedMessage) -> Value {
    let mut answer = json!({"MessageId": id, "MD5OfMessageBody": md5(&message.body)});
    if !message.attributes.is_empty() {
        answer["MD5OfMessageAttributes"] = attributes::md5(&message.attributes).into();
    }
    answer
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Receive {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
    wait_time_seconds: Option<u64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    /// Names of the sender's own attributes; `All`, or the beginning of names with `.*` after it.
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

pub(super) fn receive(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Look<Value>, AwsError> {
    let receive: Receive = read(request)?;
    let at = queue_name(&receive.queue_url)?;
    let wanted = ReceiveRequest {
        max: receive.max_number_of_messages,
        visibility_timeout: receive.visibility_timeout,
        wait_time: receive.wait_time_seconds,
    };
    let names: BTreeSet<&str> = receive
        .attribute_names
        .iter()
        .chain(&receive.message_system_attribute_names)
        .map(String::as_str)
        .collect();
    check_names(&names)?;
    let found = world.receive_messages(me, &at, &wanted)?;
    if found.is_empty() {
        let set = world.queue(me, &at, "ReceiveMessage")?.settings.wait_time;
        return Ok(Look::Nothing {
            answer: json!({}),
            patience: Duration::from_secs(receive.wait_time_seconds.unwrap_or(set)),
            due: world.next_due(me, &at),
        });
    }
    let own = &receive.message_attribute_names;
    let messages: Vec<Value> = found.iter().map(|row| message(row, &names, own)).collect();
    Ok(Look::Found(json!({"Messages": messages})))
}

/// The names of what SQS itself says about a message; those of FIFO queues and of tracing have no value here.
const SYSTEM_NAMES: [&str; 10] = [
    "AWSTraceHeader",
    "All",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

fn check_names(names: &BTreeSet<&str>) -> Result<(), AwsError> {
    let known = |name: &&&str| SYSTEM_NAMES.contains(*name);
    match names.iter().find(|name| !known(name)) {
        Some(name) => Err(AwsError::new(
            "InvalidAttributeName",
            format!("Unknown Attribute {name}."),
        )),
        None => Ok(()),
    }
}

/// Whether a receiver asked for this attribute of the sender's.
fn asked(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| {
        let start = wanted.strip_suffix(".*");
        wanted == "All" || wanted == name || start.is_some_and(|start| name.starts_with(start))
    })
}

fn message(received: &Received, names: &BTreeSet<&str>, wanted: &[String]) -> Value {
    let Received {
        message,
        receipt_handle,
    } = received;
    let millis = |at: chrono::DateTime<chrono::Utc>| at.timestamp_millis().to_string();
    let first = message.first_received_at.unwrap_or(message.sent_at);
    let mut known = vec![
        ("ApproximateReceiveCount", message.received.to_string()),
        ("SentTimestamp", millis(message.sent_at)),
        ("SenderId", message.sender.clone()),
        ("ApproximateFirstReceiveTimestamp", millis(first)),
    ];
    let source = message.dead_letter_source.clone();
    known.extend(source.map(|arn| ("DeadLetterQueueSourceArn", arn)));
    let attributes: Map<String, Value> = known
        .into_iter()
        .filter(|(name, _)| names.contains(name) || names.contains("All"))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    let mut row = json!({
        "MessageId": message.id,
        "ReceiptHandle": receipt_handle,
        "MD5OfBody": md5(&message.body),
        "Body": message.body,
    });
    if !attributes.is_empty() {
        row["Attributes"] = attributes.into();
    }
    let mut own = message.attributes.clone();
    own.retain(|name, _| asked(wanted, name));
    if !own.is_empty() {
        row["MD5OfMessageAttributes"] = attributes::md5(&own).into();
        let shown: Map<String, Value> = own.into_iter().map(written).collect();
        row["MessageAttributes"] = shown.into();
    }
    row
}

fn written((name, attribute): (String, MessageAttribute)) -> (String, Value) {
    let shown = match attribute.value {
        AttributeValue::Text(text) => {
            json!({"DataType": attribute.data_type, "StringValue": text})
        }
        AttributeValue::Binary(bytes) => {
            json!({"DataType": attribute.data_type, "BinaryValue": bytes})
        }
    };
    (name, shown)
}

pub(super) fn delete(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Delete {
        queue_url: String,
        receipt_handle: String,
    }
    let delete: Delete = read(request)?;
    world.delete_message(me, &queue_name(&delete.queue_url)?, &delete.receipt_handle)?;
    Ok(json!({}))
}

pub(super) fn change_visibility(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Change {
        queue_url: String,
        receipt_handle: String,
        visibility_timeout: u64,
    }
    let change: Change = read(request)?;
    let at = queue_name(&change.queue_url)?;
    world.change_message_visibility(me, &at, &change.receipt_handle, change.visibility_timeout)?;
    Ok(json!({}))
}
