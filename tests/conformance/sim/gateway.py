"""Gateway endpoints, route tables and prefix lists."""

from .lab import dumps

POLICY = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}


def check(lab):
    me = lab.party()
    vpc = me.subnets()[0]["VpcId"]
    tags = [{"ResourceType": "route-table", "Tags": [{"Key": "team", "Value": "net"}]}]
    tables = [me.ec2.create_route_table(VpcId=vpc, TagSpecifications=tags)["RouteTable"]["RouteTableId"] for _ in range(2)]
    lists = {row["PrefixListName"]: row for row in me.ec2.describe_prefix_lists()["PrefixLists"]}
    s3, dynamo = f"com.amazonaws.{me.region}.s3", f"com.amazonaws.{me.region}.dynamodb"
    me.ec2.describe_prefix_lists(PrefixListIds=[lists[f"com.amazonaws.{me.region}.s3"]["PrefixListId"]])
    lab.that("AWS's lists", {s3, dynamo} <= set(lists), True)
    managed = me.ec2.describe_managed_prefix_lists(PrefixListIds=[lists[s3]["PrefixListId"]])["PrefixLists"]
    lab.that("the same list", managed[0]["PrefixListName"], s3)
    lab.refused("InvalidPrefixListID.NotFound", me.ec2.describe_prefix_lists, 400, PrefixListIds=["pl-0123456789abcdef0"])
    lab.refused("InvalidPrefixListID.NotFound", me.ec2.describe_managed_prefix_lists, 400, PrefixListIds=["pl-0123456789abcdef0"])

    create = me.ec2.create_vpc_endpoint
    made = create(VpcId=vpc, ServiceName=s3, RouteTableIds=tables[:1], PolicyDocument=dumps(POLICY))["VpcEndpoint"]
    lab.that("of the default type, at once", (made["VpcEndpointType"], made["State"]), ("Gateway", "available"))
    modify = me.ec2.modify_vpc_endpoint
    modify(VpcEndpointId=made["VpcEndpointId"], AddRouteTableIds=tables[1:], ResetPolicy=True)
    described = me.ec2.describe_route_tables(RouteTableIds=tables[1:])["RouteTables"][0]["Routes"]
    route = {"DestinationPrefixListId": lists[s3]["PrefixListId"], "GatewayId": made["VpcEndpointId"]}
    lab.that("a route to the list", any(route.items() <= row.items() for row in described), True)
    lab.refused("RouteAlreadyExists", create, 400, VpcId=vpc, ServiceName=s3, RouteTableIds=tables[1:])
    modify(VpcEndpointId=made["VpcEndpointId"], RemoveRouteTableIds=tables[1:])
    lab.refused("InvalidRouteTableID.NotFound", create, 400, VpcId=vpc, ServiceName=dynamo, RouteTableIds=["rtb-0123456789abcdef0"])
    lab.refused("InvalidServiceName", create, 400, VpcId=vpc, ServiceName=f"com.amazonaws.{me.region}.none")
    lab.refused("InvalidParameter", create, 400, VpcId=vpc, ServiceName=f"com.amazonaws.{me.region}.sqs")
    lab.refused("InvalidParameter", create, 400, VpcId=vpc, ServiceName=dynamo, SubnetIds=[me.subnets()[0]["SubnetId"]])
    lab.refused("InvalidRouteTableID.NotFound", me.ec2.describe_route_tables, 400, RouteTableIds=["rtb-0123456789abcdef0"])
    lab.refused("InvalidVpcID.NotFound", me.ec2.create_route_table, 400, VpcId="vpc-0123456789abcdef0")
    lab.that("deleted", me.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["Unsuccessful"], [])
