"""Leaving the console while a run is on screen: asked once, for leaving never ends a run."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.safe import safe


class LeaveScreen(ModalScreen[bool]):
    """True when the operator means to leave."""

    DEFAULT_CSS = """
    LeaveScreen { align: center middle; }
    LeaveScreen > Vertical {
        width: 72; max-width: 95%; height: auto; padding: 1 2; background: $panel; border: solid $panel-lighten-2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "leave", show=False),
        Binding("n,escape", "answer(False)", "stay", show=False),
    ]

    def __init__(self, warning: str) -> None:
        super().__init__()
        self._warning = warning

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(safe(self._warning, 400, "bold"))
            yield Static(safe("\nLeave the console?   y leave   n or esc stay", lines=True))

    def action_answer(self, leave: bool) -> None:
        self.dismiss(leave)
