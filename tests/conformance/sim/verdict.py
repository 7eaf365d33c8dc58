"""What the whole run must add up to: every action, every member, every code, and the command line."""

import contextlib
import functools
import io
import json
import os
import pathlib

from _program import Failed, passed

from . import source_codes
from .codes import CODES, NOT_PRODUCED
from .judge import below, members
from .lab import SERVICES

HERE = pathlib.Path(__file__).parent
# Refusals that any request can have say little about an action.
EVERYWHERE = {"ok", "DryRunOperation", "UnknownParameter", "dropped"}


@functools.cache
def not_modelled():
    """`not_modelled.json`: per action the members and filters of the model that the simulator has not, each with its reason."""
    return json.loads((HERE / "not_modelled.json").read_text())


def check(lab):
    wrong = []
    if os.environ.get("CONFORMANCE_DUMP"):
        dump(lab)
    last = lab.control("GET", "/events?limit=100000")[-1]["seq"]
    outcomes = by_action(lab, 0)
    command_line(lab)
    wrong += actions(lab, outcomes, by_action(lab, last))
    seen, absent = responses(lab, wrong)
    sent, unsent = requests(lab, wrong)
    wrong += sorted(lab.judge.findings)
    produced = codes(lab, wrong)
    if wrong:
        raise Failed(f"{len(wrong)} findings\n  " + "\n  ".join(wrong))
    passed(f"{len(lab.actions())} actions, by boto3 and by the command line")
    passed(f"{seen} members of answers seen, {absent} not modelled; {sent} members of requests sent, {unsent} not modelled")
    passed(f"{produced} error codes, {len(NOT_PRODUCED)} that no call leads to")


def by_action(lab, after):
    """The outcomes of each action in the call log."""
    found = {}
    for event in lab.control("GET", f"/events?after={after}&limit=100000"):
        service = SERVICES[event["service"]]
        found.setdefault(f"{service}.{event['action']}", set()).add(event["outcome"])
    return found


def actions(lab, outcomes, typed):
    """Every action once happy and once not, and once from the command line."""
    for name in lab.actions():
        had = outcomes.get(name, set())
        if "ok" not in had:
            yield f"{name}: never succeeded"
        if not had - EVERYWHERE and not had & {"UnknownParameter"}:
            yield f"{name}: never refused"
        if name not in typed:
            yield f"{name}: never called from the command line"


def command_line(lab):
    """The last successful request of every action again, through `aws … --cli-input-json`, in this process for its start-up time."""
    from awscli.clidriver import create_clidriver
    from botocore import xform_name

    kept = dict(os.environ)
    os.environ.update(AWS_PAGER="", AWS_DEFAULT_OUTPUT="json", AWS_MAX_ATTEMPTS="1")
    loader = None
    try:
        for name in lab.actions():
            service, action = name.split(".")
            if name not in lab.judge.last:
                continue
            params, (account, region) = lab.judge.last[name], lab.owners[name]
            # One driver is good for one command: some leave their arguments behind. Models are read once for all.
            driver = create_clidriver()
            loader = loader or driver.session.get_component("data_loader")
            driver.session.register_component("data_loader", loader)
            driver.session.set_credentials(account, "simulated")
            said = io.StringIO()
            words = [service, xform_name(action, "-"), "--region", region, "--endpoint-url", lab.url, "--cli-input-json", json.dumps(params)]
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = driver.main(words)
            # Much of this cannot be done twice, so a refusal by the service is as good.
            if status != 0 and "An error occurred (" not in said.getvalue():
                raise Failed(f"aws {' '.join(words)} ended with {status}: {said.getvalue()}")
    finally:
        os.environ.clear()
        os.environ.update(kept)


def held(kind, lab, wrong, happened, shape_of):
    """Every path of the model happened, or is listed; what is listed did not happen."""
    listed = not_modelled()[kind]
    there = missing = 0
    for name in set(listed) - set(lab.actions()):
        wrong.append(f"not_modelled.json: {kind}: {name} is not an action of the simulator")
    for name in lab.actions():
        service, action = name.split(".")
        shape = shape_of(lab.models[service].operation_model(action))
        if shape is None:
            continue
        entries = listed.get(name, {})
        if kind == "requests":
            entries = entries | not_modelled()["ignored"].get(name, {})
        paths = list(members(shape))
        had = happened.get(name, set())
        for path in paths:
            entry = next((entry for entry in entries if below(entry, path)), None)
            there += path in had
            missing += entry is not None
            if path in had and entry is not None:
                wrong.append(f"{name}: {path} is listed as not modelled in {kind}, and was there")
            if path not in had and entry is None:
                wrong.append(f"{name}: {path} of the model's {kind} was never there")
        for entry in entries:
            if entry not in paths:
                wrong.append(f"not_modelled.json: {kind}: {name} has no {entry}")
    return there, missing


def responses(lab, wrong):
    return held("responses", lab, wrong, lab.judge.seen, lambda model: model.output_shape)


def requests(lab, wrong):
    return held("requests", lab, wrong, lab.judge.sent, lambda model: model.input_shape)


def codes(lab, wrong):
    """Every code with its status, and none that nobody knows, be it only in the simulator's sources."""
    wrong += source_codes.unknown(CODES.keys() | NOT_PRODUCED.keys())
    for (service, code), statuses in lab.judge.codes.items():
        wanted = CODES.get(code)
        if wanted is None:
            wrong.append(f"{service}: the code {code} ({statuses}) is not in sim/codes.py")
        elif not statuses <= wanted:
            wrong.append(f"{service}: {code} with {statuses - wanted}, not {wanted}")
    produced = {code for _, code in lab.judge.codes}
    for code in CODES.keys() - produced:
        wrong.append(f"the code {code} was never produced")
    for code in NOT_PRODUCED.keys() & produced:
        wrong.append(f"the code {code} is listed as never produced, and was")
    return len(produced)


def dump(lab):
    """What was missing, to begin a list with."""
    missing = {"responses": {}, "requests": {}}
    for name in lab.actions():
        service, action = name.split(".")
        model = lab.models[service].operation_model(action)
        for kind, shape, had in (
            ("responses", model.output_shape, lab.judge.seen.get(name, set())),
            ("requests", model.input_shape, lab.judge.sent.get(name, set())),
        ):
            top = []
            for path in members(shape) if shape is not None else ():
                if path not in had and not any(below(entry, path) for entry in top):
                    top.append(path)
            if top:
                missing[kind][name] = top
    codes = sorted((service, code, sorted(map(str, statuses))) for (service, code), statuses in lab.judge.codes.items())
    pathlib.Path(os.environ["CONFORMANCE_DUMP"]).write_text(json.dumps(missing | {"codes": codes}, indent=1))
