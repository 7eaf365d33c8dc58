"""What is sold decides who may connect: a listing goes from draft to public, an order lets its buyer in, a renewal cuts nothing, and after the end comes the grace and
only then the rejection in AWS. Through REST, boto3 and the simulator's clock, in less than a minute."""

import subprocess
import time
from datetime import datetime

from _program import DataDir, clean_environment, demo, expect, passed, program, run, wait_for
from _world import CHECKLIST, PROVIDER, REGION, Rest, Sim, listing_content, request

BUYER, SISTER, LATE = "777777777777", "777777777778", "888888888888"
HOUR_MS = 3_600_000
LIMIT_SECONDS = 60


def token(data, role, subject):
    """A token that is still good when time has moved by months."""
    arguments = ["token", "--role", role, "--subject", subject, "--key-file", data / "development-issuer.pem", "--ttl", "31536000"]
    made = subprocess.run([program(), *map(str, arguments)], capture_output=True, check=True, text=True, env=clean_environment())
    return made.stdout.strip()


PLAN = {
    "name": "Standard",
    "pricing_model": "contract",
    "currency": "EUR",
    "dimensions": [{"key": "endpoint_seat", "name": "Endpoints", "unit": "Units", "types": ["entitled"]}],
    "rate_cards": [{"term": "P1M", "rates": [{"dimension": "endpoint_seat", "price": "120.00"}]}],
    "quotas": {"max_endpoints": 4},
}


def principals(sim, service):
    ec2 = sim.client("ec2", PROVIDER)
    answer = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["aws_service_id"])
    return sorted(row["Principal"].removeprefix("arn:aws:iam::").removesuffix(":root") for row in answer["AllowedPrincipals"])


def jump(sim, hours):
    sim.control("POST", "/clock", {"advance_ms": int(hours * HOUR_MS)})


def hours_until(sim, moment):
    now = datetime.fromisoformat(sim.control("GET", "/clock")["now"])
    return (datetime.fromisoformat(moment) - now).total_seconds() / 3600


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        sim = Sim(ready["sim"])
        rest = Rest(ready["api"], token(data, "admin", "ann"))
        reviewer = Rest(ready["api"], token(data, "approver", "ben"))
        began = time.monotonic()
        place = rest.post("/v1/account-regions", {"account_id": PROVIDER, "region": REGION})
        service = rest.register_service("Ledger EU", place, sim.load_balancer(PROVIDER, "ledger"))
        path = f"/v1/services/{service['id']}"
        change = {"version": rest.get(path)["version"], "allowed_principals": []}
        status, _, answer = rest.call("PATCH", path, change)
        expect("nobody is let in by the service itself", (status, answer["allowed_principals"]), (200, []))
        wait_for("AWS letting nobody in", lambda: principals(sim, service) == [], 10)

        # From a draft to the public.
        body = {"slug": "ledger", "allow_list": [BUYER], "content": listing_content(service["id"], PLAN)}
        listing = rest.post("/v1/listings", body)
        step = f"/v1/listings/{listing['id']}"
        rest.post(f"{step}/submit", {})
        reviewer.post(f"{step}/approve", {"revision": 1, "checklist": CHECKLIST})
        limited = rest.post(f"{step}/release", {})
        expect("it is released to its allow-list", limited["state"], "limited")
        plan = limited["live"]["content"]["plans"][0]["id"]
        order = {
            "listing_id": listing["id"],
            "plan_id": plan,
            "buyer_account": BUYER,
            "term": "P1M",
            "quantities": {"endpoint_seat": "4"},
            "reference": "order-4711",
        }
        status, _, problem = rest.call("POST", "/v1/agreements", {**order, "buyer_account": LATE})
        expect("nobody else can buy yet", (status // 100, "code" in problem), (4, True))
        agreement = rest.post("/v1/agreements", order)
        expect("the order is in force", agreement["state"], "active")
        ordered = time.monotonic()
        wait_for("the principal in AWS", lambda: principals(sim, service) == [BUYER], 10)
        passed(f"the principal is in AWS {time.monotonic() - ordered:.2f} s after the order")
        endpoint = sim.interface_endpoint(BUYER, service["service_name"], REGION)
        asked = time.monotonic()
        state = lambda: sim.endpoint_state(BUYER, endpoint)  # noqa: E731
        wait_for("the endpoint being accepted without anybody's doing", lambda: state() == "available", 15)
        passed(f"the endpoint is available {time.monotonic() - asked:.2f} s after it was made")
        connection = rest.connection(endpoint)
        pays = lambda: (rest.get(f"/v1/connections/{connection['id']}/agreement")["paid_by"] or {}).get("agreement_id")  # noqa: E731
        expect("the agreement pays for it", pays(), agreement["id"])
        ready_checks = lambda: rest.get(f"{step}/readiness")  # noqa: E731
        wait_for("readiness", lambda: ready_checks()["ready"], 20)
        public = rest.post(f"{step}/publish", {})
        expect("it is public", public["state"], "public")
        status, _, catalog = request("GET", f"{ready['api']}/catalog", headers={"accept": "application/json"})
        expect("everybody sees it", (status, [row["title"] for row in catalog["items"]]), (200, ["Ledger over PrivateLink"]))

        # A renewal, a moment before the end: nothing is cut, and the new one pays from the switch on.
        jump(sim, hours_until(sim, agreement["ends_at"]) - 1)
        renewed = rest.post(f"/v1/agreements/{agreement['id']}/renew", {})
        expect("the renewal waits for its time", renewed["state"], "pending")
        jump(sim, 2)
        wait_for("the renewal paying", lambda: pays() == renewed["id"], 20)
        expect("the old one is superseded", rest.get(f"/v1/agreements/{agreement['id']}")["state"], "superseded")
        expect("nothing was cut", state(), "available")
        expect("the principal never went", principals(sim, service), [BUYER])

        # The end: no new connections, the principal goes, and what is connected has its grace.
        renewed = rest.get(f"/v1/agreements/{renewed['id']}")
        jump(sim, hours_until(sim, renewed["ends_at"]) + 0.1)
        of = lambda: rest.get(f"/v1/agreements/{renewed['id']}")  # noqa: E731
        wait_for("the grace", lambda: of()["state"] == "grace", 20)
        wait_for("the principal going", lambda: principals(sim, service) == [], 20)
        expect("what is connected has its grace", state(), "available")
        history = rest.get(f"/v1/connections/{connection['id']}")["history"]
        told = [entry for entry in history if entry["event"] == "notified"]
        expect("the consumer is told", len(told) >= 1, True)
        jump(sim, hours_until(sim, of()["grace_until"]) - 0.1)
        time.sleep(2)
        expect("it is not cut before its grace is over", state(), "available")
        jump(sim, 0.2)
        wait_for("the rejection in AWS", lambda: state() == "rejected", 20)
        wait_for("the end", lambda: of()["state"] == "ended", 10)
        took = time.monotonic() - began
        timeline = rest.get(f"/v1/agreements/{renewed['id']}/timeline?limit=200")["items"]
        words = [row["what"] for row in timeline]
        expect("every step is on its timeline", [w for w in ("agreement.bind", "agreement.revoke_principal", "agreement.plan_cuts") if w not in words], [])
        expect(f"a whole life took less than {LIMIT_SECONDS} s (it was {took:.1f} s)", took < LIMIT_SECONDS, True)


run(check)
