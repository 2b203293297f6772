"""How the queues stood over time, and what follows: since when they got no shorter, how fast they do. Pure.

Samples come from our own looks and, where CloudWatch may be asked, from the minutes before the console was started.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

KEPT_FOR: Final = timedelta(hours=1)
MOST: Final = 400
RATE_OVER: Final = timedelta(minutes=2)
BLIND: Final = timedelta(minutes=10)  # what happened between looks further apart than this, nobody saw
LEAST_SPAN: Final = timedelta(seconds=5)  # a rate over less would be noise: the counts move in batches


@dataclass(frozen=True, slots=True)
class Sample:
    """References in the queue (waiting, in flight, delayed) and in the dead-letter queue; None where not known.
    `settled` counts by campaign id those that came to an end."""

    at: datetime
    left: int | None = None
    dead: int | None = None
    settled: Mapping[str, int] = field(default_factory=dict)


History = tuple[Sample, ...]
"""Oldest first."""


def added(history: History, new: Iterable[Sample]) -> History:
    """With these, in order, and without what is too old or more than can be of use."""
    samples = sorted((*history, *new), key=lambda s: s.at)
    if not samples:
        return ()
    newest = samples[-1].at
    return tuple(s for s in samples if newest - s.at <= KEPT_FOR)[-MOST:]


def not_falling_since(history: History) -> datetime | None:
    """The first instant from which on there were never more than now: since then it got no shorter. Goes back no
    further than somebody looked.

    None when there is nothing in it now, or nothing is known. An instant that is the newest says that it just fell.
    """
    known = [s for s in history if s.left is not None]
    if not known or not known[-1].left:
        return None
    now, since = known[-1].left, known[-1].at
    for sample in reversed(known):
        if (sample.left is not None and sample.left > now) or since - sample.at > BLIND:
            break
        since = sample.at
    return since


def dead_grown(history: History) -> tuple[int, timedelta] | None:
    """By how many the dead-letter queue grew since it was smallest, and over what time; None where it didn't."""
    known = [s for s in history if s.dead is not None]
    if len(known) < 2:
        return None
    least = min(known, key=lambda s: (s.dead or 0, -s.at.timestamp()))
    grown = (known[-1].dead or 0) - (least.dead or 0)
    return (grown, known[-1].at - least.at) if grown > 0 and known[-1].at > least.at else None


def changed_at(history: History, campaign_id: str) -> datetime | None:
    """When we last saw its counts change; None where they stayed as they were for as long as we watched."""
    known = [s for s in history if campaign_id in s.settled]
    changes = (b.at for a, b in pairwise(known) if a.settled[campaign_id] != b.settled[campaign_id])
    return max(changes, default=None)


def watched_since(history: History, campaign_id: str) -> datetime | None:
    return next((s.at for s in history if campaign_id in s.settled), None)


def rate(history: History, campaign_id: str) -> float | None:
    """Settled recipients a second over the newest minutes; None until two looks can tell."""
    known = [s for s in history if campaign_id in s.settled]
    if len(known) < 2:
        return None
    newest = known[-1]
    first = next(s for s in known if newest.at - s.at <= RATE_OVER)
    span = newest.at - first.at
    if span < LEAST_SPAN:
        return None
    return max(newest.settled[campaign_id] - first.settled[campaign_id], 0) / span.total_seconds()
