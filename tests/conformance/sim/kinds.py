"""Endpoints of the other types: next hops, VPC Lattice, tunnels, AWS's own services, and their DNS options and addresses."""

from .lab import AWAY, dumps

GONE = "0123456789abcdef0"
POLICY = {"Statement": []}


def check(lab):
    walls(lab)
    lattice(lab)
    groups_and_tunnels(lab)
    addresses(lab)
    dns_options(lab)
    aws_services(lab)
    payer(lab)


def wall(party, name):
    """A Gateway Load Balancer."""
    subnets = [subnet["SubnetId"] for subnet in party.subnets()]
    return party.elbv2.create_load_balancer(Name=name, Type="gateway", Subnets=subnets)["LoadBalancers"][0]


def firewall(lab, acceptance=True):
    """A provider, a consumer, and a service of next hops that it may use."""
    provider, consumer = lab.party(), lab.party()
    made = provider.ec2.create_vpc_endpoint_service_configuration(
        GatewayLoadBalancerArns=[wall(provider, "wall")["LoadBalancerArn"]], AcceptanceRequired=acceptance
    )["ServiceConfiguration"]
    provider.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=made["ServiceId"], AddAllowedPrincipals=[consumer.root()], PermissionType="vpc-endpoint"
    )
    return provider, consumer, made


def walls(lab):
    provider, consumer, service = firewall(lab)
    lab.that("its type", service["ServiceType"], [{"ServiceType": "GatewayLoadBalancer"}])
    lab.that("one list of load balancers", "NetworkLoadBalancerArns" in service, False)
    lab.that("no names", service.get("BaseEndpointDnsNames", []), [])
    arn = service["GatewayLoadBalancerArns"][0]
    second = wall(provider, "second")["LoadBalancerArn"]
    modify = provider.ec2.modify_vpc_endpoint_service_configuration
    lab.that("another one", modify(ServiceId=service["ServiceId"], AddGatewayLoadBalancerArns=[second])["Return"], True)
    modify(ServiceId=service["ServiceId"], RemoveGatewayLoadBalancerArns=[second])
    shown = provider.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])["ServiceConfigurations"][0]
    lab.that("and back", shown["GatewayLoadBalancerArns"], [arn])
    create = provider.ec2.create_vpc_endpoint_service_configuration
    lab.refused("InvalidParameter", create, 400, GatewayLoadBalancerArns=[arn])
    lab.refused("InvalidParameter", create, 400, GatewayLoadBalancerArns=[second], NetworkLoadBalancerArns=[provider.load_balancer()])
    lab.refused("InvalidGatewayLoadBalancerArn.NotFound", create, 400, GatewayLoadBalancerArns=[arn[:-16] + GONE[:16]])
    lab.refused("InvalidGatewayLoadBalancerArn.Malformed", create, 400, GatewayLoadBalancerArns=[provider.load_balancer()])
    lab.refused("InvalidParameter", create, 400, GatewayLoadBalancerArns=[second], PrivateDnsName="api.example.com")
    lab.refused("ResourceInUse", provider.elbv2.delete_load_balancer, 400, LoadBalancerArn=arn)
    grant = provider.ec2.modify_vpc_endpoint_service_permissions
    lab.refused(
        "UnsupportedOperation", grant, 400, ServiceId=service["ServiceId"], AddAllowedPrincipals=[consumer.root()],
        PermissionType="transit-gateway-attachment",
    )  # fmt: skip
    topic = provider.sns.create_topic(Name="walls")["TopicArn"]
    notify = provider.ec2.create_vpc_endpoint_connection_notification
    lab.refused("InvalidParameter", notify, 400, ServiceId=service["ServiceId"], ConnectionNotificationArn=topic, ConnectionEvents=["Connect"])

    two = [subnet["SubnetId"] for subnet in consumer.subnets()[:2]]
    hop = {"VpcEndpointType": "GatewayLoadBalancer"}
    lab.refused("InvalidParameter", lambda **more: consumer.endpoint(service, **hop, **more), 400, SubnetIds=two)
    lab.refused("InvalidParameter", lambda **more: consumer.endpoint(service, **hop, **more), 400, PolicyDocument=dumps(POLICY))
    lab.refused("InvalidParameter", lambda **more: consumer.endpoint(service, **more), 400)
    endpoint = consumer.endpoint(service, **hop)
    lab.that("it waits", endpoint["State"], "pendingAcceptance")
    lab.that("and has no names", endpoint.get("DnsEntries", []), [])
    row = provider.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"][0]
    lab.that("the provider sees its load balancer", row["GatewayLoadBalancerArns"], [arn])


