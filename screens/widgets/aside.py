"""Screens that lie over another and ask nothing: help, a notice, the command palette."""

from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen, SystemModalScreen
from textual.widgets import Static


class Aside(ModalScreen[None]):
    """A text to be read; every usual key of leaving leaves it, and nothing but reading can happen in it."""

    DEFAULT_CSS = """
    Aside { align: center middle; }
    Aside > VerticalScroll {
        width: 90%; max-width: 104; height: auto; max-height: 90%;
        padding: 0 1; background: $panel; border: solid $panel-lighten-2;
    }
    Aside.danger > VerticalScroll { border: solid #ff6b60; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "back", show=False),
    ]

    def __init__(self, text: RenderableType, danger: bool = False) -> None:
        super().__init__()
        self._text = text
        self.set_class(danger, "danger")

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text)

    def action_leave(self) -> None:
        self.dismiss()


def harmless(screen: Screen[object]) -> bool:
    """It asks nothing, so leaving the console under it cuts nothing off."""
    return isinstance(screen, Aside | SystemModalScreen)
