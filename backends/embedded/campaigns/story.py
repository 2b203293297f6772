"""The words in which the demo's campaigns are told: what each is, when it was due, and what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

When = Callable[[datetime, ZoneInfo], datetime]
"""An instant (UTC, whole minutes) from `now` and the campaign's zone."""

OFFICE = ("09:00", "18:00")


def ago(**span: float) -> When:
    """`ago(minutes=52)`; a negative span lies ahead."""
    return lambda now, zone: (now - timedelta(**span)).astimezone(UTC).replace(second=0, microsecond=0)


def on(day: int, clock: str) -> When:
    """A clock time in the campaign's zone, so many days from today there."""

    def when(now: datetime, zone: ZoneInfo) -> datetime:
        date = now.astimezone(zone).date() + timedelta(days=day)
        return datetime.combine(date, time.fromisoformat(clock), zone).astimezone(UTC)

    return when


class Fate(Enum):
    """How far the run on the host came."""

    CLAIMED = "claimed"  # and no further
    IN_DOUBT = "in doubt"  # started, its owner is dead, no end recorded
    STALLED = "stalled"  # its owner lives and does nothing
    ENDED = "ended"
    LOG_ONLY = "log only"  # by a runner that leaves a log and no run state


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A run in the past. `seconds` is how long it took, `done` how many it got through (None: all)."""

    fate: Fate
    began: When
    seconds: float = 400.0
    done: int | None = None
    failed: int = 0
    rc: int = 0
    by: str = "mara"
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The dashboard's row. `status` and `task` are its own words; `recipients` None takes the real number."""

    status: str
    by: str = ""
    approved: When | None = None
    task: str = ""
    task_status: str = "done"
    recipients: int | None = None
    completed: When | None = None
    failures: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One campaign. `rows` None: there is no folder on the host."""

    slug: str
    name: str
    subject: str
    lead: str
    due: When
    rows: int | None
    zone: str = "America/Los_Angeles"
    window: tuple[str, str] | None = None
    expected: int | None = None
    board: Board | None = None
    past: Past | None = None
    cron: tuple[When, ...] = ()
    series: tuple[str, int, int] | None = None
    hold: str = ""
    greeting: str = "{{ first_name }}"
    with_text: bool = False
    without: tuple[str, ...] = ()
    approved_in_metadata: bool = False
    oddities: bool = False  # drill 15: cells and log lines that would like to act
    broken_metadata: bool = False
    max_rate: float | None = None
