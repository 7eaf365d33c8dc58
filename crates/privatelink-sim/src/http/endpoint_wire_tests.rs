//! Endpoints of every type on the wire, with the routes, addresses and names around them.

use std::time::Duration;

use super::wire_tests::{Served, inside, serve};

const PROVIDER: &str = "111111111111";
const CONSUMER: &str = "222222222222";

impl Served {
    pub(super) async fn good(&self, account: &str, form: &str) -> String {
        let (status, text) = self.ec2(account, form).await;
        assert_eq!(status, 200, "{form}: {text}");
        text
    }

    pub(super) async fn refused(&self, account: &str, form: &str, code: &str) -> String {
        let (status, text) = self.ec2(account, form).await;
        assert_eq!(status, 400, "{form}: {text}");
        assert_eq!(inside(&text, "Code"), code, "{form}: {text}");
        text
    }

    /// The consumer's default VPC and one of its subnets.
    pub(super) async fn home(&self) -> (String, String) {
        let vpcs = self.good(CONSUMER, "Action=DescribeVpcs").await;
        let subnets = self.good(CONSUMER, "Action=DescribeSubnets").await;
        (inside(&vpcs, "vpcId"), inside(&subnets, "subnetId"))
    }

    fn pass(&self) {
        self.simulator.clock().advance(Duration::from_secs(2));
    }
}

/// A Gateway Load Balancer with its one listener; answers its ARN.
async fn a_wall(served: &Served) -> String {
    let subnets = served.good(PROVIDER, "Action=DescribeSubnets").await;
    let members: Vec<String> = subnets
        .split("<subnetId>")
        .skip(1)
        .zip(1..)
        .map(|(rest, n)| format!("&Subnets.member.{n}={}", rest.split_once('<').unwrap().0))
        .collect();
    let form = format!(
        "Action=CreateLoadBalancer&Name=wall&Type=gateway{}",
        members.concat()
    );
    let (status, text) = served.elb(&form).await;
    assert_eq!(status, 200, "{text}");
    let arn = inside(&text, "LoadBalancerArn");
    assert!(arn.contains(":loadbalancer/gwy/wall/"));
    assert!(text.contains("<Type>gateway</Type>"));
    assert!(!text.contains("<Scheme>") && !text.contains("<DNSName>"));
    let vpc = inside(&text, "VpcId");
    let form = format!("Action=CreateTargetGroup&Name=boxes&Protocol=GENEVE&Port=6081&VpcId={vpc}");
    let (_, text) = served.elb(&form).await;
    let group = inside(&text, "TargetGroupArn");
    let listen = format!(
        "Action=CreateListener&LoadBalancerArn={arn}&DefaultActions.member.1.Type=forward\
         &DefaultActions.member.1.TargetGroupArn={group}"
    );
    let (status, text) = served.elb(&format!("{listen}&Port=6081")).await;
    assert_eq!((status, &*inside(&text, "Code")), (400, "ValidationError"));
    let (status, text) = served.elb(&listen).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(inside(&text, "Protocol"), "GENEVE");
    arn
}

