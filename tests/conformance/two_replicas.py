"""Two replicas of the real program: they share, one is told to stop, one is killed with `kill -9`. How long until the other serves.

With the settings as they are shipped a lease lasts 4 s and is looked after every second, so an AccountRegion rests for at most 5 s after its
replica died; for 6 s where the replica was about to change something in AWS. To prove whose credentials it has and to list takes the heir
moments more: in a debug build 7.0 to 7.4 s were seen from `kill -9` to the heir's listing, so the bound is 8 s.
"""

import signal
import time
from datetime import datetime, timezone

from _program import DataDir, Failed, Serve, expect, migrate, passed, run, simulator, token, wait_for
from _world import REGION, Rest, Sim, request_connection

ACCOUNTS = [f"11111111111{n}" for n in range(6)]
SHARED_WITHIN, TERMINATED_WITHIN, KILLED_WITHIN, AVAILABLE_WITHIN = 10, 2.5, 8, 10


def check():
    migrate()
    with DataDir() as data, simulator(data / "simulator.json") as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        admin = token(key, "admin")

        def serve():
            process = Serve(key, sim.url)
            process.rest = Rest(process.api, admin)
            return process

        with serve() as first:
            for account in ACCOUNTS:
                first.rest.post("/v1/account-regions", {"account_id": account, "region": REGION})
            wait_for("the first replica serving all", lambda: shares(first.rest) == [6], 10)
            with serve() as second:
                shared(first.rest)
                terminate(first, second)
                with serve() as third:
                    shared(second.rest)
                    kill(second, third, sim)
                    third.stop()


def places(rest):
    return rest.get("/v1/account-regions?limit=200")["items"]


def shares(rest):
    """How many AccountRegions each replica serves, fewest first."""
    counts = {}
    for place in places(rest):
        if place["served_by"]:
            replica = place["served_by"]["replica"]
            counts[replica] = counts.get(replica, 0) + 1
    return sorted(counts.values())


def shared(rest):
    _, took = wait_for("two replicas sharing", lambda: shares(rest) == [3, 3], SHARED_WITHIN)
    passed(f"a replica that joins has its half after {took:.2f} s")
    fences = [place["served_by"]["fence"] for place in places(rest)]
    time.sleep(3)
    expect("and then nothing changes hands", [place["served_by"]["fence"] for place in places(rest)], fences)


def of_the_elder(rest):
    """The AccountRegions of the replica that has lived longest."""
    elder = rest.get("/v1/replicas")["items"][0]["replica"]
    return [place["id"] for place in places(rest) if place["served_by"]["replica"] == elder]


def listed_since(rest, ids, moment):
    def at(place):
        return datetime.fromisoformat(place["listing"]["at"]) if place["listing"] else None

    rows = [place for place in places(rest) if place["id"] in ids]
    return all(at(place) and at(place) > moment for place in rows)


def hand_over(rest, ids, what, most):
    """Waits until one replica serves all and has listed these; how long that took."""
    moment, began = datetime.now(timezone.utc), time.monotonic()

    def done():
        return shares(rest) == [6] and listed_since(rest, ids, moment)

    wait_for(f"the other replica serving after {what}", done, most + 10)
    took = time.monotonic() - began
    if took > most:
        raise Failed(f"{what}: {took:.2f} s until the other replica serves and has listed, wanted {most} s")
    passed(f"{what}: {took:.2f} s until the other replica serves and has listed")


def terminate(leaver, heir):
    ids = of_the_elder(heir.rest)
    expect("the one that is to stop serves half", len(ids), 3)
    leaver.child.send_signal(signal.SIGTERM)
    hand_over(heir.rest, ids, "SIGTERM", TERMINATED_WITHIN)
    expect("it ended well", leaver.child.wait(15), 0)


def kill(victim, heir, sim):
    ids = of_the_elder(heir.rest)
    place = next(place for place in places(heir.rest) if place["id"] == ids[0])
    balancer = sim.load_balancer(place["account_id"], "ledger")
    service = heir.rest.register_service("Ledger", place, balancer)
    connection, _ = request_connection(heir.rest, sim, "777777777777", service)
    victim.kill_9()
    # Decided while nobody serves it.
    heir.rest.post(f"/v1/connections/{connection['id']}/accept", {"reason": "Order 1005 is paid"})
    began = time.monotonic()
    hand_over(heir.rest, ids, "kill -9", KILLED_WITHIN)
    heir.rest.wait_for_summary(connection["id"], "available", AVAILABLE_WITHIN)
    passed(f"a decision taken meanwhile is available after {time.monotonic() - began:.2f} s")
    accepts = sim.events("AcceptVpcEndpointConnections", connection["endpoint_id"])
    expect("AWS was told once", len([event for event in accepts if event["done"]]), 1)


run(check)
