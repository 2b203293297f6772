"""Who and what may act on each system: keys, roles, files and credentials, never what is in them."""

from datetime import datetime
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from opsconsole.access import SystemAccess, say_rest
from opsconsole.actions import Place
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe
from screens.widgets.rows import DANGER, DIM
from screens.work import in_thread


class AccessScreen(ConsoleScreen):
    """Every system is asked by itself, once, and shown when it has answered; `R` asks again."""

    PLACE = Place.EVERYWHERE
    KEYS = (("R", "ask again"),)
    CSS_PATH = "access.tcss"
    AUTO_FOCUS = "VerticalScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("R", "look", "ask again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, SystemAccess | None] = {}

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", "access")

    def body(self) -> ComposeResult:
        with VerticalScroll(id="part"):
            yield Static(Text(" Asking …", DIM), id="words")

    def on_mount(self) -> None:
        super().on_mount()
        self.action_look()

    def action_look(self) -> None:
        """Ask every system that isn't being asked already."""
        for name in self.console.access_names():
            if name in self.told and self.told[name] is None:
                continue
            self.told[name] = None
            in_thread(self, partial(self.console.access, name), self._answered, name=f"access-{name}")
        self._show()

    def _answered(self, told: SystemAccess) -> None:
        self.told[told.name] = told
        self._show()

    def _show(self) -> None:
        self.query_one("#words", Static).update(say_access(self.told, self.ops.now()))


def say_access(told: dict[str, SystemAccess | None], now: datetime) -> Text:
    """The whole screen as text: systems with trouble first, those that haven't answered last."""
    if not told:
        return Text(" No system here can tell who may act on it.", DIM)
    text = Text()
    for name in sorted(told, key=lambda name: _rank(told[name])):
        if text:
            text.append("\n")
        _system(text, name, told[name], now)
    return text


def _rank(system: SystemAccess | None) -> tuple[bool, bool]:
    return (system is None, not (system and (system.trouble or system.wrong)))


def _system(text: Text, name: str, system: SystemAccess | None, now: datetime) -> None:
    text.append_text(safe(name, 60, "bold"))
    if system is None:
        text.append("  asking …\n", DIM)
        return
    if system.trouble:
        text.append("\n").append_text(safe(f"✖ {system.trouble}", 800, DANGER)).append("\n")
        return
    text.append_text(safe(f"  {system.summary}", 100, DIM)).append("\n")
    for heading, entries in system.sections():
        text.append_text(safe(f"  {heading}", 40, "bold")).append("\n")
        for entry in entries:
            text.append("  ").append_text(safe("✖ " if entry.trouble else "  ", 2, DANGER))
            text.append_text(safe(entry.name, 80, "bold" if entry.trouble else ""))
            if entry.trouble:
                text.append("  ").append_text(safe(entry.trouble, 400, DANGER))
            text.append("\n      ").append_text(safe(say_rest(entry, now), 600, DIM)).append("\n")
