"""The board: every campaign from every source, what needs somebody first."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from opsconsole import actions
from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.verdict import Group, Verdict
from screens.base import ConsoleScreen, registry_bindings
from screens.widgets.detail import Detail
from screens.widgets.rows import SORTS, arrange
from screens.widgets.table import CampaignTable, Heads
from screens.widgets.tabs import TABS, Tabs
from screens.work import in_thread


class BoardScreen(ConsoleScreen):
    """The first screen, and the last: leaving it leaves the console."""

    PLACE = Place.BOARD
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("/", "filter"), ("1-5", "groups"), ("< > = -", "sort"))
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.BOARD),
        Binding("slash", "filter", "filter", show=False),
        Binding("less_than_sign", "sort_next(-1)", "sort by the column before", show=False),
        Binding("greater_than_sign", "sort_next(1)", "sort by the column after", show=False),
        Binding("equals_sign", "sort_by('')", "the board's own order", show=False),
        Binding("minus", "reverse", "turn the order round", show=False),
        *(Binding(str(number), f"group({number})", str(group or "All")) for number, group in enumerate(TABS, 1)),
    ]
    CSS_PATH = "board.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._table = CampaignTable()
        self._group: Group | None = None
        self._text = self._sort = ""
        self._reverse = False
        self._turn = 0

    @property
    def slug(self) -> str:
        return self._table.slug

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ()

    def body(self) -> ComposeResult:
        # Filled before it is laid out: filled afterwards, everything would be painted twice.
        self._board = self.ops.board
        self._table.show(arrange(self._board, None, "", "", False), self.ops.now(), self._nothing())
        yield Tabs()
        yield Heads(self._table)
        yield self._table
        yield Detail()

    def on_mount(self) -> None:
        self._table.focus()

    def board_changed(self, board: Board) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Filter and sort in a thread; the newest wish wins."""
        self._turn += 1
        turn, board = self._turn, self.ops.board
        wish = (self._group, self._text, self._sort, self._reverse)

        def arranged(found: tuple[Verdict, ...]) -> None:
            if turn == self._turn:
                self._show(found)

        in_thread(self, lambda: arrange(board, *wish), arranged, name="arrange")

    def _show(self, found: tuple[Verdict, ...]) -> None:
        tabs, heads, before = self.query_one(Tabs), self.query_one(Heads), self.slug
        same = (tabs.chosen, tabs.text) == (self._group, self._text)
        tabs.chosen, tabs.text, tabs.found = self._group, self._text, len(found)
        heads.sort, heads.reverse = self._sort, self._reverse
        self._table.show(found, self.ops.now(), self._nothing())
        if same and before and self.slug != before and (gone := self.ops.get(before)):
            on = f"The cursor is on {self.slug} now" if self.slug else "Nothing is left"
            self.ops.tell(f"{before} is {gone.status} and left this list. {on}: look before you press.", "warning")
        self.freshen()

    def _nothing(self) -> str:
        if self._text:
            return f"No campaign here has '{self._text}'. Escape clears the filter."
        if not self.ops.board.sources:
            return "Asking every source for the first time…"
        return f"Nothing in {self._group or 'any source'}."

    def freshen(self) -> None:
        super().freshen()
        for part in self.query("Tabs, Heads, Detail"):
            part.refresh_words()  # type: ignore[attr-defined]

    @on(CampaignTable.Moved)
    def _moved(self) -> None:
        self.freshen()

    @on(CampaignTable.Opened)
    def _opened(self) -> None:
        self.action_perform("open")

    def on_resize(self) -> None:
        self.call_after_refresh(self.freshen)

    def action_perform(self, action_id: str) -> None:
        self.ops.perform(action_id, self.slug if actions.BY_ID[action_id].about_campaign else "")

    def action_group(self, number: int) -> None:
        self._group = TABS[number - 1]
        self._arrange()

    def action_sort_by(self, column: str) -> None:
        if column in SORTS:
            self._reverse = column == self._sort and column != "" and not self._reverse
            self._sort = column
            self._arrange()

    def action_sort_next(self, by: int) -> None:
        self._sort, self._reverse = SORTS[(SORTS.index(self._sort) + by) % len(SORTS)], False
        self._arrange()

    def action_reverse(self) -> None:
        self._reverse = not self._reverse
        self._arrange()

    async def action_filter(self) -> None:
        from screens.widgets.filter import Filter

        if found := self.query(Filter):
            found.first().focus()
            return
        entry = Filter(self._text)
        await self.mount(entry, before=self.query_one(Heads))
        entry.focus()

    def action_back(self) -> None:
        """Escape: clear the filter; when there is none, put away what was found at the start."""
        from screens.widgets.filter import Filter

        self.query(Filter).remove()
        self._table.focus()
        if self._text:
            self._text = ""
            self._arrange()
        else:
            self.ops.put_away_findings()

    def action_to_list(self) -> None:
        self._table.focus()

    def narrow(self, text: str) -> None:
        """Show only what matches `text`."""
        if text != self._text:
            self._text = text
            self._arrange()
