"""What a message says, whoever it goes to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_TITLE = 180
LONGEST_TEXT = 4000


def words(payload: Mapping[str, Any]) -> tuple[str, str]:
    """The one line and the whole text, with the audit head in it, of what is told."""
    title = " ".join(str(payload.get("title") or "opsconsole").split())[:LONGEST_TITLE]
    text = str(payload.get("text") or title)[:LONGEST_TEXT]
    head = payload.get("audit")
    if isinstance(head, Mapping):
        text += f"\nAudit head, record {head.get('seq')}:\n{head.get('mac')}"  # a line that no mail program breaks
    return title, text


def same(payload: Mapping[str, Any]) -> str:
    """The same for the same message, so that a receiver can tell that it came twice."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class About:
    """What a message begins or ends: `key` is the same for both. `since` is an ISO instant, "" when not told."""

    key: str
    ends: bool
    since: str
    until: str


def about(payload: Mapping[str, Any]) -> About | None:
    """None for a message about something that merely happened."""
    alarm = payload.get("alarm")
    if not isinstance(alarm, Mapping):
        return None
    return About(
        key=str(alarm.get("key")),
        ends=alarm.get("event") == "resolve",
        since=str(alarm.get("since") or ""),
        until=str(alarm.get("until") or ""),
    )


def facts(payload: Mapping[str, Any]) -> dict[str, str]:
    """The fields as texts, with severity and audit head."""
    fields = payload.get("fields")
    found = {str(name): str(value) for name, value in fields.items()} if isinstance(fields, Mapping) else {}
    head = payload.get("audit")
    if isinstance(head, Mapping):
        found["audit_head"] = f"{head.get('seq')} {head.get('mac')}"
    return found
