"""Killed at random moments and restarted until done: the mail server's own list says who got it, and how often.

A trial sends a whole campaign over twenty connections into a sink that is as quick as the wire and refuses some for
now, kills the runner without warning when a random number of mails has arrived, and goes on with `--mode resume`.
After a power cut the journal has only what was synced, perhaps a torn piece more, and the machine has booted anew.

All of it: 20 trials of 40,000 recipients each (`make faults`, about a quarter of an hour).
"""

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.record.journal import replay
from runner.run import claim
from tests.faults.support import report, seed, size
from tests.runner.conftest import Host
from tests.support.counting_sink import CountingSink

TRIALS, PEOPLE = size(2, 20), size(4_000, 40_000)
CONNECTIONS = 20
KILLS = 3  # of a trial, at most
ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000"
LINE = len("u000000@example.com\n")
RUNNER = [sys.executable, "-m", "runner"]
NOTING = [sys.executable, "-m", "tests.support.noting_runner"]
# The runner with one of its promises taken away.
WITHOUT_BEGIN = [
    sys.executable,
    "-c",
    "import sys; from runner.record.journal import Journal; from runner.cli import main;"
    "Journal.begin = lambda *begun: None; sys.exit(main())",
]
WITHOUT_SYNC = [
    sys.executable,
    "-c",
    "import os, sys; from runner.cli import main; note = sys.argv.pop(1); os.fdatasync = lambda fd:"
    "os.path.exists(note) or open(note, 'w').write(str(os.fstat(fd).st_size)); sys.exit(main())",
]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(size(300, 7200))]


@dataclass
class Trial:
    """What came of it. `unknown`: how many more were in doubt after each kill."""

    got: dict[str, int]
    listed: set[str]
    rc: int
    seconds: float
    unknown: list[int] = field(default_factory=list)

    def wrong(self, everybody: list[str]) -> list[str]:
        twice = [who for who, times in self.got.items() if times > 1]
        left_out = [who for who in everybody if who not in self.got and who not in self.listed]
        return [f"mailed twice: {who}" for who in twice] + [f"left out: {who}" for who in left_out]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[list[Host]]:
    """The hosts of all trials, so that none of their processes outlives the test."""
    hosts: list[Host] = []
    yield hosts
    for process in (process for host in hosts for process in host.started):
        if process.poll() is None:
            process.kill()
            process.communicate()


def in_its_place(
    folder: Path, place: list[Host], program: list[str], everybody: list[str], chance: random.Random
) -> Trial:
    place.append(host := Host(folder))
    host.program = list(program)
    sink = CountingSink(folder / "taken")
    try:
        return one_trial(host, sink, everybody, chance, power=program in (NOTING, WITHOUT_SYNC))
    finally:
        sink.stop()


def everybody_of(people: int) -> list[str]:
    return [f"u{number:06}@example.com" for number in range(people)]


def one_trial(host: Host, sink: CountingSink, everybody: list[str], chance: random.Random, *, power: bool) -> Trial:
    """With the host's own `program` when it has one."""
    host.campaign(everybody)
    host.credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {sink.port}\ntls = none\n")
    host.credentials.chmod(0o600)
    note, journal = host.root / "synced", host.runs / "1" / "journal"
    if power:
        host.program += [str(note)]
    unknown: list[int] = []
    in_doubt, mode, began = 0, "send", time.monotonic()
    while True:
        there = arrived(sink)
        target = chance.randrange(there + 1, len(everybody)) if there + 1 < len(everybody) else len(everybody)
        process = host.start(mode, "--connections", str(CONNECTIONS))
        mode = "resume"
        if len(unknown) < KILLS:
            while process.poll() is None and arrived(sink) < target:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.01))
            alive = process.poll() is None
            process.kill()
            ended = host.ended(process)
            if alive:
                if power:
                    lose_power(host, journal, note, chance)
                former, in_doubt = in_doubt, len(list(replay(journal, claim.boot_id()).doubtful()))
                unknown.append(in_doubt - former)
                continue
        else:
            ended = host.ended(process, seconds=1800)
        break
    looked = replay(journal, claim.boot_id())
    listed = {everybody[row - 1] for row in looked.doubtful()}
    assert ended.rc == (1 if listed else 0), ended.err
    return Trial(sink.recipients(), listed, ended.rc, time.monotonic() - began, unknown)


def arrived(sink: CountingSink) -> int:
    return sink.path.stat().st_size // LINE


def lose_power(host: Host, journal: Path, note: Path, chance: random.Random) -> None:
    """Only what was synced is left, a piece of what came after it, or zeros where that should be."""
    synced, data = int(note.read_text()), journal.read_bytes()
    torn = data[synced : chance.randint(synced, len(data))]
    left = data[:synced] + torn + bytes(chance.choice([0, 0, 4096 - (synced + len(torn)) % 4096]))
    journal.write_bytes(left.replace(claim.boot_id().encode(), ANOTHER_BOOT.encode()))
    owner = host.runs / "1" / "owner"
    owner.write_text(owner.read_text().replace(claim.boot_id(), ANOTHER_BOOT))


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_however_often_it_is_killed_nobody_is_mailed_twice_and_nobody_left_out(
    tmp_path: Path, place: list[Host], power: bool
) -> None:
    everybody, chance = everybody_of(PEOPLE), random.Random(seed())
    trials: list[Trial] = []
    wrong: list[str] = []
    for number in range(TRIALS):
        trial = in_its_place(tmp_path / str(number), place, NOTING if power else RUNNER, everybody, chance)
        trials.append(trial)
        wrong += [f"trial {number}: {what}" for what in trial.wrong(everybody)]
        accepted = sum(who in trial.got for who in trial.listed)
        print(
            f"trial {number}: {len(trial.unknown)} kills, unknown after each {trial.unknown}, "
            f"{len(trial.listed)} listed of which {accepted} had arrived, {trial.seconds:.1f} s"
        )
    kills = [unknown for trial in trials for unknown in trial.unknown]
    print(f"{TRIALS} trials of {PEOPLE}: {len(kills)} kills, unknown per kill {min(kills)} to {max(kills)}")
    report("runner-power-trials" if power else "runner-kill-trials", TRIALS, len(kills), len(wrong))
    assert wrong == []
    if not power:
        assert max(kills) <= 2 * CONNECTIONS


@pytest.mark.parametrize("broken", [WITHOUT_BEGIN, WITHOUT_SYNC], ids=["begin", "sync"])
def test_without_a_begin_or_a_synced_claim_the_trials_find_somebody_mailed_twice(
    tmp_path: Path, place: list[Host], broken: list[str]
) -> None:
    """Else they would show nothing."""
    everybody, chance = everybody_of(2_000), random.Random(seed())
    for number in range(8):
        trial = in_its_place(tmp_path / str(number), place, broken, everybody, chance)
        if wrong := trial.wrong(everybody):
            assert {what.split(":")[0] for what in wrong} == {"mailed twice"}
            return
    pytest.fail("nobody was mailed twice")
