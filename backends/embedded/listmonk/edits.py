"""What a request may write into a campaign: the fields it sends over those that are there, and their checks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from backends.embedded.listmonk import render
from backends.embedded.listmonk.engine import Manager
from backends.embedded.listmonk.rows import CONTENT_TYPES, Campaign
from backends.embedded.listmonk.web import Refusal

ADDRESS = re.compile(r"((.+?)\s)?<(.+?)@(.+?)>|[^\s@<>]+@[^\s@<>]+")
TEXTS = ("name", "subject", "from_email", "body", "content_type", "messenger")
NULLABLE = ("body_source", "altbody", "archive_slug")
LONGEST_NAME, LONGEST_SUBJECT = 2000, 5000
NEW: Mapping[str, Any] = {
    "name": "", "subject": "", "from_email": "", "type": "regular", "body": "", "body_source": None,
    "altbody": None, "content_type": "richtext", "send_at": None, "tags": [], "headers": [], "attribs": {},
    "messenger": "email", "template_id": None, "archive": False, "archive_slug": None,
    "archive_template_id": None, "archive_meta": {},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """`fields` are columns of a campaign."""

    fields: dict[str, Any]
    lists: list[int]


def edit(
    body: Mapping[str, Any], stored: Campaign | None, manager: Manager, now: datetime, sender: str,
    *, test: bool = False,
) -> Edit:  # fmt: skip
    """Over `stored`, or a new one; a `test` gets no defaults. Raises Refusal.

    What isn't sent keeps its value, save `lists`, `media` and `attribs`. The send date is checked wherever it
    comes from: the stored one of an overdue campaign makes every edit fail that doesn't send another.
    """
    fields = {name: getattr(stored, name) if stored else value for name, value in NEW.items()}
    fields["attribs"] = {}
    for name in set(NEW) & set(body):
        fields[name] = _typed(name, body[name])
    if test:
        fields["messenger"] = body.get("messenger") or ""
    elif stored is None:
        fields["content_type"] = fields["content_type"] or "richtext"
        fields["messenger"] = fields["messenger"] or "email"
    else:
        fields["type"] = stored.type
    lists = body.get("lists")
    if lists is not None and not (isinstance(lists, list) and all(type(one) is int for one in lists)):
        raise _bad("Unmarshal type error: expected=int, got=object, field=lists")
    fields["from_email"] = fields["from_email"] or sender
    _check(fields, lists or [], manager, now)
    if fields["content_type"] not in CONTENT_TYPES:
        wrong = f'pq: invalid input value for enum content_type: "{fields["content_type"]}"'
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Error updating Campaign: {wrong}")
    return Edit(fields, lists or [])


def _check(fields: Mapping[str, Any], lists: list[int], manager: Manager, now: datetime) -> None:
    if not ADDRESS.search(fields["from_email"]):
        raise _bad("Invalid `from_email`.")
    if not 1 <= len(fields["name"]) <= LONGEST_NAME:
        raise _bad("Invalid length for name.")
    if not 1 <= len(fields["subject"]) <= LONGEST_SUBJECT:
        raise _bad("Invalid length for subject.")
    if fields["send_at"] is not None and fields["send_at"] < now:
        raise _bad("Scheduled date should be in the future.")
    if not lists:
        raise _bad("Invalid list IDs.")
    if not manager.has_messenger(fields["messenger"]):
        raise _bad(f"Unknown messenger {fields['messenger']}.")
    try:
        render.compiled(fields["body"], fields["subject"])
    except render.Uncompilable as error:
        raise _bad(f"Error compiling campaign body: {error}") from error


def _typed(name: str, value: Any) -> Any:
    if name == "send_at":
        return _instant(value)
    if name in TEXTS or name == "type":
        return _of(str, name, "" if value is None else value)
    if name in NULLABLE:
        return None if value in (None, "") else _of(str, name, value)
    if name in ("template_id", "archive_template_id"):
        return None if value in (None, 0) else _of(int, name, value)
    if name == "archive":
        return _of(bool, name, value)
    if name in ("tags", "headers"):
        return _of(list, name, [] if value is None else value)
    return _of(dict, name, {} if value is None else value)


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _bad(f'parsing time "{value}" as RFC3339')
    return at


def _of(kind: type, name: str, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _bad(f"Unmarshal type error: expected={kind.__name__}, field={name}")
    return value


def _bad(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, message)
