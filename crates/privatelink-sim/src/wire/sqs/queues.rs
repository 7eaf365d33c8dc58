//! SQS on the wire: the actions on whole queues.

use privatelink::AccountId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Attributes, Request, queue_name, queue_url, read};
use crate::AwsError;
use crate::world::messaging::queue::Queue;
use crate::world::messaging::queues::QueueName;
use crate::world::{Caller, World};

/// The most queues on a page, and on the only page when the caller does not ask for pages.
const MAX_LISTED: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OneQueue {
    queue_url: String,
}

pub(super) fn create(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Create {
        queue_name: String,
        #[serde(default)]
        attributes: Attributes,
    }
    let create: Create = read(request)?;
    let made = world.create_queue(me, &create.queue_name, &create.attributes)?;
    Ok(json!({"QueueUrl": queue_url(request.base, &made)}))
}

pub(super) fn url(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct GetUrl {
        #[serde(rename = "QueueName")]
        name: String,
        #[serde(rename = "QueueOwnerAWSAccountId")]
        owner: Option<AccountId>,
    }
    let get: GetUrl = read(request)?;
    let at = QueueName {
        account: get.owner.unwrap_or_else(|| me.account.clone()),
        name: get.name,
    };
    world.queue(me, &at, "GetQueueUrl")?;
    Ok(json!({"QueueUrl": queue_url(request.base, &at)}))
}

pub(super) fn list(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct List {
        #[serde(default)]
        queue_name_prefix: String,
        max_results: Option<usize>,
        next_token: Option<String>,
    }
    let list: List = read(request)?;
    let max = list.max_results.unwrap_or(MAX_LISTED);
    if !(1..=MAX_LISTED).contains(&max) {
        return Err(AwsError::new(
            "InvalidParameterValue",
            format!("Value {max} for parameter MaxResults is invalid."),
        ));
    }
    let max = max
        .min(world.behavior.page_size_limit.unwrap_or(max))
        .max(1);
    // A token is the name of the last queue that was given out.
    let after = list.next_token.unwrap_or_default();
    let mut rest = world.queues(me, &list.queue_name_prefix);
    rest.retain(|queue| queue.name > after);
    let more = rest.len() > max && list.max_results.is_some();
    rest.truncate(max);
    let urls: Vec<String> = rest
        .iter()
        .map(|q| queue_url(request.base, &name(q)))
        .collect();
    let mut answer = json!({"QueueUrls": urls});
    if more && let Some(last) = rest.last() {
        answer["NextToken"] = last.name.clone().into();
    }
    Ok(answer)
}

pub(super) fn attributes(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Get {
        queue_url: String,
        #[serde(default)]
        attribute_names: Vec<String>,
    }
    let get: Get = read(request)?;
    let queue = world.queue(me, &queue_name(&get.queue_url)?, "GetQueueAttributes")?;
    let all = every_attribute(queue, me)?;
    let wants = |name: &str| {
        get.attribute_names
            .iter()
            .any(|want| want == name || want == "All")
    };
    if let Some(unknown) = get
        .attribute_names
        .iter()
        .find(|name| !KNOWN.contains(&name.as_str()))
    {
        return Err(AwsError::new(
            "InvalidAttributeName",
            format!("Unknown Attribute {unknown}."),
        ));
    }
    let chosen: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| wants(name))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    if chosen.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({"Attributes": chosen}))
}

const KNOWN: [&str; 14] = [
    "All",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "DelaySeconds",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
];

fn every_attribute(queue: &Queue, me: &Caller) -> Result<Vec<(&'static str, String)>, AwsError> {
    let (set, counts) = (&queue.settings, queue.counts(me.now));
    let mut all = vec![
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        (
            "ApproximateNumberOfMessagesDelayed",
            counts.delayed.to_string(),
        ),
        (
            "ApproximateNumberOfMessagesNotVisible",
            counts.in_flight.to_string(),
        ),
        ("CreatedTimestamp", queue.created_at.timestamp().to_string()),
        ("DelaySeconds", set.delay.to_string()),
        (
            "LastModifiedTimestamp",
            queue.modified_at.timestamp().to_string(),
        ),
        ("MaximumMessageSize", set.maximum_message_size.to_string()),
        ("MessageRetentionPeriod", set.retention.to_string()),
        ("QueueArn", queue.arn.clone()),
        ("ReceiveMessageWaitTimeSeconds", set.wait_time.to_string()),
        ("VisibilityTimeout", set.visibility_timeout.to_string()),
    ];
    all.extend(set.policy.clone().map(|policy| ("Policy", policy)));
    if let Some(redrive) = &set.redrive {
        let text = serde_json::to_string(redrive)
            .map_err(|error| AwsError::with_status(500, "InternalFailure", error.to_string()))?;
        all.push(("RedrivePolicy", text));
    }
    Ok(all)
}

pub(super) fn set_attributes(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Set {
        queue_url: String,
        attributes: Attributes,
    }
    let set: Set = read(request)?;
    world.set_queue_attributes(me, &queue_name(&set.queue_url)?, &set.attributes)?;
    Ok(json!({}))
}

pub(super) fn purge(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    let purge: OneQueue = read(request)?;
    world.purge_queue(me, &queue_name(&purge.queue_url)?)?;
    Ok(json!({}))
}

pub(super) fn delete(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    let delete: OneQueue = read(request)?;
    world.delete_queue(me, &queue_name(&delete.queue_url)?)?;
    Ok(json!({}))
}

fn name(queue: &Queue) -> QueueName {
    QueueName {
        account: queue.account.clone(),
        name: queue.name.clone(),
    }
}
