//! SNS on the wire: subscriptions, their confirmation and their attributes.

use super::super::params::Params;
use super::super::xml::Xml;
use super::{map, page, write_map};
use crate::AwsError;
use crate::world::messaging::subscriptions::Subscription;
use crate::world::{Caller, World};

pub(super) fn subscribe(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
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

pub(super) fn confirm(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let guard = p.flag("AuthenticateOnUnsubscribe")?.unwrap_or(false);
    let (topic, token) = (p.required("TopicArn")?, p.required("Token")?);
    p.finish()?;
    let arn = world.confirm_subscription(me, &topic, &token, guard)?;
    Ok(Xml::fragment(|xml| xml.leaf("SubscriptionArn", arn)))
}

pub(super) fn unsubscribe(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("SubscriptionArn")?;
    p.finish()?;
    world.unsubscribe(me, &arn)?;
    Ok(String::new())
}

pub(super) fn list(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let token = p.text("NextToken");
    p.finish()?;
    let rows = world.own_subscriptions(me);
    let listing = format!("ListSubscriptions {} {}", me.account, me.region);
    write_page(world, &listing, rows, token.as_deref())
}

pub(super) fn list_of_topic(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (topic, token) = (p.required("TopicArn")?, p.text("NextToken"));
    p.finish()?;
    let rows = world.topic_subscriptions(me, &topic)?;
    let listing = format!("ListSubscriptionsByTopic {topic}");
    write_page(world, &listing, rows, token.as_deref())
}

fn write_page(
    world: &World,
    listing: &str,
    rows: Vec<Subscription>,
    token: Option<&str>,
) -> Result<String, AwsError> {
    let limit = world.behavior.page_size_limit;
    let page = page(listing, token, limit, rows, |row| row.arn.as_str())?;
    Ok(Xml::fragment(|xml| {
        xml.members("Subscriptions", page.items, |xml, row: Subscription| {
            let shown = if row.confirmed() {
                row.arn.as_str()
            } else {
                "PendingConfirmation"
            };
            xml.leaf("SubscriptionArn", shown);
            xml.leaf("Owner", &row.owner);
            xml.leaf("Protocol", row.protocol.name());
            xml.leaf("Endpoint", &row.endpoint);
            xml.leaf("TopicArn", &row.topic_arn);
        });
        xml.optional("NextToken", page.next);
    }))
}

pub(super) fn attributes(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("SubscriptionArn")?;
    p.finish()?;
    Ok(write_map(world.subscription_attributes(me, &arn)?))
}

pub(super) fn set_attribute(
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
