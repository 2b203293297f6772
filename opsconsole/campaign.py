"""A campaign: one mailing to one audience, known by its slug, and the metadata that describes it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from opsconsole.schedule import Due, ScheduleError, Window, is_plausible, load_zone, parse_window, resolve_due

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

TEMPLATE = "blast_template.html"
TEXT = "blast_template.txt"
DATA = "blast_data.csv"
METADATA = "blast_metadata.json"
FILES = (TEMPLATE, DATA, METADATA, TEXT)
CHANNELS = ("email", "sms")


def required_files(channel: str) -> tuple[str, ...]:
    """What a campaign can't do without; a text message is made from the text template alone."""
    return (TEXT if channel == "sms" else TEMPLATE, DATA, METADATA)


class BadSlug(ValueError):
    """A campaign name outside the grammar; nothing is done with it."""


class MetadataError(ValueError):
    """A blast_metadata.json that isn't a JSON object; the text names line and column."""


def is_slug(text: str) -> bool:
    return SLUG.fullmatch(text) is not None


def check_slug(text: str) -> str:
    """`text` itself when it is a slug; raises BadSlug otherwise."""
    if is_slug(text):
        return text
    raise BadSlug(
        f"{text[:80]!r} can't be a campaign: a slug has 1 to 64 of a-z, 0-9, dot, dash and underscore, "
        "and begins with a letter or digit."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's word that this may be sent: for one content `digest` when it names one."""

    by: str
    at: datetime | None = None
    reference: str = ""
    recipients: int | None = None
    digest: str = ""
    expires: datetime | None = None
    alone: bool = False  # by break-glass: it needs no second person
    due: datetime | None = None  # the due instant it was given for, where that is on record

    def said_by(self, until: str = "") -> str:
        """Whose word it is: `ana`, or `broken glass (boss, until 17:42)`, which must not read like one."""
        if not self.alone:
            return self.by
        return f"broken glass ({self.by}{f', until {until}' if until else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a source tells of a campaign besides whether it went out. Every part may be missing."""

    name: str = ""
    subject: str = ""
    sender: str = ""
    reply_to: str = ""
    due: Due | None = None
    zone: str = ""
    window: Window | None = None
    latest_start: datetime | None = None
    expected_recipients: int | None = None
    series: str = ""
    round: int | None = None
    rounds: int | None = None
    owner: str = ""
    list_unsubscribe: str = ""
    max_rate: float | None = None
    channel: str = "email"
    email_column: str = "email"
    phone_column: str = "phone"
    max_segments: int | None = None
    approval: Approval | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[str, ...] = ()

    @property
    def recipient_column(self) -> str:
        return self.phone_column if self.channel == "sms" else self.email_column


def parse_metadata(raw: bytes) -> Details:
    """The details in a blast_metadata.json.

    A value that can't be used is left out and named in `problems`, so that one bad key never hides the rest.
    Unknown keys are kept in `extra`. Raises MetadataError when the file isn't one JSON object.
    """
    try:
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise MetadataError(f"{METADATA} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"{METADATA} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise MetadataError(f"{METADATA} is nested too deeply to be metadata.") from error
    if not isinstance(document, dict):
        raise MetadataError(f"{METADATA} must be a JSON object {{…}}, not {type(document).__name__}.")
    return _Reader(document).details()


class _Reader:
    """Takes known keys out of the document one by one; what is left over is `extra`."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.left = document
        self.problems: list[str] = []

    def details(self) -> Details:
        zone = self._zone()
        values: dict[str, Any] = {
            "name": self._text("name"),
            "subject": self._text("subject"),
            "sender": self._text("from"),
            "reply_to": self._text("reply_to"),
            "due": self._due("due_at", zone),
            "zone": zone,
            "window": self._window(),
            "expected_recipients": self._count("expected_recipients"),
            "series": self._text("series"),
            "round": self._count("round"),
            "rounds": self._count("rounds"),
            "owner": self._text("owner"),
            "list_unsubscribe": self._text("list_unsubscribe"),
            "max_rate": self._rate(),
            "channel": self._channel(),
            "email_column": self._text("email_column") or "email",
            "phone_column": self._text("phone_column") or "phone",
            "max_segments": self._count("max_segments"),
            "approval": self._approval(),
        }
        latest = self._due("latest_start", zone)
        values["latest_start"] = latest.instant if latest else None
        return Details(**values, extra=MappingProxyType(self.left), problems=tuple(self.problems))

    def _problem(self, key: str, why: str) -> None:
        self.problems.append(f"{METADATA}: {key}: {why}")

    def _text(self, key: str) -> str:
        value = self.left.pop(key, "")
        if isinstance(value, str):
            return value
        self._problem(key, f"must be a text, not {value!r:.60}")
        return ""

    def _count(self, key: str) -> int | None:
        value = self.left.pop(key, None)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self._problem(key, f"must be a whole number, not {value!r:.60}")
        return None

    def _rate(self) -> float | None:
        value = self.left.pop("max_rate", None)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
            return value
        self._problem("max_rate", f"must be messages per second above 0, not {value!r:.60}")
        return None

    def _channel(self) -> str:
        channel = self._text("channel") or "email"
        if channel in CHANNELS:
            return channel
        self._problem("channel", f"must be one of {', '.join(CHANNELS)}, not {channel[:40]!r}")
        return "email"

    def _zone(self) -> str:
        zone = self._text("timezone")
        if not zone:
            return ""
        try:
            load_zone(zone)
        except ScheduleError as error:
            self._problem("timezone", str(error))
            return ""
        return zone

    def _due(self, key: str, zone: str) -> Due | None:
        text = self._text(key)
        if not text:
            return None
        if not zone:
            self._problem(key, "has no zone: add timezone, such as America/Los_Angeles")
            return None
        try:
            return resolve_due(text, zone)
        except ScheduleError as error:
            self._problem(key, str(error))
            return None

    def _window(self) -> Window | None:
        value = self.left.pop("window", None)
        if value is None:
            return None
        try:
            days = value.get("days")
            return parse_window(None if days is None else [str(day) for day in days], value["from"], value["to"])
        except ScheduleError as error:
            self._problem("window", str(error))
        except (KeyError, TypeError, AttributeError):
            self._problem("window", 'must be {"days": ["mon", …], "from": "09:00", "to": "18:00"}')
        return None

    def _approval(self) -> Approval | None:
        value = self.left.pop("approval", None)
        if value is None:
            return None
        try:
            return Approval(
                by=str(value["by"]),
                at=_stamp(value.get("at")),
                reference=str(value.get("reference", "")),
                recipients=int(value["recipients"]) if value.get("recipients") is not None else None,
                digest=str(value.get("digest", "")),
                expires=_stamp(value.get("expires")),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            self._problem("approval", 'must be {"by": …, "at": "2026-05-09T16:20:00-07:00", "recipients": …}')
            return None


def _stamp(text: Any) -> datetime | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or not is_plausible(instant):
        raise ValueError("an instant needs its offset")
    return instant


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise MetadataError(f"{METADATA} has the key {key!r} twice: keep one of them.")
        document[key] = value
    return document
