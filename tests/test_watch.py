"""Asking every source: the slow and the broken hide nothing, and the last known state comes back."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsconsole import snapshot
from opsconsole.board import assemble, judge_one
from opsconsole.clocks import Jump, Reading, jumps
from opsconsole.observation import Report, Says
from opsconsole.policy import Policy
from opsconsole.verdict import Status
from opsconsole.watch import Watch, Watched
from screens.widgets.header import say_sources
from tests.domain.words import NOW, SLUG, dashboard, ended, host, line, running


class Scripted:
    """A source that answers what it is told to."""

    def __init__(self, name: str, answer: Callable[[], Report]) -> None:
        self.name, self.answer = name, answer

    def observe(self) -> Report:
        return self.answer()

    def close(self) -> None: ...


def report(word=None, source: str = "blast-mail-prod", **more) -> Report:  # type: ignore[no-untyped-def]
    known = {"source": source, "looked_at": NOW, "fresh_for": timedelta(seconds=90), "keeps_traces": True}
    return Report(**(known | {"observations": (word,) if word else ()} | more))


def watch(*sources: Scripted, path: Path | None = None) -> Watch:
    return Watch([Watched(s, timedelta(seconds=15)) for s in sources], lambda: NOW, path)


def test_a_source_that_raises_is_told_and_hides_no_other() -> None:
    def broken() -> Report:
        raise RuntimeError("surprise")

    seen = watch(Scripted("a", broken), Scripted("dashboard", lambda: report(dashboard(), "dashboard")))
    seen.refresh()
    assert "surprise" in seen.reports()["a"].trouble
    board = assemble(seen.reports(), Policy(), NOW)
    assert board.get(SLUG) is not None
    assert board.get(SLUG).status is Status.UNKNOWN  # type: ignore[union-attr]


def test_a_source_that_falls_silent_keeps_its_last_word_marked_as_out_of_reach() -> None:
    answers = [report(host()), report(trouble="did not answer"), report(trouble="did not answer")]
    seen = watch(Scripted("blast-mail-prod", lambda: answers.pop(0)))
    for _ in range(3):
        seen.refresh()
    (observation,) = seen.reports()["blast-mail-prod"].observations
    assert observation.observed_at == host().observed_at
    assert observation.out_of_reach_since == NOW
    assert not observation.is_fresh(NOW)


def test_before_a_source_has_ever_answered_nothing_is_late(tmp_path: Path) -> None:
    seen = watch(
        Scripted("dashboard", lambda: report(dashboard(), "dashboard", keeps_traces=False)),
        Scripted("blast-mail-prod", lambda: report(host())),
    )
    seen.refresh(["dashboard"])
    reports, unheard = seen.heard()
    (first,) = assemble(reports, Policy(), NOW, unheard).verdicts
    assert first.status is Status.UNKNOWN
    assert "blast-mail-prod has not answered yet" in first.why
    assert first == judge_one(reports, SLUG, Policy(), NOW, unheard)
    assert first.obstacles
    seen.refresh()
    reports, unheard = seen.heard()
    (then,) = assemble(reports, Policy(), NOW, unheard).verdicts
    assert then.status is Status.OVERDUE


def test_a_slow_source_delays_no_other() -> None:
    gate, told = threading.Event(), threading.Event()

    def slow() -> Report:
        gate.wait(10)
        return report(host())

    seen = watch(Scripted("blast-mail-prod", slow), Scripted("dashboard", lambda: report(dashboard(), "dashboard")))
    seen.on_change(lambda name: told.set() if name == "dashboard" else None)
    asking = threading.Thread(target=seen.refresh)
    asking.start()
    assert told.wait(5)
    assert seen.asking == {"blast-mail-prod"}
    gate.set()
    asking.join(5)


def test_the_last_known_state_comes_back_whole(tmp_path: Path) -> None:
    words = (
        host(Says.ENDED, run=ended(), triggers=(line(timedelta(hours=1)),), clock_offset=1.5),
        dashboard(),
        host(Says.RUNNING, run=running(), source="other-host"),
    )
    reports = [report(word, word.source) for word in words]
    snapshot.save(tmp_path / "s.json", reports)
    assert snapshot.load(tmp_path / "s.json") == tuple(reports)
    assert (tmp_path / "s.json").stat().st_mode & 0o077 == 0


def test_a_damaged_or_strange_last_known_state_is_none_at_all(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    for data in (b"", b"{", b"[]", b'{"version":99,"reports":[]}', b"\xff\xfe", b"[" * 100_000):
        file.write_bytes(data)
        assert snapshot.load(file) == ()
    assert snapshot.load(tmp_path / "none") == ()


def test_the_board_paints_from_the_last_known_state(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    first = watch(Scripted("blast-mail-prod", lambda: report(host())), path=path)
    first.refresh()
    second = watch(Scripted("blast-mail-prod", lambda: report()), path=path)
    later = datetime.now(UTC) + timedelta(days=30)
    (verdict,) = assemble(second.reports(), Policy(), later).verdicts
    assert verdict.status is Status.UNKNOWN


# Asking again: back-off, sleep, a clock that was set.


def test_a_source_that_fails_is_asked_less_often_up_to_a_limit_and_as_before_once_it_answers() -> None:
    trouble = [report(trouble="did not answer")]
    seen = watch(Scripted("blast-mail-prod", lambda: trouble[0] if trouble else report(host())))
    waits = []
    for _ in range(6):
        seen.refresh()
        waits.append(seen.next_after("blast-mail-prod").total_seconds())
    assert waits == [15, 30, 60, 60, 60, 60]
    trouble.clear()
    seen.refresh()  # as `r` asks, at once
    assert seen.next_after("blast-mail-prod").total_seconds() == 15


def test_a_source_that_is_asked_rarely_is_not_asked_more_often_because_it_fails() -> None:
    rare = Watch([Watched(Scripted("a", lambda: report(trouble="no")), timedelta(minutes=5))], lambda: NOW, None)
    for _ in range(5):
        rare.refresh()
    assert rare.next_after("a") == timedelta(minutes=5)


def test_looks_at_one_source_never_overlap_and_one_that_is_asked_for_comes_after() -> None:
    inside, most, looks = 0, 0, 0
    gate = threading.Event()

    def slow() -> Report:
        nonlocal inside, most, looks
        inside += 1
        most, looks = max(most, inside), looks + 1
        gate.wait(0.05)
        inside -= 1
        return report(host())

    seen = watch(Scripted("a", slow))
    asking = [threading.Thread(target=seen.refresh) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(5)
    assert (most, looks) == (1, 4)


def test_after_a_sleep_every_source_is_asked_at_once_and_what_was_known_counts_only_then() -> None:
    asked: dict[str, threading.Event] = {}

    def source(name: str) -> Scripted:
        def answer() -> Report:
            asked[name].set()
            return report(host(source=name), name)

        asked[name] = threading.Event()
        return Scripted(name, answer)

    seen = Watch([Watched(source(n), timedelta(hours=1)) for n in ("a", "b")], lambda: NOW, None)
    heard: list[tuple[Jump, float]] = []
    seen.on_jump(lambda kind, seconds: heard.append((kind, seconds)))
    told = threading.Event()
    assert not seen.looked_anew
    seen.start()
    try:
        until(lambda: seen.looked_anew)
        for event in asked.values():
            event.clear()
        seen.on_change(lambda name: told.set() if name == "clock" else None)
        seen.jump(Jump.SLEPT, 3600.0)
        assert told.is_set(), "the board is worked out again before anybody has answered"
        assert all(event.wait(5) for event in asked.values()), "an hour before their time"
        until(lambda: seen.looked_anew)
        assert heard == [(Jump.SLEPT, 3600.0)]
    finally:
        seen.stop()


def test_a_look_that_was_under_way_when_it_fell_asleep_is_not_a_look_after() -> None:
    gate, begun = threading.Event(), threading.Event()

    def slow() -> Report:
        begun.set()
        gate.wait(5)
        return report(host())

    seen = watch(Scripted("a", slow))
    asking = threading.Thread(target=seen.refresh)
    asking.start()
    assert begun.wait(5)
    seen.jump(Jump.SLEPT, 3600.0)
    gate.set()
    asking.join(5)
    assert not seen.looked_anew
    seen.refresh()
    assert seen.looked_anew


HOUR = 3600.0


@pytest.mark.parametrize(
    ("wall", "awake", "passed", "found"),
    [
        (0.5, 0.5, 0.5, ()),
        (1.9, 1.9, 1.9, ()),  # a busy machine
        (HOUR, 0.5, HOUR, ((Jump.SLEPT, HOUR),)),
        (HOUR, HOUR, HOUR, ((Jump.SLEPT, HOUR),)),  # the process was stopped
        (HOUR, 0.5, 0.5, ((Jump.STEPPED, HOUR - 0.5),)),
        (-HOUR, 0.5, 0.5, ((Jump.STEPPED, -HOUR - 0.5),)),
        (2 * HOUR, 0.5, HOUR, ((Jump.SLEPT, HOUR), (Jump.STEPPED, HOUR))),  # both: set right after waking up
        (HOUR, 0.5, None, ((Jump.SLEPT, HOUR),)),  # where it can't be told, looking again is right for both
        (-HOUR, 0.5, None, ((Jump.STEPPED, -HOUR - 0.5),)),
    ],
)
def test_sleep_is_told_from_a_clock_that_was_set(
    wall: float, awake: float, passed: float | None, found: tuple[tuple[Jump, float], ...]
) -> None:
    before = Reading(1000.0, 50.0, None if passed is None else 90.0)
    after = Reading(1000.0 + wall, 50.0 + awake, None if passed is None else 90.0 + passed)
    assert jumps(before, after, 0.5) == found


def test_the_header_ages_by_itself_while_nobody_answers() -> None:
    seen = watch(Scripted("blast-mail-prod", lambda: report(host(), latency_ms=24.0)))
    seen.refresh()

    def header(later: timedelta) -> str:
        board = assemble(seen.reports(), Policy(), NOW + later)
        return say_sources(list(board.sources), {}, board.at, 2).plain

    assert header(timedelta(seconds=30)) == "blast-mail-prod ● 24 ms"
    assert header(timedelta(minutes=2)) == "blast-mail-prod ◐ 2 min ago"
    assert header(timedelta(hours=3)) == "blast-mail-prod ◐ 3 h ago"


def until(true: Callable[[], object]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")
