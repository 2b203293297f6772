"""What threads tell the screens: one typed message for each kind of news."""

from typing import TYPE_CHECKING

from textual.message import Message

from opsconsole.board import Board
from opsconsole.observation import Hold
from opsconsole.verdict import Group

if TYPE_CHECKING:
    from opsconsole.attention import Transition
    from opsconsole.console import Console


class ConsoleReady(Message):
    """The console is built and has begun to watch its sources."""

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self.console = console


class Known:
    """A board with what every screen asks of it, worked out once, in the thread that made the board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.by_slug = {v.slug: v for v in board.verdicts}
        self.counts = board.counts()
        self.wide_holds = _wide_holds(board)
        self.unresolved = [
            (v.slug, intents)
            for v in board.verdicts
            if (intents := [i for o in v.observations for i in o.open_intents]) and v.group is not Group.IN_FLIGHT
        ]


def _wide_holds(board: Board) -> tuple[Hold, ...]:
    """Those on everything or on a host, one for each scope."""
    found: dict[str, Hold] = {}
    for verdict in board.verdicts:
        for hold in (hold for o in verdict.observations for hold in o.holds):
            if hold.scope != verdict.slug:
                found.setdefault(hold.scope, hold)
    return tuple(found[scope] for scope in sorted(found, key=lambda scope: (":" in scope, scope)))


class BoardChanged(Message):
    """A newer board; the newest one replaces those that still wait. Make it off the loop: it is work."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.known = Known(board)

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, BoardChanged)


class Alarmed(Message):
    """Campaigns that came to need attention since the last board, or no longer do; often none."""

    def __init__(self, changes: "tuple[Transition, ...]") -> None:
        super().__init__()
        self.changes = changes


class Failed(Message):
    """Work in a thread ended with an error nobody else took."""

    def __init__(self, what: Exception) -> None:
        super().__init__()
        self.what = what
