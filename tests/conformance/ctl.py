"""A day from a terminal: `portcullis ctl` as a person and a script use it, against the demo."""

import json
import pathlib
import subprocess

from _program import DataDir, clean_environment, demo, expect, passed, program, run, token, wait_for
from _world import Rest, Sim, register, request_connection

ACME, BOREALIS, COBALT, DELTA = "222222222222", "333333333333", "444444444444", "555555555555"
# The API takes no control characters in a reason; what turns the direction of text is none.
EVIL = "paid \u202e4711"


class Ctl:
    """The command line, as somebody with a token."""

    def __init__(self, url, token):
        self.environment = clean_environment(PORTCULLIS_URL=url, PORTCULLIS_TOKEN=token)

    def run(self, *arguments, code=0, stdin=""):
        """What a command wrote; fails unless it ended with the exit code."""
        done = subprocess.run(
            [program(), "ctl", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )
        if done.returncode != code:
            expect(f"ctl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}", done.returncode, code)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--output", "json", **more))


def look_and_decide(ctl, rest, sim, service):
    waiting = {}
    for account in (ACME, BOREALIS, COBALT, DELTA):
        waiting[account], _ = request_connection(rest, sim, account, service)

    queue = ctl.run("reviews", "list")
    expect("the queue has a line for each", sum(account in queue for account in waiting), 4)
    expect("and is no terminal's business", "\x1b" in queue, False)
    rows = ctl.json("reviews", "list", "--account", ACME)["items"]
    expect("a filter is the API's", [row["connection_id"] for row in rows], [waiting[ACME]["id"]])
    pages = ctl.run("reviews", "list", "--limit", "3", "-o", "jsonl").splitlines()
    expect("three rows are three rows", len(pages), 3)
    expect("the figures", ctl.json("reviews", "summary")["waiting"], 4)

    ctl.run("decide", "claim", waiting[ACME]["id"])
    ctl.run("decide", "accept", waiting[ACME]["endpoint_id"], "--reason", EVIL)
    rest.wait_for_summary(waiting[ACME]["id"], "available", 10)
    shown = ctl.run("connections", "show", waiting[ACME]["endpoint_id"])
    expect("what others wrote cannot steer the terminal", "\x1b" in shown or "\u202e" in shown, False)
    expect("and is there all the same", "paid \\u{202e}4711" in shown, True)
    told = ctl.run("decide", "accept", waiting[ACME]["id"], "--reason", "a\x1b[2J", code=1)
    expect("a refusal has code, field and request id", all(part in told for part in ("invalid_request (400)", "reason: ", "request id: ")), True)
    told = ctl.run("decide", "accept", waiting[ACME]["id"], "--reason", "again", code=1)
    expect("a second accept is refused by its code", "connection_already_decided" in told, True)

    told = ctl.run("decide", "reject", waiting[BOREALIS]["id"], "--reason", "unknown", code=2)
    expect("what cannot be undone needs a yes", "--yes" in told, True)
    ctl.run("decide", "reject", waiting[BOREALIS]["id"], "--reason", "unknown", "--yes")
    rest.wait_for_summary(waiting[BOREALIS]["id"], "rejected", 10)
    passed("one was accepted, one rejected")

    rows = ctl.run("reviews", "list", "--page-all", "-o", "jsonl")
    done = ctl.json("decide", "accept", "-", "--reason", "contract 17", stdin=rows)
    expect("the rest is accepted from standard input", (done["decided"], done["refused"]), (2, 0))
    rows = f"# by hand\n{waiting[COBALT]['id']}\nvpce-00000000\n"
    told = ctl.run("decide", "revoke", "-", "--reason", "ended", "--yes", stdin=rows, code=1)
    expect("one of two is revoked, and the other named", "1 of 2" in told and "vpce-00000000" in told, True)
    rest.wait_for_summary(waiting[COBALT]["id"], "revoked", 10)
    return waiting


def policies(ctl, directory):
    text = directory / "known.cedar"
    text.write_text('@id("known")\npermit (principal, action, resource)\nwhen { principal.knwon };\n')
    told = ctl.run("policies", "validate", text, code=1)
    expect("a misspelt attribute is found", "diagnostics.0.line" in told, True)
    text.write_text(ctl.json("policies", "templates")["items"][0]["text"])
    made = ctl.json("policies", "create", text, "--note", "from a file")
    expect("it is a draft", made["state"], "draft")
    ctl.run("policies", "validate", made["id"])
    table = ctl.run("policies", "dry-run", made["id"], "--decisions", "100")
    expect("the dry run was waited for", "result.judged" in table and "done" in table, True)
    told = ctl.run("policies", "activate", made["id"], "--reason", "now", "--yes", code=1)
    expect("what was not tested is not activated", "policy_not_tested" in told, True)
    ctl.run("policies", "discard", made["id"], "--reason", "only a try", "--yes")
    expect("the text is printed as it is", ctl.run("policies", "text", made["id"]), text.read_text())


def the_rest(ctl, rest, waiting):
    entries = ctl.json("audit", "list", "--subject", waiting[ACME]["id"], "--page-all")["items"]
    expect("the trail says who", {entry["actor"] for entry in entries if entry["actor_kind"] == "person"}, {"demo-admin"})
    expect("and what", [entry["reason"] for entry in entries if entry["action"] == "connection.accept"], [EVIL])
    made = ctl.json("consumers", "create", "Example Bank", "--slug", "example-bank")
    ctl.run("consumers", "add-account", made["id"], ACME, "--proof", "operator_vouched", "--reason", "contract")
    expect("the account is listed", ACME in ctl.run("consumers", "accounts", made["id"]), True)
    said = ctl.json("api", "GET", f"/v1/consumers/{made['id']}")
    expect("any request", said, rest.get(f"/v1/consumers/{made['id']}"))
    key = ["--idempotency-key", "a-key-of-mine", "--data", '{"reason": "known", "account_id": "666666666666"}']
    one = ctl.json("api", "POST", "/v1/denials", *key)
    expect("the same command twice does it once", ctl.json("api", "POST", "/v1/denials", *key)["id"], one["id"])
    told = ctl.run("api", "POST", "/v1/denials", "--data", "{}", code=1)
    expect("a refusal has its request id", "request id:" in told, True)
    for group in ("services", "drifts", "stalls", "access-requests", "account-regions", "policies", "connections"):
        ctl.run(group, "list")
    passed("every list can be shown")


def completions(directory):
    script = directory / "completions.bash"
    script.write_bytes(subprocess.run([program(), "completions", "bash"], capture_output=True, check=True).stdout)
    ask = f'source {script}; COMP_WORDS=(portcullis ctl decide ""); COMP_CWORD=3; _portcullis portcullis "" decide; echo "${{COMPREPLY[@]}}"'
    said = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, check=True).stdout
    expect("bash completes the verbs", {"accept", "reject", "revoke"} <= set(said.split()), True)
    subprocess.run([program(), "man", directory / "man"], check=True)
    expect("there are manual pages", (directory / "man" / "portcullis-ctl-decide.1").exists(), True)


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        ctl = Ctl(ready["api"], ready["admin_token"])
        expect("who am I", ctl.json("whoami")["subject"], "demo-admin")
        service = register(rest, sim)
        shown = ctl.json("services", "show", service["aws_service_id"])
        expect("a service by AWS's id", shown["id"], service["id"])
        expect("the doctor has checks", "CHECK" in ctl.run("services", "doctor", service["aws_service_id"]), True)

        waiting = look_and_decide(ctl, rest, sim, service)
        policies(ctl, pathlib.Path(data))
        the_rest(ctl, rest, waiting)
        completions(pathlib.Path(data))

        viewer = Ctl(ready["api"], token(data / "development-issuer.pem", "viewer"))
        told = viewer.run("decide", "accept", waiting[DELTA]["id"], "--reason", "x", code=4)
        expect("a viewer is not allowed to", "forbidden" in told, True)
        stranger = Ctl(ready["api"], "no-token")
        stranger.run("services", "list", code=4)
        stranger.environment.pop("PORTCULLIS_TOKEN")
        file = pathlib.Path(data) / "token"
        file.write_text(ready["admin_token"] + "\n")
        stranger.run("services", "list", "--token-file", file)
        passed("a token from a file")
        running.stop()
        nobody = Ctl(ready["api"], ready["admin_token"])
        nobody.run("services", "list", "--retries", "1", code=3)
        passed("nobody there is told from being refused")


run(check)
