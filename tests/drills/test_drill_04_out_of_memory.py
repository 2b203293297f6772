"""Drill 4: a run that is processing, hasn't moved for 12 minutes, on a host with 126 % of its memory used."""

import re

import pytest

from opsconsole.ports import Refused
from tests.drills.scenes import STUCK, only, out_of_memory
from tests.support.operator import before_the_screens
from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

PHRASE = f"{STUCK} 1850"


def test_it_is_stalled_since_when_and_why_it_may_be(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory(monkeypatch)

    told = world.spoken(STUCK)

    assert (told["status"], told["group"]) == ("STALLED", "Needs attention")
    assert re.search(r"nothing has moved for 1[2-5] min, since (today|yesterday) \d\d:\d\d", told["why"])
    assert "1,100 of 1,850 accepted" in told["why"]
    assert "its memory is 126 % used" in told["why"]
    lines = {line["letter"]: line for source in told["sources"] for line in source["evidence"]}
    assert lines["M"]["mark"] == "✖"
    assert "126 % used of 512 MB, 140 MB of it swapped out" in lines["M"]["text"]
    assert told["next"][:3] == ["attach", "pause", "stop"]


def test_memory_that_is_well_is_no_news(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.blasthost.evidence.MEMORY_SHORT", 99.0)
    monkeypatch.setattr("opsconsole.statuses.MEMORY_SHORT", 99.0)

    told = world.spoken(STUCK)

    assert told["status"] == "STALLED"
    assert "memory" not in told["why"]


def test_a_second_send_is_refused_by_console_and_host(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory(monkeypatch)

    rehearsal = world.command("dry-run", STUCK, "--json")
    assert (rehearsal.code, "STALLED" in rehearsal.err) == (3, True)
    assert world.command("send", STUCK, "--plan", "0" * 12, "--confirm", PHRASE).code == 3
    with world.console() as console:
        for action in ("attach", "pause", "stop"):
            assert console.disabled_reason(action, STUCK) == ""
        assert "STALLED" in console.disabled_reason("send", STUCK)
        with pytest.raises(Refused):
            console.plan(STUCK)
    assert not world.sent_to()


def test_it_is_ended_by_typing_it_and_stays_ended(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_memory(monkeypatch)
    assert world.command("cancel", STUCK, "--reason", "out of memory", "--confirm", STUCK).code == 3
    assert world.spoken(STUCK)["status"] == "STALLED"

    ended = world.command("cancel", STUCK, "--reason", "out of memory", "--confirm", PHRASE)

    assert ended.code in (0, 1)
    told = world.spoken(STUCK)
    assert told["status"] not in ("STALLED", "SENDING", "OVERDUE", "DUE")
    assert "send" not in told["next"]
    assert not world.sent_to()


async def test_the_keys_for_it_are_on_the_screen(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    only(world, STUCK)
    out_of_memory(monkeypatch)
    async with before_the_screens(world, (80, 24)) as operator:
        await operator.press("home")
        await operator.sees("STALLED", "126 %", "[a] attach", "[f6] pause", "[f9] stop")
        await operator.press("S")
        await operator.sees("It is STALLED")
        await operator.press("a")
        await operator.sees("run", "1,100")
    assert not world.sent_to()
