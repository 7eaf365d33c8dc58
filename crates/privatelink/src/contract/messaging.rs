//! Checks about topics, queues, subscriptions and connection notifications, and the road from a consumer's request to the queue.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::messaging::all_connection_events;
use crate::{
    ConnectionNotification, GatewayError, NewConnectionNotification, ServiceId, Subscription,
    TopicAttribute,
};

use super::steps::{
    During, a_service, an_open_service, ensure, ensure_complete, ensure_fails, fresh_token,
};
use super::{CheckResult, ContractFault, ContractWorld};

/// Whoever makes a topic that is there is told which one it is.
pub(super) async fn a_topic_made_twice_is_one_topic(world: &dyn ContractWorld) -> CheckResult {
    let (messaging, name) = (world.messaging(), fresh_token());
    let one = messaging.create_topic(&name).await.during("making it")?;
    let two = messaging.create_topic(&name).await.during("repeating")?;
    ensure!(one == two, "one name gave {one} and {two}");
    let owner = format!(":{}:{name}", world.provider());
    ensure!(one.ends_with(&owner), "{one} should end with {owner}");
    Ok(())
}

/// What is set is what is read, and the one leaves the other alone.
pub(super) async fn the_attributes_of_a_topic_read_back(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    let arn = messaging
        .create_topic(&fresh_token())
        .await
        .during("making it")?;
    let policy = open_to("vpce.amazonaws.com", "SNS:Publish", &arn);
    for attribute in [
        TopicAttribute::Policy(&policy),
        TopicAttribute::SignatureVersion("2"),
    ] {
        messaging
            .set_topic_attribute(&arn, attribute)
            .await
            .during("setting")?;
    }
    let topic = messaging.topic(&arn).await.during("reading")?;
    ensure!(
        topic.policy.as_deref() == Some(policy.as_str()),
        "another policy: {topic:?}"
    );
    ensure!(
        topic.signature_version.as_deref() == Some("2"),
        "another version: {topic:?}"
    );
    Ok(())
}

/// Nothing can be read of a topic that is not there.
pub(super) async fn an_unknown_topic_is_not_found(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    let arn = messaging
        .create_topic(&fresh_token())
        .await
        .during("making another")?;
    let nobodys = format!("{arn}-not");
    ensure_fails(
        messaging.topic(&nobodys).await,
        "not_found",
        "reading an unknown topic",
    )?;
    Ok(())
}

/// A queue's whole life, as far as it is needed.
pub(super) async fn a_queue_is_made_found_and_given_a_policy(
    world: &dyn ContractWorld,
) -> CheckResult {
    let (messaging, name) = (world.messaging(), fresh_token());
    let url = messaging.create_queue(&name).await.during("making it")?;
    let again = messaging.create_queue(&name).await.during("repeating")?;
    let found = messaging.queue_url(&name).await.during("finding it")?;
    ensure!(
        url == again && url == found,
        "one queue has the URLs {url}, {again} and {found}"
    );
    let queue = messaging.queue(&url).await.during("reading")?;
    ensure!(
        queue.policy.is_none(),
        "a new queue should have no policy: {queue:?}"
    );
    let policy = open_to("sns.amazonaws.com", "sqs:SendMessage", &queue.arn);
    messaging
        .set_queue_policy(&url, &policy)
        .await
        .during("setting the policy")?;
    let queue = messaging.queue(&url).await.during("reading again")?;
    ensure!(
        queue.policy.as_deref() == Some(policy.as_str()),
        "another policy: {queue:?}"
    );
    Ok(())
}

/// Neither by its name nor by its URL.
pub(super) async fn an_unknown_queue_is_not_found(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    ensure_fails(
        messaging.queue_url(&fresh_token()).await,
        "not_found",
        "finding an unknown queue",
    )?;
    let url = messaging
        .create_queue(&fresh_token())
        .await
        .during("making another")?;
    let nobodys = format!("{url}-not");
    ensure_fails(
        messaging.queue(&nobodys).await,
        "not_found",
        "reading an unknown queue",
    )?;
    ensure_fails(
        messaging.receive(&nobodys, Duration::ZERO).await,
        "not_found",
        "receiving from an unknown queue",
    )?;
    Ok(())
}

