"""What the documents say to type is typed, word by word, against the demo after its tour: every curl is answered as its comment says, and well where it says nothing."""

import re

from _program import DataDir, Failed, demo, expect, passed, run, token, wait_for
from _shell import Shell, blocks, commands
from _world import Rest

# A comment after a command begins with a status, or with where the thing stands then.
STATUS = re.compile(r"#\s*(\d{3})\b")
STANDS = re.compile(r"#\s*(?:\d{3}: )?(active|review|grace|limited|public)\b")


def follow(shell, block, before=lambda command: None):
    """Types a block; its last answer."""
    last = None
    for command in commands(block):
        before(command)
        _, answers = shell.type(command)
        comment, short = command.splitlines()[-1], command.splitlines()[0].partition(" #")[0].rstrip(" \\")
        for last in answers:
            wanted = STATUS.search(comment)
            held = last.status == int(wanted.group(1)) if wanted else last.status in range(200, 300)
            if not held:
                raise Failed(f"{command}\nis answered with {last.status}: {last.body}")
            passed(f"{short}: {last.status}")
            stands = STANDS.search(comment)
            if stands and "state" in last.body:
                expect(f"    stands at {stands.group(1)}", last.body["state"], stands.group(1))
            if '"new": false' in comment:
                expect("    is not new", last.body["new"], False)
    return last


def the_readme(data, ready, rest):
    services = {row["name"]: row for row in rest.get("/v1/services")["items"]}
    given = {
        "API": ready["api"],
        "TOKEN": ready["admin_token"],
        "AWS_ENDPOINT_URL": ready["sim"],
        "SERVICE": services["Ledger EU"]["service_name"],
    }
    with Shell(data / "readme", given) as shell:
        found = [block for block in blocks("README.md") if "curl " in block or "aws " in block]
        expect("the README has a block of curl and one of aws", len(found), 2)
        let_in = follow(shell, found[0])
        seen = lambda: rest.get(f"/v1/connections/{let_in.body['id']}")["summary"]  # noqa: E731
        wait_for("whom the README lets in being available", lambda: seen() == "available", 10)
        waiting = lambda: [row["owner_account_id"] for row in rest.get("/v1/connections?summary=waiting")["items"]]  # noqa: E731
        expect("nobody else waits", waiting(), [])
        follow(shell, found[1])
        wait_for("the README's consumer waiting", lambda: waiting() == ["888888888888"], 5)
        passed("the README's consumer waits")
    return services["Ledger EU"]["id"]


def listings_and_agreements(data, ready, rest, service):
    """Both documents are one story: what the first makes is what the second sells."""
    reviewer = token(data / "development-issuer.pem", "approver")
    with Shell(data / "listings", {"API": ready["api"], "TOKEN": ready["admin_token"]}) as shell:
        shell.type(f"TOKEN={ready['admin_token']} REVIEWER={reviewer} SERVICE={service}")

        def before(command):
            """A reader takes longer to type than AWS to follow."""
            if "/submit" in command:
                wait_for("AWS having followed", lambda: rest.get(f"/v1/services/{service}")["observed"]["allowed_principals"] != ["*"], 10)
            if "/publish" in command:
                listing = rest.get("/v1/listings")["items"][0]["id"]
                wait_for("the listing being ready", lambda: rest.get(f"/v1/listings/{listing}/readiness")["ready"], 20)

        [block] = blocks("docs/listings.md")
        follow(shell, block, before)
        listing = rest.get("/v1/listings")["items"][0]["id"]
        plan = rest.get(f"/v1/listings/{listing}")["live"]["content"]["plans"][0]["id"]
        shell.type(f"LISTING={listing} PLAN={plan}")
        [block] = blocks("docs/agreements.md")
        follow(shell, block)


def check():
    with DataDir() as data, demo(data, "tour") as running:
        ready = running.ready_line()
        wait_for("the end of the tour", lambda: "The tour is over" in running.said(10_000), 60)
        rest = Rest(ready["api"], ready["admin_token"])
        service = the_readme(data, ready, rest)
        listings_and_agreements(data, ready, rest, service)


run(check)
