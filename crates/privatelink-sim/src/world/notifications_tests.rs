//! Rules of connection notifications.

use super::*;
use crate::world::testing::{self, endpoint};

const TOPIC: &str = "arn:aws:sns:eu-west-1:111111111111:requests";

/// A shop whose provider and consumer have the topics that these tests name.
fn shop(acceptance: bool) -> (World, Caller, Caller, ServiceId) {
    let (mut world, provider, consumer, service) = testing::shop(acceptance);
    topic(&mut world, &provider, "requests");
    topic(&mut world, &consumer, "mine");
    (world, provider, consumer, service)
}

fn topic(world: &mut World, me: &Caller, name: &str) {
    let none = std::collections::BTreeMap::new();
    world.create_topic(me, name, &none, &none).unwrap();
}

fn all_events() -> Vec<String> {
    ["Connect", "Accept", "Delete", "Reject"]
        .map(str::to_owned)
        .to_vec()
}

fn wanted(service: &ServiceId) -> NewNotification {
    NewNotification {
        service_id: Some(service.to_string()),
        topic_arn: TOPIC.to_owned(),
        events: all_events(),
        ..NewNotification::default()
    }
}

fn listed(world: &mut World, me: &Caller, filters: &Filters) -> usize {
    let paging = Paging::default();
    let page = world.notifications(me, None, filters, &paging).unwrap();
    page.items.len()
}

#[test]
fn what_happens_to_a_connection_is_written_down_once_and_in_order() {
    let (mut world, provider, consumer, service) = shop(true);
    world
        .create_notification(&provider, &wanted(&service), None)
        .unwrap();
    let id = endpoint(&mut world, &consumer, &service);
    let ids = std::slice::from_ref(&id);
    world
        .accept_connections(&provider, service.as_str(), ids)
        .unwrap();
    // Refused inside the answer, so nothing happened that could be told.
    world
        .accept_connections(&provider, service.as_str(), ids)
        .unwrap();
    world
        .reject_connections(&provider, service.as_str(), ids)
        .unwrap();
    world.delete_endpoints(&consumer, ids).unwrap();
    let told: Vec<String> = world
        .take_notifications()
        .into_iter()
        .map(|event| {
            assert_eq!(
                (event.topic_arn.as_str(), event.endpoint_id.as_str()),
                (TOPIC, id.as_str())
            );
            event.event
        })
        .collect();
    assert_eq!(told, ["Connect", "Accept", "Reject", "Delete"]);
    assert!(world.take_notifications().is_empty());
}

#[test]
fn only_the_events_asked_for_are_told_and_a_change_replaces_them_all() {
    let (mut world, provider, consumer, service) = shop(true);
    let made = world
        .create_notification(&provider, &wanted(&service), None)
        .unwrap();
    let only = ["Delete".to_owned()];
    world
        .modify_notification(&provider, &made.id, None, &only)
        .unwrap();
    let id = endpoint(&mut world, &consumer, &service);
    assert!(world.take_notifications().is_empty());
    world.delete_endpoints(&consumer, &[id]).unwrap();
    assert_eq!(world.take_notifications().len(), 1);
}

#[test]
fn a_consumer_hears_of_its_own_endpoint() {
    let (mut world, provider, consumer, service) = shop(true);
    let id = endpoint(&mut world, &consumer, &service);
    let new = NewNotification {
        endpoint_id: Some(id.clone()),
        topic_arn: "arn:aws:sns:eu-west-1:222222222222:mine".to_owned(),
        events: all_events(),
        ..NewNotification::default()
    };
    world.create_notification(&consumer, &new, None).unwrap();
    world
        .accept_connections(&provider, service.as_str(), &[id])
        .unwrap();
    let told = world.take_notifications();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].account, consumer.account);
}

#[test]
fn events_come_back_in_another_order() {
    let (mut world, provider, _, service) = shop(true);
    let mut made = world
        .create_notification(&provider, &wanted(&service), None)
        .unwrap();
    assert_ne!(made.events, all_events());
    made.events.sort();
    assert_eq!(made.events, EVENTS);
}