def register(lab, account, prefix):
    """Resource configurations, a group with a child, a block of addresses, and a service network with two resources."""
    arn = f"arn:aws:vpc-lattice:eu-west-1:{account}:"
    resource = arn + "resourceconfiguration/rcfg-" + prefix
    found = {
        "one": resource + "1", "two": resource + "2", "group": resource + "3", "child": resource + "4", "block": resource + "5",
        "network": arn + "servicenetwork/sn-" + prefix,
    }  # fmt: skip
    lab.control("PUT", "/lattice", {
        "resource_configurations": [
            {"arn": found["one"], "type": "SINGLE", "domain": "one.example.com", "domain_verified": True},
            {"arn": found["two"], "type": "SINGLE", "domain": "two.example.com"},
            {"arn": found["group"], "type": "GROUP"},
            {"arn": found["child"], "type": "CHILD", "group": found["group"]},
            {"arn": found["block"], "type": "CIDR", "cidrs": ["10.40.0.0/16"]},
        ],
        "service_networks": [{"arn": found["network"], "name": "shared", "resources": [found["one"], found["group"]]}],
    })  # fmt: skip
    return found


def to_lattice(party, kind, target, **more):
    """An endpoint to something of VPC Lattice."""
    subnet = party.subnets()[0]
    member = "ServiceNetworkArn" if kind == "ServiceNetwork" else "ResourceConfigurationArn"
    asked = {"VpcEndpointType": kind, "VpcId": subnet["VpcId"], "SubnetIds": [subnet["SubnetId"]], member: target}
    return party.ec2.create_vpc_endpoint(**(asked | more))["VpcEndpoint"]


