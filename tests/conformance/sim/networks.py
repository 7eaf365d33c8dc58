"""What endpoints stand in: IPv6 blocks, routes to next hops, network interfaces, entries of prefix lists, and deleting it all."""

from .kinds import firewall, register, to_lattice

GONE = "0123456789abcdef0"


def check(lab):
    ipv6(lab)
    rules(lab)
    routes(lab)
    entries(lab)
    interfaces(lab)
    deletions(lab)


def ipv6(lab):
    me = lab.party()
    made = me.ec2.create_vpc(CidrBlock="10.30.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block = made["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    lab.that("a /56", block.endswith("/56"), True)
    lab.that("its IPv4 block", [row["CidrBlock"] for row in made["CidrBlockAssociationSet"]], ["10.30.0.0/16"])
    create, id = me.ec2.create_subnet, made["VpcId"]
    first, second = block.replace("/56", "/64"), block.replace("00::/56", "01::/64")
    subnet = create(VpcId=id, CidrBlock="10.30.0.0/24", Ipv6CidrBlock=first)["Subnet"]
    lab.that("a /64 of it", subnet["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"], first)
    lab.refused("InvalidSubnet.Conflict", create, 400, VpcId=id, CidrBlock="10.30.1.0/24", Ipv6CidrBlock=first)
    lab.refused("InvalidSubnet.Range", create, 400, VpcId=id, CidrBlock="10.30.1.0/24", Ipv6CidrBlock="2001:db8::/64")
    lab.refused("InvalidSubnet.Range", create, 400, VpcId=id, CidrBlock="10.31.0.0/24")
    native = create(VpcId=id, Ipv6Native=True, Ipv6CidrBlock=second)["Subnet"]
    lab.that("without IPv4", (native["Ipv6Native"], "CidrBlock" in native), (True, False))
    lab.refused("InvalidParameterCombination", create, 400, VpcId=id, Ipv6Native=True, CidrBlock="10.30.2.0/24")

    home = me.subnets()[0]
    associate = me.ec2.associate_vpc_cidr_block
    lab.refused("UnsupportedOperation", associate, 400, VpcId=home["VpcId"], CidrBlock="10.50.0.0/16")
    lab.refused("InvalidVpcID.NotFound", associate, 400, VpcId=f"vpc-{GONE}", AmazonProvidedIpv6CidrBlock=True)
    added = associate(VpcId=home["VpcId"], AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]
    lab.that("associated", added["Ipv6CidrBlockState"]["State"], "associated")
    inside = added["Ipv6CidrBlock"].replace("/56", "/64")
    associate = me.ec2.associate_subnet_cidr_block
    lab.refused("InvalidSubnetID.NotFound", associate, 400, SubnetId=f"subnet-{GONE}", Ipv6CidrBlock=inside)
    lab.refused("InvalidSubnet.Range", associate, 400, SubnetId=home["SubnetId"], Ipv6CidrBlock="2001:db8::/64")
    lab.that("the subnet too", associate(SubnetId=home["SubnetId"], Ipv6CidrBlock=inside)["SubnetId"], home["SubnetId"])
    lab.refused("InvalidSubnet.Conflict", associate, 400, SubnetId=home["SubnetId"], Ipv6CidrBlock=inside)
    shown = me.ec2.describe_subnets(SubnetIds=[home["SubnetId"]])["Subnets"][0]["Ipv6CidrBlockAssociationSet"]
    lab.that("is shown", [row["Ipv6CidrBlock"] for row in shown], [inside])
    me.ec2.describe_vpcs(VpcIds=[home["VpcId"]])


def rules(lab):
    me = lab.party()
    vpc = me.subnets()[0]["VpcId"]
    group = me.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=vpc)["GroupId"]
    shown = {row["GroupName"]: row for row in me.ec2.describe_security_groups()["SecurityGroups"]}
    lab.that("nobody comes in", shown["edge"]["IpPermissions"], [])
    out = [(row["IpProtocol"], [block["CidrIp"] for block in row["IpRanges"]]) for row in shown["edge"]["IpPermissionsEgress"]]
    lab.that("everybody goes out", (group, out), (shown["edge"]["GroupId"], [("-1", ["0.0.0.0/0"])]))
    pairs = [row["UserIdGroupPairs"] for row in shown["default"]["IpPermissions"]]
    lab.that("the default group lets itself in", pairs, [[{"UserId": me.account, "GroupId": shown["default"]["GroupId"]}]])


