"""The terminal app: paints the last known board at once, then brings up the console behind it.

Module level imports nothing heavy: the console, its backends and its store are built in a thread after the first
paint, and every screen but the board is imported when it is first opened.
"""

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segments
from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from opsconsole import actions
from opsconsole.actions import Context
from opsconsole.board import Board
from opsconsole.observation import Hold
from opsconsole.schedule import say_instant
from opsconsole.verdict import Group, Verdict
from screens.base import ConsoleScreen
from screens.board import BoardScreen
from screens.loud import Loud
from screens.messages import Alarmed, BoardChanged, ConsoleReady, Failed, Known
from screens.safe import say
from screens.terminal import when_gone
from screens.work import in_thread

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.notifications import SeverityLevel

    from opsconsole.console import Console
    from screens.doing import Doing

AT_MOST_EVERY = 0.5  # seconds between two boards
AT_LEAST_EVERY = 15.0  # time alone changes a board: what was due becomes late
LEFT_BY = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def _commands() -> "type[Provider]":
    from screens.palette import ConsoleCommands

    return ConsoleCommands


class OpsConsoleApp(App[None]):
    """The screens of one environment."""

    TITLE = "opsconsole"
    COMMANDS: ClassVar[Any] = {_commands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "command_palette", "commands", show=False),
        Binding("question_mark", "help", "help", show=False),
        Binding("q", "quit", "quit", show=False),
        Binding("M", "mute", "mute", show=False),
    ]
    CSS = "Screen { background: $background; }  Toast { width: 72; max-width: 90%; }"

    def __init__(
        self,
        remembered: Board,
        build: "Callable[[], Console]",
        *,
        environment: str,
        danger: bool,
        read_only: bool,
        local_zone: str,
        operator: str,
        data_dir: Path | None = None,
        views: Mapping[str, str] | None = None,
        loud: Loud | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.known = Known(remembered)
        self.environment, self.danger, self.local_zone = environment, danger, local_zone
        self.operator, self.role = operator, ""
        self.read_only = read_only
        self.where: dict[str, str] = {}
        self.start_trouble = ""
        self._build, self._data_dir = build, data_dir
        self.loud = loud or Loud((), {})
        self.configured_views = views or {}
        self._console: Console | None = None
        self._dirty, self._leaving = threading.Event(), threading.Event()
        self._put_away: tuple[str, ...] = ()
        self.busy: set[str] = set()
        self.doing: list[Doing] = []  # operations that were begun here
        self.starting: set[str] = set()  # campaigns whose start was asked for and isn't answered yet
        self._later: list[Callable[[], object]] = []

    # What is known.

    @property
    def console_ready(self) -> bool:
        return self._console is not None

    @property
    def ops_console(self) -> "Console":
        """The console. Raises RuntimeError in the first moments, before it is built."""
        if self._console is None:
            raise RuntimeError("the console is still starting")
        return self._console

    @property
    def board(self) -> Board:
        return self.known.board

    def now(self) -> datetime:
        return self._console.clock() if self._console else datetime.now(UTC)

    def get(self, slug: str) -> Verdict | None:
        """The verdict on a campaign as the board on screen has it."""
        return self.known.by_slug.get(slug)

    def disabled_reason(self, action_id: str, slug: str) -> str:
        """Why this key does nothing now, by the board on screen; "" when it works. The console asks again."""
        verdict = self.get(slug)
        if self._console is None:
            context = Context(role="admin", read_only=self.read_only, verdict=verdict)
        else:
            trouble = self._console.why_no_mail(verdict)
            context = replace(self._console.context(), verdict=verdict, carrier_trouble=trouble)
        if slug in self.starting and actions.BY_ID[action_id].danger > actions.Danger.LOOK:
            return "It is being started at this moment: wait for the answer."
        return actions.BY_ID[action_id].disabled_reason(context)

    def banners(self) -> list[tuple[str, bool]]:
        """What must not be overlooked, the dangerous first: (text, is it dangerous)."""
        found: list[tuple[str, bool]] = []
        if self.start_trouble:
            found.append((f"The console could not start: {self.start_trouble}", True))
        if self._console is not None:
            if trouble := self._console.store_trouble:
                unwritable = trouble != self._console.chain_trouble
                why = "No record can be written, so nothing can be done: " if unwritable else ""
                found.append((f"{why}{trouble}", True))
            for name, trouble in sorted(dict(self._console.carrier_trouble).items()):
                if trouble:
                    found.append((f"{name}: nothing is sent there. {trouble}", True))
        if self.loud.nobody_paged:
            found.append((self.loud.nobody_paged, True))
        for hold in self.known.wide_holds:
            found.append((self._say_hold(hold), True))
        if self._console is not None:
            for words in self._console.found_at_start:
                if words not in self._put_away:
                    found.append((f"Left open when the console last ended: {words} (esc puts this away)", False))
        for slug in sorted(self.starting):
            found.append((f"{slug} is being started: the answer isn't there yet. It is asked for once only", False))
        for slug, intents in self.known.unresolved:
            if slug in self.starting:
                continue
            found.append((f"{slug}: {', '.join(intents)} has no recorded end: look, don't repeat", True))
        said = {text for text, _ in found}
        beside = [(s.name, text) for s in self.board.sources for text in s.findings]
        found += [(f"{name}: {text}", False) for name, text in beside if not any(text in told for told in said)]
        return found[:5]

    def _say_hold(self, hold: Hold) -> str:
        what = hold.scope.removeprefix("host:") if hold.scope.startswith("host:") else hold.scope
        where, by = " there" if hold.scope.startswith("host:") else "", hold.by or "nobody known"
        since = f" since {say_instant(hold.at, self.local_zone, self.now())}" if hold.at else ""
        return f"On hold: {what}. Nobody may send anything{where}; by {by}{since}: {hold.reason}"

    def put_away_findings(self) -> None:
        """Take away the banners on what was found at the start; they are in the audit store."""
        if self._console is not None:
            self._put_away = self._console.found_at_start
            self.freshen()

    # Starting and leaving.

    def get_default_screen(self) -> Screen[Any]:
        return BoardScreen()

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number, code in LEFT_BY.items():
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread: no signals come
                loop.add_signal_handler(number, self._leave, code)
        if not self.is_headless:
            when_gone(lambda: loop.call_soon_threadsafe(self._leave, LEFT_BY[signal.SIGHUP]))
        self.set_interval(5.0, self.freshen)
        self.call_after_refresh(self._start_console)

    def _start_console(self) -> None:
        gc.freeze()  # what was made until now stays; the front door had collecting off for a quicker start
        gc.enable()
        in_thread(self, self._build_console, lambda _: None, self._not_started, name="build-console")

    def _build_console(self) -> None:
        console = self._build()
        if self._leaving.is_set():
            console.close()
            return
        console.watch.on_change(lambda name: self._dirty.set())
        self.post_message(ConsoleReady(console))
        console.start()
        threading.Thread(target=self._keep_board, args=(console,), name="keep-board", daemon=True).start()

    def _not_started(self, error: Exception) -> None:
        self.start_trouble = say(error, 400)
        self.freshen()

    def on_console_ready(self, message: ConsoleReady) -> None:
        self._console = message.console
        self.role, self.read_only = self._console.role, self._console.read_only
        self.local_zone = self._console.local_zone or self.local_zone
        self.freshen()

    def _keep_board(self, console: "Console") -> None:
        """A new board whenever a source has answered, and now and then since time alone changes it."""
        while not self._leaving.is_set():
            self._dirty.wait(AT_LEAST_EVERY)
            self._dirty.clear()
            if self._leaving.is_set():
                return
            board = console.board()
            self.where = {name: say(console.where(name), 40) for name in console.host_names()}
            changes = self.loud.look(console, board)
            with suppress(RuntimeError):  # the loop is closed
                self.post_message(BoardChanged(board))
                self.post_message(Alarmed(changes))
            self._leaving.wait(AT_MOST_EVERY)

    def on_board_changed(self, message: BoardChanged) -> None:
        self.known = message.known
        self.loud.title(self, self.known.counts[Group.ATTENTION])
        if isinstance(self.screen, ConsoleScreen):
            self.screen.take_board(self.board)

    def on_alarmed(self, message: Alarmed) -> None:
        self.loud.ring(self, message.changes)

    def action_mute(self) -> None:
        self.tell(self.loud.mute())
        self.freshen()

    def on_failed(self, message: Failed) -> None:
        self.tell(message.what, "error")

    def freshen(self) -> None:
        if self.screen_stack and isinstance(self.screen, ConsoleScreen):
            self.screen.freshen()

    def _leave(self, code: int) -> None:
        """Asked by a signal: no question, the terminal may be gone. A run goes on where it is."""
        self.exit(return_code=code, message="")

    def on_unmount(self) -> None:
        self._leaving.set()
        self._dirty.set()
        self.loud.leave(self)
        loop = asyncio.get_running_loop()
        for number in LEFT_BY:
            with suppress(ValueError, RuntimeError, NotImplementedError):
                loop.remove_signal_handler(number)
        if self._console is not None:
            closing = threading.Thread(target=self._console.close, name="close-console", daemon=True)
            closing.start()
            closing.join(2.0)

    # Acting.

    def perform(self, action_id: str, slug: str) -> None:
        """Do what a key asks, or say in a toast why not. The one way from a key to the console."""
        from screens.perform import perform

        perform(self, action_id, slug)

    def show_holds(self) -> None:
        from screens.asking import show
        from screens.holds import HoldsScreen

        show(self, HoldsScreen())

    def show_handover(self) -> None:
        from screens.asking import show
        from screens.report import ReportScreen

        show(self, ReportScreen())

    def tell(self, text: object, severity: "SeverityLevel" = "information", timeout: float = 8.0) -> None:
        """A toast. Text from outside is shown, and is never markup."""
        self.notify(say(text, 600), severity=severity, timeout=timeout, markup=False)

    @property
    def asking(self) -> bool:
        """A question is open: a confirmation or a form. Nothing else may happen until it is answered."""
        from screens.widgets.aside import harmless

        return any(isinstance(s, ModalScreen) and not harmless(s) for s in self.screen_stack)

    def after_question(self, then: Callable[[], object]) -> None:
        """Call `then` once no question is open any more."""
        self._later.append(then)

    def question_answered(self) -> None:
        """A screen of the console is in front again: what waited for that goes on."""
        while self._later and not self.asking:
            self._later.pop(0)()

    def action_command_palette(self) -> None:
        if self.asking:
            self.tell("Answer the question first, or leave it with escape.", "warning")
            return
        super().action_command_palette()

    def action_help(self) -> None:
        from screens.help import HelpScreen

        if isinstance(self.screen, ConsoleScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_help_quit(self) -> None:
        self.tell("ctrl+c copies and stops nothing. Leave the console with q; a run goes on without it.")

    async def action_quit(self) -> None:
        """Leave, but never out of an open question, and from a live run only when that is meant."""
        if self.asking:
            self.tell("Answer the question first, or leave it with escape. Nothing was done.", "warning")
            return
        warnings = [s.quit_warning for s in self.screen_stack if isinstance(s, ConsoleScreen) and s.quit_warning]
        warnings += [one.quit_warning for one in self.doing if one.going]
        if not warnings:
            self.exit(return_code=0)
            return
        from screens.leave import LeaveScreen

        self.push_screen(LeaveScreen(warnings[-1]), lambda leave: self.exit(return_code=0) if leave else None)

    # Failing.

    def _handle_exception(self, error: Exception) -> None:
        # Textual's own shows every local variable, secrets included, and lets an error render itself.
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._fatal_error()

    def _fatal_error(self) -> None:
        from screens.crash import say_crash, write_report

        error = self._exception
        if error is not None and not self._exit_renderables:
            text = Text(say_crash(error, write_report(error, self.data_dir)))
            self._exit_renderables.append(Segments(self.console.render(text, self.console.options)))
        self._close_messages_no_wait()

    @property
    def data_dir(self) -> Path:
        """Where reports and logs go."""
        if self._data_dir is None:
            import platformdirs

            self._data_dir = platformdirs.user_data_path("opsconsole")
        return self._data_dir


def run_app(
    remembered: Board,
    build: "Callable[[], Console]",
    *,
    environment: str,
    danger: bool,
    read_only: bool,
    local_zone: str,
    operator: str,
    data_dir: Path | None = None,
    views: Mapping[str, str] | None = None,
    loud: Loud | None = None,
) -> int:
    """Run the screens until they are left; the exit code (129 and 143 after SIGHUP and SIGTERM)."""
    app = OpsConsoleApp(
        remembered,
        build,
        environment=environment,
        danger=danger,
        read_only=read_only,
        local_zone=local_zone,
        operator=operator,
        data_dir=data_dir,
        views=views,
        loud=loud,
    )
    app.run()
    return app.return_code or 0
