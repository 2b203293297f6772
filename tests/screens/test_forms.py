"""The form for decisions that can be undone."""

from typing import Any

import pytest
from textual.app import App
from textual.widgets import Static

from screens.forms import ReasonForm
from tests.screens.hands import type_text


class Desk(App[None]):
    def __init__(self, **asked: Any) -> None:
        super().__init__()
        self.asked, self.answers = asked, list[Any]()

    def on_mount(self) -> None:
        self.push_screen(ReasonForm("Reschedule: paul-simon-may12 [/b]", **self.asked), self.answers.append)

    @property
    def said(self) -> str:
        return str(self.screen.query_one("#state", Static).content)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_time_and_a_reason_are_given_back(size: tuple[int, int]) -> None:
    app = Desk(ask_time=True, zone="America/Los_Angeles")
    async with app.run_test(size=size) as pilot:
        await type_text(pilot, "2027-05-12 10:00")
        await pilot.press("enter")
        await type_text(pilot, "the band is late")
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.answers == [("the band is late", "2027-05-12 10:00")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2027-03-14 02:30", "doesn't exist in America/Los_Angeles"),
        ("2026-11-01 01:30", "happens twice"),
        ("tomorrow at ten", "is not a time"),
    ],
)
async def test_a_time_that_can_not_be_used_is_refused_on_the_spot(typed: str, said: str) -> None:
    app = Desk(ask_time=True, zone="America/Los_Angeles")
    async with app.run_test() as pilot:
        await type_text(pilot, typed)
        await pilot.pause()
        assert said in app.said
        await pilot.press("enter")
        await type_text(pilot, "why not")
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert app.answers == []
        assert said in app.said


@pytest.mark.slow
async def test_a_doubled_time_goes_through_when_it_says_which() -> None:
    app = Desk(ask_time=True, zone="America/Los_Angeles")
    async with app.run_test() as pilot:
        await type_text(pilot, "2026-11-01 01:30 second")
        await pilot.press("enter")
        await type_text(pilot, "x")
        await pilot.press("enter", "enter")
        await pilot.pause()
    assert app.answers == [("x", "2026-11-01 01:30 second")]


async def test_without_a_reason_nothing_is_done() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert "why" in app.said
        await pilot.press("escape")
        await pilot.pause()
    assert app.answers == [None]
