"""Every simulated action, happy and unhappy, with boto3 and the `aws` CLI, judged by botocore's model.

The areas are in `sim/`; what they sent and saw is held against the model and the simulator's own call log at the end. With a URL as its
argument it runs against a simulator that is there already.
"""

import sys
import tempfile
import time

from _program import Failed, passed, run, simulator
from sim import connections, elb, elb_settings, endpoints, errors, every_action, faults, filters, gateway, kinds, networks
from sim import notifications, paging, permissions, places, private_dns, services, signatures, sns, sns_http, sns_messages
from sim import sqs, sqs_messages, sqs_query, sts, tags, verdict
from sim.lab import Lab

AREAS = [
    services, connections, permissions, notifications, private_dns, endpoints, kinds, gateway, networks, places, tags, elb, elb_settings, sns, sns_messages,
    sns_http, sqs, sqs_messages, sqs_query, sts, signatures,
    paging, filters, errors, faults, every_action, verdict,
]  # fmt: skip


def drive(url):
    lab = Lab(url)
    lab.control("POST", "/clock", {"stop": True})
    failures = []
    for area in AREAS:
        began, before = time.monotonic(), lab.checks
        title = area.__doc__.splitlines()[0].rstrip(".")
        try:
            area.check(lab)
        except Exception as failure:  # noqa: BLE001: the others tell more than one failure alone.
            failures.append(title)
            print(f"FAILED  {title}: {type(failure).__name__}: {failure}", file=sys.stderr, flush=True)
            continue
        passed(f"{title}: {lab.checks - before} checks in {time.monotonic() - began:.1f} s")
    if failures:
        raise Failed("; ".join(failures))


def check():
    if len(sys.argv) > 1:
        drive(sys.argv[1])
        return
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory:
        with simulator(f"{directory}/world.json") as running:
            ready = running.ready_line()
            drive(ready["sim"])


run(check)
