"""Our own runner, spoiled anywhere, and a person who mends what is left: everybody gets the mail exactly once.

The person knows from the mail server who got it, decides each unknown recipient by that, and has the rest sent; a
claim that reached nobody is released and started anew. Sending the rest and releasing are spoiled in turn.
"""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from opsconsole.observation import Says
from opsconsole.ports import Fate, MaybeStarted, RunState, Started, Trouble
from tests.faults.hosts import Case, real_case
from tests.faults.support import report, seed, size
from tests.faults.sweep import Point, points, some, traced
from tests.support.smtp_peer import SmtpPeer

pytestmark = [traced, pytest.mark.slow, pytest.mark.timeout(900)]
EVERYBODY = Counter(f"r{number}@example.com" for number in range(4))


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


def mend(one: Case, peer: SmtpPeer) -> list[str]:
    """Everything that a person does until the campaign is sent; what went wrong on the way."""
    for _ in range(3):
        one.until_quiet()
        state = one.state()
        if state is None or state.says is Says.NOTHING:  # never claimed, or released
            one.start(replace(one.plan, attempt=len(one.tree.attempts()) + 1))
        elif state.says is Says.CLAIMED:
            if sum(peer.recipients().values()):
                return [f"claimed and no more, and mailed {peer.recipients()}"]
            again(one, state)
        elif peer.recipients() != EVERYBODY:
            decide_and_send(one, peer, state)
        else:
            return []
    return [f"not sent in the end: {one.state()}, {peer.recipients()}"] if peer.recipients() != EVERYBODY else []


def again(one: Case, state: RunState) -> None:
    """Give up a claim under which nothing was sent, and start the next attempt."""
    one.session.before = ()
    one.mender.release(one.plan.slug, state.attempt, state.run_id, "noor", "its start was spoiled")
    one.start(replace(one.plan, attempt=state.attempt + 1))


def decide_and_send(one: Case, peer: SmtpPeer, state: RunState, point: Point | None = None) -> None:
    """Decide the unknown by what the mail server has, and send the rest, spoiled at `point`."""
    one.session.before = ()
    doubt = one.doubter.doubt(one.plan.slug, state.attempt)
    if doubt.unknown:
        got = peer.recipients()
        fates = {u.row: Fate.SENT if got[f"r{u.row - 1}@example.com"] else Fate.RESEND for u in doubt.unknown}
        doubt = one.doubter.decide(one.plan.slug, state.attempt, state.run_id, fates, "noor")
        assert not doubt.unknown
    one.spoil(point)
    one.mender.send_rest(one.plan.slug, state.attempt, state.run_id, "noor")


def twice(peer: SmtpPeer) -> list[str]:
    got = peer.recipients()
    return [f"twice: {got}"] if got and max(got.values()) > 1 else []


def mended(one: Case, peer: SmtpPeer, point: Point) -> list[str]:
    try:
        wrong = mend(one, peer)
    except Trouble as trouble:
        wrong = [f"can't be mended: {trouble} ({one.state()})"]
    wrong += twice(peer)
    if not wrong and peer.recipients() != EVERYBODY:
        wrong = [f"not everybody: {peer.recipients()}"]
    peer.delivered.clear()
    return [f"{point}: {what}" for what in wrong]


def of_the_runner(one: Case) -> list[Point]:
    """What happens from the start's record on."""
    calls = one.calls
    begun = next(call["n"] for call in calls if call["call"] == "renameat2" and "started" in str(call["paths"]))
    return points([c for c in calls if c["n"] >= begun], ("kill", "kill-all", "EIO", "ENOSPC"), sparing=True)


def test_a_send_spoiled_at_every_file_system_call(tmp_path: Path, peer: SmtpPeer) -> None:
    whole = real_case(tmp_path / "whole", peer, len(EVERYBODY))
    whole.spoil(None)
    assert isinstance(whole.start(), Started)
    assert peer.recipients() == EVERYBODY
    peer.delivered.clear()
    every = of_the_runner(whole)
    chosen, fired = some(every, size(5, 120), seed()), 0
    found: list[str] = []
    left: Counter[str] = Counter()
    for number, point in enumerate(chosen):
        one = real_case(tmp_path / f"case-{number}", peer, len(EVERYBODY))
        one.spoil(point)
        answer = one.start()
        fired += one.fired
        state = one.state()
        left[f"{state.says} rc={state.word.rc}" if state else "nothing"] += 1
        if isinstance(answer, Trouble) and not isinstance(answer, MaybeStarted) and peer.delivered:
            found.append(f"{point}: told that nothing was sent, and mailed {peer.recipients()}: {answer}")
        found += mended(one, peer, point)
        shutil.rmtree(one.tree.root)
    print(f"points={len(every)} left: {dict(left)}")
    report("crash-send", len(chosen), fired, len(found))
    assert not found, "\n".join(found)


