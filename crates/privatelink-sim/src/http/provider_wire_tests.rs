//! The provider's less frequent calls on the wire: notifications, private DNS, Regions, payers, changed endpoints.

use std::time::Duration;

use serde_json::json;

use super::wire_tests::{Served, inside, serve};

const PROVIDER: &str = "111111111111";
const CONSUMER: &str = "222222222222";

async fn ok(served: &Served, account: &str, form: &str) -> String {
    let (status, text) = served.ec2(account, form).await;
    assert_eq!(status, 200, "{form}: {text}");
    text
}

fn pass(served: &Served) {
    served.simulator.clock().advance(Duration::from_secs(2));
}

#[tokio::test]
async fn notifications_have_the_elements_of_aws() {
    let served = serve();
    let (service, _) = served.service().await;
    let (status, text) = served.sns("Action=CreateTopic&Name=requests").await;
    assert_eq!(status, 200, "{text}");
    let form = format!(
        "Action=CreateVpcEndpointConnectionNotification&ServiceId={service}&ClientToken=t\
         &ConnectionNotificationArn=arn:aws:sns:eu-west-1:{PROVIDER}:requests\
         &ConnectionEvents.1=Connect&ConnectionEvents.2=Accept"
    );
    let text = ok(&served, PROVIDER, &form).await;
    let id = inside(&text, "connectionNotificationId");
    assert!(text.ends_with(&format!(
        "<connectionNotification><connectionNotificationId>{id}</connectionNotificationId>\
         <serviceId>{service}</serviceId><connectionNotificationType>Topic</connectionNotificationType>\
         <connectionNotificationArn>arn:aws:sns:eu-west-1:{PROVIDER}:requests</connectionNotificationArn>\
         <connectionEvents><item>Accept</item><item>Connect</item></connectionEvents>\
         <connectionNotificationState>Enabled</connectionNotificationState>\
         <serviceRegion>eu-west-1</serviceRegion></connectionNotification>\
         <clientToken>t</clientToken></CreateVpcEndpointConnectionNotificationResponse>"
    )) || text.contains("<item>Connect</item><item>Accept</item>"), "{text}");
    let form = format!(
        "Action=ModifyVpcEndpointConnectionNotification&ConnectionNotificationId={id}&ConnectionEvents.1=Delete"
    );
    assert!(
        ok(&served, PROVIDER, &form)
            .await
            .contains("<return>true</return>")
    );
    let form =
        format!("Action=DescribeVpcEndpointConnectionNotifications&ConnectionNotificationId={id}");
    let text = ok(&served, PROVIDER, &form).await;
    assert!(text.contains("<connectionNotificationSet><item><connectionNotificationId>"));
    assert!(text.contains("<connectionEvents><item>Delete</item></connectionEvents>"));
    let form = format!(
        "Action=DeleteVpcEndpointConnectionNotifications&ConnectionNotificationId.1={id}&ConnectionNotificationId.2=vpce-nfn-0"
    );
    let text = ok(&served, PROVIDER, &form).await;
    assert_eq!(inside(&text, "code"), "InvalidConnectionNotification");
    assert_eq!(inside(&text, "resourceId"), "vpce-nfn-0");
}

#[tokio::test]
async fn a_private_dns_name_is_proven_through_the_control_api() {
    let served = serve();
    let (service, _) = served.service().await;
    let form = format!(
        "Action=ModifyVpcEndpointServiceConfiguration&ServiceId={service}&PrivateDnsName=api.example.com"
    );
    ok(&served, PROVIDER, &form).await;
    let describe = "Action=DescribeVpcEndpointServiceConfigurations";
    let text = ok(&served, PROVIDER, describe).await;
    assert_eq!(inside(&text, "privateDnsName"), "api.example.com");
    assert!(!text.contains("privateDnsNameConfiguration"));
    let text = ok(&served, PROVIDER, describe).await;
    assert!(text.contains(
        "<privateDnsNameConfiguration><state>pendingVerification</state><type>TXT</type><value>vpce:"
    ));
    let (label, value) = (inside(&text, "name"), inside(&text, "value"));
    let record = json!({"name": format!("{label}.api.example.com"), "value": value});
    assert_eq!(served.control("PUT", "/dns", Some(record)).await.0, 204);
    let (_, records) = served.control("GET", "/dns", None).await;
    assert_eq!(records["records"][0]["values"][0], json!(value));
    let start = format!("Action=StartVpcEndpointServicePrivateDnsVerification&ServiceId={service}");
    assert!(
        ok(&served, PROVIDER, &start)
            .await
            .contains("<return>true</return>")
    );
    pass(&served);
    let text = ok(&served, PROVIDER, describe).await;
    assert!(text.contains("<state>verified</state>"));
    let seen = ok(&served, CONSUMER, "Action=DescribeVpcEndpointServices").await;
    assert!(seen.contains(
        "<privateDnsNameSet><item><privateDnsName>api.example.com</privateDnsName></item></privateDnsNameSet>\
         <privateDnsNameVerificationState>verified</privateDnsNameVerificationState>"
    ));
    let removal = json!({"name": format!("{label}.api.example.com")});
    let remove = || served.control("DELETE", "/dns", Some(removal.clone()));
    assert_eq!(remove().await.0, 204);
    assert_eq!(remove().await.0, 404);
    pass(&served);
    let text = ok(&served, PROVIDER, describe).await;
    assert!(text.contains("<state>pendingVerification</state>"));
}

