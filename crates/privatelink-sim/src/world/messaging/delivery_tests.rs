//! The rules of HTTP(S) deliveries: what is due when, without anybody to post it.

use std::collections::BTreeMap;

use super::deliveries::{Delivery, MessageType, Outcome};
use super::notices::Fate;
use super::publish::NewMessage;
use crate::world::notifications::NewNotification;
use crate::world::testing::{PROVIDER, after, caller, endpoint, shop, world};
use crate::world::{Caller, World};

const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:t";

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

/// Takes all that is due, and says that it was delivered.
fn taken(world: &mut World, me: &Caller) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Some((id, delivery)) = world.take_delivery(me.now) {
        world.delivery_ended(id, me.now, &Outcome::Status(200));
        all.push(delivery);
    }
    all
}

/// A confirmed subscription of a URL; answers with its ARN.
fn subscribe(world: &mut World, me: &Caller, attributes: &BTreeMap<String, String>) -> String {
    let none = BTreeMap::new();
    world.create_topic(me, "t", &none, &none).unwrap();
    let at = ("https", "https://example.com/hook");
    let made = world.subscribe(me, TOPIC, at, attributes).unwrap();
    let asked = taken(world, me).remove(0);
    assert_eq!(asked.message_type, MessageType::SubscriptionConfirmation);
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let token = body["Token"].as_str().unwrap();
    world.confirm_subscription(me, TOPIC, token, false).unwrap();
    made.arn
}

#[test]
fn a_token_is_good_for_two_days() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let none = BTreeMap::new();
    world.create_topic(&me, "t", &none, &none).unwrap();
    let at = ("http", "http://example.com/");
    let made = world.subscribe(&me, TOPIC, at, &none).unwrap();
    let token = made.waiting.unwrap().text;
    let late = after(&me, 2 * 24 * 3_600_000);
    let error = world.confirm_subscription(&late, TOPIC, &token, false);
    assert_eq!(error.unwrap_err().code, "InvalidParameter");
    let early = after(&me, 2 * 24 * 3_600_000 - 1);
    world
        .confirm_subscription(&early, TOPIC, &token, false)
        .unwrap();
}

#[test]
fn retries_follow_the_delivery_policy_and_a_retry_starts_anew_after_a_snapshot() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let policy =
        r#"{"healthyRetryPolicy": {"numRetries": 2, "minDelayTarget": 5, "maxDelayTarget": 60}}"#;
    subscribe(&mut world, &me, &one("DeliveryPolicy", policy));
    world.publish(&me, TOPIC, &NewMessage::text("hi")).unwrap();
    let (id, delivery) = world.take_delivery(me.now).unwrap();
    assert_eq!(delivery.url, "https://example.com/hook");
    assert!(taken(&mut world, &me).is_empty(), "somebody is at it");
    let saved = serde_json::to_string(&world).unwrap();
    let mut restored: World = serde_json::from_str(&saved).unwrap();
    assert_eq!(taken(&mut restored, &me).len(), 1);
    world.delivery_ended(id, me.now, &Outcome::NoAnswer("nobody there".into()));
    assert!(taken(&mut world, &after(&me, 4_999)).is_empty());
    let later = after(&me, 5_000);
    let (id, _) = world.take_delivery(later.now).unwrap();
    world.delivery_ended(id, later.now, &Outcome::Status(500));
    assert!(taken(&mut world, &after(&later, 59_999)).is_empty());
    let last = after(&later, 60_000);
    let (id, _) = world.take_delivery(last.now).unwrap();
    world.delivery_ended(id, last.now, &Outcome::Status(500));
    assert_eq!(world.deliveries(), 0);
}

#[test]
fn an_endpoint_is_sent_one_message_at_a_time_in_the_order_they_are_due() {
    let (mut world, me) = (world(), caller(PROVIDER));
    subscribe(&mut world, &me, &one("RawMessageDelivery", "true"));
    for text in ["a", "b"] {
        world.publish(&me, TOPIC, &NewMessage::text(text)).unwrap();
    }
    let (first, delivery) = world.take_delivery(me.now).unwrap();
    assert_eq!(delivery.body, "a");
    assert!(world.take_delivery(me.now).is_none());
    assert_eq!(world.next_delivery(), None);
    world.delivery_ended(first, me.now, &Outcome::Status(500));
    let (second, delivery) = world.take_delivery(me.now).unwrap();
    assert_eq!(delivery.body, "b", "a retry holds up nothing");
    // A late word about the first one does not free what belongs to the second.
    world.give_back_delivery(first);
    assert!(world.take_delivery(me.now).is_none());
    world.give_back_delivery(second);
    assert_eq!(world.take_delivery(me.now).unwrap().1.body, "b");
}

