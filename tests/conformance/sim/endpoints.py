"""The consumer's interface endpoints."""

from .lab import AWAY, connected, dumps

GONE = "vpce-0123456789abcdef0"
POLICY = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


def check(lab):
    creation(lab)
    refusals(lab)
    changes(lab)
    regions(lab)
    deletion(lab)
    associations(lab)


def creation(lab):
    provider, consumer = lab.party(), lab.party()
    service = provider.service(consumer.root(), SupportedIpAddressTypes=["ipv4"])
    subnets = consumer.subnets()
    group = consumer.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=subnets[0]["VpcId"])["GroupId"]
    asked = {
        "VpcEndpointType": "Interface",
        "ServiceName": service["ServiceName"],
        "VpcId": subnets[0]["VpcId"],
        "SubnetIds": [subnet["SubnetId"] for subnet in subnets[:2]],
        "SecurityGroupIds": [group],
        "IpAddressType": "ipv4",
        "PolicyDocument": dumps(POLICY),
        "PrivateDnsEnabled": False,
        "ServiceRegion": consumer.region,
        "TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "team", "Value": "data"}]}],
        "ClientToken": "once",
    }
    made = consumer.ec2.create_vpc_endpoint(**asked)
    endpoint = made["VpcEndpoint"]
    lab.that("the token comes back", made["ClientToken"], "once")
    lab.that("a network interface in each subnet", len(endpoint["NetworkInterfaceIds"]), 2)
    lab.that("its group", endpoint["Groups"], [{"GroupId": group, "GroupName": "edge"}])
    lab.that("regional and zonal names", len(endpoint["DnsEntries"]), 3)
    shown = consumer.ec2.describe_vpc_endpoints()["VpcEndpoints"][0]
    lab.that("its tags there", shown["Tags"], endpoint["Tags"])
    lab.that("its tags", endpoint["Tags"], [{"Key": "team", "Value": "data"}])
    lab.that("a replay", consumer.ec2.create_vpc_endpoint(**asked)["VpcEndpoint"]["VpcEndpointId"], endpoint["VpcEndpointId"])
    lab.refused("IdempotentParameterMismatch", consumer.ec2.create_vpc_endpoint, 400, **(asked | {"SubnetIds": asked["SubnetIds"][:1]}))


def refusals(lab):
    provider, consumer = lab.party(), lab.party()
    subnets = consumer.subnets()
    service = provider.service(consumer.root(), NetworkLoadBalancerArns=[
        provider.load_balancer(subnets=[provider.subnets()[0]["SubnetId"]])
    ])  # fmt: skip
    create = consumer.ec2.create_vpc_endpoint
    asked = {
        "VpcEndpointType": "Interface",
        "ServiceName": service["ServiceName"],
        "VpcId": subnets[0]["VpcId"],
        "SubnetIds": [subnets[0]["SubnetId"]],
    }
    said = lab.refused("InvalidParameter", create, 400, **(asked | {"SubnetIds": [subnets[1]["SubnetId"]]}))
    lab.that("AWS's words", "does not support the availability zone of the subnet" in said, True)
    same = consumer.ec2.create_subnet(
        VpcId=subnets[0]["VpcId"], CidrBlock="172.31.240.0/24", AvailabilityZoneId=subnets[0]["AvailabilityZoneId"]
    )["Subnet"]["SubnetId"]
    lab.refused("DuplicateSubnetsInSameZone", create, 400, **(asked | {"SubnetIds": [subnets[0]["SubnetId"], same]}))
    lab.refused("InvalidVpcId.NotFound", create, 400, **(asked | {"VpcId": "vpc-0123456789abcdef0"}))
    lab.refused("InvalidSubnetID.NotFound", create, 400, **(asked | {"SubnetIds": ["subnet-0123456789abcdef0"]}))
    lab.refused("InvalidGroup.NotFound", create, 400, **(asked | {"SecurityGroupIds": ["sg-0123456789abcdef0"]}))
    lab.refused("InvalidServiceName", create, 400, **(asked | {"ServiceName": f"com.amazonaws.vpce.{consumer.region}.vpce-svc-0"}))
    lab.refused("InvalidVpcEndpointType", create, 400, **(asked | {"VpcEndpointType": "Tube"}))
    lab.refused("InvalidPolicyDocument", create, 400, **(asked | {"PolicyDocument": "allow"}))
    lab.refused("MissingParameter", create, 400, VpcEndpointType="Interface", ServiceName=service["ServiceName"])
    with lab.behavior(endpoints_per_vpc=0):
        lab.refused("VpcEndpointLimitExceeded", create, 400, **asked)
    describe = consumer.ec2.describe_vpc_endpoints
    lab.refused("InvalidVpcEndpointId.NotFound", describe, 400, VpcEndpointIds=[GONE])
    lab.refused("InvalidVpcEndpointId.Malformed", describe, 400, VpcEndpointIds=["vpce-x"])
    lab.refused("InvalidVpcID.Malformed", create, 400, **(asked | {"VpcId": "vpc-x"}))
    lab.refused("InvalidSubnetID.Malformed", create, 400, **(asked | {"SubnetIds": ["subnet-x"]}))
    lab.refused("InvalidGroupId.Malformed", create, 400, **(asked | {"SecurityGroupIds": ["sg-x"]}))


