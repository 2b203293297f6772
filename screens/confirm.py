"""The two steps before something destructive: read what will happen, then type what it is about."""

from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from opsconsole.safety import Confirmation
from screens.deliberate import DeliberateButton, Guard, TypedInput
from screens.safe import safe

PASTED = "Pasted text is not taken. Type it, key by key."


class ConfirmScreen(ModalScreen[tuple[str, str] | None]):
    """Dismissed with (what was typed, the reason), or None. Cancel has the focus; escape always cancels."""

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", show=False),
        Binding("up", "scroll(-1)", "up", show=False),
        Binding("down", "scroll(1)", "down", show=False),
        Binding("left", "app.focus_previous", "before", show=False),
        Binding("right", "app.focus_next", "next", show=False),
    ]

    def __init__(self, confirmation: Confirmation) -> None:
        super().__init__()
        self.confirmation = confirmation
        self.guard = Guard()
        self.step = 1

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="danger" if self.confirmation.danger else ""):
            with Vertical(id="reading", classes="step"):
                yield from self._reading()
            with Vertical(id="typing", classes="step"):
                yield from self._typing()

    def on_mount(self) -> None:
        self._show(1)

    def _show(self, step: int) -> None:
        self.step = step
        self.query_one("#reading").display = step == 1
        self.query_one("#typing").display = step == 2
        self.query_one("#cancel" if step == 1 else "#typed").focus()
        # The guard's clock is the events' own: an event is made when its key arrives.
        self.guard.open(Message().time)

    # Step 1: what will happen.

    def _reading(self) -> ComposeResult:
        confirmation = self.confirmation
        yield Static(self._title(1), classes="title")
        with VerticalScroll(id="lines", can_focus=False):
            for label, text in confirmation.lines:
                with Horizontal(classes="line"):
                    yield Label(safe(label), classes="label")
                    yield Static(safe(text, 600), classes="text")
            for warning in confirmation.warnings:
                yield Static(Text("! ", "bold").append_text(safe(warning, 600)), classes="warning")
        with Horizontal(classes="buttons"):
            yield DeliberateButton("Cancel", id="cancel", compact=True)
            yield DeliberateButton("Go on …", id="on", compact=True)
        yield Static("tab chooses · enter presses · escape leaves, nothing done", classes="note")

    # Step 2: type what it is about.

    def _typing(self) -> ComposeResult:
        confirmation = self.confirmation
        yield Static(self._title(2), classes="title")
        yield Static("To go ahead, type exactly:", classes="ask")
        yield Static(safe(confirmation.phrase, style="bold"), id="phrase")
        yield TypedInput(id="typed", placeholder="type it here")
        asked = "Why? A reason is needed, and recorded:" if confirmation.needs_reason else "Why? (recorded)"
        yield Static(asked, classes="ask")
        yield TypedInput(id="reason", placeholder="a few words")
        yield Static("", id="state")
        with Horizontal(classes="buttons"):
            yield DeliberateButton("Cancel", id="back", compact=True)
            yield DeliberateButton(safe(confirmation.title), id="go", variant="error", compact=True, disabled=True)
        yield Static("tab chooses · enter presses a button · escape leaves, nothing done", classes="note")

    def _title(self, step: int) -> Text:
        colour = "bold white on #b3261e" if self.confirmation.danger else "bold black on #7fb3d5"
        title = safe(f" {self.confirmation.environment} ", 40, colour)
        return (
            title.append("  ")
            .append_text(safe(self.confirmation.title, 120, "bold"))
            .append(f"   {step} of 2", "dim")
        )

    # What is done.

    @on(Button.Pressed, "#cancel, #back")
    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#on")
    def go_on(self) -> None:
        if self.step == 1:
            self._show(2)

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        if self.step == 2 and not self._missing():
            self.dismiss((self._value("typed"), self._value("reason")))

    @on(Input.Changed)
    def judge(self) -> None:
        """The last button can be pressed only while the phrase stands there, exactly."""
        missing = self._missing()
        self.query_one("#go", Button).disabled = bool(missing)
        self._say(missing if self._value("typed") else "")

    @on(TypedInput.Pasted)
    def refuse_paste(self) -> None:
        self._say(PASTED)
        self.call_after_refresh(self._say, PASTED)  # behind the word on the input's change

    def on_paste(self, event: events.Paste) -> None:
        event.stop()

    def action_scroll(self, by: int) -> None:
        for lines in self.query("#lines"):
            lines.scroll_relative(y=by, animate=False)

    def _missing(self) -> str:
        confirmation = self.confirmation
        if self._value("typed") != confirmation.phrase:
            return f"Not yet the same as {confirmation.phrase}"
        if confirmation.needs_reason and not self._value("reason").strip():
            return "A reason is needed."
        return ""

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _say(self, text: str) -> None:
        self.query_one("#state", Static).update(safe(text, 200))
