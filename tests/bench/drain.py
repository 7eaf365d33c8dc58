"""10,000 accepted connections over 20 services are told to AWS under its own throttles.

Accept is the scarce thing: 10 calls at once and one a second after that, for an account in a Region. With full calls of 100 that is
100 calls and 90 s. All decisions are there before the worker starts, so that nothing but its economy is measured.
"""

import math
from datetime import datetime

from _bench import Part, adopt, decide_all, figures, populate, register_place, simulator, wait_until_listed, waiting
from _program import DataDir, expect, migrate, passed, run, token, wait_for
from _world import Rest, Sim

SERVICES, CONNECTIONS, BATCH = 20, 10_000, 100
BURST, PER_SECOND = 10, 1
# Calls that do not grow, so that the bound is the one that calls of 100 have.
SETTINGS = {"PORTCULLIS__WORKER__BATCH_SIZE": str(BATCH), "PORTCULLIS__WORKER__LARGEST_BATCH": str(BATCH)}
ACCEPT = "AcceptVpcEndpointConnections"


def check():
    migrate()
    with DataDir() as data, simulator() as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        services = populate(sim, SERVICES, CONNECTIONS, 100)
        sim.control("PUT", "/behavior", {"throttling": "aws_defaults"})
        with Part("api", key, sim.url) as api:
            rest = Rest(api.api, token(key, "admin"))
            place = register_place(rest)
            adopt(rest, services)
            with Part("worker", key, sim.url) as worker:
                wait_until_listed(rest, place, CONNECTIONS, 120)
                worker.stop()
            ids = waiting(rest)
            expect("all of them wait for a decision", len(ids), CONNECTIONS)
            speed = decide_all(rest, ids)
            passed(f"{CONNECTIONS} decisions through REST at {speed:.0f} a second")
            with Part("worker", key, sim.url, **SETTINGS) as worker:
                wait_for("everything being available", lambda: not left(rest), 300)
                worker.stop()
        report(sim)


def left(rest):
    return rest.get("/v1/connections?summary=accepting&limit=1")["items"]


def report(sim):
    calls = sim.events(ACCEPT)
    told = [call for call in calls if call["done"]]
    throttled = len([call for call in calls if call["outcome"] == "RequestLimitExceeded"])
    all_calls = len(sim.events())
    all_throttled = len([call for call in sim.events() if call["outcome"] == "RequestLimitExceeded"])
    endpoints = sum(len([i for i in call["ids"] if not i.startswith("vpce-svc-")]) for call in told)
    least = SERVICES * math.ceil(CONNECTIONS / SERVICES / BATCH)
    bound = (least - BURST) / PER_SECOND
    took = seconds(told[-1]["at"]) - seconds(told[0]["at"])
    figures(
        [
            ("endpoints that AWS was told of", endpoints, f"{CONNECTIONS}", endpoints == CONNECTIONS),
            ("accept calls", len(calls), f"<= {least * 1.02:.0f}", len(calls) <= least * 1.02),
            ("seconds from the first to the last", f"{took:.1f}", f"<= {bound * 1.05:.1f}", took <= bound * 1.05),
            ("the bound of the token bucket, seconds", f"{bound:.0f}", "", True),
            ("accept calls throttled", throttled, f"<= {len(calls) * 0.01:.0f}", throttled <= len(calls) * 0.01),
            ("all calls, throttled of them", f"{all_calls}, {all_throttled}", "<= 1 %", all_throttled <= all_calls * 0.01),
        ]
    )


def seconds(at):
    return datetime.fromisoformat(at).timestamp()


run(check, limit=600)
