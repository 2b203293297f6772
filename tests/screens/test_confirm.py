"""The confirmation: only somebody who read it and typed it gets through."""

from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from opsconsole.deliberate import SETTLE
from opsconsole.safety import Confirmation
from screens.confirm import ConfirmScreen
from tests.screens.hands import key_at, settle, type_text

PHRASE = "paul-simon-may12 2601"
SIZES = [(80, 24), (160, 50)]


def confirmation(**changes: Any) -> Confirmation:
    values: dict[str, Any] = {
        "action": "send",
        "title": "Send paul-simon-may12 to 2,601 people",
        "lines": (("campaign", "paul-simon-may12  Paul Simon"), ("host", "blast-mail-prod (blast)")),
        "phrase": PHRASE,
        "environment": "PROD",
        "danger": True,
    }
    return Confirmation(**{**values, **changes})


class Desk(App[None]):
    """An app with nothing but the question."""

    def __init__(self, asked: Confirmation) -> None:
        super().__init__()
        self.asked, self.answers = asked, list[Any]()

    def on_mount(self) -> None:
        self.push_screen(ConfirmScreen(self.asked), self.answers.append)


def asking(pilot: Pilot[None]) -> ConfirmScreen:
    assert isinstance(pilot.app.screen, ConfirmScreen)
    return pilot.app.screen


def said(pilot: Pilot[None]) -> str:
    return str(asking(pilot).query_one("#state", Static).content)


async def to_step_two(pilot: Pilot[None]) -> None:
    await settle(pilot)
    await pilot.press("tab", "enter")
    assert asking(pilot).step == 2
    await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_reading_and_typing_it_gets_through(size: tuple[int, int]) -> None:
    app = Desk(confirmation())
    async with app.run_test(size=size) as pilot:
        await to_step_two(pilot)
        await type_text(pilot, PHRASE)
        await pilot.press("enter")
        await type_text(pilot, "late")
        await pilot.press("enter", "tab", "enter")
        await pilot.pause()
    assert app.answers == [(PHRASE, "late")]


