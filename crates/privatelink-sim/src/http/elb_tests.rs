//! ELBv2 on the wire: the elements, the codes and the pages of its answers.

use serde_json::json;

use super::wire_tests::{Served, inside, serve};

const PROVIDER: &str = "111111111111";

impl Served {
    pub(super) async fn elb(&self, form: &str) -> (u16, String) {
        let body = format!("Version=2015-12-01&{form}").into_bytes();
        self.raw(PROVIDER, "elasticloadbalancing", body).await
    }

    /// An answer that must be a success.
    async fn done(&self, form: &str) -> String {
        let (status, text) = self.elb(form).await;
        assert_eq!(status, 200, "{form}: {text}");
        text
    }

    /// The code of an answer that must be a refusal.
    async fn code(&self, form: &str) -> String {
        let (status, text) = self.elb(form).await;
        assert_eq!(status, 400, "{form}: {text}");
        inside(&text, "Code")
    }

    /// Subnet ids and their blocks, by zone name.
    async fn subnets(&self) -> Vec<String> {
        let (_, text) = self.ec2(PROVIDER, "Action=DescribeSubnets").await;
        all(&text, "subnetId")
    }

    async fn balancer(&self, more: &str) -> String {
        let subnet = self.subnets().await.remove(0);
        let form = format!(
            "Action=CreateLoadBalancer&Name=edge&Type=network&Subnets.member.1={subnet}{more}"
        );
        inside(&self.done(&form).await, "LoadBalancerArn")
    }

    async fn group(&self, name: &str, protocol: &str) -> String {
        let (_, vpcs) = self.ec2(PROVIDER, "Action=DescribeVpcs").await;
        let form = format!(
            "Action=CreateTargetGroup&Name={name}&Protocol={protocol}&Port=443&TargetType=ip&VpcId={}",
            inside(&vpcs, "vpcId")
        );
        inside(&self.done(&form).await, "TargetGroupArn")
    }

    async fn listener(&self, balancer: &str, group: &str, more: &str) -> String {
        let form = format!(
            "Action=CreateListener&LoadBalancerArn={balancer}&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={group}{more}"
        );
        self.done(&form).await
    }
}

