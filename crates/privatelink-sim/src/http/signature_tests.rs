//! Signatures: requests that botocore 1.43 signed at midnight of 1 January 2026, and what is made of them when they are changed.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::WELL_KNOWN_SECRET;
use super::wire_tests::{Served, inside, serve};
use crate::clock::ClockState;
use crate::{Behavior, SignatureCheck};

const HOST: &str = "sts.eu-west-1.amazonaws.com";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIDPROBE%2F20260101%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60";
/// The signature over the query with a second header, `x-probe-id: cluster  one`.
const GET: &str = "X-Amz-SignedHeaders=host%3Bx-probe-id\
    &X-Amz-Signature=2ecb849a1273442fba7ffaabb823e4270a7d06d38b66b1b702fe10183390f93e";
const POST: &str = "X-Amz-SignedHeaders=host\
    &X-Amz-Signature=9d08f1b6a0a5f7b5559a364806d9faa610efa11ebc498be595e58587d2d030a6";
const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIDPROBE/20260101/eu-west-1/sts/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date, \
    Signature=a9b1a106ce084f603b255b1eef3ec57b67d12bd823de74731aafd95ebe7e6de0";

/// A simulator whose clock is `seconds` after midnight, and that knows the key when `known`.
async fn at(seconds: i64, known: bool) -> Served {
    let sim = serve();
    let midnight: chrono::DateTime<chrono::Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    sim.simulator.clock().restore(ClockState {
        stopped_at: Some(midnight + TimeDelta::seconds(seconds)),
        ..ClockState::default()
    });
    if known {
        let key = json!({"access_key": "AKIDPROBE", "secret": SECRET, "account": "333333333333",
            "arn": "arn:aws:iam::333333333333:user/probe"});
        let (status, _) = sim.control("POST", "/keys", Some(key)).await;
        assert_eq!(status, 204);
    }
    sim
}

