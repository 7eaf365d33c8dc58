"""`kill -9` of `serve` right after an acceptance returned 200, then a restart: the connection becomes available, once.

Three moments: before AWS could be told, after AWS did it and the answer was lost, and whenever it happens to be.
"""

import time

from _program import DataDir, Serve, expect, migrate, passed, run, simulator, token, wait_for
from _world import Rest, Sim, register, request_connection

ACCEPT = "AcceptVpcEndpointConnections"
# The dead process holds its lease for up to 6 s more; then there is the work itself.
AVAILABLE_WITHIN_SECONDS = 30


def check():
    migrate()
    with DataDir() as data, simulator(data / "simulator.json") as world:
        scene = Scene(Sim(world.ready_line()["sim"]), data / "issuer.pem")
        before_aws_is_told(scene)
        after_aws_did_it(scene)
        at_once(scene)


def before_aws_is_told(scene):
    print("kill -9 before AWS is told:", flush=True)
    scene.sim.fault(action=ACCEPT, effect="throttle")
    connection = scene.accept_and_kill("888888888881")
    expect("AWS was not told before the kill", scene.told(connection), 0)
    scene.restart(connection)


def after_aws_did_it(scene):
    print("kill -9 after AWS did it and the answer was lost:", flush=True)
    scene.sim.fault(action=ACCEPT, effect="drop_answer")
    connection = scene.accept_and_kill("888888888882", until=lambda connection: scene.told(connection) > 0)
    scene.restart(connection)


def at_once(scene):
    print("kill -9 at once:", flush=True)
    connection = scene.accept_and_kill("888888888883")
    scene.restart(connection)


class Scene:
    """A simulator that goes on, and a `serve` that comes and goes."""

    def __init__(self, sim, key_file):
        self.sim, self.key_file, self.admin = sim, key_file, token(key_file, "admin")
        with self.serve() as serve:
            self.service = register(self.rest(serve), sim)
            serve.stop()
        passed("serve has made a service and stopped")

    def serve(self):
        return Serve(self.key_file, self.sim.url)

    def rest(self, serve):
        return Rest(serve.api, self.admin)

    def told(self, connection):
        """How many accept calls AWS did for a connection, whether or not the answer arrived."""
        return sum(event["done"] for event in self.sim.events(ACCEPT, connection["endpoint_id"]))

    def accept_and_kill(self, consumer, until=None):
        """A request comes in, is accepted, and `serve` is killed: when `until` holds, else at once."""
        with self.serve() as serve:
            rest = self.rest(serve)
            connection, _ = request_connection(rest, self.sim, consumer, self.service)
            rest.post(f"/v1/connections/{connection['id']}/accept", {"reason": "Order 1004 is paid"})
            if until:
                wait_for("AWS doing it", lambda: until(connection), 10)
            serve.kill_9()
        return connection

    def restart(self, connection):
        """Without faults, and then: one effective call in AWS, one decision, nothing left to do.

        AWS may have been told twice before the kill: when an answer is lost, the SDK asks once more by itself. The
        simulator refuses that inside its answer, because accepting what is accepted is an error.
        """
        told = self.told(connection)
        self.sim.clear_faults()
        with self.serve() as serve:
            rest, began = self.rest(serve), time.monotonic()
            rest.wait_for_summary(connection["id"], "available", AVAILABLE_WITHIN_SECONDS)
            passed(f"available {time.monotonic() - began:.2f} s after the restart")
            # Idle comes with the pass that sees it available, or with the next.
            path = f"/v1/connections/{connection['id']}"
            wait_for("nothing being left to do", lambda: rest.get(path)["sync"]["state"] == "idle", 10)
            history = rest.get(path)["history"]
            serve.stop()
        if told:
            expect("AWS was told before the kill, and not again", self.told(connection), told)
        else:
            expect("AWS was told once, after the restart", self.told(connection), 1)
        decided = [entry["verb"] for entry in history if entry["event"] == "decided"]
        expect("one decision", decided, ["accept"])
        drifts = [entry for entry in history if entry["event"] == "drifted"]
        expect("nothing looks as if it was done behind our back", drifts, [])


run(check)
