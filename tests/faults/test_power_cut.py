"""The power fails after any file operation, and of the unsynced anything may be left: what was acknowledged is."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.chain import Anchor
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking
from tests.faults.disk import Left, power_cuts, put_down
from tests.faults.support import report, seed, size
from tests.faults.sweep import ROOT, seen, traced


def recorded(folder: Path, count: int, **pragmas: object) -> list[dict[str, Any]]:
    place, log = folder / "recorded", folder / "log"
    place.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.faults.record_appends", str(place), str(log), str(count)]
    done = subprocess.run([*command, json.dumps(pragmas)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return seen(log)


def acknowledged(call: dict[str, Any]) -> Anchor | None:
    if call["call"] == "write" and call["paths"][0].endswith("/said"):
        return Anchor(*json.loads(base64.b64decode(call["data"])))
    return None


def lost(left: Left, old: Path, new: Path) -> str:
    """What is wrong with what the power cut left; "" when nothing is."""
    put_down(left.files, old, new)
    said: tuple[Anchor, ...] = left.said
    try:
        with AuditStore(new / "audit.db", KEY, clock=ticking()) as store:
            found = store.verify(said[-1] if said else None)
            if not found.ok:
                return found.why
            if store.intent(event()).seq != found.checked + 1:
                return "the next record doesn't take the next place"
            news = _news(store)
            if news != found.checked:
                return f"{found.checked} records and news of {news}"
    except AuditUnavailable as error:
        return str(error)
    return ""


def _news(store: AuditStore) -> int:
    with store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one())


def losses(folder: Path, count: int, **pragmas: object) -> tuple[int, int, list[str]]:
    """How many states were rebuilt and how many of them differ; and what was wrong with which."""
    # The room kept back for a full disk holds nothing that could be lost.
    calls = [c for c in recorded(folder, count, **pragmas) if not c["paths"][0].endswith(".reserve")]
    states, differing = power_cuts(calls, acknowledged, seed())
    wrong = []
    for number, left in enumerate(differing):
        why = lost(left, folder / "recorded", folder / "left" / str(number))
        if why:
            wrong.append(f"after call {left.after}, left by pattern {left.pattern}: {why}")
    return states, len(differing), wrong


@traced
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_a_power_cut_everything_acknowledged_is_there(tmp_path: Path) -> None:
    states, differing, wrong = losses(tmp_path, size(3, 24))
    print(f"states={states} differing={differing}")
    report("power-cut-audit", states, differing, len(wrong))
    assert not wrong


@traced
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_model_bites_a_store_that_syncs_less(tmp_path: Path) -> None:
    """SQLite's usual FULL doesn't sync the removal of its journal, which then comes back and undoes a record."""
    states, differing, wrong = losses(tmp_path, size(2, 12), synchronous=2)
    print(f"states={states} differing={differing} lost={len(wrong)}")
    report("power-cut-audit-less-synced", states, differing, 0)
    assert any("missing" in why for why in wrong)
