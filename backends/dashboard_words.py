"""What the dashboard is told of an end or a decision, in the keys and words the configuration names."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, Final

from opsconsole.mapping import MappingError, nested, reader
from opsconsole.ports import Trouble
from opsconsole.settings import DashboardWrite

MEANS: Final = "The dashboard may not know it; it is kept and can be recorded again."
DOING: Final = "Recording the result"

# What the console calls an end, and what is written for it. "" is one that is sent later: it stays as it is there.
ENDINGS: Final = {
    "sent": "sent",
    "ended": "sent",
    "partial": "partial",
    "failed": "failed",
    "cancelled": "cancelled",
    "scheduled": "",
    "approved": "",
}


class Told:
    """One payload of the outbox, as it is written. Raises Trouble for an end the dashboard has no word for."""

    def __init__(self, write: DashboardWrite, payload: Mapping[str, Any]) -> None:
        self.changes = "status" in payload  # a hold is told, and leaves the campaign's status as it is
        ending = ENDINGS.get(str(payload["status"]).lower()) if self.changes else ""
        if ending is None:
            raise Trouble(
                f"{DOING} failed: the dashboard has no word for {payload['status']!r:.40}.",
                "Nothing was written.",
                "Set the campaign's status there by hand.",
            )
        self._write = write
        self.payload = {key: _iso(_plain(value)) for key, value in payload.items()}
        self.awaits = not ending
        self.status = "" if self.awaits else write.statuses[ending]  # type: ignore[index]  # a Literal

    def body(self) -> dict[str, Any]:
        """What the campaign there becomes; only what the payload tells. Raises Trouble."""
        counts = self.payload.get("counts") or {}
        known = {"recipients": _total(counts), "failures": _not_accepted(counts), "outcome": self.payload["status"]}
        return _made(self._write.body, {**self.payload, **known, "status": self.status or None}, "body")

    def entry(self) -> dict[str, Any]:
        """The entry in its log of operations; everything the payload holds where nothing else is said."""
        return _made(self._write.entry, self.payload, "entry") if self._write.entry else self.payload


def _made(table: Mapping[str, str], words: Mapping[str, Any], name: str) -> dict[str, Any]:
    values = {}
    for key, expression in table.items():
        try:
            value = reader(expression)(words)
        except MappingError as error:
            mend = f"Mend write.{name} in the config."
            raise Trouble(f"{DOING} failed: the expression of {key} {error}.", MEANS, mend) from None
        if value is not None:
            values[key] = value
    return nested(values)


def _total(counts: Mapping[str, Any]) -> int | None:
    if counts.get("total") is not None:
        return int(counts["total"])
    parts = [counts.get(key) for key in ("accepted", "failed", "unknown")]
    return sum(int(part) for part in parts if part is not None) if any(p is not None for p in parts) else None


def _not_accepted(counts: Mapping[str, Any]) -> int | None:
    """The failed, the unknown and those never reached. There what is no failure reads as accepted."""
    total, accepted = _total(counts), counts.get("accepted")
    if total is None or accepted is None:
        return counts.get("failed")
    return max(total - int(accepted), 0)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