#[tokio::test]
async fn regions_and_payers_are_shown_on_the_service_and_its_connections() {
    let served = serve();
    let (service, name) = served.service().await;
    let endpoint = served.endpoint(&name).await;
    for region in ["us-west-2", "us-east-1"] {
        let form = format!(
            "Action=ModifyVpcEndpointServiceConfiguration&ServiceId={service}&AddSupportedRegion.1={region}"
        );
        ok(&served, PROVIDER, &form).await;
    }
    pass(&served);
    let form = format!(
        "Action=ModifyVpcEndpointServiceConfiguration&ServiceId={service}&RemoveSupportedRegion.1=us-east-1"
    );
    ok(&served, PROVIDER, &form).await;
    pass(&served);
    let form = format!(
        "Action=ModifyVpcEndpointServicePayerResponsibility&ServiceId={service}&PayerResponsibility=ServiceOwner"
    );
    assert!(
        ok(&served, PROVIDER, &form)
            .await
            .contains("<return>true</return>")
    );
    let text = ok(
        &served,
        PROVIDER,
        "Action=DescribeVpcEndpointServiceConfigurations",
    )
    .await;
    assert!(text.contains("<remoteAccessEnabled>true</remoteAccessEnabled>"));
    assert!(text.contains(
        "<payerResponsibility>ServiceOwner</payerResponsibility><supportedRegionSet>\
         <item><region>eu-west-1</region><serviceState>Available</serviceState></item>\
         <item><region>us-east-1</region><serviceState>Closed</serviceState></item>\
         <item><region>us-west-2</region><serviceState>Available</serviceState></item></supportedRegionSet>"
    ), "{text}");
    let form = format!(
        "Action=ModifyVpcEndpointPayerResponsibility&ServiceId={service}&VpcEndpointId={endpoint}\
         &Scope=vpc-endpoint-charges&PayerResponsibility=vpc-endpoint-service-account"
    );
    let set = "<payerResponsibilitySet><item><scope>vpc-endpoint-charges</scope>\
               <payerResponsibilityType>vpc-endpoint-service-account</payerResponsibilityType></item></payerResponsibilitySet>";
    let text = ok(&served, PROVIDER, &form).await;
    assert!(text.contains(&format!("<vpcEndpointId>{endpoint}</vpcEndpointId>{set}")));
    let text = ok(&served, PROVIDER, "Action=DescribeVpcEndpointConnections").await;
    assert!(text.contains(&format!(
        "<vpcEndpointRegion>eu-west-1</vpcEndpointRegion>{set}"
    )));
    let form = "Action=DescribeVpcEndpointConnections&Filter.1.Name=vpc-endpoint-region&Filter.1.Value.1=cross-region";
    let text = ok(&served, PROVIDER, form).await;
    assert!(text.contains("<vpcEndpointConnectionSet></vpcEndpointConnectionSet>"));
}

