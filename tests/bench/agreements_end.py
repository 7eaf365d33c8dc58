"""10,000 agreements end in the same minute; when their grace is over, everything that they let in is rejected in AWS under its own throttles.

Each agreement is of an account of its own, bought through REST, and lets its account in to one of 20 services, where one endpoint of it is accepted by right. The ends are
spread over a minute, and so are the ends of the graces. Reject has the bucket that accept has: 10 calls at once and one a second after that, for an account in a Region.
With full calls of 100 that is 100 calls and 90 s from the first to the last, which is longer than the minute. Nothing may be rejected before its agreement's grace is over,
nothing may be left, and what Portcullis does itself may not be what takes the time.
"""

import concurrent.futures
import math
import time
from datetime import datetime, timedelta, timezone

import psycopg

from _bench import CLIENTS, Part, adopt, figures, populate, register_place, simulator, wait_until_listed
from _program import DataDir, Failed, database_url, expect, migrate, passed, run, token, wait_for
from _world import CHECKLIST, Rest, Sim, listing_content

SERVICES, BUYERS, BATCH = 20, 10_000, 100
BURST, PER_SECOND = 10, 1
GRACE, MINUTE = 180, 60
# Calls that do not grow, so that the bound is the one that calls of 100 have.
SETTINGS = {"PORTCULLIS__WORKER__BATCH_SIZE": str(BATCH), "PORTCULLIS__WORKER__LARGEST_BATCH": str(BATCH)}
REJECT = "RejectVpcEndpointConnections"


