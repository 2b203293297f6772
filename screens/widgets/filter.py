"""The line in which a filter is typed. Imported when first asked for: most nights nobody does."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.widgets import Input

if TYPE_CHECKING:
    from screens.board import BoardScreen


class Filter(Input):
    """Narrows the board as it is typed; enter keeps the filter and goes back to the list, escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "to_list", "to the list", show=False),
    ]

    def __init__(self, text: str) -> None:
        super().__init__(text, placeholder="filter: words that must occur, !word must not", compact=True)

    @property
    def _board(self) -> "BoardScreen":
        return cast("BoardScreen", self.screen)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._board.narrow(self.value)

    async def action_to_list(self) -> None:
        board = self._board
        await self.remove()
        board.action_to_list()
