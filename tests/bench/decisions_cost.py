"""What audit, row-level security and idempotency cost a decision: two of the program over HTTP, one with all three and one without, in turns.

Without, clients send no `Idempotency-Key`, a rule keeps audit entries out of their table (and so what follows from them out of the queues of the sealer
and of the feed), and row-level security is switched off on every table. Sealing is not in it, since it holds nobody up: `audit` measures that.
"""

import concurrent.futures
import json
import pathlib
import socket
import statistics
import time
import urllib.parse
import uuid
from contextlib import ExitStack

import psycopg

from _bench import CLIENTS, Part, adopt, figures, register_place
from _program import DataDir, clean_environment, command, database_url, expect, passed, run, token
from _world import Rest

# Decisions of a turn, and turns of each of the two. The first ones warm up.
TURN, TURNS, WARM = 800, 15, 2
SERVICES, ACCOUNTS = 20, 1_000
# As observers leave them.
CONNECTIONS = """
INSERT INTO connections (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state, observed_at, first_seen_at, endpoint_region)
SELECT ('01a21a20' || lpad(to_hex(n), 8, '0') || '70008000' || lpad(to_hex(n), 8, '0'))::uuid, s.ids[1 + n %% %s], %s, 'vpce-' || lpad(to_hex(n), 17, '0'),
       (222200000000 + n %% %s)::text, 'pendingAcceptance', now(), now(), 'eu-west-1'
  FROM generate_series(1, %s) AS n, (SELECT array_agg(id ORDER BY id) AS ids FROM endpoint_services) AS s
"""
NO_AUDIT = "CREATE RULE no_audit AS ON INSERT TO audit_entries DO INSTEAD NOTHING"
WALLED = "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND relkind IN ('r', 'p')"


