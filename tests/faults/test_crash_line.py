"""The line to the host breaks after any byte of a start, on the way there or back: one start or none, no doubt."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from opsconsole.ports import MaybeStarted, Started
from tests.faults.hosts import case, wrong_after
from tests.faults.support import report, seed, size
from tests.faults.sweep import Point, some

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_start_cut_after_any_byte(tmp_path: Path) -> None:
    whole = case(tmp_path / "whole")
    whole.start()
    there, back = whole.session.size_sent, whole.session.size_heard
    # The last bytes of the script are where it becomes whole; the rest is one long text that does nothing yet.
    offsets = [Point(n, "there", "cut") for n in [*range(0, there, 97), *range(there - 80, there)]]
    offsets += [Point(n, "back", "cut") for n in range(0, back, 7)]
    chosen = some(offsets, size(12, 200), seed())
    found: list[str] = []
    left: Counter[str] = Counter()
    for number, point in enumerate(chosen):
        one = case(tmp_path / f"case-{number}")
        if point.call == "there":
            one.session.sent = point.n
        else:
            one.session.heard = point.n
        answer = one.start()
        if isinstance(answer, MaybeStarted):
            found.append(f"{point}: a host that can be asked left it open: {answer}")
        left[f"{point.call}: {'started' if isinstance(answer, Started) else 'refused'}"] += 1
        one.until_quiet()
        found += [f"{point}: {what}" for what in wrong_after(one, answer, lambda one=one: one.mailed)]
        one.until_quiet()
        shutil.rmtree(one.tree.root)
    print(f"bytes there={there} back={back}: {dict(left)}")
    report("crash-line", len(chosen), len(chosen), len(found))
    assert not found, "\n".join(found)
