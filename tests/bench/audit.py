"""Sealing a million audit entries, and verifying them in the database and from an export."""

import subprocess
import time

import psycopg

from _bench import figures
from _program import DataDir, clean_environment, demo, expect, passed, program, run, wait_for

ENTRIES = 1_000_000
# As an accept by a person leaves them.
INSERT = """
INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason, request_id, decision_id)
SELECT ('01a21a20' || lpad(to_hex(n), 8, '0') || '70008000' || lpad(to_hex(n), 8, '0'))::uuid, now() - interval '1 hour' + n * interval '3 milliseconds',
       'person', 'ann@provider.example', 'connection.accept', 'connection', gen_random_uuid(), '{"review": "undecided"}', '{"review": "accepted"}',
       'Order 4711 is paid', gen_random_uuid()::text, gen_random_uuid()
  FROM generate_series(1, %s) AS n
"""
# What the sealer holds while it seals.
SEALER = "hashtextextended('audit seals', 0)"


def check():
    with DataDir() as data, demo(data, "none") as running:
        url = running.ready_line()["database_url"]
        with psycopg.connect(url, autocommit=True) as db:
            # Nothing is sealed until everything is there, so that sealing is measured alone.
            db.execute(f"SELECT pg_advisory_lock({SEALER})")
            db.execute(INSERT, (ENTRIES,))
            db.execute("VACUUM ANALYZE audit_entries, audit_unsealed, events_waiting")
            wait_for("events to have their positions", lambda: is_empty(db, "events_waiting"), 600)
            db.execute(f"SELECT pg_advisory_unlock({SEALER})")
            began = time.monotonic()
            wait_for("all to be sealed", lambda: is_empty(db, "audit_unsealed"), 600)
            sealing = time.monotonic() - began
            passed(f"{ENTRIES} entries are sealed")
        measure(Trail(url), data, sealing)


def is_empty(db, table):
    return db.execute(f"SELECT NOT EXISTS (SELECT FROM {table})").fetchone()[0]


class Trail:
    """`portcullis audit` on a database; seconds, and what it said."""

    def __init__(self, url):
        self.environment = clean_environment(DATABASE_URL=url)

    def __call__(self, *arguments, output=subprocess.PIPE):
        began = time.monotonic()
        done = subprocess.run([program(), "audit", *map(str, arguments)], env=self.environment, stdout=output, check=True)
        return time.monotonic() - began, done.stdout


def measure(audit, data, sealing):
    export, public = data / "audit.jsonl", data / "seals.pub"
    public.write_bytes(audit("public-key", "--key-file", data / "audit-seals.pem")[1])
    verifying, in_database = audit("verify", "--public-key", public)
    passed(in_database.decode().replace("\n", "; "))
    with export.open("wb") as file:
        exporting, _ = audit("export", output=file)
    from_file, offline = audit("verify", "--public-key", public, "--file", export)
    passed(offline.decode().replace("\n", "; "))
    for said in (in_database, offline):
        expect("every entry was verified", str(ENTRIES) in said.decode(), True)
    figures(
        [
            ("entries sealed/s", f"{ENTRIES / sealing:.0f}", "", True),
            ("verified in the database, s", f"{verifying:.1f}", "< 10", verifying < 10),
            ("exported, s", f"{exporting:.1f}", "", True),
            ("the export, MiB", f"{export.stat().st_size / 2**20:.0f}", "", True),
            ("verified from the export, s", f"{from_file:.1f}", "< 10", from_file < 10),
        ]
    )


run(check, limit=1800)
