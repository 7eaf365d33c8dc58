"""The same calls against moto and against the simulator: every difference is explained, and none is new.

`crates/privatelink-sim/docs/moto.json` holds the explained differences, `moto.md` beside it is made from it. With `--write` the script
writes what it found into both, for somebody to explain. Arguments for a run by hand: the simulator's URL, then moto's.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from _moto import ASPECTS, World, page
from _program import Failed, clean_environment, passed, run, simulator, wait_for

DOCS = pathlib.Path(__file__).parents[2] / "crates/privatelink-sim/docs"


class Moto:
    """moto's server on a free port."""

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        program = os.environ.get("MOTO_SERVER")
        if not program:
            raise Failed("MOTO_SERVER is not set: run this with `cargo xtask conformance moto`")
        self.child = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            process_group=0,
        )
        wait_for("moto listening", lambda: listens(port), 30)
        return self.url

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(15)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def outcomes(url):
    """What each aspect comes to."""
    found = {}
    for aspect in ASPECTS:
        world = World(url)
        found[aspect.__name__] = world.outcome(aspect)
    return found


def compare(ours, theirs):
    table = json.loads((DOCS / "moto.json").read_text())
    differences = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    if "--write" in sys.argv:
        write(table, differences)
        return
    wrong = []
    for name, (mine, other) in differences.items():
        row = table.get(name)
        if row is None or not row.get("evidence"):
            wrong.append(f"{name}: not explained: here {mine}, moto {other}")
        elif (row["simulator"], row["moto"]) != (mine, other):
            wrong.append(f"{name}: explained as here {row['simulator']}, moto {row['moto']}; found {mine} and {other}")
    wrong += [f"{name}: explained, and there is no difference" for name in table.keys() - differences.keys()]
    if (DOCS / "moto.md").read_text() != page(table):
        wrong.append("docs/moto.md is not what docs/moto.json says: run this script with --write")
    if wrong:
        raise Failed(f"{len(wrong)} findings\n  " + "\n  ".join(wrong))
    passed(f"{len(ours)} aspects, {len(ours) - len(differences)} the same, {len(differences)} different and explained")


def write(table, differences):
    """The differences found, with the explanations that there are."""
    made = {}
    for name in sorted(differences):
        mine, other = differences[name]
        kept = {key: table.get(name, {}).get(key, "") for key in ("right", "evidence")}
        made[name] = {"simulator": mine, "moto": other, **kept}
    DOCS.mkdir(exist_ok=True)
    (DOCS / "moto.json").write_text(json.dumps(made, indent=2) + "\n")
    (DOCS / "moto.md").write_text(page(made))


def check():
    began = time.monotonic()
    urls = [argument for argument in sys.argv[1:] if argument.startswith("http")]
    if len(urls) == 2:
        compare(*map(outcomes, urls))
        return
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory, Moto() as moto:
        with simulator(f"{directory}/world.json") as running:
            compare(outcomes(running.ready_line()["sim"]), outcomes(moto))
    passed(f"in {time.monotonic() - began:.0f} s")


run(check)