@pytest.mark.slow
@pytest.mark.parametrize("size", [*SIZES, (60, 15)])
async def test_everything_asked_is_in_sight(size: tuple[int, int]) -> None:
    lines = tuple((f"part {n}", f"value {n}") for n in range(11))
    app = Desk(confirmation(lines=lines, warnings=("one thing to know",)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for name in ("#cancel", "#on"):
            assert asking(pilot).query_one(name).region in pilot.app.screen.region
        await pilot.press("tab", "enter")
        await settle(pilot)
        for name in ("#typed", "#reason", "#back", "#go"):
            region = asking(pilot).query_one(name).region
            assert region.area
            assert region in pilot.app.screen.region


async def test_what_was_told_before_does_not_lie_over_the_buttons() -> None:
    app = Desk(confirmation())
    async with app.run_test(notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("escape")
        app.notify("a toast where the buttons will be", timeout=3600)
        await pilot.pause()
        assert len(app._notifications)
        app.push_screen(ConfirmScreen(app.asked))
        await pilot.pause()
        assert not len(app._notifications)


async def test_the_focus_begins_on_cancel_and_enter_there_does_nothing_but_leave() -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        assert pilot.app.focused is asking(pilot).query_one("#cancel")
        await settle(pilot)
        await pilot.press("enter")
        await pilot.pause()
    assert app.answers == [None]


async def test_a_key_before_anybody_can_have_read_it_counts_for_nothing() -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        opened = asking(pilot).guard.opened
        asking(pilot).query_one("#on").focus()
        await key_at(pilot, "enter", opened + SETTLE / 2)
        assert asking(pilot).step == 1
        assert app.answers == []
        await key_at(pilot, "enter", opened + SETTLE + 1)
        assert asking(pilot).step == 2


async def test_a_held_enter_never_passes() -> None:
    """Given somebody with the hand on enter from before the question, at thirty repeats a second, for minutes."""
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        screen, at = asking(pilot), asking(pilot).guard.opened
        screen.query_one("#on").focus()
        for repeat in range(40):
            await key_at(pilot, "enter", at + repeat / 30)
        assert screen.step == 1
        assert app.answers == []
        await key_at(pilot, "enter", at + 10)  # let go, and pressed on purpose
        assert screen.step == 2
        for repeat in range(60):  # and held again: the next field comes, nothing is pressed
            await key_at(pilot, "enter", at + 20 + repeat / 30)
        assert app.answers == []
        assert screen.query_one("#go", Button).disabled


@pytest.mark.slow
async def test_a_held_enter_does_not_press_the_last_button_either() -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        await type_text(pilot, PHRASE)
        screen = asking(pilot)
        at = screen.guard.opened + 100
        await key_at(pilot, "enter", at)
        await key_at(pilot, "tab", at + 0.01)
        await key_at(pilot, "tab", at + 0.02)
        assert pilot.app.focused is screen.query_one("#go")
        for repeat in range(1, 20):
            await key_at(pilot, "enter", at + repeat / 30)
        assert app.answers == []


async def test_pasted_text_is_not_taken() -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        app.post_message(events.Paste(PHRASE))
        await pilot.pause()
        assert asking(pilot).query_one("#typed", Input).value == ""
        assert "Pasted" in said(pilot)
        await pilot.press("ctrl+v")
        await pilot.pause()
        assert asking(pilot).query_one("#typed", Input).value == ""
        assert asking(pilot).query_one("#go", Button).disabled


@pytest.mark.slow
async def test_a_paste_from_a_terminal_without_paste_brackets_is_not_taken() -> None:
    """Then every character is a key of its own, all of the same instant."""
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        at = asking(pilot).guard.opened + 30
        for number, char in enumerate(PHRASE):
            await key_at(pilot, char, at + number / 10_000)
        assert asking(pilot).query_one("#typed", Input).value != PHRASE
        assert asking(pilot).query_one("#go", Button).disabled
        assert "Pasted" in said(pilot)


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed", ["paul-simon-may12", "paul-simon-may12 2600", "Paul-simon-may12 2601", PHRASE + " "]
)
async def test_anything_but_the_phrase_keeps_the_button_shut(typed: str) -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        await type_text(pilot, typed)
        await pilot.press("enter")  # only goes on to the next field; one more, a while later, would press Cancel
        await pilot.pause()
        assert asking(pilot).query_one("#go", Button).disabled
        asking(pilot).query_one("#go", Button).press()
        await pilot.pause()
    assert app.answers == []


@pytest.mark.slow
async def test_a_reason_is_waited_for_where_one_is_needed() -> None:
    app = Desk(confirmation(action="stop", needs_reason=True))
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        await type_text(pilot, PHRASE)
        assert asking(pilot).query_one("#go", Button).disabled
        assert "reason" in said(pilot)
        await pilot.press("enter")
        await type_text(pilot, "twice the same mail")
        assert not asking(pilot).query_one("#go", Button).disabled


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2])
async def test_escape_always_leaves_with_nothing_done(step: int) -> None:
    app = Desk(confirmation())
    async with app.run_test() as pilot:
        if step == 2:
            await to_step_two(pilot)
            await type_text(pilot, PHRASE)
        await pilot.press("escape")
        await pilot.pause()
    assert app.answers == [None]


async def test_text_from_outside_is_shown_and_does_nothing() -> None:
    nasty = "[Sale] [/today] \x1b[2Jgone \u202egnp"
    app = Desk(confirmation(lines=(("subject", nasty),), title=nasty, warnings=(nasty,), environment=nasty))
    async with app.run_test() as pilot:
        await settle(pilot)
        texts = [str(part.content) for part in asking(pilot).query(Static)]
        assert any("[Sale] [/today] \\x1b[2Jgone \\u202e" in text for text in texts)
        assert not any("\x1b" in text or "\u202e" in text for text in texts)
