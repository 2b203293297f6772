"""What one line of listmonk's log tells, and of which campaign. Pure; lines are text from outside.

A campaign's name isn't unique and may hold anything, so lines are never parsed for a name: each is held against
names that are known.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from backends.listmonk.system import go_duration
from opsconsole.redact import mask_addresses, redact, visible

LONGEST_LINE = 2000
_STAMP = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) (?:[\w.-]{1,60}\.go:\d{1,6}: )?")
_SUBSCRIBER = re.compile(r"(\d{1,18}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}): ?(.*)", re.S)
_SLEEPS = re.compile(
    r"messages exceeded \(\d+\) for the window \(.*\)\. Sleeping for ((?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s)"
)
_OTHER_MAIL = re.compile(r"error sending message '(.*)': (.*)", re.S)
_CODE = re.compile(r"(?<![\d.])([45]\d\d)[ -](?:(\d\.\d{1,3}\.\d{1,3})[ -])?")


class Kind(StrEnum):
    """What happened, by a line."""

    PICKED_UP = "picked-up"
    DRAINED = "drained"  # paused or cancelled, and nothing of it is in flight any more
    FINISHED = "finished"
    ERRORS_EXCEEDED = "errors-exceeded"  # it is being paused for too many errors
    ERROR_PAUSED = "error-paused"  # ... and is drained
    SEND_ERROR = "send-error"
    RENDER_ERROR = "render-error"
    STUCK = "stuck"  # it can't be processed; said again with every scan
    SLEEPING = "sleeping"  # the sliding window is used up; this holds every campaign


@dataclass(frozen=True, slots=True)
class Told:
    """`subscriber` is an id (in old versions a UUID) for a send error; `why` is listmonk's own word."""

    kind: Kind
    subscriber: str = ""
    why: str = ""
    sleeps: timedelta | None = None


def cleaned(text: str) -> str:
    """A line, or a name to hold against one, as it may be kept: no secret, no address, nothing that acts."""
    return visible(mask_addresses(redact(text)), LONGEST_LINE)


def parted(line: str) -> tuple[datetime | None, str]:
    """The line's own time, naive as it names no zone, and what it says without it."""
    match = _STAMP.match(line)
    if match is None:
        return None, line
    try:
        stamp = datetime.fromisoformat(match[1][:26].replace("/", "-"))  # five times as fast as strptime
    except ValueError:
        return None, line
    return stamp, line[match.end() :]


@lru_cache(maxsize=32768)  # a failing campaign's lines are asked about at every look
def told(text: str, name: str) -> Told | None:
    """What `text` (cleaned, without its time) tells of a campaign of this name; None when nothing."""
    name = _clean_name(name)
    for kind, said in _WHOLE:
        if text == said.format(name):
            return Told(kind)
    if text.startswith(begins := f"error sending message in campaign {name}: subscriber "):
        match = _SUBSCRIBER.fullmatch(text[len(begins) :])
        return Told(Kind.SEND_ERROR, match[1], match[2]) if match else None
    if text.startswith(begins := f"error rendering message ({name}) ("):
        return Told(Kind.RENDER_ERROR, why=text[len(begins) :].partition("): ")[2])
    for said in (f"error processing campaign ({name}): ", f"error processing campaign batch ({name}): "):
        if text.startswith(said):
            return Told(Kind.STUCK, why=text[len(said) :])
    if re.match(r"error count(?:ed)? exceeded \d+\. pausing", text) and text.endswith(f". pausing campaign {name}"):
        return Told(Kind.ERRORS_EXCEEDED, why=text.removesuffix(f". pausing campaign {name}"))
    return None


def sleeping(text: str) -> Told | None:
    """That the sliding window is used up, and for how long nothing at all is sent."""
    match = _SLEEPS.match(text) if text.startswith("messages exceeded") else None
    return Told(Kind.SLEEPING, why=text, sleeps=go_duration(match[1])) if match else None


def other_mail(text: str) -> str | None:
    """Why a mail of no campaign (transactional, opt-in, notice to admins) was not sent; None for other lines."""
    match = _OTHER_MAIL.fullmatch(text)
    return match[2] if match else None


def error_class(why: str) -> str:
    """`454 4.7.0`, `550`, `connection`, `timeout`: by which errors are counted."""
    if match := _CODE.search(why):
        return " ".join(filter(None, match.groups()))
    lowered = why.lower()
    if "timeout" in lowered or "timed out" in lowered:
        return "timeout"
    if any(word in lowered for word in ("connection", "dial ", "eof", "broken pipe", "no such host", "pool")):
        return "connection"
    return "other"


_WHOLE = (
    (Kind.PICKED_UP, "start processing campaign ({})"),
    (Kind.DRAINED, "stop processing campaign ({})"),
    (Kind.FINISHED, "campaign ({}) finished"),
    (Kind.FINISHED, "finish processing campaign ({})"),
    (Kind.ERROR_PAUSED, "set campaign ({}) to paused"),
)


@lru_cache(maxsize=1024)
def _clean_name(name: str) -> str:
    return cleaned(name)
