"""Tags: on what, by whom, and their rules."""

from .lab import connected


def check(lab):
    provider, consumer, service, endpoint = connected(lab)
    create, delete = provider.ec2.create_tags, provider.ec2.delete_tags
    connection = provider.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"][0]["VpcEndpointConnectionId"]
    grant = provider.ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"])["AllowedPrincipals"][0]
    subnet = provider.subnets()[0]
    mine = [service["ServiceId"], connection, grant["ServicePermissionId"], subnet["VpcId"], subnet["SubnetId"]]
    create(Resources=mine, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    consumer.ec2.create_tags(Resources=[endpoint["VpcEndpointId"]], Tags=[{"Key": "a", "Value": "1"}])

    def tags():
        found = provider.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
        return {tag["Key"]: tag["Value"] for tag in found["ServiceConfigurations"][0].get("Tags", [])}

    lab.that("set", tags(), {"a": "1", "b": ""})
    delete(Resources=mine, Tags=[{"Key": "a", "Value": "2"}])
    lab.that("another value is not this tag", tags(), {"a": "1", "b": ""})
    delete(Resources=mine, Tags=[{"Key": "a"}])
    lab.that("by key", tags(), {"b": ""})
    delete(Resources=mine)
    lab.that("all", tags(), {})
    tag = [{"Key": "a", "Value": "1"}]
    for gone, code in {
        "vpce-svc-0123456789abcdef0": "InvalidVpcEndpointServiceId.NotFound",
        "vpce-0123456789abcdef0": "InvalidVpcEndpointId.NotFound",
        "vpce-con-0123456789abcdef0": "InvalidVpcEndpointConnectionId.NotFound",
        "vpce-svc-perm-0123456789abcdef0": "InvalidVpcEndpointServicePermissionId.NotFound",
        "vpc-0123456789abcdef0": "InvalidVpcID.NotFound",
        "subnet-0123456789abcdef0": "InvalidSubnetID.NotFound",
        "rtb-0123456789abcdef0": "InvalidRouteTableID.NotFound",
        "sg-0123456789abcdef0": "InvalidGroup.NotFound",
        "nonsense": "InvalidID",
    }.items():
        lab.refused(code, create, 400, Resources=[gone], Tags=tag)
        lab.refused(code, delete, 400, Resources=[gone], Tags=tag)
    lab.refused("MissingParameter", create, 400, Tags=tag)
    lab.refused("InvalidParameterValue", create, 400, Resources=mine[:1], Tags=[{"Key": "aws:x", "Value": "1"}])
    many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
    lab.refused("TagLimitExceeded", create, 400, Resources=mine[:1], Tags=many)