#[tokio::test]
async fn a_gateway_load_balancer_backs_a_service_whose_endpoints_are_next_hops() {
    let served = serve();
    let arn = a_wall(&served).await;
    let form = format!(
        "Action=CreateVpcEndpointServiceConfiguration&AcceptanceRequired=false&GatewayLoadBalancerArn.1={arn}"
    );
    let text = served.good(PROVIDER, &form).await;
    assert!(text.contains(&format!(
        "<gatewayLoadBalancerArnSet><item>{arn}</item></gatewayLoadBalancerArnSet>"
    )));
    assert!(text.contains(
        "<serviceType><item><serviceType>GatewayLoadBalancer</serviceType></item></serviceType>"
    ));
    assert!(!text.contains("networkLoadBalancerArnSet") && !text.contains("baseEndpoint"));
    let (service, name) = (inside(&text, "serviceId"), inside(&text, "serviceName"));
    let grant = format!(
        "Action=ModifyVpcEndpointServicePermissions&ServiceId={service}&AddAllowedPrincipals.1=arn:aws:iam::{CONSUMER}:root"
    );
    served.good(PROVIDER, &grant).await;
    let (_, text) = served
        .elb(&format!("Action=DeleteLoadBalancer&LoadBalancerArn={arn}"))
        .await;
    assert_eq!(inside(&text, "Code"), "ResourceInUse");

    let (vpc, subnet) = served.home().await;
    let create = |kind: &str| {
        format!(
            "Action=CreateVpcEndpoint&VpcEndpointType={kind}&VpcId={vpc}&SubnetId.1={subnet}&ServiceName={name}"
        )
    };
    served
        .refused(CONSUMER, &create("Interface"), "InvalidParameter")
        .await;
    let with_group = create("GatewayLoadBalancer") + "&SecurityGroupId.1=sg-01234567";
    served
        .refused(CONSUMER, &with_group, "InvalidParameter")
        .await;
    let text = served.good(CONSUMER, &create("GatewayLoadBalancer")).await;
    assert!(text.contains("<vpcEndpointType>GatewayLoadBalancer</vpcEndpointType>"));
    assert!(text.contains("<dnsEntrySet></dnsEntrySet>") && !text.contains("policyDocument"));
    let endpoint = inside(&text, "vpcEndpointId");
    served.pass();
    let connections = served
        .good(PROVIDER, "Action=DescribeVpcEndpointConnections")
        .await;
    assert!(connections.contains(&format!(
        "<gatewayLoadBalancerArnSet><item>{arn}</item></gatewayLoadBalancerArnSet>"
    )));

    let tables = served.good(CONSUMER, "Action=DescribeRouteTables").await;
    let table = inside(&tables, "routeTableId");
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0");
    let form = format!("Action=CreateRoute&{route}&VpcEndpointId={endpoint}");
    served.good(CONSUMER, &form).await;
    served.refused(CONSUMER, &form, "RouteAlreadyExists").await;
    let form = format!("Action=ReplaceRoute&{route}&GatewayId={endpoint}");
    served.good(CONSUMER, &form).await;
    let tables = served.good(CONSUMER, "Action=DescribeRouteTables").await;
    assert!(tables.contains(&format!(
        "<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>{endpoint}</gatewayId>\
         <state>active</state><origin>CreateRoute</origin></item>"
    )));
    let form = format!("Action=CreateRoute&{route}&NatGatewayId=nat-1");
    served
        .refused(CONSUMER, &form, "UnsupportedOperation")
        .await;
    let delete = format!("Action=DeleteVpcEndpoints&VpcEndpointId.1={endpoint}");
    let text = served.good(CONSUMER, &delete).await;
    assert_eq!(inside(&text, "code"), "InvalidParameter");
    served
        .good(CONSUMER, &format!("Action=DeleteRoute&{route}"))
        .await;
    let text = served.good(CONSUMER, &delete).await;
    assert!(text.contains("<unsuccessful></unsuccessful>"));
}

#[tokio::test]
async fn dns_options_and_fixed_addresses_are_read_and_shown() {
    let served = serve();
    let (_, name) = served.service().await;
    let (vpc, subnet) = served.home().await;
    let create = format!(
        "Action=CreateVpcEndpoint&VpcEndpointType=Interface&VpcId={vpc}&ServiceName={name}\
         &SubnetConfiguration.1.SubnetId={subnet}&SubnetConfiguration.1.Ipv4="
    );
    served
        .refused(
            CONSUMER,
            &format!("{create}10.1.2.3"),
            "InvalidParameterValue",
        )
        .await;
    let text = served
        .good(
            CONSUMER,
            &format!("Action=DescribeSubnets&SubnetId.1={subnet}"),
        )
        .await;
    assert_eq!(inside(&text, "availableIpAddressCount"), "4091");
    let block = inside(&text, "cidrBlock");
    let address = block.replace(".0/20", ".77");
    let form = format!("{create}{address}&DnsOptions.DnsRecordIpType=dualstack");
    served.refused(CONSUMER, &form, "InvalidParameter").await;
    let form = format!("{create}{address}&DnsOptions.DnsRecordIpType=ipv4");
    let text = served.good(CONSUMER, &form).await;
    assert!(text.contains("<dnsOptions><dnsRecordIpType>ipv4</dnsRecordIpType></dnsOptions>"));
    assert!(text.contains(&format!("<subnetIdSet><item>{subnet}</item></subnetIdSet>")));
    served
        .refused(CONSUMER, &form, "InvalidIPAddress.InUse")
        .await;
    let form = form.replace("SubnetConfiguration.1.Ipv4", "SubnetConfiguration.1.Ipv5");
    served.refused(CONSUMER, &form, "UnknownParameter").await;
}