def lattice(lab):
    me = lab.party()
    there = register(lab, me.account, "0a")
    gone = there["one"][:-3] + "ff"
    lab.refused("InvalidResourceConfigurationArn.NotFound", to_lattice, 400, party=me, kind="Resource", target=gone)
    lab.refused("InvalidResourceConfigurationArn.Malformed", to_lattice, 400, party=me, kind="Resource", target="one")
    lab.refused("InvalidServiceNetworkArn.NotFound", to_lattice, 400, party=me, kind="ServiceNetwork", target=there["network"] + "9")
    lab.refused("InvalidServiceNetworkArn.Malformed", to_lattice, 400, party=me, kind="ServiceNetwork", target=there["one"])
    lab.refused("InvalidParameter", to_lattice, 400, party=me, kind="Resource", target=there["one"], ServiceNetworkArn=there["network"])
    made = to_lattice(me, "Resource", there["one"], PrivateDnsEnabled=True)
    lab.that("words of VPC Lattice", (made["State"], made["IpAddressType"]), ("Pending", "IPV4"))
    preference = {"PrivateDnsPreference": "SPECIFIED_DOMAINS_ONLY", "PrivateDnsSpecifiedDomains": ["two.example.com"]}
    whole = to_lattice(
        me, "ServiceNetwork", there["network"], PrivateDnsEnabled=True, DnsOptions=preference,
        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "team", "Value": "data"}]}],
    )  # fmt: skip
    lab.that("its preference", whole["DnsOptions"]["PrivateDnsSpecifiedDomains"], ["two.example.com"])
    lab.refused("InvalidParameter", to_lattice, 400, party=me, kind="ServiceNetwork", target=there["network"], DnsOptions=preference)
    associations = me.ec2.describe_vpc_endpoint_associations
    lab.that("not yet", {row["AssociatedResourceAccessibility"] for row in associations()["VpcEndpointAssociations"]} <= {"Pending", "Accessible"}, True)
    lab.advance(1_000)
    shown = me.ec2.describe_vpc_endpoints(VpcEndpointIds=[whole["VpcEndpointId"]])["VpcEndpoints"][0]
    lab.that("there", shown["State"], "Available")
    lab.that("a prefix in its subnet", [row["SubnetId"] for row in shown["Ipv4Prefixes"]], shown["SubnetIds"])
    rows = associations(VpcEndpointIds=[whole["VpcEndpointId"]])["VpcEndpointAssociations"]
    lab.that("one for the resource, one for the group's child", {row["AssociatedResourceArn"] for row in rows}, {there["one"], there["child"]})
    lab.that("the group", [row["ResourceConfigurationGroupArn"] for row in rows if row["AssociatedResourceArn"] == there["child"]], [there["group"]])
    lab.that("the network's name", {row["ServiceNetworkName"] for row in rows}, {"shared"})
    lab.that("not the domain that was not specified", [row for row in rows if "PrivateDnsEntry" in row], [])
    alone = associations(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpointAssociations"][0]
    lab.that("a verified domain", alone["PrivateDnsEntry"]["DnsName"], "one.example.com")
    lab.that("AWS's samples", alone["AssociatedResourceAccessibility"], "Accessible")
    with lab.behavior(documented_association_states=True):
        again = associations(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpointAssociations"][0]
        lab.that("AWS's words", again["AssociatedResourceAccessibility"], "AVAILABLE")
    modify = me.ec2.modify_vpc_endpoint
    modify(VpcEndpointId=whole["VpcEndpointId"], DnsOptions={"PrivateDnsPreference": "VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS", "PrivateDnsSpecifiedDomains": ["one.example.com"]})
    lab.advance(1_000)
    shown = me.ec2.describe_vpc_endpoints(VpcEndpointIds=[whole["VpcEndpointId"]])["VpcEndpoints"][0]
    lab.that("changed", shown["DnsOptions"]["PrivateDnsSpecifiedDomains"], ["one.example.com"])
    failure = {"account": me.account, "times": 1, "code": "ResourceNotReachable", "message": "No way there."}
    lab.control("POST", "/endpoints/failures", failure)
    broken = to_lattice(me, "Resource", there["two"])
    lab.advance(1_000)
    row = associations(VpcEndpointIds=[broken["VpcEndpointId"]])["VpcEndpointAssociations"][0]
    lab.that("why it failed", (row["FailureCode"], row["FailureReason"]), ("ResourceNotReachable", "No way there."))
    shown = me.ec2.describe_vpc_endpoints(VpcEndpointIds=[broken["VpcEndpointId"]])["VpcEndpoints"][0]
    lab.that("and the endpoint", shown["State"], "Failed")
    lab.that("deleted", me.ec2.delete_vpc_endpoints(VpcEndpointIds=[broken["VpcEndpointId"]])["Unsuccessful"], [])


def groups_and_tunnels(lab):
    me = lab.party()
    there = register(lab, me.account, "0b")
    lab.refused("InvalidParameter", to_lattice, 400, party=me, kind="Tunnel", target=there["one"])
    lab.refused("InvalidParameter", to_lattice, 400, party=me, kind="Resource", target=there["block"])
    made = to_lattice(me, "Tunnel", there["block"])
    lab.that("a tunnel", (made["VpcEndpointType"], made["ResourceConfigurationArn"]), ("Tunnel", there["block"]))


def addresses(lab):
    provider, consumer = lab.party(), lab.party()
    service = provider.service(consumer.root())
    subnet = consumer.subnets()[0]
    fixed = subnet["CidrBlock"].rsplit(".", 1)[0] + ".77"
    wanted = [{"SubnetId": subnet["SubnetId"], "Ipv4": fixed}]
    made = consumer.endpoint(service, SubnetConfigurations=wanted)
    interface = consumer.ec2.describe_network_interfaces(NetworkInterfaceIds=made["NetworkInterfaceIds"])["NetworkInterfaces"][0]
    lab.that("the address that was asked for", interface["PrivateIpAddress"], fixed)
    other = provider.service(consumer.root())
    refused = lambda code, **more: lab.refused(code, lambda **asked: consumer.endpoint(other, **asked), 400, **more)  # noqa: E731
    refused("InvalidIPAddress.InUse", SubnetConfigurations=wanted)
    refused("InvalidParameterValue", SubnetConfigurations=[{"SubnetId": subnet["SubnetId"], "Ipv4": "10.9.9.9"}])
    next_to = fixed[:-2] + "78"
    lab.advance(1_000)
    provider.accept(service, made)
    lab.advance(1_000)
    consumer.ec2.modify_vpc_endpoint(
        VpcEndpointId=made["VpcEndpointId"], SubnetConfigurations=[{"SubnetId": subnet["SubnetId"], "Ipv4": next_to}]
    )
    interface = consumer.ec2.describe_network_interfaces(
        Filters=[{"Name": "private-ip-address", "Values": [next_to]}]
    )["NetworkInterfaces"]
    lab.that("moved to another", [row["SubnetId"] for row in interface], [subnet["SubnetId"]])


def dns_options(lab):
    provider, consumer = lab.party(), lab.party()
    service = provider.service(consumer.root())
    refused = lambda code, **options: lab.refused(code, lambda **more: consumer.endpoint(service, **more), 400, DnsOptions=options)  # noqa: E731
    refused("InvalidParameter", DnsRecordIpType="ipv6")
    refused("InvalidParameterValue", DnsRecordIpType="ipv5")
    refused("InvalidParameter", PrivateDnsPreference="ALL_DOMAINS")
    refused("InvalidParameter", PrivateDnsOnlyForInboundResolverEndpoint=True)
    made = consumer.endpoint(service, DnsOptions={"DnsRecordIpType": "ipv4"})
    lab.that("its records", made["DnsOptions"]["DnsRecordIpType"], "ipv4")
    modify = consumer.ec2.modify_vpc_endpoint
    lab.refused("InvalidParameter", modify, 400, VpcEndpointId=made["VpcEndpointId"], DnsOptions={"DnsRecordIpType": "dualstack"})


def aws_services(lab):
    me = lab.party()
    s3, sqs = f"com.amazonaws.{me.region}.s3", f"com.amazonaws.{me.region}.sqs"
    found = me.ec2.describe_vpc_endpoint_services(ServiceNames=[sqs])["ServiceDetails"][0]
    lab.that("whose", (found["Owner"], found["PrivateDnsName"]), ("amazon", f"sqs.{me.region}.amazonaws.com"))
    private = {"PrivateDnsEnabled": True}
    zone = {"vpc_id": me.subnets()[0]["VpcId"], "name": f"sqs.{me.region}.amazonaws.com"}
    lab.control("PUT", "/hosted-zones", zone)
    lab.refused("InvalidParameter", lambda **more: me.endpoint({"ServiceName": sqs}, **more), 400, **private)
    lab.control("DELETE", "/hosted-zones", zone)
    made = me.endpoint({"ServiceName": sqs}, **private)
    lab.that("nobody has to accept it", made["State"], "pending")
    lab.that("AWS's own name comes last", made["DnsEntries"][-1]["DnsName"], f"sqs.{me.region}.amazonaws.com")
    lab.refused("InvalidParameter", lambda **more: me.endpoint({"ServiceName": sqs}, **more), 400, **private)
    only = {"PrivateDnsOnlyForInboundResolverEndpoint": True}
    lab.refused("InvalidParameter", lambda **more: me.endpoint({"ServiceName": s3}, **more), 400, **private, DnsOptions=only)
    me.ec2.create_vpc_endpoint(VpcId=made["VpcId"], ServiceName=s3)
    beside = me.endpoint({"ServiceName": s3}, **private, DnsOptions=only)
    lab.that("beside a gateway endpoint", beside["DnsOptions"]["PrivateDnsOnlyForInboundResolverEndpoint"], True)
    shown = me.ec2.describe_vpc_endpoints(VpcEndpointIds=[beside["VpcEndpointId"]])["VpcEndpoints"][0]
    lab.that("and described so", shown["DnsOptions"], beside["DnsOptions"])
    lab.advance(1_000)
    me.ec2.modify_vpc_endpoint(
        VpcEndpointId=beside["VpcEndpointId"], DnsOptions={"PrivateDnsOnlyForInboundResolverEndpoint": False, "DnsRecordIpType": "ipv4"}
    )
    elsewhere = me.at(AWAY).ec2.describe_vpc_endpoint_services(Filters=[{"Name": "owner", "Values": ["amazon"]}])["ServiceDetails"]
    lab.that("the same in every Region", any(row["ServiceName"] == f"com.amazonaws.{AWAY}.sqs" for row in elsewhere), True)


def payer(lab):
    provider, consumer = lab.party(), lab.party()
    service = provider.service(consumer.root())
    provider.ec2.modify_vpc_endpoint_service_payer_responsibility(ServiceId=service["ServiceId"], PayerResponsibility="ServiceOwner")
    seen = consumer.ec2.describe_vpc_endpoint_services(ServiceNames=[service["ServiceName"]])["ServiceDetails"][0]
    lab.that("consumers see who pays", seen["PayerResponsibility"], "ServiceOwner")
