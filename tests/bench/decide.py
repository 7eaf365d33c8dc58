"""How fast one core decides: gates and 100 policies, and a dry run over 100,000 connections in memory. The example measures and knows its goals."""

import os
import subprocess

from _program import Failed, clean_environment, passed, run


def check():
    done = subprocess.run([os.environ["DECIDE_BIN"]], capture_output=True, text=True, timeout=300, env=clean_environment(), check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    passed("10,000 decisions/s, none over 5 ms, and the dry run within 10 s")


run(check, limit=300)
