"""A client that a stock generator (openapi-python-client) makes from the checked-in document, driven through the main journeys against the demo.

What the generator warns of fails the script, unless it is in `KNOWN` with a reason; and what is there and is not warned of any more, too.
"""

import os
import pathlib
import re
import subprocess
import sys

from _program import DataDir, Failed, demo, expect, passed, run, wait_for
from _world import Sim

ACME, BOREALIS = "222222222222", "333333333333"
PROVIDER, REGION = "111111111111", "eu-west-1"
DOCUMENT = pathlib.Path("openapi/openapi.json")

# What begins a warning, and why it is right that it is there.
KNOWN = {
    "WARNING parsing GET /metrics": "the metrics are text for a scraper, which has a reader of its own",
    "WARNING parsing POST /hooks/sns": "SNS posts text/plain; nobody else calls it",
}


def generate(directory):
    """Makes the package `portcullis_client` in the directory."""
    config = directory / "generator.yml"
    # No formatter: nobody reads what is thrown away.
    config.write_text("post_hooks: []\n")
    package = directory / "portcullis_client"
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", DOCUMENT, "--meta", "none"]
        + ["--config", config, "--output-path", package],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1", "COLUMNS": "200"},
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise Failed(f"the generator ended with {done.returncode}: {said[-3000:]}")
    warned = re.findall(r"^(?:WARNING|ERROR|Unable|Unsupported|Skipping|Failure)[^\n]*", said, re.MULTILINE)
    # What follows a known warning explains it.
    unknown = [line for line in warned if not any(line.startswith(known) for known in KNOWN) and not line.startswith("Unsupported content type text/plain")]
    if unknown:
        raise Failed(f"the generator warns of {unknown}\n{said}")
    gone = [known for known in KNOWN if known not in said]
    expect("every known warning is there", gone, [])
    made = len(list(package.glob("api/*/*.py")))
    sys.path.insert(0, str(directory))
    passed(f"a client was generated, {made} files of operations, {len(list(package.glob('models/*.py')))} of models")


def load_everything(directory):
    """Imports each module: a name that cannot be one in Python would show."""
    import importlib

    for path in sorted((directory / "portcullis_client").rglob("*.py")):
        name = ".".join(path.relative_to(directory).with_suffix("").parts)
        importlib.import_module(name.removesuffix(".__init__"))
    passed("all of it can be imported")


def operations():
    import json

    return sum(method in ("get", "post", "put", "patch", "delete") for item in json.loads(DOCUMENT.read_text())["paths"].values() for method in item)


def taken(answer, status=200):
    """The model of a success."""
    if answer.status_code != status:
        raise Failed(f"{answer.status_code}: {answer.content!r}")
    return answer.parsed


def refused(answer, status, code):
    """The model of a refusal: the generated Problem, with a code of its enumeration."""
    from portcullis_client.models import Problem, ProblemCode

    expect(f"{code} is a Problem of {status}", (type(answer.parsed), int(answer.status_code), answer.parsed.status), (Problem, status, status))
    expect("with a code that is known", answer.parsed.code, ProblemCode(code))
    return answer.parsed


