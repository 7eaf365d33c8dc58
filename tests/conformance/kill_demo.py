"""`kill -9` of the whole demo right after an acceptance returned 200, then a start on the same data.

The connection becomes available, once.
"""

from _program import DataDir, demo, expect, passed, processes_in, run, wait_for
from _world import Rest, Sim, register, request_connection

ACCEPT = "AcceptVpcEndpointConnections"


def check():
    with DataDir() as data:
        with demo(data) as running:
            ready = running.ready_line()
            rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
            service = register(rest, sim)
            connection, _ = request_connection(rest, sim, "999999999999", service)
            # It dies with the process, which keeps its world but not its faults.
            sim.fault(action=ACCEPT, effect="throttle")
            path = f"/v1/connections/{connection['id']}"
            answer = rest.post(f"{path}/accept", {"reason": "Order 1002 is paid"})
            running.kill_9()
            expect("the acceptance returned before the kill", answer["review"]["state"], "accepted")
        _, took = wait_for("the database ending with its owner", lambda: not processes_in(data), 15)
        passed(f"nothing of it runs {took:.2f} s after the kill")
        with demo(data) as running:
            ready = running.ready_line()
            passed(f"ready after {running.ready_after:.2f} s (after the kill)")
            rest, sim = Rest(ready["api"], ready["admin_token"]), Sim(ready["sim"])
            took = rest.wait_for_summary(connection["id"], "available", 15)
            passed(f"available {took:.2f} s after that")
            done = [event["outcome"] for event in sim.events(ACCEPT, connection["endpoint_id"]) if event["done"]]
            expect("AWS accepted once", done, ["ok"])
            found = rest.get(path)
            decided = [entry["verb"] for entry in found["history"] if entry["event"] == "decided"]
            expect("one decision", decided, ["accept"])
            expect(
                "the consumer sees available",
                sim.endpoint_state("999999999999", connection["endpoint_id"]),
                "available",
            )
            running.kill_9()
        # Killed and started at once: the new start deals with a database that is still on its way out.
        with demo(data) as running:
            ready = running.ready_line()
            passed(f"ready after {running.ready_after:.2f} s (at once after a kill)")
            rest = Rest(ready["api"], ready["admin_token"])
            expect("and nothing is lost", rest.get(path)["summary"], "available")
            running.stop()


run(check)
