//! Pages over the wire: tokens that nobody gave out, and tokens of another listing.

use serde_json::json;

use super::messaging_tests::{ME, encode};
use super::wire_tests::{Served, authorization, inside, serve};
use crate::Behavior;

/// Three topics, three queues, and pages of two.
async fn listings() -> Served {
    let sim = serve();
    let behavior = Behavior {
        page_size_limit: Some(2),
        ..Behavior::default()
    };
    sim.simulator.set_behavior(behavior).unwrap();
    for name in ["a", "b", "c"] {
        sim.sns(&format!("Action=CreateTopic&Name={name}")).await;
        let made = sim.sqs("CreateQueue", json!({"QueueName": name})).await;
        made.unwrap();
        let subscribe = format!(
            "Action=Subscribe&Protocol=sqs&TopicArn={}&Endpoint={}",
            encode(&format!("arn:aws:sns:eu-west-1:{ME}:a")),
            encode(&format!("arn:aws:sqs:eu-west-1:{ME}:{name}"))
        );
        assert_eq!(sim.sns(&subscribe).await.0, 200);
    }
    sim
}

#[actix_web::test]
async fn sns_refuses_a_page_token_that_its_listing_did_not_give_out() {
    let sim = listings().await;
    let of = |name| {
        let arn = encode(&format!("arn:aws:sns:eu-west-1:{ME}:{name}"));
        format!("ListSubscriptionsByTopic&TopicArn={arn}")
    };
    let (of_a, of_b) = (of("a"), of("b"));
    let mut tokens = Vec::new();
    for listing in ["ListTopics", "ListSubscriptions", &of_a] {
        let (status, text) = sim.sns(&format!("Action={listing}")).await;
        assert_eq!(status, 200, "{text}");
        let token = inside(&text, "NextToken");
        let next = format!("Action={listing}&NextToken={token}");
        let (status, text) = sim.sns(&next).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(text.matches("<member>").count(), 1, "the third row: {text}");
        assert!(!text.contains("NextToken"));
        tokens.push(token);
    }
    for (listing, token) in [
        ("ListTopics", "junk"),
        ("ListTopics", tokens[1].as_str()),
        ("ListSubscriptions", "0123456789abcdef0123"),
        ("ListSubscriptions", &tokens[2]),
        (&of_a, &tokens[0]),
        (&of_b, &tokens[2]),
    ] {
        let form = format!("Action={listing}&NextToken={token}");
        let (status, text) = sim.sns(&form).await;
        let said = (status, inside(&text, "Code"), inside(&text, "Message"));
        let wanted = "Invalid parameter: NextToken".to_owned();
        assert_eq!(said, (400, "InvalidParameter".to_owned(), wanted), "{form}");
    }
}

#[actix_web::test]
async fn sqs_refuses_a_page_token_that_its_listing_did_not_give_out() {
    let sim = listings().await;
    let page = json!({"MaxResults": 2});
    let first = sim.sqs("ListQueues", page).await.unwrap();
    let token = first["NextToken"].as_str().unwrap();
    let more = json!({"MaxResults": 2, "NextToken": token});
    let rest = sim.sqs("ListQueues", more).await.unwrap();
    assert_eq!(rest["QueueUrls"].as_array().unwrap().len(), 1);
    assert!(rest.get("NextToken").is_none());
    let url = &first["QueueUrls"][0];
    for (action, body) in [
        ("ListQueues", json!({"NextToken": "junk"})),
        (
            "ListQueues",
            json!({"QueueNamePrefix": "a", "NextToken": token}),
        ),
        (
            "ListDeadLetterSourceQueues",
            json!({"QueueUrl": url, "NextToken": token}),
        ),
    ] {
        let (status, error, old) = sim.sqs(action, body).await.unwrap_err();
        assert_eq!(
            (status, old.as_str()),
            (400, "InvalidParameterValue;Sender")
        );
        assert!(error["message"].as_str().unwrap().contains("NextToken"));
    }
}

