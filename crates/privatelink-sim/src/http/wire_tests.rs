//! The wire as a client sees it: real forms over a real socket, exact element names.

use std::net::{SocketAddr, TcpListener};

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::{Behavior, Effect, Fault, SignatureCheck, SimClock, SimConfig, Simulator};

const PROVIDER: &str = "111111111111";
const CONSUMER: &str = "222222222222";

/// A served simulator; its clock stands still.
pub(super) struct Served {
    pub(super) simulator: Simulator,
    pub(super) address: SocketAddr,
    pub(super) client: reqwest::Client,
}

pub(super) fn serve() -> Served {
    let clock = SimClock::running();
    clock.stop();
    let simulator = Simulator::new(SimConfig {
        clock,
        ..SimConfig::default()
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (server, _handle) = simulator.serve(listener).unwrap();
    tokio::spawn(server);
    Served {
        simulator,
        address,
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    }
}

pub(super) fn authorization(account: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/eu-west-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=00"
    )
}

impl Served {
    pub(super) async fn raw(&self, account: &str, service: &str, body: Vec<u8>) -> (u16, String) {
        let response = self
            .client
            .post(format!("http://{}/", self.address))
            .header("authorization", authorization(account, service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(response.headers().contains_key("x-amzn-requestid"));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        well_formed(&text);
        (status, text)
    }

    pub(super) async fn ec2(&self, account: &str, form: &str) -> (u16, String) {
        let body = format!("Version=2016-11-15&{form}");
        self.raw(account, "ec2", body.into_bytes()).await
    }

    pub(super) async fn service(&self) -> (String, String) {
        let setup = self
            .simulator
            .provider_setup(PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap());
        let lb = setup.ready_load_balancer("edge").unwrap();
        let form = format!(
            "Action=CreateVpcEndpointServiceConfiguration&AcceptanceRequired=true&NetworkLoadBalancerArn.1={lb}"
        );
        let (status, text) = self.ec2(PROVIDER, &form).await;
        assert_eq!(status, 200, "{text}");
        let id = inside(&text, "serviceId");
        let form = format!(
            "Action=ModifyVpcEndpointServicePermissions&ServiceId={id}\
             &AddAllowedPrincipals.1=arn%3Aaws%3Aiam%3A%3A{CONSUMER}%3Aroot"
        );
        let (_, answer) = self.ec2(PROVIDER, &form).await;
        assert_eq!(inside(&answer, "principalType"), "Account");
        (id, inside(&text, "serviceName"))
    }

    pub(super) async fn endpoint(&self, service_name: &str) -> String {
        let (_, vpcs) = self.ec2(CONSUMER, "Action=DescribeVpcs").await;
        let (_, subnets) = self.ec2(CONSUMER, "Action=DescribeSubnets").await;
        let form = format!(
            "Action=CreateVpcEndpoint&VpcEndpointType=Interface&VpcId={}&SubnetId.1={}&ServiceName={service_name}\
             &TagSpecification.1.ResourceType=vpc-endpoint&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b",
            inside(&vpcs, "vpcId"),
            inside(&subnets, "subnetId"),
        );
        let (status, text) = self.ec2(CONSUMER, &form).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("<tagSet><item><key>a</key><value>b</value></item></tagSet>"));
        inside(&text, "vpcEndpointId")
    }
}

/// The text of the first element of this name.
pub(super) fn inside(xml: &str, element: &str) -> String {
    let (_, rest) = xml
        .split_once(&format!("<{element}>"))
        .unwrap_or_else(|| panic!("no {element} in {xml}"));
    rest.split_once('<').unwrap().0.to_owned()
}

pub(super) fn well_formed(xml: &str) {
    let mut reader = Reader::from_str(xml);
    while reader
        .read_event()
        .unwrap_or_else(|e| panic!("{e} in {xml}"))
        != Event::Eof
    {}
}

#[tokio::test]
async fn a_connection_goes_from_request_to_available_over_the_wire() {
    let served = serve();
    let (service, name) = served.service().await;
    let endpoint = served.endpoint(&name).await;
    let describe = format!(
        "Action=DescribeVpcEndpointConnections&Filter.1.Name=service-id&Filter.1.Value.1={service}"
    );
    let (_, text) = served.ec2(PROVIDER, &describe).await;
    assert!(text.contains(
        "<DescribeVpcEndpointConnectionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>"
    ));
    assert!(text.contains(&format!(
        "<vpcEndpointConnectionSet><item><serviceId>{service}</serviceId><vpcEndpointId>{endpoint}</vpcEndpointId>\
         <vpcEndpointOwner>{CONSUMER}</vpcEndpointOwner><vpcEndpointState>pendingAcceptance</vpcEndpointState>"
    )));
    let accept = format!(
        "Action=AcceptVpcEndpointConnections&ServiceId={service}&VpcEndpointId.1={endpoint}"
    );
    let (status, text) = served.ec2(PROVIDER, &accept).await;
    assert_eq!(status, 200);
    assert!(
        text.ends_with("<unsuccessful></unsuccessful></AcceptVpcEndpointConnectionsResponse>"),
        "{text}"
    );
    let look = format!("Action=DescribeVpcEndpoints&VpcEndpointId.1={endpoint}");
    let (_, text) = served.ec2(CONSUMER, &look).await;
    assert_eq!(inside(&text, "state"), "pending");
    served
        .simulator
        .clock()
        .advance(std::time::Duration::from_millis(300));
    let (_, text) = served.ec2(CONSUMER, &look).await;
    assert_eq!(inside(&text, "state"), "available");
    let (status, text) = served.ec2(PROVIDER, &accept).await;
    assert_eq!(status, 200, "a second accept fails inside a success");
    assert!(text.contains(&format!(
        "</error><resourceId>{endpoint}</resourceId></item></unsuccessful>"
    )));
    assert_eq!(inside(&text, "code"), "InvalidState");
}

#[tokio::test]
async fn refusals_have_the_codes_and_statuses_of_aws() {
    let served = serve();
    for (form, status, code) in [
        ("Action=DescribeInstances", 400, "InvalidAction"),
        ("Action=DescribeVpcs&Nonsense=1", 400, "UnknownParameter"),
        ("Action=DescribeVpcs&DryRun=true", 412, "DryRunOperation"),
        (
            "Action=CreateVpcEndpointServiceConfiguration&DryRun=true",
            400,
            "InvalidParameter",
        ),
        (
            "Action=DescribeSubnets&SubnetId.1=subnet-1&DryRun=true",
            400,
            "InvalidSubnetID.Malformed",
        ),
        (
            "Action=StartVpcEndpointServicePrivateDnsVerification&ServiceId=vpce-svc-00000000000000000&DryRun=true",
            400,
            "InvalidVpcEndpointServiceId.NotFound",
        ),
        ("Action=DescribeVpcs&MaxResults=2", 400, "InvalidMaxResults"),
        (
            "Action=DescribeVpcs&NextToken=junk",
            400,
            "InvalidNextToken",
        ),
        (
            "Action=DescribeVpcs&Filter.1.Name=nonsense&Filter.1.Value.1=x",
            400,
            "InvalidFilter",
        ),
        (
            "Action=DescribeVpcs&Filter.1.Name=dhcp-options-id&Filter.1.Value.1=x",
            400,
            "UnsupportedOperation",
        ),
        (
            "Action=DescribeVpcs&Filter.1.Name=nonsense&Filter.1.Value.1=x\
             &Filter.2.Name=dhcp-options-id&Filter.2.Value.1=x",
            400,
            "InvalidFilter",
        ),
        (
            "Action=DescribeVpcs&Filter.1.Name=availability-zone&Filter.1.Value.1=x",
            400,
            "InvalidFilter",
        ),
        (
            "Action=DescribeSubnets&DryRun=true&Filter.1.Name=outpost-arn&Filter.1.Value.1=x",
            400,
            "UnsupportedOperation",
        ),
        (
            "Action=ModifyVpcAttribute&VpcId=vpc-0123456789abcdef0&EnableNetworkAddressUsageMetrics.Value=true",
            400,
            "UnsupportedOperation",
        ),
        (
            "Action=DescribeVpcEndpointServiceConfigurations&ServiceId.1=vpce-svc-00000000000000000",
            400,
            "InvalidVpcEndpointServiceId.NotFound",
        ),
        (
            "Action=CreateVpcEndpointServiceConfiguration&SupportedRegions.1=eu-west-1",
            400,
            "UnknownParameter",
        ),
        (
            "Action=CreateVpcEndpoint&VpcId=vpc-0123456789abcdef0&ServiceName=x",
            400,
            "InvalidVpcId.NotFound",
        ),
        (
            "Action=CreateVpcEndpoint&VpcId=vpc-1&ServiceName=x",
            400,
            "InvalidVpcID.Malformed",
        ),
        (
            "Action=DescribeVpcs&VpcId.1=vpc-0123456789abcdef0",
            400,
            "InvalidVpcID.NotFound",
        ),
        (
            "Action=AcceptVpcEndpointConnections&VpcEndpointId.1=vpce-1",
            400,
            "MissingParameter",
        ),
        ("NoAction=1", 400, "MissingAction"),
    ] {
        let (got, text) = served.ec2(PROVIDER, form).await;
        assert_eq!(
            (got, inside(&text, "Code").as_str()),
            (status, code),
            "{form}"
        );
        assert!(text.contains("<Response><Errors><Error><Code>") && text.contains("<RequestID>"));
    }
    let (_, text) = served.ec2(PROVIDER, "Action=DescribeInstances").await;
    assert!(inside(&text, "Message").contains("DescribeInstances"));
}

#[tokio::test]
async fn load_balancers_and_sts_speak_the_query_protocol() {
    let served = serve();
    let setup = served
        .simulator
        .provider_setup(PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let lb = setup.ready_load_balancer("edge").unwrap();
    let elb = |form: &str| {
        let body = format!("Version=2015-12-01&{form}").into_bytes();
        served.raw(PROVIDER, "elasticloadbalancing", body)
    };
    let (status, text) = elb(&format!(
        "Action=DescribeLoadBalancers&LoadBalancerArns.member.1={lb}"
    ))
    .await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("<DescribeLoadBalancersResult><LoadBalancers><member><LoadBalancerArn>"));
    assert!(text.contains("<State><Code>active</Code></State><Type>network</Type>"));
    assert!(text.contains("</DescribeLoadBalancersResult><ResponseMetadata><RequestId>"));
    let (_, text) = elb(&format!("Action=DescribeTargetGroups&LoadBalancerArn={lb}")).await;
    let group = inside(&text, "TargetGroupArn");
    let (_, text) = elb(&format!(
        "Action=DescribeTargetHealth&TargetGroupArn={group}"
    ))
    .await;
    assert_eq!(
        text.matches("<TargetHealth><State>healthy</State></TargetHealth>")
            .count(),
        3
    );
    let (status, text) = elb("Action=DescribeLoadBalancers&Names.member.1=none").await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "LoadBalancerNotFound")
    );
    assert!(text.contains("<ErrorResponse xmlns=") && text.contains("<Type>Sender</Type>"));
    let who = b"Version=2011-06-15&Action=GetCallerIdentity".to_vec();
    let (_, text) = served.raw("123456789012", "sts", who).await;
    assert_eq!(inside(&text, "Account"), "123456789012");
    let (_, text) = served
        .raw(
            PROVIDER,
            "sts",
            b"Version=2011-06-15&Action=AssumeRole&RoleSessionName=me&RoleArn=arn:aws:iam::333333333333:role/r".to_vec(),
        )
        .await;
    let key = inside(&text, "AccessKeyId");
    // These tests sign nothing.
    let unsigned = Behavior {
        check_signatures: SignatureCheck::None,
        ..served.simulator.behavior()
    };
    served.simulator.set_behavior(unsigned).unwrap();
    let who = b"Version=2011-06-15&Action=GetCallerIdentity".to_vec();
    let (_, text) = served.raw(&key, "sts", who).await;
    assert_eq!(inside(&text, "Account"), "333333333333");
}

