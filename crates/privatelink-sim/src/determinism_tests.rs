//! The same seed and the same calls give the same world to the byte; another seed gives other ids; a restored snapshot goes on
//! as the world that it was taken of.

use std::net::TcpListener;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use privatelink::{ConnectionFilter, PrivateLink as _};
use serde_json::json;

use crate::api::Api;
use crate::world::ids::mix;
use crate::{Effect, Fault, SimClock, SimConfig, Simulator, Snapshot};

const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];

/// A served simulator, its clock stopped, driven by dice of its own.
struct Driven {
    simulator: Simulator,
    base: String,
    client: reqwest::Client,
    dice: u64,
    /// Ids that answers named, to be used again.
    ids: Vec<String>,
    /// Every answer, with its headers that are not the time of the day.
    answers: Vec<String>,
}

impl Driven {
    fn new(seed: u64) -> Self {
        let clock = SimClock::stopped_at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let config = SimConfig {
            seed,
            clock,
            ..SimConfig::default()
        };
        let simulator = Simulator::new(config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let (server, _handle) = simulator.serve(listener).unwrap();
        tokio::spawn(server);
        Self {
            simulator,
            base,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            dice: 0,
            ids: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.dice += 1;
        usize::try_from(mix(self.dice) % u64::try_from(end).unwrap()).unwrap()
    }

    fn id(&mut self, prefix: &str) -> String {
        let start = self.below(97);
        let of_kind: Vec<_> = self
            .ids
            .iter()
            .filter(|id| id.starts_with(prefix))
            .collect();
        match of_kind.len() {
            0 => format!("{prefix}0aaaaaaaaaaaaaaaa"),
            count => of_kind[start % count].clone(),
        }
    }

    fn form(&mut self) -> (Api, String) {
        let number = self.dice;
        let (api, form) = match self.below(22) {
            0 => (Api::Ec2, "CreateVpc&CidrBlock=10.0.0.0/16".to_owned()),
            1 => (
                Api::Ec2,
                format!(
                    "CreateSecurityGroup&GroupName=g{}&GroupDescription=d&VpcId={}",
                    number,
                    self.id("vpc-")
                ),
            ),
            2..=4 => (
                Api::Ec2,
                format!(
                    "CreateVpcEndpointServiceConfiguration&AcceptanceRequired=true&NetworkLoadBalancerArn.1={}",
                    self.id("arn:aws:elasticloadbalancing")
                ),
            ),
            5 => (
                Api::Ec2,
                format!(
                    "ModifyVpcEndpointServicePermissions&ServiceId={}&AddAllowedPrincipals.1=*",
                    self.id("vpce-svc-")
                ),
            ),
            6..=8 => (
                Api::Ec2,
                format!(
                    "CreateVpcEndpoint&VpcEndpointType=Interface&VpcId={}&SubnetId.1={}&ServiceName=com.amazonaws.vpce.eu-west-1.{}",
                    self.id("vpc-"),
                    self.id("subnet-"),
                    self.id("vpce-svc-")
                ),
            ),
            9 | 10 => (
                Api::Ec2,
                format!(
                    "AcceptVpcEndpointConnections&ServiceId={}&VpcEndpointId.1={}",
                    self.id("vpce-svc-"),
                    self.id("vpce-0")
                ),
            ),
            11 => (
                Api::Ec2,
                format!(
                    "RejectVpcEndpointConnections&ServiceId={}&VpcEndpointId.1={}",
                    self.id("vpce-svc-"),
                    self.id("vpce-0")
                ),
            ),
            12 => (
                Api::Ec2,
                "DescribeVpcEndpointConnections&MaxResults=5".to_owned(),
            ),
            13 => (Api::Ec2, "DescribeVpcEndpoints".to_owned()),
            14 => (Api::Ec2, "DescribeSubnets".to_owned()),
            15 => (
                Api::Ec2,
                format!("DeleteVpcEndpoints&VpcEndpointId.1={}", self.id("vpce-0")),
            ),
            16 => (
                Api::Ec2,
                format!(
                    "CreateTags&ResourceId.1={}&Tag.1.Key=k&Tag.1.Value={}",
                    self.id("vpce-"),
                    self.dice
                ),
            ),
            17 => (
                Api::Elb,
                format!(
                    "CreateLoadBalancer&Name=n{}&Type=network&Subnets.member.1={}",
                    number,
                    self.id("subnet-")
                ),
            ),
            18 => (Api::Elb, "DescribeLoadBalancers".to_owned()),
            19 => (
                Api::Sts,
                "AssumeRole&RoleArn=arn:aws:iam::111111111111:role/r&RoleSessionName=session"
                    .to_owned(),
            ),
            20 => (Api::Sns, format!("CreateTopic&Name=t{}", self.dice % 3)),
            _ => (
                Api::Sns,
                format!("Publish&Message=m&TopicArn={}", self.id("arn:aws:sns")),
            ),
        };
        (api, format!("Action={form}&Version={}", api.version()))
    }

    async fn post(&mut self, api: Api, account: &str, target: Option<&str>, body: String) {
        let scope = api.scope_name();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/eu-west-1/{scope}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let mut request = self
            .client
            .post(&self.base)
            .header("authorization", authorization)
            // The URLs of queues hold the host; the port is another one each time.
            .header("host", "sim.example")
            .body(body.clone());
        if let Some(target) = target {
            request = request.header("x-amz-target", format!("AmazonSQS.{target}"));
        }
        let answer = match request.send().await {
            Ok(response) => {
                let status = response.status();
                let id = response.headers().get("x-amzn-requestid").cloned();
                format!("{status} {id:?} {}", response.text().await.unwrap())
            }
            Err(_) => "no answer".to_owned(),
        };
        for word in answer.split(['<', '>', '"']) {
            let known = ["vpc-", "subnet-", "vpce-", "arn:aws:"];
            if known.iter().any(|prefix| word.starts_with(prefix)) && !word.contains('.') {
                self.ids.push(word.to_owned());
            }
        }
        self.answers.push(format!("{body} -> {answer}"));
    }

    async fn step(&mut self) {
        let account = ACCOUNTS[self.below(3)];
        match self.below(12) {
            0 => {
                let ms = u64::try_from(self.below(400)).unwrap();
                self.simulator.clock().advance(Duration::from_millis(ms));
            }
            1 => {
                let (account, region) = (account.parse().unwrap(), "eu-west-1".parse().unwrap());
                let gateway = self.simulator.gateway(account, region);
                let seen = gateway.connections(&ConnectionFilter::All, None).await;
                self.answers.push(format!("{seen:?}"));
            }
            3 => {
                let service = self.id("vpce-svc-");
                let (account, region) = (account.parse().unwrap(), "eu-west-1".parse().unwrap());
                let consumer = self.simulator.consumer(account, region);
                let name = format!("com.amazonaws.vpce.eu-west-1.{service}");
                let made = consumer.create_endpoint(&name);
                self.ids.extend(made.iter().map(ToString::to_string));
                self.answers.push(format!("{made:?}"));
            }
            2 => {
                let (target, body) = match self.below(4) {
                    0 => ("CreateQueue", json!({"QueueName": "q"})),
                    1 | 2 => (
                        "SendMessage",
                        json!({"QueueUrl": format!("http://x/{account}/q"), "MessageBody": "m"}),
                    ),
                    _ => (
                        "ReceiveMessage",
                        json!({"QueueUrl": format!("http://x/{account}/q"), "AttributeNames": ["All"]}),
                    ),
                };
                self.post(Api::Sqs, account, Some(target), body.to_string())
                    .await;
            }
            _ => {
                let (api, form) = self.form();
                self.post(api, account, None, form).await;
            }
        }
    }

    /// Load balancers and a service of each account, so that the dice have something to work with.
    async fn furnish(&mut self) {
        for account in ACCOUNTS {
            let setup = self
                .simulator
                .provider_setup(account.parse().unwrap(), "eu-west-1".parse().unwrap());
            for name in ["a", "b", "c"] {
                let arn = setup.ready_load_balancer(name).unwrap();
                self.ids.push(arn.to_string());
            }
            let used = self.ids[self.ids.len() - 3].clone();
            let create = format!(
                "Action=CreateVpcEndpointServiceConfiguration&Version=2016-11-15&AcceptanceRequired=true&NetworkLoadBalancerArn.1={used}"
            );
            self.post(Api::Ec2, account, None, create).await;
            let service = self.ids.iter().rfind(|id| id.starts_with("vpce-svc-"));
            let allow = format!(
                "Action=ModifyVpcEndpointServicePermissions&Version=2016-11-15&AddAllowedPrincipals.1=*&ServiceId={}",
                service.unwrap()
            );
            self.post(Api::Ec2, account, None, allow).await;
        }
    }

    async fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step().await;
        }
    }

