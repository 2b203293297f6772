"""DynamoDB's typed values and Python's. Whatever an item holds can be read; nothing it holds raises. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from opsconsole.schedule import is_plausible

COUNT_CAP = 10**12


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as Python values: whole numbers are int, other numbers Decimal, sets frozenset, binary bytes."""
    return {name: _plain(value) for name, value in item.items()}


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in DynamoDB's own form. Raises TypeError for what it can't hold."""
    return {name: _typed(value) for name, value in values.items()}


def text(item: Mapping[str, Any], name: str) -> str:
    """The attribute where it is a text, else ""."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def count(item: Mapping[str, Any], name: str) -> int:
    """The attribute where it is a whole number from 0 on, else 0."""
    value = item.get(name)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_CAP
    return value if whole and isinstance(value, int) else 0


def instant(item: Mapping[str, Any], name: str) -> datetime | None:
    """The attribute where it is an ISO 8601 time; one without an offset is UTC, as the seed's are."""
    try:
        found = datetime.fromisoformat(text(item, name))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if is_plausible(found) else None


def epoch(item: Mapping[str, Any], name: str) -> float:
    """The attribute as seconds since the epoch, else 0."""
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return 0.0
    return float(value) if 0 <= value <= COUNT_CAP else 0.0


def _plain(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    ((kind, held),) = value.items()
    match kind, held:
        case ("S", str()) | ("BOOL", bool()) | ("B", bytes()):
            return held
        case "N", _:
            return _number(held)
        case (("SS" | "BS"), list()):
            return frozenset(each for each in held if isinstance(each, str | bytes))
        case "NS", list():
            return frozenset(_number(each) for each in held)
        case "L", list():
            return [_plain(each) for each in held]
        case "M", Mapping():
            return plain(held)
    return None


def _number(held: Any) -> int | Decimal | None:
    try:
        number = Decimal(str(held))
        if not number.is_finite():
            return None
        return int(number) if number == number.to_integral_value() and abs(number) < COUNT_CAP**2 else number
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | Decimal):
        return {"N": str(value)}
    if isinstance(value, float):
        return {"N": repr(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, frozenset | set):
        return {"SS": sorted(value)}
    if isinstance(value, Mapping):
        return {"M": typed(value)}
    if isinstance(value, list | tuple):
        return {"L": [_typed(each) for each in value]}
    raise TypeError(f"DynamoDB can't hold a {type(value).__name__}")
