//! Roles that are assumed: once, again before a session ends, and anew when AWS does not take it any more.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use privatelink::{ConnectionFilter, Gateways, PrivateLink};

use crate::canned::{Answer, Canned, ec2_ok, gateway, gateways, place};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);
const ROLE: (&str, &str) = ("arn:aws:iam::123456789012:role/broker", "tenant-7");

/// STS gives a session with this key, for so long.
fn assumed(key: &str, lasts: Duration) -> Answer {
    let until = (DateTime::<Utc>::from(std::time::SystemTime::now()) + lasts)
        .to_rfc3339_opts(SecondsFormat::Secs, true);
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{until}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/broker/portcullis</Arn>\
         <AssumedRoleId>AROA:portcullis</AssumedRoleId></AssumedRoleUser>\
         </AssumeRoleResult></AssumeRoleResponse>"
    );
    Answer::Http(200, body)
}

/// A listing without rows.
fn nothing() -> Answer {
    ec2_ok(
        "DescribeVpcEndpointConnections",
        "<vpcEndpointConnectionSet/><nextToken/>",
    )
}

async fn list(gateway: &dyn PrivateLink) {
    let listed = gateway.connections(&ConnectionFilter::All, None).await;
    assert!(listed.unwrap().items.is_empty());
}

fn assumptions(canned: &Canned) -> usize {
    let requests = canned.requests();
    let assume = requests.iter().filter(|r| r.contains("Action=AssumeRole"));
    assume.count()
}

#[tokio::test]
async fn a_role_is_assumed_once_with_its_external_id_and_its_key_signs_the_calls() {
    let canned = Canned::start(vec![assumed("ASIAROLE", LONG), nothing(), nothing()]).await;
    let role = ("arn:aws:iam::123456789012:role/broker", "tenant-7");
    let gateway = gateway(&canned.url, Some(role)).await;
    assert!(canned.requests().is_empty(), "making a gateway asks nobody");
    for _ in 0..2 {
        gateway
            .connections(&ConnectionFilter::All, None)
            .await
            .unwrap();
    }
    let requests = canned.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[0].contains("Action=AssumeRole")
            && requests[0].contains("ExternalId=tenant-7")
            && requests[0].contains("Credential=AKIDPLATFORM/")
            && requests[0].contains("/eu-west-1/sts/"),
        "{}",
        requests[0]
    );
    for request in &requests[1..] {
        assert!(request.contains("Credential=ASIAROLE/"), "{request}");
    }
}

#[tokio::test]
async fn a_role_that_is_refused_is_denied_and_the_call_is_never_made() {
    let refused = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>";
    let canned = Canned::start(vec![Answer::Http(403, refused.to_owned())]).await;
    let role = ("arn:aws:iam::123456789012:role/broker", "wrong");
    let error = gateway(&canned.url, Some(role))
        .await
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.code()), ("denied", "AccessDenied"));
    assert_eq!(canned.requests().len(), 1);
}

/// A session is not used to its last moment. When exactly it is renewed is left to chance, so that many places do not ask STS at once: of twenty
/// sessions with half a minute left, nine in ten are renewed with the next call.
#[tokio::test]
async fn a_session_is_renewed_before_it_ends() {
    let mut renewed = 0;
    for _ in 0..20 {
        let soon = Duration::from_secs(30);
        let answers = vec![
            assumed("ASIAFIRST", soon),
            nothing(),
            assumed("ASIASECOND", LONG),
            nothing(),
        ];
        let canned = Canned::start(answers).await;
        let gateway = gateway(&canned.url, Some(ROLE)).await;
        list(gateway.as_ref()).await;
        // Where it is not renewed yet the next answer is STS's, which is no listing.
        let listed = gateway.connections(&ConnectionFilter::All, None).await;
        if assumptions(&canned) == 2 {
            renewed += 1;
            assert!(listed.is_ok(), "{listed:?}");
            assert!(canned.requests()[3].contains("Credential=ASIASECOND/"));
        }
    }
    assert!(renewed >= 10, "{renewed} of 20");
}

/// AWS does not say that a session was revoked; it refuses it. Then STS is asked again, although the session has long to go.
#[tokio::test]
async fn a_session_that_is_forgotten_is_followed_by_a_new_one() {
    let answers = vec![
        assumed("ASIAFIRST", LONG),
        nothing(),
        assumed("ASIASECOND", LONG),
        nothing(),
    ];
    let canned = Canned::start(answers).await;
    let (gateways, place) = (gateways(&canned.url, true), place(Some(ROLE)));
    list(gateways.gateway(&place).await.unwrap().as_ref()).await;
    gateways.forget(&place).await;
    list(gateways.gateway(&place).await.unwrap().as_ref()).await;
    assert_eq!(assumptions(&canned), 2);
    assert!(canned.requests()[3].contains("Credential=ASIASECOND/"));
}

/// However many places one process serves, each role is assumed once.
#[tokio::test]
async fn sessions_of_many_places_do_not_push_each_other_out() {
    const PLACES: usize = 70;
    let mut answers = Vec::new();
    for _ in 0..PLACES {
        answers.extend([assumed("ASIAROLE", LONG), nothing()]);
    }
    answers.extend((0..PLACES).map(|_| nothing()));
    let canned = Canned::start(answers).await;
    let gateways = gateways(&canned.url, true);
    for _ in 0..2 {
        for number in 0..PLACES {
            let role = format!("arn:aws:iam::123456789012:role/tenant-{number}");
            let place = place(Some((&role, "tenant-7")));
            list(gateways.gateway(&place).await.unwrap().as_ref()).await;
        }
    }
    assert_eq!(assumptions(&canned), PLACES);
}
