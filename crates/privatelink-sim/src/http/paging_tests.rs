//! Pages of SNS's and SQS's listings over the wire: tokens that nobody gave out, and tokens of another listing.

use serde_json::json;

use super::messaging_tests::{ME, encode};
use super::wire_tests::{Served, inside, serve};
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
