"""The pre-flight: each check as it is answered, and how to mend what is wrong. Sends nothing."""

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from opsconsole.actions import Place
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM, PLAIN
from screens.work import deliver, in_thread

if TYPE_CHECKING:
    from opsconsole.preflight.check import Result

CHECK = 28  # cells; more where there is room and a title needs it
LOOKS = {"pass": ("✓", PLAIN), "warn": ("!", CAUTION), "fail": ("✖", DANGER), "skipped": ("–", DIM)}


class PreflightScreen(ConsoleScreen):
    """Runs the checks when opened; `p` runs them again, `d` goes on to the dry run."""

    PLACE = Place.CAMPAIGN
    KEYS = (("d", "dry run next"), ("n", "next trouble"))
    CSS_PATH = "preflight.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.CAMPAIGN),
        Binding("p", "again", "again", show=False),
        Binding("n", "next_trouble(1)", "next trouble", show=False),
        Binding("N", "next_trouble(-1)", "trouble before", show=False),
    ]

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.results: list[Result] = []
        self.running = False

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "pre-flight")

    def body(self) -> ComposeResult:
        yield Static("", id="summary")
        table: DataTable[Text] = DataTable(id="checks", cursor_type="row", cell_padding=1)
        table.add_column("", width=9)
        table.add_column("CHECK", width=CHECK)
        table.add_column("SAYS")
        yield table
        with VerticalScroll(id="detail", can_focus=False):
            yield Static("", id="more")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DataTable).focus()
        self.action_again()

    def action_again(self) -> None:
        if self.running:
            return
        self.running, self.results = True, []
        self.query_one(DataTable).clear()
        self._say_summary()
        in_thread(self, self._check, self._ended, self._failed, name="preflight")

    def _check(self) -> None:
        for result in self.console.preflight(self.slug):
            deliver(self, self.add, result)

    def add(self, result: "Result") -> None:
        """One more answer. The cursor goes to the first that forbids a send."""
        glyph, style = LOOKS[result.outcome]
        table = self.query_one(DataTable)
        self.results.append(result)
        room = 28 if self.size.width < 120 else 60
        column = table.ordered_columns[1]
        if (wanted := min(len(result.title), room)) > column.width:
            column.width = wanted
            table.refresh(layout=True)
        table.add_row(
            Text(f"{glyph} {result.outcome}", style), safe(result.title, room), safe(result.says, 200, style)
        )
        if result.blocks and sum(r.blocks for r in self.results) == 1:
            table.move_cursor(row=len(self.results) - 1)
        elif len(self.results) == 1:
            self._show(0)
        self._say_summary()

    def action_next_trouble(self, by: int) -> None:
        """To the next check that fails or warns, round and round; those that forbid a send are all failures."""
        table, count = self.query_one(DataTable), len(self.results)
        for step in range(1, count + 1):
            row = (table.cursor_row + by * step) % count
            if self.results[row].outcome in ("fail", "warn"):
                table.move_cursor(row=row)
                return
        self.ops.tell("Nothing fails and nothing warns." if count else "No check has answered yet.", timeout=3.0)

    def _ended(self, _: None) -> None:
        self.running = False
        self._say_summary()
        self.freshen()

    def _failed(self, error: Exception) -> None:
        self.running = False
        self.query_one("#summary", Static).update(safe(f" The pre-flight broke off: {error}", 600, DANGER))

    @on(DataTable.RowHighlighted)
    def look(self, event: DataTable.RowHighlighted) -> None:
        self._show(event.cursor_row)

    def _show(self, row: int) -> None:
        if not 0 <= row < len(self.results):
            return
        result = self.results[row]
        glyph, style = LOOKS[result.outcome]
        text = Text.assemble((f"{glyph} ", style)).append_text(safe(result.says, 600, "bold"))
        if result.blocks:
            text.append("  forbids a send", DANGER)
        for line in result.evidence:
            text.append("\n   ").append_text(safe(line, 400))
        if result.remedy:
            text.append("\n→ ", CAUTION).append_text(safe(result.remedy, 800))
        text.append("\n").append_text(safe(f"{result.topic} / {result.check_id}", 80, DIM))
        self.query_one("#more", Static).update(text)

    def _say_summary(self) -> None:
        counts = Counter(str(result.outcome) for result in self.results)
        text = Text(" ")
        for outcome, (glyph, style) in LOOKS.items():
            if counts[outcome]:
                text.append(f"{glyph} {counts[outcome]} {outcome}   ", style)
        blocking = sum(result.blocks for result in self.results)
        if self.running:
            text.append("checking …", DIM)
        elif blocking:
            text.append(f"{blocking} forbid a send: mend them, then p checks again", DANGER)
        else:
            text.append("nothing forbids a send: d goes on to the dry run", "bold")
        self.query_one("#summary", Static).update(text)
