"""Reads one line of what a runner prints: our own JSON, or anybody's words through the configured patterns.

Nothing a line holds can raise here: it is text from outside, and every pattern sees a bounded part of it.
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from opsconsole.observation import Counts
from opsconsole.schedule import is_plausible
from opsconsole.settings import Patterns

LINE_CAP = 64 * 1024  # bytes of one line that are kept; the rest of it is dropped
SEARCHED = 512  # characters of a line that patterns see: bounds the time of any regular expression
COUNT_CAP = 10**12
CLASS_CAP, CLASSES_CAP, WHY_CAP = 40, 40, 300  # characters of a class's name, classes, characters of a reason
CUT = " … (line cut)"

SEND, DRY_RUN = "send", "dry-run"

_STAMP = re.compile(r"[\W_]{0,3}(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """What one line tells; None and "" where it doesn't tell.

    `state` is the runner's own word (`sending`, `paused`, …). `begins` says that it starts, `ends` that it is
    the closing summary. `ours` marks a line of our runner, which tells everything at once. Durations in seconds,
    `rate` in messages per second. `stamp` is the line's own time, naive when it names no offset.
    `why` is the reason of a wait or a stop, `classes` the failed by class of refusal, `rate_limit` a number as text
    or `none`.
    `moved_at` (aware) is when a count last changed, by the runner's own word; `told_at` (aware) is when our runner
    wrote the line.
    """

    ours: bool = False
    state: str = ""
    mode: str = ""
    begins: bool = False
    ends: bool = False
    total: int | None = None
    processed: int | None = None
    accepted: int | None = None
    failed: int | None = None
    unknown: int | None = None
    deferred: int | None = None
    inflight: int | None = None
    suppressed: int | None = None
    rate: float | None = None
    rate_1s: float | None = None
    rate_30s: float | None = None
    eta_s: float | None = None
    duration_s: float | None = None
    rc: int | None = None
    error: str = ""
    error_class: str = ""
    classes: tuple[tuple[str, int], ...] = ()
    why: str = ""
    rate_limit: str = ""
    account: str = ""
    stamp: datetime | None = None
    moved_at: datetime | None = None
    told_at: datetime | None = None

    @property
    def counts(self) -> Counts | None:
        """The recipients this line alone tells of."""
        return counts_of(self)


def read_line(line: bytes | str, patterns: Patterns | None = None) -> RunEvent | None:
    """What `line` tells of a run, or None. Never raises on any content."""
    text = text_of(line) if isinstance(line, bytes) else line
    start = text.lstrip()[:1]
    if start == "{":
        event = _read_json(text)
        if event is not None:
            return event
    return _read_human(text[:SEARCHED], _compiled(patterns or DEFAULT))


class _Gate:
    """A pattern behind a cheap test: without one of `hints` in the lowered line it can't match.

    Regular expressions alone would read 16,000 lines a second, and a log must not be slower than its wire.
    """

    def __init__(self, pattern: str, hints: tuple[str, ...]) -> None:
        self.pattern, self.hints = re.compile(pattern), hints

    def search(self, text: str, lowered: str) -> re.Match[str] | None:
        for hint in self.hints:
            if hint in lowered:
                return self.pattern.search(text)
        return None


DEFAULT = Patterns()
_HINTS = {
    DEFAULT.total: ("total", "recipients to send"),
    DEFAULT.processed: ("recipient",),
    DEFAULT.failed: ("failure", "rows refused"),
    DEFAULT.duration: (" min",),
    DEFAULT.progress: ("/",),
    DEFAULT.started: ("starting", "started", "sending"),
}
_ERRORS = _Gate(
    r"\b(?:ERROR|CRITICAL|FATAL)\b|^Traceback |^\w*(?:Error|Exception): |(?<![\d.])[45]\d\d[ -][45]\.\d",
    ("error", "critical", "fatal", "traceback", "exception:", " 4.", " 5.", "-4.", "-5."),
)
_DRY_RUNS = _Gate(
    r"(?i)^[\d\W]*(?:[TZ][\d\W]*)?(?:info|debug|notice)?\W*dry[ -]?run\b"
    r"|mode\W{1,3}dry[ -]?run\b|\bstart(?:ing|ed)\W+(?:an?\W+)?dry[ -]?run\b|[\[(]dry[ -]?run\b",
    ("dry-run", "dry run", "dryrun"),
)
_SENDS = _Gate(r"(?i)mode\W{1,3}send\b", ("mode",))


class _Compiled:
    def __init__(self, patterns: Patterns) -> None:
        def gate(pattern: str) -> _Gate:
            return _Gate(pattern, _HINTS.get(pattern, ("",)))

        self.total = gate(patterns.total)
        self.processed = gate(patterns.processed)
        self.failed = gate(patterns.failed)
        self.duration = gate(patterns.duration)
        self.progress = gate(patterns.progress)
        self.started = gate(patterns.started)


_compiled = lru_cache(maxsize=32)(_Compiled)


def text_of(line: bytes) -> str:
    cut = len(line) > LINE_CAP
    text = line[:LINE_CAP].rstrip(b"\r").decode("utf-8", "replace")
    return text + CUT if cut else text


def _read_human(text: str, patterns: _Compiled) -> RunEvent | None:
    lowered = text.lower()
    processed = patterns.processed.search(text, lowered)
    failed = patterns.failed.search(text, lowered)
    total = patterns.total.search(text, lowered)
    progress = None if processed else _progress(text, lowered, patterns.progress)
    began = patterns.started.search(text, lowered)
    error = _ERRORS.search(text, lowered)
    duration = patterns.duration.search(text, lowered)
    mode = _mode(text, lowered, bool(processed))
    if not (processed or failed or total or progress or began or error or duration or mode):
        return None
    done = _number(processed)
    stamp = _STAMP.match(text)
    minutes = _decimal(duration)
    return RunEvent(
        mode=mode,
        begins=bool(began) and done is None,
        ends=done is not None,
        total=done if done is not None else progress[1] if progress else _number(total),
        processed=done if done is not None else progress[0] if progress else None,
        failed=_number(failed),
        duration_s=minutes * 60 if minutes is not None else None,
        error=text if error and not processed else "",
        stamp=_stamp(stamp.group(1)) if stamp else None,
    )


def _mode(text: str, lowered: str, closing: bool) -> str:
    if _SENDS.search(text, lowered):
        return SEND
    if closing and " counted" in lowered:  # what our runner says after counting only
        return DRY_RUN
    return DRY_RUN if _DRY_RUNS.search(text, lowered) else ""


def _progress(text: str, lowered: str, gate: _Gate) -> tuple[int, int] | None:
    """Done and total, for the first match that can be that: dates such as 05/12/2026 can't."""
    if gate.pattern.groups < 2 or not gate.search(text, lowered):
        return None
    for match in gate.pattern.finditer(text):
        done, total = _whole(match.group(1)), _whole(match.group(2))
        neighbours = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
        if done is not None and total and done <= total and "/" not in neighbours:
            return done, total
    return None


