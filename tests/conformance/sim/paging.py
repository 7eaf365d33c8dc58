"""Every paged listing: the smallest page, the largest, one that is too large, pages forced small, tokens of nobody."""

import botocore

from _program import Failed

from .kinds import register, to_lattice
from .lab import connected, dumps
from .notifications import topic_and_queue

# Rows that each listing has at least; more than the smallest page of any of them.
ROWS = 7

# Its model names no largest page.
CLIPPED = {"ec2.DescribePrefixLists"}


def check(lab):
    tables = scenes(lab)
    for name in lab.actions():
        service, action = name.split(".")
        shape = lab.models[service].operation_model(action).input_shape
        members = shape.members if shape is not None else {}
        if "NextToken" not in members and "Marker" not in members:
            continue
        if name not in tables:
            raise Failed(f"{name} is paged, and paging.py has no row for it")
    for name, (party, key, smallest, largest, base, junk) in tables.items():
        walk(lab, name, party, key, (smallest, largest), base, junk)


def walk(lab, name, party, key, sizes, base, junk):
    service, action = name.split(".")
    client = getattr(party, service)
    call = getattr(client, botocore.xform_name(action))
    token, size = ("Marker", "PageSize") if service == "elbv2" else ("NextToken", "MaxResults")
    back = "NextMarker" if service == "elbv2" else "NextToken"
    smallest, largest = sizes

    def every(**asked):
        found, lengths, seen = [], [], set()
        while True:
            page = call(**base, **asked)
            found += page.get(key, [])
            lengths.append(len(page.get(key, [])))
            if not page.get(back):
                return [repr(row) for row in found], lengths
            if page[back] in seen:
                raise Failed(f"{name}: the token {page[back]} again")
            seen.add(page[back])
            asked[token] = page[back]

    whole, _ = every()
    if smallest is not None:
        found, lengths = every(**{size: smallest})
        lab.that(f"{name}, smallest pages", (found, max(lengths, default=0) <= smallest), (whole, True))
        lab.that(f"{name}, more than one of them", len(lengths) > 1 or len(whole) <= smallest, True)
        lab.that(f"{name}, the largest page", every(**{size: largest})[0], whole)
        if smallest > 1:
            lab.refused("InvalidMaxResults", call, 400, **base, **{size: smallest - 1})
        if service == "ec2" and ("VpcEndpoint" not in name or largest != 1_000):
            # The model names the largest page of these, and AWS holds to it.
            if name not in CLIPPED:
                lab.refused("InvalidParameterValue", call, 400, **base, **{size: largest + 1})
        elif service == "ec2":
            lab.that(f"{name}, clipped", every(**{size: 5_000})[0], whole)
    with lab.behavior(page_size_limit=2):
        # SQS pages only for those who ask for pages.
        asked = {size: largest} if service == "sqs" else {}
        found, lengths = every(**asked)
        lab.that(f"{name}, forced pages", (found, set(lengths) <= {0, 1, 2}), (whole, True))
        lab.that(f"{name}, several of them", len(lengths) > 1 or len(whole) <= 2, True)
        if client.can_paginate(botocore.xform_name(action)):
            pages = client.get_paginator(botocore.xform_name(action)).paginate(**base, **asked)
            lab.that(f"{name}, boto3's paginator", [repr(row) for page in pages for row in page.get(key, [])], whole)
    if junk:
        for text in ("junk", "0123456789abcdef0123"):
            lab.refused(junk, call, 400, **base, **asked, **{token: text})