def check():
    with DataDir() as data, demo(data) as running:
        directory = pathlib.Path(data) / "client"
        directory.mkdir()
        generate(directory)
        load_everything(directory)
        ready = running.ready_line()
        sim = Sim(ready["sim"])

        from portcullis_client import AuthenticatedClient
        from portcullis_client.api.account_regions import register_account_region
        from portcullis_client.api.audit import list_audit_entries
        from portcullis_client.api.connections import (
            accept_connection,
            decide_connections,
            list_connections,
            read_connection,
        )
        from portcullis_client.api.policies import explain_connection, list_judgements
        from portcullis_client.api.reviews import list_reviews
        from portcullis_client.api.services import list_services, read_service, register_service
        from portcullis_client.models import (
            AcceptBody,
            BulkBody,
            BulkItem,
            NewAccountRegionBody,
            NewServiceBody,
            Summary,
            Verb,
        )

        files = [path for path in (directory / "portcullis_client" / "api").glob("*/*.py") if path.name != "__init__.py"]
        expect("an operation is a module, but for SNS's", len(files), operations() - 1)

        client = AuthenticatedClient(base_url=ready["api"], token=ready["admin_token"], raise_on_unexpected_status=True)
        place = taken(register_account_region.sync_detailed(client=client, body=NewAccountRegionBody(account_id=PROVIDER, region=REGION)), 201)
        body = NewServiceBody(
            name="Ledger EU",
            account_region_id=place.id,
            load_balancer_arns=[sim.load_balancer(PROVIDER, "ledger")],
            allowed_principals=["*"],
        )
        made = taken(register_service.sync_detailed(client=client, body=body, idempotency_key="register-ledger"), 201)
        again = register_service.sync_detailed(client=client, body=body, idempotency_key="register-ledger")
        expect("the same key, the same service", (taken(again, 201).id, again.headers["idempotency-replayed"]), (made.id, "true"))
        expect("Location leads to it", again.headers["location"], f"/v1/services/{made.id}")

        def ready_service():
            seen = taken(read_service.sync_detailed(made.id, client=client))
            return seen if seen.ready and seen.observed and seen.observed.state == "Available" else None

        service, _ = wait_for("the service", ready_service, 30)
        endpoints = [sim.interface_endpoint(account, service.service_name) for account in (ACME, BOREALIS)]

        def waiting():
            found = taken(list_connections.sync_detailed(client=client, summary=Summary.WAITING))
            return found.items if len(found.items) == 2 else None

        rows, _ = wait_for("both asking", waiting, 30)
        first = next(row for row in rows if row.endpoint_id == endpoints[0])
        queue = taken(list_reviews.sync_detailed(client=client, owner_account_id=ACME))
        expect("the queue, filtered", [row.connection_id for row in queue.items], [first.id])
        page = taken(list_connections.sync_detailed(client=client, limit=1))
        rest = taken(list_connections.sync_detailed(client=client, limit=1, cursor=page.next_cursor))
        expect("page by page", {page.items[0].id, rest.items[0].id}, {row.id for row in rows})

        accepted = taken(accept_connection.sync_detailed(first.id, client=client, body=AcceptBody(reason="paid")))
        expect("it is accepted", (accepted.id, accepted.review.state.value), (first.id, "accepted"))
        bulk = BulkBody(verb=Verb.REJECT, reason="unknown", items=[BulkItem(id=endpoints[1]), BulkItem(id="vpce-00000000")])
        results = taken(decide_connections.sync_detailed(client=client, body=bulk))
        expect("one of two is rejected", (results.decided, results.refused), (1, 1))

        def settled():
            seen = taken(read_connection.sync_detailed(first.id, client=client))
            return seen if seen.summary is Summary.AVAILABLE else None

        seen, _ = wait_for("it being available", settled, 10)
        told = [entry.reason for entry in seen.history if entry.event == "decided"]
        expect("its history is made of models", told, ["paid"])

        def judged():
            return taken(list_judgements.sync_detailed(first.id, client=client)).items or None

        wait_for("a judgement", judged, 10)
        explained = taken(explain_connection.sync_detailed(first.id, client=client))
        expect("the explanation", explained.decision.verb, Verb.ACCEPT)

        refused(accept_connection.sync_detailed(first.id, client=client, body=AcceptBody(reason="paid")), 409, "connection_already_decided")
        wrong = refused(accept_connection.sync_detailed(first.id, client=client, body=AcceptBody(reason="")), 400, "invalid_request")
        expect("with the field to blame", [error.field for error in wrong.errors], ["reason"])
        refused(read_connection.sync_detailed("con_" + "0" * 32, client=client), 404, "connection_not_found")
        refused(list_services.sync_detailed(client=AuthenticatedClient(base_url=ready["api"], token="none")), 401, "unauthenticated")
        entries = taken(list_audit_entries.sync_detailed(client=client, subject_id=first.id))
        expect("the trail", "connection.accept" in [entry.action for entry in entries.items], True)


run(check)
