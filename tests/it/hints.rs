//! From AWS's message to our row: what is told is looked at, and only what AWS shows is believed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis::domain::hint::{HintSource, Named};
use portcullis::store::hints::{NewHint, insert};
use portcullis::worker::{PassError, WorkerSettings, hint_queue, observe};
use privatelink_sim::{Behavior, Effect, Fault, NotificationBody};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::hints::{follow, hear};
use crate::support::{Setup, TestApp};

const DESCRIBE: &str = "DescribeVpcEndpointConnections";

/// AWS documents no body, so none is relied on.
#[sqlx::test(migrations = "./migrations")]
async fn a_request_is_recorded_from_its_message_whatever_its_shape(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    for body in [NotificationBody::Json, NotificationBody::Text] {
        app.sim()
            .set_behavior(Behavior {
                notification_body: body,
                ..Behavior::instant()
            })
            .unwrap();
        let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
        let before = app.calls(DESCRIBE);
        let heard = hear(&place).await;
        assert_eq!((heard.received, heard.new, heard.left), (1, 1, 0));
        assert_eq!(app.rows(&endpoint).await, 0, "a message is no evidence");
        let followed = follow(&place).await;
        assert_eq!((followed.due, followed.followed), (1, 1));
        assert_eq!(followed.recorded.new, 1);
        assert_eq!(app.calls(DESCRIBE), before + 1, "one targeted read");
        assert_eq!(app.summary(&app.found(&endpoint).await).await, "waiting");
        assert_eq!(hear(&place).await.received, 0, "and it is deleted");
    }
    let hints = app.hint_setup().await;
    assert!(hints["last_message_at"].is_string(), "{hints}");
}

/// Raw delivery has no envelope, and the id is the queue's.
#[sqlx::test(migrations = "./migrations")]
async fn a_bare_body_is_heard_too(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let lost = Fault::once("Connect", Effect::LoseNotification);
    app.sim().faults().plan(lost);
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    app.forge(&format!("{endpoint} at {}", service.aws_id));
    assert_eq!(hear(&place).await.new, 1);
    assert_eq!(follow(&place).await.recorded.new, 1);
    assert_eq!(app.rows(&endpoint).await, 1);
}

/// Many messages are few reads.
#[sqlx::test(migrations = "./migrations")]
async fn requests_of_one_service_are_read_together(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    for _ in 0..25 {
        app.consumer().create_endpoint(&service.name).unwrap();
    }
    while hear(&place).await.received > 0 {}
    let followed = follow(&place).await;
    assert_eq!((followed.due, followed.calls), (25, 1));
    assert_eq!(followed.recorded.new, 25);
}

/// What somebody does in AWS is seen at once, and it is drift as ever.
#[sqlx::test(migrations = "./migrations")]
async fn a_rejection_behind_our_back_is_seen_from_its_message(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let request = app.requested(&service).await;
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    let endpoints = std::slice::from_ref(&request.endpoint);
    app.console()
        .reject_connections(&service.aws_id, endpoints)
        .await
        .unwrap();
    assert_eq!(hear(&place).await.new, 1);
    let followed = follow(&place).await;
    assert_eq!(
        (followed.recorded.changed, followed.recorded.drifted),
        (1, 1)
    );
    assert_eq!(app.summary(&request).await, "rejected");
}

/// AWS tells of the beginning of a deletion and not of its end.
#[sqlx::test(migrations = "./migrations")]
async fn a_deletion_is_watched_to_its_end(pool: PgPool) {
    let setup = Setup {
        behavior: Behavior {
            endpoint_deleting_ms: 1_500,
            ..Behavior::instant()
        },
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let (service, place) = app.listening().await;
    let request = app.requested(&service).await;
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    assert_eq!(hear(&place).await.new, 1);
    let followed = follow(&place).await;
    assert_eq!((followed.recorded.changed, followed.followed), (1, 0));
    assert_eq!(app.summary(&request).await, "deleting");
    for pause in [1, 2] {
        app.advance(Duration::from_secs(pause));
        follow(&place).await;
    }
    assert_eq!(app.summary(&request).await, "deleted");
    assert_eq!(follow(&place).await.next_due, None);
}

/// A hint that came over HTTP is in the same table and goes the same way.
#[sqlx::test(migrations = "./migrations")]
async fn a_hint_over_http_is_followed_and_known_again_over_sqs(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    let named = Named {
        services: BTreeSet::from([service.aws_id.clone()]),
        endpoints: BTreeSet::from([endpoint.clone()]),
    };
    let hint = NewHint {
        source: HintSource::Http,
        message_id: "5f7c4b0e-6a53-5c1a-9a64-1f3f0a2b7c11",
        named: &named,
        at: place.now(),
    };
    let mut conn = app.db().acquire().await.unwrap();
    assert!(
        insert(&mut conn, place.lease.account_region, &hint)
            .await
            .unwrap()
    );
    drop(conn);
    assert_eq!(follow(&place).await.recorded.new, 1);
    assert_eq!(app.rows(&endpoint).await, 1);
    hear(&place).await;
    let envelope = json!({
        "Type": "Notification", "MessageId": hint.message_id, "Message": format!("{endpoint} {}", service.aws_id),
    });
    app.forge(&envelope.to_string());
    let heard = hear(&place).await;
    assert_eq!((heard.received, heard.new), (1, 0), "known already");
}

/// Nobody says where: everything is listed, once.
#[sqlx::test(migrations = "./migrations")]
async fn a_message_that_names_nothing_asks_for_a_listing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, place) = app.listening().await;
    let mut asked = place.hints.list.listen();
    for body in ["", "{}", "Something happened.", "vpce-nonsense"] {
        // SQS takes no empty message.
        app.forge(if body.is_empty() { "\"\"" } else { body });
    }
    let heard = hear(&place).await;
    assert_eq!(
        (heard.received, heard.new),
        (4, 1),
        "one of them says it all"
    );
    let followed = follow(&place).await;
    assert_eq!((followed.due, followed.followed, followed.calls), (1, 0, 0));
    assert!(asked.has_changed().unwrap(), "a listing is asked for");
    asked.mark_unchanged();
    app.advance(Duration::from_secs(1));
    assert_eq!(follow(&place).await.followed, 0);
    assert!(!asked.has_changed().unwrap(), "and not again so soon");
    observe::run_pass(&place).await.unwrap();
    app.advance(Duration::from_secs(1));
    assert_eq!(follow(&place).await.followed, 1);
    assert_eq!(
        app.count("SELECT count(*) FROM hints WHERE outcome = 'listed'")
            .await,
        1
    );
}

