"""The guard of a row's rendering mustn't outlive the Python that handles its tick."""

import subprocess
import sys


def test_given_a_process_that_ends_soon_after_a_row_then_no_tick_ends_it_as_a_crash() -> None:
    guard = "from runner.message.guard import GUARD; GUARD.enter(0.02); GUARD.inside = False"
    script = f"import asyncio, jinja2; {guard}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