#[test]
fn the_same_token_makes_one_notification() {
    let (mut world, provider, _, service) = shop(true);
    let new = wanted(&service);
    let first = world
        .create_notification(&provider, &new, Some("t"))
        .unwrap();
    let second = world
        .create_notification(&provider, &new, Some("t"))
        .unwrap();
    assert_eq!(first.id, second.id);
    let other = NewNotification {
        events: vec!["Connect".to_owned()],
        ..new
    };
    let error = world
        .create_notification(&provider, &other, Some("t"))
        .unwrap_err();
    assert_eq!(error.code, "IdempotentParameterMismatch");
}

#[test]
fn wrong_requests_are_refused() {
    let (mut world, provider, _, service) = shop(true);
    let good = wanted(&service);
    let with = |change: &dyn Fn(&mut NewNotification)| {
        let mut new = good.clone();
        change(&mut new);
        new
    };
    for (new, code) in [
        (with(&|n| n.service_id = None), "MissingParameter"),
        (
            with(&|n| n.endpoint_id = Some("vpce-0123456789abcdef0".to_owned())),
            "InvalidParameterCombination",
        ),
        (with(&|n| n.events.clear()), "MissingParameter"),
        (
            with(&|n| n.events.push("Available".to_owned())),
            "InvalidParameterValue",
        ),
        (
            with(&|n| n.topic_arn = "requests".to_owned()),
            "InvalidParameter",
        ),
        (
            with(&|n| n.topic_arn = "arn:aws:sns:eu-west-1:111111111111:a.fifo".to_owned()),
            "InvalidParameter",
        ),
        (
            with(&|n| n.topic_arn = "arn:aws:sns:us-east-1:111111111111:a".to_owned()),
            "InvalidParameter",
        ),
        (
            with(&|n| n.service_id = Some("vpce-svc-0123456789abcdef0".to_owned())),
            "InvalidVpcEndpointServiceId.NotFound",
        ),
    ] {
        let error = world
            .create_notification(&provider, &new, None)
            .unwrap_err();
        assert_eq!(error.code, code, "{new:?}");
    }
}

#[test]
fn filters_choose_and_unknown_ids_fail() {
    let (mut world, provider, _, service) = shop(true);
    let made = world
        .create_notification(&provider, &wanted(&service), None)
        .unwrap();
    let service_filter = Filters::one("service-id", service.as_str());
    assert_eq!(listed(&mut world, &provider, &service_filter), 1);
    let state_filter = Filters::one("connection-notification-state", "Disabled");
    assert_eq!(listed(&mut world, &provider, &state_filter), 0);
    let error = world
        .modify_notification(&provider, "vpce-nfn-0", None, &[])
        .unwrap_err();
    assert_eq!(error.code, "InvalidConnectionNotification");
    let left = world
        .delete_notifications(&provider, &[made.id, "vpce-nfn-0".to_owned()])
        .unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].error.code, "InvalidConnectionNotification");
    assert_eq!(listed(&mut world, &provider, &Filters::default()), 0);
}

#[test]
fn a_topic_that_does_not_exist_is_refused_unless_a_switch_says_otherwise() {
    let (mut world, provider, _, service) = shop(true);
    let there = world
        .create_notification(&provider, &wanted(&service), None)
        .unwrap();
    let mut new = wanted(&service);
    new.topic_arn = TOPIC.replace("requests", "later");
    let error = world
        .create_notification(&provider, &new, None)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
    assert!(error.message.contains("does not exist"), "{error:?}");
    let moved = world.modify_notification(&provider, &there.id, Some(&new.topic_arn), &[]);
    assert_eq!(moved.unwrap_err().code, "InvalidParameter");
    world.behavior.notification_topic_must_exist = false;
    world.create_notification(&provider, &new, None).unwrap();
}
