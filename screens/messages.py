"""What threads tell the screens: one typed message for each kind of news."""

from typing import TYPE_CHECKING

from textual.message import Message

from opsconsole.board import Board

if TYPE_CHECKING:
    from opsconsole.console import Console


class ConsoleReady(Message):
    """The console is built and has begun to watch its sources."""

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self.console = console


class BoardChanged(Message):
    """A newer board; the newest one replaces those that still wait."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board = board

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, BoardChanged)


class Failed(Message):
    """Work in a thread ended with an error nobody else took."""

    def __init__(self, what: Exception) -> None:
        super().__init__()
        self.what = what