impl Served {
    async fn presigned(&self, query: &str, probe: Option<&str>) -> (u16, String) {
        let mut get = self.client.get(format!("http://{}/?{query}", self.address));
        get = get.header("host", HOST);
        if let Some(probe) = probe {
            get = get.header("x-probe-id", probe);
        }
        let answer = get.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn signed(&self, authorization: &str, body: &str) -> (u16, String) {
        let post = self.client.post(format!("http://{}/", self.address));
        let post = post
            .header("host", HOST)
            .header("authorization", authorization);
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        let post = post
            .header("x-amz-date", "20260101T000000Z")
            .body(body.to_owned());
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[actix_web::test]
async fn a_presigned_question_who_one_is_answers_to_its_signer() {
    let sim = at(60, true).await;
    let (status, text) = sim
        .presigned(&format!("{QUERY}&{GET}"), Some("cluster  one"))
        .await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(inside(&text, "Arn"), "arn:aws:iam::333333333333:user/probe");
    assert_eq!(inside(&text, "Account"), "333333333333");
    let url = format!("http://{}/?{QUERY}&{POST}", sim.address);
    let answer = sim
        .client
        .post(url)
        .header("host", HOST)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[actix_web::test]
async fn a_presigned_request_that_was_changed_or_is_too_old_is_refused() {
    let query = format!("{QUERY}&{GET}");
    let longer = query.replace("Expires=60", "Expires=61");
    let endless = query.replace("Expires=60", "Expires=604801");
    let elsewhere = query.replace("eu-west-1", "eu-west-2");
    for (seconds, query, probe, code) in [
        (61, &query, Some("cluster one"), "SignatureDoesNotMatch"),
        (-901, &query, Some("cluster one"), "SignatureDoesNotMatch"),
        (0, &query, Some("cluster two"), "SignatureDoesNotMatch"),
        (0, &query, None, "SignatureDoesNotMatch"),
        (0, &longer, Some("cluster one"), "SignatureDoesNotMatch"),
        (0, &elsewhere, Some("cluster one"), "SignatureDoesNotMatch"),
        (0, &endless, Some("cluster one"), "IncompleteSignature"),
    ] {
        let sim = at(seconds, true).await;
        let (status, text) = sim.presigned(query, probe).await;
        assert!(status == 403 || status == 400, "{text}");
        assert_eq!(inside(&text, "Code"), code, "{seconds} {query} {probe:?}");
    }
}

#[actix_web::test]
async fn without_the_secret_the_age_and_the_signed_headers_are_checked_all_the_same() {
    let query = format!("{QUERY}&{GET}");
    let fresh = at(0, false).await;
    let (status, text) = fresh.presigned(&query, Some("whatever")).await;
    assert_eq!(
        (status, inside(&text, "Account").as_str()),
        (200, "000000000000")
    );
    let (status, _) = fresh.presigned(&query, None).await;
    assert_eq!(status, 403);
    let old = at(61, false).await;
    let (status, text) = old.presigned(&query, Some("whatever")).await;
    assert_eq!(status, 403, "{text}");
}

#[actix_web::test]
async fn a_signature_in_the_header_is_checked_when_the_secret_is_known() {
    let sim = at(0, true).await;
    let (status, text) = sim.signed(HEADER, FORM).await;
    assert_eq!(status, 200, "{text}");
    let (status, text) = sim.signed(HEADER, &format!("{FORM}&X-Amz-Expires=1")).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (403, "SignatureDoesNotMatch")
    );
    let late = at(901, true).await;
    let (status, text) = late.signed(HEADER, FORM).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (403, "SignatureDoesNotMatch")
    );
    assert!(inside(&text, "Message").starts_with("Signature expired"));
    let stranger = at(901, false).await;
    assert_eq!(stranger.signed(HEADER, FORM).await.0, 200);
}

#[actix_web::test]
async fn the_switch_checks_everybody_or_nobody() {
    let sim = at(0, true).await;
    let set = |check_signatures| Behavior {
        check_signatures,
        ..Behavior::default()
    };
    sim.simulator
        .set_behavior(set(SignatureCheck::None))
        .unwrap();
    let forged = HEADER.replace("Signature=a9", "Signature=00");
    assert_eq!(sim.signed(&forged, FORM).await.0, 200);
    sim.simulator
        .set_behavior(set(SignatureCheck::All))
        .unwrap();
    assert_eq!(sim.signed(HEADER, FORM).await.0, 200);
    let nobody = HEADER.replace("AKIDPROBE", "AKIDOTHER");
    let (status, text) = sim.signed(&nobody, FORM).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (403, "InvalidClientTokenId")
    );
    let account = HEADER.replace("AKIDPROBE", "111111111111");
    let (status, text) = sim.signed(&account, FORM).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (403, "SignatureDoesNotMatch")
    );
    let key =
        json!({"access_key": "AKIDPROBE", "secret": WELL_KNOWN_SECRET, "account": "333333333333"});
    sim.control("POST", "/keys", Some(key)).await;
    assert_eq!(sim.signed(HEADER, FORM).await.0, 403, "another secret now");
}

#[actix_web::test]
async fn keys_of_a_session_need_their_token_and_end() {
    let sim = serve();
    let form = "Version=2011-06-15&Action=AssumeRole&RoleSessionName=test\
        &RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fportcullis";
    let (_, text) = sim.raw("111111111111", "sts", form.into()).await;
    let key = inside(&text, "AccessKeyId");
    let (status, text) = sim.raw(&key, "sts", FORM.into()).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (403, "InvalidClientTokenId")
    );
    let (_, list) = sim.control("GET", "/snapshot", None).await;
    assert_ne!(list["world"]["keys"][&key]["secret"], Value::Null);
}

#[actix_web::test]
async fn registered_keys_must_be_keys() {
    let sim = serve();
    for key in ["", "a/b", "a b"] {
        let key = json!({"access_key": key, "secret": "s", "account": "333333333333"});
        assert_eq!(sim.control("POST", "/keys", Some(key)).await.0, 400);
    }
}
