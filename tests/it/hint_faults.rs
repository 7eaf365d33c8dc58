//! Messages that are lost, repeated, out of order, late, forged or garbage, and a worker that dies on the way (faults 14 and 15): they
//! change when we look, never what we believe, and nothing stays in the queue.

use std::time::Duration;

use portcullis::worker::{hint_follow, hint_queue, observe};
use privatelink_sim::{Effect, Fault};
use serde_json::json;
use sqlx::PgPool;

use crate::support::TestApp;
use crate::support::hints::{follow, hear};

const DESCRIBE: &str = "DescribeVpcEndpointConnections";

#[sqlx::test(migrations = "./migrations")]
async fn a_lost_message_is_made_up_for_by_the_sweep(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let lost = Fault::once("Connect", Effect::LoseNotification);
    app.sim().faults().plan(lost);
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    assert_eq!(hear(&place).await.received, 0);
    assert_eq!(follow(&place).await.due, 0);
    assert_eq!(observe::run_pass(&place).await.unwrap().recorded.new, 1);
    assert_eq!(app.rows(&endpoint).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_repeated_message_is_one_hint(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let twice = Fault::once("Connect", Effect::DuplicateNotification);
    app.sim().faults().plan(twice);
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    let heard = hear(&place).await;
    assert_eq!((heard.received, heard.new), (2, 1));
    let followed = follow(&place).await;
    assert_eq!((followed.due, followed.calls), (1, 1));
    assert_eq!(app.rows(&endpoint).await, 1);
    let request = app.found(&endpoint).await;
    let history = app.connection(&request).await["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
}

/// The deletion is told before the request.
#[sqlx::test(migrations = "./migrations")]
async fn messages_out_of_order_end_where_aws_is(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let later = Fault::once("Connect", Effect::ReorderNotification);
    app.sim().faults().plan(later);
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    assert_eq!(hear(&place).await.received, 0, "it waits for the next");
    app.consumer().delete_endpoint(&endpoint).unwrap();
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    for pause in [1, 2, 4, 8] {
        app.advance(Duration::from_secs(pause));
        follow(&place).await;
    }
    let request = app.found(&endpoint).await;
    assert_eq!(app.summary(&request).await, "deleted");
    assert_eq!(follow(&place).await.next_due, None);
}

/// Two days late: the truth of today is recorded.
#[sqlx::test(migrations = "./migrations")]
async fn a_late_message_changes_nothing_that_is_known(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let delay_ms = 2 * 24 * 3_600_000;
    let late = Fault::once("Connect", Effect::DelayNotification { delay_ms });
    app.sim().faults().plan(late);
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    app.make_partitions().await;
    app.advance(Duration::from_millis(delay_ms));
    assert_eq!(hear(&place).await.new, 1, "there it comes");
    let followed = follow(&place).await;
    assert_eq!((followed.followed, followed.recorded.changed), (1, 0));
    assert_eq!(app.summary(&request).await, "available");
}

/// A read may lag behind the message that caused it.
#[sqlx::test(migrations = "./migrations")]
async fn what_aws_does_not_show_yet_is_looked_for_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    app.advance(Duration::from_mins(1));
    let lag = Fault::always(DESCRIBE, Effect::StaleReads { lag_ms: 2_500 });
    let lag = app.sim().faults().plan(lag);
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    let mut looks = 0;
    while app.rows(&endpoint).await == 0 {
        let followed = follow(&place).await;
        looks += 1;
        assert!(looks < 5, "{followed:?}");
        if let Some(next) = followed.next_due {
            app.advance((next - place.now()).to_std().unwrap());
        }
    }
    assert_eq!(looks, 3, "at 0, 1 and 3 s");
    app.sim().faults().remove(lag);
    assert_eq!(follow(&place).await.next_due, None);
}

/// Fault 15: a forged message costs a few reads of one filter, and nothing comes of it.
#[sqlx::test(migrations = "./migrations")]
async fn a_forged_endpoint_is_given_up_after_a_few_looks(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let before = app.calls(DESCRIBE);
    for n in 0..60 {
        app.forge(&format!("vpce-{n:017x} joined {}", service.aws_id));
    }
    while hear(&place).await.received > 0 {}
    let mut passes = 0;
    while let Some(next) = follow(&place).await.next_due {
        app.advance((next - place.now()).to_std().unwrap());
        passes += 1;
        assert!(passes < 10);
    }
    assert_eq!(app.calls(DESCRIBE) - before, 5, "for all of them together");
    assert_eq!(app.count("SELECT count(*) FROM connections").await, 0);
    assert_eq!(
        app.count("SELECT count(*) FROM hints WHERE outcome = 'unseen'")
            .await,
        60
    );
}

/// Forged words do not change what AWS says of a real connection.
#[sqlx::test(migrations = "./migrations")]
async fn a_forged_deletion_is_not_believed(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let request = app.requested(&service).await;
    while hear(&place).await.received > 0 {}
    follow(&place).await;
    let body = json!({ "event": "Delete", "state": "deleted", "vpcEndpointId": request.endpoint, "serviceId": service.aws_id });
    app.forge(&body.to_string());
    hear(&place).await;
    let followed = follow(&place).await;
    assert_eq!((followed.followed, followed.recorded.changed), (1, 0));
    assert_eq!(app.summary(&request).await, "waiting");
}

/// Fault 15: services of nobody cost nothing.
#[sqlx::test(migrations = "./migrations")]
async fn a_message_about_somebody_elses_service_costs_no_call(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, place) = app.listening().await;
    let before = app.calls(DESCRIBE);
    for n in 0..30 {
        app.forge(&format!("vpce-{n:017x} joined vpce-svc-{n:017x}"));
    }
    while hear(&place).await.received > 0 {}
    let followed = follow(&place).await;
    assert_eq!((followed.followed, followed.next_due), (30, None));
    assert_eq!(app.calls(DESCRIBE), before);
}

/// Fault 15: more reads than hints may cause are left to one listing.
#[sqlx::test(migrations = "./migrations")]
async fn a_flood_of_hints_is_answered_by_one_listing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let mut passes = 0;
    let mut asked = place.hints.list.listen();
    while !asked.has_changed().unwrap() {
        app.forge(&format!("look at {} again", service.aws_id));
        hear(&place).await;
        follow(&place).await;
        passes += 1;
        assert!(passes < 500, "there is no end to it");
    }
    assert!(passes > 50, "{passes}");
    asked.mark_unchanged();
    app.advance(Duration::from_secs(2));
    observe::run_pass(&place).await.unwrap();
    follow(&place).await;
    assert_eq!(
        app.count("SELECT count(*) FROM hints WHERE followed_at IS NULL")
            .await,
        0
    );
}

