"""Who holds what. A hold keeps everybody from sending, by hand too; a run that is going isn't stopped by it."""

from typing import ClassVar

from rich.text import Text
from textual import events
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
from screens.widgets.rows import CAUTION
from screens.work import in_thread

EVERYTHING, HOST = "everything", "host:"


class HoldsScreen(ConsoleScreen):
    """All holds that any source tells of; `h` and `H` hold and release everything, `b` and `B` one system (`]`
    the next), `enter` releases the one under the cursor."""

    PLACE = Place.EVERYWHERE
    KEYS = (
        ("h", "hold everything"),
        ("H", "release everything"),
        ("b", "hold system"),
        ("B", "release system"),
        ("enter", "release this"),
    )
    CSS_PATH = "holds.tcss"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("h", "hold(False)", "hold everything", show=False),
        Binding("H", "hold(True)", "release everything", show=False),
        Binding("b", "hold_host(False)", "hold system", show=False),
        Binding("B", "hold_host(True)", "release system", show=False),
        Binding("right_square_bracket", "next_host", "next system", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.holds: tuple[Hold, ...] = ()
        self.untold: tuple[str, ...] = ()
        self._host = 0
        self._width = 0

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", "holds")

    def body(self) -> ComposeResult:
        yield Static("", id="summary")
        yield DataTable(id="holds", cursor_type="row")
        yield Static("", id="why")
        yield Static("", id="untold")

    def on_mount(self) -> None:
        super().on_mount()
        self.board_changed(self.ops.board)

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def board_changed(self, board: Board) -> None:
        found = {hold for verdict in board.verdicts for o in verdict.observations for hold in o.holds}
        holds = tuple(sorted(found, key=lambda h: (h.scope != EVERYTHING, not h.scope.startswith(HOST), h.scope)))
        changed, self.holds = holds != self.holds, holds
        if changed:
            self._fill()
        self._say()
        if self.ops.console_ready:
            in_thread(self, self.console.untold_holds, self._told, lambda _: None, name="untold-holds")

    def _say(self) -> None:
        whole = any(hold.scope == EVERYTHING for hold in self.holds)
        words = (
            "Everything is held: nobody may send." if whole else f"{len(self.holds)} holds." if self.holds else ""
        )
        text = Text().append_text(safe(f" {words or 'No holds.'}", style="bold"))
        if host := self.host:
            others = "  ] next system" if len(self.console.carrier_names()) > 1 else ""
            text.append_text(safe(f"   b and B are about {host}{others}", 120, "dim"))
        self.query_one("#summary", Static).update(text)

    def _told(self, untold: tuple[str, ...]) -> None:
        self.untold = untold
        words = Text("\n").join([safe(f" ! {sentence}", 400, CAUTION) for sentence in untold])
        self.query_one("#untold", Static).update(words)

    def _fill(self) -> None:
        """The table anew, every column as wide as there is room for."""
        if not self.size.width:
            return
        table, now, zone = self.query_one(DataTable), self.ops.now(), self.ops.local_zone
        rows = [
            (
                hold.scope,
                hold.by or "nobody known",
                say_instant(hold.at, zone, now) if hold.at else "not known",
                hold.where,
                hold.reason,
            )
            for hold in self.holds
        ]
        heads = ("SCOPE", "BY", "SINCE", "WHERE", "WHY")
        limits = (34, 16, 20, 28) if self.size.width >= 120 else (22, 10, 16, 15)
        widths = [max([len(heads[n]), *(min(len(row[n]), limits[n]) for row in rows)]) for n in range(4)]
        widths.append(max(self.size.width - sum(widths) - 2 * len(heads) - 2, 10))
        table.clear(columns=True)
        for head, width in zip(heads, widths, strict=True):
            table.add_column(head, width=width)
        if not rows:
            self.query_one("#why", Static).update("")
        for row in rows:
            table.add_row(*(safe(text, width) for text, width in zip(row, widths, strict=True)))

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """All of the hold under the cursor: a column may have cut it."""
        if 0 <= event.cursor_row < len(self.holds):
            hold = self.holds[event.cursor_row]
            text = safe(f" {hold.scope}, held by {hold.by or 'nobody known'} on {hold.where}: {hold.reason}", 600)
            self.query_one("#why", Static).update(text)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Release the hold under the cursor, where it can be released from here."""
        event.stop()
        if 0 <= event.cursor_row < len(self.holds):
            scope = self.holds[event.cursor_row].scope
            if scope == EVERYTHING or scope.startswith(HOST):
                self._ask(scope, release=True)
            else:
                self.ops.perform("release", scope)

    @property
    def host(self) -> str:
        """The carrier that `b` and `B` are about; "" when there is none."""
        names = self.console.carrier_names() if self.ops.console_ready else ()
        return names[self._host % len(names)] if names else ""

    def action_next_host(self) -> None:
        self._host += 1
        self._say()

    def action_hold(self, release: bool) -> None:
        self._ask(EVERYTHING, release)

    def action_hold_host(self, release: bool) -> None:
        if host := self.host:
            self._ask(f"{HOST}{host}", release)
        else:
            self.ops.tell("No system that sends is configured.", "warning")

    def _ask(self, scope: str, release: bool) -> None:
        action = actions.BY_ID["release" if release else "hold"]
        if reason := actions.authorize(action, self.console.context()):
            self.ops.tell(reason, "warning")
            return
        there = "" if scope == EVERYTHING else " there"
        title = f"Release the hold on {scope}" if release else f"Hold {scope}: nobody may send anything{there}"

        def held() -> None:
            self.ops.tell(f"{'Released' if release else 'Held'}: {scope}. Recorded.")
            for line in () if release else self.console.unkept_hold(scope):
                self.ops.tell(line, "warning", timeout=20.0)

        def answered(reason: str | None) -> None:
            if reason is not None:
                in_thread(
                    self,
                    lambda: self.console.hold_scope(scope, release, reason),
                    lambda _: held(),
                    lambda error: self.ops.tell(error, "error"),
                )

        self.ops.push_screen(ReasonForm(title), answered)
