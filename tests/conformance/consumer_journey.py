"""boto3 as a consumer asks for a connection, a person accepts it over REST, and boto3 sees it become available."""

import time

from _program import DataDir, demo, expect, passed, run, wait_for
from _world import Rest, Sim, register, request_connection

CONSUMER = "777777777777"
# What is promised.
LISTED_WITHIN_SECONDS = 5


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        passed(f"ready after {running.ready_after:.2f} s (cold)")
        rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        service = register(rest, sim)
        passed(f"the service is available: {service['aws_service_id']}")

        connection, took = request_connection(rest, sim, CONSUMER, service)
        expect(
            f"listed as waiting within {LISTED_WITHIN_SECONDS} s (took {took:.2f} s)",
            took <= LISTED_WITHIN_SECONDS,
            True,
        )
        endpoint = connection["endpoint_id"]
        expect("it belongs to the consumer", connection["owner_account_id"], CONSUMER)
        expect("the consumer sees pendingAcceptance", sim.endpoint_state(CONSUMER, endpoint), "pendingAcceptance")

        path = f"/v1/connections/{connection['id']}/accept"
        reason = {"reason": "Order 1001 is paid"}
        answer = rest.post(path, reason)
        accepted = time.monotonic()
        expect("the review is accepted", answer["review"]["state"], "accepted")
        wait_for("the consumer seeing available", lambda: sim.endpoint_state(CONSUMER, endpoint) == "available", 10)
        passed(f"the consumer sees available {time.monotonic() - accepted:.2f} s after the acceptance")
        rest.wait_for_summary(connection["id"], "available", 10)
        passed(f"REST says available {time.monotonic() - accepted:.2f} s after the acceptance")

        status, _, problem = rest.call("POST", path, reason)
        expect("a second acceptance is refused", (status, problem["code"]), (409, "connection_already_decided"))
        expect("AWS was told once", len(sim.events("AcceptVpcEndpointConnections", endpoint)), 1)

        sim.client("ec2", CONSUMER).delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        took = rest.wait_for_summary(connection["id"], "deleted", 10)
        passed(f"the consumer's deletion is seen after {took:.2f} s")

        running.stop()
        with demo(data) as again:
            again.ready_line()
            passed(f"ready after {again.ready_after:.2f} s (warm)")


run(check)
