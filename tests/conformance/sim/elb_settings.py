"""What can be set on load balancers, listeners and target groups: attributes, certificates, tags, subnets, groups, addresses."""


def check(lab):
    me = lab.party()
    elb, zones = me.elbv2, me.subnets()
    vpc = zones[0]["VpcId"]
    group = me.ec2.create_security_group(GroupName="edge", Description="edge", VpcId=vpc)["GroupId"]
    mapping = {"SubnetId": zones[0]["SubnetId"], "PrivateIPv4Address": address(zones[0], 20)}
    made = elb.create_load_balancer(
        Name="set", Type="network", Scheme="internal", SubnetMappings=[mapping], SecurityGroups=[group],
        EnablePrefixForIpv6SourceNat="off",
    )["LoadBalancers"][0]  # fmt: skip
    arn = made["LoadBalancerArn"]
    gone = arn[:-16] + "0123456789abcdef"
    public = [{"SubnetId": zones[0]["SubnetId"], "AllocationId": "eipalloc-0123456789abcdef0"}]
    shown = elb.create_load_balancer(Name="public", Type="network", SubnetMappings=public)["LoadBalancers"][0]
    elb.describe_load_balancers(Names=["public", "set"])
    lab.that("its address", shown["AvailabilityZones"][0]["LoadBalancerAddresses"][0]["AllocationId"], "eipalloc-0123456789abcdef0")
    subnets = [{"SubnetId": zone["SubnetId"]} for zone in zones[:2]]
    answer = elb.set_subnets(LoadBalancerArn=arn, SubnetMappings=[mapping, subnets[1]], IpAddressType="ipv4", EnablePrefixForIpv6SourceNat="off")
    lab.that("in two zones", len(answer["AvailabilityZones"]), 2)
    elb.set_subnets(LoadBalancerArn=arn, Subnets=[zone["SubnetId"] for zone in zones])
    lab.refused("LoadBalancerNotFound", elb.set_subnets, 400, LoadBalancerArn=gone, Subnets=[zones[0]["SubnetId"]])
    enforce = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
    answer = elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group], **{enforce: "off"})
    lab.that("not enforced", answer[enforce], "off")
    lab.refused("LoadBalancerNotFound", elb.set_security_groups, 400, LoadBalancerArn=gone, SecurityGroups=[group])
    lab.that("dual", elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType="ipv4")["IpAddressType"], "ipv4")
    lab.refused("LoadBalancerNotFound", elb.set_ip_address_type, 400, LoadBalancerArn=gone, IpAddressType="ipv4")
    lab.that("quotas", "network-load-balancers" in {row["Name"] for row in elb.describe_account_limits()["Limits"]}, True)
    lab.refused("ValidationError", elb.describe_account_limits, 400, PageSize=401)

    checked = {
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "8080",
        "HealthCheckEnabled": True,
        "HealthCheckPath": "/healthy",
        "HealthCheckIntervalSeconds": 10,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 3,
        "UnhealthyThresholdCount": 3,
        "Matcher": {"HttpCode": "200-399"},
    }
    created = elb.create_target_group(
        Name="set", Protocol="TCP", Port=443, VpcId=vpc, TargetType="ip", IpAddressType="ipv4", **checked
    )["TargetGroups"][0]
    target_group = created["TargetGroupArn"]
    changed = elb.modify_target_group(TargetGroupArn=target_group, **(checked | {"HealthCheckPath": "/ready"}))["TargetGroups"][0]
    lab.that("its check", changed["HealthCheckPath"], "/ready")
    elb.describe_target_groups(Names=["set"])
    none = target_group[:-16] + "0123456789abcdef"
    lab.refused("TargetGroupNotFound", elb.modify_target_group, 400, TargetGroupArn=none, HealthCheckPath="/")

    certificates = [f"arn:aws:acm:{me.region}:{me.account}:certificate/00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
    config = {"TargetGroups": [{"TargetGroupArn": target_group, "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": False}}
    listener = elb.create_listener(
        LoadBalancerArn=arn,
        Protocol="TLS",
        Port=443,
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        Certificates=[{"CertificateArn": certificates[0]}],
        AlpnPolicy=["HTTP2Preferred"],
        DefaultActions=[{"Type": "forward", "Order": 1, "ForwardConfig": config}],
    )["Listeners"][0]["ListenerArn"]
    secure = {"LoadBalancerArn": arn, "Protocol": "TLS", "Port": 444, "DefaultActions": [{"Type": "forward", "ForwardConfig": config}]}
    wanted = {"Certificates": [{"CertificateArn": certificates[0]}]}
    lab.refused("CertificateNotFound", elb.create_listener, 400, **(secure | {"Certificates": [{"CertificateArn": "none"}]}))
    lab.refused("SSLPolicyNotFound", elb.create_listener, 400, **(secure | wanted | {"SslPolicy": "none"}))
    lab.refused("ALPNPolicyNotFound", elb.create_listener, 400, **(secure | wanted | {"AlpnPolicy": ["none"]}))
    changed = elb.modify_listener(
        ListenerArn=listener,
        Port=8443,
        Protocol="TLS",
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        Certificates=[{"CertificateArn": certificates[1]}],
        AlpnPolicy=["None"],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group, "Order": 1, "ForwardConfig": config}],
    )["Listeners"][0]
    lab.that("its port", changed["Port"], 8443)
    elb.describe_listeners(ListenerArns=[listener])
    nobody = listener[:-16] + "0123456789abcdef"
    lab.refused("ListenerNotFound", elb.modify_listener, 400, ListenerArn=nobody, Port=1)
    more = [{"CertificateArn": certificates[2]}]
    elb.add_listener_certificates(ListenerArn=listener, Certificates=more)
    found = elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    lab.that("the default and another", sorted(row["IsDefault"] for row in found), [False, True])
    elb.remove_listener_certificates(ListenerArn=listener, Certificates=more)
    for call, rest in (
        (elb.add_listener_certificates, {"Certificates": more}),
        (elb.remove_listener_certificates, {"Certificates": more}),
        (elb.describe_listener_certificates, {}),
    ):
        lab.refused("ListenerNotFound", call, 400, ListenerArn=nobody, **rest)

    for what, id, other, key, value, missing in (
        ("listener", listener, nobody, "tcp.idle_timeout.seconds", "400", "ListenerNotFound"),
        ("target_group", target_group, none, "deregistration_delay.timeout_seconds", "10", "TargetGroupNotFound"),
    ):
        name = {"listener": "ListenerArn", "target_group": "TargetGroupArn"}[what]
        modify, describe = getattr(elb, f"modify_{what}_attributes"), getattr(elb, f"describe_{what}_attributes")
        if what == "listener":
            # Only a TCP listener has the timeout.
            id = elb.create_listener(
                LoadBalancerArn=arn, Protocol="TCP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}]
            )["Listeners"][0]["ListenerArn"]  # fmt: skip
        modify(Attributes=[{"Key": key, "Value": value}], **{name: id})
        shown = {row["Key"]: row["Value"] for row in describe(**{name: id})["Attributes"]}
        lab.that(f"{what}, {key}", shown[key], value)
        lab.refused(missing, modify, 400, Attributes=[{"Key": key, "Value": value}], **{name: other})
        lab.refused(missing, describe, 400, **{name: other})

    quic = elb.create_target_group(Name="quic", Protocol="QUIC", Port=443, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
    targets = [{"Id": address(zones[0], 30), "Port": 443, "QuicServerId": "0x0123456789abcdef"}]
    elb.register_targets(TargetGroupArn=quic, Targets=targets)
    found = elb.describe_target_health(TargetGroupArn=quic, Targets=targets, Include=["All"])["TargetHealthDescriptions"]
    lab.that("its server id", found[0]["Target"]["QuicServerId"], targets[0]["QuicServerId"])
    elb.deregister_targets(TargetGroupArn=quic, Targets=targets)

    tags = [{"Key": "team", "Value": "edge"}]
    elb.add_tags(ResourceArns=[arn, target_group, listener], Tags=tags)
    lab.that("tagged", elb.describe_tags(ResourceArns=[listener])["TagDescriptions"][0]["Tags"], tags)
    elb.remove_tags(ResourceArns=[arn], TagKeys=["team"])
    lab.refused("LoadBalancerNotFound", elb.add_tags, 400, ResourceArns=[gone], Tags=tags)
    lab.refused("LoadBalancerNotFound", elb.remove_tags, 400, ResourceArns=[gone], TagKeys=["team"])
    lab.refused("DuplicateTagKeys", elb.add_tags, 400, ResourceArns=[arn], Tags=tags * 2)
    lab.refused("TooManyTags", elb.add_tags, 400, ResourceArns=[arn], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)])


def address(subnet, number):
    """An address in a subnet."""
    return f"{subnet['CidrBlock'].rsplit('.', 1)[0]}.{number}"
