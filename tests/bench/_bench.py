"""What the measurements share: roles of the program as processes, a large world, many decisions at once, figures side by side."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

import psycopg

from _program import FREE_PORT, Failed, Process, clean_environment, database_url, wait_for
from _world import PROVIDER, REGION

# How many clients decide at the same time.
CLIENTS = 8


class Part(Process):
    """`serve` in one role, with the settings as they are shipped, but for the rates; `database` is another than the script's own."""

    def __init__(self, role, key_file, sim_url, database=None, **more):
        address = "HTTP__LISTEN" if role != "worker" else "HTTP__OPERATIONAL_LISTEN"
        environment = clean_environment(
            DATABASE_URL=database or database_url(),
            PORTCULLIS__AUTH__DEVELOPMENT_ISSUER="true",
            PORTCULLIS__AUTH__DEVELOPMENT_KEY_FILE=str(key_file),
            PORTCULLIS__AWS__ENDPOINT_URL=sim_url,
            # What is measured is not how fast one caller may ask.
            PORTCULLIS__HTTP__RATE__CALLER_READS="off",
            PORTCULLIS__HTTP__RATE__CALLER_WRITES="off",
            PORTCULLIS__LOG__FILTER="warn,portcullis::cli=info",
            **{f"PORTCULLIS__{address}": FREE_PORT},
            **more,
        )
        super().__init__("serve", "--role", role, environment=environment)
        found, _ = wait_for(f"the {role} saying where it listens", self._address, 20)
        self.api = found.group(1)

    def _address(self):
        if self.child.poll() is not None:
            raise Failed(f"serve ended\n{self.said()}")
        return re.search(r"serving .* on (http://\S+)", self.said(100_000))

    def peak_memory(self):
        """The most resident memory that the process has had, in MiB."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def simulator():
    """The simulator, with a world that is nowhere but in its memory."""
    return Process("sim", "--listen", FREE_PORT)


def populate(sim, services, connections, consumers):
    """Services with as many pending connections each; the services' ids."""
    body = {"account": PROVIDER, "region": REGION, "services": services, "connections": connections, "consumers": consumers}
    return sim.control("POST", "/populate", body)["services"]


def register_place(rest):
    return rest.post("/v1/account-regions", {"account_id": PROVIDER, "region": REGION})


def adopt(rest, services):
    for service in services:
        body = {"account_id": PROVIDER, "region": REGION, "name": service, "aws_service_id": service}
        rest.post("/v1/services", body)


def listing(rest, place):
    """The last complete listing of an AccountRegion."""
    return rest.get(f"/v1/account-regions/{place['id']}")["listing"]


def wait_until_listed(rest, place, connections, seconds):
    def look():
        last = listing(rest, place)
        return last and last["connections"] == connections and last

    return wait_for(f"{connections} connections being listed", look, seconds)[0]


def waiting(rest):
    """The ids of all connections that wait for a decision."""
    ids, cursor = [], ""
    while cursor is not None:
        page = rest.get(f"/v1/connections?summary=waiting&limit=200{cursor}")
        ids.extend(row["id"] for row in page["items"])
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    return ids


def decide_all(rest, ids):
    """Accepts connections, several clients at a time; decisions per second."""

    def some(part):
        address = urllib.parse.urlsplit(rest.api)
        client = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        head = {"authorization": f"Bearer {rest.token}", "content-type": "application/json"}
        for connection in part:
            client.request("POST", f"/v1/connections/{connection}/accept", json.dumps({"reason": "bench"}), head)
            answer = client.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise Failed(f"accepting {connection}: {answer.status} {text}")

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(some, [ids[n::CLIENTS] for n in range(CLIENTS)]))
    return len(ids) / (time.monotonic() - began)


def written():
    """Rows of each table that were inserted, updated or deleted so far, by PostgreSQL's own count."""
    with psycopg.connect(database_url(), autocommit=True) as db:
        db.execute("SELECT pg_stat_force_next_flush()")
        rows = db.execute("SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables").fetchall()
    return dict(rows)


def bare_listing(sim):
    """The loop that only lists: its milliseconds."""
    command = [os.environ["BARE_LISTING_BIN"], sim.url, PROVIDER, REGION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean_environment(), check=True)
    return json.loads(done.stdout)


def figures(rows):
    """Prints what was measured beside its anchor and its goal; fails where one is missed."""
    width = max(len(row[0]) for row in rows)
    missed = []
    print(f"{'':{width}}  {'measured':>12}  {'goal':>14}", flush=True)
    for name, measured, goal, met in rows:
        print(f"{name:{width}}  {measured:>12}  {goal:>14}{'' if met else '  MISSED'}", flush=True)
        if not met:
            missed.append(name)
    if missed:
        raise Failed(f"missed: {', '.join(missed)}")
