"""Connections: accept, reject, the states in between, expiry, failure, and how they vanish."""

from .lab import connected

GONE = "vpce-0123456789abcdef0"


def check(lab):
    accept_and_reject(lab)
    wrong_states(lab)
    ends(lab)
    the_row(lab)


def row(party, endpoint):
    """What the provider sees of an endpoint."""
    rows = party.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    return next((row for row in rows if row["VpcEndpointId"] == endpoint["VpcEndpointId"]), None)


def accept_and_reject(lab):
    provider, consumer, service, endpoint = connected(lab)
    lab.that("it waits", endpoint["State"], "pendingAcceptance")
    lab.that("accepted", provider.accept(service, endpoint)["Unsuccessful"], [])
    lab.that("not there yet", row(provider, endpoint)["VpcEndpointState"], "pending")
    lab.advance(1_000)
    lab.that("there", row(provider, endpoint)["VpcEndpointState"], "available")
    lab.that("the consumer agrees", consumer.state(endpoint), "available")
    lab.that("rejected", provider.reject(service, endpoint)["Unsuccessful"], [])
    lab.that("at once", row(provider, endpoint)["VpcEndpointState"], "rejected")

    provider, consumer, service, endpoint = connected(lab, acceptance=False)
    lab.that("born pending without acceptance", endpoint["State"], "pending")
    lab.that("pending can be rejected", provider.reject(service, endpoint)["Unsuccessful"], [])


def wrong_states(lab):
    provider, _, service, endpoint = connected(lab)
    id, none = endpoint["VpcEndpointId"], {"VpcEndpointId": GONE}
    provider.accept(service, endpoint)
    lab.item(provider.accept(service, endpoint), id, "InvalidState")
    provider.reject(service, endpoint)
    lab.item(provider.reject(service, endpoint), id, "InvalidState")
    lab.item(provider.accept(service, endpoint), id, "InvalidState")
    lab.item(provider.accept(service, none), GONE, "InvalidVpcEndpointId.NotFound")
    lab.item(provider.reject(service, none), GONE, "InvalidVpcEndpointId.NotFound")
    with lab.behavior(accept_after_reject="allow"):
        lab.that("re-accepted", provider.accept(service, endpoint)["Unsuccessful"], [])
    with lab.behavior(wrong_state_code="IncorrectState", unknown_endpoint_code="InvalidVpcEndpoint.NotFound"):
        lab.item(provider.accept(service, endpoint), id, "IncorrectState")
        lab.item(provider.accept(service, none), GONE, "InvalidVpcEndpoint.NotFound")
    for decide in (provider.ec2.accept_vpc_endpoint_connections, provider.ec2.reject_vpc_endpoint_connections):
        unknown = "vpce-svc-0123456789abcdef0"
        lab.refused("InvalidVpcEndpointServiceId.NotFound", decide, 400, ServiceId=unknown, VpcEndpointIds=[id])
        lab.refused("MissingParameter", decide, 400, VpcEndpointIds=[id])
        lab.refused("MissingParameter", decide, 400, ServiceId=service["ServiceId"])
        with lab.behavior(max_ids_per_decision=1):
            lab.refused("InvalidParameterValue", decide, 400, ServiceId=service["ServiceId"], VpcEndpointIds=[id, GONE])


def ends(lab):
    provider, consumer, service, endpoint = connected(lab)
    lab.control("POST", "/endpoints/failures", {"account": consumer.account, "times": 1, "code": "InternalError", "message": "No."})
    failing = consumer.endpoint(service)
    provider.accept(service, failing)
    lab.advance(1_000)
    lab.that("failed", row(provider, failing)["VpcEndpointState"], "failed")
    found = consumer.ec2.describe_vpc_endpoints(VpcEndpointIds=[failing["VpcEndpointId"]])["VpcEndpoints"][0]
    lab.that("the consumer is told why", found["LastError"], {"Code": "InternalError", "Message": "No."})
    lab.advance(15 * 24 * 3_600_000)
    lab.that("expired", row(provider, endpoint)["VpcEndpointState"], "expired")
    lab.item(provider.accept(service, endpoint), endpoint["VpcEndpointId"], "InvalidState")
    consumer.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    lab.that("deleting", row(provider, endpoint)["VpcEndpointState"], "deleting")
    lab.advance(1_000)
    lab.that("deleted, and still listed", row(provider, endpoint)["VpcEndpointState"], "deleted")
    lab.advance(2 * 3_600_000)
    lab.that("vanished", row(provider, endpoint), None)


def the_row(lab):
    provider, consumer, service, endpoint = connected(lab)
    seen = row(provider, endpoint)
    lab.that("its owner", seen["VpcEndpointOwner"], consumer.account)
    lab.that("its Region", seen["VpcEndpointRegion"], consumer.region)
    lab.that("its load balancers", seen["NetworkLoadBalancerArns"], service["NetworkLoadBalancerArns"])
    tag = [{"Key": "customer", "Value": "c-1"}]
    provider.ec2.create_tags(Resources=[seen["VpcEndpointConnectionId"]], Tags=tag)
    lab.that("the provider's tags", row(provider, endpoint)["Tags"], tag)
    lab.that("are not the consumer's", consumer.ec2.describe_vpc_endpoints()["VpcEndpoints"][0].get("Tags", []), [])
