"""Whether the others know how a campaign ended: the newest word for each, and how far it has got. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from opsconsole.audit.records import OutboxItem
from opsconsole.schedule import say_instant


def recorded(items: Iterable[OutboxItem], destinations: Collection[str]) -> tuple[OutboxItem, ...]:
    """For each destination the word that counts of those on one campaign: the oldest that still waits, as newer
    ones wait behind it, else the newest. `items` oldest first, as the outbox gives them."""
    told: dict[str, OutboxItem] = {}
    for item in items:
        if item.destination not in destinations or "status" not in item.payload:
            continue
        before = told.get(item.destination)
        if before is None or before.done_utc is not None:
            told[item.destination] = item
    return tuple(told[name] for name in sorted(told))


def say_recorded(item: OutboxItem, now: datetime, zone: str) -> str:
    """`recorded in dashboard today 14:03 PDT`, or `dashboard: waiting (3 tries, next in 40 s): why`."""
    if item.done_utc is not None:
        return f"recorded in {item.destination} {say_instant(item.done_utc, zone, now)}"
    first = item.last_error.partition(". ")[0].rstrip(".")
    why = first.partition(" failed: ")[2] or first
    return f"{item.destination}: {item.says(now)}{f': {why}' if why else ''}"


def recorded_json(item: OutboxItem, now: datetime, zone: str) -> dict[str, Any]:
    """What `show --json` says of it under `recorded`; `recorded_at` is null while it waits."""
    waits = item.done_utc is None
    return {
        "destination": item.destination,
        "status": item.payload["status"],
        "recorded_at": None if item.done_utc is None else item.done_utc.isoformat(),
        "tries": item.tries,
        "next_try": item.next_try_utc.isoformat() if waits else None,
        "why": item.last_error if waits else "",
        "says": say_recorded(item, now, zone),
    }