#[tokio::test]
async fn networks_get_ipv6_blocks() {
    let served = serve();
    let (default_vpc, subnet) = served.home().await;
    let text = served
        .good(
            CONSUMER,
            "Action=CreateVpc&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true",
        )
        .await;
    let (vpc, block) = (inside(&text, "vpcId"), inside(&text, "ipv6CidrBlock"));
    let first = block.replace("/56", "/64");
    let form = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.0.0/24");
    let text = served
        .good(CONSUMER, &format!("{form}&Ipv6CidrBlock={first}"))
        .await;
    assert_eq!(inside(&text, "ipv6CidrBlock"), first);
    assert_eq!(inside(&text, "ipv6Native"), "false");
    let form = format!("Action=CreateSubnet&VpcId={vpc}&Ipv6Native=true&CidrBlock=10.0.1.0/24");
    served
        .refused(CONSUMER, &form, "InvalidParameterCombination")
        .await;
    let form = format!(
        "Action=AssociateVpcCidrBlock&VpcId={default_vpc}&AmazonProvidedIpv6CidrBlock=true"
    );
    let text = served.good(CONSUMER, &form).await;
    let block = inside(&text, "ipv6CidrBlock").replace("/56", "/64");
    let form = format!("Action=AssociateSubnetCidrBlock&SubnetId={subnet}&Ipv6CidrBlock={block}");
    let text = served.good(CONSUMER, &form).await;
    assert_eq!(
        inside(&text, "associationId"),
        subnet.replace("subnet-", "subnet-cidr-assoc-")
    );
    served
        .refused(CONSUMER, &form, "InvalidSubnet.Conflict")
        .await;
}

