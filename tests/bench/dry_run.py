"""A dry run over 100,000 live connections and 10,000 decisions, and what reads of the API take meanwhile."""

import threading
import time

import psycopg

from _bench import Part, adopt, figures, populate, register_place, simulator, wait_until_listed
from _program import DataDir, database_url, expect, migrate, passed, run, token, wait_for
from _world import Rest, Sim

CONNECTIONS, SERVICES, CONSUMERS = 100_000, 100, 1_000
QUIET_SECONDS = 10
TEXT = '@id("all") permit (principal, action, resource);\n' + "\n".join(
    f'@id("p{n}") forbid (principal, action, resource) when {{ context.counts.onService > {5_000 + n} && principal.known }};' for n in range(99)
)


def check():
    migrate()
    with DataDir() as data, simulator() as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        settings = {"PORTCULLIS__WORKER__SERVICE_INTERVAL": "1h", "PORTCULLIS__WORKER__LISTING_INTERVAL": "1h"}
        with Part("api", key, sim.url) as api:
            rest = Rest(api.api, token(key, "admin"))
            place = register_place(rest)
            adopt(rest, populate(sim, SERVICES, CONNECTIONS, CONSUMERS))
            with Part("worker", key, sim.url, **settings) as worker:
                wait_until_listed(rest, place, CONNECTIONS, 300)
                worker.stop()
            # AWS knows nothing of what is made live here, and telling it apart is not what is measured.
            path = f"/v1/account-regions/{place['id']}"
            status, _, answer = rest.call("PATCH", path, {"version": rest.get(path)["version"], "enabled": False})
            expect("the AccountRegion rests", (status, answer.get("enabled")), (200, False))
            ids = let_all_live()
            with Part("worker", key, sim.url, **settings):
                measure(rest, ids)


def let_all_live():
    """As if somebody had accepted all of them long ago: what AWS would take twenty minutes for. Some ids to read."""
    with psycopg.connect(database_url(), autocommit=True) as db:
        db.execute(
            """
            WITH made AS (
                INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at)
                SELECT gen_random_uuid(), id, 'accept', 'person', 'ann@provider.example', 'Order 4711 is paid', '{}', now() FROM connections
                RETURNING id, connection_id)
            UPDATE connections AS c
               SET review_state = 'accepted', observed_state = 'available', sync_state = 'idle', sync_due_at = NULL, decision_id = made.id
              FROM made WHERE made.connection_id = c.id
            """
        )
        db.execute("VACUUM ANALYZE connections")
        rows = db.execute("SELECT 'con_' || replace(id::text, '-', '') FROM connections ORDER BY endpoint_id LIMIT 2000").fetchall()
    return [row[0] for row in rows]


def measure(rest, ids):
    policy = rest.post("/v1/policies", {"text": TEXT})["id"]
    rest.post(f"/v1/policies/{policy}/validate", {})
    quiet = Reader(rest, ids).read_for(QUIET_SECONDS)
    reader = Reader(rest, ids)
    reader.start()
    began = time.monotonic()
    made = rest.post(f"/v1/policies/{policy}/dry-runs", {"decisions": 10_000}, wanted=(202,))

    def look():
        seen = rest.get(f"/v1/policies/{policy}/dry-runs/{made['id']}")
        return seen if seen["state"] in ("done", "failed") else None

    seen, _ = wait_for("the dry run", look, 120)
    took = time.monotonic() - began
    busy = reader.finish()
    result = seen["result"]
    passed(f"{seen['state']}: {result}")
    idle, during = percentile(quiet, 99), percentile(busy, 99)
    figures(
        [
            ("dry run, s", f"{took:.1f}", "< 10", took < 10),
            ("live connections judged", str(result["live"]), str(CONNECTIONS), result["live"] == CONNECTIONS),
            ("reads/s, idle", f"{len(quiet) / QUIET_SECONDS:.0f}", "", True),
            ("read p99 idle, ms", f"{idle:.1f}", "", True),
            ("read p99 during it, ms", f"{during:.1f}", f"<= {2 * idle:.1f}", during <= 2 * idle),
        ]
    )


def percentile(times, percent):
    times = sorted(times)
    return times[(len(times) - 1) * percent // 100]


class Reader(threading.Thread):
    """Somebody who reads connections and lists, 50 times a second."""

    def __init__(self, rest, ids):
        super().__init__(daemon=True)
        self.rest, self.ids, self.times, self.over = rest, ids, [], threading.Event()

    def run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            path = f"/v1/connections/{self.ids[number % len(self.ids)]}" if number % 5 else "/v1/connections?limit=50"
            began = time.monotonic()
            self.rest.get(path)
            took = time.monotonic() - began
            self.times.append(took * 1000)
            time.sleep(max(0.0, 0.02 - took))

    def read_for(self, seconds):
        self.start()
        time.sleep(seconds)
        return self.finish()

    def finish(self):
        self.over.set()
        self.join()
        return self.times


run(check, limit=900)
