"""Watching without a screen: everybody is told once, over restarts and several watchers, and silence is noticed."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.alive import missed
from opsconsole.attention import Event
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tidings import Ear
from opsconsole.clocks import Jump
from opsconsole.console import Console
from opsconsole.errors import AuditUnavailable
from opsconsole.lookout import Lookout
from opsconsole.observation import Observation
from opsconsole.ports import OutOfReach
from opsconsole.watching import Signs, Watcher
from tests.domain.words import DUE, SLUG
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost

HOOK = "notify:ops"


class Receiver:
    """Somebody who is told; out of reach while `away`."""

    name = HOOK

    def __init__(self) -> None:
        self.got: list[Mapping[str, Any]] = []
        self.renewed: list[list[Mapping[str, Any]]] = []
        self.away = False

    def record(self, payload: Mapping[str, Any]) -> None:
        if self.away:
            raise OutOfReach("nobody answers")
        self.got.append(payload)

    def renew(self, payloads: list[Mapping[str, Any]]) -> None:
        self.renewed.append(list(payloads))

    @property
    def heard(self) -> list[tuple[str, str]]:
        return [(p["alarm"]["event"], p["fields"]["status"]) for p in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def desk(tmp_path: Path, receiver: Receiver) -> Desk:
    clock = Clock()
    rules = StoreRules(told={"prod": (Ear("ops"), Ear("quiet", frozenset({"send"})))})
    store = AuditStore(tmp_path / "audit.db", bytes(range(32)), clock=clock, rules=rules)
    return Desk(store, FakeHost(clock), FakeDashboard(clock), clock, told={HOOK: receiver})


def watcher(console: Console, path: Path | None = None) -> Watcher:
    return Watcher(console, Lookout("prod", path))


def now(desk: Desk, word: Observation) -> None:
    desk.host.word = word


def test_what_is_overdue_is_paged_once_and_survives_a_restart(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    console = desk.sit()
    first = watcher(console, tmp_path / "told.json")
    (change,) = first.turn()
    assert (change.event, change.alarm.campaign) == (Event.TRIGGER, SLUG)
    console.tidy()
    assert receiver.heard == [("trigger", "OVERDUE")]
    told = receiver.got[0]
    assert told["alarm"]["since"] == (DUE.instant + timedelta(minutes=10)).isoformat()
    assert told["audit"]["seq"] == desk.store.head().seq
    assert first.turn() == ()
    again = watcher(desk.sit(), tmp_path / "told.json")
    assert again.turn() == ()
    assert (tmp_path / "told.json").stat().st_mode & 0o077 == 0


def test_two_watchers_at_once_and_one_that_forgot_everything_page_once(desk: Desk, receiver: Receiver) -> None:
    ours, theirs = desk.sit("mara"), desk.sit("ana")
    gate = threading.Barrier(2)

    def look(console: Console) -> None:
        one = watcher(console)
        gate.wait(5)
        one.turn()

    threads = [threading.Thread(target=look, args=(console,)) for console in (ours, theirs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    watcher(ours).turn()
    ours.tidy()
    theirs.tidy()
    assert receiver.heard == [("trigger", "OVERDUE")]


@pytest.mark.slow
def test_the_end_is_told_after_the_beginning_though_the_receiver_was_away(desk: Desk, receiver: Receiver) -> None:
    receiver.away = True
    console = desk.sit()
    one = watcher(console)
    one.turn()
    console.tidy()
    assert "nobody answers" in one.untold()[HOOK]
    console.decide("hold", SLUG, "wait")
    assert [c.event for c in one.turn()] == [Event.RESOLVE]
    receiver.away = False
    console.tidy()
    assert receiver.got == [], "the end waits for its beginning"
    desk.clock.pass_(timedelta(minutes=20))
    console.refresh()
    console.refresh()
    assert receiver.heard == [("trigger", "OVERDUE"), ("resolve", "OVERDUE")]


@pytest.mark.slow
def test_trouble_that_comes_again_is_told_again(desk: Desk, receiver: Receiver) -> None:
    console = desk.sit()
    one = watcher(console)
    one.turn()
    console.decide("hold", SLUG, "wait")
    one.turn()
    console.decide("release", SLUG, "go on")
    one.turn()
    for _ in range(3):
        desk.clock.pass_(timedelta(seconds=1))
        console.tidy()
    assert receiver.heard == [("trigger", "OVERDUE"), ("resolve", "OVERDUE"), ("trigger", "OVERDUE")]


@pytest.mark.slow
def test_a_read_only_console_looks_and_notifies_nobody(desk: Desk, receiver: Receiver) -> None:
    console = desk.sit(read_only=True)
    one = watcher(console)
    assert len(one.turn()) == 1
    console.tidy()
    one.renew()
    assert (receiver.got, receiver.renewed) == ([], [])
    assert Outbox(desk.store).waiting() == []


def test_what_could_not_be_recorded_stays_owed_and_the_dead_man_falls_silent(
    desk: Desk, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = desk.sit()
    one = watcher(console, tmp_path / "told.json")

    def full(*_: object) -> bool:
        raise AuditUnavailable("The store can't be written.", "", "")

    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "put_turn", full)
        one.turn()
    assert "can't be written" in one.why_silent(timedelta(minutes=5))
    after = watcher(desk.sit(), tmp_path / "told.json")  # it was started anew meanwhile
    assert after.turn() == ()
    console.tidy()
    assert receiver.heard == [("trigger", "OVERDUE")]
    assert after.why_silent(timedelta(minutes=5)) == ""


def test_a_memory_that_cannot_be_kept_is_told(desk: Desk, tmp_path: Path) -> None:
    kept, lost = (Lookout("prod", tmp_path / name) for name in ("told.json", "nowhere/told.json"))
    console = desk.sit()
    for lookout in (kept, lost):
        Watcher(console, lookout).turn()
    assert kept.forgets == ""
    assert "told.json can't be written: No such file" in lost.forgets


@pytest.mark.slow
def test_what_stands_is_renewed_for_those_who_forget(desk: Desk, receiver: Receiver) -> None:
    one = watcher(desk.sit())
    one.turn()
    one.renew()
    ((standing,),) = receiver.renewed
    assert standing["alarm"]["event"] == "trigger"


@pytest.mark.slow
def test_a_host_out_of_reach_is_one_page_for_all_its_campaigns(desk: Desk, receiver: Receiver) -> None:
    word = desk.host.word
    console = desk.sit()
    report = desk.host.observe()
    others = tuple(replace(word, slug=f"spring-{n}", observed_at=report.looked_at) for n in range(30))
    many = replace(report, observations=(*report.observations, *others))
    monkey = {"report": many}
    desk.host.observe = lambda: monkey["report"]  # type: ignore[method-assign]
    console.refresh()
    one = watcher(console)
    one.turn()
    console.tidy()
    before = len(receiver.got)
    for _ in range(8):
        desk.clock.pass_(timedelta(seconds=60))
        at = desk.clock()
        monkey["report"] = replace(many, looked_at=at, observations=(), trouble="gone", out_of_reach_since=at)
        console.refresh()
        one.turn()
    console.tidy()
    (told,) = receiver.got[before:]
    assert told["fields"] == {**told["fields"], "status": "UNKNOWN", "campaign": "30 campaigns"}
    assert "and 18 more" in told["text"]


# Signs of life.


def signs(one: Watcher, clock: Callable[..., Any], said: list[str], **more: Any) -> Signs:
    return Signs(one, mark=more.pop("mark", None), clock=clock, say=said.append, **more)


def test_the_dead_man_is_answered_only_while_some_source_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[int] = []
    said: list[str] = []
    console = desk.sit()
    one = watcher(console)
    one.turn()
    alive = signs(one, desk.clock, said, beat=lambda: beats.append(1), every=timedelta(seconds=60))
    start = time.monotonic()
    for second in range(0, 181, 30):
        alive.turn(start + second)
    assert len(beats) == 4
    for minutes in (6, 7, 8):
        later = start + minutes * 60
        monkeypatch.setattr(time, "monotonic", lambda later=later: later)
        one.turn()  # it goes on looking at what it has; nobody answers
        alive.turn(later)
    assert len(beats) == 4
    assert said == ["The dead-man signal is not given: no source has answered for 5 min"]
    console.watch.refresh()
    alive.turn(start + 9 * 60)
    assert len(beats) == 5
    assert said[1:] == ["The dead-man signal is given again."]


def test_a_watcher_that_stands_still_gives_no_sign(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watcher(desk.sit())
    one.turn()
    later = time.monotonic() + 600
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert one.why_silent(timedelta(minutes=5)) == "the watcher itself stands still"


@pytest.mark.slow
def test_a_signal_that_fails_is_told_once_and_when_it_works_again(desk: Desk) -> None:
    said: list[str] = []
    troubles = [OutOfReach("The dead-man signal said 503."), OutOfReach("The dead-man signal said 503.")]

    def beat() -> None:
        if troubles:
            raise troubles.pop()

    one = watcher(desk.sit())
    one.turn()
    alive = signs(one, desk.clock, said, beat=beat, every=timedelta(seconds=1))
    start = time.monotonic()
    for second in range(4):
        alive.turn(start + second)
    assert [s for s in said if "503" in s or "again" in s] == [
        "The dead-man signal failed: The dead-man signal said 503.",
        "The dead-man signal works again.",
    ]


def test_m6_a_watcher_that_died_is_missed_within_a_minute_and_one_that_was_ended_is_not(
    desk: Desk, tmp_path: Path
) -> None:
    mark = tmp_path / "watching.json"
    assert missed(mark, desk.clock()) == "", "nobody ever watched from here"
    one = watcher(desk.sit())
    alive = signs(one, desk.clock, [], mark=mark)
    alive.turn(time.monotonic())
    desk.clock.pass_(timedelta(seconds=20))
    assert missed(mark, desk.clock()) == ""
    desk.clock.pass_(timedelta(seconds=40))
    assert missed(mark, desk.clock()).startswith("`opsconsole watch` has given no sign of life for 1 min")
    alive.end()
    assert missed(mark, desk.clock()) == ""
    mark.write_text("{")
    assert missed(mark, desk.clock()) == ""


def test_a_clock_that_was_set_is_on_record_and_pages_nobody_by_itself(desk: Desk, receiver: Receiver) -> None:
    desk.clock.now = DUE.instant - timedelta(hours=2)
    console = desk.sit()
    one = watcher(console)
    assert one.turn() == ()
    desk.clock.pass_(timedelta(hours=3))
    console._after_jump(Jump.STEPPED, 10800.04)
    (record,) = desk.store.search(action="clock-step")
    assert record.detail == {"seconds": 10800.0}
    console.watch.jump(Jump.STEPPED, 10800.04)
    assert one.turn() == (), "nothing was looked at since"
    console.refresh()
    assert [c.alarm.status for c in one.turn()] == ["OVERDUE"], "now every source was"
