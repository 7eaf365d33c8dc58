"""What naming a state costs a read, with a million audit entries: of a connection that hardly anything happened to, and of one with ten thousand entries."""

import json
import random
import time
import uuid

import psycopg

from _bench import Part, adopt, figures, register_place
from _program import DataDir, database_url, expect, migrate, run, token
from _world import Rest

ENTRIES, CONNECTIONS, LOUD = 1_000_000, 50_000, 10_000
READS, WARM = 2_000, 200
INSERT_CONNECTIONS = """
INSERT INTO connections (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state, observed_at, first_seen_at, endpoint_region)
SELECT ('01a21a20' || lpad(to_hex(n), 8, '0') || '70008000' || lpad(to_hex(n), 8, '0'))::uuid, (SELECT id FROM endpoint_services), %s,
       'vpce-' || lpad(to_hex(n), 17, '0'), (222200000000 + n %% 1000)::text, 'pendingAcceptance', now(), now(), 'eu-west-1'
  FROM generate_series(1, %s) AS n
"""
# Those of one connection lie all over the table, as years of retries leave them; none is shown with the connection, so that all answers are alike.
INSERT_ENTRIES = """
INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, after, reason, request_id)
SELECT ('01a21a20' || lpad(to_hex(n), 8, '0') || '7000' || left(md5(n::text), 4) || right(md5(n::text), 8))::uuid,
       now() - interval '1 hour' + n * interval '3 milliseconds', 'person', 'ann@provider.example', 'connection.retry_sync', 'connection', c.id,
       '{"sync": "due"}', 'They have mended it, and say that it will go on now', gen_random_uuid()::text
  FROM generate_series(1, %(entries)s) AS n
  JOIN (SELECT id, row_number() OVER (ORDER BY id) AS number FROM connections) AS c
    ON c.number = CASE WHEN n %% (%(entries)s / %(loud)s) = 0 THEN 1 ELSE 2 + n %% (%(connections)s - 1) END
"""
# As `store::versions` asks.
STATEMENT = "SELECT id FROM audit_entries WHERE subject_id = %s ORDER BY at DESC, id DESC LIMIT 64"
IDS = "SELECT 'con_' || replace(id::text, '-', '') FROM connections ORDER BY id"


def check():
    migrate()
    with DataDir() as data, Part("api", data / "issuer.pem", "http://127.0.0.1:1") as api:
        rest = Rest(api.api, token(data / "issuer.pem", "admin"))
        place = register_place(rest)
        adopt(rest, ["vpce-svc-00000000000000001"])
        with psycopg.connect(database_url(), autocommit=True) as db:
            db.execute(INSERT_CONNECTIONS, (uuid.UUID(place["id"].split("_")[1]), CONNECTIONS))
            db.execute(INSERT_ENTRIES, {"entries": ENTRIES, "loud": LOUD, "connections": CONNECTIONS})
            db.execute("VACUUM ANALYZE connections, audit_entries")
            ids = [row[0] for row in db.execute(IDS).fetchall()]
            loud = db.execute("SELECT count(*) FROM audit_entries WHERE subject_id = (SELECT min(id::text)::uuid FROM connections)").fetchone()[0]
            expect("one connection has many entries", loud, LOUD)
            alone = [statement(db, name) for name in ("max", "min")]
        measure(rest, ids, *alone)


def statement(db, which):
    """The statement alone: the median of its milliseconds in the database, for the last or the first connection. It reads an index and no entry."""
    of = db.execute(f"SELECT {which}(id::text)::uuid FROM connections").fetchone()[0]
    times = []
    for _ in range(101):
        plan = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENT}", (of,)).fetchone()[0][0]
        times.append(plan["Execution Time"])
    expect("an index is enough", "Index Only Scan" in json.dumps(plan), True)
    return percentile(times, 50)


def measure(rest, ids, few_alone, many_alone):
    many, few = ids[0], ids[1:]
    chance = random.Random(1)
    # In turns, so that whatever else the machine does is done to both.
    kinds = {"few": lambda: chance.choice(few), "many": lambda: many}
    times = {kind: [] for kind in kinds}
    for number in range(WARM + READS):
        for kind, one in kinds.items():
            path = f"/v1/connections/{one()}"
            began = time.monotonic()
            rest.get(path)
            if number >= WARM:
                times[kind].append((time.monotonic() - began) * 1000)
    spread = {kind: " ".join(f"{percentile(values, percent):.2f}" for percent in (50, 99)) for kind, values in times.items()}
    p50 = {kind: percentile(values, 50) for kind, values in times.items()}
    ratio = p50["many"] / p50["few"]
    figures(
        [
            ("the statement alone, few entries, ms", f"{few_alone:.3f}", "", True),
            (f"the statement alone, {LOUD} entries, ms", f"{many_alone:.3f}", "< 1", many_alone < 1),
            ("a read, few entries, p50 and p99, ms", spread["few"], "", True),
            (f"a read, {LOUD} entries, p50 and p99, ms", spread["many"], "", True),
            ("many to few, p50", f"{ratio:.2f}", "<= 1.25", ratio <= 1.25),
        ]
    )


def percentile(times, percent):
    times = sorted(times)
    return times[(len(times) - 1) * percent // 100]


run(check, limit=900)