def changes(lab):
    _, consumer, _, endpoint = connected(lab, acceptance=False)
    subnets, id = consumer.subnets(), endpoint["VpcEndpointId"]
    group = consumer.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=endpoint["VpcId"])["GroupId"]
    modify = consumer.ec2.modify_vpc_endpoint
    lab.advance(1_000)
    lab.that("changed", modify(VpcEndpointId=id, AddSubnetIds=[subnets[1]["SubnetId"]])["Return"], True)
    lab.that("pending again", consumer.state(endpoint), "pending")
    lab.advance(1_000)
    modify(VpcEndpointId=id, RemoveSubnetIds=[subnets[1]["SubnetId"]], AddSecurityGroupIds=[group])
    modify(VpcEndpointId=id, RemoveSecurityGroupIds=[group], PolicyDocument=dumps(POLICY), IpAddressType="ipv4")
    modify(VpcEndpointId=id, ResetPolicy=True, PrivateDnsEnabled=False)
    lab.refused("InvalidVpcEndpointId.NotFound", modify, 400, VpcEndpointId=GONE, ResetPolicy=True)
    lab.refused("InvalidSubnetID.NotFound", modify, 400, VpcEndpointId=id, AddSubnetIds=["subnet-0123456789abcdef0"])
    lab.refused("InvalidParameterCombination", modify, 400, VpcEndpointId=id, ResetPolicy=True, PolicyDocument=dumps(POLICY))
    lab.refused("DuplicateSubnetsInSameZone", modify, 400, VpcEndpointId=id, AddSubnetIds=[
        consumer.ec2.create_subnet(
            VpcId=endpoint["VpcId"], CidrBlock="172.31.241.0/24", AvailabilityZoneId=subnets[0]["AvailabilityZoneId"]
        )["Subnet"]["SubnetId"]
    ])  # fmt: skip


def regions(lab):
    provider, consumer = lab.party(), lab.party(AWAY)
    service = provider.service(consumer.root(), acceptance=False)
    asked = {"ServiceRegion": provider.region}
    lab.refused("InvalidServiceName", lambda **more: consumer.endpoint(service, **more), 400, **asked)
    provider.ec2.modify_vpc_endpoint_service_configuration(ServiceId=service["ServiceId"], AddSupportedRegions=[AWAY])
    lab.advance(1_000)
    endpoint = consumer.endpoint(service, **asked)
    lab.that("its service is elsewhere", endpoint["ServiceRegion"], provider.region)
    rows = provider.ec2.describe_vpc_endpoint_connections(
        Filters=[{"Name": "vpc-endpoint-region", "Values": ["cross-region"]}]
    )["VpcEndpointConnections"]
    lab.that("the provider sees where it is", [row["VpcEndpointRegion"] for row in rows], [AWAY])
    seen = consumer.ec2.describe_vpc_endpoint_services(
        ServiceNames=[service["ServiceName"]], ServiceRegions=[provider.region]
    )["ServiceDetails"][0]
    lab.that("no zones are shown from afar", seen.get("AvailabilityZones", []), [])


def deletion(lab):
    _, consumer, _, endpoint = connected(lab, acceptance=False)
    delete, id = consumer.ec2.delete_vpc_endpoints, endpoint["VpcEndpointId"]
    lab.item(delete(VpcEndpointIds=[id, GONE]), GONE, "InvalidVpcEndpoint.NotFound")
    lab.refused("MissingParameter", delete, 400)
    lab.advance(2 * 3_600_000)
    lab.refused("InvalidVpcEndpointId.NotFound", consumer.ec2.describe_vpc_endpoints, 400, VpcEndpointIds=[id])


def associations(lab):
    _, consumer, _, endpoint = connected(lab)
    describe = consumer.ec2.describe_vpc_endpoint_associations
    lab.that("an interface endpoint has none", describe(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpointAssociations"], [])
    lab.refused("InvalidVpcEndpointId.NotFound", describe, 400, VpcEndpointIds=[GONE])
    lab.refused("InvalidParameterValue", describe, 400, MaxResults=101)
