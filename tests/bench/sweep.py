"""A complete sweep of 100,000 connections at rest, beside a loop that only lists them; and the memory that sweeps take.

Both go through the SDK to the same simulator, in turns. The sweep's own time is what the AccountRegion shows of its last listing.
"""

import statistics

from _bench import (
    Part,
    adopt,
    bare_listing,
    figures,
    listing,
    populate,
    register_place,
    simulator,
    wait_until_listed,
    written,
)
from _program import DataDir, expect, migrate, passed, run, token, wait_for
from _world import Rest, Sim

SMALL, LARGE, TURNS = 10_000, 100_000, 5
# Leases, heartbeats and the note of the listing itself: none of them grows with the connections.
HOUSEKEEPING = {"account_regions", "replicas"}
# Services are not what is measured.
SETTINGS = {"PORTCULLIS__WORKER__SERVICE_INTERVAL": "1h"}


def check():
    migrate()
    with DataDir() as data, simulator() as world:
        sim, key = Sim(world.ready_line()["sim"]), data / "issuer.pem"
        with Part("api", key, sim.url) as api:
            rest = Rest(api.api, token(key, "admin"))
            scene = Scene(rest, sim, key, register_place(rest))
            scene.grow(SMALL)
            small = scene.peak_memory_at_rest()
            scene.grow(LARGE)
            large = scene.peak_memory_at_rest()
            sweeps, bare, wrote = scene.in_turns()
    ratio = statistics.median(sweeps) / statistics.median(bare)
    figures(
        [
            ("sweep, ms (median)", f"{statistics.median(sweeps):.0f}", "", True),
            ("bare listing, ms (median)", f"{statistics.median(bare):.0f}", "", True),
            ("sweep / bare listing", f"{ratio:.2f}", "<= 1.30", ratio <= 1.3),
            ("rows written by sweeps at rest", str(wrote or 0), "0", not wrote),
            (f"peak memory of a worker at {SMALL}, MiB", f"{small:.1f}", "", True),
            (f"peak memory of a worker at {LARGE}, MiB", f"{large:.1f}", f"<= {small + 10:.1f}", large <= small + 10),
        ]
    )


class Scene:
    """An AccountRegion whose fleet grows."""

    def __init__(self, rest, sim, key, place):
        self.rest, self.sim, self.key, self.place, self.size = rest, sim, key, place, 0

    def worker(self):
        return Part("worker", self.key, self.sim.url, **SETTINGS)

    def grow(self, to):
        """More services of 1,000 connections each, adopted and seen for the first time."""
        more = to - self.size
        adopt(self.rest, populate(self.sim, more // 1_000, more, 100))
        self.size = to
        with self.worker() as worker:
            first = wait_until_listed(self.rest, self.place, to, 300)
            passed(f"the sweep that first saw {more} of {to} took {first['took_ms'] / 1000:.1f} s")
            worker.stop()

    def next_sweep(self, after):
        """Waits for a listing that began later."""
        look = lambda: (last := listing(self.rest, self.place)) and last["at"] > after and last  # noqa: E731
        return wait_for("another sweep", look, 120)[0]

    def peak_memory_at_rest(self):
        """Of a worker that did nothing but three sweeps of a fleet at rest."""
        with self.worker() as worker:
            at = listing(self.rest, self.place)["at"]
            for _ in range(3):
                at = self.next_sweep(at)["at"]
            peak = worker.peak_memory()
            worker.stop()
        return peak

    def in_turns(self):
        """Milliseconds of sweeps and of bare listings, in turns, and what the sweeps wrote."""
        sweeps, bare = [], []
        with self.worker() as worker:
            at = self.next_sweep(listing(self.rest, self.place)["at"])["at"]
            before = written()
            for _ in range(TURNS):
                alone = bare_listing(self.sim)
                expect("the bare loop lists as many", alone["connections"], self.size)
                bare.append(alone["milliseconds"])
                sweep = self.next_sweep(at)
                at = sweep["at"]
                sweeps.append(sweep["took_ms"])
            after = written()
            worker.stop()
        wrote = {table: count - before.get(table, 0) for table, count in after.items() if count != before.get(table, 0)}
        return sweeps, bare, {table: count for table, count in wrote.items() if table not in HOUSEKEEPING}


run(check, limit=900)
