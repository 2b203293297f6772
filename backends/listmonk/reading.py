"""What listmonk's answers may hold, read strictly and within bounds: nothing but Trouble is ever raised."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from opsconsole.ports import Trouble
from opsconsole.schedule import is_plausible

LONGEST: Final = 4096  # characters of a text that isn't a body
LARGEST: Final = 2**53
MOST: Final = 100_000  # rows of one answer


class Unusable(Trouble):
    """An answer that isn't what listmonk gives."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            f"listmonk's {what[:60]} can't be read: {why}.",
            "What it says is not used.",
            "Look whether its url leads to listmonk 6, with nothing in between that changes answers.",
        )


def mapping(value: Any, what: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Unusable(what, f"an object was to come, and {kind(value)} came")


def items(value: Any, what: str) -> list[Any]:
    """A list; nothing at all is an empty one, as Go writes it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unusable(what, f"a list was to come, and {kind(value)} came")
    if len(value) > MOST:
        raise Unusable(what, f"it has more than {MOST:,} entries")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A list of texts, each whole up to LONGEST."""
    return tuple(plain(entry) for entry in items(value, what) if isinstance(entry, str))


def text(row: Mapping[str, Any], key: str, longest: int = LONGEST) -> str:
    """ "" where there is none."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable(key, f"a text was to come, and {kind(value)} came")
    return plain(value, longest)


def plain(value: str, longest: int = LONGEST) -> str:
    """A text that can be written anywhere: half a character, which JSON can name, is none."""
    return value[:longest].encode("utf-8", "replace").decode()


def whole(row: Mapping[str, Any], key: str) -> int:
    """A count; 0 where there is none."""
    value = row.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise Unusable(key, f"a count was to come, and {kind(value)} came")
    return value


def number(row: Mapping[str, Any], key: str) -> float:
    """A number that isn't negative; 0 where there is none."""
    value = row.get(key)
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LARGEST:  # NaN isn't
        raise Unusable(key, f"a number was to come, and {kind(value)} came")
    return float(value)


def reference(row: Mapping[str, Any], key: str) -> int | None:
    """The id of something else; None where that is gone."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise Unusable(key, f"an id was to come, and {kind(value)} came")
    return value


def identifier(row: Mapping[str, Any]) -> int:
    found = reference(row, "id")
    if found is None:
        raise Unusable("id", "there is none")
    return found


def truth(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Unusable(key, f"true or false was to come, and {kind(value)} came")
    return value


def instant(row: Mapping[str, Any], key: str) -> datetime | None:
    """An instant in UTC; None for none, and for the zero that programs write for none."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 64:
        raise Unusable(key, f"an instant was to come, and {kind(value)} came")
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError("no offset")
        if not is_plausible(found):
            return None
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable(key, "it is no instant with an offset") from None


def kind(value: Any) -> str:
    """What came instead, without its content, which may be anybody's."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(
        type(value), "a number out of its bounds" if isinstance(value, int | float) else "something else"
    )
