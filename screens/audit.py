"""The audit store: search, one record whole, proof that nothing was changed, and a copy to keep."""

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Input, Static

from opsconsole.actions import Place
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM
from screens.work import deliver, in_thread

if TYPE_CHECKING:
    from opsconsole.audit.chain import Verification
    from opsconsole.audit.records import Record
    from opsconsole.console import Console

PAGE = 100


class SearchWords(Input):
    """Words that must occur in a record; enter looks, escape goes back to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "to_list", "to the list", show=False)]

    def action_to_list(self) -> None:
        self.screen.query_one(DataTable).focus()


class AuditScreen(ConsoleScreen):
    """Newest first; of one campaign when `slug` is given, until `c` shows all."""

    PLACE = Place.EVERYWHERE
    KEYS = (("/", "search"), ("n", "older"), ("b", "newer"), ("c", "this/all"), ("y", "verify"), ("e", "export"))
    CSS_PATH = "audit.tcss"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("slash", "search", "search", show=False),
        Binding("n", "older", "older", show=False),
        Binding("b", "newer", "newer", show=False),
        Binding("c", "campaign", "this campaign or all", show=False),
        Binding("y", "verify", "verify", show=False),
        Binding("e", "export", "export", show=False),
    ]

    def __init__(self, slug: str | None = None) -> None:
        super().__init__(slug or "")
        self.only_campaign = bool(slug)
        self.records: list[Record] = []
        self._before: list[int | None] = [None]  # the `before_seq` of each page so far

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "audit") if self.slug else ("board", "audit")

    def body(self) -> ComposeResult:
        yield SearchWords(placeholder="/ search: words that must occur", compact=True, id="words")
        table: DataTable[Text] = DataTable(id="records", cursor_type="row")
        for name, width in (("RECORD", 7), ("WHEN", 15), ("WHO", 10), ("WHAT", 22), ("CAMPAIGN", 22)):
            table.add_column(name, width=width)
        table.add_column("WHY")
        yield table
        with VerticalScroll(id="detail", can_focus=False):
            yield Static("", id="record")
        yield Static("", id="state")

    def on_mount(self) -> None:
        super().on_mount()
        self.look()

    # Searching.

    def action_perform(self, action_id: str) -> None:
        super().action_perform(action_id)
        if action_id == "refresh":
            self.look()

    def look(self) -> None:
        self._say("looking …", DIM)
        text = self.query_one(SearchWords).value
        slug = self.slug if self.only_campaign else None
        work = partial(self._search, text, slug, self._before[-1])
        in_thread(self, work, self._show, self._failed, name="audit-search")

    def _search(self, text: str, slug: str | None, before: int | None) -> "list[Record]":
        return self.console.store().search(text, campaign=slug, before_seq=before, limit=PAGE)

    def _show(self, records: "list[Record]") -> None:
        self.records = records
        zone = ZoneInfo(self.ops.local_zone or "UTC")
        table = self.query_one(DataTable)
        table.clear()
        for record in records:
            when = f"{record.utc.astimezone(zone):%b %d %H:%M:%S}"
            what = safe(f"{record.action} · {record.phase}", 22, "bold" if record.phase != "note" else "")
            cells = (record.seq, when, safe(record.operator, 10), what, safe(record.campaign, 22))
            table.add_row(*(c if isinstance(c, Text) else Text(str(c)) for c in cells), safe(record.reason, 200))
        where = f"of {self.slug}" if self.only_campaign and self.slug else "of all"
        more = "  n older" if len(records) == PAGE else ""
        self._say(f"{len(records)} records {where}, page {len(self._before)}{more}   times in {zone.key}", DIM)
        if not records:
            self.query_one("#record", Static).update("")

    @on(DataTable.RowHighlighted)
    def detail(self, event: DataTable.RowHighlighted) -> None:
        if 0 <= event.cursor_row < len(self.records):
            self.query_one("#record", Static).update(say_record(self.records[event.cursor_row]))

    def action_search(self) -> None:
        self.query_one(SearchWords).focus()

    @on(Input.Submitted)
    def searched(self, event: Input.Submitted) -> None:
        event.stop()
        self._before = [None]
        self.query_one(SearchWords).action_to_list()
        self.look()

    def action_older(self) -> None:
        if len(self.records) == PAGE:
            self._before.append(self.records[-1].seq)
            self.look()

    def action_newer(self) -> None:
        if len(self._before) > 1:
            self._before.pop()
            self.look()

    def action_campaign(self) -> None:
        self.only_campaign = not self.only_campaign and bool(self.slug)
        self._before = [None]
        self.look()

    # Proving and keeping.

    def action_verify(self) -> None:
        """Walk the whole chain, telling how far it is."""

        def progress(checked: int, total: int) -> None:
            deliver(self, self._say, f"verifying … {checked:,} of {total:,}")

        in_thread(
            self,
            lambda: self.console.store().verify(progress=progress),
            self._verified,
            self._failed,
            name="verify",
        )

    def _verified(self, result: "Verification") -> None:
        if result.ok and not result.clean:
            self._say(f"▲ whole, but the clock went back: {result.why}", DANGER)
        elif result.ok:
            self._say(f"✓ whole: {result.checked:,} records, every seal holds", "bold")
        else:
            words = f"✖ NOT WHOLE at record {result.first_bad_seq}: {result.why}. Keep the file; don't repair it."
            self._say(words, DANGER)

    def action_export(self) -> None:
        folder = self.ops.data_dir / "exports"
        path = folder / f"audit-{time.strftime('%Y%m%dT%H%M%S')}.jsonl"
        in_thread(
            self,
            partial(export, self.console, path),
            lambda count: self.ops.tell(f"{count:,} records written to {path}"),
            self._failed,
            name="export",
        )

    def _failed(self, error: Exception) -> None:
        self._say(str(error), DANGER)

    def _say(self, text: str, style: object = CAUTION) -> None:
        self.query_one("#state", Static).update(safe(f" {text}", 600, str(style)))


def export(console: "Console", path: Path) -> int:
    """All records as JSON Lines in a new file for this user alone; how many. Raises OSError, AuditUnavailable."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        return console.store().export(out)


def say_record(record: "Record") -> Text:
    """One record, whole."""
    text = Text()
    for label, value in (
        ("record", f"{record.seq}, {record.phase}" + (f" of record {record.ref}" if record.ref else "")),
        ("when", f"{record.utc:%Y-%m-%d %H:%M:%S.%f} UTC"),
        ("who", f"{record.operator}, session {record.session}, {record.environment}"),
        ("run", record.run),
        ("reason", record.reason),
    ):
        if value:
            text.append(f"{label:<8}", DIM).append_text(safe(value, 400)).append("\n")
    detail = json.dumps(record.detail, indent=1, ensure_ascii=False, sort_keys=True)
    text.append_text(safe(detail, 8000, lines=True)).append("\n")
    return text.append("seal    ", DIM).append_text(safe(record.mac, 64, DIM))
