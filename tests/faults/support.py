"""What all fault suites share: how much to run, from which seed, and the line that says what really happened."""

import os
import random
from pathlib import Path

FULL = os.environ.get("OPSCONSOLE_FAULTS") == "full"


def size(bounded: int, full: int) -> int:
    """How many cases to run: `full` with OPSCONSOLE_FAULTS=full in the environment, `bounded` otherwise."""
    return full if FULL else bounded


def seed() -> int:
    """For a suite that chooses at random: OPSCONSOLE_FAULTS_SEED or a new one; printed, so it can be had again."""
    told = os.environ.get("OPSCONSOLE_FAULTS_SEED")
    chosen = int(told) if told else random.SystemRandom().randrange(2**32)
    print(f"seed: OPSCONSOLE_FAULTS_SEED={chosen}")
    return chosen


def report(suite: str, cases: int, fired: int, found: int) -> None:
    """Say what a suite did, and fail when not one of its faults came about: such a suite has shown nothing.

    `found` counts the failures that the faults brought to light; asserting that there are none is up to the suite.
    """
    line = f"faults: suite={suite} cases={cases} fired={fired} found={found}"
    print(line)
    log = os.environ.get("OPSCONSOLE_FAULTS_LOG")
    if log:
        with Path(log).open("a") as out:
            out.write(line + "\n")
    assert cases > 0, f"{suite} ran no case"
    assert fired > 0, f"{suite} ran {cases} cases and not one fault fired"
