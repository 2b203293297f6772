"""The forms in front of a decision: a reason, a new due time, the evidence it rests on."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.app import App
from textual.screen import Screen
from textual.widgets import Input, OptionList, SelectionList, Static

from opsconsole.grounds import OWN_WORD
from opsconsole.observation import Evidence, Mark, Says
from screens.due import DueForm
from screens.evidence import EvidenceForm
from screens.forms import ReasonForm
from tests.domain.words import NOW, dashboard, ended, host, verdict

PACIFIC = "America/Los_Angeles"
TITLE = "Reschedule: paul-simon-may12 [/b]"
SIZES = [(80, 24), (160, 50)]


class Desk(App[None]):
    def __init__(self, form: Callable[[], Screen[Any]]) -> None:
        super().__init__()
        self.form, self.answers = form, list[Any]()

    def on_mount(self) -> None:
        self.push_screen(self.form(), self.answers.append)

    def said(self, name: str = "state") -> str:
        return str(self.screen.query_one(f"#{name}", Static).content)


def write(app: Desk, name: str, text: str) -> None:
    field = app.screen.query_one(f"#{name}", Input)
    field.value = text
    field.focus()


def due_desk(now: datetime = NOW) -> Desk:
    return Desk(lambda: DueForm(TITLE, PACIFIC, "Europe/Paris", lambda: now))


@pytest.mark.parametrize("size", SIZES)
async def test_a_time_and_a_reason_are_given_back_and_all_clocks_are_shown_first(size: tuple[int, int]) -> None:
    app = due_desk()
    async with app.run_test(size=size) as pilot:
        write(app, "time", "2026-05-12 13:06")
        await pilot.pause()
        assert app.said("clocks") == "May 12 13:06 PDT · May 12 22:06 CEST · May 12 20:06 UTC, in 2 h 14 min"
        await pilot.press("enter")
        write(app, "reason", "the band is late")
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.answers == [("the band is late", "2026-05-12 13:06", None)]


@pytest.mark.parametrize(("keys", "fold"), [(("down", "enter"), 0), (("down", "down", "enter"), 1)])
async def test_of_a_time_that_comes_twice_one_is_chosen_by_its_offset(keys: tuple[str, ...], fold: int) -> None:
    app = due_desk()
    async with app.run_test() as pilot:
        write(app, "time", "2026-11-01 01:30")
        await pilot.pause()
        choices = app.screen.query_one(OptionList)
        shown = [str(choices.get_option_at_index(n).prompt) for n in range(choices.option_count)]
        assert "UTC-07:00" in shown[0]
        assert "UTC-08:00" in shown[1]
        await pilot.press("enter", *keys)
        write(app, "reason", "x")
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.answers == [("x", "2026-11-01 01:30", fold)]


async def test_a_time_that_is_skipped_is_answered_with_both_neighbours() -> None:
    app = due_desk()
    async with app.run_test() as pilot:
        write(app, "time", "2027-03-14 02:30")
        await pilot.pause()
        assert "doesn't exist" in app.said("clocks")
        await pilot.press("enter", "down", "down", "enter")
        await pilot.pause()
        assert app.screen.query_one("#time", Input).value == "2027-03-14 03:30"
        write(app, "reason", "x")
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.answers == [("x", "2027-03-14 03:30", None)]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("tomorrow at ten", "is not a time"),
        ("2026-05-12 10:00", "has passed"),
        ("2026-11-01 01:30", "happens twice"),
    ],
)
async def test_a_time_that_can_not_be_used_goes_nowhere(typed: str, says: str) -> None:
    app = due_desk()
    async with app.run_test() as pilot:
        write(app, "time", typed)
        app.screen.query_one("#reason", Input).value = "why not"
        app.screen.query_one("#go").focus()
        await pilot.press("enter")
        await pilot.pause()
        assert says in app.said()
        assert app.answers == []


async def test_without_a_reason_nothing_is_done() -> None:
    app = Desk(lambda: ReasonForm(TITLE, (("run", "r-77 on blast-1 [/b]"),)))
    async with app.run_test() as pilot:
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert "why" in app.said()
        await pilot.press("escape")
        await pilot.pause()
    assert app.answers == [None]


def log(text: str) -> tuple[Evidence, ...]:
    files = Evidence(letter="F", label="host files", mark=Mark.YES, text="complete")
    return (files, Evidence(letter="L", label="host log", mark=Mark.YES, text=text, at=NOW))


@pytest.mark.parametrize("size", SIZES)
async def test_the_most_telling_evidence_is_chosen_already(size: tuple[int, int]) -> None:
    known = verdict(host(Says.ENDED, run=ended(), evidence=log("2,601 processed [/b]")), dashboard())
    app = Desk(lambda: EvidenceForm(TITLE, known, "mara", NOW))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert len(app.screen.query_one(SelectionList).selected) == 1
        assert app.said() == ""
        await pilot.press("tab")
        write(app, "own", "saw it")
        await pilot.press("enter", "enter")
        await pilot.pause()
    ((chosen, own),) = app.answers
    assert (chosen.label, chosen.text) == ("host log", "2,601 processed [/b]")
    assert (own.source, own.label, own.text) == ("mara", OWN_WORD, "saw it")


async def test_what_is_chosen_is_ticked_also_without_colour() -> None:
    known = verdict(host(Says.ENDED, run=ended(), evidence=log("2,601 processed")), dashboard())
    app = Desk(lambda: EvidenceForm(TITLE, known, "mara", NOW))

    def ticked() -> list[int]:
        lines = app.screen.query_one(SelectionList)
        return [n for n in range(lines.option_count) if str(lines.get_option_at_index(n).prompt).startswith("✓ ")]

    async with app.run_test() as pilot:
        await pilot.pause()
        lines = app.screen.query_one(SelectionList)
        assert ticked() == sorted(lines.selected)
        assert len(ticked()) == 1
        for _ in range(lines.option_count):
            await pilot.press("space", "down")
            await pilot.pause()
            assert ticked() == sorted(lines.selected)
        assert len(ticked()) == lines.option_count - 1


async def test_where_nobody_knows_of_anything_it_says_so_before_it_goes_on() -> None:
    app = Desk(lambda: EvidenceForm(TITLE, verdict(host(), dashboard()), "mara", datetime.now(UTC)))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "No source has any evidence that it went out" in app.said()
        await pilot.press("escape")
        await pilot.pause()
    assert app.answers == [None]
