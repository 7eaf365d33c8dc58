"""Load balancers, target groups, targets, listeners."""


def check(lab):
    me = lab.party()
    elb = me.elbv2
    subnets = [subnet["SubnetId"] for subnet in me.subnets()]
    vpc = me.subnets()[0]["VpcId"]
    group = me.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=vpc)["GroupId"]
    asked = {
        "Name": "edge",
        "Type": "network",
        "Scheme": "internal",
        "Subnets": subnets[:2],
        "SecurityGroups": [group],
        "IpAddressType": "ipv4",
        "Tags": [{"Key": "team", "Value": "edge"}],
    }
    made = elb.create_load_balancer(**asked)["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    lab.that("the ARN says its type", ":loadbalancer/net/edge/" in arn, True)
    lab.that("the same again", elb.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"], arn)
    mapped = elb.create_load_balancer(Name="mapped", Type="network", SubnetMappings=[{"SubnetId": subnets[0]}])
    lab.that("by mapping", mapped["LoadBalancers"][0]["Scheme"], "internet-facing")
    gone = arn[:-16] + "0123456789abcdef"
    lab.refused("DuplicateLoadBalancerName", elb.create_load_balancer, 400, **(asked | {"Scheme": "internet-facing"}))
    lab.refused("SubnetNotFound", elb.create_load_balancer, 400, Name="x", Type="network", Subnets=["subnet-0123456789abcdef0"])
    lab.refused("InvalidSecurityGroup", elb.create_load_balancer, 400, **(asked | {"Name": "x", "SecurityGroups": ["sg-0123456789abcdef0"]}))
    lab.refused("ValidationError", elb.create_load_balancer, 400, Name="x", Type="network")
    lab.refused("ValidationError", elb.create_load_balancer, 400, **(asked | {"Name": "not_a_name!"}))
    lab.refused("InvalidConfigurationRequest", elb.create_load_balancer, 400, **(asked | {"Name": "x", "Subnets": [subnets[0], subnets[0]]}))
    lab.advance(1_000)
    found = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    lab.that("usable", (found["Type"], found["State"]["Code"]), ("network", "active"))
    elb.describe_load_balancers(Names=["edge"])
    lab.refused("LoadBalancerNotFound", elb.describe_load_balancers, 400, LoadBalancerArns=[gone])
    lab.refused("ValidationError", elb.describe_load_balancers, 400, LoadBalancerArns=[arn] * 21)

    modify = elb.modify_load_balancer_attributes
    protect = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    modify(LoadBalancerArn=arn, Attributes=[*protect, {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}])
    shown = {row["Key"]: row["Value"] for row in elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}
    lab.that("cross-zone", shown["load_balancing.cross_zone.enabled"], "true")
    lab.refused("OperationNotPermitted", elb.delete_load_balancer, 400, LoadBalancerArn=arn)
    lab.refused("LoadBalancerNotFound", modify, 400, LoadBalancerArn=gone, Attributes=protect)
    lab.refused("LoadBalancerNotFound", elb.describe_load_balancer_attributes, 400, LoadBalancerArn=gone)
    lab.refused("ValidationError", modify, 400, LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "x"}])
    modify(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])

    create = {
        "Name": "edge",
        "Protocol": "TCP",
        "Port": 8443,
        "VpcId": vpc,
        "TargetType": "ip",
        "Tags": [{"Key": "team", "Value": "edge"}],
    }
    groups = elb.create_target_group(**create)["TargetGroups"]
    target_group = groups[0]["TargetGroupArn"]
    lab.refused("DuplicateTargetGroupName", elb.create_target_group, 400, **(create | {"Port": 1}))
    lab.refused("ValidationError", elb.create_target_group, 400, **(create | {"Name": "x", "TargetType": "pigeon"}))
    inside = me.subnets()[0]["CidrBlock"].rsplit(".", 1)[0] + ".10"
    targets = [{"Id": inside, "Port": 8443}, {"Id": "10.9.0.10", "Port": 8443, "AvailabilityZone": "all"}]
    health = elb.describe_target_health
    elb.register_targets(TargetGroupArn=target_group, Targets=targets)
    lab.that("not in use yet", {row["TargetHealth"]["State"] for row in health(TargetGroupArn=target_group)["TargetHealthDescriptions"]}, {"unused"})
    forward = [{"Type": "forward", "TargetGroupArn": target_group}]
    listen = {
        "LoadBalancerArn": arn,
        "Protocol": "TCP",
        "Port": 443,
        "DefaultActions": forward,
        "Tags": [{"Key": "team", "Value": "edge"}],
    }
    listener = elb.create_listener(**listen)["Listeners"][0]["ListenerArn"]
    weighted = {"TargetGroups": [{"TargetGroupArn": target_group, "Weight": 1}]}
    other = elb.create_listener(
        LoadBalancerArn=arn, Protocol="TCP", Port=53, DefaultActions=[{"Type": "forward", "Order": 1, "ForwardConfig": weighted}]
    )["Listeners"][0]["ListenerArn"]
    lab.refused("IncompatibleProtocols", elb.create_listener, 400, **(listen | {"Protocol": "UDP", "Port": 54}))
    second = elb.create_target_group(**(create | {"Name": "second"}))["TargetGroups"][0]["TargetGroupArn"]
    elsewhere = [{"Type": "forward", "TargetGroupArn": second}]
    lab.refused("DuplicateListener", elb.create_listener, 400, **(listen | {"DefaultActions": elsewhere}))
    lab.refused("UnsupportedProtocol", elb.create_listener, 400, **(listen | {"Protocol": "HTTP", "Port": 80}))
    lab.refused("LoadBalancerNotFound", elb.create_listener, 400, **(listen | {"LoadBalancerArn": gone}))
    missing = [{"Type": "forward", "TargetGroupArn": target_group[:-16] + "0123456789abcdef"}]
    lab.refused("TargetGroupNotFound", elb.create_listener, 400, **(listen | {"Port": 444, "DefaultActions": missing}))
    lab.refused("TooManyActions", elb.create_listener, 400, **(listen | {"Port": 444, "DefaultActions": forward * 2}))
    both = [{"Type": "forward", "TargetGroupArn": second, "ForwardConfig": weighted}]
    lab.refused("InvalidLoadBalancerAction", elb.create_listener, 400, **(listen | {"Port": 444, "DefaultActions": both}))
    own = mapped["LoadBalancers"][0]["LoadBalancerArn"]
    lab.refused("TargetGroupAssociationLimit", elb.create_listener, 400, **(listen | {"LoadBalancerArn": own}))
    certificates = [{"CertificateArn": f"arn:aws:acm:{me.region}:{me.account}:certificate/{n}"} for n in "12"]
    tls = {"Protocol": "TLS", "Port": 444, "Certificates": certificates}
    lab.refused("TooManyCertificates", elb.create_listener, 400, **(listen | tls))
    for port in range(1000, 1050):
        elb.create_listener(LoadBalancerArn=own, Protocol="TCP", Port=port, DefaultActions=elsewhere)
    lab.refused("TooManyListeners", elb.create_listener, 400, **(listen | {"LoadBalancerArn": own, "DefaultActions": elsewhere}))
    address = [{"SubnetId": subnets[0], "AllocationId": "eipalloc-none"}]
    lab.refused("AllocationIdNotFound", elb.create_load_balancer, 400, Name="x", Type="network", SubnetMappings=address)
    chained = elb.create_target_group(Name="chained", Protocol="TCP", Port=80, VpcId=vpc, TargetType="alb")["TargetGroups"][0]["TargetGroupArn"]
    behind = [elb.create_load_balancer(Name=f"app-{n}", Type="application", Subnets=subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"] for n in "12"]
    two = [{"Id": arn, "Port": 80} for arn in behind]
    lab.refused("TooManyTargets", elb.register_targets, 400, TargetGroupArn=chained, Targets=two)
    lab.that("two listeners", len(elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]), 2)
    elb.describe_listeners(ListenerArns=[listener])
    lab.refused("ValidationError", elb.describe_listeners, 400)
    lab.refused("ListenerNotFound", elb.describe_listeners, 400, ListenerArns=[listener[:-16] + "0123456789abcdef"])

    lab.advance(1_000)
    states = {row["TargetHealth"]["State"] for row in health(TargetGroupArn=target_group, Targets=targets[:1])["TargetHealthDescriptions"]}
    lab.that("healthy", states, {"healthy"})
    sick = {"state": "unhealthy", "reason": "Target.FailedHealthChecks", "description": "Health checks failed"}
    lab.control("POST", "/targets/health", {
        "account": me.account, "region": me.region, "target_group_arn": target_group, "target_id": inside, "health": sick
    })  # fmt: skip
    shown = health(TargetGroupArn=target_group, Targets=targets[:1])["TargetHealthDescriptions"][0]["TargetHealth"]
    lab.that("unhealthy on request", (shown["State"], shown["Reason"]), ("unhealthy", "Target.FailedHealthChecks"))
    none = target_group[:-16] + "0123456789abcdef"
    lab.refused("TargetGroupNotFound", health, 400, TargetGroupArn=none)
    lab.refused("TargetGroupNotFound", elb.register_targets, 400, TargetGroupArn=none, Targets=targets)
    lab.refused("TargetGroupNotFound", elb.deregister_targets, 400, TargetGroupArn=none, Targets=targets)
    lab.refused("InvalidTarget", elb.register_targets, 400, TargetGroupArn=target_group, Targets=[{"Id": "i-0"}])
    elb.describe_target_groups(LoadBalancerArn=arn)
    elb.describe_target_groups(TargetGroupArns=[target_group])
    elb.describe_target_groups(Names=["edge"])
    lab.refused("TargetGroupNotFound", elb.describe_target_groups, 400, Names=["none"])
    lab.refused("ResourceInUse", elb.delete_target_group, 400, TargetGroupArn=target_group)
    health(TargetGroupArn=target_group, Targets=targets[1:])
    elb.deregister_targets(TargetGroupArn=target_group, Targets=targets)
    found = elb.describe_tags(ResourceArns=[arn, target_group, listener])["TagDescriptions"]
    lab.that("tags", [len(row["Tags"]) for row in found], [1, 1, 1])
    lab.refused("LoadBalancerNotFound", elb.describe_tags, 400, ResourceArns=[gone])
    elb.delete_listener(ListenerArn=other)
    lab.refused("ListenerNotFound", elb.delete_listener, 400, ListenerArn=other)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_target_group(TargetGroupArn=target_group)
