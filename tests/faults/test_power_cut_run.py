"""The power fails on the blast host at any moment of a send: what is found there later never lies about a mail.

A whole run with our own runner is recorded, to the last write and the first byte of each mail. Then the disk is
rebuilt as a power cut after each operation could have left it, and asked what a console and a resumed runner would
make of it on a machine that has booted anew.
"""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.observation import Says
from opsconsole.ports import Refused, Started, Trouble
from runner.errors import Refused as RunnerRefused
from runner.record import past
from runner.record.journal import SENDABLE
from runner.run import claim
from tests.faults.disk import Left, power_cuts, put_down
from tests.faults.hosts import Case, real_case
from tests.faults.support import report, seed, size
from tests.faults.sweep import traced
from tests.support.smtp_peer import SmtpPeer

pytestmark = [traced, pytest.mark.slow, pytest.mark.timeout(900)]
EVERYBODY = [f"r{number}@example.com" for number in range(6)]
ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000"
TO = re.compile(rb"^To: .*?([\w.+-]+@example\.com)", re.MULTILINE)


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


def said(call: dict[str, Any]) -> str | None:
    """A recipient whose mail began to leave, or `STARTED` told to the console."""
    if "data" not in call:
        return None
    data = base64.b64decode(call["data"])
    if call["paths"][0].startswith("socket:") and (found := TO.search(data)):
        return found[1].decode()
    return "STARTED" if call["paths"][0].startswith("pipe:") and data == b"STARTED\n" else None


def recorded(folder: Path, peer: SmtpPeer) -> Case:
    one = real_case(folder, peer, len(EVERYBODY))
    one.spoil(None, "--record", "--sockets", "--pipes")
    assert isinstance(one.start(), Started)
    assert peer.recipients() == Counter(EVERYBODY)
    words = [word for call in one.calls if (word := said(call))]
    assert sorted(words) == sorted([*EVERYBODY, "STARTED"]), "the recording lacks a word"
    return one


def left_of(one: Case, unsynced: str = " ") -> tuple[int, list[Left]]:
    """Of the records of runs only: nothing else counts afterwards. `unsynced`: a file or folder nobody syncs."""
    runs = str(one.tree.runs)
    of_runs = [
        call
        for call in one.calls
        if said(call)
        or (any(path.startswith(runs) for path in call["paths"]) and not call["paths"][0].endswith(unsynced))
        or ("sync" not in call["call"] and call["paths"][0].endswith(unsynced))
    ]
    return power_cuts(of_runs, said, seed())


def lies(left: Left, one: Case, new: Path) -> list[str]:
    """Where what is left says "unsent" of what was sent."""
    put_down(left.files, one.tree.root, new)
    attempt = new / "lib" / "runs" / one.plan.slug / "1"
    mailed = {word for word in left.said if word != "STARTED"}
    begun = (attempt / "started").exists() or (attempt / "finished").exists()
    wrong = []
    if not begun and mailed:
        wrong.append(f"it looks unsent, and {len(mailed)} were mailed")
    if not begun and "STARTED" in left.said:
        wrong.append("the console was told of a start that is gone")
    if begun:
        run = claim.RunDir(attempt, one.plan.run_id, 1, supervised=True)
        try:
            old = past.former(run, repair=False)
        except RunnerRefused:
            old, again = None, set()  # nothing is sent before a person has decided
        else:
            rows = range(1, len(EVERYBODY) + 1)
            again = {EVERYBODY[row - 1] for row in rows if old is None or old.states[row] in SENDABLE}
        if again & mailed:
            wrong.append(f"a resumed runner would mail again: {sorted(again & mailed)}")
    return [f"after call {left.after}, left by pattern {left.pattern}: {what}" for what in wrong]


def test_a_machine_that_lost_power_takes_nobody_for_unsent_who_was_mailed(
    tmp_path: Path, peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recorded(tmp_path / "recorded", peer)
    monkeypatch.setattr(claim, "boot_id", lambda: ANOTHER_BOOT)
    states, differing = left_of(one)
    wrong = [
        what for number, left in enumerate(differing) for what in lies(left, one, tmp_path / "left" / str(number))
    ]
    print(f"states={states} differing={len(differing)}")
    report("power-cut-run", states, len(differing), len(wrong))
    assert not wrong, "\n".join(wrong)

    for unsynced in ("/journal", "/1"):
        _, differing = left_of(one, unsynced)
        place = tmp_path / unsynced.strip("/.")
        assert any(lies(left, one, place / str(number)) for number, left in enumerate(differing)), (
            f"the model doesn't bite: {unsynced} needn't be synced"
        )


def test_after_a_power_cut_the_rest_reaches_nobody_twice(tmp_path: Path, peer: SmtpPeer) -> None:
    """The same with the real thing: the host's scripts and the runner on what is left."""
    one = recorded(tmp_path / "recorded", peer)
    states, differing = left_of(one)
    in_between = [left for left in differing if left.said and left.said[-1] != EVERYBODY[-1]]
    step = max(1, len(in_between) // size(5, 40))
    chosen = in_between[step // 2 :: step]
    found: list[str] = []
    ends: Counter[str] = Counter()
    for number, left in enumerate(chosen):
        peer.delivered.clear()
        found += rest(left, one, real_case(tmp_path / f"case-{number}", peer, len(EVERYBODY)), peer, ends)
    print(f"states={states} {dict(ends)}")
    report("power-cut-rest", len(chosen), len(chosen), len(found))
    assert not found, "\n".join(found)


def rest(left: Left, old: Case, new: Case, peer: SmtpPeer, ends: Counter[str]) -> list[str]:
    boot = claim.boot_id().encode()
    files = {path: data.replace(boot, ANOTHER_BOOT.encode()) for path, data in left.files.items()}
    put_down(files, old.tree.root, new.tree.root)
    mailed = {word for word in left.said if word != "STARTED"}
    state = new.state()
    ends[str(state.says) if state else "nothing"] += 1
    where = f"after call {left.after}, left by pattern {left.pattern}"
    if state is None or state.says is Says.CLAIMED:
        return [f"{where}: {state} of a run that mailed {len(mailed)}"] if mailed else []
    wrong = []
    try:
        new.mender.release(old.plan.slug, 1, old.plan.run_id, "noor", "the power failed")
        wrong += [f"{where}: released, and {len(mailed)} were mailed"] if mailed else []
        return wrong
    except Refused:
        pass
    try:
        new.mender.send_rest(old.plan.slug, 1, old.plan.run_id, "noor")
    except Trouble:
        ends["the rest is refused"] += 1
    new.until_quiet()
    again = mailed & set(peer.recipients())
    return [f"{where}: mailed again: {sorted(again)}"] if again else []
