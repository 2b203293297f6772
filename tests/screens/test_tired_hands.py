"""Each promise of the confirmation, with somebody or something that tries to break it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from opsconsole.deliberate import ASLEEP, SETTLE, Guard
from screens.asking import notice
from screens.confirm import ConfirmScreen
from screens.messages import BoardChanged
from screens.whereabouts import Whereabouts, whereabouts
from screens.widgets.aside import Aside
from tests.screens.hands import key_at, past_the_evidence, settle, type_text
from tests.screens.night import believable
from tests.screens.test_board import opened, screen_text, until
from tests.screens.test_confirm import PHRASE, confirmation

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


class Desk(App[None]):
    """An app with nothing but the question, that remembers the answers and the pastes."""

    def __init__(self, **asked: Any) -> None:
        super().__init__()
        self.asked, self.answers, self.pastes = asked, list[Any](), list[str]()

    def on_mount(self) -> None:
        screen = ConfirmScreen(confirmation(), refused_paste=self.pastes.append, **self.asked)
        self.push_screen(screen, self.answers.append)


def asking(pilot: Pilot[Any]) -> ConfirmScreen:
    assert isinstance(pilot.app.screen, ConfirmScreen)
    return pilot.app.screen


def value(pilot: Pilot[Any]) -> str:
    return asking(pilot).query_one("#typed", Input).value


async def to_step_two(pilot: Pilot[Any]) -> None:
    await settle(pilot)
    await pilot.press("tab", "enter")
    assert asking(pilot).step == 2
    await settle(pilot)


async def from_terminal(pilot: Pilot[Any], text: str) -> None:
    """What a terminal sends, through the parser that reads terminals."""
    parser = XTermParser()
    for message in [*parser.feed(text), *parser.feed("")]:
        message.set_sender(pilot.app)
        pilot.app.post_message(message)
    await pilot.pause()
    await pilot.pause(0.05)


PASTES = {
    "bracketed": f"\x1b[200~{PHRASE}\x1b[201~",
    "bracketed, with a line's end": f"\x1b[200~{PHRASE}\r\n\x1b[201~",
    "without brackets": PHRASE,
    "a multiplexer's buffer, with a line's end and all": f"{PHRASE}\r\t\t\r",
    "the middle button of the mouse": f"\x1b[<1;20;8M\x1b[<1;20;8m{PHRASE}",
    "a clipboard answer of the terminal": f"\x1b]52;c;cGF1bC1zaW1vbi1tYXkxMiAyNjAx\x07{PHRASE}",
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", PASTES.values(), ids=PASTES)
@pytest.mark.parametrize("step", [1, 2])
async def test_no_paste_gets_in_and_every_one_is_told_once(sent: str, step: int) -> None:
    app = Desk()
    async with app.run_test() as pilot:
        if step == 2:
            await to_step_two(pilot)
        else:
            await settle(pilot)
        await from_terminal(pilot, sent)
        await pilot.pause(SETTLE)
        if app.answers:  # a line's end on Cancel leaves, and that is all it does
            assert app.answers == [None]
        else:
            assert asking(pilot).step == step
            assert value(pilot) != PHRASE
            assert asking(pilot).query_one("#go", Button).disabled
        assert app.pastes == [f"step {step}"]


@pytest.mark.slow
async def test_a_paste_that_is_handed_out_slowly_is_one_all_the_same() -> None:
    """As `xdotool type` and slow-paste settings do: twelve milliseconds a key."""
    app = Desk()
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        at = asking(pilot).guard.opened + 5
        for number, char in enumerate(PHRASE):
            await key_at(pilot, char, at + number * 0.012)
        assert value(pilot) != PHRASE
        assert app.pastes


@pytest.mark.slow
async def test_a_refused_paste_is_in_the_audit_store(tmp_path: Path) -> None:
    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("m")
        await past_the_evidence(pilot)
        await to_step_two(pilot)
        app.post_message(events.Paste("client-letter-r3 830"))
        await until(pilot, lambda: night.consoles[0].store().search(action="refused-paste"))
        [record] = night.consoles[0].store().search(action="refused-paste")
        assert record.campaign == "client-letter-r3"
        assert (record.detail["asked_for"], record.detail["where"]) == ("mark", "step 2")
        assert "client-letter-r3 830" not in str(record.detail)


@pytest.mark.parametrize("first_repeat", [0.2, 0.5, 0.66, 1.0])
@pytest.mark.parametrize("every", [0.03, 0.1, 0.4])
def test_a_key_that_is_held_never_counts_again_however_slow_its_keyboard(first_repeat: float, every: float) -> None:
    guard = Guard()
    guard.open(100.0)
    assert guard.accepts("enter", 101.0)
    guard.open(101.0)  # it opened the second step
    assert not any(guard.accepts("enter", 101.0 + first_repeat + n * every) for n in range(200))


async def test_in_the_first_half_second_of_each_step_only_escape_counts() -> None:
    keys = ("tab", "right", "shift+tab", "left", "enter", "space", "p", "1")
    app = Desk()
    async with app.run_test() as pilot:
        for step in (1, 2):
            screen = asking(pilot)
            focused, at = app.focused, screen.guard.opened
            for number, key in enumerate(keys):
                await key_at(pilot, key, at + 0.05 * number)
                asking(pilot).guard.opened = at  # the clock of this test stands still
            assert screen.step == step
            assert app.focused is focused
            assert value(pilot) == ""
            if step == 1:
                await to_step_two(pilot)
                screen.guard.open(screen.guard.opened + 10)
        assert app.answers == []


@pytest.mark.slow
async def test_a_double_click_passes_one_step_only() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.double_click("#on")
        await pilot.triple_click(offset=asking(pilot).query_one("#go").region.offset)
        await pilot.pause()
        assert asking(pilot).step == 2
        assert app.answers == []
        assert asking(pilot).query_one("#typed", Input).value == ""


@pytest.mark.slow
async def test_every_other_key_of_the_console_is_dead_while_it_is_open(tmp_path: Path) -> None:
    night = believable(tmp_path)
    dead = (
        "ctrl+p",
        "ctrl+q",
        "ctrl+c",
        "ctrl+z",
        "f1",
        "f6",
        "f7",
        "f9",
        "f10",
        "colon",
        "question_mark",
        "q",
        "S",
    )
    async with opened(night) as (app, pilot):
        performed: list[str] = []
        await pilot.press("m")
        await past_the_evidence(pilot)
        app.perform = lambda action, slug: performed.append(action)  # type: ignore[method-assign]
        for step in (1, 2):
            for key in dead:
                await pilot.press(key)
                assert isinstance(app.screen, ConfirmScreen)
            if step == 1:
                await to_step_two(pilot)
        assert performed == []
        assert app.return_code is None
        assert night.consoles[0].store().search(action="mark") == []


@pytest.mark.slow
async def test_neither_a_new_size_nor_news_take_the_focus_or_what_was_typed(tmp_path: Path) -> None:
    night = believable(tmp_path)
    async with opened(night, (160, 50)) as (app, pilot):
        await pilot.press("m")
        await past_the_evidence(pilot)
        await to_step_two(pilot)
        await type_text(pilot, "client-letter")
        focused = app.focused
        await pilot.resize_terminal(80, 24)
        app.notify("a toast", severity="error")
        app.post_message(BoardChanged(night.remembered()))
        notice(app, "Something else went wrong", ValueError("of no interest now"))
        await pilot.pause(0.1)
        assert app.focused is focused
        assert value(pilot) == "client-letter"
        assert asking(pilot).step == 2
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Aside))  # the other trouble waited for its turn
        await until(pilot, lambda: "of no interest now" in screen_text(app))


@pytest.mark.slow
async def test_a_terminal_that_comes_back_gives_time_to_read_again() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await to_step_two(pilot)
        before = asking(pilot).guard.opened
        app.app_resume_signal.publish(app)
        assert asking(pilot).guard.opened > before
        await pilot.press("p")
        assert value(pilot) == ""
        await settle(pilot)
        before = asking(pilot).guard.opened
        app.app_focus = False
        app.app_focus = True  # the window was elsewhere; the click that brings it back must press nothing
        await pilot.pause()
        assert asking(pilot).guard.opened > before


def test_a_machine_that_slept_gives_time_to_read_again() -> None:
    """Its monotonic clock may have stood still; the one that goes on in sleep tells."""
    clock = [1000.0]
    guard = Guard(lambda: clock[0])
    guard.open(10.0)
    assert guard.accepts("enter", 20.0)
    clock[0] += ASLEEP + 3600
    assert not guard.accepts("tab", 30.0)
    assert not guard.accepts("enter", 30.2)
    assert guard.accepts("tab", 30.6)


@pytest.mark.slow
async def test_a_plan_that_runs_out_while_the_question_is_open_shuts_the_last_button() -> None:
    at = [NOW]
    ends = (("plan", NOW + timedelta(minutes=5)), ("approval by ana", NOW + timedelta(hours=3)))
    app = Desk(ends=ends, clock=lambda: at[0])
    async with app.run_test(size=(80, 24)) as pilot:
        await to_step_two(pilot)
        shown = str(asking(pilot).query_one("#ends", Static).content)
        assert "plan good for 5 min more" in shown
        assert "approval by ana good for 3 h more" in shown
        await type_text(pilot, PHRASE)
        go = asking(pilot).query_one("#go", Button)
        assert not go.disabled
        at[0] += timedelta(minutes=5)
        await until(pilot, lambda: go.disabled)
        assert "plan ran out" in str(asking(pilot).query_one("#ends", Static).content)
        go.press()
        await pilot.pause()
        assert app.answers == []


async def test_another_machine_than_the_configured_one_is_loud_also_where_nothing_is_dangerous() -> None:
    live = Whereabouts(
        "ops@10.0.0.7:22", "web-3", "The configuration says blast-1, but the machine calls itself web-3."
    )
    app = Desk(live=live)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = asking(pilot)
        assert screen.danger
        texts = [str(part.content) for part in screen.query(Static)]
        assert any("ops@10.0.0.7:22" in text for text in texts)
        assert any("calls itself web-3" in text for text in texts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda host: None, ""),
        (lambda host: setattr(host, "identity", ""), "No live connection"),
        (lambda host: setattr(host, "calls_itself", "web-3"), "calls itself web-3"),
        (lambda host: setattr(host, "state", "lost"), "No live connection"),
    ],
)
def test_the_live_connection_is_held_against_the_configuration(
    tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    night = believable(tmp_path)
    night.ssh = "blast-mail-prod"
    change(night.host)
    found = whereabouts(night.build(), night.host.name)
    assert said in found.against
    assert bool(said) == bool(found.against)
