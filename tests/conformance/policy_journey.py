"""A policy goes its way from draft to active over REST; then boto3's requests are decided by it, or held with a reason, without anybody's doing."""

import time

from _program import DataDir, demo, expect, passed, run, wait_for
from _world import Rest, Sim, register, request_connection

CONSUMER, STRANGER = "777777777777", "888888888888"
NOBODY = '@id("nobody")\nforbid (principal, action, resource);'


def dry_run(rest, policy):
    """Asks for a dry run and waits for its result."""
    made = rest.post(f"/v1/policies/{policy}/dry-runs", {"decisions": 1000}, wanted=(202,))

    def look():
        seen = rest.get(f"/v1/policies/{policy}/dry-runs/{made['id']}")
        return seen if seen["state"] in ("done", "failed") else None

    seen, took = wait_for("the dry run", look, 20)
    expect(f"the dry run is done ({took:.1f} s)", seen["state"], "done")
    return seen["result"]


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        service = register(rest, sim)
        consumer = rest.post("/v1/consumers", {"name": "Example Bank", "slug": "example-bank"})
        body = {"account_id": CONSUMER, "proof": "operator_vouched", "reason": "known since 2019"}
        rest.post(f"/v1/consumers/{consumer['id']}/accounts", body)

        first, _ = request_connection(rest, sim, CONSUMER, service)
        path = f"/v1/connections/{first['id']}/judgements"
        judged, _ = wait_for("the request being judged", lambda: rest.get(path)["items"] or None, 10)
        expect("without a policy it waits for a person", judged[0]["reasons"][0]["code"], "no_policy")

        wrong = rest.post("/v1/policies/validate", {"text": "permit (principal, action, resource)\nwhen { principal.knwon };"})
        place = wrong["diagnostics"][0]
        expect("a misspelt attribute is found", (wrong["valid"], place["line"], place["column"]), (False, 2, 8))

        policy = rest.post("/v1/policies", {"template": "known-accounts", "note": "first"})["id"]
        status, _, problem = rest.call("POST", f"/v1/policies/{policy}/activate", {"version": 1, "reason": "now"})
        expect("a draft is not activated", (status, problem["code"]), (409, "policy_not_tested"))
        expect("it compiles", rest.post(f"/v1/policies/{policy}/validate", {})["valid"], True)
        case = {"name": "a customer", "expect": "accept", "facts": judged[0]["facts"]}
        expect("its case passes", rest.post(f"/v1/policies/{policy}/test", {"cases": [case]})["passed"], True)
        dry_run(rest, policy)
        version = rest.get(f"/v1/policies/{policy}")["version"]
        body = {"version": version, "reason": "known accounts need no review"}
        expect("it is active", rest.post(f"/v1/policies/{policy}/activate", body)["state"], "active")
        activated = time.monotonic()

        endpoint = first["endpoint_id"]
        wait_for("the consumer seeing available", lambda: sim.endpoint_state(CONSUMER, endpoint) == "available", 10)
        passed(f"what waited is available {time.monotonic() - activated:.2f} s after the activation")
        decided = rest.get(f"/v1/connections/{first['id']}")["history"]
        verbs = [(entry["actor"], entry["reason_code"]) for entry in decided if entry["event"] == "decided"]
        expect("the policy decided, once", verbs, [("known-accounts", "known_account")])
        told = rest.get(f"/v1/connections/{first['id']}/explanation")
        expect("the decision can be made again", told["replay"]["same"], True)

        second, _ = request_connection(rest, sim, STRANGER, service)
        held = lambda: [row for row in rest.get("/v1/reviews")["items"] if row["connection_id"] == second["id"] and row["hold"]] or None  # noqa: E731
        rows, _ = wait_for("the stranger being held", held, 10)
        expect("the queue says why", rows[0]["hold"]["code"], "no_policy_applies")
        expect("the stranger waits", sim.endpoint_state(STRANGER, second["endpoint_id"]), "pendingAcceptance")

        cut = rest.post("/v1/policies", {"text": NOBODY, "service_id": service["id"]})["id"]
        rest.post(f"/v1/policies/{cut}/validate", {})
        rest.post(f"/v1/policies/{cut}/test", {"cases": [{**case, "expect": "reject"}]})
        expect("the dry run sees who would lose access", dry_run(rest, cut)["losing_access"], 1)
        version = rest.get(f"/v1/policies/{cut}")["version"]
        body = {"version": version, "reason": "closing"}
        status, _, problem = rest.call("POST", f"/v1/policies/{cut}/activate", body)
        expect("it would cut too much", (status, problem["code"]), (409, "policy_cuts_too_much"))
        status, _, problem = rest.call("POST", f"/v1/policies/{cut}/activate", {**body, "confirm_losing_access": 7})
        expect("another number is not what was shown", (status, problem["code"]), (409, "preview_changed"))
        rest.post(f"/v1/policies/{cut}/activate", {**body, "confirm_losing_access": 1})
        wait_for("the stranger being refused", lambda: sim.endpoint_state(STRANGER, second["endpoint_id"]) == "rejected", 10)
        passed("once it is meant, what waits is refused")
        expect("what lives is not cut by an activation", sim.endpoint_state(CONSUMER, endpoint), "available")


run(check)
