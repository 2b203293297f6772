"""Given a disk that fills up during a run, when the run ends, then its end is recorded in the room kept back."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit import reserve
from opsconsole.audit.reserve import SIZE, Reserve
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking
from tests.audit.test_faults import child, finish


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 16 MiB; without the right to mount one, there is nothing to fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount")
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "t", str(place)]).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_full_disk_no_intent_is_taken_but_the_end_of_a_run_is(small_disk: Path) -> None:
    said = finish(child("small-disk", small_disk / "audit.db"))
    assert said == [
        "kept,True",
        "unavailable,True,True",  # an intent never gets the room
        "unavailable,True,True",  # nor does a note about no run
        "outcome,2,False",
        "note,3",
        "still no intent",
        "room again,4,True,4",
    ]


def test_the_room_is_really_taken_and_private(path: Path) -> None:
    with AuditStore(path, KEY, clock=ticking()) as store:
        kept = path.with_suffix(".reserve")
        status = kept.stat()
        assert (status.st_size, status.st_mode & 0o777) == (SIZE, 0o600)
        assert status.st_blocks * 512 >= SIZE
        ok, says = store.reserve_state()
    assert ok
    assert str(kept) in says


def full(connection: Any, row: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_what_the_disk_refuses_with_and_without_the_room(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(connection: Any, row: Any) -> None:
        tries.append(row)
        full(connection, row)

    intent = store.intent(event())
    monkeypatch.setattr(store._database, "insert", refuse)
    monkeypatch.setattr(reserve, "PLENTY", 1 << 60)
    for write, attempts in (
        (lambda: store.intent(event()), 1),
        (lambda: store.note(event(run="")), 1),
        (lambda: store.outcome(intent, event()), 2),  # once more, with the room given up
        (lambda: store.outcome(intent, event()), 1),  # there is none left to give up
    ):
        tries.clear()
        with pytest.raises(AuditUnavailable, match="is full"):
            write()
        assert len(tries) == attempts
    assert store.reserve_state()[0] is False
    monkeypatch.undo()
    assert store.outcome(intent, event()).seq == 2
    assert store.reserve_state()[0] is True


def test_an_error_after_the_commit_is_looked_into_and_nothing_written_twice(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.engine.default import DefaultDialect

    commit = DefaultDialect.do_commit
    failed = []

    def late(self: DefaultDialect, connection: Any) -> None:
        commit(self, connection)
        if not failed:
            failed.append(1)
            raise sqlite3.OperationalError("disk I/O error")

    intent = store.intent(event())
    monkeypatch.setattr(DefaultDialect, "do_commit", late)
    assert store.outcome(intent, event()).seq == 2
    assert failed.pop()
    with pytest.raises(AuditUnavailable, match="disk I/O"):
        store.intent(event())
    assert failed
    assert [record.seq for record in store.unresolved()] == [3]  # never acknowledged, so never acted on
    assert store.verify().checked == 3


def test_a_disk_without_room_for_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "PLENTY", 1 << 60)
    kept = Reserve(tmp_path / "audit.reserve")
    kept.keep()
    assert kept.state()[0] is False
    assert "too full" in kept.state()[1]
    assert not kept.give_up()
    monkeypatch.setattr(reserve, "PLENTY", 0)
    kept.restore()
    assert kept.state()[0] is True
    os.truncate(kept.path, 10)
    assert kept.state()[0] is False
    kept.keep()
    assert kept.state()[0] is True
