"""Whatever ends or fails on the host while a run starts: one start, one named state, and nobody mailed twice."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from opsconsole.observation import Says
from opsconsole.ports import Started, Trouble
from tests.faults.hosts import RECIPIENTS, case, wrong_after
from tests.faults.support import report, seed, size
from tests.faults.sweep import points, some, traced

pytestmark = [traced, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("fault", ["kill", "kill-session", "kill-all", "EIO", "ENOSPC"])
def test_a_start_spoiled_at_every_file_system_call(tmp_path: Path, fault: str) -> None:
    whole = case(tmp_path / "whole")
    whole.spoil(None)
    answer = whole.start()
    assert isinstance(answer, Started)
    assert set(whole.mailed.values()) == {1}
    assert len(whole.mailed) == RECIPIENTS
    every = points(whole.calls, [fault], sparing=True)
    left: Counter[str] = Counter()
    found: list[str] = []
    fires = 0
    chosen = some(every, size(6, 120), seed())
    for number, point in enumerate(chosen):
        one = case(tmp_path / f"case-{number}")
        one.spoil(point)
        answer = one.start()
        fires += one.fired
        state = one.state()
        left[str(state.says) if state else "nothing"] += 1
        found += [f"{point}: {what}" for what in wrong_after(one, answer, lambda one=one: one.mailed)]
        one.until_quiet()
        if any(times > 1 for times in one.mailed.values()):
            found.append(f"{point}: twice: {one.mailed}")
        shutil.rmtree(one.tree.root)
    print(f"calls={len(whole.calls)} left: {dict(left)}")
    report(f"crash-start-{fault}", len(chosen), fires, len(found))
    assert not found, "\n".join(found)
    assert fires > 0.8 * len(chosen)  # the last may not come: how often the launcher looks depends on the time


def test_a_start_that_cannot_be_kept_on_the_disk_does_not_happen(tmp_path: Path) -> None:
    """Else a power cut could leave a claim that looks unsent, and was mailed."""
    one = case(tmp_path / "one")
    one.spoil(None, "--on", "fsync:.started.tmp", "--fault", "EIO")
    answer = one.start()
    report("crash-start-unkept", 1, int(one.fired), int(bool(one.mailed)))
    assert isinstance(answer, Trouble)
    assert not one.mailed
    assert (state := one.state()) is not None
    assert state.says is Says.CLAIMED