class Side:
    """One of the two: a database of its own, the program on it, and clients that stay connected."""

    def __init__(self, name, key, stack, protected):
        self.protected, self.decided = protected, 0
        self.url = other_database(name)
        command("migrate", environment=clean_environment(DATABASE_URL=self.url))
        self.program = stack.enter_context(Part("api", key, "http://127.0.0.1:1", database=self.url))
        self.token = token(key, "admin")
        rest = Rest(self.program.api, self.token)
        place = register_place(rest)
        adopt(rest, [f"vpce-svc-{n:017x}" for n in range(1, SERVICES + 1)])
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(CONNECTIONS, (SERVICES, uuid.UUID(place["id"].split("_")[1]), ACCOUNTS, TURN * TURNS))
            if not protected:
                db.execute(NO_AUDIT)
                for (table,) in db.execute(WALLED).fetchall():
                    db.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            db.execute("VACUUM ANALYZE")
            rows = db.execute("SELECT 'con_' || replace(id::text, '-', '') FROM connections ORDER BY endpoint_id").fetchall()
        self.waiting = [row[0] for row in rows]

    def turn(self, pool):
        """Decides about as many as a turn has; decisions per second, and the processor's milliseconds for each, where they can be seen."""
        ids = [self.waiting.pop() for _ in range(TURN)]
        parts = [[self.request(n, id) for n, id in enumerate(ids[c::CLIENTS])] for c in range(CLIENTS)]
        before, began = self.worked(), time.monotonic()
        list(pool.map(self.send, parts))
        took = time.monotonic() - began
        self.decided += TURN
        return TURN / took, (self.worked() - before) * 1000 / TURN

    def request(self, number, connection):
        """Accepts and rejects by turns."""
        verb, body = "reject" if number % 2 else "accept", json.dumps({"reason": "Order 4711 is paid"})
        lines = [
            f"POST /v1/connections/{connection}/{verb} HTTP/1.1",
            "Host: portcullis",
            f"Authorization: Bearer {self.token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        if self.protected:
            lines.append(f"Idempotency-Key: {uuid.uuid4()}")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def send(self, requests):
        """One client, one connection. Not http.client: what the clients take of the processor makes the two sides look more alike than they are."""
        address = urllib.parse.urlsplit(self.program.api)
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in requests:
                client.sendall(request)
                status = answer_of(client)
                if b" 200 " not in status:
                    raise AssertionError(f"{request[:120]}: {status}")

    def worked(self):
        """Seconds of the processor that the program and its database's processes have used so far."""
        with psycopg.connect(self.url, autocommit=True) as db:
            rows = db.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").fetchall()
        return sum(seconds_of(pid) for pid in [self.program.child.pid, *(row[0] for row in rows)])

    def check(self):
        """Everything was decided, and with the trail or without it, as it was meant."""
        with psycopg.connect(self.url, autocommit=True) as db:
            decisions = db.execute("SELECT count(*) FROM decisions").fetchone()[0]
            entries = db.execute("SELECT count(*) FROM audit_entries WHERE decision_id IS NOT NULL").fetchone()[0]
            keys = db.execute("SELECT count(*) FROM idempotent_requests").fetchone()[0]
        wanted = self.decided if self.protected else 0
        expect(f"decisions, entries and keys ({'with' if self.protected else 'without'})", (decisions, entries, keys), (self.decided, wanted, wanted))


def answer_of(client):
    """Reads one answer to its end; its first line."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += received(client)
    head, body = text.split(b"\r\n\r\n", 1)
    lines = head.lower().split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < length:
        body += received(client)
    return head.split(b"\r\n")[0]


def received(client):
    text = client.recv(65536)
    if not text:
        raise AssertionError("the connection was closed")
    return text


def seconds_of(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0.0
    # utime and stime, in hundredths of a second.
    return (int(fields[11]) + int(fields[12])) / 100


def other_database(name):
    """Makes a database beside that of DATABASE_URL; its URL."""
    url = urllib.parse.urlsplit(database_url())
    own = url.path.strip("/")
    with psycopg.connect(database_url(), autocommit=True) as db:
        db.execute(f'DROP DATABASE IF EXISTS "{own}_{name}" WITH (FORCE)')
        db.execute(f'CREATE DATABASE "{own}_{name}"')
    return url._replace(path=f"/{own}_{name}").geturl()


def check():
    with DataDir() as data, ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        sides = {
            "with": Side("with", data / "issuer.pem", stack, protected=True),
            "without": Side("without", data / "issuer.pem", stack, protected=False),
        }
        speeds, costs = {name: [] for name in sides}, {name: [] for name in sides}
        for turn in range(TURNS):
            # Who begins changes, so that neither is always the one after the other.
            for name in sorted(sides, reverse=turn % 2 == 1):
                speed, cost = sides[name].turn(pool)
                if turn >= WARM:
                    speeds[name].append(speed)
                    costs[name].append(cost)
        for side in sides.values():
            side.check()
        report(speeds, costs)


def report(speeds, costs):
    each = [f"{a:.0f}/{b:.0f}" for a, b in zip(speeds["with"], speeds["without"])]
    passed(f"decisions/s with/without, turn by turn: {' '.join(each)}")
    fast = {name: statistics.median(values) for name, values in speeds.items()}
    cost = {name: statistics.median(values) for name, values in costs.items()}
    ratio = fast["with"] / fast["without"]
    pairs = statistics.median(a / b for a, b in zip(speeds["with"], speeds["without"]))
    figures(
        [
            ("decisions/s with audit, walls and keys", f"{fast['with']:.0f}", "", True),
            ("decisions/s without", f"{fast['without']:.0f}", "", True),
            ("with / without, of the medians", f"{ratio:.3f}", ">= 0.85", ratio >= 0.85),
            ("with / without, median of the pairs", f"{pairs:.3f}", "", True),
            ("processor for each, ms, with", f"{cost['with']:.2f}", "", True),
            ("processor for each, ms, without", f"{cost['without']:.2f}", "", True),
        ]
    )


run(check, limit=900)