#[tokio::test]
async fn endpoints_to_vpc_lattice_are_spelt_as_in_aws_samples() {
    let served = serve();
    let (vpc, subnet) = served.home().await;
    let resource = "arn:aws:vpc-lattice:eu-west-1:111111111111:resourceconfiguration/rcfg-0a";
    let network = "arn:aws:vpc-lattice:eu-west-1:111111111111:servicenetwork/sn-0a";
    let create = |kind: &str, target: &str| {
        format!(
            "Action=CreateVpcEndpoint&VpcEndpointType={kind}&VpcId={vpc}&SubnetId.1={subnet}&{target}"
        )
    };
    let to_resource = create("Resource", &format!("ResourceConfigurationArn={resource}"));
    let unknown = "InvalidResourceConfigurationArn.NotFound";
    served.refused(CONSUMER, &to_resource, unknown).await;
    let registration = serde_json::json!({
        "resource_configurations": [{"arn": resource, "type": "SINGLE", "domain": "db.example.com"}],
        "service_networks": [{"arn": network, "name": "shared", "resources": [resource]}],
    });
    let (status, _) = served
        .control("PUT", "/lattice", Some(registration.clone()))
        .await;
    assert_eq!(status, 204);
    let (_, seen) = served.control("GET", "/lattice", None).await;
    assert_eq!(seen["service_networks"][0]["name"], "shared");
    let text = served.good(CONSUMER, &to_resource).await;
    for part in [
        "<state>Pending</state>",
        "<ipAddressType>IPV4</ipAddressType>",
        "<privateDnsEnabled>false</privateDnsEnabled>",
        &format!("<resourceConfigurationArn>{resource}</resourceConfigurationArn>"),
        "<groupName>default</groupName>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let id = inside(&text, "vpcEndpointId");
    let both = format!("{to_resource}&ServiceNetworkArn={network}");
    served.refused(CONSUMER, &both, "InvalidParameter").await;
    let preference = "PrivateDnsEnabled=true&DnsOptions.PrivateDnsPreference=SPECIFIED_DOMAINS_ONLY\
                      &DnsOptions.PrivateDnsSpecifiedDomain.1=db.example.com";
    let to_network = format!(
        "{}&{preference}",
        create("ServiceNetwork", &format!("ServiceNetworkArn={network}"))
    );
    let text = served.good(CONSUMER, &to_network).await;
    assert!(text.contains(
        "<privateDnsPreference>SPECIFIED_DOMAINS_ONLY</privateDnsPreference>\
         <privateDnsSpecifiedDomainSet><item>db.example.com</item></privateDnsSpecifiedDomainSet>"
    ));
    let second = inside(&text, "vpcEndpointId");
    served.pass();
    let text = served
        .good(
            CONSUMER,
            &format!("Action=DescribeVpcEndpoints&VpcEndpointId.1={second}"),
        )
        .await;
    assert!(text.contains("<state>Available</state>"));
    assert!(text.contains(&format!(
        "<ipv4PrefixSet><item><subnetId>{subnet}</subnetId><ipPrefixSet><item>172.31."
    )));
    let list = "Action=DescribeVpcEndpointAssociations";
    let text = served
        .good(CONSUMER, &format!("{list}&VpcEndpointId.1={second}"))
        .await;
    assert!(inside(&text, "id").starts_with("vpce-rsc-asc-"));
    assert_eq!(
        inside(&text, "associatedResourceAccessibility"),
        "Accessible"
    );
    assert_eq!(inside(&text, "serviceNetworkName"), "shared");
    assert!(text.contains("<privateDnsEntry><dnsName>db.example.com</dnsName>"));
    let text = served.good(CONSUMER, &format!("{list}&MaxResults=1")).await;
    let token = inside(&text, "nextToken");
    let text = served
        .good(CONSUMER, &format!("{list}&MaxResults=1&NextToken={token}"))
        .await;
    assert!(!text.contains("nextToken"));
    let too_many = format!("{list}&MaxResults=101");
    served
        .refused(CONSUMER, &too_many, "InvalidParameterValue")
        .await;
    let form =
        format!("Action=DeleteVpcEndpoints&VpcEndpointId.1={id}&VpcEndpointId.2=vpce-00000000");
    let text = served.good(CONSUMER, &form).await;
    assert_eq!(inside(&text, "resourceId"), "vpce-00000000");
    let wrong = serde_json::json!({"resource_configurations": [{"arn": "x", "type": "SINGLE"}]});
    assert_eq!(served.control("PUT", "/lattice", Some(wrong)).await.0, 400);
}

#[tokio::test]
async fn aws_services_are_described_and_private_zones_clash() {
    let served = serve();
    let (service, _) = served.service().await;
    let list = "Action=DescribeVpcEndpointServices";
    let name = "com.amazonaws.eu-west-1.sqs";
    let text = served
        .good(CONSUMER, &format!("{list}&ServiceName.1={name}"))
        .await;
    for part in [
        format!("<serviceNameSet><item>{name}</item></serviceNameSet>"),
        "<owner>amazon</owner>".to_owned(),
        "<baseEndpointDnsNameSet><item>sqs.eu-west-1.vpce.amazonaws.com</item></baseEndpointDnsNameSet>".to_owned(),
        "<privateDnsName>sqs.eu-west-1.amazonaws.com</privateDnsName><privateDnsNameSet><item>".to_owned(),
        "<acceptanceRequired>false</acceptanceRequired>".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    let text = served.good(CONSUMER, &format!("{list}&MaxResults=3")).await;
    assert_eq!(text.matches("<serviceId>").count(), 3);
    assert!(!inside(&text, "nextToken").is_empty());
    let both = format!("{list}&MaxResults=3&ServiceName.1={name}");
    let code = "InvalidParameterCombination";
    served.refused(CONSUMER, &both, code).await;
    let alias = serde_json::json!({"service_id": service, "alias": "aws-marketplace"});
    let (status, _) = served
        .control("POST", "/services/owner-alias", Some(alias))
        .await;
    assert_eq!(status, 204);
    let form = format!("{list}&Filter.1.Name=owner&Filter.1.Value.1=aws-marketplace");
    let text = served.good(CONSUMER, &form).await;
    assert_eq!(inside(&text, "serviceId"), service);
    let (vpc, subnet) = served.home().await;
    let zone = serde_json::json!({"vpc_id": vpc, "name": "sqs.eu-west-1.amazonaws.com"});
    let zones = "/hosted-zones";
    assert_eq!(
        served.control("PUT", zones, Some(zone.clone())).await.0,
        204
    );
    let (_, seen) = served.control("GET", zones, None).await;
    assert_eq!(seen["hosted_zones"][0]["vpc_id"], vpc);
    let create = format!(
        "Action=CreateVpcEndpoint&VpcEndpointType=Interface&VpcId={vpc}&SubnetId.1={subnet}\
         &ServiceName={name}&PrivateDnsEnabled=true"
    );
    served.refused(CONSUMER, &create, "InvalidParameter").await;
    assert_eq!(
        served.control("DELETE", zones, Some(zone.clone())).await.0,
        204
    );
    assert_eq!(served.control("DELETE", zones, Some(zone)).await.0, 404);
    let text = served.good(CONSUMER, &create).await;
    assert!(text.contains("<dnsName>sqs.eu-west-1.amazonaws.com</dnsName>"));
    assert!(!text.contains("pendingAcceptance"));
}

#[tokio::test]
async fn a_route_names_its_prefix_list_whatever_the_addresses_are() {
    let served = serve();
    let name = "com.amazonaws.eu-west-1.s3";
    let list = format!(
        "Action=DescribePrefixLists&Filter.1.Name=prefix-list-name&Filter.1.Value.1={name}"
    );
    let id = inside(&served.good(CONSUMER, &list).await, "prefixListId");
    let body =
        serde_json::json!({"region": "eu-west-1", "service": "s3", "cidrs": ["10.20.0.0/16"]});
    let (status, answer) = served.control("PUT", "/prefix-lists", Some(body)).await;
    assert_eq!((status, &answer["version"]), (200, &serde_json::json!(2)));
    let text = served.good(CONSUMER, &list).await;
    assert!(text.contains("<cidrSet><item>10.20.0.0/16</item></cidrSet>"));
    assert_eq!(inside(&text, "prefixListId"), id);
    let form = format!("Action=GetManagedPrefixListEntries&PrefixListId={id}");
    let text = served.good(CONSUMER, &form).await;
    assert!(text.contains("<entrySet><item><cidr>10.20.0.0/16</cidr></item></entrySet>"));
    let owner = "Filter.1.Name=owner-id&Filter.1.Value.1=AWS";
    let managed = "Action=DescribeManagedPrefixLists";
    served
        .good(CONSUMER, &format!("{managed}&{owner}&MaxResults=1"))
        .await;
    let form = format!("{managed}&MaxResults=101");
    served
        .refused(CONSUMER, &form, "InvalidParameterValue")
        .await;
    let form = format!("Action=DescribePrefixLists&{owner}");
    served.refused(CONSUMER, &form, "InvalidFilter").await;
    let body =
        serde_json::json!({"region": "eu-west-1", "service": "ec2", "cidrs": ["10.0.0.0/8"]});
    assert_eq!(
        served.control("PUT", "/prefix-lists", Some(body)).await.0,
        400
    );
}

#[tokio::test]
async fn interfaces_are_described_and_parts_of_a_network_are_deleted() {
    let served = serve();
    let (_, name) = served.service().await;
    let id = served.endpoint(&name).await;
    let list = "Action=DescribeNetworkInterfaces&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-*";
    let text = served.good(CONSUMER, list).await;
    for part in [
        "<interfaceType>vpc_endpoint</interfaceType>",
        &format!("<description>VPC Endpoint Interface {id}</description>"),
        "<requesterManaged>true</requesterManaged><status>in-use</status>",
        "<privateIpAddressesSet><item><primary>true</primary>",
        "<groupName>default</groupName>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (vpc, _) = served.home().await;
    let subnet = inside(&text, "subnetId");
    for form in [
        format!("Action=DeleteSubnet&SubnetId={subnet}"),
        format!("Action=DeleteVpc&VpcId={vpc}"),
    ] {
        served.refused(CONSUMER, &form, "DependencyViolation").await;
    }
    let text = served
        .good(
            CONSUMER,
            &format!("Action=CreateSecurityGroup&GroupName=a&GroupDescription=b&VpcId={vpc}"),
        )
        .await;
    let group = inside(&text, "groupId");
    let text = served
        .good(
            CONSUMER,
            &format!("Action=CreateRouteTable&VpcId={vpc}&ClientToken=t"),
        )
        .await;
    let table = inside(&text, "routeTableId");
    for form in [
        format!("Action=DeleteVpcEndpoints&VpcEndpointId.1={id}"),
        format!("Action=DeleteSubnet&SubnetId={subnet}"),
        format!("Action=DeleteSecurityGroup&GroupId={group}"),
        format!("Action=DeleteRouteTable&RouteTableId={table}"),
    ] {
        served.good(CONSUMER, &form).await;
    }
    let text = served.good(CONSUMER, list).await;
    assert!(text.contains("<networkInterfaceSet></networkInterfaceSet>"));
}

#[tokio::test]
async fn a_security_group_is_born_with_a_way_out_and_the_default_one_lets_itself_in() {
    let served = serve();
    let (vpc, _) = served.home().await;
    let form = format!("Action=CreateSecurityGroup&GroupName=edge&GroupDescription=e&VpcId={vpc}");
    let made = inside(&served.good(CONSUMER, &form).await, "groupId");
    let shown = |id: &str| format!("Action=DescribeSecurityGroups&GroupId.1={id}");
    let text = served.good(CONSUMER, &shown(&made)).await;
    assert!(
        text.contains(
            "<ipPermissions></ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</ipProtocol>\
             <groups></groups><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>"
        ),
        "{text}"
    );
    let form = "Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=default";
    let text = served.good(CONSUMER, form).await;
    let default = inside(&text, "groupId");
    assert!(text.contains(&format!(
        "<groups><item><userId>{CONSUMER}</userId><groupId>{default}</groupId></item></groups>"
    )));
}
