"""The Describes that filter: what there is to be found, and by which values."""

from .kinds import register, to_lattice
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
    main = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]
    interface = theirs.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])["NetworkInterfaces"][0]
    to_lattice(consumer, "ServiceNetwork", register(lab, consumer.account, "0d")["network"])
    rows = theirs.describe_vpc_endpoint_associations()["VpcEndpointAssociations"]
    child = next(row for row in rows if "ResourceConfigurationGroupArn" in row)
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
            "permission-type": "vpc-endpoint", "principal": consumer.root(), "principal-type": "Account",
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
        "DescribeVpcEndpointAssociations": (theirs.describe_vpc_endpoint_associations, "VpcEndpointAssociations", {
            "associated-resource-accessibility": "PENDING", "associated-resource-id": child["AssociatedResourceArn"].split("/")[1],
            "association-id": child["Id"], "resource-configuration-group-arn": child["ResourceConfigurationGroupArn"],
            "service-network-arn": child["ServiceNetworkArn"], "vpc-endpoint-id": child["VpcEndpointId"],
        }, {}),
        "DescribeNetworkInterfaces": (theirs.describe_network_interfaces, "NetworkInterfaces", {
            "addresses.primary": "true", "addresses.private-ip-address": interface["PrivateIpAddress"],
            "availability-zone": interface["AvailabilityZone"], "availability-zone-id": interface["AvailabilityZoneId"],
            "description": interface["Description"], "group-id": interface["Groups"][0]["GroupId"],
            "interface-type": "vpc_endpoint", "ipv6-addresses.ipv6-address": None, "mac-address": interface["MacAddress"],
            "network-interface-id": interface["NetworkInterfaceId"], "owner-id": consumer.account,
            "private-dns-name": interface["PrivateDnsName"], "private-ip-address": interface["PrivateIpAddress"],
            "requester-managed": "true", "status": "in-use", "subnet-id": interface["SubnetId"], "vpc-id": interface["VpcId"],
            **dict.fromkeys(tagged),
        }, {}),
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
            "association.main": "true", "association.route-table-association-id": main["Associations"][0]["RouteTableAssociationId"],
            "association.route-table-id": main["RouteTableId"], "route.destination-cidr-block": vpc["CidrBlock"],
            "route.destination-ipv6-cidr-block": None, "route.destination-prefix-list-id": None, "route.gateway-id": "local",
            "route.origin": "CreateRouteTable", "route.state": "active", "owner-id": provider.account, "route-table-id": table, "vpc-id": one["VpcIds"][0], **tagged,
        }, {}),
        "DescribeRegions": (ec2.describe_regions, "Regions", {
            "endpoint": f"ec2.{provider.region}.amazonaws.com", "opt-in-status": "opt-in-not-required",
            "region-name": provider.region,
        }, {}),
        "DescribeAvailabilityZones": (ec2.describe_availability_zones, "AvailabilityZones", {
            "group-name": provider.region, "message": None, "parent-zone-id": None, "parent-zone-name": None,
            "opt-in-status": "opt-in-not-required", "region-name": provider.region, "state": "available",
            "zone-id": zone["ZoneId"], "zone-name": zone["ZoneName"], "zone-type": "availability-zone",
        }, {}),
    }  # fmt: skip
