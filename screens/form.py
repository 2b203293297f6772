"""What all forms share: how they are left, and how they end."""

from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from screens.safe import safe

T = TypeVar("T")


class Form(ModalScreen[T | None]):
    """Dismissed with what was filled in, or None. `go()` is the subclass's."""

    CSS_PATH = "forms.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def ending(self, go: str = "Do it", note: str = "tab or enter goes on") -> ComposeResult:
        """A line for what is wrong, the buttons, and how to go on."""
        yield Static("", id="state")
        with Horizontal(id="buttons"):
            yield Button("Cancel", id="cancel", compact=True)
            yield Button(go, id="go", variant="primary", compact=True)
        yield Static(f"{note} · escape leaves, nothing done", classes="note")

    def complain(self, text: str, field: str) -> None:
        """Say what is wrong, and go where it can be mended."""
        self.query_one("#state", Static).update(safe(text, 400))
        self.query_one(field).focus()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        self.dismiss(None)
