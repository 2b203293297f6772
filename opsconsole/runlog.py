"""Follows what a runner prints: one run's output as it comes, or a log that many runs share.

Reading errs to the safe side: a stretch of a log is a rehearsal only where it says so plainly, because a send
read as a rehearsal could be sent twice.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from opsconsole.observation import Counts
from opsconsole.runlines import (
    CUT,
    DEFAULT,
    DRY_RUN,
    LINE_CAP,
    SEARCHED,
    SEND,
    RunEvent,
    counts_of,
    read_line,
    text_of,
)
from opsconsole.settings import Patterns

__all__ = [
    "CUT",
    "DRY_RUN",
    "LINE_CAP",
    "SEND",
    "Line",
    "Progress",
    "Reader",
    "RunEvent",
    "last_send",
    "read_line",
    "say_duration",
    "stretches",
]

_NOW = frozenset({"rate", "rate_1s", "rate_30s", "eta_s"})  # a line of ours without one takes it back
_NOTICE = re.compile(r"(?i)notif")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as text (undecodable bytes replaced, escapes still in it) and what it tells, if anything."""

    text: str
    event: RunEvent | None


class Progress:
    """Where a run stands, by the lines taken so far. All attributes are the last word on each."""

    def __init__(self) -> None:
        self.state = ""
        self.mode = ""
        self.began = False
        self.ended = False
        self.inflight: int | None = None
        self.rate: float | None = None
        self.rate_1s: float | None = None
        self.rate_30s: float | None = None
        self.eta_s: float | None = None
        self.duration_s: float | None = None
        self.rc: int | None = None
        self.last_error = ""
        self.error_class = ""
        self.classes: tuple[tuple[str, int], ...] = ()
        self.why = ""
        self.rate_limit = ""
        self.account = ""
        self.summary: RunEvent | None = None
        self.first_stamp: datetime | None = None
        self.last_stamp: datetime | None = None
        self.moved_at: datetime | None = None
        self.total: int | None = None
        self.processed: int | None = None
        self.accepted: int | None = None
        self.failed: int | None = None
        self.unknown: int | None = None
        self.deferred: int | None = None
        self.suppressed: int | None = None

    @property
    def counts(self) -> Counts | None:
        return counts_of(self)

    @property
    def dry_run(self) -> bool:
        return self.mode == DRY_RUN

    @property
    def moved(self) -> bool:
        """Whether any recipient was counted, one way or another."""
        return self.counts is not None

    def take(self, event: RunEvent) -> None:
        if event.ours and not event.ends:
            self.ended, self.summary = False, None  # it went on: a resumed run writes behind its old summary
        self.began = self.began or event.begins or event.ours
        for name in ("total", "processed", "accepted", "failed", "unknown", "deferred", "suppressed", "inflight"):
            value = getattr(event, name)
            if value is not None:
                setattr(self, name, value)
        for name in ("rate", "rate_1s", "rate_30s", "eta_s", "duration_s", "rc"):
            value = getattr(event, name)
            if value is not None or (event.ours and name in _NOW):
                setattr(self, name, value)
        if event.ours and not event.ends:
            self.why, self.classes, self.error_class = event.why, event.classes, event.error_class
            self.rate_limit, self.account = event.rate_limit, event.account
        self.state = event.state or self.state
        self.mode = event.mode or self.mode
        self.last_error = event.error or self.last_error
        self.first_stamp = self.first_stamp or event.stamp
        self.last_stamp = event.stamp or self.last_stamp
        self.moved_at = event.moved_at or self.moved_at
        if event.ends:
            self.ended, self.summary = True, event


class Reader:
    """Follows one run's output as bytes come in, however they are cut."""

    def __init__(self, patterns: Patterns | None = None) -> None:
        self.progress = Progress()
        self._patterns = patterns or DEFAULT
        self._rest = b""
        self._dropping = False

    def feed(self, data: bytes) -> list[Line]:
        """The whole lines that `data` completes. A line longer than LINE_CAP is cut there and marked."""
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        lines = []
        for piece in pieces:
            if self._dropping:  # the end of a line whose beginning was handed out
                self._dropping = False
                continue
            lines.append(self._line(piece))
        if len(self._rest) > LINE_CAP:
            if not self._dropping:
                lines.append(self._line(self._rest))
            self._dropping, self._rest = True, b""
        return lines

    def close(self) -> list[Line]:
        """The last line, when it has no end."""
        rest, self._rest = self._rest, b""
        return [self._line(rest)] if rest and not self._dropping else []

    def _line(self, piece: bytes) -> Line:
        text = text_of(piece)
        event = read_line(text, self._patterns)
        if event is not None:
            self.progress.take(event)
        return Line(text, event)


def stretches(log: bytes, patterns: Patterns | None = None, *, whole: bool = True) -> tuple[Progress, ...]:
    """The runs that a log file shared by many tells of, oldest first.

    `whole` False says that `log` is the tail of a file: its first, cut line is left out. A new stretch begins
    where a start follows an end, or where the mode changes.
    """
    lines = log.split(b"\n")
    found: list[Progress] = []
    for text in map(text_of, lines if whole else lines[1:]):
        event = read_line(text, patterns)
        if event is None:
            continue
        if not found or _begins_anew(found[-1], event, text):
            if found and _NOTICE.search(text[:SEARCHED]) and not event.ours:
                continue
            found.append(Progress())
        found[-1].take(event)
    return tuple(_drop_echoes(found))


def last_send(log: bytes, patterns: Patterns | None = None, *, whole: bool = True) -> Progress | None:
    """The newest stretch of `log` that sent, or may have; None when there is none."""
    for stretch in reversed(stretches(log, patterns, whole=whole)):
        if not stretch.dry_run and (stretch.began or stretch.ended or stretch.moved):
            return stretch
    return None


def say_duration(seconds: float) -> str:
    """`48 s`, `3.2 minutes`, `2 h 5 min`: as a person reads it off a log."""
    if not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} minutes"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def _begins_anew(last: Progress, event: RunEvent, text: str) -> bool:
    if event.ours:
        return last.ended and not event.ends
    if event.mode and last.mode and event.mode != last.mode:
        return True
    if event.mode == DRY_RUN and not last.dry_run:
        # Only a stretch that has just begun can learn that it is a rehearsal; a start is somebody else's.
        return last.ended or last.moved or (event.begins and last.began)
    return last.ended and event.begins


def _drop_echoes(found: list[Progress]) -> Iterator[Progress]:
    """Leaves out a start without anything behind it where the stretch before was a send that ended.

    Runners say `sending report` after their summary; the send before it is the stronger word either way.
    """
    for index, stretch in enumerate(found):
        before = found[index - 1] if index else None
        hollow = not (stretch.moved or stretch.ended or stretch.mode)
        if not (before and before.ended and not before.dry_run and hollow):
            yield stretch