def _number(match: re.Match[str] | None) -> int | None:
    return _whole(match.group(1)) if match and match.re.groups else None


def _whole(text: str | None) -> int | None:
    digits = (text or "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        return None
    return int(digits)


def _decimal(match: re.Match[str] | None) -> float | None:
    if not match or not match.re.groups:
        return None
    try:
        value = float((match.group(1) or "").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < COUNT_CAP else None


def _read_json(text: str) -> RunEvent | None:
    """A line of our runner: an object whose `v` is 1. Values of a wrong type count as not told."""
    if '"v"' not in text:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("v") != 1:
        return None
    closing = document.get("summary") is True
    counts = document.get("counts")
    numbers = {**document, **counts} if isinstance(counts, dict) else document
    mode = _word(document, "mode")
    return RunEvent(
        ours=True,
        state=_word(document, "state"),
        mode=mode if mode in (SEND, DRY_RUN) else "",
        ends=closing,
        total=_count(numbers, "total"),
        processed=_count(numbers, "processed"),
        accepted=_count(numbers, "accepted"),
        failed=_count(numbers, "failed"),
        unknown=_count(numbers, "unknown"),
        deferred=_count(numbers, "deferred"),
        inflight=_count(numbers, "inflight"),
        suppressed=_count(numbers, "suppressed"),
        rate=_real(document, "rate"),
        rate_1s=_real(document, "rate_1s"),
        rate_30s=_real(document, "rate_30s"),
        eta_s=_real(document, "eta_s"),
        duration_s=_real(document, "duration_s"),
        rc=_exit_code(document.get("rc")),
        error=_error(document.get("last_error")) or _word(document, "error"),
        error_class=_error_class(document.get("last_error")),
        classes=_classes(document.get("classes")),
        why=_word(document, "why")[:WHY_CAP],
        rate_limit=_rate_limit(document),
        account=_word(document, "account")[:CLASS_CAP],
        stamp=_stamp(_word(document, "at")),
        moved_at=_aware_stamp(_word(document, "moved")),
        told_at=_aware_stamp(_word(document, "t")),
    )


def _word(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value[:SEARCHED] if isinstance(value, str) else ""


def _error(value: Any) -> str:
    """The last error: a text, or `{"code": 550, "class": "…", "text": "…", "n": 3}` as our runner tells it."""
    if not isinstance(value, dict):
        return value[:SEARCHED] if isinstance(value, str) else ""
    code, times = _count(value, "code"), _count(value, "n")
    kind = _error_class(value)
    words = " ".join(str(part) for part in (code, kind and f"{kind}:", _word(value, "text")) if part)
    return f"{words} ({times:,} times)" if words and times and times > 1 else words


def _error_class(value: Any) -> str:
    return _word(value, "class")[:CLASS_CAP] if isinstance(value, dict) else ""


def _classes(value: Any) -> tuple[tuple[str, int], ...]:
    """The failed by class, the most frequent first; what isn't a count is left out."""
    if not isinstance(value, dict):
        return ()
    found = [(kind[:CLASS_CAP], number) for kind in value if (number := _count(value, kind))]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0]))[:CLASSES_CAP])


