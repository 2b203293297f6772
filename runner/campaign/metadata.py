"""`blast_metadata.json`: read, checked, and told what is wrong with it. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from runner.policy import limits, window

CHANNELS = ("email", "sms")
KEYS = (
    "name", "subject", "from", "reply_to", "list_unsubscribe", "email_column", "expected_recipients", "due_at",
    "timezone", "window", "max_rate", "channel", "phone_column", "max_segments", "priority", "warmup",
    "domain_rates",
)  # fmt: skip
MOST_SEGMENTS = 10  # gateways take no longer texts
_SENDER = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|MG[0-9a-f]{32}|(?=[0-9]*[A-Za-z])[A-Za-z0-9 _-]{1,11}"
)  # a number, a short code, a gateway's pool of numbers, a name


class MetadataError(Exception):
    """The metadata can't be used; `problems` has one sentence for each thing wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Metadata:
    """`max_rate` is in messages a second. `subject`, `from_`, `reply_to`, `list_unsubscribe` may hold variables.

    `channel` is "email" or "sms". A text message has no subject; its `from_` holds no variables and may be empty:
    the account's is used then. `max_segments` bounds what one text message may cost. `warmup` is messages a day,
    `domain_rates` messages a second by domain.
    """

    name: str
    subject: str
    from_: str
    reply_to: str
    list_unsubscribe: str
    email_column: str
    expected_recipients: int | None
    due_at: datetime | None
    zone: ZoneInfo
    window: window.Window | None
    max_rate: float | None
    channel: str = "email"
    phone_column: str = "phone"
    max_segments: int = MOST_SEGMENTS
    priority: limits.Priority = "normal"
    warmup: tuple[int, ...] = ()
    domain_rates: dict[str, float] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def recipient_column(self) -> str:
        return self.phone_column if self.channel == "sms" else self.email_column


def parse(data: bytes) -> Metadata:
    """Metadata from the file's bytes; unknown keys are kept in `raw`. Raises MetadataError naming all faults."""
    try:
        raw = json.loads(data)
    except UnicodeDecodeError:
        raise MetadataError(["blast_metadata.json is not UTF-8"]) from None
    except json.JSONDecodeError as error:
        raise MetadataError(
            [f"blast_metadata.json line {error.lineno} column {error.colno}: {error.msg}"]
        ) from None
    except RecursionError:
        raise MetadataError(["blast_metadata.json is nested too deeply"]) from None
    if not isinstance(raw, dict):
        raise MetadataError(["blast_metadata.json must hold one object { ... }"])
    problems: list[str] = []

    def text(key: str, required: bool = False, default: str = "") -> str:
        value = raw.get(key, default)
        if not isinstance(value, str) or (required and not value.strip()):
            problems.append(f"{key} must be a text" + (" and is missing" if key not in raw else ""))
            return default
        return value

    zone, due = ZoneInfo("UTC"), None
    try:
        zone = ZoneInfo(text("timezone", default="UTC"))
    except (KeyError, ValueError, OSError):  # unknown name, a path, a folder
        problems.append("timezone is not a known zone such as Europe/London")
    if raw.get("due_at") is not None:
        try:
            due = datetime.fromisoformat(text("due_at"))
        except ValueError:
            problems.append('due_at must be a local time such as "2026-05-12T10:00"')
    if due is not None and due.tzinfo is not None:
        problems.append("due_at must be a local time without an offset; the zone goes in timezone")
    opens = None
    if raw.get("window") is not None:
        try:
            opens = window.parse(raw["window"], zone)
        except ValueError as error:
            problems.append(str(error))
    rate = raw.get("max_rate")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e6):
        problems.append("max_rate must be a number of messages a second, above 0")
        rate = None
    paces: dict[str, Any] = {"warmup": (), "domain_rates": {}}
    for key, judge in (("warmup", limits.days), ("domain_rates", limits.domain_rates)):
        if raw.get(key) is not None:
            try:
                paces[key] = judge(raw[key])
            except ValueError as error:
                problems.append(f"{key} {error}")
    priority = raw.get("priority", "normal")
    if priority not in limits.PRIORITIES:
        problems.append(f"priority must be one of {', '.join(limits.PRIORITIES)}")
    expected = raw.get("expected_recipients")
    if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int) or expected < 0):
        problems.append("expected_recipients must be a whole number")
        expected = None
    channel = text("channel", default="email")
    if channel not in CHANNELS:
        problems.append(f"channel must be one of {', '.join(CHANNELS)}")
    segments = raw.get("max_segments", MOST_SEGMENTS)
    if isinstance(segments, bool) or not isinstance(segments, int) or not 1 <= segments <= MOST_SEGMENTS:
        problems.append(f"max_segments must be a whole number from 1 to {MOST_SEGMENTS}")
        segments = MOST_SEGMENTS
    if channel == "sms" and (fault := sender_fault(text("from"))):
        problems.append(f"from {fault}")
    unsubscribe = text("list_unsubscribe")
    if unsubscribe and not unsubscribe.startswith("https://"):
        problems.append("list_unsubscribe must begin with https://")
    found = Metadata(
        name=text("name"),
        subject=text("subject", required=channel != "sms"),
        from_=text("from", required=channel != "sms"),
        reply_to=text("reply_to"),
        list_unsubscribe=unsubscribe,
        email_column=text("email_column", default="email"),
        expected_recipients=expected,
        due_at=due,
        zone=zone,
        window=opens,
        max_rate=rate,
        channel=channel,
        phone_column=text("phone_column", default="phone"),
        max_segments=segments,
        priority=priority,
        **paces,
        raw=raw,
    )
    if problems:
        raise MetadataError(problems)
    return found


def misspelt(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys that do nothing and look like one of ours that isn't there, with that one."""
    from difflib import get_close_matches  # a rehearsal's alone: a send needn't load it

    missing = [key for key in KEYS if key not in raw]
    found = ((key, get_close_matches(key.lower(), missing, n=1, cutoff=0.8)) for key in raw if key not in KEYS)
    return [(key, meant[0]) for key, meant in found if meant]


def sender_fault(text: str) -> str:
    """What is wrong with the sender of text messages; "" when nothing is, or when it is empty."""
    if not text or _SENDER.fullmatch(text):
        return ""
    return "must be a number like +442079460123, a short code, or up to 11 letters and digits, without variables"