/// An endpoint that nobody knows, on a service that the message does not name.
#[sqlx::test(migrations = "./migrations")]
async fn an_endpoint_without_a_service_is_found_by_a_listing_or_where_it_was_seen(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let known = app.requested(&service).await;
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    let lost = Fault::always("Connect", Effect::LoseNotification);
    let lost = app.sim().faults().plan(lost);
    app.consumer().create_endpoint(&service.name).unwrap();
    let stranger = app.consumer().create_endpoint(&service.name).unwrap();
    app.sim().faults().remove(lost);
    app.forge(known.endpoint.as_ref());
    app.forge(stranger.as_ref());
    assert_eq!(hear(&place).await.new, 2);
    let followed = follow(&place).await;
    assert_eq!((followed.calls, followed.followed), (1, 1), "the known one");
    app.advance(Duration::from_secs(1));
    observe::run_pass(&place).await.unwrap();
    assert_eq!(follow(&place).await.followed, 1);
    assert_eq!(app.rows(&stranger).await, 1);
}

/// Followed hints are kept for three days, so that a repeat is known as one.
#[sqlx::test(migrations = "./migrations")]
async fn old_hints_are_forgotten(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    assert_eq!(follow(&place).await.followed, 1);
    for (hours, left) in [(71, 1), (2, 0)] {
        app.advance(Duration::from_hours(hours));
        follow(&place).await;
        assert_eq!(
            app.count("SELECT count(*) FROM hints").await,
            left,
            "{hours}"
        );
    }
}

/// I8 of leases: a replica that lost the AccountRegion stores nothing, and the messages are left for the next one.
#[sqlx::test(migrations = "./migrations")]
async fn a_replica_without_the_lease_stores_and_deletes_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    app.expire_leases().await;
    let heir = app.another_worker().lease_once().await.unwrap().remove(0);
    let lost = hint_queue::run_pass(&place, Duration::ZERO).await;
    assert!(matches!(lost, Err(error @ PassError::Store(_)) if error.lease_is_lost()));
    assert_eq!(app.count("SELECT count(*) FROM hints").await, 0);
    app.advance(Duration::from_secs(31));
    assert_eq!(hear(&heir).await.new, 1, "it comes again");
    assert_eq!(follow(&heir).await.recorded.new, 1);
    assert_eq!(app.rows(&endpoint).await, 1);
}

/// All loops as they run in the program: a request is there long before a listing, and the long poll does not hold up the end.
#[sqlx::test(migrations = "./migrations")]
async fn a_running_worker_hears_of_a_request_at_once_and_stops_at_once(pool: PgPool) {
    let usual = Setup::default();
    let setup = Setup {
        settings: WorkerSettings {
            listing_interval: Duration::from_hours(1),
            poll_interval: Duration::from_millis(50),
            ..usual.settings
        },
        ..usual
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    app.make_partitions().await;
    let stop = CancellationToken::new();
    let worker = app.another_worker();
    // The replica that stepped the loops until now.
    app.expire_leases().await;
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let until = Instant::now() + Duration::from_secs(20);
    while app.sim().waiting() == 0 || app.notifications().await.is_empty() {
        assert!(Instant::now() < until, "nobody waits at the queue");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let listings = || {
        let calls = app.sim().calls().of(DESCRIBE);
        calls.iter().filter(|call| call.ids.is_empty()).count()
    };
    let before = listings();
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    while app.rows(&endpoint).await == 0 {
        assert!(Instant::now() < until, "the request is not there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(listings(), before, "no listing found it");
    let asked = Instant::now();
    stop.cancel();
    running.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5));
}