/// Fault 15: no body of any kind stays in the queue or ends a pass.
#[sqlx::test(migrations = "./migrations")]
async fn garbage_is_stored_or_counted_and_deleted(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let many: Vec<String> = (0..51).map(|n| format!("vpce-{n:017x}")).collect();
    let nul = json!({ "Type": "Notification", "MessageId": "\u{0}", "Message": "\u{0}" });
    let forged = json!({ "Type": "Notification", "MessageId": "x".repeat(5_000), "Message": "m" });
    let link =
        json!({ "Type": "SubscriptionConfirmation", "SubscribeURL": "http://169.254.169.254/" });
    let bodies = [
        "null".to_owned(),
        "[[[[[[".to_owned(),
        "<xml/>".to_owned(),
        "\u{1F980}".repeat(1_000),
        "vpce-".repeat(20_000),
        "a".repeat(256 * 1_024),
        many.join(" "),
        nul.to_string(),
        forged.to_string(),
        link.to_string(),
    ];
    for body in &bodies {
        app.forge(body);
    }
    let mut received = 0;
    loop {
        let heard = hear(&place).await;
        assert_eq!(heard.left, 0);
        received += heard.received;
        if heard.received == 0 {
            break;
        }
    }
    assert_eq!(received, bodies.len());
    app.advance(Duration::from_secs(31));
    assert_eq!(hear(&place).await.received, 0, "nothing comes again");
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    follow(&place).await;
    assert_eq!(app.rows(&endpoint).await, 1, "I12: and it holds up nobody");
}

