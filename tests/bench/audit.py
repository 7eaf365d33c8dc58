"""Sealing a million audit entries, and verifying them in the database and from an export."""

import subprocess
import time

import psycopg

from _bench import Part, figures, simulator
from _program import DataDir, clean_environment, database_url, migrate, passed, program, run, wait_for

ENTRIES = 1_000_000
# As an accept by a person leaves them.
INSERT = """
INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason, request_id, decision_id)
SELECT ('01a21a20' || lpad(to_hex(n), 8, '0') || '70008000' || lpad(to_hex(n), 8, '0'))::uuid, now() - interval '1 hour' + n * interval '3 milliseconds',
       'person', 'ann@provider.example', 'connection.accept', 'connection', gen_random_uuid(), '{"review": "undecided"}', '{"review": "accepted"}',
       'Order 4711 is paid', gen_random_uuid()::text, gen_random_uuid()
  FROM generate_series(1, %s) AS n
"""


def audit(*arguments, output=subprocess.PIPE):
    began = time.monotonic()
    done = subprocess.run([program(), "audit", *arguments], env=clean_environment(DATABASE_URL=database_url()), stdout=output, check=True)
    return time.monotonic() - began, done.stdout


def check():
    migrate()
    with psycopg.connect(database_url(), autocommit=True) as db, DataDir() as data, simulator() as world:
        db.execute(INSERT, (ENTRIES,))
        db.execute("VACUUM ANALYZE audit_entries, audit_unsealed")
        key, export = data / "seals.pem", data / "audit.jsonl"
        public = data / "seals.pub"
        public.write_bytes(audit("public-key", "--key-file", str(key))[1])
        began = time.monotonic()
        with Part("worker", data / "issuer.pem", world.ready_line()["sim"], PORTCULLIS__AUDIT__SIGNING_KEY_FILE=str(key)):
            wait_for("all to be sealed", lambda: db.execute("SELECT NOT EXISTS (SELECT FROM audit_unsealed)").fetchone()[0], 600)
        sealing = time.monotonic() - began
        verifying, said = audit("verify", "--public-key", str(public))
        passed(said.decode().replace("\n", "; "))
        with export.open("wb") as file:
            exporting, _ = audit("export", output=file)
        from_file, said = audit("verify", "--public-key", str(public), "--file", str(export))
        passed(said.decode().replace("\n", "; "))
        figures(
            [
                ("entries sealed/s", f"{ENTRIES / sealing:.0f}", "", True),
                ("verified in the database, s", f"{verifying:.1f}", "< 10", verifying < 10),
                ("exported, s", f"{exporting:.1f}", "", True),
                ("verified from the export, s", f"{from_file:.1f}", "< 10", from_file < 10),
            ]
        )


run(check, limit=1200)