#[tokio::test]
async fn without_a_signature_the_refusal_has_the_shape_of_the_version() {
    let served = serve();
    for (version, root) in [
        ("2016-11-15", "<Response>"),
        ("2015-12-01", "<ErrorResponse "),
    ] {
        let response = served
            .client
            .post(format!("http://{}/", served.address))
            .body(format!("Action=X&Version={version}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 401);
        assert!(response.text().await.unwrap().contains(root));
    }
}

#[tokio::test]
async fn junk_is_answered_and_never_wedges_the_server() {
    let served = serve();
    let mut bodies: Vec<Vec<u8>> = [
        &b""[..],
        b"\xff\xfe\x00",
        b"Action=%ff",
        b"Action=%",
        b"=&=&=",
        b"Action=DescribeVpcs&Filter.1.Name.1.2.3.4.5.6.7.8.9.10=x",
        b"Action=DescribeVpcs&Filter.99999999999999999999.Name=x",
        b"Action=DescribeVpcs&Filter=x",
        b"Action=%3Cscript%3E%00",
        b"Action=AcceptVpcEndpointConnections&ServiceId=vpce-svc-00000000000000000&VpcEndpointId.1.2=x",
    ]
    .iter()
    .map(|body| body.to_vec())
    .collect();
    let many: Vec<String> = (0..15_000)
        .map(|n| format!("VpcEndpointId.{n}=vpce-{n:017x}"))
        .collect();
    let many = many.join("&");
    bodies.push(format!("Action=DescribeVpcEndpoints&{many}").into_bytes());
    bodies.push(format!("Action=DescribeVpcs&VpcId.1={}", "x".repeat(1_000_000)).into_bytes());
    bodies.push(vec![b'&'; 3_000_000]);
    for body in bodies {
        let start: Vec<u8> = body.iter().take(60).copied().collect();
        let (status, text) = served.raw(PROVIDER, "ec2", body).await;
        let shown = String::from_utf8_lossy(&start).into_owned();
        assert!((400..500).contains(&status), "{shown}: {status} {text}");
    }
    let (status, _) = served.ec2(PROVIDER, "Action=DescribeVpcs").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn too_large_a_body_is_refused_in_words() {
    let served = serve();
    let (status, text) = served
        .raw(PROVIDER, "ec2", vec![b'a'; super::MAX_BODY_BYTES + 1])
        .await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (413, "RequestEntityTooLarge")
    );
}

#[tokio::test]
async fn a_dropped_answer_is_a_closed_connection_after_the_work() {
    let served = serve();
    served
        .simulator
        .faults()
        .plan(Fault::once("CreateVpc", Effect::DropAnswer));
    let sent = served
        .client
        .post(format!("http://{}/", served.address))
        .header("authorization", authorization(PROVIDER, "ec2"))
        .body("Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16")
        .send()
        .await;
    assert!(sent.is_err(), "an answer came: {sent:?}");
    let (_, text) = served.ec2(PROVIDER, "Action=DescribeVpcs").await;
    assert_eq!(text.matches("<vpcId>").count(), 2);
}

#[tokio::test]
async fn a_throttled_call_is_a_503_with_the_code_that_sdks_retry() {
    let served = serve();
    served
        .simulator
        .faults()
        .plan(Fault::once("DescribeVpcs", Effect::Throttle));
    let (status, text) = served.ec2(PROVIDER, "Action=DescribeVpcs").await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (503, "RequestLimitExceeded")
    );
}

#[tokio::test]
async fn a_service_that_is_not_simulated_is_refused_by_name_in_its_own_protocol() {
    let served = serve();
    for (method, path, service, kind, body) in [
        (
            "POST",
            "/",
            "dynamodb",
            "application/x-amz-json-1.0",
            "{\"TableName\":\"%\"}",
        ),
        (
            "POST",
            "/",
            "iam",
            "application/x-www-form-urlencoded",
            "Action=ListUsers",
        ),
        ("PUT", "/bucket", "s3", "application/octet-stream", "x"),
        (
            "GET",
            "/2015-03-31/functions",
            "lambda",
            "application/json",
            "",
        ),
    ] {
        let response = served
            .client
            .request(
                method.parse().unwrap(),
                format!("http://{}{path}", served.address),
            )
            .header("authorization", authorization(PROVIDER, service))
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 400, "{service}");
        let text = response.text().await.unwrap();
        assert!(text.contains("InvalidAction"), "{text}");
        assert!(
            text.contains(&format!("The AWS service '{service}' is not simulated")),
            "{text}"
        );
        assert_eq!(text.starts_with('{'), kind.contains("json"));
    }
}