def routes(lab):
    _, consumer, service = firewall(lab, acceptance=False)
    ec2 = consumer.ec2
    hop = consumer.endpoint(service, VpcEndpointType="GatewayLoadBalancer")
    table = ec2.create_route_table(VpcId=hop["VpcId"])["RouteTable"]["RouteTableId"]
    to = {"RouteTableId": table, "DestinationCidrBlock": "10.60.0.0/16"}
    lab.refused("IncorrectState", ec2.create_route, 400, **to, VpcEndpointId=hop["VpcEndpointId"])
    lab.advance(1_000)
    lab.that("a next hop", ec2.create_route(**to, VpcEndpointId=hop["VpcEndpointId"])["Return"], True)
    lab.refused("RouteAlreadyExists", ec2.create_route, 400, **to, VpcEndpointId=hop["VpcEndpointId"])
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="2001:db8::/32", GatewayId=hop["VpcEndpointId"])
    plain = consumer.endpoint(connected_service(lab, consumer))
    lists = ec2.describe_prefix_lists()["PrefixLists"][0]["PrefixListId"]
    ec2.create_route(RouteTableId=table, DestinationPrefixListId=lists, VpcEndpointId=hop["VpcEndpointId"])
    shown = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    lab.that("three, and the local one", [row.get("GatewayId") for row in shown].count(hop["VpcEndpointId"]), 3)
    lab.refused("InvalidRouteTableId.Malformed", ec2.create_route, 400, **(to | {"RouteTableId": "rtb-x"}), VpcEndpointId=hop["VpcEndpointId"])
    lab.refused("InvalidRouteTableID.NotFound", ec2.create_route, 400, **(to | {"RouteTableId": f"rtb-{GONE}"}), VpcEndpointId=hop["VpcEndpointId"])
    lab.refused("InvalidVpcEndpointId.NotFound", ec2.create_route, 400, **(to | {"DestinationCidrBlock": "10.61.0.0/16"}), VpcEndpointId=f"vpce-{GONE}")
    lab.refused("InvalidParameterValue", ec2.create_route, 400, **(to | {"DestinationCidrBlock": "10.61.0.0/16"}), VpcEndpointId=plain["VpcEndpointId"])
    lab.refused("InvalidPrefixListID.NotFound", ec2.create_route, 400, RouteTableId=table, DestinationPrefixListId=f"pl-{GONE}", VpcEndpointId=hop["VpcEndpointId"])
    lab.refused("UnsupportedOperation", ec2.create_route, 400, **to, GatewayId=f"igw-{GONE}")
    second = consumer.endpoint(service, VpcEndpointType="GatewayLoadBalancer", SubnetIds=[consumer.subnets()[1]["SubnetId"]])
    lab.advance(1_000)
    for where in (to, {"RouteTableId": table, "DestinationPrefixListId": lists}):
        ec2.replace_route(**where, VpcEndpointId=second["VpcEndpointId"])
    ec2.replace_route(RouteTableId=table, DestinationIpv6CidrBlock="2001:db8::/32", GatewayId=second["VpcEndpointId"])
    lab.refused("InvalidParameterValue", ec2.replace_route, 400, **(to | {"DestinationCidrBlock": "10.61.0.0/16"}), VpcEndpointId=second["VpcEndpointId"])
    refused = ec2.delete_vpc_endpoints(VpcEndpointIds=[second["VpcEndpointId"]])
    lab.item(refused, second["VpcEndpointId"], "InvalidParameter")
    for where in (
        to, {"RouteTableId": table, "DestinationIpv6CidrBlock": "2001:db8::/32"}, {"RouteTableId": table, "DestinationPrefixListId": lists}
    ):  # fmt: skip
        ec2.delete_route(**where)
    lab.refused("InvalidRoute.NotFound", ec2.delete_route, 400, **to)
    local = [row["DestinationCidrBlock"] for row in shown if row["GatewayId"] == "local"][0]
    lab.refused("InvalidParameterValue", ec2.delete_route, 400, RouteTableId=table, DestinationCidrBlock=local)
    lab.that("then it can go", ec2.delete_vpc_endpoints(VpcEndpointIds=[second["VpcEndpointId"]])["Unsuccessful"], [])
    main = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]
    lab.that("the main table", main["Associations"][0]["AssociationState"]["State"], "associated")
    token = {"VpcId": hop["VpcId"], "ClientToken": "table"}
    made = [ec2.create_route_table(**token)["RouteTable"]["RouteTableId"] for _ in range(2)]
    lab.that("a token makes one table", made[0], made[1])


def connected_service(lab, consumer):
    """An interface service that the consumer may use."""
    return lab.party().service(consumer.root(), acceptance=False)


def entries(lab):
    me = lab.party()
    found = me.ec2.describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{me.region}.s3"]}]
    )["PrefixLists"][0]
    get, id = me.ec2.get_managed_prefix_list_entries, found["PrefixListId"]
    listed = {row["Cidr"] for row in get(PrefixListId=id)["Entries"]}
    lab.that("the same addresses", listed, set(me.ec2.describe_prefix_lists(PrefixListIds=[id])["PrefixLists"][0]["Cidrs"]))
    lab.that("of this version", {row["Cidr"] for row in get(PrefixListId=id, TargetVersion=1)["Entries"]}, listed)
    lab.refused("InvalidParameterValue", get, 400, PrefixListId=id, TargetVersion=99)
    lab.refused("InvalidPrefixListID.NotFound", get, 400, PrefixListId=f"pl-{GONE}")


