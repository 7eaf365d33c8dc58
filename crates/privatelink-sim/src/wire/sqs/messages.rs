//! SQS on the wire: the actions on messages.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Request, md5, queue_name, read};
use crate::AwsError;
use crate::waiting::Look;
use crate::world::messaging::queue::Received;
use crate::world::messaging::queues::ReceiveRequest;
use crate::world::{Caller, World};

/// The most entries in one batch.
const MAX_BATCH: usize = 10;

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
    }
    let send: Send = read(request)?;
    let at = queue_name(&send.queue_url)?;
    let id = world.send_message(me, &at, &send.message_body, send.delay_seconds)?;
    Ok(json!({"MessageId": id, "MD5OfMessageBody": md5(&send.message_body)}))
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
    /// Names of the sender's own attributes, of which the simulator's messages have none.
    #[serde(default, rename = "MessageAttributeNames")]
    _message_attribute_names: Vec<String>,
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
    let found = world.receive_messages(me, &at, &wanted)?;
    if found.is_empty() {
        let set = world.queue(me, &at, "ReceiveMessage")?.settings.wait_time;
        return Ok(Look::Nothing {
            answer: json!({}),
            patience: Duration::from_secs(receive.wait_time_seconds.unwrap_or(set)),
            due: world.next_due(me, &at),
        });
    }
    let names: BTreeSet<&str> = receive
        .attribute_names
        .iter()
        .chain(&receive.message_system_attribute_names)
        .map(String::as_str)
        .collect();
    let messages: Vec<Value> = found.iter().map(|row| message(row, &names)).collect();
    Ok(Look::Found(json!({"Messages": messages})))
}

fn message(received: &Received, names: &BTreeSet<&str>) -> Value {
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
    row
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

pub(super) fn delete_batch(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct DeleteBatch {
        queue_url: String,
        entries: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Entry {
        id: String,
        receipt_handle: String,
    }
    let batch: DeleteBatch = read(request)?;
    let at = queue_name(&batch.queue_url)?;
    world.queue(me, &at, "DeleteMessage")?;
    let ids: Vec<&str> = batch
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    check_batch(&ids)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in &batch.entries {
        match world.delete_message(me, &at, &entry.receipt_handle) {
            Ok(()) => successful.push(json!({"Id": entry.id})),
            Err(error) => failed.push(json!({
                "Id": entry.id,
                "Code": error.code,
                "Message": error.message,
                "SenderFault": error.status < 500,
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn check_batch(ids: &[&str]) -> Result<(), AwsError> {
    let refuse = |code: &str, message: &str| Err(AwsError::new(code, message));
    if ids.is_empty() {
        return refuse(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        );
    }
    if ids.len() > MAX_BATCH {
        return refuse(
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        );
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if ids
        .iter()
        .any(|id| id.is_empty() || id.len() > 80 || !id.chars().all(plain))
    {
        return refuse(
            "InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
        );
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return refuse("BatchEntryIdsNotDistinct", "Two entries have the same id.");
    }
    Ok(())
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