def _rate_limit(document: dict[str, Any]) -> str:
    """`50`, `none`, or "" where it isn't told."""
    if "rate_limit" in document and document["rate_limit"] is None:
        return "none"
    limit = _real(document, "rate_limit")
    return f"{limit:g}" if limit else ""


def _count(document: dict[str, Any], key: str) -> int | None:
    value = document.get(key)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_CAP
    return value if whole else None


def _real(document: dict[str, Any], key: str) -> float | None:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= COUNT_CAP else None


def _exit_code(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -255 <= value <= 255 else None


def _aware_stamp(text: str) -> datetime | None:
    stamp = _stamp(text)
    return stamp if stamp is not None and stamp.tzinfo else None


def _stamp(text: str) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(text.replace(",", ".").replace(" Z", "Z"))
    except ValueError:
        return None
    return stamp if is_plausible(stamp) else None


class Counted(Protocol):
    """What counts are made of."""

    @property
    def total(self) -> int | None: ...
    @property
    def processed(self) -> int | None: ...
    @property
    def accepted(self) -> int | None: ...
    @property
    def failed(self) -> int | None: ...
    @property
    def unknown(self) -> int | None: ...
    @property
    def deferred(self) -> int | None: ...
    @property
    def suppressed(self) -> int | None: ...


def counts_of(word: Counted) -> Counts | None:
    if word.accepted is None and word.processed is None:
        # A total or a count of failures alone doesn't say how far the run is.
        return None
    failed = word.failed or 0
    accepted = word.accepted if word.accepted is not None else max((word.processed or 0) - failed, 0)
    return Counts(
        total=word.total,
        accepted=accepted,
        failed=failed,
        unknown=word.unknown or 0,
        deferred=word.deferred or 0,
        suppressed=word.suppressed or 0,
    )
