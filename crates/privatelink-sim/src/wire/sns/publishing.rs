//! SNS on the wire: publishing, one message or ten.

use std::collections::BTreeSet;

use super::super::params::Params;
use super::super::xml::Xml;
use crate::AwsError;
use crate::world::messaging::attributes::{AttributeValue, MessageAttribute, MessageAttributes};
use crate::world::messaging::publish::{LONGEST, NewMessage};
use crate::world::{Caller, World};

/// The most entries in one batch.
const MAX_BATCH: usize = 10;

pub(super) fn publish(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["PhoneNumber"])?;
    let target = p.text("TargetArn");
    let topic = p.text("TopicArn").or(target);
    let topic = topic.ok_or_else(|| AwsError::missing("TopicArn"))?;
    let message = message(p)?;
    p.finish()?;
    let id = world.publish(me, &topic, &message)?;
    Ok(Xml::fragment(|xml| xml.leaf("MessageId", id)))
}

pub(super) fn publish_batch(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let topic = p.required("TopicArn")?;
    let mut entries = Vec::new();
    for entry in p.member_structures("PublishBatchRequestEntries")? {
        entries.push((entry.required("Id")?, message(&entry)?));
        entry.finish()?;
    }
    p.finish()?;
    world.topic(me, &topic, "Publish")?;
    let refuse = |code: &str, why: &str| Err(AwsError::new(code, why));
    if entries.is_empty() {
        return refuse(
            "EmptyBatchRequest",
            "The batch request doesn't contain any entries.",
        );
    }
    if entries.len() > MAX_BATCH {
        let why = "The batch request contains more entries than permissible.";
        return refuse("TooManyEntriesInBatchRequest", why);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if entries
        .iter()
        .any(|(id, _)| id.len() > 80 || !id.chars().all(plain))
    {
        let why = "The Id of a batch entry in a batch request doesn't abide by the specification.";
        return refuse("InvalidBatchEntryId", why);
    }
    if entries
        .iter()
        .map(|(id, _)| id)
        .collect::<BTreeSet<_>>()
        .len()
        < entries.len()
    {
        let why = "Two or more batch entries in the request have the same Id.";
        return refuse("BatchEntryIdsNotDistinct", why);
    }
    if entries.iter().map(|(_, new)| new.size()).sum::<usize>() > LONGEST {
        let why = "The length of all the batch messages put together is more than the limit.";
        return refuse("BatchRequestTooLong", why);
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (id, new) in entries {
        match world.publish(me, &topic, &new) {
            Ok(message_id) => done.push((id, message_id)),
            Err(error) => failed.push((id, error)),
        }
    }
    Ok(Xml::fragment(|xml| {
        xml.members("Successful", done, |xml, (id, message_id)| {
            xml.leaf("Id", id);
            xml.leaf("MessageId", message_id);
        });
        xml.members("Failed", failed, |xml, (id, error)| {
            xml.leaf("Id", id);
            xml.leaf("Code", error.code);
            xml.leaf("Message", error.message);
            xml.leaf("SenderFault", error.status < 500);
        });
    }))
}

fn message(p: &Params<'_>) -> Result<NewMessage, AwsError> {
    p.not_modelled(&["MessageDeduplicationId", "MessageGroupId"])?;
    let per_protocol = match p.text("MessageStructure").as_deref() {
        None => false,
        Some("json") => true,
        Some(other) => return Err(AwsError::bad_value("MessageStructure", other)),
    };
    Ok(NewMessage {
        subject: p.text("Subject"),
        message: p.raw("Message").unwrap_or_default(),
        per_protocol,
        attributes: attributes(p)?,
    })
}

/// `MessageAttributes.entry.1.Name`, `.Value.DataType`, `.Value.StringValue` or `.Value.BinaryValue`.
fn attributes(p: &Params<'_>) -> Result<MessageAttributes, AwsError> {
    let Some(inside) = p.inside("MessageAttributes") else {
        return Ok(MessageAttributes::new());
    };
    let entries = inside.structures("entry")?;
    inside.finish()?;
    let mut all = MessageAttributes::new();
    for entry in entries {
        let name = entry.required("Name")?;
        let value = entry
            .inside("Value")
            .ok_or_else(|| AwsError::missing("Value"))?;
        entry.finish()?;
        let data_type = value.required("DataType")?;
        let said = match (value.raw("StringValue"), value.raw("BinaryValue")) {
            (_, Some(bytes)) if data_type == "Binary" => AttributeValue::Binary(bytes),
            (text, _) => AttributeValue::Text(text.unwrap_or_default()),
        };
        value.finish()?;
        let attribute = MessageAttribute {
            data_type,
            value: said,
        };
        all.insert(name, attribute);
    }
    Ok(all)
}