def interfaces(lab):
    consumer = lab.party()
    service = connected_service(lab, consumer)
    made = consumer.endpoint(service)
    describe = consumer.ec2.describe_network_interfaces
    row = describe(NetworkInterfaceIds=made["NetworkInterfaceIds"], IncludeManagedResources=True)["NetworkInterfaces"][0]
    lab.that("whose", row["Description"], f"VPC Endpoint Interface {made['VpcEndpointId']}")
    lab.that("managed by AWS", (row["RequesterManaged"], row["InterfaceType"]), (True, "vpc_endpoint"))
    lab.that("where", (row["SubnetId"], row["VpcId"]), (made["SubnetIds"][0], made["VpcId"]))
    lab.refused("InvalidNetworkInterfaceID.NotFound", describe, 400, NetworkInterfaceIds=[f"eni-{GONE}"])
    provider = lab.party()
    dual = provider.service(
        consumer.root(), acceptance=False, SupportedIpAddressTypes=["ipv4", "ipv6"],
        NetworkLoadBalancerArns=[provider.load_balancer(IpAddressType="dualstack")],
    )  # fmt: skip
    subnet = consumer.subnets()[0]
    block = consumer.ec2.associate_vpc_cidr_block(VpcId=subnet["VpcId"], AmazonProvidedIpv6CidrBlock=True)
    block = block["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"].replace("/56", "/64")
    consumer.ec2.associate_subnet_cidr_block(SubnetId=subnet["SubnetId"], Ipv6CidrBlock=block)
    fixed = block.replace("::/64", "::77")
    four = subnet["CidrBlock"].rsplit(".", 1)[0] + ".77"
    both = consumer.endpoint(
        dual, IpAddressType="dualstack", DnsOptions={"DnsRecordIpType": "dualstack"},
        SubnetConfigurations=[{"SubnetId": subnet["SubnetId"], "Ipv4": four, "Ipv6": fixed}],
    )  # fmt: skip
    row = describe(NetworkInterfaceIds=both["NetworkInterfaceIds"])["NetworkInterfaces"][0]
    lab.that("both addresses", (row["PrivateIpAddress"], row["Ipv6Addresses"]), (four, [{"Ipv6Address": fixed}]))
    lab.advance(1_000)
    consumer.ec2.modify_vpc_endpoint(
        VpcEndpointId=both["VpcEndpointId"],
        SubnetConfigurations=[{"SubnetId": subnet["SubnetId"], "Ipv4": four[:-1] + "8", "Ipv6": fixed[:-1] + "8"}],
    )
    found = register(lab, consumer.account, "0e")
    wide = to_lattice(consumer, "ServiceNetwork", found["network"], IpAddressType="dualstack", SubnetIds=[subnet["SubnetId"]])
    lab.advance(1_000)
    shown = consumer.ec2.describe_vpc_endpoints(VpcEndpointIds=[wide["VpcEndpointId"]])["VpcEndpoints"][0]
    prefixes = [(row["SubnetId"], [":" in prefix for prefix in row["IpPrefixes"]]) for row in shown["Ipv6Prefixes"]]
    lab.that("prefixes of IPv6", prefixes, [(subnet["SubnetId"], [True])])


def deletions(lab):
    consumer = lab.party()
    made = consumer.endpoint(connected_service(lab, consumer))
    ec2, vpc = consumer.ec2, made["VpcId"]
    default = made["Groups"][0]["GroupId"]
    lab.refused("DependencyViolation", ec2.delete_vpc, 400, VpcId=vpc)
    lab.refused("DependencyViolation", ec2.delete_subnet, 400, SubnetId=made["SubnetIds"][0])
    lab.refused("CannotDelete", ec2.delete_security_group, 400, GroupId=default)
    main = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]["RouteTableId"]
    lab.refused("DependencyViolation", ec2.delete_route_table, 400, RouteTableId=main)
    own = ec2.create_security_group(GroupName="own", Description="own", VpcId=vpc)["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    lab.that("a group that nothing has", ec2.delete_security_group(GroupId=own)["GroupId"], own)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    lab.advance(2 * 3_600_000)
    for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc)
    lab.that("all gone", (ec2.describe_vpcs()["Vpcs"], ec2.describe_route_tables()["RouteTables"]), ([], []))
    lab.refused("VPCIdNotSpecified", ec2.create_security_group, 400, GroupName="none", Description="none")
    lab.refused("InvalidVpcID.NotFound", ec2.delete_vpc, 400, VpcId=vpc)
    lab.refused("InvalidSubnetID.NotFound", ec2.delete_subnet, 400, SubnetId=made["SubnetIds"][0])
    lab.refused("InvalidGroup.NotFound", ec2.delete_security_group, 400, GroupId=own)
    lab.refused("InvalidRouteTableID.NotFound", ec2.delete_route_table, 400, RouteTableId=table)
