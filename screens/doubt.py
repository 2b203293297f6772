"""A run that may not have reached everybody: what every source says of it, and a person's decision on the rest.

Looking changes nothing. Whatever is decided here is asked twice and recorded; the console refuses what must not be.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from opsconsole import actions
from opsconsole.actions import Action
from opsconsole.board import Board
from opsconsole.ports import Doubt, EveryUnknown, Fate, Fates, concerned
from screens import doubt_words as words
from screens.asking import ask, notice, question, work
from screens.base import ConsoleScreen, action_bindings
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM
from screens.work import in_thread

if TYPE_CHECKING:
    from screens.asking import Answer, Question

HERE = ("settle", "send-rest", "close", "release-claim", "attach", "refresh", "host", "audit")
WIDE, HIGH = 120, 30
NEXT_FATE = {None: Fate.SENT, Fate.SENT: Fate.RESEND, Fate.RESEND: None}


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the journal: whose it is, and when."""

    doubt: Doubt
    carrier: str
    at: datetime


class DoubtScreen(ConsoleScreen):
    """The newest run of `slug`. Marks are kept here until they are settled; leaving forgets them."""

    OFFERED = HERE
    KEYS = (("space", "mark"), ("*", "mark all"), ("l", "by the mail log"), ("⌫", "unmark"))
    AUTO_FOCUS = "DataTable"
    CSS_PATH = "doubt.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *action_bindings([actions.BY_ID[name] for name in HERE]),
        Binding("j", "step(1)", "down", show=False),
        Binding("k", "step(-1)", "up", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("asterisk", "mark_all", "mark all", show=False),
        Binding("l", "mark_proven", "mark by the log", show=False),
        Binding("backspace", "unmark", "unmark", show=False),
    ]

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.seen: Seen | None = None
        self.fates: dict[int, Fate] = {}
        self.every: Fate | None = None  # all are marked so, also those that aren't listed
        self.trouble = ""
        self.short = True  # no room to say it all
        self._looking = self._again = False
        self._columns: tuple[tuple[str, int], ...] = ()

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "who got it")

    def body(self) -> ComposeResult:
        yield Static("", id="head")
        with VerticalScroll(id="sides", can_focus=False):
            yield Static(Text(" Reading the journal and the mail log …", DIM), id="journal")
            yield Static("", id="maillog")
            yield Static("", id="others")
        yield DataTable(id="unknown", cursor_type="row", cell_padding=1)
        yield Static("", id="row")
        yield Static("", id="choices")

    def on_mount(self) -> None:
        super().on_mount()
        self.look()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.seen is not None:  # back from a send of the rest, say: the journal has moved on
            self.look()

    def on_resize(self, event: events.Resize) -> None:
        self.short = event.size.width < WIDE or event.size.height < HIGH
        self.set_class(not self.short, "wide")
        self.paint()
        self._fill()

    def board_changed(self, board: Board) -> None:
        self.paint()

    # Looking.

    def look(self) -> None:
        """Read the journal again. Marks stay on rows that are still unknown."""
        if self._looking:
            self._again = True  # what is being read may be from before that which asked for this look
            return
        self._looking = True
        in_thread(self, self._read, self._read_it, self._not_read, name="doubt")

    def _read(self) -> Seen:
        carrier = self.console.carrier_of(self.slug).name
        return Seen(self.console.doubt(self.slug), carrier, self.console.clock())

    def _read_it(self, seen: Seen) -> None:
        self._looking, self.seen, self.trouble = False, seen, ""
        listed = {one.row for one in seen.doubt.unknown}
        if any(row not in self.fates for row in listed):
            self.every = None
        self.fates = {row: fate for row, fate in self.fates.items() if row in listed}
        self._fill()
        self.paint()
        self._look_again()

    def _not_read(self, error: Exception) -> None:
        self._looking, self.trouble = False, str(error)
        self.paint()
        self._look_again()

    def _look_again(self) -> None:
        if self._again:
            self._again = False
            self.look()

    def action_perform(self, action_id: str) -> None:
        if action_id not in ("settle", "send-rest", "close"):
            super().action_perform(action_id)
            if action_id == "refresh":
                self.look()
        elif reason := self.disabled_reason(action_id):
            self.ops.tell(f"{self.slug}: {reason}", "warning")
        else:
            {"settle": self._settle, "send-rest": self._send_rest, "close": self._close}[action_id]()

    def disabled_reason(self, action_id: str) -> str:
        """As everywhere, and what this run's own journal says against it."""
        reason = super().disabled_reason(action_id)
        if reason or action_id not in ("settle", "send-rest", "close"):
            return reason
        if self.seen is None:
            return self.trouble or "The journal is still being read."
        doubt = self.seen.doubt
        if action_id == "settle":
            if not doubt.unknown_total:
                return "Nobody is unknown: there is nothing to settle."
            return "" if self.fates else "Nothing is marked: space marks a row (sent, then send again)."
        if action_id == "send-rest":
            if self.fates:
                return f"{len(self.fates):,} marked and not settled: V settles them first, backspace unmarks."
            if doubt.against:
                return doubt.against
            return "" if doubt.unsent else "Nobody is left who provably got nothing."
        return ""

    # Marking.

    def action_step(self, by: int) -> None:
        """The row below or above, as on the board: who presses j twice and space means another row."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + by)

    def action_mark(self) -> None:
        """Turn the row under the cursor: not decided, sent, to be sent again."""
        if (row := self._row()) is not None:
            self.every = None
            self._set(row, NEXT_FATE[self.fates.get(row)])
            self.query_one(DataTable).action_cursor_down()

    def action_mark_all(self) -> None:
        """Turn every unknown row, listed or not, together, beginning with the fate of the one under the cursor."""
        if (row := self._row()) is not None and self.seen is not None:
            self.every = fate = NEXT_FATE[self.fates.get(row)]
            for one in self.seen.doubt.unknown:
                self._set(one.row, fate)

    def action_mark_proven(self) -> None:
        """Sent: those whose mail the mail server took over, by its log. The others keep what they are marked as."""
        proven = [one.row for one in self.seen.doubt.unknown if one.taken] if self.seen else []
        if not proven:
            self.ops.tell(f"{self.slug}: the mail log proves of nobody that their mail was taken.", "warning")
            return
        self.every = None
        for row in proven:
            self._set(row, Fate.SENT)

    def action_unmark(self) -> None:
        if (row := self._row()) is not None:
            self.every = None
            self._set(row, None)

    def _set(self, row: int, fate: Fate | None) -> None:
        if fate is None:
            self.fates.pop(row, None)
        else:
            self.fates[row] = fate
        if self.seen is not None:
            index = next(n for n, one in enumerate(self.seen.doubt.unknown) if one.row == row)
            text, style = words.SAID[fate]
            self.query_one(DataTable).update_cell_at((index, 0), Text(text, style))  # type: ignore[arg-type]
        self._under_table()

    def _row(self) -> int | None:
        at = self.query_one(DataTable).cursor_row
        unknown = self.seen.doubt.unknown if self.seen else ()
        return unknown[at].row if 0 <= at < len(unknown) else None

    # Deciding.

    def _settle(self) -> None:
        assert self.seen is not None
        marked, fates = dict(self.fates), self._decision(self.seen.doubt)
        counts, number = Counter(marked.values()), concerned(fates)
        said = {fate: words.say_rows([row for row in marked if marked[row] is fate]) for fate in Fate}
        lines = tuple(
            (word, f"{number:,}: all of them" if number != len(marked) else f"{counts[fate]:,}: {said[fate]}")
            for fate, word in ((Fate.SENT, "sent already"), (Fate.RESEND, "send again"))
            if counts[fate]
        )
        seen = {one.row for one in self.seen.doubt.unknown if one.maillog}
        if twice := [row for row in marked if row in seen and marked[row] is Fate.RESEND]:
            lines += (("! mail log", f"has a word of {words.say_rows(twice)}: sent again, they may get it twice"),)

        def decided(left: object) -> None:
            self.ops.tell(f"{number:,} settled: {self.slug}. Recorded.")
            self.fates.clear()
            self.every = None
            self.look()

        def do(typed: str, reason: str) -> object:
            return self.console.settle(self.slug, fates, typed, reason)

        self._ask("settle", lambda found: self._do("settle", found, do, decided), rows=number, lines=lines)

    def _decision(self, doubt: Doubt) -> Fates:
        """What is marked; where not all is listed, all of them as one decision."""
        if self.every is None or doubt.unknown_total == len(doubt.unknown):
            return dict(self.fates)
        return EveryUnknown(fate=self.every, count=doubt.unknown_total)

    def _close(self) -> None:
        def do(typed: str, reason: str) -> object:
            return self.console.decide("close", self.slug, reason, typed=typed)

        def closed(_: object) -> None:
            self.ops.tell(f"Closed as it is: {self.slug}. Recorded.")
            self.look()

        self._ask("close", lambda found: self._do("close", found, do, closed))

    def _send_rest(self) -> None:
        from screens.starting import start

        seen = self.seen
        assert seen is not None
        doubt, console, slug = seen.doubt, self.console, self.slug

        def put(found: "Question") -> None:
            def answered(answer: "Answer") -> None:
                if answer is not None:
                    job = lambda: console.send_rest(slug, *answer)  # noqa: E731
                    start(self.ops, slug, "send-rest", doubt.run_id, seen.carrier, doubt.attempt, job)

            ask(self.ops, found, answered)

        self._ask("send-rest", put)

    def _ask(self, action_id: str, put: "Callable[[Question], None]", **asked: Any) -> None:
        job = lambda: question(self.console, action_id, self.slug, **asked)  # noqa: E731
        work(self.ops, f"{action_id} {self.slug}", job, put)

    def _do(
        self,
        action_id: str,
        found: "Question",
        do: Callable[[str, str], object],
        done: Callable[[object], None],
    ) -> None:
        def answered(answer: "Answer") -> None:
            if answer is not None:
                work(self.ops, f"{action_id} {self.slug}", lambda: do(*answer), done, failed)

        def failed(error: Exception) -> None:
            notice(self.ops, f"{action_id} {self.slug}: not done", error)
            self.look()  # what really is in the journal now

        ask(self.ops, found, answered)

    # Showing.

    def _fill(self) -> None:
        """The table anew, as wide as there is room; the cursor stays on its row."""
        if self.seen is None or not self.size.width:
            return
        table, at = self.query_one(DataTable), self._row()
        columns = _columns(self.size.width)
        if columns != self._columns:
            table.clear(columns=True)
            for name, width in columns:
                table.add_column(name, width=width)
            self._columns = columns
        else:
            table.clear()
        widths = [width for _, width in columns]
        nothing = "nothing" if self.seen.doubt.has_maillog else "–"
        for one in self.seen.doubt.unknown:
            fate, style = words.SAID[self.fates.get(one.row)]
            cells = (
                Text(fate, style),
                Text(f"{one.row:,}", justify="right"),
                safe(one.who, widths[2]),
                safe(words.short_id(one.message_id, widths[3]), widths[3], DIM),
                safe(one.why, widths[4]),
                safe(one.maillog or nothing, widths[5], CAUTION if nothing != "–" and not one.maillog else ""),
            )
            table.add_row(*cells)
        rows = [one.row for one in self.seen.doubt.unknown]
        if at in rows:
            table.move_cursor(row=rows.index(at))
        table.display = bool(rows)

    def paint(self) -> None:
        if not self.query("#head"):
            return
        verdict, now, seen = self.ops.get(self.slug), self.ops.now(), self.seen
        self.query_one("#head", Static).update(words.say_head(verdict, self.slug, seen.doubt if seen else None))
        if self.trouble:
            self.query_one("#journal", Static).update(safe(f" ✖ {self.trouble}", 800, DANGER))
        elif seen is not None:
            self.query_one("#journal", Static).update(
                words.say_journal(seen.doubt, seen.carrier, seen.at, now, self.short)
            )
            self.query_one("#maillog", Static).update(
                words.say_maillog(seen.doubt, seen.carrier, seen.at, now, self.short)
            )
        carrier = seen.carrier if seen else ""
        self.query_one("#others", Static).update(words.say_others(verdict, carrier, now, self.short))
        self._under_table()

    @on(DataTable.RowHighlighted)
    def _under_table(self) -> None:
        unknown = self.seen.doubt.unknown if self.seen else ()
        at = self.query_one(DataTable).cursor_row
        row = self.query_one("#row", Static)
        row.display = 0 <= at < len(unknown)
        if row.display:
            row.update(words.say_row(unknown[at], self.fates.get(unknown[at].row), self.short))
        self.query_one("#choices", Static).update(self._choices())
        self.freshen()

    def _choices(self) -> Text:
        """What can be decided, and why not what can't."""
        text, width = Text(end=""), max(self.size.width - 1, 20)
        if self.seen is not None and self.seen.doubt.unknown_total:
            doubt = self.seen.doubt
            more = doubt.unknown_total - len(doubt.unknown)
            every = words.say_every(self.every, doubt.unknown_total) if self.every and more else ""
            marks = every or words.say_marks(self.fates, len(doubt.unknown))
            text.append_text(safe(f" {marks}", style="bold"))
            behind = f"; {more:,} more aren't listed: * marks them too" if more and not every else ""
            text.append(behind).append("\n")
        lines = []
        for action in (actions.BY_ID[name] for name in HERE[:3]):
            reason = self.disabled_reason(action.id)
            lines.append(_choice(action, reason))
            lines[-1].truncate(width, overflow="ellipsis")
        return text.append_text(Text("\n", end="").join(lines))


def _choice(action: Action, reason: str) -> Text:
    text = Text(" ").append(f"{action.key:<2}", DIM if reason else DANGER)
    text.append(f"{action.label:<16}", DIM if reason else "bold")
    return text.append_text(safe(reason or action.tooltip, 200, DIM if reason else ""))


def _columns(width: int) -> tuple[tuple[str, int], ...]:
    """Names and widths; the mail log's word gets what is left."""
    fixed = (("DECIDED", 12), ("ROW", 8), ("WHO", 22), ("MESSAGE", 14), ("JOURNAL", 34))
    if width < WIDE:
        fixed = (("DECIDED", 12), ("ROW", 6), ("WHO", 17), ("MESSAGE", 8), ("JOURNAL", 12))
    used = sum(size + 2 for _, size in fixed) + 4
    return (*fixed, ("MAIL LOG", max(width - used, 8)))
