//! AWS set up to tell by itself: every step is taken once, put right when somebody changed it, and in nobody's way when AWS denies it.

use std::time::Duration;

use portcullis::domain::hint_setup::{NAME, SetupState};
use portcullis::worker::{WorkerSettings, hint_setup, observe};
use privatelink::messaging::all_connection_events;
use privatelink::{NewConnectionNotification, TopicAttribute};
use privatelink_sim::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::hints::{follow, hear};
use crate::support::{Setup, TestApp};

const CREATE: &str = "CreateVpcEndpointConnectionNotification";
/// What the set-up changes AWS with.
const CHANGES: [&str; 8] = [
    "CreateTopic",
    "SetTopicAttributes",
    "CreateQueue",
    "SetQueueAttributes",
    "Subscribe",
    CREATE,
    "ModifyVpcEndpointConnectionNotification",
    "DeleteVpcEndpointConnectionNotifications",
];

fn changes(app: &TestApp) -> usize {
    CHANGES.iter().map(|action| app.calls(action)).sum()
}

#[sqlx::test(migrations = "./migrations")]
async fn all_of_it_is_made_once_and_shown(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    assert_eq!(app.hint_setup().await["state"], "off", "not taken up yet");
    let place = app.place().await;
    hint_setup::run_pass(&place).await.unwrap();
    let hints = app.hint_setup().await;
    assert_eq!(hints["state"], "listening", "{hints}");
    let topic = hints["topic_arn"].as_str().unwrap();
    assert!(topic.ends_with(NAME), "{topic}");
    assert!(hints["queue_url"].as_str().unwrap().ends_with(NAME));
    assert_eq!(hints["code"], Value::Null);

    let aws = app.messages();
    let read = aws.topic(topic).await.unwrap();
    assert_eq!(read.signature_version.as_deref(), Some("2"));
    assert!(read.policy.unwrap().contains("vpce.amazonaws.com"));
    let notifications = app.notifications().await;
    assert_eq!(notifications.len(), 1);
    assert_eq!(notifications[0].service_id, Some(service.aws_id));
    assert_eq!(notifications[0].events, all_connection_events());

    let before = changes(&app);
    for _ in 0..3 {
        app.advance(Duration::from_mins(6));
        hint_setup::run_pass(&place).await.unwrap();
    }
    assert_eq!(changes(&app), before, "there is nothing to change");
    assert_eq!(app.hint_setup().await["since"], hints["since"]);
}

/// A new service does not wait for the next look at everything.
#[sqlx::test(migrations = "./migrations")]
async fn a_new_service_is_told_of_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, place) = app.listening().await;
    let second = app.created_service("second").await;
    let calls = app.calls(CREATE);
    hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(app.calls(CREATE), calls + 1);
    app.consumer().create_endpoint(&second.name).unwrap();
    assert_eq!(hear(&place).await.new, 1);
    assert_eq!(follow(&place).await.recorded.new, 1);
}

/// Whatever is taken away or changed by hand, the road works again afterwards.
#[sqlx::test(migrations = "./migrations")]
async fn what_somebody_changed_is_put_right(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let aws = app.messages();
    let hints = app.hint_setup().await;
    let topic = hints["topic_arn"].as_str().unwrap();
    let queue = hints["queue_url"].as_str().unwrap();
    let nobody = json!({ "Statement": [{ "Sid": "theirs", "Effect": "Allow", "Principal": { "AWS": "111122223333" },
        "Action": "SNS:Publish", "Resource": "*" }] });
    for round in 0..5 {
        let notification = app.notifications().await.remove(0);
        match round {
            0 => aws
                .set_topic_attribute(topic, TopicAttribute::Policy(&nobody.to_string()))
                .await
                .unwrap(),
            1 => aws
                .set_topic_attribute(topic, TopicAttribute::SignatureVersion("1"))
                .await
                .unwrap(),
            2 => aws
                .set_queue_policy(queue, &nobody.to_string())
                .await
                .unwrap(),
            3 => {
                let events = ["Delete".to_owned()].into();
                aws.modify_connection_notification(&notification.id, topic, &events)
                    .await
                    .unwrap();
            }
            _ => {
                aws.delete_connection_notification(&notification.id)
                    .await
                    .unwrap();
            }
        }
        app.advance(Duration::from_mins(6));
        let report = hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(report.state, SetupState::Listening, "round {round}");
        app.consumer().create_endpoint(&service.name).unwrap();
        assert_eq!(hear(&place).await.new, 1, "round {round}");
        assert_eq!(follow(&place).await.recorded.new, 1, "round {round}");
    }
    let policy = aws.topic(topic).await.unwrap().policy.unwrap();
    assert!(policy.contains("theirs"), "theirs stays: {policy}");
    let read = aws.topic(topic).await.unwrap();
    assert_eq!(read.signature_version.as_deref(), Some("2"));
    assert_eq!(app.notifications().await.len(), 1);
}

