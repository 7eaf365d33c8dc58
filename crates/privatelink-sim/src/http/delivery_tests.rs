//! SNS over HTTP as an endpoint sees it: real requests to a real socket, retries by the simulated clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::messaging_tests::{ME, encode};
use super::wire_tests::{Served, inside, serve};
use crate::{SimConfig, Simulator};

/// An endpoint that notes what it is posted and answers as it is told, else with 200.
struct Endpoint {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, String)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

async fn endpoint() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint {
        address: listener.local_addr().unwrap(),
        seen: Arc::default(),
        answers: Arc::default(),
    };
    let (seen, answers) = (endpoint.seen.clone(), endpoint.answers.clone());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let (head, body) = loop {
                stream.read_buf(&mut text).await.unwrap();
                let so_far = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = so_far.split_once("\r\n\r\n") else {
                    continue;
                };
                let head = head.to_lowercase();
                let (_, length) = head.split_once("content-length: ").unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() >= length {
                    break (head, body.to_owned());
                }
            };
            let status = answers.lock().unwrap().pop_front().unwrap_or(200);
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            seen.lock().unwrap().push((head, body));
        }
    });
    endpoint
}

impl Endpoint {
    /// The head and the body of a request, counted from zero, once it is there.
    async fn request(&self, number: usize) -> (String, String) {
        loop {
            if let Some(found) = self.seen.lock().unwrap().get(number) {
                return found.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn envelope(&self, number: usize) -> (String, Value) {
        let (head, body) = self.request(number).await;
        (head, serde_json::from_str(&body).unwrap())
    }
}

impl Served {
    /// Follows a link to SNS without a signature, as a browser would.
    async fn follow(&self, link: &Value) -> (u16, String) {
        let rest = link.as_str().unwrap();
        let rest = rest
            .strip_prefix("https://sns.eu-west-1.amazonaws.com")
            .unwrap();
        let url = format!("http://{}{rest}", self.address);
        let answer = self.client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn subscribed(&self, endpoint: &Endpoint, more: &str) -> (String, String) {
        let (_, text) = self.sns("Action=CreateTopic&Name=t").await;
        let topic = encode(&inside(&text, "TopicArn"));
        let url = encode(&format!("http://{}/hook", endpoint.address));
        let form = format!("Action=Subscribe&Protocol=http&TopicArn={topic}&Endpoint={url}{more}");
        let (status, text) = self.sns(&form).await;
        assert_eq!(status, 200, "{text}");
        assert_eq!(inside(&text, "SubscriptionArn"), "pending confirmation");
        let (_, asked) = endpoint.envelope(0).await;
        let (status, text) = self.follow(&asked["SubscribeURL"]).await;
        assert_eq!(status, 200, "{text}");
        (topic, inside(&text, "SubscriptionArn"))
    }

    async fn settled(&self) {
        while self.simulator.world().deliveries() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[actix_web::test]
async fn a_url_confirms_by_its_link_hears_messages_and_leaves_by_a_link() {
    let (sim, endpoint) = (serve(), endpoint().await);
    let (topic, subscription) = sim.subscribed(&endpoint, "").await;
    let (head, asked) = endpoint.envelope(0).await;
    assert!(head.starts_with("post /hook http/1.1"));
    for line in [
        "content-type: text/plain; charset=utf-8",
        "user-agent: amazon simple notification service agent",
        "x-amz-sns-message-type: subscriptionconfirmation",
        "x-amz-sns-topic-arn: arn:aws:sns:eu-west-1:111111111111:t",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("x-amz-sns-subscription-arn"));
    assert_eq!(asked["Type"], "SubscriptionConfirmation");
    assert_eq!(asked["Signature"].as_str().unwrap().len(), 344);

    let form = format!(
        "Action=Publish&TopicArn={topic}&Message=hi&MessageAttributes.entry.1.Name=n\
         &MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=v"
    );
    let (_, text) = sim.sns(&form).await;
    let (head, told) = endpoint.envelope(1).await;
    assert!(head.contains("x-amz-sns-message-type: notification"));
    assert!(head.contains(&format!(
        "x-amz-sns-message-id: {}",
        inside(&text, "MessageId")
    )));
    assert!(head.contains(&format!("x-amz-sns-subscription-arn: {subscription}")));
    assert_eq!(told["Message"], "hi");
    assert_eq!(
        told["MessageAttributes"],
        json!({"n": {"Type": "String", "Value": "v"}})
    );

    let (status, _) = sim.follow(&told["UnsubscribeURL"]).await;
    assert_eq!(status, 200);
    let (_, over) = endpoint.envelope(2).await;
    assert_eq!(over["Type"], "UnsubscribeConfirmation");
    sim.sns(&format!("Action=Publish&TopicArn={topic}&Message=unheard"))
        .await;
    let (status, text) = sim.follow(&over["SubscribeURL"]).await;
    assert_eq!(
        (status, inside(&text, "SubscriptionArn")),
        (200, subscription)
    );
    sim.sns(&format!("Action=Publish&TopicArn={topic}&Message=again"))
        .await;
    assert_eq!(endpoint.envelope(3).await.1["Message"], "again");
}

#[actix_web::test]
async fn a_failed_delivery_is_tried_again_by_the_simulated_clock_and_buried_at_last() {
    let (sim, endpoint) = (serve(), endpoint().await);
    let (topic, subscription) = sim.subscribed(&endpoint, "").await;
    sim.settled().await;
    let policy = json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": "*"}]});
    let create = json!({"QueueName": "dead", "Attributes": {"Policy": policy.to_string()}});
    let queue = sim.sqs("CreateQueue", create).await.unwrap();
    let redrive = json!({"deadLetterTargetArn": format!("arn:aws:sqs:eu-west-1:{ME}:dead")});
    let form = format!(
        "Action=SetSubscriptionAttributes&SubscriptionArn={}&AttributeName=RedrivePolicy&AttributeValue={}",
        encode(&subscription),
        encode(&redrive.to_string())
    );
    let (status, text) = sim.sns(&form).await;
    assert_eq!(status, 200, "{text}");
    endpoint
        .answers
        .lock()
        .unwrap()
        .extend([500, 503, 500, 599]);
    sim.sns(&format!("Action=Publish&TopicArn={topic}&Message=hi"))
        .await;
    let (first, _) = endpoint.request(1).await;
    let id = |head: &str| {
        let (_, rest) = head.split_once("x-amz-sns-message-id: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    for retry in 2..=4 {
        // The report of the attempt before must be in the world: only then is the retry due.
        let due = sim.simulator.clock().now() + chrono::TimeDelta::seconds(20);
        while sim.simulator.world().next_delivery() != Some(due) {
            tokio::task::yield_now().await;
        }
        sim.simulator.clock().advance(Duration::from_millis(19_999));
        assert_eq!(endpoint.seen.lock().unwrap().len(), retry);
        sim.simulator.clock().advance(Duration::from_millis(1));
        let (again, _) = endpoint.request(retry).await;
        assert_eq!(id(&first), id(&again));
    }
    sim.settled().await;
    let receive = json!({"QueueUrl": queue["QueueUrl"], "MessageAttributeNames": ["All"]});
    let row = sim.sqs("ReceiveMessage", receive).await.unwrap();
    let row = &row["Messages"][0];
    let buried: Value = serde_json::from_str(row["Body"].as_str().unwrap()).unwrap();
    assert_eq!(buried["Message"], "hi");
    assert_eq!(row["MessageAttributes"]["ErrorCode"]["StringValue"], "599");
}

#[actix_web::test]
async fn what_an_endpoint_refuses_is_not_sent_again() {
    let (sim, endpoint) = (serve(), endpoint().await);
    let (topic, subscription) = sim.subscribed(&endpoint, "").await;
    sim.settled().await;
    let form = format!(
        "Action=SetSubscriptionAttributes&SubscriptionArn={}&AttributeName=RawMessageDelivery&AttributeValue=true",
        encode(&subscription)
    );
    sim.sns(&form).await;
    endpoint.answers.lock().unwrap().extend([404]);
    sim.sns(&format!("Action=Publish&TopicArn={topic}&Message=bare"))
        .await;
    let (head, body) = endpoint.request(1).await;
    assert_eq!(body, "bare");
    assert!(head.contains("x-amz-sns-rawdelivery: true"));
    sim.settled().await;
    assert_eq!(sim.simulator.world().next_delivery(), None);
}

#[tokio::test]
async fn without_a_server_messages_are_posted_when_one_asks_for_it() {
    let (simulator, endpoint) = (
        Simulator::new(SimConfig::default()).unwrap(),
        endpoint().await,
    );
    let me = simulator.caller(&ME.parse().unwrap(), &"eu-west-1".parse().unwrap());
    let url = format!("http://{}/", endpoint.address);
    simulator
        .with_world(|world| {
            let none = BTreeMap::new();
            let topic = world.create_topic(&me, "t", &none, &none).unwrap();
            world.subscribe(&me, &topic, ("http", &url), &none).unwrap();
        })
        .unwrap();
    tokio::select! {
        () = simulator.deliver_messages() => {}
        (_, asked) = endpoint.envelope(0) => assert_eq!(asked["Type"], "SubscriptionConfirmation"),
    }
}
