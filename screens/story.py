"""A campaign's timeline as text: one heading a day, one instant a line, what is long wrapped under itself."""

import textwrap
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.text import Text

from opsconsole.timeline import Entry
from screens.safe import safe, say
from screens.widgets.rows import CAUTION, DIM, MARKS, PLAIN

WIDEST = 22  # cells of the column that names the source
ROOM = 6  # cells for what a frame and a scrollbar take


def say_story(entries: Sequence[Entry], zone: str, at: datetime, width: int, unread: Sequence[str] = ()) -> Text:
    """The dated entries in the campaign's zone, with a line where `at` lies between them; `width` in cells."""
    local = ZoneInfo(zone or "UTC")
    column = min(max((len(e.source) for e in entries), default=0) + 1, WIDEST)
    room = max(width - ROOM - 11 - column, 24)
    text, day, passed = Text(), "", False
    for e in (e for e in entries if e.at is not None):
        assert e.at is not None
        when = e.at.astimezone(local)
        if not passed and e.at > at:
            passed = True
            text.append_text(_now(at, local, "; what follows is to come"))
        if (today := f"{when:%a} {when:%b} {when.day}, {when.year}") != day:
            day = today
            text.append(f"{day}  {when:%Z}\n", "bold")
        text.append_text(_line(e, when, column, room))
    if not passed:
        text.append_text(_now(at, local))
    for said in unread:
        text.append_text(safe(f"not looked at: {said}", 400, CAUTION)).append("\n")
    return text


def _now(at: datetime, local: ZoneInfo, more: str = "") -> Text:
    return Text(f"{at.astimezone(local):%H:%M:%S} ◆ seen at this instant{more}\n", "bold")


def _line(e: Entry, when: datetime, column: int, room: int) -> Text:
    glyph = MARKS.get(e.mark, PLAIN)
    lines = textwrap.wrap(say(_words(e)), room, break_long_words=True, break_on_hyphens=False) or [""]
    text = Text(f"{when:%H:%M:%S} ").append(f"{e.mark} ", glyph)
    text.append_text(safe(f"{say(e.source, column - 1):<{column}}", style=DIM))
    text.append_text(safe(lines[0])).append("\n")
    for line in lines[1:]:
        text.append(" " * (11 + column)).append_text(safe(line)).append("\n")
    return text


def _words(e: Entry) -> str:
    who = f"{e.who}: " if e.who and f"by {e.who}" not in e.text else ""
    why = f" “{e.why}”" if e.why else ""
    record = f" (record {e.record})" if e.record else ""
    raw = ""
    if e.raw is not None and e.offset is not None and e.at is not None:
        way = "ahead" if e.offset > 0 else "behind"
        raw = f" (its clock, {abs(e.offset):.0f} s {way}, said {e.raw.astimezone(e.at.tzinfo):%H:%M:%S} UTC)"
    return f"{who}{e.text}{why}{record}{raw}"
