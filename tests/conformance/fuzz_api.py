"""schemathesis against the running demo, as each role, with every check: no 5xx, no status or body that the document does not have, nothing taken that it
forbids; in a long run also nothing refused that it allows.

`FUZZ_REQUESTS` says how many requests there have to be in the whole, and the script goes on until there were (`cargo xtask fuzz-api`); unless it is given,
each role has one turn of `SECONDS`. `FUZZ_SEED` repeats a run's choices. What schemathesis says is printed where it found something.
"""

import os
import pathlib
import re
import subprocess
import sys

from _program import DataDir, Failed, command, demo, expect, passed, run
from _world import Rest, Sim, register, request_connection

HERE = pathlib.Path(__file__).parent / "fuzz"
# How long each role has in CI: all operations at the edges of their schemas, and what is left for chance and for stories. Who may more gets further.
SECONDS = {"viewer": 20, "auditor": 20, "consumer": 20, "approver": 35, "admin": 60}
# In a long run, a turn has this long; roles take turns until there were enough requests.
LONG_TURN = 240
LIMIT = 3 * 3600


def populate(ready):
    """Something of most kinds, so that ids lead somewhere: schemathesis finds them in answers and uses them in other requests. Whom the consumer speaks for."""
    rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
    service = register(rest, sim)
    connections = [request_connection(rest, sim, account, service)[0] for account in ("222222222222", "333333333333", "444444444444")]
    rest.post(f"/v1/connections/{connections[0]['id']}/accept", {"reason": "paid"})
    # An account with connections, and one with which the consumer can ask for more.
    consumer = organisation(rest, "example-bank", "222222222222", "666666666666")
    rest.post("/v1/denials", {"account_id": "999999999999", "reason": "does not pay"})
    policy = rest.post("/v1/policies", {"template": "known-accounts"})
    rest.post(f"/v1/policies/{policy['id']}/validate", {})
    contact = {"name": "Bo", "email": "bo@bank.example", "role": "network"}
    rest.post("/v1/access-requests", {"account_id": "555555555555", "service_ids": [service["id"]], "contact": contact})
    ports = [{"protocol": "tcp", "port": 443}]
    plan = {"name": "Free", "pricing_model": "free"}
    content = {"title": "Ledger", "services": [{"service_id": service["id"], "ports": ports}], "plans": [plan]}
    rest.post("/v1/listings", {"slug": "ledger", "allow_list": ["222222222222"], "content": content})
    return consumer


def organisation(rest, slug, *accounts):
    """A consumer with accounts; its id."""
    consumer = rest.post("/v1/consumers", {"name": "Example Bank", "slug": slug})["id"]
    for account in accounts:
        rest.post(f"/v1/consumers/{consumer}/accounts", {"account_id": account, "proof": "operator_vouched", "reason": "known"})
    return consumer


def token(role, consumer, key):
    """A token of a role; a consumer's names whom it speaks for."""
    who = ["--role", role, "--subject", f"fuzz-{role}", "--key-file", key]
    return command("token", *who, *(["--consumer", consumer] if role == "consumer" else []))


def schemathesis(api, token, seconds, seed):
    """One run; how many requests were made, and what was said where something was found."""
    arguments = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml", "run", f"{api}/openapi.json"]
    arguments += ["--url", api, "--max-time", seconds, "--seed", seed, "--generation-database", "none", "--no-color"]
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 300,
        # Not on the command line, where everybody would see it.
        env={**os.environ, "FUZZ_TOKEN": token, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    counted = re.search(r"(\d+) generated", done.stdout)
    if counted is None:
        raise Failed(f"schemathesis ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return int(counted.group(1)), None if done.returncode == 0 else shortened(done.stdout)


def shortened(said):
    """Lines as long as a person reads."""
    return "\n".join(line if len(line) < 1000 else f"{line[:1000]}…" for line in said.splitlines())


def check():
    wanted = int(os.environ.get("FUZZ_REQUESTS", 0))
    seed = int(os.environ.get("FUZZ_SEED", 1))
    # With limits, everything that a role asks for is soon answered with 429, which tells nothing.
    with DataDir() as data, demo(data, "none", "--no-rate-limits") as running:
        ready = running.ready_line()
        consumer = populate(ready)
        passed("there is something of most kinds")
        made, turn, found = 0, 0, []
        while turn < len(SECONDS) or made < wanted:
            role = list(SECONDS)[turn % len(SECONDS)]
            if role == "consumer" and turn >= len(SECONDS):
                # An admin may have closed the one before, and then there would be little but 403.
                rest = Rest(ready["api"], ready["admin_token"])
                consumer = organisation(rest, f"example-bank-{turn}", f"2{turn:011}")
            known = token(role, consumer, data / "development-issuer.pem")
            count, said = schemathesis(ready["api"], known, LONG_TURN if wanted else SECONDS[role], seed + turn)
            made, turn = made + count, turn + 1
            if said is not None:
                found.append(role)
                print(said, flush=True)
            passed(f"{role}: {count} requests, {made} in the whole (seed {seed + turn - 1})")
        expect("nothing was found", found, [])
        log = running.said(1_000_000)
        faults = [line for line in log.splitlines() if "a request failed on our side" in line or "panicked" in line]
        expect("the log knows of no fault", faults[:5], [])


run(check, LIMIT if os.environ.get("FUZZ_REQUESTS") else 600)
