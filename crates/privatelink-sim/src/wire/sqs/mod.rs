//! SQS on the wire: AWS JSON 1.0. The action is in a header, requests and answers are JSON objects.

mod batches;
mod messages;
pub(crate) mod query;
mod queues;

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::AwsError;
use crate::api::Api;
use crate::waiting::Look;
use crate::world::messaging::queues::QueueName;
use crate::world::{Caller, World};

/// What the `X-Amz-Target` header begins with.
pub(crate) const TARGET: &str = "AmazonSQS.";

type Action = fn(&mut World, &Caller, &Request<'_>) -> Result<Value, AwsError>;

/// Every action that is simulated, but `ReceiveMessage`, which may wait.
const ACTIONS: &[(&str, Action)] = &[
    ("ChangeMessageVisibility", messages::change_visibility),
    ("ChangeMessageVisibilityBatch", batches::change_visibility),
    ("CreateQueue", queues::create),
    ("DeleteMessage", messages::delete),
    ("DeleteMessageBatch", batches::delete),
    ("DeleteQueue", queues::delete),
    ("GetQueueAttributes", queues::attributes),
    ("GetQueueUrl", queues::url),
    (
        "ListDeadLetterSourceQueues",
        queues::list_dead_letter_sources,
    ),
    ("ListQueueTags", queues::tags),
    ("ListQueues", queues::list),
    ("PurgeQueue", queues::purge),
    ("SendMessage", messages::send),
    ("SendMessageBatch", batches::send),
    ("SetQueueAttributes", queues::set_attributes),
    ("TagQueue", queues::tag),
    ("UntagQueue", queues::untag),
];

/// The names of all of them.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    let others = ACTIONS.iter().map(|(name, _)| *name);
    others.chain(["ReceiveMessage"])
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The JSON object.
    pub(crate) body: &'a Value,
    /// Where the client reaches the simulator, for the URLs of queues: scheme, host and port.
    pub(crate) base: &'a str,
}

/// Does one look of an action.
pub(crate) fn answer(
    action: &str,
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Look<Value>, AwsError> {
    if action == "ReceiveMessage" {
        return messages::receive(world, me, request);
    }
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(world, me, request).map(Look::Found),
        None => Err(super::unknown_action(Api::Sqs, action)),
    }
}

/// The error's name in the body: SQS's own errors are in its model, all others are in that of AWS JSON.
pub(crate) fn error_type(code: &str) -> String {
    if MODELLED.iter().any(|(shape, _)| *shape == code) {
        format!("com.amazonaws.sqs#{code}")
    } else {
        format!("com.amazon.coral.service#{code}")
    }
}

/// The `x-amzn-query-error` header: the code that SQS's Query protocol had, which SDKs still show.
pub(crate) fn query_error(error: &AwsError) -> String {
    let code = MODELLED.iter().find(|(shape, _)| *shape == error.code);
    let code = code.map_or(error.code.as_str(), |(_, old)| *old);
    let side = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    format!("{code};{side}")
}

const MODELLED: &[(&str, &str)] = &[
    (
        "BatchEntryIdsNotDistinct",
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    ),
    (
        "BatchRequestTooLong",
        "AWS.SimpleQueueService.BatchRequestTooLong",
    ),
    (
        "EmptyBatchRequest",
        "AWS.SimpleQueueService.EmptyBatchRequest",
    ),
    ("InvalidAttributeName", "InvalidAttributeName"),
    ("InvalidAttributeValue", "InvalidAttributeValue"),
    (
        "InvalidBatchEntryId",
        "AWS.SimpleQueueService.InvalidBatchEntryId",
    ),
    ("InvalidMessageContents", "InvalidMessageContents"),
    (
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    ),
    ("OverLimit", "OverLimit"),
    (
        "PurgeQueueInProgress",
        "AWS.SimpleQueueService.PurgeQueueInProgress",
    ),
    (
        "QueueDeletedRecently",
        "AWS.SimpleQueueService.QueueDeletedRecently",
    ),
    (
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    ),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("RequestThrottled", "RequestThrottled"),
    (
        "TooManyEntriesInBatchRequest",
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    ),
    (
        "UnsupportedOperation",
        "AWS.SimpleQueueService.UnsupportedOperation",
    ),
];

/// Reads a request's members; one that is unknown or not modelled is refused by name.
fn read<T: DeserializeOwned>(request: &Request<'_>) -> Result<T, AwsError> {
    T::deserialize(request.body).map_err(|error| {
        let mut message = error.to_string();
        message.truncate(message.floor_char_boundary(256));
        if message.starts_with("missing field") {
            AwsError::new("MissingParameter", message)
        } else {
            AwsError::new(
                "SerializationException",
                format!("Malformed, or not modelled by the simulator: {message}"),
            )
        }
    })
}

/// The queue that a URL names: its last two parts. The rest is how the client reaches the simulator.
pub(crate) fn queue_name(url: &str) -> Result<QueueName, AwsError> {
    let mut parts = url.rsplit('/');
    let name = parts.next().filter(|name| !name.is_empty());
    let account = parts.next().and_then(|account| account.parse().ok());
    match (name, account) {
        (Some(name), Some(account)) => Ok(QueueName {
            account,
            name: name.to_owned(),
        }),
        _ => Err(AwsError::with_status(
            404,
            "InvalidAddress",
            "The address is not valid for this endpoint.",
        )),
    }
}

pub(crate) fn queue_url(base: &str, at: &QueueName) -> String {
    format!("{base}/{}/{}", at.account, at.name)
}

/// The MD5 of a text in hexadecimal digits, which SDKs compare with their own.
fn md5(text: &str) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

type Attributes = BTreeMap<String, String>;