fn all(xml: &str, element: &str) -> Vec<String> {
    let open = format!("<{element}>");
    let parts = xml.split(&open).skip(1);
    parts
        .map(|part| part.split('<').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_load_balancer_shows_its_state_addresses_and_enforcement() {
    let served = serve();
    let subnet = served.subnets().await.remove(0);
    let (_, groups) = served.ec2(PROVIDER, "Action=DescribeSecurityGroups").await;
    let group = inside(&groups, "groupId");
    let text = served
        .done(&format!(
            "Action=CreateLoadBalancer&Name=edge&Type=network&SecurityGroups.member.1={group}\
             &SubnetMappings.member.1.SubnetId={subnet}&SubnetMappings.member.1.AllocationId=eipalloc-0123456789abcdef0"
        ))
        .await;
    let arn = inside(&text, "LoadBalancerArn");
    assert!(text.contains(
        "<AllocationId>eipalloc-0123456789abcdef0</AllocationId></member></LoadBalancerAddresses>"
    ));
    assert!(text.contains("<Scheme>internet-facing</Scheme>"));
    let enforce = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic";
    assert_eq!(inside(&text, enforce), "on");
    let text = served
        .done(&format!(
            "Action=SetSecurityGroups&LoadBalancerArn={arn}&SecurityGroups.member.1={group}&{enforce}=off"
        ))
        .await;
    assert!(text.contains(&format!(
        "<SetSecurityGroupsResult><SecurityGroupIds><member>{group}</member></SecurityGroupIds><{enforce}>off</{enforce}>"
    )));
    let state = |state| json!({"account": PROVIDER, "region": "eu-west-1", "load_balancer_arn": arn, "state": state});
    let failed = state(json!({"code": "failed", "reason": "no addresses left"}));
    let path = "/load-balancers/state";
    assert_eq!(served.control("POST", path, Some(failed)).await.0, 204);
    let describe = "Action=DescribeLoadBalancers&Names.member.1=edge";
    let text = served.done(describe).await;
    assert!(text.contains("<State><Code>failed</Code><Reason>no addresses left</Reason></State>"));
    let odd = state(json!({"code": "tired"}));
    assert_eq!(served.control("POST", path, Some(odd)).await.0, 400);
    let own = state(json!(null));
    assert_eq!(served.control("POST", path, Some(own)).await.0, 204);
    let text = served.done(describe).await;
    assert!(text.contains("<State><Code>provisioning</Code></State>"));
    let clock = served.simulator.clock();
    clock.advance(std::time::Duration::from_millis(500));
    let text = served.done(describe).await;
    assert!(text.contains("<State><Code>active</Code></State>"));
}

#[tokio::test]
async fn subnets_and_the_ip_address_type_are_set() {
    let served = serve();
    let arn = served.balancer("").await;
    let subnets = served.subnets().await;
    let text = served
        .done(&format!(
            "Action=SetSubnets&LoadBalancerArn={arn}&Subnets.member.1={}&Subnets.member.2={}",
            subnets[0], subnets[1]
        ))
        .await;
    assert!(text.contains("<SetSubnetsResult><AvailabilityZones><member><ZoneName>"));
    assert_eq!(all(&text, "SubnetId"), subnets[..2]);
    assert!(text.contains("<EnablePrefixForIpv6SourceNat>off</EnablePrefixForIpv6SourceNat>"));
    let set = format!("Action=SetIpAddressType&LoadBalancerArn={arn}&IpAddressType=dualstack");
    assert_eq!(
        inside(&served.done(&set).await, "IpAddressType"),
        "dualstack"
    );
    let code = served
        .code(&format!(
            "Action=SetSubnets&LoadBalancerArn={arn}&Subnets.member.1=subnet-0"
        ))
        .await;
    assert_eq!(code, "SubnetNotFound");
}

#[tokio::test]
async fn attributes_are_described_and_modified_by_kind() {
    let served = serve();
    let (balancer, group) = (served.balancer("").await, served.group("tg", "TCP").await);
    let text = served
        .listener(&balancer, &group, "&Protocol=TCP&Port=443")
        .await;
    let listener = inside(&text, "ListenerArn");
    for (kind, parameter, arn, key, value) in [
        (
            "LoadBalancer",
            "LoadBalancerArn",
            &balancer,
            "load_balancing.cross_zone.enabled",
            "true",
        ),
        (
            "TargetGroup",
            "TargetGroupArn",
            &group,
            "proxy_protocol_v2.enabled",
            "true",
        ),
        (
            "Listener",
            "ListenerArn",
            &listener,
            "tcp.idle_timeout.seconds",
            "6000",
        ),
    ] {
        let describe = format!("Action=Describe{kind}Attributes&{parameter}={arn}");
        let pair = format!("<Key>{key}</Key><Value>{value}</Value>");
        assert!(!served.done(&describe).await.contains(&pair));
        let modify = |value: &str| {
            format!(
                "Action=Modify{kind}Attributes&{parameter}={arn}&Attributes.member.1.Key={key}\
                 &Attributes.member.1.Value={value}"
            )
        };
        assert!(served.done(&modify(value)).await.contains(&pair), "{kind}");
        assert!(served.done(&describe).await.contains(&pair), "{kind}");
        assert_eq!(served.code(&modify("much")).await, "ValidationError");
    }
}

#[tokio::test]
async fn a_tls_listener_has_certificates_and_policies() {
    let served = serve();
    let (balancer, group) = (served.balancer("").await, served.group("tg", "TLS").await);
    let certificate = |name: &str| format!("arn:aws:acm:eu-west-1:{PROVIDER}:certificate/{name}");
    let text = served
        .listener(
            &balancer,
            &group,
            &format!(
                "&Protocol=TLS&Port=443&AlpnPolicy.member.1=HTTP2Preferred&Certificates.member.1.CertificateArn={}",
                certificate("a")
            ),
        )
        .await;
    let listener = inside(&text, "ListenerArn");
    assert!(text.contains(
        "</CertificateArn></member></Certificates><SslPolicy>ELBSecurityPolicy-2016-08</SslPolicy>"
    ));
    assert!(text.contains("<AlpnPolicy><member>HTTP2Preferred</member></AlpnPolicy>"));
    let list = |action: &str, name: &str| {
        format!(
            "Action={action}ListenerCertificates&ListenerArn={listener}&Certificates.member.1.CertificateArn={}",
            certificate(name)
        )
    };
    served.done(&list("Add", "b")).await;
    let describe = format!("Action=DescribeListenerCertificates&ListenerArn={listener}&PageSize=1");
    let first = served.done(&describe).await;
    assert_eq!(inside(&first, "IsDefault"), "true");
    let marker = inside(&first, "NextMarker");
    let second = served.done(&format!("{describe}&Marker={marker}")).await;
    assert_eq!(inside(&second, "CertificateArn"), certificate("b"));
    assert!(!second.contains("NextMarker"));
    assert_eq!(
        served.code(&list("Remove", "a")).await,
        "OperationNotPermitted"
    );
    served.done(&list("Remove", "b")).await;
    let plain = format!("Action=ModifyListener&ListenerArn={listener}&Protocol=TCP&Port=80");
    assert_eq!(served.code(&plain).await, "IncompatibleProtocols");
    let code = served
        .code(&format!(
            "Action=DescribeListeners&ListenerArns.member.1={listener}&LoadBalancerArn={balancer}"
        ))
        .await;
    assert_eq!(code, "ValidationError");
}

#[tokio::test]
async fn a_listener_forwards_to_weighted_target_groups() {
    let served = serve();
    let balancer = served.balancer("").await;
    let (one, two) = (
        served.group("one", "TCP").await,
        served.group("two", "TCP").await,
    );
    let text = served
        .done(&format!(
            "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=TCP&Port=443&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={one}\
             &DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=3\
             &DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true\
             &DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn={two}"
        ))
        .await;
    assert!(text.contains(&format!(
        "<DefaultActions><member><Type>forward</Type><Order>1</Order><ForwardConfig><TargetGroups>\
         <member><TargetGroupArn>{one}</TargetGroupArn><Weight>3</Weight></member>\
         <member><TargetGroupArn>{two}</TargetGroupArn></member></TargetGroups>\
         <TargetGroupStickinessConfig><Enabled>true</Enabled></TargetGroupStickinessConfig></ForwardConfig></member></DefaultActions>"
    )));
    let text = served
        .done(&format!(
            "Action=DescribeTargetGroups&LoadBalancerArn={balancer}"
        ))
        .await;
    assert_eq!(all(&text, "TargetGroupName"), ["one", "two"]);
    let delete = format!("Action=DeleteTargetGroup&TargetGroupArn={one}");
    assert_eq!(served.code(&delete).await, "ResourceInUse");
}

#[tokio::test]
async fn targets_are_registered_judged_and_drained() {
    let served = serve();
    let (balancer, group) = (served.balancer("").await, served.group("tg", "TCP").await);
    served
        .listener(&balancer, &group, "&Protocol=TCP&Port=443")
        .await;
    let targets = |action: &str| {
        format!(
            "Action={action}&TargetGroupArn={group}&Targets.member.1.Id=10.0.0.1&Targets.member.1.AvailabilityZone=all\
             &Targets.member.2.Id=10.0.0.2&Targets.member.2.AvailabilityZone=eu-west-1a"
        )
    };
    served.done(&targets("RegisterTargets")).await;
    let clock = served.simulator.clock();
    clock.advance(std::time::Duration::from_secs(1));
    let describe =
        format!("Action=DescribeTargetHealth&TargetGroupArn={group}&Include.member.1=All");
    let shown = |text: &str| {
        let parts = text.split("<TargetHealth><State>").skip(1);
        parts
            .map(|part| part.split('<').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let text = served.done(&describe).await;
    assert!(text.contains("<AdministrativeOverride><State>no_override</State>"));
    let sick = |more: serde_json::Value| {
        let mut body = json!({"account": PROVIDER, "region": "eu-west-1", "target_group_arn": group,
            "health": {"state": "unhealthy", "reason": "Target.Timeout"}});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Some(body)
    };
    let path = "/targets/health";
    let both = sick(json!({"target_id": "10.0.0.1", "availability_zone": "eu-west-1a"}));
    assert_eq!(served.control("POST", path, both).await.0, 400);
    let zone = sick(json!({"availability_zone": "eu-west-1a"}));
    let (status, answer) = served.control("POST", path, zone).await;
    assert_eq!((status, &answer["targets"]), (200, &json!(1)));
    assert_eq!(
        shown(&served.done(&describe).await),
        ["healthy", "unhealthy"]
    );
    let (_, answer) = served.control("POST", path, sick(json!({}))).await;
    assert_eq!(answer["targets"], json!(2));
    let lost = json!({"account": PROVIDER, "region": "eu-west-1", "availability_zone": "eu-west-1a", "health": null});
    let (status, answer) = served.control("POST", path, Some(lost)).await;
    assert_eq!((status, &answer["targets"]), (200, &json!(1)));
    assert_eq!(
        shown(&served.done(&describe).await),
        ["unhealthy", "healthy"]
    );
    served.done(&targets("DeregisterTargets")).await;
    let text = served.done(&describe).await;
    assert_eq!(shown(&text), ["draining", "draining"]);
    assert_eq!(inside(&text, "Reason"), "Target.DeregistrationInProgress");
    served
        .simulator
        .clock()
        .advance(std::time::Duration::from_mins(5));
    assert!(shown(&served.done(&describe).await).is_empty());
    let text = served.done(&targets("DescribeTargetHealth")).await;
    assert_eq!(inside(&text, "Reason"), "Target.NotRegistered");
}

#[tokio::test]
async fn tags_and_limits_are_described() {
    let served = serve();
    let arn = served
        .balancer("&Tags.member.1.Key=a&Tags.member.1.Value=1")
        .await;
    let tag = |n: u8, key: &str| format!("&Tags.member.{n}.Key={key}&Tags.member.{n}.Value=2");
    let add = format!("Action=AddTags&ResourceArns.member.1={arn}{}", tag(1, "b"));
    served.done(&add).await;
    let twice = format!("{add}{}", tag(2, "b"));
    assert_eq!(served.code(&twice).await, "DuplicateTagKeys");
    served
        .done(&format!(
            "Action=RemoveTags&ResourceArns.member.1={arn}&TagKeys.member.1=a"
        ))
        .await;
    let text = served
        .done(&format!("Action=DescribeTags&ResourceArns.member.1={arn}"))
        .await;
    assert!(text.contains("<Tags><member><Key>b</Key><Value>2</Value></member></Tags>"));
    let text = served.done("Action=DescribeAccountLimits").await;
    assert!(text.contains("<Name>listeners-per-network-load-balancer</Name><Max>50</Max>"));
}

#[tokio::test]
async fn pages_are_opaque_and_stable_and_junk_is_refused() {
    let served = serve();
    let subnet = served.subnets().await.remove(0);
    for name in ["a", "b", "c", "d"] {
        let form =
            format!("Action=CreateLoadBalancer&Name={name}&Type=network&Subnets.member.1={subnet}");
        served.done(&form).await;
    }
    let describe = "Action=DescribeLoadBalancers&PageSize=2";
    let first = served.done(describe).await;
    assert_eq!(all(&first, "LoadBalancerName"), ["a", "b"]);
    let marker = inside(&first, "NextMarker");
    // What is deleted on the first page does not move the second.
    let gone = inside(&first, "LoadBalancerArn");
    served
        .done(&format!("Action=DeleteLoadBalancer&LoadBalancerArn={gone}"))
        .await;
    let second = served.done(&format!("{describe}&Marker={marker}")).await;
    assert_eq!(all(&second, "LoadBalancerName"), ["c", "d"]);
    for bad in ["PageSize=0", "PageSize=401", "Marker=2", "Marker=junk"] {
        let form = format!("Action=DescribeLoadBalancers&{bad}");
        assert_eq!(served.code(&form).await, "ValidationError", "{bad}");
    }
    let elsewhere = format!("Action=DescribeTargetGroups&Marker={marker}");
    assert_eq!(served.code(&elsewhere).await, "ValidationError");
    let many: Vec<_> = (1..=21).map(|n| format!("Names.member.{n}=n{n}")).collect();
    let many = many.join("&");
    let form = format!("Action=DescribeLoadBalancers&{many}");
    assert_eq!(served.code(&form).await, "ValidationError");
}

#[tokio::test]
async fn a_throttled_call_says_throttling_with_status_400() {
    let served = serve();
    let fault = json!({"action": "DescribeLoadBalancers", "times": 1, "effect": "throttle"});
    served.control("POST", "/faults", Some(fault)).await;
    let (status, text) = served.elb("Action=DescribeLoadBalancers").await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "Throttling")
    );
    served.done("Action=DescribeLoadBalancers").await;
}

#[tokio::test]
async fn an_application_load_balancer_is_shown_and_everything_else_of_it_is_not_modelled() {
    let served = serve();
    let subnets = served.subnets().await;
    // Without a type AWS means this one.
    let text = served
        .done(&format!(
            "Action=CreateLoadBalancer&Name=web&Subnets.member.1={}&Subnets.member.2={}",
            subnets[0], subnets[1]
        ))
        .await;
    assert_eq!(inside(&text, "Type"), "application");
    let arn = inside(&text, "LoadBalancerArn");
    let form =
        format!("Action=CreateVpcEndpointServiceConfiguration&NetworkLoadBalancerArn.1={arn}");
    let (status, text) = served.ec2(PROVIDER, &form).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "InvalidNetworkLoadBalancerArn.Malformed")
    );
    let attributes = format!("Action=DescribeLoadBalancerAttributes&LoadBalancerArn={arn}");
    assert_eq!(served.code(&attributes).await, "UnsupportedOperation");
    for action in [
        "CreateRule",
        "DescribeRules",
        "DescribeSSLPolicies",
        "DescribeTrustStores",
    ] {
        let (status, text) = served.elb(&format!("Action={action}")).await;
        assert_eq!(
            (status, inside(&text, "Code").as_str()),
            (400, "InvalidAction")
        );
        assert!(inside(&text, "Message").contains(action));
    }
}