#[test]
fn a_message_is_given_up_after_an_hour_whatever_the_policy_says() {
    let (mut world, me) = (world(), caller(PROVIDER));
    subscribe(&mut world, &me, &BTreeMap::new());
    world.publish(&me, TOPIC, &NewMessage::text("hi")).unwrap();
    let (id, _) = world.take_delivery(me.now).unwrap();
    let hour = after(&me, 3_600_000);
    world.delivery_ended(id, hour.now, &Outcome::Status(500));
    assert_eq!(world.deliveries(), 0);
}

#[test]
fn whoever_unsubscribes_hears_no_more_and_a_guarded_end_needs_a_signature() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = subscribe(&mut world, &me, &BTreeMap::new());
    world.publish(&me, TOPIC, &NewMessage::text("hi")).unwrap();
    let nobody = Caller {
        identity: crate::world::identity::Identity::anonymous(),
        ..me.clone()
    };
    world.unsubscribe(&nobody, &arn).unwrap();
    let sent = taken(&mut world, &me);
    assert_eq!(sent.len(), 1, "the message that was on its way is gone");
    assert_eq!(sent[0].message_type, MessageType::UnsubscribeConfirmation);
    let body: serde_json::Value = serde_json::from_str(&sent[0].body).unwrap();
    let token = body["Token"].as_str().unwrap();
    world.confirm_subscription(&me, TOPIC, token, true).unwrap();
    let error = world.unsubscribe(&nobody, &arn).unwrap_err();
    assert_eq!(error.code, "AuthorizationError");
    world.unsubscribe(&me, &arn).unwrap();
}

#[test]
fn a_filter_policy_keeps_messages_away() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let policy = one("FilterPolicy", r#"{"kind": ["wanted"]}"#);
    subscribe(&mut world, &me, &policy);
    let mut new = NewMessage::text("hi");
    world.publish(&me, TOPIC, &new).unwrap();
    assert!(taken(&mut world, &me).is_empty());
    let kind = super::attributes::MessageAttribute::text("wanted");
    new.attributes.insert("kind".to_owned(), kind);
    world.publish(&me, TOPIC, &new).unwrap();
    assert_eq!(taken(&mut world, &me).len(), 1);
}

#[test]
fn planned_faults_of_notifications_reach_urls_too() {
    let (mut world, provider, consumer, service) = shop(true);
    subscribe(&mut world, &provider, &BTreeMap::new());
    let policy = r#"{"Statement": [{"Effect": "Allow", "Principal": {"Service": "vpce.amazonaws.com"},
        "Action": "SNS:Publish", "Resource": "*"}]}"#;
    world
        .set_topic_attribute(&provider, TOPIC, "Policy", policy)
        .unwrap();
    let new = NewNotification {
        service_id: Some(service.to_string()),
        topic_arn: TOPIC.to_owned(),
        events: vec!["Connect".to_owned()],
        ..NewNotification::default()
    };
    world.create_notification(&provider, &new, None).unwrap();
    for (fate, now, later) in [
        (Fate::Lost, 0, 0),
        (Fate::Twice, 2, 0),
        (Fate::Late(5_000), 0, 1),
    ] {
        endpoint(&mut world, &consumer, &service);
        world.publish_notifications(|_| fate);
        assert_eq!(taken(&mut world, &provider).len(), now, "{fate:?}");
        assert_eq!(
            taken(&mut world, &after(&provider, 5_000)).len(),
            later,
            "{fate:?}"
        );
    }
}

#[test]
fn endpoints_that_are_no_urls_and_protocols_that_are_not_modelled_are_refused() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let none = BTreeMap::new();
    world.create_topic(&me, "t", &none, &none).unwrap();
    for (protocol, endpoint, code) in [
        ("https", "http://example.com/", "InvalidParameter"),
        ("http", "http://", "InvalidParameter"),
        ("http", "http://exa mple/", "InvalidParameter"),
        ("pigeon", "roof", "InvalidParameter"),
        ("email", "a@b.c", "UnsupportedOperation"),
    ] {
        let error = world
            .subscribe(&me, TOPIC, (protocol, endpoint), &none)
            .unwrap_err();
        assert_eq!(error.code, code, "{protocol} {endpoint}");
    }
}
