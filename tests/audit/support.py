"""A key, a clock that ticks one second a look, and an event to record."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from opsconsole.audit.records import Event

KEY = bytes(range(32))
START = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


def ticking() -> Callable[[], datetime]:
    seconds = count()
    return lambda: START + timedelta(seconds=next(seconds))


def event(action: str = "send", **fields: object) -> Event:
    given: dict[str, object] = {
        "operator": "mara",
        "session": "s-1",
        "environment": "production",
        "campaign": "paul-simon-may12",
        "run": "run-1",
        "detail": {"audience": 2601},
    }
    return Event(action=action, **(given | fields))  # type: ignore[arg-type]
