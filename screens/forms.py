"""The form for a decision that can be undone: a reason, and a new time where one is asked for."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from opsconsole.schedule import ScheduleError, resolve_due
from screens.safe import safe


class ReasonForm(ModalScreen[tuple[str, str] | None]):
    """Dismissed with (the reason, the local time as typed or ""), or None. `zone` is the campaign's."""

    CSS_PATH = "forms.tcss"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def __init__(self, title: str, *, ask_time: bool = False, zone: str = "") -> None:
        super().__init__()
        self.form_title, self.ask_time, self.zone = title, ask_time, zone

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(self.form_title, 200, "bold"), id="title")
            if self.ask_time:
                yield Static(safe(f"New due time, in {self.zone or 'a zone nobody named'}:"), classes="ask")
                yield Input(placeholder="2026-05-12 10:00", id="time", compact=True)
            yield Static("Why? (recorded)", classes="ask")
            yield Input(placeholder="a few words", id="reason", compact=True)
            yield Static("", id="state")
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Do it", id="go", variant="primary", compact=True)
            yield Static("tab or enter goes on · escape leaves, nothing done", classes="note")

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        (self.query_one("#reason") if event.input.id == "time" else self.query_one("#go")).focus()

    @on(Input.Changed)
    def judge(self) -> None:
        self._say(self._wrong_time() if self._value("time") else "")

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        wrong = self._wrong_time() or ("" if self._value("reason") else "Say in a few words why.")
        if wrong:
            self._say(wrong)
            self.query_one("#time" if self._wrong_time() else "#reason").focus()
        else:
            self.dismiss((self._value("reason"), self._value("time")))

    def _wrong_time(self) -> str:
        """Why the time can't be used: no time, or one that a change of the clocks skips or repeats."""
        if not self.ask_time:
            return ""
        if not self.zone:
            return "The campaign names no time zone, so a local time means nothing. Add timezone to its metadata."
        try:
            resolve_due(self._value("time"), self.zone)
        except ScheduleError as error:
            return str(error)
        return ""

    def _value(self, name: str) -> str:
        fields = self.query(f"#{name}").results(Input)
        return next((field.value.strip() for field in fields), "")

    def _say(self, text: str) -> None:
        self.query_one("#state", Static).update(safe(text, 400))
