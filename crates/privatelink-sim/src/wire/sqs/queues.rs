//! SQS on the wire: the actions on whole queues.

use privatelink::AccountId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Attributes, Request, queue_name, queue_url, read};
use crate::AwsError;
use crate::world::messaging::queue::Queue;
use crate::world::messaging::queues::QueueName;
use crate::world::select::Paging;
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
        /// Written with a small letter in the model, unlike everything else.
        #[serde(default, rename = "tags")]
        tags: Attributes,
    }
    let create: Create = read(request)?;
    let made = world.create_queue(me, &create.queue_name, &create.attributes)?;
    if !create.tags.is_empty() {
        world.change_queue_tags(me, &made, "CreateQueue", |tags| tags.extend(create.tags))?;
    }
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
    let rows = world.queues(me, &list.queue_name_prefix);
    let asked = Asked {
        listing: &format!(
            "ListQueues {} {} {}",
            me.account, me.region, list.queue_name_prefix
        ),
        max: list.max_results,
        token: list.next_token,
    };
    let (urls, next) = page(world, request, rows, asked)?;
    let mut answer = json!({"QueueUrls": urls});
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn list_dead_letter_sources(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct List {
        queue_url: String,
        max_results: Option<usize>,
        next_token: Option<String>,
    }
    let list: List = read(request)?;
    let target = queue_name(&list.queue_url)?;
    let rows = world.dead_letter_sources(me, &target)?;
    let asked = Asked {
        listing: &format!(
            "ListDeadLetterSourceQueues {} {} {}",
            target.account, me.region, target.name
        ),
        max: list.max_results,
        token: list.next_token,
    };
    let (urls, next) = page(world, request, rows, asked)?;
    // AWS writes this one with a small letter, unlike that of ListQueues.
    let mut answer = json!({"queueUrls": urls});
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

/// Which page of a listing of queues is asked for.
struct Asked<'a> {
    /// What a token is good for.
    listing: &'a str,
    max: Option<usize>,
    token: Option<String>,
}

/// One page of queues, by name. Only who asks for a page hears that there is another.
fn page(
    world: &World,
    request: &Request<'_>,
    rows: Vec<&Queue>,
    asked: Asked<'_>,
) -> Result<(Vec<String>, Option<String>), AwsError> {
    let invalid = |value: &str, name: &str| {
        let shown: String = value.chars().take(128).collect();
        AwsError::new(
            "InvalidParameterValue",
            format!("Value {shown} for parameter {name} is invalid."),
        )
    };
    let max = asked.max.unwrap_or(MAX_LISTED);
    if !(1..=MAX_LISTED).contains(&max) {
        return Err(invalid(&max.to_string(), "MaxResults"));
    }
    let paging = Paging {
        max: Some(max),
        token: asked.token,
        ..Paging::default()
    };
    let after = paging.after(asked.listing).map_err(|_| {
        let token = paging.token.as_deref().unwrap_or_default();
        invalid(token, "NextToken")
    })?;
    let rest = rows
        .into_iter()
        .filter(|queue| after.as_ref().is_none_or(|after| queue.name > *after))
        .map(|queue| (queue.name.as_str(), queue));
    let page = paging.take(asked.listing, world.behavior.page_size_limit, rest);
    let urls = page.items.iter().map(|q| queue_url(request.base, &name(q)));
    Ok((urls.collect(), page.next.filter(|_| asked.max.is_some())))
}

pub(super) fn tags(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    let of: OneQueue = read(request)?;
    let queue = world.queue(me, &queue_name(&of.queue_url)?, "ListQueueTags")?;
    if queue.tags.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({"Tags": queue.tags}))
}

pub(super) fn tag(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Tag {
        queue_url: String,
        tags: Attributes,
    }
    let tag: Tag = read(request)?;
    let at = queue_name(&tag.queue_url)?;
    world.change_queue_tags(me, &at, "TagQueue", |tags| tags.extend(tag.tags))?;
    Ok(json!({}))
}

pub(super) fn untag(
    world: &mut World,
    me: &Caller,
    request: &Request<'_>,
) -> Result<Value, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Untag {
        queue_url: String,
        tag_keys: Vec<String>,
    }
    let untag: Untag = read(request)?;
    let at = queue_name(&untag.queue_url)?;
    world.change_queue_tags(me, &at, "UntagQueue", |tags| {
        tags.retain(|key, _| !untag.tag_keys.contains(key));
    })?;
    Ok(json!({}))
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