def broken(folder: Path, peer: SmtpPeer) -> Case:
    """A run whose runner was killed when the second mail had just been taken."""
    one = real_case(folder, peer, len(EVERYBODY))
    peer.on_delivery = lambda count: kill_the_holder(one.tree.run_folder() / "journal") if count == 2 else None
    one.start()
    one.until_quiet()
    peer.on_delivery = lambda count: None
    return one


def kill_the_holder(of: Path) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(fd.resolve() == of for fd in (process / "fd").iterdir()):
                os.kill(int(process.name), signal.SIGKILL)


def test_sending_the_rest_spoiled_at_every_file_system_call(tmp_path: Path, peer: SmtpPeer) -> None:
    whole = broken(tmp_path / "whole", peer)
    state = whole.state()
    assert state is not None
    assert state.word.rc == 137
    assert sum(peer.recipients().values()) < len(EVERYBODY)
    decide_and_send(whole, peer, state)
    assert peer.recipients() == EVERYBODY
    every = points(whole.calls, ("kill", "kill-session", "kill-all", "EIO", "ENOSPC"), sparing=True)
    chosen, fired = some(every, size(4, 60), seed()), 0
    found: list[str] = []
    left: Counter[str] = Counter()
    for number, point in enumerate(chosen):
        peer.delivered.clear()
        one = broken(tmp_path / f"case-{number}", peer)
        state = one.state()
        assert state is not None
        before = peer.recipients()
        try:
            decide_and_send(one, peer, state, point)
        except MaybeStarted as trouble:
            found.append(f"{point}: a host that can be asked left it open: {trouble}")
        except Trouble as trouble:
            if peer.recipients() != before:
                found.append(f"{point}: told that nothing was sent, and mailed {peer.recipients()}: {trouble}")
        fired += one.fired
        state = one.state()
        left[f"{state.says} rc={state.word.rc}" if state else "nothing"] += 1
        found += mended(one, peer, point)
        shutil.rmtree(one.tree.root)
    print(f"points={len(every)} left: {dict(left)}")
    report("crash-rest", len(chosen), fired, len(found))
    assert not found, "\n".join(found)


def test_releasing_spoiled_at_every_file_system_call(tmp_path: Path, peer: SmtpPeer) -> None:
    unspoiled = real_case(tmp_path / "unspoiled", peer, len(EVERYBODY))
    unspoiled.spoil(None)
    unspoiled.start()
    written = [c["n"] for c in unspoiled.calls if c["call"] == "renameat2" and "supervise.sh" in str(c["paths"])]
    at = Point(written[0] + 1, "", "kill-all")
    whole = claimed(tmp_path / "whole", peer, at)
    whole.spoil(None)
    release(whole)
    every = points(whole.calls, ("kill", "kill-all", "EIO", "ENOSPC"), sparing=True)
    chosen, fired = some(every, size(4, 60), seed()), 0
    found: list[str] = []
    left: Counter[str] = Counter()
    for number, point in enumerate(chosen):
        peer.delivered.clear()
        one = claimed(tmp_path / f"case-{number}", peer, at)
        one.spoil(point)
        answer = release(one)
        fired += one.fired
        there = (one.tree.run_folder() / "released").exists()
        left[f"{type(answer).__name__}, {'released' if there else 'claimed'}"] += 1
        if isinstance(answer, RunState) and not there:
            found.append(f"{point}: told that it was released, and it isn't")
        late = one.start()
        if isinstance(late, Started) and (late.fresh or peer.delivered):
            found.append(f"{point}: a claim that was given up was started: {late}")
        found += mended(one, peer, point)
        shutil.rmtree(one.tree.root)
    print(f"points={len(every)} left: {dict(left)}")
    report("crash-release", len(chosen), fired, len(found))
    assert not found, "\n".join(found)


def claimed(folder: Path, peer: SmtpPeer, at: Point) -> Case:
    """A claim whose launcher and supervisor were ended before anything was sent."""
    one = real_case(folder, peer, len(EVERYBODY))
    one.spoil(at)
    one.start()
    assert (state := one.state()) is not None
    assert state.says is Says.CLAIMED
    return one


def release(one: Case) -> RunState | Trouble:
    try:
        return one.mender.release(one.plan.slug, 1, one.plan.run_id, "noor", "its start was spoiled")
    except Trouble as trouble:
        return trouble
