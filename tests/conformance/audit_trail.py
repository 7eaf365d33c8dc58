"""The audit trail from the command line: verified, read out, and what is done to it behind everybody's back found and named."""

import json
import subprocess

import psycopg

from _program import DataDir, Serve, clean_environment, command, database_url, expect, migrate, passed, program, run, simulator, token, wait_for
from _world import Rest

BEHIND = "SET session_replication_role = replica"


def audit(*arguments):
    done = subprocess.run(
        [program(), "audit", *map(str, arguments)],
        env=clean_environment(DATABASE_URL=database_url()),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def check():
    migrate()
    with DataDir() as data, simulator(data / "world.json") as world:
        key, seals = data / "issuer.pem", data / "seals.pem"
        public = data / "seals.pub"
        public.write_text(command("audit", "public-key", "--key-file", seals) + "\n")
        with Serve(key, world.ready_line()["sim"], PORTCULLIS__AUDIT__SIGNING_KEY_FILE=str(seals)) as serve:
            rest = Rest(serve.api, token(key, "admin"))
            for name in ("one", "two", "three"):
                rest.post("/v1/consumers", {"name": name})
            with psycopg.connect(database_url(), autocommit=True) as db:
                wait_for("all to be sealed", lambda: db.execute("SELECT NOT EXISTS (SELECT FROM audit_unsealed)").fetchone()[0], 20)
                verify(db, data, public)


def verify(db, data, public):
    code, said, _ = audit("verify", "--public-key", public)
    expect("it is as it was written", (code, said.split()[0]), (0, "3"))
    head = audit("head")[1].strip()
    export = data / "audit.jsonl"
    export.write_text(audit("export")[1])
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    entries = [line for line in lines if "action" in line]
    expect("the export has the entries", [entry["after"]["name"] for entry in entries], ["one", "two", "three"])
    code, said, _ = audit("verify", "--file", export, "--public-key", public, "--head", head)
    expect("the export is verified without the database", (code, said.splitlines()[-1]), (0, f"head {head}"))

    entry = entries[1]["id"]
    db.execute(BEHIND)
    db.execute("UPDATE audit_entries SET actor = 'nobody' WHERE id = %s", (entry,))
    code, _, said = audit("verify", "--public-key", public)
    expect("a row that was altered is named", (code, entry in said, "was changed" in said), (1, True, True))
    db.execute("DELETE FROM audit_entries WHERE id = %s", (entry,))
    code, _, said = audit("verify")
    expect("a row that was deleted is named", (code, entry in said, "is missing" in said), (1, True, True))
    db.execute("DELETE FROM audit_seals")
    db.execute("DELETE FROM audit_entries")
    code, _, said = audit("verify", "--head", head)
    expect("a trail that was cut off does not reach its head", (code, "before the head" in said), (1, True))
    export.write_text(export.read_text().replace("one", "uno"))
    code, _, said = audit("verify", "--file", export)
    expect("an export that was altered is found", (code, "was changed" in said), (1, True))
    other = data / "other.pub"
    other.write_text(command("audit", "public-key", "--key-file", data / "other.pem") + "\n")
    code, _, said = audit("verify", "--file", export, "--public-key", other)
    expect("a foreign key is refused", (code, "none of the keys" in said), (1, True))
    passed("the audit trail tells what was done to it")


run(check)
