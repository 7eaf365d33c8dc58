//! Requests that no client sends on purpose: whatever comes, the answer is a document of the protocol and no 5xx, and the next
//! caller is served. The junk comes from a seed, so a failure can be repeated.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::wire_tests::{Served, authorization, serve, well_formed};
use crate::api::Api;
use crate::wire;
use crate::world::ids::mix;

pub(super) const ACCOUNT: &str = "111111111111";

/// Nothing takes longer, on a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

impl Served {
    pub(super) fn post(&self, service: &str) -> RequestBuilder {
        self.client
            .post(format!("http://{}/", self.address))
            .header("authorization", authorization(ACCOUNT, service))
    }

    /// Another caller is served at once.
    pub(super) async fn still_serves(&self) {
        let body = "Action=DescribeRegions&Version=2016-11-15";
        let request = self.post("ec2").body(body).send();
        let answer = tokio::time::timeout(PATIENCE, request).await;
        let answer = answer.expect("it hangs").unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("eu-west-1"));
    }
}

/// Sends a request and checks the form of the answer; answers with its status and text.
pub(super) async fn survives(request: RequestBuilder, what: &str) -> (u16, String) {
    let answer = tokio::time::timeout(PATIENCE, request.send()).await;
    let answer = answer.unwrap_or_else(|_| panic!("it hangs: {what}"));
    let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    readable(answer, what).await
}

async fn readable(answer: Response, what: &str) -> (u16, String) {
    let status = answer.status().as_u16();
    assert!(status < 500, "{status}: {what}");
    let kind = answer
        .headers()
        .get("content-type")
        .unwrap_or_else(|| panic!("{status} without a type: {what}"));
    let json = kind.to_str().unwrap().contains("json");
    let text = answer.text().await.unwrap();
    if json {
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(status == 200 || value["__type"].is_string(), "{text}");
    } else {
        well_formed(&text);
        assert!(status == 200 || text.contains("<Code>"), "{text}");
    }
    (status, text)
}

const NAMES: &[&str] = &[
    "ServiceId",
    "ServiceName",
    "VpcEndpointId",
    "VpcEndpointId.1",
    "VpcEndpointIds.member.1",
    "VpcId",
    "SubnetId.1",
    "Filter.1.Name",
    "Filter.1.Value.1",
    "Filter.1.Value.2",
    "Filter.0.Name",
    "Filter.1000000000.Name",
    "Filter",
    "MaxResults",
    "NextToken",
    "DryRun",
    "AcceptanceRequired",
    "NetworkLoadBalancerArn.1",
    "ClientToken",
    "ResourceId.1",
    "Tag.1.Key",
    "Tag.1.Value",
    "TagSpecification.1.ResourceType",
    "TagSpecification.1.Tag.1.Key",
    "PrivateDnsName",
    "PolicyDocument",
    "AddAllowedPrincipals.1",
    "CidrBlock",
    "Attribute",
    "EnableDnsSupport.Value",
    "Name",
    "Subnets.member.1",
    "Type",
    "Port",
    "Protocol",
    "Targets.member.1.Id",
    "Targets.member.1.Port",
    "LoadBalancerArn",
    "TargetGroupArn",
    "Attributes.member.1.Key",
    "Attributes.entry.1.key",
    "Attributes.entry.1.value",
    "TopicArn",
    "Endpoint",
    "Message",
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "PageSize",
    "Marker",
    "A.1.2.3",
    "A.1",
    "A",
    "a..b",
    "",
    ".",
    "%",
    "%zz",
    "%00",
    "%ff%fe",
    "X-Amz-Credential",
    "Action",
    "Version",
    "DestinationPrefixListId",
    "PayerResponsibility",
    "GroupName",
];

const VALUES: &[&str] = &[
    "",
    "1",
    "0",
    "-1",
    "4294967296",
    "99999999999999999999",
    "1e9",
    "true",
    "TRUE",
    "null",
    "%",
    "%4",
    "%zz",
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "<&\"'>",
    "]]>",
    "a+b",
    "*",
    "*a*a*a*a*a*a*b",
    "\\",
    "?",
    "vpce-0aaaaaaaaaaaaaaaa",
    "vpce-svc-0aaaaaaaaaaaaaaaa",
    "vpce-svc-",
    "vpc-1",
    "com.amazonaws.vpce.eu-west-1.vpce-svc-0aaaaaaaaaaaaaaaa",
    "com.amazonaws.eu-west-1.s3",
    "arn:aws:iam::111111111111:root",
    "arn:",
    "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/a/0",
    "arn:aws:sns:eu-west-1:111111111111:t",
    "{\"Statement\":[]}",
    "{",
    "10.0.0.0/16",
    "10.0.0.0/99",
    "service-id",
    "tag:a",
    "vpc-endpoint-state",
    "Interface",
    "network",
    "%E2%80%8B",
    "eu-west-1",
    "é",
];

fn form(dice: &mut Dice, action: &str) -> String {
    let mut form = format!("Action={action}");
    for _ in 0..dice.below(8) {
        let (name, value) = (dice.pick(NAMES), dice.pick(VALUES));
        form.extend(["&", name, "=", value]);
    }
    form
}

#[tokio::test]
async fn every_action_survives_parameters_of_the_wrong_kind() {
    let served = serve();
    let mut dice = Dice(1);
    for api in [Api::Ec2, Api::Elb, Api::Sts, Api::Sns] {
        for action in wire::actions(api) {
            for _ in 0..12 {
                let form = format!("Version={}&{}", api.version(), form(&mut dice, action));
                survives(served.post(api.scope_name()).body(form.clone()), &form).await;
            }
        }
        served.still_serves().await;
    }
}

