//! The rules of queues: who receives what when, and what becomes of it.

use std::collections::BTreeMap;

use super::queues::{QueueName, QueuedMessage, ReceiveRequest};
use crate::world::testing::{CONSUMER, PROVIDER, after, caller, world};
use crate::world::{Caller, World};

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    owned.collect()
}

fn text(body: &str) -> QueuedMessage {
    QueuedMessage {
        body: body.to_owned(),
        ..QueuedMessage::default()
    }
}

fn queue(set: &[(&str, &str)]) -> (World, Caller, QueueName) {
    let (mut world, me) = (world(), caller(PROVIDER));
    let at = world.create_queue(&me, "events", &attributes(set)).unwrap();
    (world, me, at)
}

fn receive(world: &mut World, me: &Caller, at: &QueueName) -> Vec<(String, u32, String)> {
    let ten = ReceiveRequest {
        max: Some(10),
        ..ReceiveRequest::default()
    };
    let found = world.receive_messages(me, at, &ten).unwrap();
    found
        .into_iter()
        .map(|row| (row.message.body, row.message.received, row.receipt_handle))
        .collect()
}

#[test]
fn a_queue_made_twice_is_one_unless_the_attributes_differ() {
    let (mut world, me, at) = queue(&[("VisibilityTimeout", "60")]);
    let same = attributes(&[("VisibilityTimeout", "60")]);
    assert_eq!(world.create_queue(&me, "events", &same).unwrap(), at);
    let other = attributes(&[("VisibilityTimeout", "61")]);
    let error = world.create_queue(&me, "events", &other).unwrap_err();
    assert_eq!(error.code, "QueueNameExists");
}

#[test]
fn a_received_message_is_hidden_until_its_visibility_timeout_is_over() {
    let (mut world, me, at) = queue(&[]);
    world.send_message(&me, &at, &text("hello")).unwrap();
    let first = receive(&mut world, &me, &at);
    assert_eq!((first[0].0.as_str(), first[0].1), ("hello", 1));
    assert!(receive(&mut world, &after(&me, 29_999), &at).is_empty());
    let again = receive(&mut world, &after(&me, 30_000), &at);
    assert_eq!(again[0].1, 2);
    assert_ne!(again[0].2, first[0].2, "each receive has its own handle");
}

#[test]
fn a_message_is_deleted_by_its_last_handle_only() {
    let (mut world, me, at) = queue(&[]);
    world.send_message(&me, &at, &text("hello")).unwrap();
    let first = receive(&mut world, &me, &at).remove(0).2;
    let later = after(&me, 30_000);
    let second = receive(&mut world, &later, &at).remove(0).2;
    world.delete_message(&later, &at, &first).unwrap();
    assert_eq!(
        world
            .queue(&me, &at, "x")
            .unwrap()
            .counts(later.now)
            .in_flight,
        1
    );
    world.delete_message(&later, &at, &second).unwrap();
    world.delete_message(&later, &at, &second).unwrap();
    assert!(receive(&mut world, &after(&me, 90_000), &at).is_empty());
    let error = world.delete_message(&later, &at, "junk").unwrap_err();
    assert_eq!(error.code, "ReceiptHandleIsInvalid");
}

#[test]
fn visibility_can_be_prolonged_and_ended() {
    let (mut world, me, at) = queue(&[]);
    world.send_message(&me, &at, &text("hello")).unwrap();
    let handle = receive(&mut world, &me, &at).remove(0).2;
    world
        .change_message_visibility(&me, &at, &handle, 100)
        .unwrap();
    assert!(receive(&mut world, &after(&me, 99_000), &at).is_empty());
    world
        .change_message_visibility(&me, &at, &handle, 0)
        .unwrap();
    let error = world
        .change_message_visibility(&me, &at, &handle, 5)
        .unwrap_err();
    assert_eq!(error.code, "MessageNotInflight");
    assert_eq!(receive(&mut world, &me, &at).len(), 1);
}

#[test]
fn a_message_that_nobody_deletes_ends_in_the_dead_letter_queue() {
    let (mut world, me, at) = queue(&[("VisibilityTimeout", "10")]);
    let dead = world.create_queue(&me, "dead", &BTreeMap::new()).unwrap();
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111111111111:dead","maxReceiveCount":"2"}"#;
    let set = attributes(&[("RedrivePolicy", policy)]);
    world.set_queue_attributes(&me, &at, &set).unwrap();
    let id = world.send_message(&me, &at, &text("poison")).unwrap();
    for round in 0..2 {
        assert_eq!(
            receive(&mut world, &after(&me, round * 10_000), &at).len(),
            1
        );
    }
    let third = after(&me, 20_000);
    assert!(receive(&mut world, &third, &at).is_empty());
    assert!(world.dead_letters_moved());
    let ten = ReceiveRequest::default();
    let moved = world.receive_messages(&third, &dead, &ten).unwrap();
    assert_eq!(moved[0].message.id, id);
    let source = moved[0].message.dead_letter_source.as_deref();
    assert_eq!(source, Some("arn:aws:sqs:eu-west-1:111111111111:events"));
}

