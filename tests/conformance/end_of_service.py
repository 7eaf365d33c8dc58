"""A service with connections is drained and deleted through the real SDK: announced, rejected, held up by an attached endpoint, gone; and one drain is
taken back."""

import time

from _program import DataDir, demo, expect, passed, run, wait_for
from _world import PROVIDER, REGION, Rest, Sim, request_connection

CONSUMER = "777777777777"
DELETE = "DeleteVpcEndpointServiceConfigurations"
NOTICE_SECONDS = 3


def end(rest, service_id, verb, **more):
    version = rest.get(f"/v1/services/{service_id}")["version"]
    return rest.post(f"/v1/services/{service_id}/{verb}", {"version": version, "reason": f"{verb}: ticket 7", **more})


def drain_of(rest, service_id):
    return rest.get(f"/v1/services/{service_id}")["drain"] or {}


def wait_for_life(rest, service_id, state, seconds):
    path = f"/v1/services/{service_id}"
    wait_for(f"the service being {state}", lambda: rest.get(path)["lifecycle"]["state"] == state, seconds)


def principals(sim, service):
    ec2 = sim.client("ec2", PROVIDER)
    answer = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["aws_service_id"])
    return sorted(row["Principal"] for row in answer["AllowedPrincipals"])


def accept(rest, sim, service):
    connection, _ = request_connection(rest, sim, CONSUMER, service)
    rest.post(f"/v1/connections/{connection['id']}/accept", {"reason": "Order 1001 is paid"})
    rest.wait_for_summary(connection["id"], "available", 10)
    return connection


def cancelled(rest, sim, place):
    service = rest.register_service("Kept", place, sim.load_balancer(PROVIDER, "kept"))
    connection = accept(rest, sim, service)
    before = principals(sim, service)
    end(rest, service["id"], "drain", reject_after_seconds=600)
    wait_for("the freeze", lambda: drain_of(rest, service["id"]).get("phase") == "notice", 20)
    expect("nobody new is let in", principals(sim, service), [])
    waiting = f"/v1/connections/{connection['id']}"
    told = [entry for entry in rest.get(waiting)["history"] if entry["event"] == "notified"]
    expect("what the consumer is to be told is recorded", len(told), 1)
    end(rest, service["id"], "cancel-drain")
    wait_for("the principals coming back", lambda: principals(sim, service) == before, 20)
    expect("the connection was not touched", rest.get(waiting)["summary"], "available")
    path = f"/v1/services/{service['id']}"
    again = {"version": rest.get(path)["version"], "reason": "again"}
    status, _, problem = rest.call("POST", f"{path}/cancel-drain", again)
    expect("there is no second cancel", (status, problem["code"]), (409, "service_not_draining"))


def deleted(rest, sim, place):
    service = rest.register_service("Leaving", place, sim.load_balancer(PROVIDER, "leaving"))
    connections = [accept(rest, sim, service) for _ in range(3)]
    # AWS may count rejected endpoints until their consumers delete them.
    behavior = sim.control("GET", "/behavior")
    sim.control("PUT", "/behavior", {**behavior, "reject_settle_ms": 3_600_000})
    began = time.monotonic()
    end(rest, service["id"], "delete", reject_after_seconds=NOTICE_SECONDS, confirm_delete=True)
    path = f"/v1/connections/{connections[0]['id']}/accept"
    status, _, problem = rest.call("POST", path, {"reason": "too late"})
    expect("nobody is accepted any more", (status, problem["code"]), (409, "service_draining"))
    for connection in connections:
        rest.wait_for_summary(connection["id"], "revoked", NOTICE_SECONDS + 20)
        endpoint = connection["endpoint_id"]
        expect("the consumer sees rejected", sim.endpoint_state(CONSUMER, endpoint), "rejected")
    took = time.monotonic() - began
    expect(f"not before the notice was over (took {took:.1f} s)", took >= NOTICE_SECONDS, True)
    wait_for("AWS refusing the deletion", lambda: drain_of(rest, service["id"]).get("code") is not None, 20)
    drain = drain_of(rest, service["id"])
    expect("AWS's code is shown", drain["code"], "ExistingVpcEndpointConnections")
    expect("it waits", drain["phase"], "waiting")
    named = sorted(row["endpoint_id"] for row in drain["blocking"])
    expect("the endpoints in the way are named", named, sorted(c["endpoint_id"] for c in connections))
    ec2 = sim.client("ec2", CONSUMER)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[c["endpoint_id"] for c in connections])
    wait_for_life(rest, service["id"], "deleted", 90)
    passed(f"deleted {time.monotonic() - began:.1f} s after it was asked for, in {len(sim.events(DELETE))} calls")
    listed = sim.client("ec2", PROVIDER).describe_vpc_endpoint_service_configurations()
    left = {s["ServiceId"]: s["ServiceState"] for s in listed["ServiceConfigurations"]}
    expect("AWS has it no more", left.get(service["aws_service_id"], "Deleted"), "Deleted")
    rows = sim.client("ec2", PROVIDER).describe_vpc_endpoint_connection_notifications()["ConnectionNotificationSet"]
    ours = [row for row in rows if row.get("ServiceId") == service["aws_service_id"]]
    expect("its notification went with it", ours, [])
    sim.control("PUT", "/behavior", behavior)


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        place = rest.post("/v1/account-regions", {"account_id": PROVIDER, "region": REGION})
        cancelled(rest, sim, place)
        deleted(rest, sim, place)


run(check)
