//! SNS on the wire: the Query protocol, lists as `.member.N`, maps as `.entry.N.key` and `.value`.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::params::Params;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::world::messaging::subscriptions::Subscription;
use crate::world::{Caller, World};

/// Rows on a page; SNS lets nobody choose.
const PAGE: usize = 100;

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("ConfirmSubscription", confirm),
    ("CreateTopic", create_topic),
    ("DeleteTopic", delete_topic),
    ("GetSubscriptionAttributes", subscription_attributes),
    ("GetTopicAttributes", topic_attributes),
    ("ListSubscriptionsByTopic", list_subscriptions),
    ("ListTopics", list_topics),
    ("Publish", publish),
    ("SetSubscriptionAttributes", set_subscription_attribute),
    ("SetTopicAttributes", set_topic_attribute),
    ("Subscribe", subscribe),
    ("Unsubscribe", unsubscribe),
];

/// The names of all of them.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

pub(super) fn answer(
    action: &str,
    world: &mut World,
    me: &Caller,
    params: &Params<'_>,
) -> Result<String, AwsError> {
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(world, me, params).map_err(in_snss_words),
        None => Err(super::unknown_action(Api::Sns, action)),
    }
}

/// SNS says `InvalidParameter` where EC2 has several codes.
fn in_snss_words(error: AwsError) -> AwsError {
    match error.code.as_str() {
        "MissingParameter" | "InvalidParameterValue" | "UnknownParameter" => AwsError::new(
            "InvalidParameter",
            format!("Invalid parameter: {}", error.message),
        ),
        _ => error,
    }
}

fn create_topic(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["Tags", "DataProtectionPolicy"])?;
    let (name, attributes) = (p.required("Name")?, map(p, "Attributes")?);
    p.finish()?;
    let arn = world.create_topic(me, &name, &attributes)?;
    Ok(Xml::fragment(|xml| xml.leaf("TopicArn", arn)))
}

fn topic_attributes(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("TopicArn")?;
    p.finish()?;
    Ok(write_map(world.topic_attributes(me, &arn)?))
}

fn set_topic_attribute(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, name) = (p.required("TopicArn")?, p.required("AttributeName")?);
    let value = p.raw("AttributeValue").unwrap_or_default();
    p.finish()?;
    world.set_topic_attribute(me, &arn, &name, &value)?;
    Ok(String::new())
}

fn list_topics(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let token = p.text("NextToken");
    p.finish()?;
    let limit = world.behavior.page_size_limit;
    let (page, next) = page(world.topics(me), limit, token.as_deref(), String::as_str);
    Ok(Xml::fragment(|xml| {
        xml.members("Topics", page, |xml, arn| xml.leaf("TopicArn", arn));
        xml.optional("NextToken", next);
    }))
}

fn delete_topic(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("TopicArn")?;
    p.finish()?;
    world.delete_topic(me, &arn)?;
    Ok(String::new())
}

fn subscribe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (topic, protocol) = (p.required("TopicArn")?, p.required("Protocol")?);
    let endpoint = p.required("Endpoint")?;
    let attributes = map(p, "Attributes")?;
    let full = p.flag("ReturnSubscriptionArn")?.unwrap_or(false);
    p.finish()?;
    let made = world.subscribe(me, &topic, (&protocol, &endpoint), &attributes)?;
    let shown = if made.confirmed() || full {
        made.arn.as_str()
    } else {
        "pending confirmation"
    };
    Ok(Xml::fragment(|xml| xml.leaf("SubscriptionArn", shown)))
}

fn confirm(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    // With it only the owner may unsubscribe, and so it is here in any case.
    p.ignore(&["AuthenticateOnUnsubscribe"]);
    let (topic, token) = (p.required("TopicArn")?, p.required("Token")?);
    p.finish()?;
    let arn = world.confirm_subscription(me, &topic, &token)?;
    Ok(Xml::fragment(|xml| xml.leaf("SubscriptionArn", arn)))
}

fn unsubscribe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("SubscriptionArn")?;
    p.finish()?;
    world.unsubscribe(me, &arn)?;
    Ok(String::new())
}

fn list_subscriptions(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (topic, token) = (p.required("TopicArn")?, p.text("NextToken"));
    p.finish()?;
    let limit = world.behavior.page_size_limit;
    let rows = world.topic_subscriptions(me, &topic)?;
    let (page, next) = page(rows, limit, token.as_deref(), |row| row.arn.as_str());
    Ok(Xml::fragment(|xml| {
        xml.members("Subscriptions", page, |xml, row: Subscription| {
            let shown = if row.confirmed() {
                row.arn.as_str()
            } else {
                "PendingConfirmation"
            };
            xml.leaf("SubscriptionArn", shown);
            xml.leaf("Owner", &row.owner);
            xml.leaf("Protocol", "sqs");
            xml.leaf("Endpoint", &row.endpoint);
            xml.leaf("TopicArn", &row.topic_arn);
        });
        xml.optional("NextToken", next);
    }))
}

fn subscription_attributes(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("SubscriptionArn")?;
    p.finish()?;
    Ok(write_map(world.subscription(me, &arn)?.attributes()))
}

fn set_subscription_attribute(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, name) = (p.required("SubscriptionArn")?, p.required("AttributeName")?);
    let value = p.raw("AttributeValue").unwrap_or_default();
    p.finish()?;
    world.set_subscription_attribute(me, &arn, &name, &value)?;
    Ok(String::new())
}

fn publish(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&[
        "TargetArn",
        "PhoneNumber",
        "MessageStructure",
        "MessageAttributes",
        "MessageDeduplicationId",
        "MessageGroupId",
    ])?;
    let (topic, subject) = (p.required("TopicArn")?, p.text("Subject"));
    let message = p.raw("Message").unwrap_or_default();
    p.finish()?;
    let id = world.publish(me, &topic, subject.as_deref(), &message)?;
    Ok(Xml::fragment(|xml| xml.leaf("MessageId", id)))
}

/// `Name.entry.1.key`, `Name.entry.1.value`, …
fn map(p: &Params<'_>, name: &str) -> Result<BTreeMap<String, String>, AwsError> {
    let Some(inside) = p.inside(name) else {
        return Ok(BTreeMap::new());
    };
    let entries = inside.structures("entry")?;
    inside.finish()?;
    entries
        .iter()
        .map(|entry| {
            let pair = (
                entry.required("key")?,
                entry.raw("value").unwrap_or_default(),
            );
            entry.finish()?;
            Ok(pair)
        })
        .collect()
}

fn write_map<K: Display, V: Display>(map: BTreeMap<K, V>) -> String {
    Xml::fragment(|xml| {
        xml.node("Attributes", |xml| {
            for (key, value) in map {
                xml.node("entry", |xml| {
                    xml.leaf("key", key);
                    xml.leaf("value", value);
                });
            }
        });
    })
}

/// One page of rows that are in the order of their keys. A token is the key of the last row that was given out.
fn page<T>(
    mut rows: Vec<T>,
    limit: Option<usize>,
    after: Option<&str>,
    key: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<String>) {
    let size = limit.unwrap_or(PAGE).clamp(1, PAGE);
    if let Some(after) = after {
        rows.retain(|row| key(row) > after);
    }
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|row| key(row).to_owned());
    (rows, next)
}