/// The queue is gone: SQS keeps its name for a minute, then there is a new one.
#[sqlx::test(migrations = "./migrations")]
async fn a_deleted_queue_is_made_anew(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    let (account, region) = (&place.lease.place.account, &place.lease.place.region);
    let caller = app.sim().caller(account, region);
    let at = privatelink_sim::world::messaging::queues::QueueName {
        account: account.clone(),
        name: NAME.to_owned(),
    };
    app.sim()
        .with_world(|world| world.delete_queue(&caller, &at))
        .unwrap()
        .unwrap();
    assert!(!hear(&place).await.has_queue, "noticed by whoever receives");
    assert_eq!(app.hint_setup().await["state"], "setting_up");
    assert!(hint_setup::run_pass(&place).await.is_err(), "too soon");
    assert_eq!(app.hint_setup().await["code"], "QueueDeletedRecently");
    app.advance(Duration::from_secs(61));
    hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(app.hint_setup().await["state"], "listening");
    app.consumer().create_endpoint(&service.name).unwrap();
    assert_eq!(hear(&place).await.new, 1);
}

/// Whatever AWS denies, connections are found by listing, and the set-up heals by itself when AWS allows it.
#[sqlx::test(migrations = "./migrations")]
async fn a_denied_set_up_is_shown_and_in_nobodys_way(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let place = app.place().await;
    for (action, code) in [
        ("CreateTopic", "AuthorizationError"),
        ("SetTopicAttributes", "AuthorizationError"),
        ("GetQueueUrl", "AccessDenied"),
        ("Subscribe", "AuthorizationError"),
        (
            "DescribeVpcEndpointConnectionNotifications",
            "UnauthorizedOperation",
        ),
        (CREATE, "UnauthorizedOperation"),
    ] {
        let fault = Fault::always(action, Effect::DenyAction);
        let fault = app.sim().faults().plan(fault);
        let report = hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(report.state, SetupState::Failed, "{action}");
        let hints = app.hint_setup().await;
        assert_eq!(
            (&hints["state"], &hints["code"]),
            (&json!("failed"), &json!(code)),
            "{action}"
        );
        assert!(
            hints["message"]
                .as_str()
                .unwrap()
                .contains("not authorized"),
            "{hints}"
        );
        let calls = app.sim().calls().count();
        hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(
            app.sim().calls().count(),
            calls,
            "it is left alone for a while"
        );
        app.consumer().create_endpoint(&service.name).unwrap();
        let swept = observe::run_pass(&place).await.unwrap();
        assert_eq!(swept.recorded.new, 1, "{action}");
        app.sim().faults().remove(fault);
        app.advance(Duration::from_secs(61));
    }
    let report = hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(report.state, SetupState::Listening);
    assert_eq!(app.hint_setup().await["code"], Value::Null);
    app.consumer().create_endpoint(&service.name).unwrap();
    while hear(&place).await.received > 0 {}
    assert_eq!(follow(&place).await.recorded.new, 1);
}

/// One service that AWS refuses does not keep the others from theirs.
#[sqlx::test(migrations = "./migrations")]
async fn a_notification_that_is_refused_does_not_keep_others(pool: PgPool) {
    let app = TestApp::start(pool);
    let first = app.with_service().await;
    let second = app.created_service("second").await;
    let place = app.place().await;
    let fault = Fault {
        about: Some(first.aws_id.to_string()),
        ..Fault::once(CREATE, Effect::DenyAction)
    };
    app.sim().faults().plan(fault);
    let report = hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(report.state, SetupState::Failed);
    app.consumer().create_endpoint(&second.name).unwrap();
    assert_eq!(hear(&place).await.new, 1, "what stands is used");
    app.advance(Duration::from_secs(61));
    let report = hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(report.state, SetupState::Listening);
    assert_eq!(app.notifications().await.len(), 2);
}