#[tokio::test]
async fn an_endpoint_is_changed_and_another_fails_with_a_reason() {
    let served = serve();
    let (service, name) = served.service().await;
    let endpoint = served.endpoint(&name).await;
    let form = format!(
        "Action=ModifyVpcEndpoint&VpcEndpointId={endpoint}&PolicyDocument=%7B%22Statement%22%3A%5B%5D%7D"
    );
    assert!(
        ok(&served, CONSUMER, &form)
            .await
            .contains("<return>true</return>")
    );
    let text = ok(&served, CONSUMER, "Action=DescribeVpcEndpoints").await;
    assert!(text.contains("<policyDocument>{&quot;Statement&quot;:[]}</policyDocument>"));
    let plan = json!({"account": CONSUMER, "code": "InsufficientCapacity", "message": "No room"});
    let (status, _) = served
        .control("POST", "/endpoints/failures", Some(plan))
        .await;
    assert_eq!(status, 204);
    let failing = served.endpoint(&name).await;
    let form = format!(
        "Action=AcceptVpcEndpointConnections&ServiceId={service}&VpcEndpointId.1={failing}"
    );
    ok(&served, PROVIDER, &form).await;
    pass(&served);
    let form = format!("Action=DescribeVpcEndpoints&VpcEndpointId.1={failing}");
    let text = ok(&served, CONSUMER, &form).await;
    assert_eq!(inside(&text, "state"), "failed");
    assert!(text.contains(
        "<lastError><message>No room</message><code>InsufficientCapacity</code></lastError>"
    ));
}

#[tokio::test]
async fn the_dns_attributes_of_a_vpc_are_read_and_changed() {
    let served = serve();
    let text = ok(&served, CONSUMER, "Action=CreateVpc&CidrBlock=10.0.0.0/16").await;
    let vpc = inside(&text, "vpcId");
    let look = format!("Action=DescribeVpcAttribute&VpcId={vpc}&Attribute=enableDnsHostnames");
    let text = ok(&served, CONSUMER, &look).await;
    assert!(text.contains("<enableDnsHostnames><value>false</value></enableDnsHostnames>"));
    let form = format!("Action=ModifyVpcAttribute&VpcId={vpc}&EnableDnsHostnames.Value=true");
    ok(&served, CONSUMER, &form).await;
    let text = ok(&served, CONSUMER, &look).await;
    assert!(text.contains("<enableDnsHostnames><value>true</value></enableDnsHostnames>"));
}

#[tokio::test]
async fn a_full_speed_client_is_throttled_with_a_503_when_that_is_switched_on() {
    let served = serve();
    let (service, _) = served.service().await;
    let switch = json!({"throttling": "aws_defaults"});
    assert_eq!(
        served.control("PUT", "/behavior", Some(switch)).await.0,
        204
    );
    let form = format!(
        "Action=AcceptVpcEndpointConnections&ServiceId={service}&VpcEndpointId.1=vpce-0123456789abcdef0"
    );
    for _ in 0..10 {
        ok(&served, PROVIDER, &form).await;
    }
    let (status, text) = served.ec2(PROVIDER, &form).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (503, "RequestLimitExceeded")
    );
    pass(&served);
    ok(&served, PROVIDER, &form).await;
}

#[tokio::test]
async fn a_gateway_endpoint_puts_a_prefix_list_into_a_route_table() {
    let served = serve();
    let tables = ok(&served, CONSUMER, "Action=DescribeRouteTables").await;
    let (vpc, table) = (inside(&tables, "vpcId"), inside(&tables, "routeTableId"));
    let form = format!(
        "Action=CreateVpcEndpoint&VpcId={vpc}&ServiceName=com.amazonaws.eu-west-1.s3&RouteTableId.1={table}"
    );
    let text = ok(&served, CONSUMER, &form).await;
    assert!(text.contains("<vpcEndpointType>Gateway</vpcEndpointType>"));
    assert!(text.contains(&format!(
        "<routeTableIdSet><item>{table}</item></routeTableIdSet>"
    )));
    assert_eq!(inside(&text, "state"), "available");
    let id = inside(&text, "vpcEndpointId");
    let filter = "Filter.1.Name=prefix-list-name&Filter.1.Value.1=com.amazonaws.eu-west-1.s3";
    let lists = ok(
        &served,
        CONSUMER,
        &format!("Action=DescribePrefixLists&{filter}"),
    )
    .await;
    assert!(lists.contains("<prefixListSet><item><cidrSet><item>"));
    let list = inside(&lists, "prefixListId");
    let managed = format!("Action=DescribeManagedPrefixLists&{filter}");
    let managed = ok(&served, CONSUMER, &managed).await;
    assert_eq!(inside(&managed, "prefixListId"), list);
    let tables = ok(&served, CONSUMER, "Action=DescribeRouteTables").await;
    assert!(tables.contains(&format!(
        "<item><destinationPrefixListId>{list}</destinationPrefixListId><gatewayId>{id}</gatewayId>\
         <state>active</state><origin>CreateRoute</origin></item>"
    )));
    let form = format!("Action=ModifyVpcEndpoint&VpcEndpointId={id}&RemoveRouteTableId.1={table}");
    ok(&served, CONSUMER, &form).await;
    let tables = ok(&served, CONSUMER, "Action=DescribeRouteTables").await;
    assert!(!tables.contains("destinationPrefixListId"));
    let form = format!("Action=CreateRouteTable&VpcId={vpc}");
    let made = ok(&served, CONSUMER, &form).await;
    assert!(made.contains("<routeTable><routeTableId>rtb-"));
    let form = format!("Action=DescribeVpcEndpointAssociations&VpcEndpointId.1={id}");
    let text = ok(&served, CONSUMER, &form).await;
    assert!(text.contains("<vpcEndpointAssociationSet></vpcEndpointAssociationSet>"));
}