    fn trouble(&self) {
        for (action, effect, probability) in [
            ("Create*", Effect::Throttle, 0.1),
            (
                "*",
                Effect::ErrorAfter {
                    status: 500,
                    code: "InternalError".to_owned(),
                },
                0.05,
            ),
            ("*", Effect::DropAnswer, 0.05),
        ] {
            self.simulator.faults().plan(Fault {
                probability: Some(probability),
                ..Fault::always(action, effect)
            });
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.simulator.snapshot()).unwrap()
    }
}

#[tokio::test]
async fn the_same_seed_and_calls_give_the_same_answers_to_the_byte() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let mut run = Driven::new(seed);
        run.furnish().await;
        run.trouble();
        run.steps(400).await;
        runs.push(run);
    }
    for (one, two) in runs[0].answers.iter().zip(&runs[1].answers) {
        assert_eq!(one, two);
    }
    assert_eq!(runs[0].answers.len(), runs[1].answers.len());
    assert_eq!(runs[0].text(), runs[1].text());
    // The dice are the same, the ids are not.
    assert!(runs[0].ids.len() > 100 && runs[2].ids.len() > 100);
    let made =
        |id: &&String| !id.contains(':') && id.len() > 20 && !id.ends_with("0aaaaaaaaaaaaaaaa");
    let strangers: Vec<_> = runs[2].ids.iter().filter(made).collect();
    assert!(strangers.len() > 50);
    let shared = strangers.iter().find(|id| runs[0].ids.contains(id));
    assert_eq!(shared, None);
    // The run is worth its name: everything happened.
    let all = runs[0].answers.join("\n");
    for part in [
        "no answer",
        "RequestLimitExceeded",
        "InternalError",
        "pendingAcceptance",
        "available",
        "<AccessKeyId>",
        "MessageId",
    ] {
        assert!(all.contains(part), "{part} never happened");
    }
}

#[tokio::test]
async fn a_restored_snapshot_goes_on_as_the_world_it_was_taken_of() {
    let mut first = Driven::new(7);
    first.furnish().await;
    first.steps(200).await;
    let snapshot: Snapshot = serde_json::from_str(&first.text()).unwrap();
    let mut second = Driven::new(99);
    second.simulator.restore(snapshot).unwrap();
    second.ids.clone_from(&first.ids);
    second.dice = first.dice;
    first.answers.clear();
    first.steps(150).await;
    second.steps(150).await;
    for (one, two) in first.answers.iter().zip(&second.answers) {
        assert_eq!(one, two);
    }
    assert_eq!(first.text(), second.text());
}
