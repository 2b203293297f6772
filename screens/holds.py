"""Who holds what. A hold keeps everybody from sending, by hand too; a run that is going isn't stopped by it."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from opsconsole import actions
from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.observation import Hold
from opsconsole.schedule import say_instant
from screens.base import ConsoleScreen, registry_bindings
from screens.forms import ReasonForm
from screens.safe import safe
from screens.work import in_thread

EVERYTHING = "everything"


class HoldsScreen(ConsoleScreen):
    """All holds that any source tells of; `h` and `H` hold and release everything, `enter` releases one."""

    PLACE = Place.EVERYWHERE
    KEYS = (("h", "hold everything"), ("H", "release everything"), ("enter", "release this"))
    CSS_PATH = "holds.tcss"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("h", "everything(False)", "hold everything", show=False),
        Binding("H", "everything(True)", "release everything", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.holds: tuple[Hold, ...] = ()

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", "holds")

    def body(self) -> ComposeResult:
        yield Static("", id="summary")
        table: DataTable[Text] = DataTable(id="holds", cursor_type="row")
        for name, width in (("SCOPE", 28), ("BY", 14), ("SINCE", 20), ("WHERE", 14)):
            table.add_column(name, width=width)
        table.add_column("WHY")
        yield table

    def on_mount(self) -> None:
        super().on_mount()
        self.board_changed(self.ops.board)

    def board_changed(self, board: Board) -> None:
        found = {hold for verdict in board.verdicts for o in verdict.observations for hold in o.holds}
        holds = tuple(sorted(found, key=lambda h: (h.scope != EVERYTHING, h.scope, h.where)))
        whole = any(hold.scope == EVERYTHING for hold in holds)
        words = (
            "Everything is held: nobody may send." if whole else f"{len(holds)} holds." if holds else "No holds."
        )
        self.query_one("#summary", Static).update(safe(f" {words}", style="bold"))
        if holds == self.holds:
            return
        self.holds = holds
        table, now = self.query_one(DataTable), self.ops.now()
        table.clear()
        for hold in holds:
            since = say_instant(hold.at, self.ops.local_zone, now) if hold.at else "not known"
            cells = ((hold.scope, 28), (hold.by or "nobody known", 14), (since, 20), (hold.where, 14))
            table.add_row(*(safe(text, limit) for text, limit in cells), safe(hold.reason, 300))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Release the hold under the cursor, where it can be released from here."""
        event.stop()
        if 0 <= event.cursor_row < len(self.holds):
            scope = self.holds[event.cursor_row].scope
            if scope == EVERYTHING:
                self.action_everything(True)
            else:
                self.ops.perform("release", scope)

    def action_everything(self, release: bool) -> None:
        action = actions.BY_ID["release" if release else "hold"]
        if reason := actions.authorize(action, self.console.context()):
            self.ops.tell(reason, "warning")
            return
        title = "Release the hold on everything" if release else "Hold everything: nobody may send anything"

        def answered(answer: tuple[str, str] | None) -> None:
            if answer is not None:
                in_thread(
                    self,
                    lambda: self.console.hold_scope("everything", release, answer[0]),
                    lambda _: self.ops.tell(f"{'Released' if release else 'Held'}: everything. Recorded."),
                    lambda error: self.ops.tell(error, "error"),
                )

        self.ops.push_screen(ReasonForm(title), answered)
