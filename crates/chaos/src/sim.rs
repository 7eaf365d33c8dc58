//! The simulator: its control API, and AWS's wire protocol for consumers, a console and a network team.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::Result;
use crate::scene::REGION;

/// The simulator. It is never killed: it is the truth.
#[derive(Debug, Clone)]
pub(crate) struct Sim {
    client: Client,
    url: String,
}

/// How often a request is sent that the simulator did not read in time.
const MOST_TRIES: usize = 5;

/// How many events one answer holds.
const PAGE: usize = 20_000;

impl Sim {
    pub(crate) fn new(url: String) -> Result<Self> {
        // Each request has a connection of its own: one that is kept may be closed by the server just when the next request is sent.
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, url })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let address = self.url.strip_prefix("http://").ok_or("not over HTTP")?;
        Ok(address.trim_end_matches('/').parse()?)
    }

    /// Sets some of its switches; the others stay as they are.
    pub(crate) async fn behave(&self, switches: Value) -> Result {
        let mut behavior = self.control(Method::GET, "/behavior", None).await?;
        if let (Some(all), Value::Object(some)) = (behavior.as_object_mut(), switches) {
            all.extend(some);
        }
        self.control(Method::PUT, "/behavior", Some(behavior))
            .await
            .map(drop)
    }

    /// A call of the control API.
    pub(crate) async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let mut tries = 0;
        let response = loop {
            let url = format!("{}/_sim{path}", self.url);
            let mut request = self.client.request(method.clone(), url);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = request.send().await?;
            tries += 1;
            // On a machine that is short of everything a request may not have been read in time: then nothing was done.
            if response.status() != StatusCode::REQUEST_TIMEOUT || tries >= MOST_TRIES {
                break response;
            }
        };
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            return Err(format!("/_sim{path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Events after `seq`, oldest first, all of them.
    pub(crate) async fn events(&self, after: u64) -> Result<Vec<Value>> {
        let path = format!("/events?after={after}&limit={PAGE}");
        match self.control(Method::GET, &path, None).await? {
            Value::Array(events) => Ok(events),
            other => Err(format!("no events: {other}").into()),
        }
    }

    /// An AWS call as an account. The signature is not checked; its scope says who and where.
    pub(crate) async fn aws(
        &self,
        account: &str,
        service: &str,
        form: &[(&str, &str)],
    ) -> Result<String> {
        let version = if service == "ec2" {
            "2016-11-15"
        } else {
            "2015-12-01"
        };
        let mut body = vec![("Version", version)];
        body.extend_from_slice(form);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=unchecked"
        );
        let request = self
            .client
            .post(&self.url)
            .header("authorization", authorization);
        let response = request.form(&body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            return Ok(text);
        }
        Err(format!("{form:?} as {account}: {status} {text}").into())
    }

    /// A subnet of the account in a zone of the service, with its VPC. Zone names are shuffled for each account, so ids are compared.
    pub(crate) async fn subnet_for(
        &self,
        account: &str,
        service_name: &str,
    ) -> Result<(String, String)> {
        let ask = [
            ("Action", "DescribeVpcEndpointServices"),
            ("ServiceName.1", service_name),
        ];
        let service = self.aws(account, "ec2", &ask).await?;
        let zones = first(&service, "availabilityZoneIdSet").unwrap_or_default();
        let subnets = self
            .aws(account, "ec2", &[("Action", "DescribeSubnets")])
            .await?;
        let vpc = first(&subnets, "vpcId").ok_or("no VPC")?;
        let subnet = all(&subnets, "subnetId")
            .into_iter()
            .zip(all(&subnets, "availabilityZoneId"))
            .find(|(_, zone)| all(zones, "item").contains(zone));
        let (subnet, _) = subnet.ok_or("no subnet in the service's zones")?;
        Ok((vpc.to_owned(), subnet.to_owned()))
    }

    /// A consumer asks for a connection; the endpoint's id.
    pub(crate) async fn create_endpoint(
        &self,
        account: &str,
        service_name: &str,
        place: &(String, String),
    ) -> Result<String> {
        let (vpc, subnet) = place;
        let form = [
            ("Action", "CreateVpcEndpoint"),
            ("VpcEndpointType", "Interface"),
            ("ServiceName", service_name),
            ("VpcId", vpc),
            ("SubnetId.1", subnet),
        ];
        let made = self.aws(account, "ec2", &form).await?;
        Ok(first(&made, "vpcEndpointId")
            .ok_or("no vpcEndpointId")?
            .to_owned())
    }

    /// A Network Load Balancer in two zones; its ARN.
    pub(crate) async fn load_balancer(&self, account: &str, name: &str) -> Result<String> {
        let subnets = self
            .aws(account, "ec2", &[("Action", "DescribeSubnets")])
            .await?;
        let ids = all(&subnets, "subnetId");
        let [one, two, ..] = ids.as_slice() else {
            return Err("two subnets are needed".into());
        };
        let form = [
            ("Action", "CreateLoadBalancer"),
            ("Name", name),
            ("Type", "network"),
            ("Scheme", "internal"),
            ("Subnets.member.1", one),
            ("Subnets.member.2", two),
        ];
        let made = self.aws(account, "elasticloadbalancing", &form).await?;
        Ok(first(&made, "LoadBalancerArn")
            .ok_or("no LoadBalancerArn")?
            .to_owned())
    }

    /// Plans a fault.
    pub(crate) async fn plan(&self, fault: Value) -> Result {
        self.control(Method::POST, "/faults", Some(fault))
            .await
            .map(drop)
    }

    /// Takes all planned faults back.
    pub(crate) async fn clear_faults(&self) -> Result {
        self.control(Method::DELETE, "/faults", None)
            .await
            .map(drop)
    }

    /// Moves the clock ahead; AWS's time right afterwards.
    pub(crate) async fn jump(&self, by: Duration) -> Result<Value> {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let moved = self
            .control(Method::POST, "/clock", Some(json!({ "advance_ms": ms })))
            .await?;
        Ok(moved["now"].clone())
    }
}

/// The texts of every `<tag>` in an answer. Enough for ids, which hold no markup.
fn all<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split(&close).next())
        .collect()
}

fn first<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    all(xml, tag).into_iter().next()
}
