"""Starts the program's commands as child processes, and makes sure that none outlives the script.

A name that begins with an underscore is not a check; `cargo xtask conformance` passes it over.
"""

import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

if sys.version_info < (3, 11):
    sys.exit("the conformance scripts need Python 3.11 or newer")

# No script takes longer, whatever goes wrong, unless it says so.
LIMIT_SECONDS = 240
FREE_PORT = "127.0.0.1:0"


class Failed(AssertionError):
    """A check that did not hold."""


def program():
    try:
        return os.environ["PORTCULLIS_BIN"]
    except KeyError:
        raise Failed("PORTCULLIS_BIN is not set: run this with `cargo xtask conformance`") from None


def clean_environment(**more):
    """Our environment without anything that could lead to a real AWS account or another configuration."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PORTCULLIS_", "DATABASE_URL"))
    }
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


class Process:
    """A command of the program, in a process group of its own."""

    def __init__(self, *arguments, environment=None):
        self.name = arguments[0]
        self.stderr = tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".log")
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [program(), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            env=environment or clean_environment(),
            process_group=0,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.decode())
        self.lines.put(None)

    def ready_line(self, seconds=60):
        """The JSON line that says it is ready; `ready_after` is how long that took."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"{self.name} said nothing in {seconds} s\n{self.said()}") from None
        if line is None:
            raise Failed(f"{self.name} ended before it was ready\n{self.said()}")
        self.ready_after = time.monotonic() - self.began
        return json.loads(line)

    def said(self, size=4000):
        """The end of what it wrote on standard error."""
        return pathlib.Path(self.stderr.name).read_text(errors="replace")[-size:]

    def kill_9(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(10)

    def stop(self):
        """Asks it to end, as Ctrl-C does."""
        self.child.send_signal(signal.SIGINT)
        code = self.child.wait(15)
        if code != 0:
            raise Failed(f"{self.name} ended with {code} after SIGINT\n{self.said()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(10)
        if kind is not None:
            print(f"--- {self.name} said:\n{self.said()}", file=sys.stderr)
        self.stderr.close()


class DataDir:
    """A directory that is gone afterwards, and in which nothing may be running by then."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="conformance-")).resolve()
        # As root, the database runs as another account, which has to pass through.
        self.path.chmod(0o711)
        return self.path

    def __exit__(self, kind, *_):
        deadline = time.monotonic() + 15
        while (left := processes_in(self.path)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left and kind is None:
            raise Failed(f"still running: {left}")
        shutil.rmtree(self.path, ignore_errors=True)


def processes_in(path):
    """What runs in a directory or names it on its command line. Nothing where there is no /proc."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        try:
            here = os.readlink(entry / "cwd")
        except OSError:
            here = ""
        if str(path) in line or here.startswith(str(path)):
            found.append(f"{entry.name} {line}")
    return found


def demo(data_dir, scenario="none", *more):
    return Process(
        "demo", "--listen", FREE_PORT, "--sim-listen", FREE_PORT, "--data-dir", data_dir, "--scenario", scenario, *more
    )


def simulator(state_file):
    return Process("sim", "--listen", FREE_PORT, "--state-file", state_file)


class Serve(Process):
    """`serve` on a free port, with the database that the runner made for this script."""

    def __init__(self, key_file, sim_url, **more):
        usual = {
            "DATABASE_URL": database_url(),
            "PORTCULLIS__HTTP__LISTEN": FREE_PORT,
            "PORTCULLIS__AUTH__DEVELOPMENT_ISSUER": "true",
            "PORTCULLIS__AUTH__DEVELOPMENT_KEY_FILE": str(key_file),
            "PORTCULLIS__AWS__ENDPOINT_URL": sim_url,
            "PORTCULLIS__WORKER__LISTING_INTERVAL": "1s",
        }
        environment = clean_environment(**{**usual, **more})
        super().__init__("serve", environment=environment)
        found, _ = wait_for("serve saying where it listens", self._address, 20)
        self.api = found.group(1)

    def _address(self):
        if self.child.poll() is not None:
            raise Failed(f"serve ended\n{self.said()}")
        return re.search(r"serving the API on (http://\S+)", self.said(100_000))


def command(*arguments, environment=None):
    """Runs a command of the program to its end; its standard output."""
    done = subprocess.run(
        [program(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment or clean_environment(),
    )
    if done.returncode != 0:
        raise Failed(f"{arguments[0]} ended with {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def database_url():
    try:
        return os.environ["DATABASE_URL"]
    except KeyError:
        raise Failed("DATABASE_URL is not set: run this with `cargo xtask conformance`") from None


def migrate():
    command("migrate", environment=clean_environment(DATABASE_URL=database_url()))


def token(key_file, role):
    return command("token", "--role", role, "--subject", f"conformance-{role}", "--key-file", key_file)


def wait_for(what, look, seconds):
    """Asks until the answer is neither None nor False; returns it with the seconds that it took."""
    began = time.monotonic()
    while True:
        found = look()
        took = time.monotonic() - began
        if found is not None and found is not False:
            return found, took
        if took > seconds:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def expect(what, found, wanted):
    """One check: prints a line, or fails."""
    if found != wanted:
        raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")
    passed(what)


def passed(what):
    print(f"ok  {what}", flush=True)


def run(check, limit=LIMIT_SECONDS):
    """Runs a script's checks. Every way out ends the processes that were started."""

    def give_up(number, _frame):
        raise Failed("it took too long" if number == signal.SIGALRM else "it was told to stop")

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(limit)
    try:
        check()
    except Failed as failure:
        print(f"FAILED  {failure}", file=sys.stderr, flush=True)
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
