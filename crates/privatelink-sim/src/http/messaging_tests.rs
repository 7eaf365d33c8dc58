//! SNS and SQS as a client sees them: forms and JSON over a real socket, and receives that wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::wire_tests::{Served, inside, serve};
use crate::{Effect, Fault};

pub(super) const ME: &str = "111111111111";

pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

impl Served {
    pub(super) async fn sns(&self, form: &str) -> (u16, String) {
        let body = format!("Version=2010-03-31&{form}");
        self.raw(ME, "sns", body.into_bytes()).await
    }

    pub(super) async fn sqs(
        &self,
        action: &str,
        body: Value,
    ) -> Result<Value, (u16, Value, String)> {
        let scope = format!("Credential={ME}/20260101/eu-west-1/sqs/aws4_request");
        let response = self
            .client
            .post(format!("http://{}/", self.address))
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let old = response.headers().get("x-amzn-query-error");
        let old = old.map_or("", |v| v.to_str().unwrap()).to_owned();
        let answer = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        if status == 200 {
            Ok(answer)
        } else {
            Err((status, answer, old))
        }
    }

    async fn until_a_call_waits(&self) {
        while self.simulator.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn queue(&self) -> String {
        let made = self.sqs("CreateQueue", json!({"QueueName": "q"})).await;
        made.unwrap()["QueueUrl"].as_str().unwrap().to_owned()
    }
}

#[actix_web::test]
async fn a_topic_reaches_a_queue_through_the_wire() {
    let sim = serve();
    let (status, text) = sim.sns("Action=CreateTopic&Name=t").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\""));
    let topic = inside(&text, "TopicArn");
    let policy = json!({"Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": "*", "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]});
    let create = json!({"QueueName": "q", "Attributes": {"Policy": policy.to_string()}});
    let made = sim.sqs("CreateQueue", create).await.unwrap();
    let url = made["QueueUrl"].as_str().unwrap();
    assert_eq!(url, format!("http://{}/{ME}/q", sim.address));
    let wanted = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let attributes = sim.sqs("GetQueueAttributes", wanted).await.unwrap();
    let queue = attributes["Attributes"]["QueueArn"].as_str().unwrap();
    let (topic_form, queue_form) = (encode(&topic), encode(queue));
    let form = format!(
        "Action=Subscribe&Protocol=sqs&TopicArn={topic_form}&Endpoint={queue_form}\
         &Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=false"
    );
    let (status, text) = sim.sns(&form).await;
    assert_eq!(status, 200, "{text}");
    assert!(inside(&text, "SubscriptionArn").starts_with(&topic));
    let (_, listed) = sim
        .sns(&format!(
            "Action=ListSubscriptionsByTopic&TopicArn={topic_form}"
        ))
        .await;
    assert_eq!(inside(&listed, "Endpoint"), queue);
    let (_, text) = sim
        .sns(&format!("Action=GetTopicAttributes&TopicArn={topic_form}"))
        .await;
    assert!(text.contains("<key>SubscriptionsConfirmed</key><value>1</value>"));
    let (status, _) = sim
        .sns(&format!("Action=Publish&TopicArn={topic_form}&Message=hi"))
        .await;
    assert_eq!(status, 200);
    let receive = json!({"QueueUrl": url, "MessageSystemAttributeNames": ["All"]});
    let answer = sim.sqs("ReceiveMessage", receive).await.unwrap();
    let row = &answer["Messages"][0];
    assert_eq!(row["Attributes"]["ApproximateReceiveCount"], "1");
    let envelope: Value = serde_json::from_str(row["Body"].as_str().unwrap()).unwrap();
    assert_eq!(envelope["Message"], "hi");
    assert_eq!(envelope["SignatureVersion"], "1");
    let signature = envelope["Signature"].as_str().unwrap();
    assert_eq!(signature.len(), 344, "256 bytes in base64");
    let entries = json!([{"Id": "a", "ReceiptHandle": row["ReceiptHandle"]},
        {"Id": "b", "ReceiptHandle": "junk"}]);
    let batch = json!({"QueueUrl": url, "Entries": entries});
    let answer = sim.sqs("DeleteMessageBatch", batch).await.unwrap();
    assert_eq!(answer["Successful"], json!([{"Id": "a"}]));
    assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
}

#[actix_web::test]
async fn one_message_of_a_batch_is_kept_as_planned_and_comes_again() {
    let sim = serve();
    let made = sim.sqs("CreateQueue", json!({"QueueName": "q"})).await;
    let url = made.unwrap()["QueueUrl"].clone();
    for text in ["one", "two"] {
        let message = json!({"QueueUrl": url, "MessageBody": text});
        sim.sqs("SendMessage", message).await.unwrap();
    }
    let receive = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
    let answer = sim.sqs("ReceiveMessage", receive.clone()).await.unwrap();
    let rows = answer["Messages"].as_array().unwrap();
    let entries = rows
        .iter()
        .zip(["0", "1"])
        .map(|(row, id)| json!({"Id": id, "ReceiptHandle": row["ReceiptHandle"]}));
    let batch = json!({"QueueUrl": url, "Entries": entries.collect::<Vec<_>>()});
    let kept = Effect::PartialUnsuccessful {
        resource_id: "1".to_owned(),
        code: "InternalError".to_owned(),
        message: "Later.".to_owned(),
    };
    let kept = Fault::once("DeleteMessageBatch", kept);
    assert_eq!(kept.check(), Ok(()));
    sim.simulator.faults().plan(kept);
    let answer = sim.sqs("DeleteMessageBatch", batch).await.unwrap();
    assert_eq!(answer["Successful"], json!([{"Id": "0"}]));
    assert_eq!(answer["Failed"][0]["Id"], "1");
    assert_eq!(answer["Failed"][0]["Code"], "InternalError");
    let left = sim.sqs("ReceiveMessage", receive).await.unwrap();
    let left = left["Messages"].as_array().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["MessageId"], rows[1]["MessageId"]);
    assert!(sim.simulator.faults().list().is_empty());
}

