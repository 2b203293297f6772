"""A blast host as a machine: connection, clock, room, processes, cron tables; other systems by their own word."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.cronview import CronRow, CronTable, cron_tables, say_fire
from opsconsole.hostfacts import FileFact, HostFacts
from opsconsole.policy import Policy
from opsconsole.ports import Trouble
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe
from screens.system import SystemLook, Systems, say_system
from screens.widgets.rows import CAUTION, DANGER, DIM
from screens.work import in_thread

GIB = 1024**3


@dataclass(frozen=True)
class Look:
    """All that is shown of one host."""

    name: str
    facts: HostFacts | None
    connection: Mapping[str, Any]
    tables: tuple[CronTable, ...]
    trouble: str
    findings: tuple[str, ...] = ()


class HostScreen(ConsoleScreen):
    """The first system; `]` shows the next when there are several. `r` asks them again."""

    PLACE = Place.EVERYWHERE
    KEYS = (("]", "next system"),)
    CSS_PATH = "host.tcss"
    AUTO_FOCUS = "VerticalScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("right_square_bracket", "next_host", "next system", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._index, self._systems = 0, Systems()

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", "host")

    def body(self) -> ComposeResult:
        with VerticalScroll(id="part"):
            yield Static(Text(" Looking …", DIM), id="words")

    def on_mount(self) -> None:
        super().on_mount()
        self.look()

    def board_changed(self, board: Board) -> None:
        self.look()

    def action_next_host(self) -> None:
        self._index += 1
        self.look()

    def look(self) -> None:
        in_thread(self, self._gather, self._show, name="host-look")

    def _gather(self) -> Look | SystemLook | None:
        machines = self.console.host_names()
        others = (name for name in self.console.carrier_names() if name not in machines)
        names = (*machines, *others)
        if not names:
            return None
        name = names[self._index % len(names)]
        if name not in machines:
            return self._systems.look(self.console, name)
        facts, board = self.console.host_facts(name), self.ops.board
        with suppress(Trouble):  # the host is out of reach, and that is shown
            facts = replace(facts, program=self.console.runner_on(name)) if facts else None
        tables: tuple[CronTable, ...] = ()
        if facts is not None:
            settings, now = self.console.host_settings(name), self.console.clock()
            tables = cron_tables(facts, settings, board.verdicts, now, self.ops.local_zone)
        source = next((s for s in board.sources if s.name == name), None)
        trouble, findings = (source.trouble, source.findings) if source else ("", ())
        return Look(name, facts, self.console.connection(name), tables, trouble, findings)

    def _show(self, look: Look | SystemLook | None) -> None:
        if look is None:
            text = Text("No system that sends is configured.", DIM)
        elif isinstance(look, SystemLook):
            text = say_system(look)
        else:
            text = say_host(look, self.console.policy, self.ops.now())
        self.query_one("#words", Static).update(text)


def say_host(look: Look, policy: Policy, now: datetime) -> Text:
    """The whole screen as text."""
    text = Text()
    _connection(text, look)
    facts = look.facts
    if look.trouble:
        text.append_text(safe(f"✖ {look.trouble}", 800, DANGER)).append("\n")
    for finding in look.findings:
        text.append_text(safe(f"! {finding}", 800, CAUTION)).append("\n")
    if facts is None:
        return text.append("The host was not read yet.", CAUTION)
    _machine(text, facts, policy)
    for trouble in (*facts.troubles, facts.survives_logout):
        if trouble:
            text.append_text(safe(f"! {trouble}", 600, CAUTION)).append("\n")
    _files(text, facts)
    _processes(text, facts)
    for table in look.tables:
        _cron(text, table, now)
    for name in facts.foreign:
        text.append_text(safe(f"! not a campaign's name, left alone: {name}", 200, CAUTION)).append("\n")
    return text


def _heading(text: Text, words: str) -> None:
    text.append("\n").append_text(safe(words, 200, "bold")).append("\n")


def _line(text: Text, label: str, value: object, style: object = "") -> None:
    text.append(f"  {label:<13}", DIM).append_text(safe(value, 400, str(style))).append("\n")


def _connection(text: Text, look: Look) -> None:
    connection = look.connection
    state = str(connection.get("state") or "no word")
    text.append_text(safe(look.name, 60, "bold")).append("  ")
    glyph = "●" if state == "connected" else "○"
    text.append_text(safe(f"{glyph} {state}", 60, "" if state == "connected" else str(DANGER)))
    if (latency := connection.get("latency_ms")) is not None:
        text.append(f"  {latency:.0f} ms")
    text.append("\n")
    _line(text, "identity", connection.get("identity") or "not known")
    _line(text, "host key", connection.get("fingerprint") or "not seen")
    if connection.get("last_error"):
        _line(text, "last error", connection["last_error"], CAUTION)


def _machine(text: Text, facts: HostFacts, policy: Policy) -> None:
    _line(text, "machine", f"{facts.hostname} (as {facts.user})")
    offset = abs(facts.clock_offset)
    style = DANGER if offset >= policy.clock_refuse else CAUTION if offset >= policy.clock_warn else ""
    clock = f"{facts.clock_offset:+.1f} s ± {facts.clock_error:.2f} s, zone {facts.zone or 'not known'}"
    _line(text, "clock", clock + (": too far off to send" if style is DANGER else ""), style)
    for disk in facts.disks:
        low = disk.free < policy.min_free_disk_mb << 20
        inodes = f", {disk.free_inodes:,} inodes" if disk.free_inodes is not None else ""
        room = f"{disk.path}: {disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free{inodes}"
        _line(text, "disk", room, DANGER if low else "")
    low = facts.memory_available < policy.min_free_memory_mb << 20
    memory = f"{facts.memory_available / GIB:.1f} of {facts.memory_total / GIB:.1f} GiB free"
    _line(text, "memory", f"{memory}, load {facts.load:.2f}", DANGER if low else "")
    _line(text, "mail queue", f"{facts.mail_queue:,}" if facts.mail_queue is not None else "not known")


def _files(text: Text, facts: HostFacts) -> None:
    _heading(text, "Access")
    named = (
        ("credentials", facts.credentials, "; its content is never read"),
        ("runner", facts.runner, f"; {facts.program.say()}" if facts.program else ""),
        ("run state", facts.state_dir, ""),
        ("logs", facts.log_dir, ""),
    )
    for label, fact, more in named:
        if fact is None:
            _line(text, label, "not looked at", DIM)
        else:
            _line(text, label, _file(fact) + more, "" if fact.kind in ("file", "folder") else DANGER)
    for hold in facts.holds:
        words = "can't be read, so it counts as held" if hold.unreadable else hold.text
        _line(text, "hold", f"{hold.scope}: {words}", CAUTION)


def _file(fact: FileFact) -> str:
    if fact.kind not in ("file", "folder"):
        return f"{fact.path}: {fact.kind} {fact.trouble}".strip()
    execute = ", executable" if fact.executable else ""
    return f"{fact.path}: there, mode {fact.mode:04o}, owner {fact.owner or 'not known'}{execute}"


def _processes(text: Text, facts: HostFacts) -> None:
    _heading(text, f"Runner processes ({len(facts.processes)})")
    for process in facts.processes:
        age = f"{process.elapsed_s // 60} min" if process.elapsed_s >= 60 else f"{process.elapsed_s} s"
        text.append(f"  {process.pid:>7} {age:>8}  ")
        text.append_text(safe(f"{process.user}  {process.args}", 400)).append("\n")


def _cron(text: Text, table: CronTable, now: datetime) -> None:
    _heading(text, table.path)
    if table.ignored_because:
        text.append_text(safe(f"  ✖ cron ignores all of it: {table.ignored_because}", 400, DANGER)).append("\n")
    elif not table.rows:
        text.append("  no lines\n", DIM)
    for row in table.rows:
        _cron_row(text, row, table, now)
    for warning in table.warnings:
        text.append_text(safe(f"  ! {warning}", 400, CAUTION)).append("\n")


def _cron_row(text: Text, row: CronRow, table: CronTable, now: datetime) -> None:
    text.append(f"  {row.number:>3}  ", DIM).append_text(safe(row.words, 120, "bold"))
    if row.off:
        text.append("  ").append_text(safe(row.off, 120, DIM))
    elif row.next_at is None:
        text.append(
            "  at every restart" if row.schedule == "@reboot" and not table.ignored_because else "  never", DIM
        )
    about = ", ".join(row.campaigns) or "no campaign that is known"
    kind = {True: "sends", False: "rehearses", None: "may send"}[row.sends]
    via = f" (by {row.via})" if row.via else ""
    text.append("\n       ").append_text(safe(f"{kind} {about}{via}", 200, "" if row.campaigns else str(CAUTION)))
    text.append_text(safe(f"   {row.user}: {row.command}", 300, DIM)).append("\n")
    for word, at in (("would fire" if row.off else "next", row.next_at), ("last", row.last_at)):
        if at is not None:
            text.append(f"       {word} ", DIM).append_text(safe(say_fire(at, table, row, now), 200)).append("\n")
    for note in row.notes:
        glyph, style = ("✖", DANGER) if note.alarm else ("·", DIM)
        text.append_text(safe(f"       {glyph} {note.text}", 400, style)).append("\n")
