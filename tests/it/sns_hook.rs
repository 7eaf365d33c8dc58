//! What SNS posts to `/hooks/sns` when all is well: from the simulator over real sockets, with real signatures of both versions.

use std::net::TcpListener;

use portcullis::domain::clock::Clock as _;
use portcullis::sns::settings::SnsSettings;
use serde_json::json;
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::sns::{self, Envelope, FakeAws, Oddity, Signer};
use crate::support::{Answer, HERE, PROVIDER, Setup, TestApp};

/// The simulated AWS on a socket, and the product that reaches it there.
struct Story {
    app: TestApp,
    aws: String,
    topic: String,
}

impl Story {
    async fn begin(pool: PgPool, settings: SnsSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let aws = format!("http://{}", listener.local_addr().unwrap());
        // The authority is of the process: any simulator shows the same one.
        let other = privatelink_sim::Simulator::new(privatelink_sim::SimConfig::default()).unwrap();
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        let probe_url = format!("http://{}", probe.local_addr().unwrap());
        let (server, handle) = other.serve(probe).unwrap();
        tokio::spawn(server);
        let root = reqwest::get(format!("{probe_url}/_sim/sns/root.pem")).await;
        let root = root.unwrap().text().await.unwrap();
        handle.stop(false).await;

        let setup = Setup {
            hook: Some(sns::hook_to(&aws, &root, &settings)),
            ..Setup::default()
        };
        let app = TestApp::start_with(pool, setup);
        let (server, _) = app.sim().serve(listener).unwrap();
        tokio::spawn(server);
        app.add_account_region().await;
        let topic = sns::topic();
        Self { app, aws, topic }
    }

