"""A provider account that is entered through a role.

With its external id all goes well; with a wrong one only that place suffers.
"""

from _program import DataDir, Serve, expect, migrate, passed, run, simulator, token, wait_for
from _world import REGION, Rest, Sim, request_connection

CONTROL = "123456789012"
TENANT, STRANGER, OWN = "444444444441", "444444444442", CONTROL
EXTERNAL_ID = "tenant-7f3a"


def role(account):
    return f"arn:aws:iam::{account}:role/portcullis"


def check():
    migrate()
    with DataDir() as data, simulator(data / "simulator.json") as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        for account in (TENANT, STRANGER):
            sim.control("POST", "/roles", {"role_arn": role(account), "external_id": EXTERNAL_ID})
        control = {"AWS_ACCESS_KEY_ID": CONTROL, "AWS_SECRET_ACCESS_KEY": "simulated", "AWS_REGION": REGION}
        with Serve(key, sim.url, **control) as serve:
            rest = Rest(serve.api, token(key, "admin"))
            places(rest, sim)


def places(rest, sim):
    def register(account, **more):
        return rest.post("/v1/account-regions", {"account_id": account, "region": REGION, **more})

    tenant = register(TENANT, role_arn=role(TENANT), external_id=EXTERNAL_ID)
    expect(
        "REST shows the role and not the external id",
        (tenant["role_arn"], "external_id" in tenant),
        (role(TENANT), False),
    )
    stranger = register(STRANGER, role_arn=role(STRANGER), external_id="not-the-one")

    def read(place):
        return rest.get(f"/v1/account-regions/{place['id']}")

    _, took = wait_for("the tenant's account being listed", lambda: read(tenant)["listing"], 15)
    passed(f"the tenant's account is listed {took:.2f} s after its registration")
    refused, _ = wait_for("the other account showing why it is not", lambda: read(stranger)["error"], 15)
    passed(f"the other account shows why it is not: {refused['message']}")
    expect("its code is AWS's own", refused["code"], "AccessDenied")
    expect("it was never listed", read(stranger)["listing"], None)

    service = rest.register_service("Ledger", tenant, sim.load_balancer(TENANT, "ledger"))
    connection, took = request_connection(rest, sim, "777777777777", service)
    passed(f"a request is listed after {took:.2f} s")
    rest.post(f"/v1/connections/{connection['id']}/accept", {"reason": "Order 1003 is paid"})
    took = rest.wait_for_summary(connection["id"], "available", 15)
    passed(f"and available {took:.2f} s after its acceptance")

    calls = sim.events()
    assumed = [event for event in calls if event["action"] == "AssumeRole"]
    expect("roles are assumed from the control account", {event["account"] for event in assumed}, {CONTROL})
    accepts = sim.events("AcceptVpcEndpointConnections", connection["endpoint_id"])
    expect("AWS was told as the role's account", [(e["account"], e["outcome"]) for e in accepts], [(TENANT, "ok")])
    listings = {e["account"] for e in calls if e["action"] == "DescribeVpcEndpointConnections"}
    expect("nothing was listed as anybody else", listings, {TENANT})

    # The worst neighbour is not in the way: a place without a role is taken up now, and the tenant's goes on.
    own = register(OWN)
    wait_for("a third account being listed", lambda: read(own)["listing"], 15)
    passed("a third account is taken up beside the one that fails")
    before = read(tenant)["listing"]["at"]
    wait_for("the tenant's account being listed again", lambda: read(tenant)["listing"]["at"] != before, 15)
    expect("the tenant's account has no error", read(tenant)["error"], None)
    expect("the other one still has", read(stranger)["error"]["code"], "AccessDenied")


run(check)
