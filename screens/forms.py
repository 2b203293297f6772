"""The form for a decision that can be undone: what it is about, and a reason."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input, Static

from screens.form import Form
from screens.safe import safe


class ReasonForm(Form[str]):
    """Dismissed with the reason, or None. `lines` are read above it, each with its label."""

    AUTO_FOCUS = "Input"

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
            yield from self.ending()

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#go").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        if reason := self.query_one("#reason", Input).value.strip():
            self.dismiss(reason)
        else:
            self.complain("Say in a few words why.", "#reason")
