//! The rules of topics: what reaches which queue, and what PrivateLink may say.

use std::collections::BTreeMap;

use privatelink::ServiceId;
use serde_json::Value;

use super::notices::Fate;
use super::publish::NewMessage;
use super::queues::{QueueName, ReceiveRequest};
use crate::NotificationBody;
use crate::world::notifications::NewNotification;
use crate::world::testing::{CONSUMER, PROVIDER, after, caller, endpoint, shop, world};
use crate::world::{Caller, World};

const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:connections";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:111111111111:events";

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn queue_policy(topic: &str) -> BTreeMap<String, String> {
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"sqs:SendMessage",
            "Resource":"*","Condition":{{"ArnEquals":{{"aws:SourceArn":"{topic}"}}}}}}]}}"#
    );
    one("Policy", &policy)
}

fn topic_policy(service: &ServiceId) -> String {
    format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":"vpce.amazonaws.com"}},"Action":"SNS:Publish",
            "Resource":"{TOPIC}","Condition":{{
            "ArnLike":{{"aws:SourceArn":"arn:aws:ec2:eu-west-1:111111111111:vpc-endpoint-service/{service}"}},
            "StringEquals":{{"aws:SourceAccount":"111111111111"}}}}}}]}}"#
    )
}

/// A topic, a queue that lets it in, and the subscription between them.
fn subscribed(world: &mut World, me: &Caller) -> QueueName {
    let topic = world.create_topic(me, "connections", &BTreeMap::new(), &BTreeMap::new());
    assert_eq!(topic.unwrap(), TOPIC);
    let at = world
        .create_queue(me, "events", &queue_policy(TOPIC))
        .unwrap();
    let made = world.subscribe(me, TOPIC, ("sqs", QUEUE), &BTreeMap::new());
    assert!(made.unwrap().confirmed());
    at
}

fn bodies(world: &mut World, me: &Caller, at: &QueueName) -> Vec<String> {
    let ten = ReceiveRequest {
        max: Some(10),
        ..ReceiveRequest::default()
    };
    let found = world.receive_messages(me, at, &ten).unwrap();
    found.into_iter().map(|row| row.message.body).collect()
}

#[test]
fn a_published_message_comes_in_its_envelope_or_raw() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let at = subscribed(&mut world, &me);
    let id = world
        .publish(
            &me,
            TOPIC,
            &NewMessage {
                subject: Some("news".into()),
                ..NewMessage::text("hello")
            },
        )
        .unwrap();
    let envelope: Value = serde_json::from_str(&bodies(&mut world, &me, &at)[0]).unwrap();
    for (name, value) in [
        ("Type", "Notification"),
        ("MessageId", id.as_str()),
        ("TopicArn", TOPIC),
        ("Subject", "news"),
        ("Message", "hello"),
        ("Timestamp", "1970-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(envelope[name], value, "{name}");
    }
    let arn = world.topic_subscriptions(&me, TOPIC).unwrap()[0]
        .arn
        .clone();
    world
        .set_subscription_attribute(&me, &arn, "RawMessageDelivery", "true")
        .unwrap();
    world
        .publish(&me, TOPIC, &NewMessage::text("bare"))
        .unwrap();
    assert_eq!(bodies(&mut world, &me, &at), ["bare"]);
    world.unsubscribe(&me, &arn).unwrap();
    world
        .publish(&me, TOPIC, &NewMessage::text("gone"))
        .unwrap();
    assert!(bodies(&mut world, &me, &at).is_empty());
}

#[test]
fn a_queue_that_does_not_let_the_topic_in_hears_nothing() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let at = subscribed(&mut world, &me);
    for policy in [
        one("Policy", ""),
        queue_policy("arn:aws:sns:eu-west-1:111111111111:other"),
    ] {
        world.set_queue_attributes(&me, &at, &policy).unwrap();
        world
            .publish(&me, TOPIC, &NewMessage::text("hello"))
            .unwrap();
        assert!(bodies(&mut world, &me, &at).is_empty());
    }
}

#[test]
fn a_queue_of_another_account_confirms_with_the_token_it_is_sent() {
    let (mut world, me, other) = (world(), caller(PROVIDER), caller(CONSUMER));
    world
        .create_topic(&me, "connections", &BTreeMap::new(), &BTreeMap::new())
        .unwrap();
    let at = world
        .create_queue(&other, "events", &queue_policy(TOPIC))
        .unwrap();
    let queue = QUEUE.replace(PROVIDER, CONSUMER);
    let made = world.subscribe(&me, TOPIC, ("sqs", &queue), &BTreeMap::new());
    assert!(!made.unwrap().confirmed());
    world
        .publish(&me, TOPIC, &NewMessage::text("too early"))
        .unwrap();
    let asked = bodies(&mut world, &other, &at);
    assert_eq!(asked.len(), 1);
    let asked: Value = serde_json::from_str(&asked[0]).unwrap();
    assert_eq!(asked["Type"], "SubscriptionConfirmation");
    let wrong = world.confirm_subscription(&other, TOPIC, "wrong", false);
    assert_eq!(wrong.unwrap_err().code, "InvalidParameter");
    let token = asked["Token"].as_str().unwrap();
    world
        .confirm_subscription(&other, TOPIC, token, false)
        .unwrap();
    world
        .publish(&me, TOPIC, &NewMessage::text("hello"))
        .unwrap();
    assert_eq!(bodies(&mut world, &other, &at).len(), 1);
}

