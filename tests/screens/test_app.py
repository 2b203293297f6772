"""The app around the screens: starting, leaving, failing, and what may happen while a question is open."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.screen import ModalScreen

from screens.app import OpsConsoleApp
from screens.base import ConsoleScreen
from screens.board import BoardScreen
from screens.leave import LeaveScreen
from screens.widgets.aside import Aside
from screens.work import in_thread
from tests.screens.hands import past_the_evidence
from tests.screens.night import Night, believable
from tests.screens.pty_app import CANARY, Terminal
from tests.screens.test_board import opened, screen_text, toasts, until

RESTORED = b"\x1b[?1049l"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    """Opens the app in a terminal; everything is ended with the test."""
    made: list[Terminal] = []

    def make(*args: str) -> Terminal:
        made.append(Terminal(str(tmp_path), *args))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_leaves_cleanly_and_gives_the_terminal_back(terminal: Any, number: int, code: int) -> None:
    app = terminal()
    app.read(until=b"paul-simon-may12")
    app.child.send_signal(number)
    written = app.read()
    assert app.child.wait(20) == code
    assert RESTORED in written


@pytest.mark.slow
def test_a_signal_is_heard_while_the_console_is_still_being_built(terminal: Any) -> None:
    app = terminal("slow")
    app.read(until=b"paul-simon-may12")
    app.child.send_signal(signal.SIGHUP)
    app.read()
    assert app.child.wait(20) == 129


@pytest.mark.slow
@pytest.mark.parametrize("signals", [(), (signal.SIGHUP, signal.SIGCONT)], ids=["in silence", "with a hang-up"])
def test_a_terminal_that_vanishes_ends_the_app(terminal: Any, signals: tuple[int, ...]) -> None:
    """As when an ssh connection drops or a window is closed: nobody is left to spin for."""
    app = terminal()
    app.read(until=b"paul-simon-may12")
    app.vanish()
    for number in signals:
        app.child.send_signal(number)
    assert app.child.wait(30) == 129


def test_a_crash_tells_where_and_shows_no_secret(terminal: Any, tmp_path: Path) -> None:
    app = terminal("crash")
    app.read(until=b"paul-simon-may12")

    os.write(app.master, b"?")
    written = app.read().decode(errors="replace")
    assert app.child.wait(20) == 1
    assert "opsconsole stopped by an error of its own: RuntimeError" in written.replace("\r\n", "\n")
    assert CANARY not in written
    [report] = tmp_path.glob("crash-*.txt")
    text = report.read_text()
    assert CANARY not in text
    assert "ana.lopez@" not in text
    assert "explode" in text
    assert report.stat().st_mode & 0o777 == 0o600


def test_importing_the_app_loads_nothing_heavy() -> None:
    heavy = (
        "paramiko",
        "sqlmodel",
        "sqlalchemy",
        "jinja2",
        "httpx",
        "aiosmtplib",
        "aiosmtpd",
        "pydantic",
        "backends",
    )
    program = f"import sys, screens.app; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"


async def test_q_leaves_with_0_when_nothing_is_going_on(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("q")
    assert app.return_code == 0


@pytest.mark.slow
async def test_a_live_run_is_left_only_after_a_question_that_says_it_goes_on(tmp_path: Path) -> None:
    class Watching(ConsoleScreen):
        quit_warning = "night-train goes on on blast-mail-prod; leaving never ends a run."

    async with opened(believable(tmp_path)) as (app, pilot):
        app.push_screen(Watching("night-train"))
        await pilot.pause()
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert isinstance(app.screen, LeaveScreen)
        assert "goes on" in screen_text(app)
        await pilot.press("enter", "escape")
        assert isinstance(app.screen, Watching)
        await pilot.press("ctrl+q", "y")
    assert app.return_code == 0


@pytest.mark.slow
async def test_while_a_question_is_open_no_palette_opens_and_ctrl_q_does_not_cut_it(tmp_path: Path) -> None:
    class Question(ModalScreen[None]):
        pass

    async with opened(believable(tmp_path)) as (app, pilot):
        app.push_screen(Question())
        await pilot.pause()
        for key in ("ctrl+p", "ctrl+q", "colon", "q", "S", "X", "question_mark"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, Question)
        assert "Answer the question first" in toasts(app)[-1]
        assert app.return_code is None


async def test_ctrl_c_stops_nothing_and_says_how_to_leave(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("ctrl+c")
        assert "Leave the console with q" in toasts(app)[-1]


@pytest.mark.slow
async def test_the_palette_offers_every_action_of_the_screen_with_its_key(tmp_path: Path) -> None:
    from opsconsole.actions import Place, offered
    from screens.palette import ConsoleCommands

    async with opened(believable(tmp_path)) as (app, pilot):
        provider = ConsoleCommands(app.screen)
        names = [hit.text or "" async for hit in provider.discover()]
        for action in offered(Place.BOARD):
            assert any(f": {action.label}  [{action.key}]" in name for name in names)
        performed: list[tuple[str, str]] = []
        app.perform = lambda action, slug: performed.append((action, slug))  # type: ignore[method-assign]
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"refresh")
        await until(pilot, lambda: "Ask every source" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: performed == [("refresh", "")])


@pytest.mark.slow
async def test_help_lists_every_key_and_says_what_does_not_work_now(tmp_path: Path) -> None:
    from opsconsole.actions import Place, offered

    async with opened(believable(tmp_path), (120, 100)) as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        shown = screen_text(app)
        for action in offered(Place.BOARD):
            assert action.label in shown
        assert "not now: " in shown
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, BoardScreen)


async def test_a_console_that_cannot_be_built_is_a_banner_over_the_last_known_board(tmp_path: Path) -> None:
    night = believable(tmp_path)
    app = night.app()

    def broken() -> Any:
        raise OSError("the data folder can't be written")

    app._build = broken
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: "The console could not start" in screen_text(app))
        assert "paul-simon-may12" in screen_text(app)


async def test_a_destructive_key_asks_first_and_escape_does_nothing(tmp_path: Path) -> None:
    from screens.confirm import ConfirmScreen

    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("m")
        await past_the_evidence(pilot)
        await pilot.press("ctrl+q", "ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.pause(0.6)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        assert night.consoles[0].store().search(action="mark") == []


async def test_a_hold_is_asked_a_reason_for_and_is_on_the_board_a_moment_later(tmp_path: Path) -> None:
    from screens.forms import ReasonForm

    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        app.screen.dismiss("wait for ana")
        await until(pilot, lambda: any("Recorded" in t for t in toasts(app)))
        [record] = night.consoles[0].store().search(action="hold")
        assert record.campaign == "client-letter-r3"
        assert record.reason == "wait for ana"


@pytest.mark.slow
async def test_an_action_the_console_refuses_is_told_in_full_and_stays_until_read(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("slash", *"paul", "enter")
        await until(pilot, lambda: app.screen.slug == "paul-simon-may12")  # type: ignore[attr-defined]
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        shown = screen_text(app)
        assert "can't be sent now" in shown
        assert "run" in shown
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.slow
async def test_a_full_disk_is_told_with_its_remedy_and_not_as_a_fault_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsconsole.errors import AuditUnavailable

    async with opened(believable(tmp_path)) as (app, pilot):

        def full(*_: object, **__: object) -> None:
            raise AuditUnavailable("The disk is full.", "Nothing can be recorded.", "Free some of it.")

        monkeypatch.setattr(app.ops_console, "plan", full)
        await pilot.press("slash", *"paul", "enter")
        await until(pilot, lambda: app.screen.slug == "paul-simon-may12")  # type: ignore[attr-defined]
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        assert "Free some of it." in screen_text(app)
        assert "please report" not in screen_text(app)


@pytest.mark.slow
async def test_an_error_in_a_thread_is_told_and_nothing_falls_over(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):

        def fail() -> None:
            raise ValueError("[boom] [/x]")

        in_thread(app.screen, fail, lambda _: None)
        await until(pilot, lambda: any("[boom] [/x]" in t for t in toasts(app)))


async def test_work_that_ends_after_its_screen_is_gone_calls_nobody(tmp_path: Path) -> None:
    import threading

    called: list[int] = []
    go = threading.Event()
    async with opened(Night(tmp_path)) as (app, pilot):
        screen = ConsoleScreen("x")
        app.push_screen(screen)
        await pilot.pause()
        thread = in_thread(screen, lambda: go.wait(10), lambda _: called.append(1))
        screen.dismiss()
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and not screen.is_attached)
        go.set()
        thread.join(10)
        await pilot.pause()
    in_thread(app, lambda: 1, called.append).join(10)
    assert called == []


async def test_the_console_is_closed_when_the_app_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = believable(tmp_path)
    closed: list[bool] = []
    async with opened(night) as (app, _):
        console = app.ops_console
        monkeypatch.setattr(console, "close", lambda: closed.append(True))
        assert isinstance(app, OpsConsoleApp)
        app.exit()
    assert closed[0]
