"""The Describes that filter: what there is to be found, and by which values."""

from .notifications import topic_and_queue


def listings(lab, provider, consumer, service, endpoint, tag):
    """`{action: (call, member, {filter: a value that is there}, other parameters)}`; add a line for every new Describe."""
    tagged = {"tag-key": tag["Key"], f"tag:{tag['Key']}": tag["Value"]}
    ec2, theirs = provider.ec2, consumer.ec2
    id = service["ServiceId"]
    subnet = provider.subnets()[0]
    vpc = ec2.describe_vpcs(VpcIds=[subnet["VpcId"]])["Vpcs"][0]
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    group = ec2.create_security_group(GroupName="filtered", Description="By filter", VpcId=vpc["VpcId"])["GroupId"]
    connection = ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"][0]
    ec2.create_tags(Resources=[vpc["VpcId"], subnet["SubnetId"], table, group], Tags=[tag])
    theirs.create_tags(Resources=[endpoint["VpcEndpointId"]], Tags=[tag])
    topic, _ = topic_and_queue(provider, "filtered")
    notified = ec2.create_vpc_endpoint_connection_notification(
        ServiceId=id, ConnectionNotificationArn=topic, ConnectionEvents=["Connect"]
    )["ConnectionNotification"]
    own, _ = topic_and_queue(consumer, "filtered")
    theirs.create_vpc_endpoint_connection_notification(
        VpcEndpointId=endpoint["VpcEndpointId"], ConnectionNotificationArn=own, ConnectionEvents=["Accept"]
    )
    lists = ec2.describe_prefix_lists()["PrefixLists"][0]
    by_list = {"prefix-list-id": lists["PrefixListId"], "prefix-list-name": lists["PrefixListName"]}
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]
    one = {"VpcIds": [vpc["VpcId"]]}
    return {
        "DescribeVpcEndpointServiceConfigurations": (ec2.describe_vpc_endpoint_service_configurations, "ServiceConfigurations", {
            "service-id": id, "service-name": service["ServiceName"], "service-state": "Available",
            "supported-ip-address-types": "ipv4", **tagged,
        }, {}),
        "DescribeVpcEndpointServicePermissions": (ec2.describe_vpc_endpoint_service_permissions, "AllowedPrincipals", {
            "principal": consumer.root(), "principal-type": "Account",
        }, {"ServiceId": id}),
        "DescribeVpcEndpointConnections": (ec2.describe_vpc_endpoint_connections, "VpcEndpointConnections", {
            "ip-address-type": "ipv4", "service-id": id, "vpc-endpoint-owner": consumer.account,
            "vpc-endpoint-region": consumer.region, "vpc-endpoint-state": connection["VpcEndpointState"],
            "vpc-endpoint-id": endpoint["VpcEndpointId"],
        }, {}),
        "DescribeVpcEndpointConnectionNotifications": (
            ec2.describe_vpc_endpoint_connection_notifications, "ConnectionNotificationSet", {
                "connection-notification-arn": topic, "connection-notification-id": notified["ConnectionNotificationId"],
                "connection-notification-state": "Enabled", "connection-notification-type": "Topic", "service-id": id,
                "vpc-endpoint-id": None,
            }, {}),
        "DescribeVpcEndpointServices": (theirs.describe_vpc_endpoint_services, "ServiceDetails", {
            "owner": provider.account, "service-name": service["ServiceName"], "service-region": provider.region,
            "service-type": "Interface", "supported-ip-address-types": "ipv4", **tagged,
        }, {}),
        "DescribeVpcEndpoints": (theirs.describe_vpc_endpoints, "VpcEndpoints", {
            "ip-address-type": "ipv4", "service-name": service["ServiceName"], "service-region": provider.region,
            "vpc-id": endpoint["VpcId"], "vpc-endpoint-id": endpoint["VpcEndpointId"],
            "vpc-endpoint-state": "pendingAcceptance", "vpc-endpoint-type": "Interface", **tagged,
        }, {}),
        "DescribeVpcEndpointAssociations": (theirs.describe_vpc_endpoint_associations, "VpcEndpointAssociations", dict.fromkeys([
            "associated-resource-accessibility", "associated-resource-id", "association-id",
            "resource-configuration-group-arn", "service-network-arn", "vpc-endpoint-id",
        ]), {}),
        "DescribePrefixLists": (ec2.describe_prefix_lists, "PrefixLists", by_list, {}),
        "DescribeManagedPrefixLists": (ec2.describe_managed_prefix_lists, "PrefixLists", by_list | {"owner-id": "AWS"}, {}),
        "DescribeVpcs": (ec2.describe_vpcs, "Vpcs", {
            "cidr": vpc["CidrBlock"], "is-default": "true", "owner-id": provider.account, "state": "available",
            "vpc-id": vpc["VpcId"], **tagged,
        }, {}),
        "DescribeSubnets": (ec2.describe_subnets, "Subnets", {
            "availability-zone": subnet["AvailabilityZone"], "availability-zone-id": subnet["AvailabilityZoneId"],
            "cidr-block": subnet["CidrBlock"], "default-for-az": "true", "owner-id": provider.account,
            "state": "available", "subnet-id": subnet["SubnetId"],
            "vpc-id": vpc["VpcId"], **tagged,
        }, {}),
        "DescribeSecurityGroups": (ec2.describe_security_groups, "SecurityGroups", {
            "description": "By filter", "group-id": group, "owner-id": provider.account, "group-name": "filtered", "vpc-id": vpc["VpcId"], **tagged,
        }, {}),
        "DescribeRouteTables": (ec2.describe_route_tables, "RouteTables", {
            "association.main": "true", "owner-id": provider.account, "route-table-id": table, "vpc-id": one["VpcIds"][0], **tagged,
        }, {}),
        "DescribeRegions": (ec2.describe_regions, "Regions", {
            "endpoint": f"ec2.{provider.region}.amazonaws.com", "opt-in-status": "opt-in-not-required",
            "region-name": provider.region,
        }, {}),
        "DescribeAvailabilityZones": (ec2.describe_availability_zones, "AvailabilityZones", {
            "opt-in-status": "opt-in-not-required", "region-name": provider.region, "state": "available",
            "zone-id": zone["ZoneId"], "zone-name": zone["ZoneName"], "zone-type": "availability-zone",
        }, {}),
    }  # fmt: skip