impl Served {
    async fn in_region(&self, region: &str, service: &str, form: &str) -> (u16, String) {
        let version = if service == "ec2" {
            "2016-11-15"
        } else {
            "2015-12-01"
        };
        let authorization = authorization(ME, service).replace("eu-west-1", region);
        let sent = self
            .client
            .post(format!("http://{}/", self.address))
            .header("authorization", authorization)
            .body(format!("Version={version}&{form}"))
            .send();
        let response = sent.await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

#[actix_web::test]
async fn ec2_refuses_a_page_token_of_another_caller_or_request() {
    let sim = serve();
    let filter = "Filter.1.Name=state&Filter.1.Value.1=available";
    let first = format!("Action=DescribeSubnets&{filter}&MaxResults=5");
    for region in ["eu-west-1", "us-east-1"] {
        // The default VPC has three subnets, or more where there are more zones.
        for n in 0..5 {
            let (_, vpcs) = sim.in_region(region, "ec2", "Action=DescribeVpcs").await;
            let vpc = inside(&vpcs, "vpcId");
            let form = format!(
                "Action=CreateSubnet&VpcId={vpc}&CidrBlock=172.31.{}.0/28",
                200 + n
            );
            assert_eq!(sim.in_region(region, "ec2", &form).await.0, 200);
        }
    }
    let (_, text) = sim.ec2(ME, &first).await;
    let token = inside(&text, "nextToken");
    assert!(
        !token.contains("7375626e6574"),
        "the key is hidden: {token}"
    );
    let more = format!("&NextToken={token}");
    for size in ["&MaxResults=5", "&MaxResults=6", ""] {
        let form = format!("Action=DescribeSubnets&{filter}{size}{more}");
        let (status, text) = sim.ec2(ME, &form).await;
        assert_eq!(status, 200, "{text}");
    }
    let other = "Filter.1.Name=state&Filter.1.Value.1=*";
    for form in [
        format!("Action=DescribeSubnets&{other}&MaxResults=5{more}"),
        format!("Action=DescribeSubnets&MaxResults=5{more}"),
        format!("Action=DescribeVpcs&MaxResults=5{more}"),
    ] {
        let (status, text) = sim.ec2(ME, &form).await;
        let said = (status, inside(&text, "Code"));
        assert_eq!(said, (400, "InvalidNextToken".to_owned()), "{form}");
    }
    let form = format!("{first}{more}");
    let elsewhere = sim.in_region("us-east-1", "ec2", &form).await;
    for (status, text) in [sim.ec2("222222222222", &form).await, elsewhere] {
        let said = (status, inside(&text, "Code"));
        assert_eq!(said, (400, "InvalidNextToken".to_owned()), "{text}");
    }
}

#[actix_web::test]
async fn elb_refuses_a_marker_of_another_caller_or_request() {
    let sim = serve();
    for region in ["eu-west-1", "us-east-1"] {
        let setup = sim
            .simulator
            .provider_setup(ME.parse().unwrap(), region.parse().unwrap());
        for name in ["a", "b"] {
            setup.ready_load_balancer(name).unwrap();
        }
    }
    let ask = "Action=DescribeLoadBalancers&PageSize=1";
    let (status, text) = sim
        .in_region("eu-west-1", "elasticloadbalancing", ask)
        .await;
    assert_eq!(status, 200, "{text}");
    let marker = format!("&Marker={}", inside(&text, "NextMarker"));
    let larger = ask.replace("=1", "=2");
    for (region, form, wanted) in [
        ("eu-west-1", format!("{larger}{marker}"), 200),
        ("us-east-1", format!("{ask}{marker}"), 400),
        ("eu-west-1", format!("{ask}&Names.member.1=a{marker}"), 400),
    ] {
        let (status, text) = sim.in_region(region, "elasticloadbalancing", &form).await;
        assert_eq!(status, wanted, "{text}");
        assert_eq!(text.contains("The marker is not valid"), wanted == 400);
    }
}