fn member(dice: &mut Dice) -> Value {
    let values = [
        "null",
        "1",
        "-1",
        "1e400",
        "18446744073709551616",
        "true",
        "[]",
        "{}",
        "[[[]]]",
        "\"\"",
        "\"\\u0000\"",
        "\"http://x/111111111111/q\"",
        "\"q\"",
        "{\"a\":1}",
        "[{\"Id\":1}]",
        "[{\"Id\":\"a\",\"ReceiptHandle\":\"x\"}]",
        "{\"DelaySeconds\":\"x\"}",
        "[\"All\"]",
        "0.5",
    ];
    serde_json::from_str(dice.pick(&values)).unwrap_or(Value::Null)
}

#[tokio::test]
async fn every_action_of_sqs_survives_members_of_the_wrong_kind() {
    let served = serve();
    let mut dice = Dice(2);
    let names = [
        "QueueUrl",
        "QueueName",
        "Attributes",
        "MessageBody",
        "DelaySeconds",
        "ReceiptHandle",
        "Entries",
        "MaxResults",
        "NextToken",
        "VisibilityTimeout",
        "MaxNumberOfMessages",
        "AttributeNames",
        "Unknown",
        "QueueOwnerAWSAccountId",
    ];
    let post = |action: &str| {
        served
            .post("sqs")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
    };
    survives(post("CreateQueue").body(r#"{"QueueName":"q"}"#), "create").await;
    for action in wire::actions(Api::Sqs) {
        for _ in 0..20 {
            let mut body = serde_json::Map::new();
            for _ in 0..dice.below(5) {
                body.insert(dice.pick(&names).to_owned(), member(&mut dice));
            }
            let body = Value::Object(body).to_string();
            survives(post(action).body(body.clone()), &format!("{action} {body}")).await;
        }
        for body in [
            "",
            "[]",
            "7",
            "\"\"",
            "{",
            "{\"QueueUrl\":}",
            "\u{0}",
            "{\"a\":\"\\ud800\"}",
        ] {
            let (status, _) = survives(post(action).body(body), &format!("{action} {body}")).await;
            assert_eq!(status, 400, "{action} {body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [deep.clone(), format!("{{\"QueueUrl\":{deep}}}")] {
            assert_eq!(survives(post(action).body(body), "deep").await.0, 400);
        }
        survives(post(action).body(vec![0xff_u8; 64]), "no UTF-8").await;
    }
    for action in ["", "a<b>", "ReceiveMessage ", "%00", "Receive\u{e9}"] {
        let (status, _) = survives(post(action).body("{}"), action).await;
        assert_eq!(status, 400, "{action}");
    }
    served.still_serves().await;
}

#[tokio::test]
async fn junk_in_every_part_of_a_request_is_refused_in_its_protocol() {
    let served = serve();
    let mut dice = Dice(3);
    let kinds = [
        "application/x-www-form-urlencoded",
        "application/json",
        "text/xml",
        "multipart/form-data",
        "\u{e9}",
        "",
    ];
    let services = [
        "ec2",
        "elasticloadbalancing",
        "sts",
        "sns",
        "sqs",
        "lambda",
        "s3",
        "",
        "a<b",
    ];
    for _ in 0..400 {
        let length = dice.below(200);
        let body: Vec<u8> = match dice.below(4) {
            0 => (0..length).map(|_| dice.next().to_le_bytes()[0]).collect(),
            1 => (0..length)
                .map(|_| dice.pick(&[b"&", b"=", b".", b"%", b"1", b"A"])[0])
                .collect(),
            2 => form(&mut dice, "DescribeVpcs&Version=2016-11-15").into_bytes(),
            _ => b"{\"a\":[1,2]}".to_vec(),
        };
        let what = String::from_utf8_lossy(&body).into_owned();
        let request = served
            .post(dice.pick(&services))
            .header("content-type", dice.pick(&kinds))
            .body(body);
        survives(request, &what).await;
    }
    for scope in [
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=",
        "Basic eDp5",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
    ] {
        let request = served
            .client
            .post(format!("http://{}/", served.address))
            .header("authorization", scope)
            .body("Action=DescribeVpcs");
        assert_eq!(survives(request, scope).await.0, 401, "{scope}");
    }
    served.still_serves().await;
}

#[tokio::test]
async fn the_control_api_refuses_junk_as_json() {
    let served = serve();
    let mut dice = Dice(4);
    let (_, index) = served.control("GET", "", None).await;
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{\"unknown\":1}",
        b"\xff\xfe",
        b"{\"advance_ms\":-1}",
        b"null",
        b"{\"effect\":{\"a\":1}}",
    ];
    for call in index["calls"].as_array().unwrap() {
        let (method, path) = (
            call["method"].as_str().unwrap(),
            call["path"].as_str().unwrap(),
        );
        if method == "GET" {
            continue;
        }
        let deep = "[".repeat(100_000).into_bytes();
        for body in bodies.iter().map(|body| body.to_vec()).chain([deep]) {
            let url = format!(
                "http://{}{}",
                served.address,
                path.replace("{id}", &dice.next().to_string())
            );
            let request = served
                .client
                .request(method.parse().unwrap(), url)
                .body(body.clone());
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let bodiless = path.contains("/faults") && method == "DELETE";
            if bodiless {
                assert!(status == 204 || status == 404);
                continue;
            }
            if body.is_empty() && path.ends_with("/reset") {
                assert_eq!(status, 204);
                continue;
            }
            assert_eq!(status, 400, "{method} {path} {shown}: {text}");
            let problem: Value = serde_json::from_str(&text).unwrap();
            assert!(problem["code"].is_string() && problem["detail"].is_string());
        }
    }
    served.still_serves().await;
}