#[actix_web::test]
async fn the_certificate_is_served_where_the_envelope_says() {
    let sim = serve();
    let authority = crate::world::messaging::signature::authority().unwrap();
    for (path, expected) in [
        (format!("/{}", authority.file), Some(&authority.certificate)),
        ("/_sim/sns/root.pem".to_owned(), Some(&authority.root)),
        (
            format!("/SimpleNotificationService-{}.pem", "0".repeat(32)),
            None,
        ),
    ] {
        let url = format!("http://{}{path}", sim.address);
        let response = sim.client.get(url).send().await.unwrap();
        assert_eq!(response.status() == 200, expected.is_some(), "{path}");
        if let Some(expected) = expected {
            assert_eq!(&response.text().await.unwrap(), expected);
        }
    }
}

#[actix_web::test]
async fn errors_carry_the_json_name_and_the_older_code() {
    let sim = serve();
    let url = format!("http://{}/{ME}/none", sim.address);
    let (status, answer, old) = sim
        .sqs("PurgeQueue", json!({"QueueUrl": url}))
        .await
        .unwrap_err();
    assert_eq!(status, 400);
    assert_eq!(answer["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(old, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    for (action, body, code) in [
        ("StartMessageMoveTask", json!({}), "InvalidAction"),
        ("SendMessage", json!({"QueueUrl": url}), "MissingParameter"),
        ("SendMessage", json!([]), "SerializationException"),
        ("PurgeQueue", json!({"QueueUrl": "x"}), "InvalidAddress"),
        (
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g"}),
            "SerializationException",
        ),
    ] {
        let (_, answer, _) = sim.sqs(action, body).await.unwrap_err();
        let name = answer["__type"].as_str().unwrap();
        assert!(name.ends_with(&format!("#{code}")), "{action}: {answer}");
    }
    let (status, text) = sim.sns("Action=Publish&TopicArn=x&Message=y").await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "InvalidParameter")
    );
}

