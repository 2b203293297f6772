"""What the audit store holds: records, the events they are made from, and their canonical form. Pure."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from opsconsole.redact import JSON

RESOLVED = "resolve"
"""The action of the note that closes an intent somebody resolved by looking."""
CLOCK_EXPLAINED = "clock-explained"
"""The action of the note by which somebody says why the clock went back; what is older counts no more."""

PROTECTION_OFF = "protection-off"
"""The action of the intent that says, until somebody resolves it, that triggers were missing when it was opened."""

NAMES_KEPT = frozenset(
    {"operator", "operators", "approver", "approved_by", "planner", "planned_by", "requested_by", "confirmed_by"}
    | {"by", "from", "reply_to", "sender"}
)
"""Keys of `detail` and payloads whose addresses are people at work and sender lines, not recipients."""


class Phase(StrEnum):
    INTENT = "intent"
    OUTCOME = "outcome"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Event:
    """What a caller gives. `ref` is the seq of the intent an outcome or a resolution speaks of."""

    operator: str
    session: str
    environment: str
    action: str
    campaign: str = ""
    run: str = ""
    reason: str = ""
    detail: Mapping[str, JSON] = field(default_factory=dict)
    phase: Phase = Phase.NOTE
    ref: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the audit store. `utc` is aware; `prev` and `mac` are 64 hex digits."""

    seq: int
    utc: datetime
    operator: str
    session: str
    environment: str
    campaign: str
    run: str
    action: str
    phase: Phase
    reason: str
    detail: Mapping[str, JSON]
    prev: str
    mac: str
    ref: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something another system must be told. `key` makes it idempotent: the same key is put once."""

    destination: str
    key: str
    payload: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class OutboxItem:
    id: int
    created_utc: datetime
    destination: str
    key: str
    payload: Mapping[str, JSON]
    tries: int
    next_try_utc: datetime
    last_error: str
    done_utc: datetime | None = None

    def says(self, now: datetime) -> str:
        """For the screen: "waiting (3 tries, next in 40 s)"."""
        if self.done_utc is not None:
            return "acknowledged"
        if not self.tries:
            return "waiting (not tried yet)"
        left = math.ceil((self.next_try_utc - now).total_seconds())
        when = "due now" if left <= 0 else f"next in {left} s" if left < 120 else f"next in {left // 60} min"
        return f"waiting ({self.tries} {'try' if self.tries == 1 else 'tries'}, {when})"


def utc_text(moment: datetime) -> str:
    """Fixed width, so that texts sort as instants: `2026-05-12T17:52:00.000000Z`. ValueError when naive."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("an audit record needs an aware datetime")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def utc_moment(text: str) -> datetime:
    """The instant of such a text. ValueError for any other."""
    if len(text) != 27 or text[-1] != "Z":
        raise ValueError(f"not an instant as the audit store writes it: {text!r}")
    return datetime.fromisoformat(text).astimezone(UTC)


def instant_in(value: object) -> datetime | None:
    """The instant that stands as a text in a record's detail; None where there is none."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")


def _plain(value: Any) -> Any:
    """Only what JSON knows, each text in one spelling; TypeError or ValueError otherwise."""
    if isinstance(value, str):
        return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("audit detail can't hold NaN or infinity")
        return float(value)
    if isinstance(value, Mapping):
        plain: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"audit detail needs text keys, not {type(key).__name__}")
            name = _plain(key)
            if name in plain:
                raise ValueError("audit detail has the same key twice")
            plain[name] = _plain(item)
        return plain
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item) for item in value]
    raise TypeError(f"audit detail can't hold {type(value).__name__}")


def canonical(detail: Mapping[str, JSON]) -> str:
    """The one JSON text of a mapping: sorted keys, no spaces, no NaN, always encodable as UTF-8.

    TypeError for what JSON doesn't know, ValueError for NaN, infinity, a key twice or too deep a nesting.
    """
    try:
        return _dump(_plain(detail))
    except RecursionError:
        raise ValueError("audit detail is nested too deeply") from None


def _dump(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return _LONE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)


def read_detail(text: str) -> Mapping[str, JSON]:
    """The mapping a canonical text stands for. A text that is not canonical was not written by the store:
    it comes back whole under the key "unreadable", so it can be shown and can't verify."""
    try:
        detail = json.loads(text)
        if isinstance(detail, dict) and _dump(detail) == text:
            return detail
    except (ValueError, TypeError, RecursionError):
        pass
    return {"unreadable": text}


_FIELDS = ("operator", "session", "environment", "campaign", "run", "action")


def to_json(record: Record) -> str:
    """A record as one JSON value, its detail readable; an export (export.py) keeps the text the MAC covers."""
    line: dict[str, object] = {"seq": record.seq, "utc": utc_text(record.utc)}
    line |= {name: getattr(record, name) for name in _FIELDS}
    line |= {"phase": record.phase.value, "ref": record.ref, "reason": record.reason}
    line |= {"detail": record.detail, "prev": record.prev, "mac": record.mac}
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"))
