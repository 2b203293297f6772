"""The form for a decision that can be undone: what it is about, and a reason."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from screens.safe import safe


class ReasonForm(ModalScreen[str | None]):
    """Dismissed with the reason, or None. `lines` are read above it, each with its label."""

    CSS_PATH = "forms.tcss"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def __init__(self, title: str, lines: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__()
        self.form_title, self.lines = title, lines

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(self.form_title, 200, "bold"), id="title")
            for label, text in self.lines:
                yield Static(safe(f"{label:<12}", 20, "dim").append_text(safe(text, 300)), classes="line")
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
        self.query_one("#go").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        if reason := self.query_one("#reason", Input).value.strip():
            self.dismiss(reason)
        else:
            self.query_one("#state", Static).update("Say in a few words why.")
            self.query_one("#reason").focus()