/// Messages must not come twice because the set-up ran twice.
pub(super) async fn a_queue_subscribed_twice_is_one_subscription(
    world: &dyn ContractWorld,
) -> CheckResult {
    let messaging = world.messaging();
    let road = a_road(world).await?;
    messaging
        .subscribe_queue(&road.topic, &road.queue_arn)
        .await
        .during("subscribing again")?;
    let mut all: Vec<Subscription> = Vec::new();
    let mut from = None;
    loop {
        let page = messaging
            .subscriptions(&road.topic, from.as_ref())
            .await
            .during("listing subscriptions")?;
        all.extend(page.items);
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    ensure!(all.len() == 1, "one subscription, not {all:?}");
    ensure!(
        all.iter()
            .all(|s| s.protocol == "sqs" && s.endpoint == road.queue_arn && s.arn.is_some()),
        "not the queue's, or not confirmed: {all:?}"
    );
    Ok(())
}

/// What was asked for, by the listing too.
pub(super) async fn a_notification_reads_back_as_asked(world: &dyn ContractWorld) -> CheckResult {
    let service = a_service(world).await?.service_id;
    let topic = a_topic(world).await?;
    let made = world
        .messaging()
        .create_connection_notification(&new_notification(&service, &topic))
        .await
        .during("making it")?;
    ensure!(
        made.service_id.as_ref() == Some(&service)
            && made.endpoint_id.is_none()
            && made.topic_arn == topic
            && made.events == all_connection_events()
            && made.enabled,
        "not what was asked for: {made:?}"
    );
    let read = notification(world, &made.id).await?;
    ensure!(read.as_ref() == Some(&made), "{made:?} reads as {read:?}");
    Ok(())
}

/// The answer to the first may have been lost.
pub(super) async fn creating_a_notification_twice_with_one_token_makes_one(
    world: &dyn ContractWorld,
) -> CheckResult {
    let messaging = world.messaging();
    let service = a_service(world).await?.service_id;
    let new = new_notification(&service, &a_topic(world).await?);
    let one = messaging
        .create_connection_notification(&new)
        .await
        .during("making it")?;
    let two = messaging
        .create_connection_notification(&new)
        .await
        .during("repeating")?;
    ensure!(one.id == two.id, "one token made {one:?} and {two:?}");
    let (all, _) = notifications(world).await?;
    let of_service = all
        .iter()
        .filter(|row| row.service_id.as_ref() == Some(&service));
    ensure!(of_service.count() == 1, "there should be one: {all:?}");
    Ok(())
}

/// Topic and events are replaced as a whole.
pub(super) async fn a_changed_notification_reads_back(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    let service = a_service(world).await?.service_id;
    let made = messaging
        .create_connection_notification(&new_notification(&service, &a_topic(world).await?))
        .await
        .during("making it")?;
    let other = a_topic(world).await?;
    let events = BTreeSet::from(["Connect".to_owned(), "Delete".to_owned()]);
    messaging
        .modify_connection_notification(&made.id, &other, &events)
        .await
        .during("changing it")?;
    let read = notification(world, &made.id).await?;
    ensure!(
        read.as_ref()
            .is_some_and(|row| row.topic_arn == other && row.events == events),
        "not as changed: {read:?}"
    );
    Ok(())
}

/// Gone is gone, and AWS says so.
pub(super) async fn a_deleted_notification_is_gone_and_deleting_it_again_is_a_refusal_inside_success(
    world: &dyn ContractWorld,
) -> CheckResult {
    let messaging = world.messaging();
    let service = a_service(world).await?.service_id;
    let made = messaging
        .create_connection_notification(&new_notification(&service, &a_topic(world).await?))
        .await
        .during("making it")?;
    let first = messaging
        .delete_connection_notification(&made.id)
        .await
        .during("deleting")?;
    ensure!(first.is_none(), "it should be deleted: {first:?}");
    let read = notification(world, &made.id).await?;
    ensure!(read.is_none(), "it should be gone: {read:?}");
    let second = messaging
        .delete_connection_notification(&made.id)
        .await
        .during("deleting again")?;
    ensure!(second.is_some(), "the second deletion should be refused");
    Ok(())
}

/// Repeating it would not help.
pub(super) async fn a_notification_to_no_topic_is_invalid(
    world: &dyn ContractWorld,
) -> CheckResult {
    let service = a_service(world).await?.service_id;
    let attempt = world
        .messaging()
        .create_connection_notification(&new_notification(&service, "arn:aws:s3:::no-topic"))
        .await;
    ensure_fails(attempt, "invalid", "notifying no topic")?;
    Ok(())
}

/// Rows are on some page, once, however small the pages are.
pub(super) async fn listing_notifications_takes_several_pages_and_misses_none(
    world: &dyn ContractWorld,
) -> CheckResult {
    let messaging = world.messaging();
    let service = a_service(world).await?.service_id;
    let mut wanted = Vec::new();
    for _ in 0..=2 * world.page_size() {
        let new = new_notification(&service, &a_topic(world).await?);
        let made = messaging
            .create_connection_notification(&new)
            .await
            .during("making one")?;
        wanted.push(made.id);
    }
    let (rows, pages) = notifications(world).await?;
    ensure!(pages >= 3, "the world should have forced pages: {pages}");
    let listed: Vec<String> = rows.into_iter().map(|row| row.id).collect();
    ensure_complete(&listed, &wanted, "connection notifications")
}

/// The whole road: consumer, PrivateLink, topic, queue.
pub(super) async fn a_request_reaches_the_queue_and_names_its_ids(
    world: &dyn ContractWorld,
) -> CheckResult {
    let messaging = world.messaging();
    let road = a_road(world).await?;
    let service = an_open_service(world).await?;
    messaging
        .create_connection_notification(&new_notification(&service.service_id, &road.topic))
        .await
        .during("making the notification")?;
    let endpoint = world
        .create_endpoint(&service.service_name)
        .await
        .during("creating an endpoint")?;
    let received = messaging
        .receive(&road.queue_url, Duration::from_secs(5))
        .await
        .during("receiving")?;
    ensure!(received.len() == 1, "one message, not {received:?}");
    for message in &received {
        ensure!(
            message.body.contains(endpoint.as_str())
                && message.body.contains(service.service_id.as_str()),
            "{endpoint} or its service is not named: {message:?}"
        );
    }
    Ok(())
}

/// And one that is not deleted does, after a while.
pub(super) async fn a_deleted_message_does_not_come_back(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    let road = a_road(world).await?;
    let service = an_open_service(world).await?;
    messaging
        .create_connection_notification(&new_notification(&service.service_id, &road.topic))
        .await
        .during("making the notification")?;
    for _ in 0..2 {
        world
            .create_endpoint(&service.service_name)
            .await
            .during("creating an endpoint")?;
    }
    let mut handles = Vec::new();
    while handles.len() < 2 {
        let received = messaging
            .receive(&road.queue_url, Duration::from_secs(5))
            .await
            .during("receiving")?;
        ensure!(!received.is_empty(), "a message is missing");
        handles.extend(received.into_iter().map(|m| m.receipt_handle));
    }
    let nobodys = "AQEBnobodysReceiptHandle==".to_owned();
    let batch = [handles, vec![nobodys]].concat();
    let failures = messaging
        .delete_messages(&road.queue_url, &batch)
        .await
        .during("deleting")?;
    ensure!(
        failures.len() == 1
            && failures
                .iter()
                .all(|f| f.resource_id.as_deref() == Some("2")),
        "only the third, nobody's, should fail: {failures:?}"
    );
    let none = messaging
        .delete_messages(&road.queue_url, &[])
        .await
        .during("deleting nothing")?;
    ensure!(none.is_empty(), "nothing can fail: {none:?}");
    Ok(())
}

/// At once, when nobody asked to wait.
pub(super) async fn an_empty_queue_gives_nothing(world: &dyn ContractWorld) -> CheckResult {
    let messaging = world.messaging();
    let url = messaging
        .create_queue(&fresh_token())
        .await
        .during("making it")?;
    let received = messaging
        .receive(&url, Duration::ZERO)
        .await
        .during("receiving")?;
    ensure!(received.is_empty(), "nobody sent {received:?}");
    Ok(())
}

/// Each service throttles in words of its own.
pub(super) async fn throttled_messaging_is_busy(world: &dyn ContractWorld) -> CheckResult {
    refused_everywhere(world, ContractFault::Throttle, "busy").await
}

/// Each service denies in words of its own.
pub(super) async fn denied_messaging_is_denied(world: &dyn ContractWorld) -> CheckResult {
    refused_everywhere(world, ContractFault::Deny, "denied").await
}

/// Plans the fault for a read and a write of SNS, SQS and EC2, and checks how each call ends.
async fn refused_everywhere(
    world: &dyn ContractWorld,
    fault: ContractFault,
    kind: &str,
) -> CheckResult {
    let messaging = world.messaging();
    let road = a_road(world).await?;
    let service = a_service(world).await?.service_id;
    for action in [
        "GetTopicAttributes",
        "Subscribe",
        "GetQueueAttributes",
        "ReceiveMessage",
        "DeleteMessageBatch",
        "DescribeVpcEndpointConnectionNotifications",
        "CreateVpcEndpointConnectionNotification",
    ] {
        world.plan_fault(action, fault).await?;
    }
    let made = new_notification(&service, &road.topic);
    let handle = ["AQEBnobodysReceiptHandle==".to_owned()];
    let ended: [(&str, Result<(), GatewayError>); 7] = [
        (
            "reading a topic",
            messaging.topic(&road.topic).await.map(drop),
        ),
        (
            "subscribing",
            messaging
                .subscribe_queue(&road.topic, &road.queue_arn)
                .await,
        ),
        (
            "reading a queue",
            messaging.queue(&road.queue_url).await.map(drop),
        ),
        (
            "receiving",
            messaging
                .receive(&road.queue_url, Duration::ZERO)
                .await
                .map(drop),
        ),
        (
            "deleting a message",
            messaging
                .delete_messages(&road.queue_url, &handle)
                .await
                .map(drop),
        ),
        (
            "listing notifications",
            messaging.connection_notifications(None).await.map(drop),
        ),
        (
            "making a notification",
            messaging
                .create_connection_notification(&made)
                .await
                .map(drop),
        ),
    ];
    world.clear_faults().await?;
    for (step, ended) in ended {
        ensure_fails(ended, kind, step)?;
    }
    let (all, _) = notifications(world).await?;
    ensure!(
        all.iter()
            .all(|row| row.service_id.as_ref() != Some(&service)),
        "nothing should have been made: {all:?}"
    );
    Ok(())
}

/// A topic that PrivateLink may publish to and a queue that hears of it.
struct Road {
    topic: String,
    queue_url: String,
    queue_arn: String,
}

async fn a_road(world: &dyn ContractWorld) -> Result<Road, String> {
    let messaging = world.messaging();
    let topic = a_topic(world).await?;
    let queue_url = messaging
        .create_queue(&fresh_token())
        .await
        .during("making a queue")?;
    let queue_arn = messaging
        .queue(&queue_url)
        .await
        .during("reading the queue")?
        .arn;
    let policy = open_to("sns.amazonaws.com", "sqs:SendMessage", &queue_arn);
    messaging
        .set_queue_policy(&queue_url, &policy)
        .await
        .during("opening the queue")?;
    messaging
        .subscribe_queue(&topic, &queue_arn)
        .await
        .during("subscribing the queue")?;
    Ok(Road {
        topic,
        queue_url,
        queue_arn,
    })
}

async fn a_topic(world: &dyn ContractWorld) -> Result<String, String> {
    let messaging = world.messaging();
    let arn = messaging
        .create_topic(&fresh_token())
        .await
        .during("making a topic")?;
    let policy = open_to("vpce.amazonaws.com", "SNS:Publish", &arn);
    messaging
        .set_topic_attribute(&arn, TopicAttribute::Policy(&policy))
        .await
        .during("opening the topic")?;
    Ok(arn)
}

fn open_to(service: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

fn new_notification(service: &ServiceId, topic: &str) -> NewConnectionNotification {
    NewConnectionNotification {
        client_token: fresh_token(),
        service_id: service.clone(),
        topic_arn: topic.to_owned(),
        events: all_connection_events(),
    }
}

async fn notification(
    world: &dyn ContractWorld,
    id: &str,
) -> Result<Option<ConnectionNotification>, String> {
    let (all, _) = notifications(world).await?;
    Ok(all.into_iter().find(|row| row.id == id))
}

/// All pages of the listing; also says how many there were.
async fn notifications(
    world: &dyn ContractWorld,
) -> Result<(Vec<ConnectionNotification>, usize), String> {
    let messaging = world.messaging();
    let (mut rows, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = messaging
            .connection_notifications(from.as_ref())
            .await
            .during("listing notifications")?;
        pages += 1;
        ensure!(pages < 10_000, "the listing of notifications does not end");
        rows.extend(page.items);
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok((rows, pages)),
        }
    }
}
