"""Given writers that are killed, crowded, or out of room, what was acknowledged is there and the chain holds."""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, event, ticking

ROOT = Path(__file__).parents[2]


def child(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.audit.child", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> list[str]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.splitlines()


@pytest.mark.slow
def test_four_processes_make_one_chain(path: Path) -> None:
    writers = [child("write", path, 50, f"writer-{n}") for n in range(4)]
    acknowledged = [int(line) for writer in writers for line in finish(writer)]
    assert sorted(acknowledged) == list(range(1, 201))
    with AuditStore(path, KEY, clock=ticking()) as store:
        assert store.verify().checked == 200
        assert {record.operator for record in store.search(limit=200)} == {f"writer-{n}" for n in range(4)}


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(path: Path) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    acknowledged: list[int] = []
    journal = path.with_name(path.name + "-journal")
    torn = 0  # kills that left a transaction half done: without one this would prove nothing
    until = time.monotonic() + (8 if os.environ.get("OPSCONSOLE_REQUIRE_ALL") == "1" else 2)
    while time.monotonic() < until or torn < 2:
        writer = child("write", path, 100_000, "mara")
        assert writer.stdout is not None
        first = writer.stdout.readline()  # it is writing now
        time.sleep(chance.uniform(0, 0.15))
        writer.kill()
        rest, errors = writer.communicate(timeout=30)
        assert writer.returncode == -9, errors
        acknowledged += [int(line) for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
        torn += journal.exists() and journal.stat().st_size > 0
        with AuditStore(path, KEY, clock=ticking()) as store:
            found = store.verify()
            kept = {record.seq for record in store.search(limit=100_000)}
        assert found.ok, f"seed {seed}: {found.why}"
        assert kept == set(range(1, found.checked + 1))
        assert set(acknowledged) <= kept, f"seed {seed}"
    assert len(acknowledged) == len(set(acknowledged))


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 1, 4096, 6000, 40_000])
def test_a_full_disk_refuses_the_record_and_keeps_the_rest(path: Path, room: int) -> None:
    with AuditStore(path, KEY, clock=ticking()) as store:
        for _ in range(5):
            store.note(event())
        anchor = store.head()
    refused, next_step, again = finish(child("full", path, room))
    word, acknowledged, readable, verified = refused.split(",")
    assert word == "unavailable"
    assert acknowledged == readable == verified
    assert "df -h" in next_step
    assert again == f"room again,{int(acknowledged) + 1}"
    with AuditStore(path, KEY, clock=ticking()) as store:
        assert store.verify(anchor).checked == int(acknowledged) + 1


@pytest.mark.slow
def test_a_file_that_can_only_be_read_is_still_looked_at() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        with AuditStore(path, KEY, clock=ticking()) as store:
            store.intent(event())
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        path.chmod(0o400)
        Path(folder).chmod(0o755 if os.geteuid() == 0 else 0o700)
        assert finish(child("read-only", path)) == ["readable,1,True,1", "unavailable,True,True"]
