"""What can be done to the systems beside a run: the list, with what speaks against each, and the questions."""

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.ports import Operation
from screens.asking import Answer, Question, ask, show, work
from screens.base import ConsoleScreen, registry_bindings
from screens.doing import Doing
from screens.form import Form
from screens.safe import safe
from screens.whereabouts import whereabouts
from screens.widgets.rows import CAUTION, DANGER, DIM
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.operations import Offered
    from screens.app import OpsConsoleApp


ASK_AGAIN_AFTER = 10.0  # seconds


class OperationsScreen(ConsoleScreen):
    """Those about `slug`, or about no single campaign. Enter asks for one, or goes to one that is under way."""

    PLACE = Place.EVERYWHERE
    KEYS = (("enter", "choose"),)
    CSS_PATH = "operations.tcss"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [*registry_bindings(Place.EVERYWHERE)]

    def __init__(self, slug: str = "") -> None:
        super().__init__(slug)
        self.found: Offered | None = None
        self.entries: tuple[Operation | Doing, ...] = ()
        self._trouble, self._looked = "", 0.0

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", *([self._slug] if self._slug else []), "operations")

    def body(self) -> ComposeResult:
        yield Static(Text(" Asking what can be done …", DIM), id="summary")
        yield OptionList(id="operations")
        yield Static("", id="unread")

    def board_changed(self, board: Board) -> None:
        if time.monotonic() - self._looked > ASK_AGAIN_AFTER:  # asking costs the systems something
            self.look()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.look()

    def look(self) -> None:
        self._looked = time.monotonic()
        work = partial(self.console.operations, self._slug)
        in_thread(self, work, self._got, self._failed, name="operations-look")

    def _failed(self, error: Exception) -> None:
        self._trouble = str(error)
        self._paint()

    def _got(self, offered: "Offered") -> None:
        self.found, self._trouble = offered, ""
        going = tuple(one for one in self.ops.doing if one.going and one.operation.slug in ("", self._slug))
        entries: tuple[Operation | Doing, ...] = (*going, *offered.operations)
        if entries != self.entries:
            self.entries = entries
            self._fill()
        self._paint()

    def _fill(self) -> None:
        """The cursor stays on what it was on."""
        listed = self.query_one(OptionList)
        here = listed.highlighted
        before = listed.get_option_at_index(here).id if here is not None else None
        listed.clear_options()
        for entry in self.entries:
            option = Option(say_entry(entry), id=_id(entry))
            listed.add_option(option)
        again = [n for n, entry in enumerate(self.entries) if _id(entry) == before]
        listed.highlighted = again[0] if again else 0 if self.entries else None

    def _paint(self) -> None:
        about = self._slug or "the systems, and no single campaign"
        words = f" What can be done about {about}" if self.entries else f" Nothing is offered about {about}."
        self.query_one("#summary", Static).update(safe(words, 200, "bold"))
        unread = self.found.unread if self.found else ()
        lines = [f"✖ {self._trouble}"] if self._trouble else []
        lines += [f"✖ {name} can't be asked now: {why}" for name, why in unread]
        if self._slug and not lines:
            lines.append("What is about no single campaign: the same key on the board.")
        style = DANGER if self._trouble or unread else DIM
        self.query_one("#unread", Static).update(safe("\n".join(lines), 1200, style, lines=True))

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        entry = self.entries[event.option_index]
        if isinstance(entry, Doing):
            from screens.operation import OperationScreen

            show(self.ops, OperationScreen(entry))
        elif entry.against:
            self.ops.tell(f"{entry.label}: {entry.against}", "warning")
        elif entry.asks:
            if not self.ops.asking:
                self.ops.push_screen(ValueForm(entry), partial(_asked, self.ops, entry))
        else:
            _asked(self.ops, entry, "")


class ValueForm(Form[str]):
    """Dismissed with the value that an operation asks for, or None."""

    AUTO_FOCUS = "#value"

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.operation = operation

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(self.operation.label, 200, "bold"), id="title")
            for label, text in self.operation.lines:
                yield Static(safe(f"{label:<12}", 20, "dim").append_text(safe(f" {text}", 300)), classes="line")
            yield Static(safe(f"{self.operation.asks}:", 300), classes="ask")
            yield Input(id="value", compact=True)
            yield from self.ending("Go on")

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#go").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        if value := self.query_one("#value", Input).value.strip():
            self.dismiss(value)
        else:
            self.complain("A value is needed.", "#value")


def _asked(ops: "OpsConsoleApp", operation: Operation, value: str | None) -> None:
    """The two questions, then the doing of it on a screen of its own."""
    if value is None:
        return
    console, wanted = ops.ops_console, value

    def put() -> Question:
        confirmation = console.confirm_operation(operation, wanted)
        return Question(confirmation, operation.slug, whereabouts(console, operation.source), ())

    def answered(answer: Answer) -> None:
        from screens.operation import OperationScreen

        if answer is None:
            ops.tell(f"Nothing was done: {operation.label} was not confirmed.")
            return
        doing = Doing(operation, wanted)
        if doing.start(ops, *answer):
            show(ops, OperationScreen(doing))

    work(ops, f"{operation.source}: {operation.label}", put, lambda asked: ask(ops, asked, answered))


def _id(entry: Operation | Doing) -> str:
    """Such as an option may have: what a system calls its operations may hold anything."""
    if isinstance(entry, Doing):
        return f"doing-{id(entry)}"
    return f"at-{entry.source}/{entry.id}/{entry.slug}"


def say_entry(entry: Operation | Doing) -> Text:
    """One entry of the list, in a few lines."""
    if isinstance(entry, Doing):
        return Text("▶ ", CAUTION).append_text(safe(f"under way: {entry.operation.label}", 200, "bold"))
    dim = DIM if entry.against else ""
    number = f"  {entry.count:,} concerned" if entry.count is not None else ""
    text = Text("– " if entry.against else "  ", DIM).append_text(safe(entry.label, 120, dim or "bold"))
    text.append_text(safe(f"  {entry.source}", 60, DIM)).append(number, dim)
    for label, line in entry.lines:
        text.append("\n    ").append_text(safe(f"{label:<14}", 30, DIM)).append_text(safe(line, 240, dim))
    if entry.asks:
        text.append("\n    ").append_text(safe(f"asks for      {entry.asks}", 240, DIM))
    if entry.against:
        text.append("\n    ").append_text(safe(f"not now: {entry.against}", 400, CAUTION))
    return text