#[actix_web::test]
async fn a_receive_waits_for_a_message_and_for_no_longer_than_it_takes() {
    let sim = serve();
    let url = sim.queue().await;
    let started = Instant::now();
    let (answer, sent) = tokio::join!(
        sim.sqs(
            "ReceiveMessage",
            json!({"QueueUrl": url, "WaitTimeSeconds": 20})
        ),
        async {
            // The receive is in the middle of its wait when the other call is answered: it holds no lock.
            sim.until_a_call_waits().await;
            sim.sqs("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
                .await
        }
    );
    assert_eq!(
        sent.unwrap()["MD5OfMessageBody"],
        "6f8f57715090da2632453988d9a1501b"
    );
    assert_eq!(answer.unwrap()["Messages"][0]["Body"], "m");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(sim.simulator.calls().of("ReceiveMessage").len(), 1);
}

#[actix_web::test]
async fn a_jump_of_the_clock_ends_a_visibility_timeout_for_who_waits() {
    let sim = serve();
    let url = sim.queue().await;
    let send = json!({"QueueUrl": url, "MessageBody": "m"});
    sim.sqs("SendMessage", send).await.unwrap();
    let receive = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    sim.sqs("ReceiveMessage", receive.clone()).await.unwrap();
    let started = Instant::now();
    let (answer, ()) = tokio::join!(sim.sqs("ReceiveMessage", receive), async {
        sim.until_a_call_waits().await;
        sim.simulator.clock().advance(Duration::from_secs(30));
    });
    assert_eq!(answer.unwrap()["Messages"][0]["Body"], "m");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[actix_web::test]
async fn an_empty_receive_takes_its_time_and_answers_without_messages() {
    let sim = serve();
    let url = sim.queue().await;
    let started = Instant::now();
    let receive = json!({"QueueUrl": url, "WaitTimeSeconds": 1});
    let answer = sim.sqs("ReceiveMessage", receive).await.unwrap();
    assert_eq!(answer, json!({}));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[actix_web::test]
async fn a_client_that_gave_up_takes_no_message_with_it() {
    let sim = serve();
    let url = sim.queue().await;
    let body = json!({"QueueUrl": url, "WaitTimeSeconds": 20}).to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={ME}/20260101/eu-west-1/sqs/aws4_request\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(sim.address).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    sim.until_a_call_waits().await;
    drop(stream);
    let send = json!({"QueueUrl": url, "MessageBody": "m"});
    sim.sqs("SendMessage", send).await.unwrap();
    let receive = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let answer = sim.sqs("ReceiveMessage", receive).await.unwrap();
    assert_eq!(answer["Messages"][0]["Attributes"], Value::Null);
    assert_eq!(answer["Messages"][0]["Body"], "m");
}

#[actix_web::test]
async fn planned_faults_befall_receives_too() {
    let sim = serve();
    let url = sim.queue().await;
    let faults = sim.simulator.faults();
    faults.plan(Fault::once("ReceiveMessage", Effect::Throttle));
    let receive = json!({"QueueUrl": url});
    let (status, answer, old) = sim.sqs("ReceiveMessage", receive).await.unwrap_err();
    assert_eq!((status, old.as_str()), (403, "RequestThrottled;Sender"));
    assert_eq!(answer["__type"], "com.amazonaws.sqs#RequestThrottled");
    let send = json!({"QueueUrl": url, "MessageBody": "m"});
    sim.sqs("SendMessage", send).await.unwrap();
    faults.plan(Fault::once(
        "ReceiveMessage",
        Effect::ErrorAfter {
            status: 500,
            code: "InternalError".into(),
        },
    ));
    let receive = json!({"QueueUrl": url, "WaitTimeSeconds": 1});
    let (status, ..) = sim.sqs("ReceiveMessage", receive).await.unwrap_err();
    assert_eq!(status, 500);
    let wanted = json!({"QueueUrl": url, "AttributeNames": ["All"]});
    let answer = sim.sqs("GetQueueAttributes", wanted).await.unwrap();
    let in_flight = &answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"];
    assert_eq!(in_flight, "1", "the work was done all the same");
}

#[actix_web::test]
async fn attributes_and_batches_keep_their_checksums_in_both_protocols() {
    let sim = serve();
    let url = sim.queue().await;
    let attributes = json!({
        "n": {"DataType": "Number", "StringValue": "1"},
        "b": {"DataType": "Binary", "BinaryValue": "AQI="},
    });
    let entries = json!([
        {"Id": "a", "MessageBody": "m", "MessageAttributes": attributes},
        {"Id": "b", "MessageBody": ""},
    ]);
    let batch = json!({"QueueUrl": url, "Entries": entries});
    let answer = sim.sqs("SendMessageBatch", batch).await.unwrap();
    // Computed apart from this code: lengths of four bytes, names in order, 2 for bytes and 1 for texts.
    let sum = "d363733c49aca51ad4de1ebab905ec7c";
    assert_eq!(answer["Successful"][0]["MD5OfMessageAttributes"], sum);
    assert_eq!(answer["Failed"][0]["Code"], "MissingParameter");
    let receive =
        json!({"QueueUrl": url, "MessageAttributeNames": ["All"], "VisibilityTimeout": 0});
    let answer = sim.sqs("ReceiveMessage", receive).await.unwrap();
    let row = &answer["Messages"][0];
    assert_eq!(row["MessageAttributes"], attributes);
    assert_eq!(row["MD5OfMessageAttributes"], sum);

    let form =
        "Version=2012-11-05&Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=n";
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ME}/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
    );
    let post = sim.client.post(&url).header("authorization", authorization);
    let text = post.body(form).send().await.unwrap().text().await.unwrap();
    assert!(
        text.contains("xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\""),
        "{text}"
    );
    assert!(
        text.contains(
            "<Attribute><Name>ApproximateReceiveCount</Name><Value>2</Value></Attribute>"
        )
    );
    let own = "<MessageAttribute><Name>n</Name><Value><DataType>Number</DataType><StringValue>1</StringValue></Value>";
    assert!(text.contains(own), "{text}");
    let missing = format!(
        "Version=2012-11-05&Action=PurgeQueue&QueueUrl={}",
        encode("http://x/111111111111/none")
    );
    let (status, text) = sim.raw(ME, "sqs", missing.into_bytes()).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "AWS.SimpleQueueService.NonExistentQueue")
    );
}