#[tokio::test]
async fn a_consumer_in_another_region_connects_by_service_region() {
    let served = serve();
    let (service, name) = served.service().await;
    let abroad = async |form: String| {
        let response = served
            .client
            .post(format!("http://{}/", served.address))
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={CONSUMER}/20260101/us-west-2/ec2/aws4_request, \
                     SignedHeaders=host, Signature=00"
                ),
            )
            .body(format!("Version=2016-11-15&{form}"))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (_, subnets) = abroad("Action=DescribeSubnets".to_owned()).await;
    let create = format!(
        "Action=CreateVpcEndpoint&VpcEndpointType=Interface&ServiceName={name}&VpcId={}&SubnetId.1={}",
        inside(&subnets, "vpcId"),
        inside(&subnets, "subnetId"),
    );
    let (status, text) = abroad(format!("{create}&ServiceRegion=eu-west-1")).await;
    assert_eq!(
        (status, inside(&text, "Code").as_str()),
        (400, "InvalidServiceName")
    );
    let open = format!(
        "Action=ModifyVpcEndpointServiceConfiguration&ServiceId={service}&AddSupportedRegion.1=us-west-2"
    );
    ok(&served, PROVIDER, &open).await;
    let (status, _) = abroad(format!("{create}&ServiceRegion=eu-west-1")).await;
    assert_eq!(status, 400, "the Region is still pending");
    pass(&served);
    let (_, text) = abroad(create.clone()).await;
    assert_eq!(
        inside(&text, "Code"),
        "InvalidServiceName",
        "without ServiceRegion"
    );
    let (status, text) = abroad(format!("{create}&ServiceRegion=eu-west-1")).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(inside(&text, "serviceRegion"), "eu-west-1");
    let (_, seen) =
        abroad("Action=DescribeVpcEndpointServices&ServiceRegion.1=eu-west-1".to_owned()).await;
    assert!(seen.contains(
        "<serviceRegion>eu-west-1</serviceRegion><availabilityZoneIdSet></availabilityZoneIdSet>\
         <availabilityZoneSet></availabilityZoneSet>"
    ));
    let form = "Action=DescribeVpcEndpointConnections&Filter.1.Name=vpc-endpoint-region&Filter.1.Value.1=cross-region";
    let text = ok(&served, PROVIDER, form).await;
    assert_eq!(inside(&text, "vpcEndpointRegion"), "us-west-2");
}

#[tokio::test]
async fn permissions_are_for_endpoints_only() {
    let served = serve();
    let (service, _) = served.service().await;
    let grant = |kind: &str| {
        format!(
            "Action=ModifyVpcEndpointServicePermissions&ServiceId={service}&AddAllowedPrincipals.1=*&PermissionType={kind}"
        )
    };
    let text = ok(&served, PROVIDER, &grant("vpc-endpoint")).await;
    assert_eq!(inside(&text, "permissionType"), "vpc-endpoint");
    let form = |kind: &str| {
        format!(
            "Action=DescribeVpcEndpointServicePermissions&ServiceId={service}&Filter.1.Name=permission-type&Filter.1.Value.1={kind}"
        )
    };
    let text = ok(&served, PROVIDER, &form("vpc-endpoint")).await;
    assert_eq!(inside(&text, "permissionType"), "vpc-endpoint");
    let text = ok(&served, PROVIDER, &form("transit-gateway-attachment")).await;
    assert!(!text.contains("<principal>"), "{text}");
    let code = "UnsupportedOperation";
    let text = served
        .refused(PROVIDER, &grant("transit-gateway-attachment"), code)
        .await;
    assert!(text.contains("PermissionType"), "{text}");
    served
        .refused(PROVIDER, &grant("all"), "InvalidParameterValue")
        .await;
}