/// The answer to a create is lost: the same token finds it, and there is one.
#[sqlx::test(migrations = "./migrations")]
async fn a_set_up_that_dies_on_the_way_goes_on(pool: PgPool) {
    let app = TestApp::start(pool);
    app.with_service().await;
    for action in CHANGES.iter().take(6) {
        let place = app.place().await;
        let lost = Fault::once(action, Effect::DropAnswer);
        app.sim().faults().plan(lost);
        assert!(hint_setup::run_pass(&place).await.is_err(), "{action}");
        let hints = app.hint_setup().await;
        assert_eq!(hints["state"], "setting_up", "{action}: {hints}");
    }
    let place = app.place().await;
    let report = hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(report.state, SetupState::Listening);
    assert_eq!(app.notifications().await.len(), 1);
}

/// Somebody had one made for our topic already, perhaps us with another database.
#[sqlx::test(migrations = "./migrations")]
async fn a_notification_that_is_there_is_adopted_and_completed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let aws = app.messages();
    let made = aws
        .create_connection_notification(&NewConnectionNotification {
            client_token: "theirs".to_owned(),
            service_id: service.aws_id.clone(),
            topic_arn: aws.create_topic(NAME).await.unwrap(),
            events: ["Connect".to_owned()].into(),
        })
        .await
        .unwrap();
    let place = app.place().await;
    hint_setup::run_pass(&place).await.unwrap();
    let all = app.notifications().await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (&all[0].id, &all[0].events),
        (&made.id, &all_connection_events())
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn without_the_setting_nothing_is_set_up(pool: PgPool) {
    let usual = Setup::default();
    let setup = Setup {
        settings: WorkerSettings {
            notifications: false,
            ..usual.settings
        },
        ..usual
    };
    let app = TestApp::start_with(pool, setup);
    app.with_service().await;
    let place = app.place().await;
    let report = hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(report.state, SetupState::Off);
    assert_eq!(changes(&app), 0);
    assert!(!hear(&place).await.has_queue);
    assert_eq!(app.hint_setup().await["state"], "off");
}

/// An alarm when messages stop and listings still find changes; gone when messages come again.
#[sqlx::test(migrations = "./migrations")]
async fn messages_that_stop_coming_are_noticed(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, place) = app.listening().await;
    app.advance(Duration::from_mins(2));
    app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    follow(&place).await;
    let silent = &place.shared.metrics.hints_silent;
    let lost = Fault::always("Connect", Effect::LoseNotification);
    let lost = app.sim().faults().plan(lost);
    for minute in 1..=4 {
        app.advance(Duration::from_secs(61));
        app.consumer().create_endpoint(&service.name).unwrap();
        observe::run_pass(&place).await.unwrap();
        hint_setup::run_pass(&place).await.unwrap();
        let hints = app.hint_setup().await;
        // Three are enough, if the first is a minute old.
        let wanted = if minute < 3 {
            Value::Null
        } else {
            json!(minute)
        };
        assert_eq!(
            hints["silent"]["missed_connections"], wanted,
            "{minute}: {hints}"
        );
        assert_eq!(silent.get(), i64::from(minute >= 3));
    }
    app.sim().faults().remove(lost);
    app.consumer().create_endpoint(&service.name).unwrap();
    hear(&place).await;
    assert_eq!(app.hint_setup().await["silent"], Value::Null);
    app.advance(Duration::from_secs(61));
    hint_setup::run_pass(&place).await.unwrap();
    assert_eq!(silent.get(), 0);
}

/// One lost message of a quiet service is told later, and a fleet that was there before is none at all.
#[sqlx::test(migrations = "./migrations")]
async fn connections_from_before_are_no_silence(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for _ in 0..5 {
        app.consumer().create_endpoint(&service.name).unwrap();
    }
    let place = app.place().await;
    hint_setup::run_pass(&place).await.unwrap();
    observe::run_pass(&place).await.unwrap();
    for _ in 0..4 {
        app.advance(Duration::from_mins(6));
        hint_setup::run_pass(&place).await.unwrap();
        hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(app.hint_setup().await["silent"], Value::Null);
    }
    let lost = Fault::once("Connect", Effect::LoseNotification);
    app.sim().faults().plan(lost);
    app.consumer().create_endpoint(&service.name).unwrap();
    observe::run_pass(&place).await.unwrap();
    for (minutes, missed) in [(6, Value::Null), (10, json!(1))] {
        app.advance(Duration::from_mins(minutes));
        hint_setup::run_pass(&place).await.unwrap();
        hint_setup::run_pass(&place).await.unwrap();
        assert_eq!(
            app.hint_setup().await["silent"]["missed_connections"],
            missed
        );
    }
}