def check():
    migrate()
    with DataDir() as data, simulator() as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        services = populate(sim, SERVICES, BUYERS, BUYERS)
        sim.control("PUT", "/behavior", {"throttling": "aws_defaults"})
        with Part("api", key, sim.url) as api, Part("worker", key, sim.url, **SETTINGS):
            rest, reviewer = (Rest(api.api, token(key, role)) for role in ("admin", "approver"))
            place = register_place(rest)
            adopt(rest, services)
            wait_until_listed(rest, place, BUYERS, 120)
            wait_for("the services being known", lambda: all_at_rest(rest), 240)
            close(rest)
            wait_for("no service letting anybody in", lambda: all_at_rest(rest) and let_in(rest) == 0, 240)
            buyers = owners(rest)
            expect("each service has its own accounts that ask", sorted(map(len, buyers.values())), [BUYERS // SERVICES] * SERVICES)
            offered = {service: offer(rest, reviewer, service, accounts) for service, accounts in buyers.items()}
            ends = datetime.now(timezone.utc) + timedelta(minutes=7)
            speed = buy_all(rest, offered, buyers, ends)
            passed(f"{BUYERS} agreements bought through REST at {speed:.0f} a second")
            wait_for("everybody being connected", lambda: count("available") == BUYERS, 240)
            early = (ends - datetime.now(timezone.utc)).total_seconds()
            expect("that is before the first one ends", early > 0, True)
            time.sleep(early + MINUTE + 20)
            expect("when all have ended, everybody is still connected", count("available"), BUYERS)
            expect("no service lets anybody in", let_in(rest), 0)
            wait_for("everything being rejected", lambda: count("revoked") == BUYERS, GRACE + 240)
            wait_for("all agreements having ended", lambda: not rest.get("/v1/agreements?state=grace&limit=1")["items"], 30)
        report(sim, ends)


def all_of(rest, path):
    """All rows of a list."""
    rows, cursor = [], ""
    while cursor is not None:
        page = rest.get(f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
        rows.extend(page["items"])
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    return rows


def all_at_rest(rest):
    """Whether AWS was read of every service and is as it should be."""
    services = all_of(rest, "/v1/services")
    return all(row["observed"] and row["sync"]["state"] == "idle" and row["applied_version"] == row["version"] for row in services)


def let_in(rest):
    return sum(len(row["allowed_principals"]) for row in all_of(rest, "/v1/services"))


def count(summary):
    with psycopg.connect(database_url(), autocommit=True) as db:
        return db.execute("SELECT count(*) FROM connections WHERE summary = %s", [summary]).fetchone()[0]


def close(rest):
    """Takes out whom the services let in by themselves: from here on agreements alone do."""
    for service in all_of(rest, "/v1/services"):
        status, _, answer = rest.call("PATCH", f"/v1/services/{service['id']}", {"version": service["version"], "allowed_principals": []})
        if status != 200:
            raise Failed(f"{service['id']}: {status} {answer}")


def owners(rest):
    """The accounts that ask for each service."""
    asking = {}
    for row in all_of(rest, "/v1/connections?summary=waiting"):
        asking.setdefault(row["service_id"], []).append(row["owner_account_id"])
    return asking


def offer(rest, reviewer, service, accounts):
    """A listing of one service that these accounts may buy from: its id and its plan's."""
    content = listing_content(service, {"name": "Standard", "pricing_model": "free", "grace": {"expired": GRACE}})
    slug = "ledger-" + service.removeprefix("svc_")[-12:]
    made = rest.post("/v1/listings", {"slug": slug, "allow_list": sorted(set(accounts)), "content": content})
    step = f"/v1/listings/{made['id']}"
    rest.post(f"{step}/submit", {})
    reviewer.post(f"{step}/approve", {"revision": 1, "checklist": CHECKLIST})
    released = rest.post(f"{step}/release", {})
    return made["id"], released["live"]["content"]["plans"][0]["id"]


def buy_all(rest, offered, buyers, ends):
    """Each account buys what it asks for, several at a time; agreements per second."""
    orders = []
    for service, accounts in buyers.items():
        listing, plan = offered[service]
        for number, account in enumerate(accounts):
            until = ends + timedelta(seconds=number % MINUTE)
            orders.append({"listing_id": listing, "plan_id": plan, "buyer_account": account, "ends_at": until.isoformat()})
    # The services take turns, as buyers of different things do.
    orders.sort(key=lambda order: order["ends_at"])

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda order: rest.post("/v1/agreements", order), orders))
    return len(orders) / (time.monotonic() - began)


def report(sim, ends):
    calls = sim.events(REJECT)
    told = [call for call in calls if call["done"]]
    throttled = len([call for call in calls if call["outcome"] == "RequestLimitExceeded"])
    everything = sim.events()
    all_throttled = len([call for call in everything if call["outcome"] == "RequestLimitExceeded"])
    endpoints = [i for call in told for i in call["ids"] if not i.startswith("vpce-svc-")]
    first, last = (datetime.fromisoformat(told[which]["at"]) for which in (0, -1))
    over = ends + timedelta(seconds=GRACE)
    least = SERVICES * math.ceil(BUYERS / SERVICES / BATCH)
    bound = (len(told) - BURST) / PER_SECOND
    took = (last - over).total_seconds()
    early = (over - first).total_seconds()
    figures(
        [
            ("endpoints that AWS was told of", len(endpoints), f"{BUYERS}", sorted(endpoints) == sorted(set(endpoints)) and len(endpoints) == BUYERS),
            ("reject calls", len(calls), f"<= {least * 1.3:.0f}", len(calls) <= least * 1.3),
            ("seconds from the end of the first grace to the first call", f"{-early:.1f}", ">= 0", early <= 0),
            ("seconds from the end of the first grace to the last call", f"{took:.1f}", f"<= {bound * 1.05:.1f}", took <= bound * 1.05),
            ("seconds that the token bucket takes for so many calls", f"{bound:.0f}", "", True),
            ("reject calls throttled", throttled, f"<= {len(calls) * 0.01:.0f}", throttled <= len(calls) * 0.01),
            ("all calls, throttled of them", f"{len(everything)}, {all_throttled}", "<= 1 %", all_throttled <= len(everything) * 0.01),
        ]
    )


run(check, limit=1500)
