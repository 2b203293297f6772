"""What becomes of a message of the queue. Pure.

DONE     It is deleted: its recipient came to an end, here or before, or the campaign was cancelled.
BACK     It comes again after a while, as one more try: the queue counts it.
WAIT     It comes again after a while, and that is nobody's fault: the queue must not count it.
DEAD     It can't be worked on. It is left to the queue, which puts it into the dead-letter queue in the end.

A message that waits must not wander into the dead-letter queue by being looked at. A standard queue gets a copy
with a delay, and the message is deleted: a copy begins its life anew, one too many after a crash between the two is
harmless, since whoever makes the delivery sends, and the delay is up to 15 minutes. A FIFO queue takes no delay for
one message and drops copies with the same de-duplication id, so there the message stays unseen for the delay, and
only when the queue would count it out a copy takes its place, with an id made from the message's own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from runner.worker.schema import State, Status
from runner.worker.steps import Item

TRIES: Final = 3  # of a message that is refused for now, or in words that could mean everybody
RETRY_SECONDS: Final = 60.0
STALE_SECONDS: Final = 900.0  # a delivery begun longer ago has no worker any more: a Lambda lives no longer
LONGEST_DELAY: Final = 900  # that SQS knows
_FIRST_WAIT: Final = 5
_PAUSED_WAIT: Final = 120
_DEAD_WAIT: Final = 30


class Do(Enum):
    DONE = "done"
    BACK = "back"
    WAIT = "wait"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as the queue gave it. `receives` counts this time; `waits` how often it was copied to wait;
    `group` is its group in a FIFO queue."""

    ident: str
    receipt: str
    body: str
    receives: int = 1
    waits: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seconds` until it comes again, `kind` one word to count by, `why` for people; no addresses in it."""

    do: Do
    seconds: float = 0.0
    kind: str = ""
    why: str = ""


DUPLICATE: Final = Verdict(Do.DONE, kind="duplicates")
DROPPED: Final = Verdict(Do.DONE, kind="dropped")
SETTLED: Final = Verdict(Do.DONE)


def of_campaign(item: Item | None, message: Taken) -> Verdict | None:
    """What a campaign's item says of its message; None when it may be mailed. A completed one's may still be a
    duplicate."""
    if item is None:
        return dead("the campaign is not in its table", message)
    status = item.get("status")
    if status == Status.CANCELLED:
        return DROPPED
    if status not in (Status.QUEUED, Status.PROCESSING):
        return dead(f"the campaign is {str(status)[:20] if status else 'without a status'}", message)
    if item.get("paused"):
        return wait(min(_PAUSED_WAIT, soon(message)), "paused")
    return None


def of_delivery(old: Item, message: Taken, now: datetime, stale_seconds: float) -> Verdict | None:
    """What the delivery of somebody else says of its message; None when nobody is left to end it."""
    if old.get("state") != State.SENDING:
        return DUPLICATE
    try:
        begun = datetime.fromisoformat(str(old.get("begun_at")))
    except ValueError:
        return None
    age = (now - (begun if begun.tzinfo else begun.replace(tzinfo=UTC))).total_seconds()
    return wait(min(soon(message), stale_seconds - age + 1), "busy") if age < stale_seconds else None


def soon(message: Taken) -> float:
    """Seconds until to look again, longer each time that it waited."""
    return float(_FIRST_WAIT * 2 ** min(message.waits, 10))


def wait(seconds: float, kind: str, why: str = "") -> Verdict:
    return Verdict(Do.WAIT, min(max(0.0, seconds), LONGEST_DELAY), kind, why)


def dead(why: str, message: Taken) -> Verdict:
    return Verdict(Do.DEAD, _DEAD_WAIT * min(message.receives, 10), "dead", why)


def content_version(item: Item) -> int:
    try:
        return int(item.get("content_version") or 0)
    except (TypeError, ValueError):
        return 0
