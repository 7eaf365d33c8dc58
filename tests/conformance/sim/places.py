"""Regions, zones, VPCs, subnets and security groups."""

from .lab import AWAY, HOME


def check(lab):
    me, other = lab.party(), lab.party()
    names = {row["RegionName"] for row in me.ec2.describe_regions(AllRegions=True)["Regions"]}
    lab.that("the Regions", {HOME, AWAY} <= names, True)
    found = me.ec2.describe_regions(RegionNames=[AWAY])["Regions"][0]
    lab.that("one of them", found["Endpoint"], f"ec2.{AWAY}.amazonaws.com")
    lab.refused("InvalidParameterValue", me.ec2.describe_regions, 400, RegionNames=["mars-1"])

    zones = me.ec2.describe_availability_zones
    mine = {zone["ZoneName"]: zone["ZoneId"] for zone in zones(AllAvailabilityZones=True)["AvailabilityZones"]}
    one = next(iter(mine.items()))
    lab.that("by name", zones(ZoneNames=[one[0]])["AvailabilityZones"][0]["ZoneId"], one[1])
    lab.that("by id", zones(ZoneIds=[one[1]])["AvailabilityZones"][0]["ZoneName"], one[0])
    lab.refused("InvalidParameterValue", zones, 400, ZoneNames=["mars-1a"])
    shuffled = False
    for _ in range(8):
        theirs = {zone["ZoneName"]: zone["ZoneId"] for zone in lab.party().ec2.describe_availability_zones()["AvailabilityZones"]}
        lab.that("the ids are the same for everybody", sorted(theirs.values()), sorted(mine.values()))
        shuffled |= theirs != mine
    lab.that("the names are not", shuffled, True)
    del other

    tags = lambda kind: [{"ResourceType": kind, "Tags": [{"Key": "team", "Value": "net"}]}]  # noqa: E731
    vpc = me.ec2.create_vpc(CidrBlock="10.20.0.0/16", InstanceTenancy="default", TagSpecifications=tags("vpc"))["Vpc"]
    id = vpc["VpcId"]
    lab.that("its tags", vpc["Tags"], [{"Key": "team", "Value": "net"}])
    lab.refused("InvalidParameterValue", me.ec2.create_vpc, 400, CidrBlock="10.20")
    lab.refused("InvalidVpcID.NotFound", me.ec2.describe_vpcs, 400, VpcIds=["vpc-0123456789abcdef0"])
    attribute = me.ec2.describe_vpc_attribute
    me.ec2.modify_vpc_attribute(VpcId=id, EnableDnsHostnames={"Value": True})
    me.ec2.modify_vpc_attribute(VpcId=id, EnableDnsSupport={"Value": False})
    lab.that("host names", attribute(VpcId=id, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"], True)
    lab.that("support", attribute(VpcId=id, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"], False)
    lab.refused("InvalidParameterCombination", me.ec2.modify_vpc_attribute, 400, VpcId=id)
    lab.refused("InvalidVpcID.NotFound", attribute, 400, VpcId="vpc-0123456789abcdef0", Attribute="enableDnsSupport")
    lab.refused("InvalidParameterValue", attribute, 400, VpcId=id, Attribute="colour")

    subnet = me.ec2.create_subnet(
        VpcId=id, CidrBlock="10.20.1.0/24", AvailabilityZone=one[0], TagSpecifications=tags("subnet")
    )["Subnet"]
    me.ec2.create_subnet(VpcId=id, CidrBlock="10.20.2.0/24", AvailabilityZoneId=one[1])
    lab.that("its zone", subnet["AvailabilityZoneId"], one[1])
    lab.refused("InvalidSubnet.Conflict", me.ec2.create_subnet, 400, VpcId=id, CidrBlock="10.20.1.0/24")
    lab.refused("InvalidSubnetID.NotFound", me.ec2.describe_subnets, 400, SubnetIds=["subnet-0123456789abcdef0"])
    me.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])
    me.ec2.describe_vpcs(VpcIds=[id])

    group = me.ec2.create_security_group(
        GroupName="edge", Description="The edge", VpcId=id, TagSpecifications=tags("security-group")
    )["GroupId"]
    me.ec2.describe_security_groups(GroupIds=[group])
    lab.refused("InvalidGroup.Duplicate", me.ec2.create_security_group, 400, GroupName="edge", Description="x", VpcId=id)
    lab.refused("InvalidGroup.NotFound", me.ec2.describe_security_groups, 400, GroupIds=["sg-0123456789abcdef0"])
    lab.refused("MissingParameter", me.ec2.create_security_group, 400, GroupName="edge")
