//! SQS on the wire: up to ten entries in one request, each of which may fail alone.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::messages::{Written, answer, queued};
use super::{Request, queue_name, read};
use crate::AwsError;
use crate::world::messaging::queues::QueueName;
use crate::world::{Caller, World};

/// The most entries in one batch.
const MAX_BATCH: usize = 10;

/// The most bytes in the messages of one batch.
const MAX_BATCH_BYTES: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(
    rename_all = "PascalCase",
    deny_unknown_fields,
    bound = "E: DeserializeOwned"
)]
struct Batch<E> {
    queue_url: String,
    entries: Vec<E>,
}

pub(super) fn send(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Entry {
        id: String,
        message_body: String,
        delay_seconds: Option<u64>,
        #[serde(default)]
        message_attributes: Written,
    }
    let batch: Batch<Entry> = read(request)?;
    let at = queue_name(&batch.queue_url)?;
    check_batch(batch.entries.iter().map(|entry| entry.id.as_str()))?;
    world.queue(me, &at, "SendMessage")?;
    let all: usize = batch.entries.iter().map(|e| e.message_body.len()).sum();
    if all > MAX_BATCH_BYTES {
        return Err(AwsError::new(
            "BatchRequestTooLong",
            format!("Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes."),
        ));
    }
    Ok(each(batch.entries, |entry: Entry| {
        let message = queued(
            entry.message_body,
            entry.delay_seconds,
            entry.message_attributes,
        );
        let sent = message.and_then(|message| {
            let id = world.send_message(me, &at, &message)?;
            Ok(answer(&id, &message))
        });
        (entry.id, sent)
    }))
}

pub(super) fn delete(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Entry {
        id: String,
        receipt_handle: String,
    }
    let batch: Batch<Entry> = read(request)?;
    let at: QueueName = queue_name(&batch.queue_url)?;
    check_batch(batch.entries.iter().map(|entry| entry.id.as_str()))?;
    world.queue(me, &at, "DeleteMessage")?;
    Ok(each(batch.entries, |entry| {
        let deleted = match me.forced_failure(&entry.id) {
            Some(error) => Err(error),
            None => world.delete_message(me, &at, &entry.receipt_handle),
        };
        (entry.id, deleted.map(|()| json!({})))
    }))
}

pub(super) fn change_visibility(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Entry {
        id: String,
        receipt_handle: String,
        #[serde(default)]
        visibility_timeout: u64,
    }
    let batch: Batch<Entry> = read(request)?;
    let at = queue_name(&batch.queue_url)?;
    check_batch(batch.entries.iter().map(|entry| entry.id.as_str()))?;
    world.queue(me, &at, "ChangeMessageVisibility")?;
    Ok(each(batch.entries, |entry: Entry| {
        let (handle, seconds) = (&entry.receipt_handle, entry.visibility_timeout);
        let changed = world.change_message_visibility(me, &at, handle, seconds);
        (entry.id, changed.map(|()| json!({})))
    }))
}

/// Does each entry; what is answered to one gets its id.
fn each<E>(entries: Vec<E>, mut act: impl FnMut(E) -> (String, Result<Value, AwsError>)) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match act(entry) {
            (id, Ok(mut answer)) => {
                answer["Id"] = id.into();
                successful.push(answer);
            }
            (id, Err(error)) => failed.push(json!({
                "Id": id,
                "Code": error.code,
                "Message": error.message,
                "SenderFault": error.status < 500,
            })),
        }
    }
    json!({"Successful": successful, "Failed": failed})
}

fn check_batch<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), AwsError> {
    let ids: Vec<&str> = ids.collect();
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
