//! SNS on the wire: topics, their attributes and tags.

use super::super::params::{Params, tag_list};
use super::super::xml::Xml;
use super::{map, page, write_map};
use crate::AwsError;
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["DataProtectionPolicy"])?;
    let (name, attributes) = (p.required("Name")?, map(p, "Attributes")?);
    let tags = tag_list(&p.member_structures("Tags")?)?;
    p.finish()?;
    let arn = world.create_topic(me, &name, &attributes, &tags)?;
    Ok(Xml::fragment(|xml| xml.leaf("TopicArn", arn)))
}

pub(super) fn attributes(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let arn = p.required("TopicArn")?;
    p.finish()?;
    Ok(write_map(world.topic_attributes(me, &arn)?))
}

pub(super) fn set_attribute(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (arn, name) = (p.required("TopicArn")?, p.required("AttributeName")?);
    let value = p.raw("AttributeValue").unwrap_or_default();
    p.finish()?;
    world.set_topic_attribute(me, &arn, &name, &value)?;
    Ok(String::new())
}

pub(super) fn list(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let token = p.text("NextToken");
    p.finish()?;
    let limit = world.behavior.page_size_limit;
    let rows = world.topics(me);
    let listing = format!("ListTopics {} {}", me.account, me.region);
    let page = page(&listing, token.as_deref(), limit, rows, String::as_str)?;
    Ok(Xml::fragment(|xml| {
        xml.members("Topics", page.items, |xml, arn| xml.leaf("TopicArn", arn));
        xml.optional("NextToken", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("TopicArn")?;
    p.finish()?;
    world.delete_topic(me, &arn)?;
    Ok(String::new())
}

pub(super) fn tags(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("ResourceArn")?;
    p.finish()?;
    let tags = world.topic_tags(me, &arn)?.clone();
    Ok(Xml::fragment(|xml| {
        xml.members("Tags", tags, |xml, (key, value)| {
            xml.leaf("Key", key);
            xml.leaf("Value", value);
        });
    }))
}

pub(super) fn tag(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("ResourceArn")?;
    let tags = tag_list(&p.member_structures("Tags")?)?;
    p.finish()?;
    world.tag_topic(me, &arn, &tags)?;
    Ok(String::new())
}

pub(super) fn untag(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, keys) = (p.required("ResourceArn")?, p.members("TagKeys")?);
    p.finish()?;
    let tags = world.topic_tags(me, &arn)?;
    tags.retain(|key, _| !keys.contains(key));
    Ok(String::new())
}