#[test]
fn only_the_owner_and_whom_the_policy_names_may_publish() {
    let (mut world, me, other) = (world(), caller(PROVIDER), caller(CONSUMER));
    subscribed(&mut world, &me);
    let error = world
        .publish(&other, TOPIC, &NewMessage::text("hello"))
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.status),
        ("AuthorizationError", 403)
    );
    let none = TOPIC.replace("connections", "none");
    let error = world
        .publish(&me, &none, &NewMessage::text("hello"))
        .unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("NotFound", 404));
}

#[test]
fn a_topic_made_twice_is_one_unless_the_attributes_differ() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let two = one("SignatureVersion", "2");
    let first = world
        .create_topic(&me, "t", &two, &BTreeMap::new())
        .unwrap();
    assert_eq!(
        world
            .create_topic(&me, "t", &two, &BTreeMap::new())
            .unwrap(),
        first
    );
    assert_eq!(
        world
            .create_topic(&me, "t", &BTreeMap::new(), &BTreeMap::new())
            .unwrap(),
        first
    );
    let error = world
        .create_topic(&me, "t", &one("DisplayName", "T"), &BTreeMap::new())
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
    assert_eq!(world.topics(&me).len(), 1);
    world.delete_topic(&me, &first).unwrap();
    world.delete_topic(&me, &first).unwrap();
    assert!(world.topics(&me).is_empty());
}

/// A shop whose connections are told to the topic; the policy is not set yet.
fn notified() -> (World, Caller, Caller, ServiceId, QueueName) {
    let (mut world, provider, consumer, service) = shop(true);
    let at = subscribed(&mut world, &provider);
    let new = NewNotification {
        service_id: Some(service.to_string()),
        topic_arn: TOPIC.to_owned(),
        events: ["Connect", "Accept", "Reject", "Delete"]
            .map(str::to_owned)
            .to_vec(),
        ..NewNotification::default()
    };
    world.create_notification(&provider, &new, None).unwrap();
    (world, provider, consumer, service, at)
}

#[test]
fn connection_events_reach_the_queue_when_both_policies_allow_it() {
    let (mut world, provider, consumer, service, at) = notified();
    let policy = topic_policy(&service);
    world
        .set_topic_attribute(&provider, TOPIC, "Policy", &policy)
        .unwrap();
    let endpoint = endpoint(&mut world, &consumer, &service);
    world.publish_notifications(|_| Fate::Delivered);
    let envelope: Value = serde_json::from_str(&bodies(&mut world, &provider, &at)[0]).unwrap();
    let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(message["event"], "Connect");
    assert_eq!(message["serviceId"], service.as_str());
    assert_eq!(message["vpcEndpointId"], endpoint);

    world.behavior.notification_body = NotificationBody::Text;
    world
        .delete_endpoints(&consumer, std::slice::from_ref(&endpoint))
        .unwrap();
    world.publish_notifications(|_| Fate::Delivered);
    let text = bodies(&mut world, &provider, &at).remove(0);
    let envelope: Value = serde_json::from_str(&text).unwrap();
    let message = envelope["Message"].as_str().unwrap();
    assert!(message.contains("Delete") && message.contains(&endpoint));
    assert!(serde_json::from_str::<Value>(message).is_err());
}

#[test]
fn without_the_topics_leave_a_connection_event_is_lost() {
    let (mut world, provider, consumer, service, at) = notified();
    let other: ServiceId = "vpce-svc-0aaaaaaaaaaaaaaaa".parse().unwrap();
    for policy in [String::new(), topic_policy(&other)] {
        world
            .set_topic_attribute(&provider, TOPIC, "Policy", &policy)
            .unwrap();
        endpoint(&mut world, &consumer, &service);
        world.publish_notifications(|_| Fate::Delivered);
        assert!(bodies(&mut world, &provider, &at).is_empty());
    }
}

#[test]
fn notifications_are_lost_doubled_late_or_out_of_order_when_it_is_planned() {
    let (mut world, provider, consumer, service, at) = notified();
    let policy = topic_policy(&service);
    world
        .set_topic_attribute(&provider, TOPIC, "Policy", &policy)
        .unwrap();
    let connect = |world: &mut World, fate: Fate| {
        let id = endpoint(world, &consumer, &service);
        world.publish_notifications(|_| fate);
        id
    };
    let heard = |world: &mut World, me: &Caller| -> Vec<(String, Value)> {
        let envelopes = bodies(world, me, &at);
        let read = |text: &String| {
            let envelope: Value = serde_json::from_str(text).unwrap();
            let message: Value =
                serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
            let endpoint = message["vpcEndpointId"].as_str().unwrap().to_owned();
            (endpoint, envelope["MessageId"].clone())
        };
        envelopes.iter().map(read).collect()
    };
    connect(&mut world, Fate::Lost);
    assert!(heard(&mut world, &provider).is_empty());

    let twice = connect(&mut world, Fate::Twice);
    let copies = heard(&mut world, &provider);
    assert_eq!(copies.len(), 2);
    assert_eq!((&copies[0], &copies[0].0), (&copies[1], &twice));

    let late = connect(&mut world, Fate::Late(5_000));
    assert!(heard(&mut world, &after(&provider, 4_999)).is_empty());
    assert_eq!(heard(&mut world, &after(&provider, 5_000))[0].0, late);

    let held = connect(&mut world, Fate::AfterTheNext);
    assert!(heard(&mut world, &provider).is_empty());
    let next = connect(&mut world, Fate::Delivered);
    let order: Vec<String> = heard(&mut world, &provider)
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(order, [next, held]);
}
