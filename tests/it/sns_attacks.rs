//! What anybody on the internet could post to `/hooks/sns`, and what it is answered. Nothing of it may be stored; what time can mend is answered
//! with 5xx, because SNS never repeats what was answered with 4xx.

use chrono::TimeDelta;
use portcullis::domain::clock::Clock as _;
use portcullis::sns::fetch::FetchError;
use portcullis::sns::settings::SnsSettings;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::http::send;
use crate::support::sns::{
    Distant, Envelope, FakeAws, ISSUER, Oddity, Signer, certificate_url, hook, topic,
};
use crate::support::{Answer, Setup, TestApp};

const NAMED: &str = r#"{"vpcEndpointId":"vpce-0fedcba9876543210"}"#;

async fn listening(pool: PgPool, signer: &Signer) -> (TestApp, std::sync::Arc<FakeAws>) {
    listening_with(pool, signer, &SnsSettings::default()).await
}

async fn listening_with(
    pool: PgPool,
    signer: &Signer,
    settings: &SnsSettings,
) -> (TestApp, std::sync::Arc<FakeAws>) {
    let (hook, aws) = hook(signer, settings);
    let setup = Setup {
        hook: Some(hook),
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    app.add_account_region().await;
    (app, aws)
}

impl TestApp {
    /// Posts as SNS does, with headers that agree with the envelope.
    async fn sns(&self, envelope: &Envelope) -> Answer {
        self.sns_body(envelope.text("Type"), envelope.body()).await
    }

    async fn sns_body(&self, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .client
            .post(format!("{}/hooks/sns", self.address))
            .header("content-type", "text/plain; charset=UTF-8")
            .header("x-amz-sns-message-type", kind)
            .body(body);
        send(request).await
    }

    /// A post that has sent its header and, chunked, the first half of its body; with what is left.
    async fn half_posted(&self, body: &[u8]) -> (TcpStream, Vec<u8>) {
        let address = self.address.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = "POST /hooks/sns HTTP/1.1\r\nhost: test\r\nx-amz-sns-message-type: Notification\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let (half, rest) = body.split_at(body.len() / 2);
        if !half.is_empty() {
            let chunk = [format!("{:x}\r\n", half.len()).as_bytes(), half, b"\r\n"].concat();
            socket.write_all(&chunk).await.unwrap();
        }
        (socket, rest.to_vec())
    }

    async fn hints(&self) -> i64 {
        self.count("SELECT count(*) FROM hints").await
    }

    fn notification(&self) -> Envelope {
        Envelope::notification(self.clock.now(), NAMED)
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_forged_altered_or_foreign_is_refused_for_ever(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, aws) = listening(pool, &signer).await;
    let (now, hour) = (app.clock.now(), TimeDelta::hours(1));
    let url = certificate_url();
    let file = url.rsplit('/').next().unwrap().to_owned();
    let at = |host: &str| {
        app.notification()
            .with("SigningCertURL", &format!("{host}/{file}"))
            .signed(&signer)
    };
    let invalid = "sns_signature_invalid";
    let attacks = [
        ("another host", at("https://evil.example"), 403, invalid),
        (
            "another Region's host",
            at("https://sns.us-east-1.amazonaws.com"),
            403,
            invalid,
        ),
        (
            "a look-alike",
            at("https://sns.eu-west-1.amazonaws.com.evil.example"),
            403,
            invalid,
        ),
        (
            "another look-alike",
            at("https://sns-eu-west-1.amazonaws.com"),
            403,
            invalid,
        ),
        (
            "another service of AWS",
            at("https://s3.eu-west-1.amazonaws.com"),
            403,
            invalid,
        ),
        (
            "plain HTTP",
            at("http://sns.eu-west-1.amazonaws.com"),
            403,
            invalid,
        ),
        (
            "a port",
            at("https://sns.eu-west-1.amazonaws.com:8443"),
            403,
            invalid,
        ),
        (
            "a user",
            at("https://me@sns.eu-west-1.amazonaws.com"),
            403,
            invalid,
        ),
        (
            "a user that looks like the host",
            at("https://sns.eu-west-1.amazonaws.com@evil.example"),
            403,
            invalid,
        ),
        (
            "the metadata service",
            at("http://169.254.169.254"),
            403,
            invalid,
        ),
        (
            "another path",
            at("https://sns.eu-west-1.amazonaws.com/x"),
            403,
            invalid,
        ),
        (
            "another message",
            app.notification()
                .signed(&signer)
                .with("Message", "vpce-00000000000000000"),
            403,
            invalid,
        ),
        (
            "another time",
            app.notification()
                .signed(&signer)
                .with("Timestamp", "2026-11-26T00:00:00.000Z"),
            403,
            "*",
        ),
        (
            "another id",
            app.notification()
                .signed(&signer)
                .with("MessageId", "5bd0a5e6-0000"),
            403,
            invalid,
        ),
        (
            "an added subject",
            app.notification().signed(&signer).with("Subject", "x"),
            403,
            invalid,
        ),
        (
            "a removed subject",
            removed(
                app.notification().with("Subject", "x").signed(&signer),
                "Subject",
            ),
            403,
            invalid,
        ),
        (
            "somebody else's signature",
            app.notification().signed(&Signer::new(Oddity::None)),
            403,
            invalid,
        ),
        (
            "an empty signature",
            app.notification().with("Signature", ""),
            403,
            invalid,
        ),
        (
            "version 1",
            app.notification()
                .signed(&signer)
                .with("SignatureVersion", "1"),
            403,
            invalid,
        ),
        (
            "version 3",
            app.notification()
                .signed(&signer)
                .with("SignatureVersion", "3"),
            400,
            "sns_message_malformed",
        ),
        (
            "old",
            Envelope::notification(now - hour - TimeDelta::seconds(1), NAMED).signed(&signer),
            403,
            "sns_message_too_old",
        ),
        (
            "from the future",
            Envelope::notification(now + hour + TimeDelta::seconds(1), NAMED).signed(&signer),
            403,
            "sns_message_too_old",
        ),
        (
            "a topic of another name",
            foreign(&app, &topic().replace("portcullis", "other")).signed(&signer),
            403,
            "sns_topic_not_allowed",
        ),
        (
            "a topic of another account",
            foreign(&app, &topic().replace("111122223333", "999988887777")).signed(&signer),
            403,
            "sns_topic_not_allowed",
        ),
        (
            "the topic changed after signing",
            foreign(&app, &topic())
                .signed(&signer)
                .with("TopicArn", &topic().replace("1111", "9999")),
            403,
            "sns_topic_not_allowed",
        ),
        (
            "no topic",
            foreign(&app, "arn:aws:sqs:eu-west-1:111122223333:q").signed(&signer),
            400,
            "sns_message_malformed",
        ),
        (
            "a type that SNS has not",
            app.notification().with("Type", "Gossip").signed(&signer),
            400,
            "sns_message_malformed",
        ),
        (
            "a confirmation elsewhere",
            Envelope::confirmation(now)
                .with(
                    "SubscribeURL",
                    "https://evil.example/?Action=ConfirmSubscription",
                )
                .signed(&signer),
            403,
            invalid,
        ),
        (
            "a confirmation of another topic",
            other_confirmation(now).signed(&signer),
            403,
            invalid,
        ),
        (
            "a confirmation that is not signed",
            Envelope::confirmation(now).with("Signature", "AAAA"),
            403,
            invalid,
        ),
    ];
    for (what, envelope, status, code) in attacks {
        let answer = app.sns(&envelope).await;
        if code == "*" {
            assert_eq!(answer.status, status, "{what}: {}", answer.text);
        } else {
            answer.refused(what, status, code);
        }
        assert_eq!(answer.header("retry-after"), "", "{what}");
    }
    assert_eq!(app.hints().await, 0);
    assert_eq!(
        aws.asked(),
        [certificate_url()],
        "nothing else was asked for, and that once"
    );
    // The same without a flaw is taken.
    assert_eq!(
        app.sns(&app.notification().signed(&signer)).await.good()["outcome"],
        "stored"
    );
}

fn removed(mut envelope: Envelope, name: &str) -> Envelope {
    envelope.0.remove(name);
    envelope
}

fn foreign(app: &TestApp, arn: &str) -> Envelope {
    app.notification().with("TopicArn", arn)
}

fn other_confirmation(now: chrono::DateTime<chrono::Utc>) -> Envelope {
    let asked = Envelope::confirmation(now);
    let url = asked.text("SubscribeURL").replace("portcullis", "other");
    asked.with("SubscribeURL", &url)
}

#[sqlx::test(migrations = "./migrations")]
async fn bodies_that_are_no_messages_are_refused(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, aws) = listening(pool, &signer).await;
    let good = app.notification().signed(&signer);
    let text = String::from_utf8(good.body()).unwrap();
    let mut broken = text.clone().into_bytes();
    let place = text.find("vpcEndpointId").unwrap();
    broken[place] = 0xff;
    let bodies = [
        ("nothing", Vec::new()),
        ("a raw message", NAMED.as_bytes().to_vec()),
        ("bad UTF-8", broken),
        (
            "half a surrogate pair",
            text.replace("vpcEndpointId", "\\ud800").into_bytes(),
        ),
        ("depth", "[".repeat(200_000).into_bytes()),
        (
            "depth in a member",
            format!("{{\"Message\":{}", "[".repeat(200_000)).into_bytes(),
        ),
        ("an array", b"[\"Notification\"]".to_vec()),
        ("something behind it", format!("{text} {{}}").into_bytes()),
        (
            "a member twice",
            text.replacen('{', "{\"Message\":\"x\",", 1).into_bytes(),
        ),
    ];
    for (what, body) in bodies {
        let answer = app.sns_body("Notification", body).await;
        answer.refused(what, 400, "sns_message_malformed");
    }
    let large = app.sns_body("Notification", vec![b' '; 300_000]).await;
    large.refused("300 kB", 413, "payload_too_large");
    let (mut socket, _) = app.half_posted(&[]).await;
    // 300 kB in chunks, so that nothing declares how many there will be.
    let chunk = [b"3e8\r\n".to_vec(), vec![b' '; 1_000], b"\r\n".to_vec()].concat();
    socket.write_all(&chunk.repeat(300)).await.unwrap();
    let answer = heard(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("payload_too_large"), "{answer}");
    app.sns_body("SubscriptionConfirmation", good.body())
        .await
        .refused("another type in the header", 400, "sns_message_malformed");
    let raw = app
        .client
        .post(format!("{}/hooks/sns", app.address))
        .header("x-amz-sns-message-type", "Notification")
        .header("x-amz-sns-rawdelivery", "true")
        .body(good.body());
    send(raw)
        .await
        .refused("raw delivery", 400, "sns_message_malformed");
    assert_eq!(app.hints().await, 0);
    assert!(aws.asked().is_empty(), "{:?}", aws.asked());
}

#[sqlx::test(migrations = "./migrations")]
async fn certificates_that_are_not_of_sns_are_refused_and_remembered(pool: PgPool) {
    let mut bad: Vec<(&str, String, Signer)> = [
        ("expired", Oddity::Expired),
        ("not valid yet", Oddity::NotYet),
        ("signed by itself", Oddity::SelfSigned),
        ("of another name", Oddity::OtherName),
    ]
    .map(|(what, oddity)| {
        let signer = Signer::new(oddity);
        (what, signer.certificate.clone(), signer)
    })
    .into();
    let stranger = Signer::new(Oddity::None);
    bad.push((
        "of another authority",
        stranger.certificate.clone(),
        stranger,
    ));
    bad.push((
        "no certificate",
        "hello".to_owned(),
        Signer::new(Oddity::None),
    ));
    let trusted = Signer::new(Oddity::None);
    for (number, (what, certificate, signer)) in bad.into_iter().enumerate() {
        // All but the stranger's authority is trusted, so that only the oddity is at fault.
        let trusts = if what == "of another authority" {
            &trusted
        } else {
            &signer
        };
        let (app, aws) = if number == 0 {
            listening(pool.clone(), trusts).await
        } else {
            let (hook, aws) = hook(trusts, &SnsSettings::default());
            let setup = Setup {
                hook: Some(hook),
                ..Setup::default()
            };
            (TestApp::start_with(pool.clone(), setup), aws)
        };
        aws.answers(&certificate_url(), Ok(certificate.into_bytes()));
        for _ in 0..3 {
            let answer = app.sns(&app.notification().signed(&signer)).await;
            answer.refused(what, 403, "sns_signature_invalid");
        }
        assert_eq!(aws.asked().len(), 1, "{what}");
        assert_eq!(app.hints().await, 0);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_certificate_that_cannot_be_fetched_is_asked_for_again_later(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, aws) = listening(pool, &signer).await;
    let message = app.notification().signed(&signer);
    for failure in [
        FetchError::NoAnswer("connection refused".to_owned()),
        FetchError::Status(302),
        FetchError::Status(500),
        FetchError::TooLong,
    ] {
        let before = aws.asked().len();
        aws.answers(&certificate_url(), Err(failure.clone()));
        for _ in 0..3 {
            let answer = app.sns(&message).await;
            answer.refused(&format!("{failure:?}"), 503, "unavailable");
            assert_eq!(answer.header("retry-after"), "10");
        }
        assert_eq!(aws.asked().len(), before + 1, "a failure is remembered");
        app.advance(std::time::Duration::from_secs(16));
    }
    aws.answers(
        &certificate_url(),
        Ok(signer.certificate.clone().into_bytes()),
    );
    assert_eq!(app.sns(&message).await.good()["outcome"], "stored");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_issuer_that_sns_leaves_out_is_fetched_once(pool: PgPool) {
    let Distant { signer, issuer } = Distant::new(ISSUER);
    let (app, aws) = listening(pool, &signer).await;
    let message = app.notification().signed(&signer);
    app.sns(&message)
        .await
        .refused("no issuer", 503, "unavailable");
    aws.answers(ISSUER, Ok(issuer));
    app.advance(std::time::Duration::from_secs(16));
    assert_eq!(app.sns(&message).await.good()["outcome"], "stored");
    let again = app.notification().signed(&signer);
    assert_eq!(app.sns(&again).await.good()["outcome"], "stored");
    let asked = [certificate_url(), ISSUER.to_owned()];
    assert_eq!(aws.asked(), [asked.clone(), asked].concat());
}

#[sqlx::test(migrations = "./migrations")]
async fn an_issuer_elsewhere_is_not_asked_for(pool: PgPool) {
    let Distant { signer, issuer } = Distant::new("http://evil.example/r2m01.cer");
    let (app, aws) = listening(pool, &signer).await;
    aws.answers("http://evil.example/r2m01.cer", Ok(issuer));
    let answer = app.sns(&app.notification().signed(&signer)).await;
    answer.refused("elsewhere", 403, "sns_signature_invalid");
    assert_eq!(aws.asked(), [certificate_url()]);
}

/// Invented names of certificates cost a bounded number of requests to AWS, and a certificate that is known needs none.
#[sqlx::test(migrations = "./migrations")]
async fn a_flood_of_invented_certificates_is_stopped(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, aws) = listening(pool, &signer).await;
    app.sns(&app.notification().signed(&signer)).await.good();
    for n in 0..100 {
        let url = certificate_url().replace("0a0a0a0a", &format!("{n:08x}"));
        let forged = app
            .notification()
            .with("SigningCertURL", &url)
            .signed(&signer);
        app.sns(&forged).await.refused("forged", 503, "unavailable");
    }
    assert!(aws.asked().len() <= 60, "{} requests", aws.asked().len());
    app.sns(&app.notification().signed(&signer)).await.good();
}

#[sqlx::test(migrations = "./migrations")]
async fn what_cannot_be_stored_is_answered_so_that_sns_comes_again(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, _) = listening(pool, &signer).await;
    app.sns(&app.notification().signed(&signer)).await.good();
    app.db().close().await;
    for message in [app.notification(), Envelope::confirmation(app.clock.now())] {
        let answer = app.sns(&message.signed(&signer)).await;
        answer.refused("no database", 503, "unavailable");
        assert_eq!(answer.header("retry-after"), "10");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_region_that_is_switched_off_is_not_listened_to(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, aws) = listening(pool, &signer).await;
    sqlx::query("UPDATE account_regions SET state = 'disabled'")
        .execute(app.db())
        .await
        .unwrap();
    let answer = app.sns(&app.notification().signed(&signer)).await;
    answer.refused("off", 403, "sns_topic_not_allowed");
    assert!(aws.asked().is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn more_than_can_be_handled_at_once_is_sent_away(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let settings = SnsSettings {
        max_concurrent: 1,
        // However slow the machine, the place is held until the rest is sent.
        body_timeout: std::time::Duration::from_hours(1),
        ..SnsSettings::default()
    };
    let (app, _) = listening_with(pool, &signer, &settings).await;
    let body = app.notification().signed(&signer).body();
    // One has sent its header and half of its body, and holds the only place; unless a whole one was quicker, and it was sent away itself.
    let (mut held, rest, sent_away) = 'held: {
        for _ in 0..100 {
            let (held, rest) = app.half_posted(&body).await;
            for _ in 0..2 {
                let answer = app.sns(&app.notification().signed(&signer)).await;
                if answer.status == 503 {
                    break 'held (held, rest, answer);
                }
            }
        }
        panic!("nobody was ever sent away");
    };
    sent_away.refused("no place", 503, "unavailable");
    assert_eq!(sent_away.header("retry-after"), "10");
    let rest = [
        format!("{:x}\r\n", rest.len()).as_bytes(),
        &rest,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    held.write_all(&rest).await.unwrap();
    let answer = heard(&mut held).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("stored"), "{answer}");
}

/// A sender that stops in the middle is not waited for, and may come again.
#[sqlx::test(migrations = "./migrations")]
async fn a_body_that_does_not_arrive_is_given_up(pool: PgPool) {
    let signer = Signer::new(Oddity::None);
    let (app, _) = listening(pool, &signer).await;
    let (mut socket, _) = app.half_posted(&app.notification().body()).await;
    let answer = heard(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 10"), "{answer}");
}

/// What comes back, up to the end of the JSON in it.
async fn heard(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let count = socket.read_buf(&mut answer).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}
