"""What can still start a campaign: a cancel is proven only when nothing is left, and everything was seen."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from opsconsole.observation import Trigger
from opsconsole.ports import NotThere, Refused
from opsconsole.triggers import chosen, live, switchable, unseen
from tests.domain.words import NOW, SLUG, dashboard, host, verdict

LATER = NOW + timedelta(hours=3)
LINE = Trigger(where="/etc/cron.d/mail-blasts:14", text="0 15 12 5 * root send", next_fire=LATER, key="a")


def told(*triggers: Trigger, **more: Any) -> Any:
    return verdict(host(triggers=triggers, **more), dashboard())


def test_every_trigger_that_can_start_it_is_told_the_soonest_first() -> None:
    sooner = replace(LINE, where="dashboard job", next_fire=NOW + timedelta(minutes=1))
    assert live(told(LINE, sooner), NOW) == (sooner, LINE)


@pytest.mark.parametrize(
    "harmless",
    [
        {"off": True},
        {"sends": False},
        {"next_fire": None},
        {"ignored_because": "line 3: bad hour"},
    ],
    ids=str,
)
def test_one_that_can_not_start_a_send_is_none(harmless: dict[str, Any]) -> None:
    assert live(told(replace(LINE, **harmless)), NOW) == ()


def test_a_line_whose_fire_has_passed_and_one_at_a_restart_are_live() -> None:
    passed = replace(LINE, next_fire=NOW - timedelta(hours=1))
    restart = replace(LINE, where="/etc/cron.d/mail-blasts:15", next_fire=None, at_boot=True)
    assert live(told(passed, restart), NOW) == (passed, restart)


def test_nothing_is_proven_while_a_table_was_not_read_or_a_host_not_heard() -> None:
    assert unseen(told(LINE), NOW) == ()
    (said,) = unseen(told(triggers_unread="/etc/cron.d/mail-blasts can't be read: Permission denied"), NOW)
    assert "can't be read" in said
    (said,) = unseen(told(out_of_reach_since=NOW - timedelta(minutes=5)), NOW)
    assert "was not heard" in said


def test_the_one_that_is_meant_is_found_and_with_several_it_must_be_named() -> None:
    other = replace(LINE, where="/etc/cron.d/mail-blasts:15", key="b")
    off = replace(LINE, where="/etc/cron.d/mail-blasts:16", key="c", off=True)
    fixed = replace(LINE, where="elsewhere", key="")
    assert chosen(told(LINE, off, fixed), "", on=False) == LINE
    assert chosen(told(LINE, off, fixed), "", on=True) == off
    assert chosen(told(LINE, other), other.where, on=False) == other
    assert [trigger for _, trigger in switchable(told(LINE, other, off, fixed), on=False)] == [LINE, other]
    with pytest.raises(NotThere, match=r"2 triggers are meant.*:14, /etc/cron.d/mail-blasts:15"):
        chosen(told(LINE, other), "", on=False)
    with pytest.raises(NotThere, match="no such trigger as nowhere"):
        chosen(told(LINE), "nowhere", on=False)
    with pytest.raises(Refused, match=SLUG):
        chosen(told(fixed), "", on=False)
