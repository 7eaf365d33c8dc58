//! Faults over a real socket: what the client gets, byte by byte, and whether the work was done.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire_tests::{Served, serve};
use crate::{Effect, Fault, When};

const ACCOUNT: &str = "111111111111";

/// Makes a VPC over a connection of its own; answers with all the bytes that came and how the connection ended.
async fn create_vpc(served: &Served) -> (Vec<u8>, std::io::Result<usize>) {
    let body = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential={ACCOUNT}/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=00\r\n\
         content-type: application/x-www-form-urlencoded\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let end = stream.read_to_end(&mut got).await;
    (got, end)
}

async fn vpcs(served: &Served) -> usize {
    let (_, text) = served.ec2(ACCOUNT, "Action=DescribeVpcs").await;
    text.matches("<vpcId>").count()
}

fn plan(served: &Served, effect: Effect) {
    served
        .simulator
        .faults()
        .plan(Fault::once("CreateVpc", effect));
}

#[tokio::test]
async fn a_dropped_answer_is_not_one_byte_and_an_orderly_end() {
    let served = serve();
    plan(&served, Effect::DropAnswer);
    let (got, end) = create_vpc(&served).await;
    assert!(got.is_empty() && end.is_ok(), "{got:?} {end:?}");
    assert_eq!(vpcs(&served).await, 2, "the work is done");
}

#[tokio::test]
async fn a_reset_is_a_reset_and_says_nothing_of_the_work() {
    let served = serve();
    for (when, after) in [(When::Before, 1), (When::After, 2)] {
        plan(&served, Effect::Reset { when });
        let (got, end) = create_vpc(&served).await;
        assert!(got.is_empty(), "{got:?}");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(vpcs(&served).await, after, "{when:?}");
    }
    let outcomes: Vec<_> = served.simulator.calls().of("CreateVpc");
    assert!(outcomes.iter().all(|event| event.outcome == "reset"));
    assert!(!outcomes[0].done && outcomes[1].done);
}

#[tokio::test]
async fn a_truncated_answer_is_half_of_what_its_length_says() {
    let served = serve();
    let (whole, _) = create_vpc(&served).await;
    plan(&served, Effect::Truncate);
    let (got, _) = create_vpc(&served).await;
    let text = String::from_utf8(got).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let promised: usize = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    assert_eq!(body.len(), promised / 2);
    assert!(body.starts_with("<?xml") && whole.len() > promised);
    assert_eq!(vpcs(&served).await, 3);
}

#[tokio::test]
async fn a_garbled_answer_is_a_success_that_cannot_be_read() {
    let served = serve();
    plan(&served, Effect::Garbled);
    let (got, end) = create_vpc(&served).await;
    let text = String::from_utf8(got).unwrap();
    assert!(end.is_ok() && text.starts_with("HTTP/1.1 200"));
    assert!(!text.contains("</"), "{text}");
    assert_eq!(vpcs(&served).await, 2);
}

#[tokio::test]
async fn a_slow_call_holds_up_nobody_else() {
    let served = serve();
    let delay_ms = 1_000;
    for when in [When::Before, When::After] {
        plan(&served, Effect::Slow { delay_ms, when });
        let started = Instant::now();
        let done = std::cell::Cell::new(false);
        let slow = async {
            let (got, _) = create_vpc(&served).await;
            assert!(String::from_utf8_lossy(&got).contains("<vpcId>"));
            done.set(true);
        };
        let others = async {
            for _ in 0..3 {
                vpcs(&served).await;
            }
            assert!(!done.get(), "{when:?}: the others waited for it");
        };
        tokio::join!(slow, others);
        assert!(started.elapsed() >= Duration::from_millis(delay_ms));
    }
}

#[tokio::test]
async fn the_work_of_a_slow_call_is_done_although_its_client_gave_up() {
    let served = serve();
    plan(
        &served,
        Effect::Slow {
            delay_ms: 150,
            when: When::Before,
        },
    );
    let gave_up = tokio::time::timeout(Duration::from_millis(50), create_vpc(&served)).await;
    assert!(gave_up.is_err());
    assert_eq!(vpcs(&served).await, 1, "not yet");
    let patience = Instant::now() + Duration::from_secs(10);
    while vpcs(&served).await == 1 {
        assert!(Instant::now() < patience, "the work was never done");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_in_process_is_slow_or_refused_and_its_answer_breaks_too() {
    use privatelink::{ConnectionFilter, GatewayError, PrivateLink as _};
    let served = serve();
    let (account, region): (privatelink::AccountId, privatelink::Region) =
        (ACCOUNT.parse().unwrap(), "eu-west-1".parse().unwrap());
    let simulator = &served.simulator;
    let gateway = simulator.gateway(account.clone(), region.clone());
    let slow = Effect::Slow {
        delay_ms: 60,
        when: When::After,
    };
    simulator
        .faults()
        .plan(Fault::once("Describe*", slow.clone()));
    let started = Instant::now();
    gateway
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    assert!(started.elapsed() >= Duration::from_millis(60));
    for (effect, code) in [
        (Effect::Reset { when: When::Before }, "ConnectionReset"),
        (Effect::Truncate, "UnreadableAnswer"),
        (Effect::Garbled, "UnreadableAnswer"),
    ] {
        simulator.faults().plan(Fault::once("Describe*", effect));
        let error = gateway.connections(&ConnectionFilter::All, None).await;
        assert!(
            matches!(&error, Err(GatewayError::Unknown { code: got, .. }) if got == code),
            "{error:?}"
        );
    }
    simulator
        .faults()
        .plan(Fault::once("DeleteVpcEndpoints", slow));
    let consumer = simulator.consumer(account, region);
    let endpoint = "vpce-0aaaaaaaaaaaaaaaa".parse().unwrap();
    let error = consumer.delete_endpoint(&endpoint).unwrap_err();
    assert_eq!(error.code, "UnsupportedOperation");
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused_with_the_reason() {
    let served = serve();
    for (fault, code, reason) in [
        (
            json!({"effect": "throttle", "probability": 2}),
            "InvalidFault",
            "probability 2",
        ),
        (
            json!({"effect": "error_after", "status": 200}),
            "InvalidFault",
            "status 200",
        ),
        (
            json!({"effect": "throttle", "action": "Acept*"}),
            "InvalidFault",
            "Acept*",
        ),
        (
            json!({"effect": "throttle", "skipp": 2}),
            "InvalidJson",
            "`skipp`",
        ),
        (json!([]), "InvalidJson", "object"),
    ] {
        let (status, answer) = served.control("POST", "/faults", Some(fault.clone())).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (400, Some(code)),
            "{fault}"
        );
        assert!(
            answer["detail"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
    assert!(served.simulator.faults().list().is_empty());
}