#[test]
fn a_dead_letter_queue_must_be_there_when_it_is_named() {
    let (mut world, me, at) = queue(&[]);
    for policy in [
        r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111111111111:none","maxReceiveCount":2}"#,
        r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111111111111:events","maxReceiveCount":0}"#,
        "{",
    ] {
        let set = attributes(&[("RedrivePolicy", policy)]);
        let error = world.set_queue_attributes(&me, &at, &set).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue", "{policy}");
    }
}

#[test]
fn a_zero_visibility_timeout_gives_a_message_once_per_receive() {
    let (mut world, me, at) = queue(&[("VisibilityTimeout", "0")]);
    world.send_message(&me, &at, &text("a")).unwrap();
    world.send_message(&me, &at, &text("b")).unwrap();
    assert_eq!(receive(&mut world, &me, &at).len(), 2);
    assert_eq!(receive(&mut world, &me, &at).len(), 2);
}

#[test]
fn delayed_and_old_messages_are_not_received() {
    let (mut world, me, at) = queue(&[("MessageRetentionPeriod", "60")]);
    let late = QueuedMessage {
        delay: Some(5),
        ..text("later")
    };
    world.send_message(&me, &at, &late).unwrap();
    let counts = world.queue(&me, &at, "x").unwrap().counts(me.now);
    assert_eq!((counts.delayed, counts.visible), (1, 0));
    assert!(receive(&mut world, &after(&me, 4_999), &at).is_empty());
    assert_eq!(receive(&mut world, &after(&me, 5_000), &at).len(), 1);
    assert!(receive(&mut world, &after(&me, 60_000), &at).is_empty());
}

#[test]
fn a_queue_is_purged_once_a_minute_and_its_name_rests_after_deletion() {
    let (mut world, me, at) = queue(&[]);
    world.send_message(&me, &at, &text("a")).unwrap();
    world.purge_queue(&me, &at).unwrap();
    assert!(receive(&mut world, &me, &at).is_empty());
    let error = world.purge_queue(&after(&me, 59_999), &at).unwrap_err();
    assert_eq!(error.code, "PurgeQueueInProgress");
    world.delete_queue(&me, &at).unwrap();
    let error = world.send_message(&me, &at, &text("a")).unwrap_err();
    assert_eq!(error.code, "QueueDoesNotExist");
    let none = BTreeMap::new();
    let error = world.create_queue(&me, "events", &none).unwrap_err();
    assert_eq!(error.code, "QueueDeletedRecently");
    world
        .create_queue(&after(&me, 60_000), "events", &none)
        .unwrap();
}

#[test]
fn a_stranger_needs_the_queues_policy() {
    let (mut world, me, at) = queue(&[]);
    let stranger = caller(CONSUMER);
    let error = world.send_message(&stranger, &at, &text("a")).unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("AccessDenied", 403));
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{CONSUMER}"}},"Action":"sqs:SendMessage","Resource":"*"}}]}}"#
    );
    let set = attributes(&[("Policy", &policy)]);
    world.set_queue_attributes(&me, &at, &set).unwrap();
    world.send_message(&stranger, &at, &text("a")).unwrap();
    let error = world
        .receive_messages(&stranger, &at, &ReceiveRequest::default())
        .unwrap_err();
    assert_eq!(error.code, "AccessDenied");
}

#[test]
fn attributes_outside_their_limits_are_refused() {
    let (mut world, me, at) = queue(&[]);
    for (name, value, code) in [
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        (
            "ReceiveMessageWaitTimeSeconds",
            "21",
            "InvalidAttributeValue",
        ),
        ("DelaySeconds", "-1", "InvalidAttributeValue"),
        ("Policy", "{}", "InvalidAttributeValue"),
        ("KmsMasterKeyId", "k", "InvalidAttributeName"),
    ] {
        let set = attributes(&[(name, value)]);
        let error = world.set_queue_attributes(&me, &at, &set).unwrap_err();
        assert_eq!(error.code, code, "{name}");
    }
}

#[test]
fn a_queue_with_too_many_messages_in_flight_gives_no_more() {
    let (mut world, me, at) = queue(&[]);
    world.behavior.in_flight_limit = 2;
    for body in ["a", "b", "c"] {
        world.send_message(&me, &at, &text(body)).unwrap();
    }
    let one = ReceiveRequest::default();
    let handle = world.receive_messages(&me, &at, &one).unwrap();
    world.receive_messages(&me, &at, &one).unwrap();
    let error = world.receive_messages(&me, &at, &one).unwrap_err();
    assert_eq!((error.code.as_str(), error.status), ("OverLimit", 403));
    let handle = &handle[0].receipt_handle;
    world.delete_message(&me, &at, handle).unwrap();
    let next = world.receive_messages(&me, &at, &one).unwrap();
    assert_eq!(next[0].message.body, "c");
}

#[test]
fn the_queues_that_bury_their_dead_in_a_queue_are_listed() {
    let (mut world, me, graves) = queue(&[]);
    assert!(world.dead_letter_sources(&me, &graves).unwrap().is_empty());
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111111111111:events", "maxReceiveCount": 3}"#;
    let set = attributes(&[("RedrivePolicy", policy)]);
    world.create_queue(&me, "source", &set).unwrap();
    world.create_queue(&me, "other", &attributes(&[])).unwrap();
    let sources = world.dead_letter_sources(&me, &graves).unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].name, "source");
}
