"""The line on top: which environment, how each source stands, who is here, and what time it is."""

from datetime import datetime
from zoneinfo import ZoneInfo

from rich.text import Text

from opsconsole.board import SourceState
from opsconsole.schedule import say_span
from screens.safe import safe, say
from screens.widgets.line import Line

DANGER = "bold white on #b3261e"
CALM = "bold black on #7fb3d5"
TROUBLE = "bold #ff6b60"
STALE = "#e0b050"


class HeaderLine(Line):
    DEFAULT_CSS = "HeaderLine { background: $panel; }"

    def words(self, width: int) -> Text:
        ops = self.ops
        left = Text(" opsconsole ", no_wrap=True) if width >= 100 else Text(no_wrap=True)
        left.append(" ").append_text(safe(f" {ops.environment} ", 24, DANGER if ops.danger else CALM))
        if ops.read_only:
            left.append(" ").append(" READ-ONLY ", "bold black on #d9a441")
        if ops.loud.muted:
            left.append(" ").append(" MUTED ", "bold black on #d9a441")
        now = ops.now()
        sources = [s for s in ops.board.sources if s.name != "console" or not s.fresh]
        right = who_and_when(ops.operator, ops.role, ops.local_zone, now, width)
        room = width - left.cell_len - right.cell_len - 3
        for detail in (2, 1, 0):
            middle = say_sources(sources, ops.where, now, detail)
            if middle.cell_len <= room:
                break
        left.append("  ").append_text(middle)
        left.truncate(max(width - right.cell_len - 1, 1), overflow="ellipsis", pad=True)
        return left.append(" ").append_text(right)


def who_and_when(operator: str, role: str, zone: str, now: datetime, width: int) -> Text:
    """`mara · operator · 10:52 PDT · 17:52 UTC`, shorter where there is little room."""
    clocks = [] if zone in ("", "UTC") else [f"{now.astimezone(ZoneInfo(zone)):%H:%M %Z}"]
    clocks = list(dict.fromkeys([*clocks, f"{now:%H:%M} UTC"]))  # a zone may be UTC by another name
    parts = [*([say(operator, 16), role] if width >= 120 else [say(operator, 10)] if width >= 80 else []), *clocks]
    return Text(" · ".join(part for part in parts if part) + " ", style="dim" if width < 60 else "")


def say_sources(sources: list[SourceState], where: dict[str, str], now: datetime, detail: int) -> Text:
    """Each source with its glyph: ● fresh, ◐ stale, ○ out of reach; 2 tells latency, 1 only what is wrong.

    0 counts those that are well and names the others. `where` names a source as its live connection does.
    """
    shown = sources if detail else [s for s in sources if not s.fresh]
    words = []
    for source in shown:
        name = safe(where.get(source.name) or source.name, 32)
        words.append(name.append(" ").append_text(_standing(source, now, detail)))
    if not detail and (well := len(sources) - len(shown)):
        words.insert(0, Text(f"● {well} fresh"))
    return Text("   " if detail else "  ").join(words)


def _standing(source: SourceState, now: datetime, detail: int) -> Text:
    if source.fresh:
        latency = f" {source.latency_ms:.0f} ms" if detail > 1 and source.latency_ms is not None else ""
        return Text(f"●{latency}")
    age = f" {say_span(now - source.answered_at)} ago" if source.answered_at else " never heard"
    if source.trouble:
        return Text(f"○ out of reach{age if source.answered_at else ''}" if detail else "○", TROUBLE)
    return Text(f"◐{age}" if detail else "◐", STALE)
