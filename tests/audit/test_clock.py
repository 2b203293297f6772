"""Given a clock that goes back, when records are written and walked, then it shows, and no intent is taken."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from opsconsole.audit.records import CLOCK_EXPLAINED
from opsconsole.audit.store import AuditStore
from opsconsole.ports import Refused
from tests.audit.support import KEY, START, event


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(place: "str | Path", clock: Clock) -> "Callable[[], AuditStore]":
    return lambda: AuditStore(place, KEY, clock=clock)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("back", "found"), [(1, ()), (2, ()), (2.000001, (2,)), (30, (2,)), (3600, (2,)), (86400, (2,))]
)
def test_a_record_older_than_the_one_before_it_keeps_its_place_and_is_told(
    opened: "Callable[[], AuditStore]", clock: Clock, back: float, found: tuple[int, ...]
) -> None:
    with opened() as store:
        store.note(event())
        clock.at -= timedelta(seconds=back)
        store.note(event())
        clock.at += timedelta(days=2)
        store.note(event())
        result = store.verify()
        assert [record.seq for record in store.search()] == [3, 2, 1]
    assert result.ok
    assert (result.regressions, result.clean) == (found, not found)
    assert ("before record 2" in result.why) is bool(found)


def test_every_step_back_is_counted(opened: "Callable[[], AuditStore]", clock: Clock) -> None:
    with opened() as store:
        for _ in range(3):
            store.note(event())
            clock.at += timedelta(minutes=1)
            store.note(event())
            clock.at -= timedelta(minutes=1)
        assert store.verify().regressions == (3, 5)
        assert "and before 1 more" in store.verify().why


def test_no_intent_while_the_clock_is_behind_what_is_recorded(
    opened: "Callable[[], AuditStore]", clock: Clock
) -> None:
    with opened() as store:
        store.note(event())
        clock.at -= timedelta(seconds=60)
        intent = store.intent(event())
        clock.at -= timedelta(microseconds=1)
        with pytest.raises(Refused, match="a record is of 2026-05-12 17:52:00") as caught:
            store.intent(event())
        assert "clock" in caught.value.next_step
        # Its end, and notes, are taken all the same: what happened has happened. They excuse nothing.
        store.outcome(intent, event())
        store.note(event())
        with pytest.raises(Refused):
            store.intent(event())
        assert store.head().seq == 4


def test_somebody_explains_the_clock_and_intents_go_again(opened: "Callable[[], AuditStore]", clock: Clock) -> None:
    clock.at += timedelta(days=365)  # a battery that was replaced
    with opened() as store:
        store.note(event())
        clock.at = START
        with pytest.raises(Refused):
            store.intent(event())
        with pytest.raises(ValueError, match="what was wrong"):
            store.explain_clock(event(reason="  "))
        said = store.explain_clock(event(reason="the laptop was a year ahead"))
        assert (said.action, said.reason) == (CLOCK_EXPLAINED, "the laptop was a year ahead")
        assert store.intent(event()).seq == 3
        assert store.verify().clean
        clock.at -= timedelta(minutes=2)
        with pytest.raises(Refused):
            store.intent(event())
        store.note(event())
        assert store.verify().regressions == (4,)
