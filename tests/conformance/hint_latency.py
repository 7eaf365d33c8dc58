"""How long a consumer's request takes to us when AWS tells of it: through SNS and SQS, the real SDK and a real database.

The complete listing is an hour away, so nothing else can find a request. Measured from before the consumer's CreateVpcEndpoint is sent until
the REST API lists the connection. Prints p50 and p99, and fails above the limits.
"""

import statistics
import time

from _program import DataDir, FREE_PORT, Failed, Process, Serve, expect, migrate, passed, run, token, wait_for
from _world import PROVIDER, Rest, Sim, register, request

CONSUMER = "777777777777"
REQUESTS = 200
# A pace that AWS's own limit on reads (20 a second) lets go on for ever.
PER_SECOND = 10
P50_MS, P99_MS = 150, 1000
BURST = 100
DESCRIBE = "DescribeVpcEndpointConnections"
# AWS's own delays are not ours to measure.
INSTANT = {
    "accept_delay_ms": 0,
    "endpoint_deleting_ms": 0,
    "load_balancer_provisioning_ms": 0,
    "target_initial_ms": 0,
}


def check():
    migrate()
    # Without a state file, which is written whole with every change.
    with DataDir() as data, Process("sim", "--listen", FREE_PORT) as world:
        sim = Sim(world.ready_line()["sim"])
        sim.control("PUT", "/behavior", INSTANT)
        key_file = data / "issuer.pem"
        with Serve(key_file, sim.url, PORTCULLIS__WORKER__LISTING_INTERVAL="1h") as serve:
            rest = Rest(serve.api, token(key_file, "admin"))
            service = register(rest, sim)
            listen(rest, sim)
            one_after_the_other(rest, sim, service)
            all_at_once(rest, sim, service)
            metrics(serve)
            serve.stop()


def listen(rest, sim):
    def look():
        hints = rest.get("/v1/account-regions")["items"][0]["hints"]
        if hints["state"] == "failed":
            raise Failed(f"the set-up failed: {hints}")
        told = sim.client("ec2", PROVIDER).describe_vpc_endpoint_connection_notifications()
        return hints["state"] == "listening" and told["ConnectionNotificationSet"]

    _, took = wait_for("AWS being set up to tell", look, 20)
    passed(f"AWS tells of connections by itself, {took:.2f} s after the service was ready")
    # The listing that follows a new notification; afterwards there is none.
    time.sleep(1)


def listings(sim):
    """Complete listings so far: reads that name nothing."""
    return sum(not event["ids"] for event in sim.events(DESCRIBE))


def one_after_the_other(rest, sim, service):
    consumer = Consumer(sim, service)
    consumer.ask()
    time.sleep(1)
    before, took = listings(sim), []
    next_at = time.monotonic()
    for _ in range(REQUESTS):
        time.sleep(max(0.0, next_at - time.monotonic()))
        next_at += 1 / PER_SECOND
        began = time.perf_counter()
        endpoint = consumer.ask()
        while rest.connection(endpoint) is None:
            if time.perf_counter() - began > 10:
                raise Failed(f"{endpoint} is not listed after 10 s")
            time.sleep(0.002)
        took.append((time.perf_counter() - began) * 1000)
    expect("no listing helped", listings(sim), before)
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(f"    p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {max(took):.1f} ms, of {REQUESTS} requests", flush=True)
    expect(f"p50 is below {P50_MS} ms", p50 < P50_MS, True)
    expect(f"p99 is below {P99_MS} ms", p99 < P99_MS, True)


def all_at_once(rest, sim, service):
    consumer = Consumer(sim, service)
    before, reads = listings(sim), len(sim.events(DESCRIBE))
    began = time.perf_counter()
    endpoints = [consumer.ask() for _ in range(BURST)]
    asked = time.perf_counter() - began
    wait_for("all of a burst being listed", lambda: all(rest.connection(endpoint) for endpoint in endpoints), 20)
    took, reads = time.perf_counter() - began, len(sim.events(DESCRIBE)) - reads
    print(f"    {BURST} requests in {asked:.2f} s are all listed after {took:.2f} s and {reads} reads", flush=True)
    expect("no listing helped with the burst", listings(sim), before)
    expect("a burst takes fewer reads than it has requests", reads < BURST, True)


def metrics(serve):
    _, _, text = request("GET", serve.api + "/metrics")
    shown = [line for line in text.splitlines() if line.startswith("portcullis_hint") and "_bucket" not in line]
    print("    " + "\n    ".join(shown), flush=True)
    expect("the latencies are measured", any(line.startswith("portcullis_hint_seconds_count") for line in shown), True)


class Consumer:
    """Asks for connections in one call each; all the rest is prepared."""

    def __init__(self, sim, service):
        self.ec2 = sim.client("ec2", CONSUMER)
        subnet = sim.subnet_for(CONSUMER, service["service_name"])
        self.asked = {
            "VpcEndpointType": "Interface",
            "ServiceName": service["service_name"],
            "VpcId": subnet["VpcId"],
            "SubnetIds": [subnet["SubnetId"]],
        }

    def ask(self):
        return self.ec2.create_vpc_endpoint(**self.asked)["VpcEndpoint"]["VpcEndpointId"]


run(check)
