"""The AWS command line against the simulator: a consumer asks, the provider accepts by hand.

Portcullis sees both, and says that the acceptance was not its own.
"""

import json
import pathlib
import subprocess
import sys

from _program import DataDir, Failed, clean_environment, demo, expect, passed, run, wait_for
from _world import PROVIDER, REGION, Rest, Sim, register

CONSUMER = "777777777777"


class Cli:
    """`aws` as one account: its access key is the account."""

    def __init__(self, endpoint_url, account):
        self.environment = clean_environment(
            AWS_ACCESS_KEY_ID=account,
            AWS_SECRET_ACCESS_KEY="simulated",
            AWS_DEFAULT_REGION=REGION,
            AWS_ENDPOINT_URL=endpoint_url,
            AWS_PAGER="",
            AWS_DEFAULT_OUTPUT="json",
            AWS_MAX_ATTEMPTS="1",
        )

    def __call__(self, *arguments):
        aws = pathlib.Path(sys.executable).parent / "aws"
        done = subprocess.run(
            [sys.executable, aws, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise Failed(f"aws {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None


def check():
    with DataDir() as data, demo(data) as running:
        ready = running.ready_line()
        rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
        provider, consumer = Cli(sim.url, PROVIDER), Cli(sim.url, CONSUMER)
        expect("the access key is the account", consumer("sts", "get-caller-identity")["Account"], CONSUMER)

        service = register(rest, sim)
        service_id = service["aws_service_id"]
        subnet = sim.subnet_for(CONSUMER, service["service_name"])
        made = consumer(
            "ec2", "create-vpc-endpoint", "--vpc-endpoint-type", "Interface",
            "--service-name", service["service_name"],
            "--vpc-id", subnet["VpcId"], "--subnet-ids", subnet["SubnetId"],
        )["VpcEndpoint"]  # fmt: skip
        endpoint = made["VpcEndpointId"]
        expect(
            "create-vpc-endpoint", (made["State"], made["ServiceName"]), ("pendingAcceptance", service["service_name"])
        )

        def shown():
            rows = provider(
                "ec2", "describe-vpc-endpoint-connections", "--filters", f"Name=service-id,Values={service_id}"
            )["VpcEndpointConnections"]
            return [(row["VpcEndpointId"], row["VpcEndpointOwner"], row["VpcEndpointState"]) for row in rows]

        expect("describe-vpc-endpoint-connections", shown(), [(endpoint, CONSUMER, "pendingAcceptance")])
        connection, _ = wait_for("REST listing it", lambda: rest.connection(endpoint), 5)
        passed("REST lists it")

        answer = provider(
            "ec2", "accept-vpc-endpoint-connections", "--service-id", service_id, "--vpc-endpoint-ids", endpoint
        )
        expect("accept-vpc-endpoint-connections", answer.get("Unsuccessful", []), [])
        wait_for("the connection becoming available", lambda: shown() == [(endpoint, CONSUMER, "available")], 15)
        passed("the connection is available")
        again = provider(
            "ec2", "accept-vpc-endpoint-connections", "--service-id", service_id, "--vpc-endpoint-ids", endpoint
        )["Unsuccessful"]
        expect("a second acceptance fails inside the answer", [item["ResourceId"] for item in again], [endpoint])

        rest.wait_for_summary(connection["id"], "available", 10)
        history = rest.get(f"/v1/connections/{connection['id']}")["history"]
        expect("Portcullis decided nothing", [entry for entry in history if entry["event"] == "decided"], [])
        drifts = [entry["kind"] for entry in history if entry["event"] == "drifted"]
        expect("and says that it was done behind its back", len(drifts), 1)


run(check)
