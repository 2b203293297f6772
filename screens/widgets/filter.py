"""The lines in which a filter is typed and named. Imported when first asked for: most nights nobody does."""

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input

from opsconsole.filters import KEYS, completed
from screens.safe import safe
from screens.widgets.line import Line
from screens.widgets.rows import CAUTION, DIM

if TYPE_CHECKING:
    from screens.board import BoardScreen

HINTS = f"{' '.join(f'{key}:' for key in KEYS)} !not  → completes  ctrl+s saves"


class Note(Line):
    """What is wrong with what was typed, else what may be."""

    wrong = ""
    hint = ""

    def words(self, width: int) -> Text:
        text = safe(f" ! {self.wrong}", 400, CAUTION) if self.wrong else safe(f" {self.hint}", 400, DIM)
        text.truncate(width, overflow="ellipsis")
        return text

    def say(self, wrong: str) -> None:
        self.wrong = wrong
        self.refresh_words()


class Field(Input):
    """One line of typing that the board listens to."""

    @property
    def listener(self) -> "BoardScreen":
        return cast("BoardScreen", self.screen)


class FilterField(Field):
    """Narrows the board as it is typed; enter keeps the filter and goes back to the list, escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "to_list", "to the list", show=False),
    ]

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.listener.narrow(self.value)

    def action_to_list(self) -> None:
        self.listener.leave_filter()


class Completions(Suggester):
    """The words of the language, and those of the board as it is now."""

    def __init__(self, board: "BoardScreen") -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._of = board

    async def get_suggestion(self, value: str) -> str | None:
        return completed(value, self._of.ops.board.verdicts) or None


class Filter(Vertical):
    """The field, and a line under it that says how it is read."""

    DEFAULT_CSS = "Filter { height: 2; }"

    def __init__(self, text: str, board: "BoardScreen") -> None:
        super().__init__()
        self._text, self._of = text, board

    def compose(self) -> ComposeResult:
        yield FilterField(
            self._text, placeholder="words, or status:overdue", suggester=Completions(self._of), compact=True
        )
        note = Note()
        note.hint = HINTS
        yield note


class NameField(Field):
    """Asks for the name of a view; enter saves it."""

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    async def action_submit(self) -> None:
        self.listener.save_view_as(self.value.strip())


class Naming(Vertical):
    """The field for a view's name, and a line under it that says what it is or why it can't be."""

    DEFAULT_CSS = "Naming { height: 2; }"

    def __init__(self, query: str) -> None:
        super().__init__()
        self._query = query

    def compose(self) -> ComposeResult:
        yield NameField(placeholder="a name for this view", max_length=40, compact=True)
        note = Note()
        note.hint = f"enter saves '{self._query}' under this name, escape leaves"
        yield note
