//! Connection notifications on the wire. `ConnectionEvents` is one of the three lists with a plural name.

use super::{write_return, write_unsuccessful};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::notifications::{NewNotification, Notification};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let new = NewNotification {
        service_id: p.text("ServiceId"),
        endpoint_id: p.text("VpcEndpointId"),
        topic_arn: p.required("ConnectionNotificationArn")?,
        events: p.list("ConnectionEvents")?,
    };
    let token = p.text("ClientToken");
    p.finish_ec2()?;
    let made = world.create_notification(me, &new, token.as_deref())?;
    Ok(Xml::fragment(|xml| {
        xml.node("connectionNotification", |xml| write(xml, me, &made));
        xml.optional("clientToken", token);
    }))
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("ConnectionNotificationId")?;
    let topic = p.text("ConnectionNotificationArn");
    let events = p.list("ConnectionEvents")?;
    p.finish_ec2()?;
    world.modify_notification(me, &id, topic.as_deref(), &events)?;
    Ok(write_return())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    // One id, not a list.
    let id = p.text("ConnectionNotificationId");
    let (filters, paging) = (p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.notifications(me, id.as_deref(), &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("connectionNotificationSet", &page.items, |xml, row| {
            write(xml, me, row);
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let ids = p.list("ConnectionNotificationId")?;
    p.finish_ec2()?;
    Ok(write_unsuccessful(&world.delete_notifications(me, &ids)?))
}

fn write(xml: &mut Xml, me: &Caller, row: &Notification) {
    xml.leaf("connectionNotificationId", &row.id);
    xml.optional("serviceId", row.service_id.as_ref());
    xml.optional("vpcEndpointId", row.endpoint_id.as_ref());
    xml.leaf("connectionNotificationType", "Topic");
    xml.leaf("connectionNotificationArn", &row.topic_arn);
    xml.texts("connectionEvents", &row.events);
    xml.leaf("connectionNotificationState", "Enabled");
    xml.leaf("serviceRegion", &me.region);
}
