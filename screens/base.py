"""What every screen has: the header, the way here, the banners, its keys, and the one way to perform an action."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from opsconsole.actions import BY_ID, Action, Place, offered
from opsconsole.board import Board
from screens.widgets.banner import Banner
from screens.widgets.crumbs import Crumbs
from screens.widgets.header import HeaderLine
from screens.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from opsconsole.console import Console
    from screens.app import OpsConsoleApp


Command = tuple[str, str, Callable[[], object]]
"""For the palette: a name, what it does, and the doing."""


def registry_bindings(place: Place) -> list[BindingType]:
    """The keys of a place, from the registry. Spread them into a screen's BINDINGS."""
    return action_bindings(offered(place))


def action_bindings(chosen: Iterable[Action]) -> list[BindingType]:
    return [
        Binding(action.key, f"perform('{action.id}')", action.label, tooltip=action.tooltip, show=False)
        for action in chosen
    ]


class ConsoleScreen(Screen[None]):
    """A full screen of the console.

    A subclass gives PLACE (with `*registry_bindings(PLACE)` in its BINDINGS) or OFFERED (the ids of its actions),
    KEYS (its own keys for the footer and the help page), `crumbs`, `body` and, when it shows what the board says,
    `board_changed`.
    """

    PLACE: ClassVar[Place] = Place.EVERYWHERE
    OFFERED: ClassVar[tuple[str, ...]] = ()
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "back", show=False)]

    def __init__(self, slug: str = "") -> None:
        super().__init__()
        self._slug = slug
        self._board: Board | None = None

    @property
    def ops(self) -> "OpsConsoleApp":
        return cast("OpsConsoleApp", self.app)

    @property
    def console(self) -> "Console":
        """The console. Raises RuntimeError in the first moments, before it is built."""
        return self.ops.ops_console

    @property
    def slug(self) -> str:
        """The campaign that keys act on; "" when there is none."""
        return self._slug

    @property
    def crumbs(self) -> tuple[str, ...]:
        """The way here, from the board; () shows no line."""
        return ("board", self._slug) if self._slug else ("board",)

    @property
    def offered(self) -> tuple[Action, ...]:
        """The actions whose keys work here."""
        return tuple(BY_ID[name] for name in self.OFFERED) or offered(self.PLACE)

    def disabled_reason(self, action_id: str) -> str:
        """Why this key does nothing here and now; "" when it works."""
        return self.ops.disabled_reason(action_id, self.slug)

    @property
    def quit_warning(self) -> str:
        """What must be said before the console is left from here; "" lets it go without a question."""
        return ""

    def commands(self) -> Iterable[Command]:
        """What the palette offers here besides the actions."""
        return ()

    def compose(self) -> ComposeResult:
        yield HeaderLine()
        yield Crumbs()
        yield Banner()
        yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        yield from ()

    def on_mount(self) -> None:
        """The first words come with ScreenResume, once there is a size to fit them into."""

    def on_screen_resume(self) -> None:
        self.freshen()
        if self._board is not self.ops.board:
            self.take_board(self.ops.board)
        self.ops.question_answered()

    def take_board(self, board: Board) -> None:
        """Show a newer board, now that this screen is the one in front."""
        self._board = board
        self.freshen()
        self.board_changed(board)

    def freshen(self) -> None:
        """Bring header, banners and keys up to date; cheap, and paints only what changed."""
        for part in self.query("HeaderLine, Crumbs, Banner, KeyBar"):
            part.refresh_words()  # type: ignore[attr-defined]

    def board_changed(self, board: Board) -> None:
        """A newer board is known, and this screen is the one in front."""

    def action_perform(self, action_id: str) -> None:
        self.ops.perform(action_id, self.slug)

    def action_back(self) -> None:
        self.dismiss()