def scenes(lab):
    """For every paged action: who, the member with the rows, the smallest and the largest page, what else to ask, and how a token of
    nobody is refused. An action without sizes of its own has none."""
    provider, consumer, service, _ = connected(lab)
    extra = [provider.service(consumer.root()) for _ in range(ROWS)]
    principals = [f"arn:aws:iam::{lab.account()}:root" for _ in range(ROWS)]
    provider.ec2.modify_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"], AddAllowedPrincipals=principals)
    for _ in range(ROWS):
        consumer.endpoint(service)
    topic, queue = topic_and_queue(provider, "paged")
    policy = provider.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    buried = dumps({"deadLetterTargetArn": policy, "maxReceiveCount": 1})
    vpc = provider.subnets()[0]["VpcId"]
    balancer = service["NetworkLoadBalancerArns"][0]
    for number in range(ROWS):
        provider.ec2.create_vpc_endpoint_connection_notification(
            ServiceId=extra[number]["ServiceId"], ConnectionNotificationArn=topic, ConnectionEvents=["Connect"]
        )
        made = provider.ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
        provider.ec2.create_subnet(VpcId=made, CidrBlock=f"10.{number}.0.0/24")
        provider.ec2.create_route_table(VpcId=vpc)
        provider.ec2.create_security_group(GroupName=f"paged-{number}", Description="paged", VpcId=vpc)
        group = provider.elbv2.create_target_group(Name=f"paged-{number}", Protocol="TCP", Port=443, VpcId=vpc)
        forward = {"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}
        provider.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=1_000 + number, DefaultActions=[forward])
        provider.sns.create_topic(Name=f"paged-{number}")
        provider.sqs.create_queue(QueueName=f"paged-{number}", Attributes={"RedrivePolicy": buried})
        provider.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=policy.replace(":paged", f":paged-{number}"))
    certificates = [{"CertificateArn": f"arn:aws:acm:{provider.region}:{provider.account}:certificate/{n}"} for n in range(ROWS)]
    secure = provider.elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="TLS", Port=443, Certificates=certificates[:1], DefaultActions=[forward]
    )["Listeners"][0]["ListenerArn"]
    provider.elbv2.add_listener_certificates(ListenerArn=secure, Certificates=certificates[1:])
    entries = next(row for row in provider.ec2.describe_prefix_lists()["PrefixLists"] if row["PrefixListName"].endswith(".s3"))["PrefixListId"]
    blocks = [f"10.70.{number}.0/24" for number in range(ROWS)]
    lab.control("PUT", "/prefix-lists", {"region": provider.region, "service": "s3", "cidrs": blocks})
    for kind, target in (("ServiceNetwork", "network"), ("Resource", "two"), ("Tunnel", "block")):
        to_lattice(consumer, kind, register(lab, consumer.account, "0c")[target])
    junk, elb = "InvalidNextToken", "ValidationError"
    mine, id = provider, {"ServiceId": service["ServiceId"]}
    return {
        "ec2.DescribeVpcEndpointServiceConfigurations": (mine, "ServiceConfigurations", 5, 1_000, {}, junk),
        "ec2.DescribeVpcEndpointServicePermissions": (mine, "AllowedPrincipals", 5, 1_000, id, junk),
        "ec2.DescribeVpcEndpointConnections": (mine, "VpcEndpointConnections", 5, 1_000, {}, junk),
        "ec2.DescribeVpcEndpointConnectionNotifications": (mine, "ConnectionNotificationSet", 1, 1_000, {}, junk),
        "ec2.DescribeVpcEndpointServices": (consumer, "ServiceDetails", 1, 1_000, {}, junk),
        "ec2.DescribeVpcEndpoints": (consumer, "VpcEndpoints", 1, 1_000, {}, junk),
        "ec2.DescribeVpcEndpointAssociations": (consumer, "VpcEndpointAssociations", 1, 100, {}, junk),
        "ec2.DescribePrefixLists": (mine, "PrefixLists", 1, 1_000, {}, junk),
        "ec2.DescribeManagedPrefixLists": (mine, "PrefixLists", 1, 100, {}, junk),
        "ec2.DescribeVpcs": (mine, "Vpcs", 5, 1_000, {}, junk),
        "ec2.DescribeSubnets": (mine, "Subnets", 5, 1_000, {}, junk),
        "ec2.DescribeSecurityGroups": (mine, "SecurityGroups", 5, 1_000, {}, junk),
        "ec2.DescribeRouteTables": (mine, "RouteTables", 5, 100, {}, junk),
        "ec2.DescribeNetworkInterfaces": (consumer, "NetworkInterfaces", 5, 1_000, {}, junk),
        "ec2.GetManagedPrefixListEntries": (mine, "Entries", 1, 100, {"PrefixListId": entries}, junk),
        "elbv2.DescribeLoadBalancers": (mine, "LoadBalancers", 1, 400, {}, elb),
        "elbv2.DescribeTargetGroups": (mine, "TargetGroups", 1, 400, {}, elb),
        "elbv2.DescribeListeners": (mine, "Listeners", 1, 400, {"LoadBalancerArn": balancer}, elb),
        "elbv2.DescribeAccountLimits": (mine, "Limits", 1, 400, {}, elb),
        "elbv2.DescribeListenerCertificates": (mine, "Certificates", 1, 400, {"ListenerArn": secure}, elb),
        "sns.ListTopics": (mine, "Topics", None, None, {}, "InvalidParameter"),
        "sns.ListSubscriptions": (mine, "Subscriptions", None, None, {}, "InvalidParameter"),
        "sns.ListSubscriptionsByTopic": (mine, "Subscriptions", None, None, {"TopicArn": topic}, "InvalidParameter"),
        "sqs.ListQueues": (mine, "QueueUrls", 1, 1_000, {}, "InvalidParameterValue"),
        "sqs.ListDeadLetterSourceQueues": (mine, "queueUrls", 1, 1_000, {"QueueUrl": queue}, "InvalidParameterValue"),
    }
