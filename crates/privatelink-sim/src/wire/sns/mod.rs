//! SNS on the wire: the Query protocol, lists as `.member.N`, maps as `.entry.N.key` and `.value`.

mod publishing;
mod subscriptions;
mod topics;

use std::collections::BTreeMap;
use std::fmt::Display;

use super::params::Params;
use super::unknown_action;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::world::messaging::topics::invalid;
use crate::world::select::{Listed, Paging};
use crate::world::{Caller, World};

/// Rows on a page; SNS lets nobody choose.
const PAGE: usize = 100;

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("ConfirmSubscription", subscriptions::confirm),
    ("CreateTopic", topics::create),
    ("DeleteTopic", topics::delete),
    ("GetSubscriptionAttributes", subscriptions::attributes),
    ("GetTopicAttributes", topics::attributes),
    ("ListSubscriptions", subscriptions::list),
    ("ListSubscriptionsByTopic", subscriptions::list_of_topic),
    ("ListTagsForResource", topics::tags),
    ("ListTopics", topics::list),
    ("Publish", publishing::publish),
    ("PublishBatch", publishing::publish_batch),
    ("SetSubscriptionAttributes", subscriptions::set_attribute),
    ("SetTopicAttributes", topics::set_attribute),
    ("Subscribe", subscriptions::subscribe),
    ("TagResource", topics::tag),
    ("Unsubscribe", subscriptions::unsubscribe),
    ("UntagResource", topics::untag),
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
        None => Err(unknown_action(Api::Sns, action)),
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

/// One page of rows that are in the order of their keys. A token is good for the listing that gave it out.
fn page<T>(
    listing: &str,
    token: Option<&str>,
    limit: Option<usize>,
    rows: Vec<T>,
    key: impl Fn(&T) -> &str,
) -> Result<Listed<T>, AwsError> {
    let paging = Paging {
        max: Some(PAGE),
        token: token.map(str::to_owned),
        ..Paging::default()
    };
    let after = paging.after(listing).map_err(|_| invalid("NextToken"))?;
    let rest = rows
        .into_iter()
        .filter(|row| after.as_deref().is_none_or(|after| key(row) > after))
        .map(|row| (key(&row).to_owned(), row));
    Ok(paging.take(listing, limit, rest))
}
