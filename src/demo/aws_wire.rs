//! The tour's consumers and its provider's network team, on the EC2 and ELBv2 wire.
//!
//! They speak to the simulator as any AWS client would, in Query requests. The signature is a placeholder, since the simulator does not
//! check it; account, Region and service are read from its credential scope. The product itself uses the AWS SDK and none of this.

use super::Failure;

/// Somebody with an AWS account, in one Region.
pub(super) struct Aws {
    client: reqwest::Client,
    endpoint: String,
    account: String,
    region: String,
}

impl Aws {
    pub(super) fn new(endpoint: &str, account: &str, region: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            endpoint: endpoint.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
        }
    }

    async fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        form: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let mut body = vec![("Action", action), ("Version", version)];
        body.extend_from_slice(form);
        let scope = format!(
            "{}/20260101/{}/{service}/aws4_request",
            self.account, self.region
        );
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=unchecked");
        let request = self
            .client
            .post(&self.endpoint)
            .header("authorization", authorization)
            .form(&body);
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            return Ok(text);
        }
        let code = first(&text, "Code").unwrap_or("?");
        let message = first(&text, "Message").unwrap_or("?");
        Err(format!("{action} as {}: {code}: {message}", self.account).into())
    }

    async fn ec2(&self, action: &str, form: &[(&str, &str)]) -> Result<String, Failure> {
        self.call("ec2", "2016-11-15", action, form).await
    }

    async fn elb(&self, action: &str, form: &[(&str, &str)]) -> Result<String, Failure> {
        self.call("elasticloadbalancing", "2015-12-01", action, form)
            .await
    }

    /// The first subnets of the default VPC with their address blocks, and the VPC.
    async fn subnets(&self) -> Result<(String, Vec<(String, String)>), Failure> {
        let answer = self.ec2("DescribeSubnets", &[]).await?;
        let vpc = first(&answer, "vpcId")
            .ok_or("the account has no VPC")?
            .to_owned();
        Ok((
            vpc,
            all(&answer, "subnetId")
                .into_iter()
                .zip(all(&answer, "cidrBlock"))
                .take(2)
                .map(|(subnet, block)| (subnet.to_owned(), block.to_owned()))
                .collect(),
        ))
    }

    /// A subnet in a zone that the service has, with its VPC. Zone names are shuffled per account, so ids are compared.
    async fn subnet_for(&self, service_name: &str) -> Result<(String, String), Failure> {
        let service = self
            .ec2(
                "DescribeVpcEndpointServices",
                &[("ServiceName.1", service_name)],
            )
            .await?;
        let zones = first(&service, "availabilityZoneIdSet").unwrap_or_default();
        let answer = self.ec2("DescribeSubnets", &[]).await?;
        let vpc = first(&answer, "vpcId")
            .ok_or("the account has no VPC")?
            .to_owned();
        let subnet = all(&answer, "subnetId")
            .into_iter()
            .zip(all(&answer, "availabilityZoneId"))
            .find(|(_, zone)| all(zones, "item").contains(zone))
            .ok_or_else(|| {
                format!(
                    "{} has no subnet in the zones of {service_name}",
                    self.account
                )
            })?;
        Ok((vpc, subnet.0.to_owned()))
    }

    /// A Network Load Balancer in two zones with a TCP listener and healthy targets; the one of that name if it exists.
    pub(super) async fn ensure_load_balancer(&self, name: &str) -> Result<String, Failure> {
        let known = self.elb("DescribeLoadBalancers", &[]).await?;
        let tail = format!(":loadbalancer/net/{name}/");
        if let Some(arn) = all(&known, "LoadBalancerArn")
            .into_iter()
            .find(|arn| arn.contains(&tail))
        {
            return Ok(arn.to_owned());
        }
        let (vpc, subnets) = self.subnets().await?;
        let [(one, one_block), (two, two_block)] = subnets.as_slice() else {
            return Err("two subnets are needed".into());
        };
        let made = self
            .elb(
                "CreateLoadBalancer",
                &[
                    ("Name", name),
                    ("Type", "network"),
                    ("Scheme", "internal"),
                    ("Subnets.member.1", one),
                    ("Subnets.member.2", two),
                ],
            )
            .await?;
        let balancer = first(&made, "LoadBalancerArn")
            .ok_or("no LoadBalancerArn")?
            .to_owned();
        let cross_zone = [
            ("LoadBalancerArn", balancer.as_str()),
            (
                "Attributes.member.1.Key",
                "load_balancing.cross_zone.enabled",
            ),
            ("Attributes.member.1.Value", "true"),
        ];
        self.elb("ModifyLoadBalancerAttributes", &cross_zone)
            .await?;
        let made = self
            .elb(
                "CreateTargetGroup",
                &[
                    ("Name", name),
                    ("Protocol", "TCP"),
                    ("Port", "8443"),
                    ("VpcId", &vpc),
                    ("TargetType", "ip"),
                ],
            )
            .await?;
        let group = first(&made, "TargetGroupArn")
            .ok_or("no TargetGroupArn")?
            .to_owned();
        // A target in a zone without a node of the load balancer would not be used.
        let (one_target, two_target) = (tenth(one_block), tenth(two_block));
        let targets = [
            ("TargetGroupArn", group.as_str()),
            ("Targets.member.1.Id", &one_target),
            ("Targets.member.2.Id", &two_target),
        ];
        self.elb("RegisterTargets", &targets).await?;
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "TCP"),
            ("Port", "443"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ];
        self.elb("CreateListener", &listener).await?;
        Ok(balancer)
    }

    /// An endpoint service made outside Portcullis, open to one account; the one on that load balancer if it exists.
    pub(super) async fn ensure_service(
        &self,
        balancer: &str,
        accounts: &[&str],
    ) -> Result<String, Failure> {
        let request = [
            ("NetworkLoadBalancerArn.1", balancer),
            ("AcceptanceRequired", "true"),
            ("ClientToken", "portcullis-tour"),
        ];
        let made = self
            .ec2("CreateVpcEndpointServiceConfiguration", &request)
            .await?;
        let service = first(&made, "serviceId").ok_or("no serviceId")?.to_owned();
        for account in accounts {
            let principal = format!("arn:aws:iam::{account}:root");
            let grant = [
                ("ServiceId", service.as_str()),
                ("AddAllowedPrincipals.1", &principal),
            ];
            self.ec2("ModifyVpcEndpointServicePermissions", &grant)
                .await?;
        }
        Ok(service)
    }

    /// An interface endpoint to a service; the one made earlier with the same token if there is one.
    pub(super) async fn create_endpoint(
        &self,
        service_name: &str,
        token: &str,
    ) -> Result<String, Failure> {
        let (vpc, subnet) = self.subnet_for(service_name).await?;
        let request = [
            ("VpcEndpointType", "Interface"),
            ("ServiceName", service_name),
            ("VpcId", &vpc),
            ("SubnetId.1", &subnet),
            ("ClientToken", token),
        ];
        let made = self.ec2("CreateVpcEndpoint", &request).await?;
        Ok(first(&made, "vpcEndpointId")
            .ok_or("no vpcEndpointId")?
            .to_owned())
    }

    /// Deletes an endpoint.
    pub(super) async fn delete_endpoint(&self, id: &str) -> Result<(), Failure> {
        let answer = self
            .ec2("DeleteVpcEndpoints", &[("VpcEndpointId.1", id)])
            .await?;
        match first(&answer, "code") {
            None => Ok(()),
            Some(code) => Err(format!("DeleteVpcEndpoints {id}: {code}").into()),
        }
    }

    /// The state of an endpoint as its owner sees it.
    pub(super) async fn endpoint_state(&self, id: &str) -> Result<String, Failure> {
        let answer = self
            .ec2("DescribeVpcEndpoints", &[("VpcEndpointId.1", id)])
            .await?;
        Ok(first(&answer, "state").ok_or("no state")?.to_owned())
    }
}

/// The texts of every `<tag>` in an answer. Enough for ids and codes, which hold no markup.
/// The tenth address of an IPv4 block such as `172.31.16.0/20`.
fn tenth(block: &str) -> String {
    let network = block.rsplit_once('.').map_or(block, |(network, _)| network);
    format!("{network}.10")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_tag() {
        let xml = "<a><id>1</id><idle>x</idle><id>2</id></a>";
        assert_eq!(all(xml, "id"), ["1", "2"]);
        assert_eq!(first(xml, "none"), None);
    }

    #[test]
    fn the_tenth_address_is_in_the_block() {
        assert_eq!(tenth("172.31.16.0/20"), "172.31.16.10");
    }
}
