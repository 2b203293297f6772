"""Asking every source: the slow and the broken hide nothing, and the last known state comes back."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsconsole import snapshot
from opsconsole.board import assemble, judge_one, matching
from opsconsole.observation import Report, Says
from opsconsole.policy import Policy
from opsconsole.verdict import Status
from opsconsole.watch import Watch, Watched
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


def test_filtering_by_words() -> None:
    seen = watch(Scripted("blast-mail-prod", lambda: report(host())))
    seen.refresh()
    verdicts = assemble(seen.reports(), Policy(), NOW).verdicts
    assert matching(verdicts, "paul unapproved")
    assert matching(verdicts, "PAUL")
    assert not matching(verdicts, "paul !simon")
    assert matching(verdicts, "")
