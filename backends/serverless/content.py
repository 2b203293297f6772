"""What a campaign of the pipeline is made of, as digests by part. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "subject": ("subject",),
    "body": ("body", "list_unsubscribe"),
    "text": ("text",),
    "sender": ("from_email", "reply_to", "email_service", "smtp_server", "smtp_port"),
    "audience": ("audience_attribute", "audience_value"),
}
"""The parts of the content and the attributes each one is made of. Who they are is counted, not digested."""

ATTRIBUTES: Final = tuple(name for names in PARTS.values() for name in names)


def digests(item: Mapping[str, Any]) -> dict[str, str]:
    """sha256 in hex by part. `text` is left out where the campaign has none; `audience` is its definition alone."""
    found = {}
    for part, names in PARTS.items():
        values = {name: _canonical(item[name]) for name in names if item.get(name) not in (None, "")}
        if values or part != "text":
            found[part] = digest_of(values)
    return found


def digest_of(values: Mapping[str, str]) -> str:
    text = json.dumps(dict(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def say_audience(item: Mapping[str, Any]) -> str:
    """`every contact`, `contacts whose plan is pro`."""
    attribute = item.get("audience_attribute")
    return f"contacts whose {attribute} is {item.get('audience_value', '')}" if attribute else "every contact"


def _canonical(value: Any) -> str:
    """A number is the same in whatever type it comes: 25, 25.0 and Decimal("25")."""
    if isinstance(value, bool | str):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return str(int(number)) if number.is_integer() else str(number)