    /// Calls an action of the simulated AWS over the wire, as the provider.
    async fn call(&self, service: &str, version: &str, form: &[(&str, &str)]) -> String {
        let scope = format!("Credential={PROVIDER}/20260101/{HERE}/{service}/aws4_request");
        let mut all = vec![("Version", version)];
        all.extend(form);
        let request = self.app.client.post(format!("{}/", self.aws)).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00"),
        );
        let answer = send(request.form(&all)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    async fn sns(&self, form: &[(&str, &str)]) -> String {
        self.call("sns", "2010-03-31", form).await
    }

    /// A topic that lets PrivateLink publish, and the hook subscribed to it.
    async fn subscribe(&self, signature_version: &str) {
        self.sns(&[
            ("Action", "CreateTopic"),
            ("Name", "portcullis-connections"),
        ])
        .await;
        let policy = json!({"Statement": [{
            "Effect": "Allow", "Principal": {"Service": "vpce.amazonaws.com"}, "Action": "SNS:Publish",
            "Resource": self.topic,
        }]});
        for (name, value) in [
            ("Policy", policy.to_string()),
            ("SignatureVersion", signature_version.to_owned()),
        ] {
            self.sns(&[
                ("Action", "SetTopicAttributes"),
                ("TopicArn", &self.topic),
                ("AttributeName", name),
                ("AttributeValue", &value),
            ])
            .await;
        }
        let hook = format!("{}/hooks/sns", self.app.address);
        let subscribe = [
            ("Action", "Subscribe"),
            ("Protocol", "http"),
            ("TopicArn", &self.topic),
            ("Endpoint", &hook),
        ];
        self.sns(&subscribe).await;
    }

    /// Waits for a number of audit entries or hints to be there.
    async fn wait_for(&self, sql: &'static str, count: i64) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let found = self.app.count(sql).await;
            if found == count {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{found} instead of {count}: {sql}"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn confirmed(&self) -> bool {
        let listed = self
            .sns(&[
                ("Action", "ListSubscriptionsByTopic"),
                ("TopicArn", &self.topic),
            ])
            .await;
        listed.contains("<SubscriptionArn>arn:aws:sns:")
    }
}

const CONFIRMED: &str = "SELECT count(*) FROM audit_entries WHERE action = 'sns_subscription.confirm' AND actor_kind = 'aws'";
const ENDED: &str = "SELECT count(*) FROM audit_entries WHERE action = 'sns_subscription.end'";

async fn the_whole_story(pool: PgPool, settings: SnsSettings, signature_version: &str) {
    let story = Story::begin(pool, settings).await;
    let app = &story.app;
    let service = app.created_service("edge").await;
    story.subscribe(signature_version).await;
    story.wait_for(CONFIRMED, 1).await;
    assert!(story.confirmed().await);

    story
        .call(
            "ec2",
            "2016-11-15",
            &[
                ("Action", "CreateVpcEndpointConnectionNotification"),
                ("ServiceId", service.aws_id.as_str()),
                ("ConnectionNotificationArn", &story.topic),
                ("ConnectionEvents.1", "Connect"),
            ],
        )
        .await;
    let mut nudged = app.shared.nudge.listen();
    let endpoint = app.consumer().create_endpoint(&service.name).unwrap();
    // The confirmation is kept as a hint that names nothing.
    story.wait_for("SELECT count(*) FROM hints", 2).await;
    let (services, endpoints): (Vec<String>, Vec<String>) = sqlx::query_as(
        "SELECT service_ids, endpoint_ids FROM hints WHERE source = 'http' ORDER BY cardinality(endpoint_ids) DESC LIMIT 1",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(services, [service.aws_id.to_string()]);
    assert_eq!(endpoints, [endpoint.to_string()]);
    // The worker is woken right after the commit that made the hint visible.
    let woken = tokio::time::timeout(std::time::Duration::from_secs(10), nudged.changed()).await;
    woken.expect("the worker was not woken").unwrap();

    let listed = story
        .sns(&[
            ("Action", "ListSubscriptionsByTopic"),
            ("TopicArn", &story.topic),
        ])
        .await;
    let arn = listed.split("<SubscriptionArn>").nth(1).unwrap();
    let arn = arn.split('<').next().unwrap();
    story
        .sns(&[("Action", "Unsubscribe"), ("SubscriptionArn", arn)])
        .await;
    story.wait_for(ENDED, 1).await;
    assert!(!story.confirmed().await, "the end was undone");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_notification_of_the_simulator_becomes_a_hint(pool: PgPool) {
    Box::pin(the_whole_story(pool, SnsSettings::default(), "2")).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn signatures_of_version_1_are_taken_where_that_is_allowed(pool: PgPool) {
    let settings = SnsSettings {
        allow_signature_v1: true,
        ..SnsSettings::default()
    };
    Box::pin(the_whole_story(pool, settings, "1")).await;
}

/// The hook of a signer of ours, for what the simulator cannot be made to send.
async fn listening(
    pool: PgPool,
    settings: &SnsSettings,
) -> (TestApp, Signer, std::sync::Arc<FakeAws>) {
    let signer = Signer::new(Oddity::None);
    let (hook, aws) = sns::hook(&signer, settings);
    let setup = Setup {
        hook: Some(hook),
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    app.add_account_region().await;
    (app, signer, aws)
}

async fn post(app: &TestApp, envelope: &Envelope) -> Answer {
    let request = app
        .client
        .post(format!("{}/hooks/sns", app.address))
        .header("x-amz-sns-message-type", envelope.text("Type"))
        .header("x-amz-sns-message-id", envelope.text("MessageId"))
        .header("x-amz-sns-topic-arn", envelope.text("TopicArn"))
        .body(envelope.body());
    send(request).await
}

#[track_caller]
fn became(answer: Answer, outcome: &str) {
    assert_eq!(answer.good()["outcome"], outcome);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_message_counts_once_however_often_it_comes(pool: PgPool) {
    let (app, signer, _) = listening(pool, &SnsSettings::default()).await;
    let message = Envelope::notification(app.clock.now(), "vpce-0fedcba9876543210").signed(&signer);
    became(post(&app, &message).await, "stored");
    for _ in 0..3 {
        became(post(&app, &message).await, "repeated");
    }
    let both = tokio::join!(async {
        let message = Envelope::notification(app.clock.now(), "at once").signed(&signer);
        tokio::join!(post(&app, &message), post(&app, &message))
    });
    let mut outcomes = [both.0.0, both.0.1].map(|a| a.good()["outcome"].to_string());
    outcomes.sort();
    assert_eq!(outcomes, ["\"repeated\"", "\"stored\""]);
    assert_eq!(app.count("SELECT count(*) FROM hints").await, 2);
}

/// Whatever is in a message, only ids of PrivateLink are taken from it.
#[sqlx::test(migrations = "./migrations")]
async fn escapes_subjects_and_strange_texts_are_read_as_they_were_signed(pool: PgPool) {
    let (app, signer, _) = listening(pool, &SnsSettings::default()).await;
    let now = app.clock.now();
    let strange = [
        Envelope::notification(
            now,
            "line\nline\r\n\t\"quoted\" \\ \u{1F980} \u{0} \u{2028}",
        ),
        Envelope::notification(now, "with a subject").with("Subject", "a \"subject\"\n"),
        Envelope::notification(now, "an empty subject").with("Subject", ""),
        Envelope::notification(now, ""),
        Envelope::notification(now, &"x".repeat(256 * 1024)),
        Envelope::notification(
            now,
            "Message\nforged\nMessageId\nx\nTopicArn\ny\nType\nNotification\n",
        ),
    ];
    let count = i64::try_from(strange.len()).unwrap();
    for message in strange {
        became(post(&app, &message.signed(&signer)).await, "stored");
    }
    let named = "SELECT count(*) FROM hints WHERE service_ids <> '{}' OR endpoint_ids <> '{}'";
    assert_eq!(app.count(named).await, 0);
    assert_eq!(app.count("SELECT count(*) FROM hints").await, count);

    // Written with escapes that a writer need not use; what is signed is the text behind them.
    let message = Envelope::notification(now, "vpce-0fedcba9876543210").signed(&signer);
    let body = String::from_utf8(message.body()).unwrap();
    let body = body
        .replace("vpce-0fed", "\\u0076pce-0f\\u0065d")
        .replace("https://", "https:\\/\\/");
    let request = app
        .client
        .post(format!("{}/hooks/sns", app.address))
        .header("x-amz-sns-message-type", "Notification")
        .body(body);
    became(send(request).await, "stored");
    assert_eq!(app.count(named).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_topic_of_another_name_is_listened_to_where_it_is_listed(pool: PgPool) {
    let settings = SnsSettings {
        topics: vec![sns::topic().replace("portcullis", "other")],
        ..SnsSettings::default()
    };
    let (app, signer, _) = listening(pool, &settings).await;
    let of = |name: &str| {
        Envelope::notification(app.clock.now(), "x")
            .with("TopicArn", &sns::topic().replace("portcullis", name))
            .signed(&signer)
    };
    became(post(&app, &of("other")).await, "stored");
    became(post(&app, &of("portcullis")).await, "stored");
    post(&app, &of("third"))
        .await
        .refused("not listed", 403, "sns_topic_not_allowed");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_subscription_is_confirmed_once_and_again_after_a_failure(pool: PgPool) {
    let (app, signer, aws) = listening(pool, &SnsSettings::default()).await;
    let asked = Envelope::confirmation(app.clock.now()).signed(&signer);
    // AWS refuses at first: SNS shall ask again, and nothing is recorded.
    post(&app, &asked)
        .await
        .refused("refused", 503, "unavailable");
    assert_eq!(app.count(CONFIRMED).await, 0);
    let url = asked.text("SubscribeURL").to_owned();
    aws.answers(&url, Ok(b"<ConfirmSubscriptionResponse/>".to_vec()));
    became(post(&app, &asked).await, "confirmed");
    became(post(&app, &asked).await, "repeated");
    assert_eq!(app.count(CONFIRMED).await, 1);
    let times = aws.asked().iter().filter(|asked| **asked == url).count();
    assert_eq!(times, 2, "a repeat is not confirmed again");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_end_of_a_subscription_is_noted_and_never_undone(pool: PgPool) {
    let (app, signer, aws) = listening(pool, &SnsSettings::default()).await;
    let over = Envelope::confirmation(app.clock.now())
        .with("Type", "UnsubscribeConfirmation")
        .signed(&signer);
    became(post(&app, &over).await, "ended");
    became(post(&app, &over).await, "repeated");
    assert_eq!(app.count(ENDED).await, 1);
    assert_eq!(aws.asked(), [sns::certificate_url()]);
}

/// The edges of the replay window belong to it.
#[sqlx::test(migrations = "./migrations")]
async fn an_hour_old_is_not_too_old(pool: PgPool) {
    let (app, signer, _) = listening(pool, &SnsSettings::default()).await;
    for minutes in [-60, -59, 0, 59, 60] {
        let at = app.clock.now() + chrono::TimeDelta::minutes(minutes);
        let message = Envelope::notification(at, "x").signed(&signer);
        became(post(&app, &message).await, "stored");
    }
}
