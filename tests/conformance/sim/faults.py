"""Trouble on request: throttling, 5xx before and after the work, dropped answers, stale reads, broken notifications."""

import botocore.exceptions

from .lab import connected

# Codes of AWS that no rule of the simulator leads to, but a planned fault does.
SERVER_SIDE = {"InternalError": 500, "InternalFailure": 500, "ServerInternal": 500, "ServiceUnavailable": 503, "Unavailable": 503}


def check(lab):
    throttling(lab)
    server_side(lab)
    after_the_work(lab)
    items(lab)
    stale(lab)


def throttling(lab):
    me = lab.party()
    calls = {
        "ec2": (me.ec2.describe_vpcs, "RequestLimitExceeded", 503),
        "elbv2": (me.elbv2.describe_load_balancers, "Throttling", 400),
    }
    for service, (call, code, status) in calls.items():
        with lab.fault(account=me.account, effect="throttle"):
            lab.refused(code, call, status)
        lab.that(f"{service} goes on", call()["ResponseMetadata"]["HTTPStatusCode"], 200)
    custom = {"custom": [{"action": "DescribeVpcs", "burst": 2, "per_minute": 60}]}
    with lab.behavior(throttling=custom):
        me.ec2.describe_vpcs()
        me.ec2.describe_vpcs()
        lab.refused("RequestLimitExceeded", me.ec2.describe_vpcs, 503)
        lab.advance(1_000)
        me.ec2.describe_vpcs()
    with lab.fault(account=me.account, effect="deny_action"):
        lab.refused("UnauthorizedOperation", me.ec2.describe_vpcs, 403)
        lab.refused("AccessDenied", me.elbv2.describe_load_balancers, 403)


def server_side(lab):
    me = lab.party()
    for code, status in SERVER_SIDE.items():
        with lab.fault(action="DescribeVpcs", account=me.account, effect="error_before", code=code, status=status):
            lab.refused(code, me.ec2.describe_vpcs, status)


def after_the_work(lab):
    me = lab.party()
    create = me.ec2.create_vpc_endpoint_service_configuration
    asked = {"NetworkLoadBalancerArns": [me.load_balancer()], "ClientToken": "mine"}
    with lab.fault(action="CreateVpcEndpointServiceConfiguration", account=me.account, times=1, effect="error_after"):
        lab.refused("InternalError", create, 500, **asked)
    made = create(**asked)["ServiceConfiguration"]["ServiceId"]
    rows = me.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    lab.that("the token found the one that was made", [row["ServiceId"] for row in rows], [made])

    provider, _, service, endpoint = connected(lab)
    with lab.fault(action="Accept*", account=provider.account, times=1, effect="drop_answer"):
        try:
            provider.accept(service, endpoint)
            lab.that("the answer", "came", "dropped")
        except botocore.exceptions.HTTPClientError:
            pass
    rows = provider.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    lab.that("it was accepted all the same", rows[0]["VpcEndpointState"], "pending")


def items(lab):
    provider, _, service, endpoint = connected(lab)
    id = endpoint["VpcEndpointId"]
    fault = {"resource_id": id, "code": "ConcurrentMutationLimitExceeded", "message": "Later."}
    with lab.fault(action="AcceptVpcEndpointConnections", effect="partial_unsuccessful", **fault):
        lab.item(provider.accept(service, endpoint), id, "ConcurrentMutationLimitExceeded")
    lab.that("accepted", provider.accept(service, endpoint)["Unsuccessful"], [])


def stale(lab):
    provider, consumer, service, endpoint = connected(lab)
    lab.advance(10_000)
    provider.accept(service, endpoint)
    lab.advance(2_000)
    describe = provider.ec2.describe_vpc_endpoint_connections
    with lab.fault(action="DescribeVpcEndpointConnections", effect="stale_reads", lag_ms=5_000):
        lab.that("as it was", describe()["VpcEndpointConnections"][0]["VpcEndpointState"], "pendingAcceptance")
    lab.that("as it is", describe()["VpcEndpointConnections"][0]["VpcEndpointState"], "available")
