//! Requests that are too large, too deep or no HTTP: they are refused in bounded time, and the next caller is served.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MAX_BODY_BYTES;
use super::fuzz_tests::{ACCOUNT, PATIENCE, survives};
use super::wire_tests::{Served, authorization, serve};

#[tokio::test]
async fn requests_of_any_size_and_depth_are_answered() {
    let served = serve();
    // 100,000 are more than are taken; in a body that is.
    let ids: Vec<String> = (0..100_000)
        .map(|n| format!("VpcEndpointId.{n}=vpce-{n:x}"))
        .collect();
    let ids = ids.join("&");
    let long = "a".repeat(1_000_000);
    let forms = [
        format!("Action=AcceptVpcEndpointConnections&ServiceId=x&{ids}"),
        format!("Action=DescribeVpcs&{}=1", vec!["a"; 10_000].join(".")),
        format!("Action=DescribeVpcs&{}=1", ".".repeat(100_000)),
        format!("Action=DescribeVpcs&{long}={long}"),
        format!("Action={long}"),
        format!("Action=DescribeVpcs&{}", "%41".repeat(300_000)),
        format!("Action=DescribeVpcs&{}", "&".repeat(1_000_000)),
        "&=".repeat(500_000),
    ];
    for form in forms {
        let what: String = form.chars().take(60).collect();
        let (status, text) = survives(
            served
                .post("ec2")
                .body(format!("Version=2016-11-15&{form}")),
            &what,
        )
        .await;
        assert!(
            text.len() < 2_000,
            "an answer of {} bytes to {what}",
            text.len()
        );
        assert!(status == 400 || what.contains("&&&"), "{status}: {what}");
        served.still_serves().await;
    }
}

#[tokio::test]
async fn ten_megabytes_are_refused_in_the_protocol_of_the_request() {
    let served = serve();
    let body = vec![b'a'; 10 * 1024 * 1024];
    let plain = survives(served.post("ec2").body(body.clone()), "form").await;
    assert_eq!(plain.0, 413);
    let request = served
        .post("sqs")
        .header("x-amz-target", "AmazonSQS.SendMessage");
    let (status, text) = survives(request.body(body.clone()), "JSON").await;
    assert!(status == 413 && text.contains("__type"), "{text}");
    // Without a length the server cannot know before.
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        authorization(ACCOUNT, "ec2")
    );
    let mut chunked = head.into_bytes();
    for chunk in body.chunks(1024 * 1024) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(&served, &chunked).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    served.still_serves().await;
}

/// Sends bytes and reads what comes until the end or an error.
async fn raw(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The server may close while it is being written to.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut got = Vec::new();
    let read = stream.read_to_end(&mut got);
    let _ = tokio::time::timeout(PATIENCE, read)
        .await
        .expect("it hangs");
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_nobody_else_notices() {
    let served = serve();
    let huge = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(2_000_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(10_000)
    );
    let cases: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00",
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nshort",
        b"GET /_sim/faults/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        huge.as_bytes(),
        many.as_bytes(),
    ];
    for case in cases {
        let answer = raw(&served, case).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
        served.still_serves().await;
    }
}

#[tokio::test]
async fn patterns_and_filters_cost_no_more_than_their_size() {
    let served = serve();
    let tag = "a".repeat(255);
    let (_, made) = served
        .ec2(ACCOUNT, &format!("Action=CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value={tag}"))
        .await;
    assert!(made.contains("<vpcId>"), "{made}");
    let pattern = format!("{}b", "*a".repeat(10_000));
    let mut form = "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Ak".to_owned();
    for number in 1..=200 {
        let number: String = number.to_string();
        form.extend(["&Filter.1.Value.", &number, "=", &pattern]);
    }
    form.truncate(MAX_BODY_BYTES - 1);
    let request = served.post("ec2").body(form);
    let (status, text) = survives(request, "stars").await;
    assert!(status == 200 || status == 400, "{text}");
    assert!(!text.contains("<vpcId>"));
    served.still_serves().await;
}
