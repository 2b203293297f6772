"""Who is told how a campaign ended: those that have it, and those of whom nobody can say that they haven't."""

from pathlib import Path
from typing import Any

from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY
from tests.domain.words import SLUG
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost


class Listening(FakeDashboard):
    """A dashboard that wants to know."""

    def record(self, payload: Any) -> None:
        raise AssertionError("nothing is to be told here")


def desk_at(tmp_path: Path) -> Desk:
    clock = Clock()
    store = AuditStore(tmp_path / "audit.db", KEY, clock=clock)
    return Desk(store=store, host=FakeHost(clock), board=Listening(clock), clock=clock)


def test_one_that_has_just_been_read_and_does_not_have_it_is_spared(tmp_path: Path) -> None:
    console = desk_at(tmp_path).sit()
    assert console.told_of(SLUG) == ("dashboard",)
    assert console.told_of("on-listmonk-alone") == ()


def test_one_that_was_not_read_lately_may_have_it(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    console = desk.sit()
    desk.clock.pass_(desk.board.word.fresh_for * 2)
    assert console.told_of("on-listmonk-alone") == ("dashboard",)
