"""What one look at the pipeline found besides the campaigns: queues, SES, their past, what it cost. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from backends.serverless.backlog import History, dead_grown, not_falling_since
from backends.serverless.pipe import Queue
from backends.serverless.reasons import Reasons
from backends.serverless.runwords import GOING, leased, settled, status_of
from backends.serverless.ses import Account
from backends.serverless.values import count, text
from opsconsole.schedule import say_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What the configuration and the policy say of when something is wrong. `zone` is that of times without one."""

    backlog_after: timedelta = timedelta(minutes=5)
    stall_after: timedelta = timedelta(minutes=5)
    quota_warn: float = 0.8
    channel: Literal["ses", "smtp"] = "ses"
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """None, and an entry in `unread` by part ("queue", "metrics", …) with the reason, where it couldn't be asked.

    `oldest`: since when the oldest message waits. `suppressed`: addresses on SES's list, and whether that is all.
    `contacts`: about how many there are, by DynamoDB's own count of some hours ago. `reasons` by campaign id.
    `under_way`: ids of the campaigns that should be getting on; `speed`: recipients a second of all of them.
    """

    at: datetime
    queue: Queue | None = None
    dead: Queue | None = None
    oldest: datetime | None = None
    history: History = ()
    account: Account | None = None
    suppressed: tuple[int, bool] | None = None
    contacts: int | None = None
    reasons: Mapping[str, Reasons] = field(default_factory=dict)
    under_way: frozenset[str] = frozenset()
    speed: float = 0.0
    unread: Mapping[str, str] = field(default_factory=dict)
    units: float = 0.0
    requests: int = 0

    @property
    def left(self) -> int | None:
        """References that are still anywhere: in the queue or the dead-letter queue; None when not known."""
        if self.queue is None:
            return None
        return self.queue.left + (self.dead.left if self.dead else 0)

    @property
    def stuck_for(self) -> timedelta:
        """For how long the backlog hasn't got shorter, as far as is known; zero when it has, or there is none."""
        since = not_falling_since(self.history)
        return self.at - since if since and self.queue and self.queue.left else timedelta(0)

    def say_backlog(self, tuning: Tuning) -> str:
        """`1,200 in the queue, not falling for 12 min, the oldest there for 41 min`; "" when it can't be told."""
        if self.queue is None:
            return ""
        words = f"{self.queue.left:,} in the queue"
        if self.queue.left and self.stuck_for >= tuning.backlog_after:
            words += f", not falling for {say_span(self.stuck_for)}"
        return words + self.say_oldest(", ")

    def say_oldest(self, before: str = "") -> str:
        if self.oldest is None or self.queue is None or not self.queue.left:
            return ""
        return f"{before}the oldest there for {say_span(self.at - self.oldest)}"

    def say_dead(self) -> str:
        """`37 in the dead-letter queue (9 more in 10 min)`; "" for none."""
        if self.dead is None or not self.dead.left:
            return ""
        grown = dead_grown(self.history)
        more = f" ({grown[0]:,} more in {say_span(grown[1])})" if grown else ""
        return f"{self.dead.left:,} in the dead-letter queue{more}"


def should_move(item: Mapping[str, Any], now: datetime) -> bool:
    """Whether its references should be getting fewer: it is under way, not on hold, and all of them are queued."""
    return status_of(item) in GOING and item.get("paused") is not True and not leased(item, now)


def queued(item: Mapping[str, Any]) -> int:
    """How many references were queued; a pipeline that keeps only a total queues all of them at once."""
    own = count(item, "queued_count")
    return own or ("queued_count" not in item and count(item, "total_contacts")) or 0


def outstanding(item: Mapping[str, Any]) -> int:
    """References that came to no end yet, by the counts."""
    return max(queued(item) - settled(item), 0) if status_of(item) in GOING else 0


def sum_of(item: Mapping[str, Any]) -> str:
    """`90 sent + 3 failed + 2 missing = 95`."""
    names = ("sent", "failed", "missing", "suppressed", "unknown")
    parts = [(count(item, f"{name}_count"), name) for name in names]
    shown = [f"{number:,} {name}" for number, name in parts if number or name in ("sent", "failed")]
    return f"{' + '.join(shown)} = {settled(item):,}"


def by_ses(item: Mapping[str, Any], tuning: Tuning) -> bool:
    """Whether SES is what it goes out by."""
    return (text(item, "email_service") or tuning.channel).lower() == "ses"
