//! The worker's life among hints, and whether the road that they take stands and works.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::hint_setup::{NAME, SetupState};
use portcullis::worker::{PassError, Place, Worker, hint_follow, hint_queue, hint_setup, observe};
use privatelink::messaging::all_connection_events;

use super::cell::entered;
use super::stories::Scene;
use crate::support::TestApp;

/// Longer than SQS hides a message that was received.
const HIDDEN: Duration = Duration::from_secs(31);
/// More rounds than any story here needs.
const MOST_ROUNDS: usize = 60;

/// The loops around hints, until nothing is owed and nothing is hidden in the queue any more.
pub(super) async fn heard(app: &TestApp, worker: &Worker) {
    let place = entered(app, worker).await;
    for _ in 0..2 {
        until_rest(app, &place).await;
        app.advance(HIDDEN);
    }
    until_rest(app, &place).await;
}

async fn until_rest(app: &TestApp, place: &Place) {
    let mut asked = place.hints.list.listen();
    for _ in 0..MOST_ROUNDS {
        let (mut setup, mut heard, mut followed) = (None, None, None);
        for _ in 0..app.times {
            setup = settled(hint_setup::run_pass(place).await);
        }
        for _ in 0..app.times {
            heard = settled(hint_queue::run_pass(place, Duration::ZERO).await);
        }
        for _ in 0..app.times {
            followed = settled(hint_follow::run_pass(place).await);
        }
        let mut listed = true;
        if asked.has_changed().unwrap() {
            listed = settled(observe::run_pass(place).await).is_some();
            if listed {
                asked.mark_unchanged();
            }
        }
        // What AWS refuses for good is shown, and tried again in its own time.
        let stands = setup.is_some_and(|s| s.state != SetupState::SettingUp);
        let silent = heard.is_some_and(|h| h.received == 0);
        let next = followed.map(|f| f.next_due);
        if stands && silent && listed && next == Some(None) {
            return;
        }
        let wait = next.flatten().map(|at| at - place.now());
        let wait = wait.unwrap_or_default().max(TimeDelta::seconds(1));
        app.advance(wait.to_std().unwrap());
    }
    panic!("hints do not come to rest: {}", app.hint_setup().await);
}

fn settled<T>(pass: Result<T, PassError>) -> Option<T> {
    match pass {
        Ok(report) => Some(report),
        Err(PassError::Gateway(_)) => None,
        Err(other) => panic!("a pass failed for another reason than AWS: {other:?}"),
    }
}

/// The codes that the set-up shows, of the whole and of single services.
pub(super) async fn shown(app: &TestApp) -> BTreeSet<String> {
    let codes: Vec<String> = sqlx::query_scalar(
        "SELECT h.code FROM hint_setups h JOIN account_regions a ON a.id = h.account_region_id
          WHERE a.state = 'enabled' AND h.code IS NOT NULL
         UNION
         SELECT n.code FROM service_notifications n JOIN endpoint_services s ON s.id = n.endpoint_service_id
           JOIN account_regions a ON a.id = s.account_region_id
          WHERE a.state = 'enabled' AND n.code IS NOT NULL",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    codes.into_iter().collect()
}

/// What messages alone have not shown of the endpoints that a consumer made.
pub(super) async fn untold(app: &TestApp, scene: &Scene) -> Vec<String> {
    let mut untold = Vec::new();
    for endpoint in &scene.endpoints {
        if app.rows(endpoint).await != 1 {
            untold.push(format!("no message led to {endpoint}"));
        }
    }
    untold
}

/// What is wrong with the road: there is one of everything, as it should be, nothing is left on it, and the next request is heard.
pub(super) async fn wrong_with_road(app: &TestApp, scene: &Scene) -> Vec<String> {
    let mut wrong = Vec::new();
    let aws = app.messages();
    let topic = aws.create_topic(NAME).await.unwrap();
    let queue = aws.queue_url(NAME).await.unwrap();
    let read = aws.topic(&topic).await.unwrap();
    if read.signature_version.as_deref() != Some("2") {
        wrong.push(format!("signatures are {:?}", read.signature_version));
    }
    let subscriptions = aws.subscriptions(&topic, None).await.unwrap().items;
    if subscriptions.len() != 1 {
        wrong.push(format!("subscriptions: {subscriptions:?}"));
    }
    let notifications = app.notifications().await;
    let right = notifications
        .iter()
        .filter(|n| n.topic_arn == topic && n.events == all_connection_events());
    if notifications.len() != 1 || right.count() != 1 {
        wrong.push(format!("notifications: {notifications:?}"));
    }
    let left = aws.receive(&queue, Duration::ZERO).await.unwrap();
    if !left.is_empty() {
        wrong.push(format!("messages that nobody deleted: {left:?}"));
    }
    let service = scene.service.as_ref().unwrap();
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    let place = app.place().await;
    for _ in 0..3 {
        settled(hint_queue::run_pass(&place, Duration::ZERO).await);
        settled(hint_follow::run_pass(&place).await);
    }
    if app.rows(&endpoint).await != 1 {
        wrong.push("the next request is not heard".to_owned());
    }
    wrong
}