/// Fault 1: between the storing and the deletion. SQS gives the message out again, and it is known.
#[sqlx::test(migrations = "./migrations")]
async fn a_worker_that_dies_before_it_deletes_hears_the_message_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    let broken = Effect::ErrorBefore {
        status: 500,
        code: "InternalFailure".to_owned(),
    };
    app.sim()
        .faults()
        .plan(Fault::once("DeleteMessageBatch", broken));
    let died = hint_queue::run_pass(&place, Duration::ZERO).await;
    assert!(died.is_err(), "{died:?}");
    drop(place);

    app.expire_leases().await;
    let heir = app.another_worker().lease_once().await.unwrap().remove(0);
    assert_eq!(follow(&heir).await.recorded.new, 1, "it was stored first");
    assert_eq!(app.rows(&endpoint).await, 1);
    app.advance(Duration::from_secs(31));
    let heard = hear(&heir).await;
    assert_eq!((heard.received, heard.new), (1, 0));
    assert_eq!(follow(&heir).await.due, 0);
    app.advance(Duration::from_secs(31));
    assert_eq!(hear(&heir).await.received, 0, "and now it is deleted");
}

/// Fault 1: between the record of what AWS showed and the mark that the hint is followed.
#[sqlx::test(migrations = "./migrations")]
async fn a_worker_that_dies_before_it_marks_looks_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    let forbid = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'dies'; END $$";
    for sql in [
        forbid,
        "CREATE TRIGGER dies BEFORE UPDATE ON hints EXECUTE FUNCTION die()",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
    let died = hint_follow::run_pass(&place).await;
    assert!(died.is_err(), "{died:?}");
    drop(place);
    assert_eq!(app.rows(&endpoint).await, 1, "recorded, and not marked");
    sqlx::query("DROP TRIGGER dies ON hints")
        .execute(app.db())
        .await
        .unwrap();

    app.expire_leases().await;
    let heir = app.another_worker().lease_once().await.unwrap().remove(0);
    let followed = follow(&heir).await;
    assert_eq!((followed.due, followed.followed), (1, 1));
    assert_eq!(followed.recorded.new + followed.recorded.changed, 0);
    let request = app.found(&endpoint).await;
    let history = app.connection(&request).await["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
}

/// The hint waits for AWS, and nothing is forgotten meanwhile.
#[sqlx::test(migrations = "./migrations")]
async fn a_read_that_fails_leaves_the_hint_to_the_next_pass(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    for effect in [Effect::Throttle, Effect::DropAnswer, Effect::DenyAction] {
        app.sim().faults().plan(Fault::once(DESCRIBE, effect));
        assert!(hint_follow::run_pass(&place).await.is_err());
    }
    assert_eq!(follow(&place).await.followed, 1);
    assert_eq!(app.rows(&endpoint).await, 1);
}

/// What the road is made of and used by, in the order of its calls.
const ROAD: [&str; 12] = [
    "GetTopicAttributes",
    "CreateTopic",
    "SetTopicAttributes",
    "GetQueueUrl",
    "CreateQueue",
    "GetQueueAttributes",
    "SetQueueAttributes",
    "ListSubscriptionsByTopic",
    "Subscribe",
    "DescribeVpcEndpointConnectionNotifications",
    "CreateVpcEndpointConnectionNotification",
    "DeleteMessageBatch",
];

/// Faults 6, 7, 8 and 14 at every call of the set-up and of the queue: it heals, there is one of everything, and the next request is heard.
#[sqlx::test(migrations = "./migrations")]
async fn the_road_heals_whatever_goes_wrong_wherever(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, _) = app.listening().await;
    for action in ROAD {
        for effect in [
            Effect::Throttle,
            Effect::DenyAction,
            Effect::ErrorBefore {
                status: 500,
                code: "InternalError".to_owned(),
            },
            Effect::DropAnswer,
        ] {
            let what = format!("{action}: {effect:?}");
            // Fresh buckets: they fill by the real clock.
            let place = app.place().await;
            app.destroy_road(&place).await;
            assert!(!hear(&place).await.has_queue, "{what}");
            app.advance(Duration::from_mins(6));
            app.sim().faults().plan(Fault::once(action, effect));
            app.mend_road(&place, &what).await;
            let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
            for _ in 0..3 {
                let _ = hint_queue::run_pass(&place, Duration::ZERO).await;
                follow(&place).await;
                app.advance(Duration::from_secs(31));
            }
            assert_eq!(app.rows(&endpoint).await, 1, "{what}");
            assert_eq!(hear(&place).await.received, 0, "{what}");
            assert_eq!(app.notifications().await.len(), 1, "{what}");
            let left = app.sim().faults().list();
            assert!(left.is_empty(), "{what}: it did not happen");
        }
    }
}
