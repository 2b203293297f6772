"""What a campaign's item says of its run: the one reading for observations and for run states. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from backends.serverless.values import count, epoch, instant, text
from opsconsole.observation import Counts, RunWord, Says
from runner.errors import CANCELLED, OK, SOME_FAILED
from runner.worker.schema import Status

SETTLED = ("sent_count", "failed_count", "missing_count", "suppressed_count", "unknown_count")
DRAINS = timedelta(seconds=10)
GOING = frozenset({Status.QUEUED, Status.PROCESSING})


def status_of(item: Mapping[str, Any]) -> Status | None:
    """None for a word that isn't ours. An item without one is a draft."""
    word = item.get("status")
    if word is None:
        return Status.DRAFT
    return Status(word) if isinstance(word, str) and word in set(Status) else None


def settled(item: Mapping[str, Any]) -> int:
    """How many references came to an end, one way or another."""
    return sum(count(item, name) for name in SETTLED)


def leased(item: Mapping[str, Any], now: datetime) -> bool:
    """Whether somebody is queueing it."""
    return epoch(item, "queueing_until") > now.timestamp()


def broken_off(item: Mapping[str, Any], now: datetime) -> bool:
    """Started by a console, and nobody is queueing the rest of it. Of a run of others nobody can tell."""
    return (
        status_of(item) in GOING
        and bool(text(item, "run_id"))
        and not text(item, "queued_at")
        and not leased(item, now)
    )


def draining(item: Mapping[str, Any], now: datetime) -> bool:
    """Cancelled a moment ago: what was on its way to the mail system is still being counted."""
    at = instant(item, "cancelled_at")
    return status_of(item) is Status.CANCELLED and at is not None and timedelta(0) <= now - at < DRAINS


def run_out(item: Mapping[str, Any], now: datetime, left: int | None, stall_after: timedelta) -> bool:
    """Queued as a whole, nothing left in the queue (`left`; None: not known), and not at its end for a while."""
    if status_of(item) not in GOING:
        return False
    moved = max(filter(None, (instant(item, "progress_at"), instant(item, "queued_at"))), default=None)
    whole = bool(text(item, "queued_at")) or not text(item, "run_id")
    return whole and left == 0 and moved is not None and now - moved > stall_after


def says_of(item: Mapping[str, Any], now: datetime, left: int | None, stall_after: timedelta) -> Says:
    """`left`: references in the queue, in flight and delayed, of all campaigns; None when that isn't known."""
    status = status_of(item)
    if status is Status.COMPLETED:
        return Says.ENDED
    if status is Status.CANCELLED:
        if not text(item, "run_id") and not settled(item):
            return Says.CANCELLED
        return Says.RUNNING if draining(item, now) else Says.ENDED
    if status is None or status not in GOING:
        return Says.NOTHING
    if item.get("paused") is True:
        return Says.PAUSED
    if broken_off(item, now) or run_out(item, now, left, stall_after):
        return Says.STARTED
    return Says.RUNNING


def counts_of(item: Mapping[str, Any]) -> Counts:
    """Whoever was deleted after queueing, or asked for no mail, is not in `total`."""
    gone = count(item, "missing_count") + count(item, "suppressed_count")
    total = count(item, "total_contacts") or count(item, "queued_count")
    return Counts(
        total=max(total - gone, 0) if total else None,
        accepted=count(item, "sent_count"),
        failed=count(item, "failed_count"),
        unknown=count(item, "unknown_count"),
        suppressed=count(item, "suppressed_count"),
    )


def ended_at(item: Mapping[str, Any]) -> datetime | None:
    status = status_of(item)
    if status is Status.COMPLETED:
        return instant(item, "completed_at") or instant(item, "progress_at")
    return instant(item, "cancelled_at") if status is Status.CANCELLED else None


def rc_of(item: Mapping[str, Any]) -> int | None:
    """The exit code that our runner would end with; None while it goes."""
    status = status_of(item)
    if status is Status.CANCELLED:
        return CANCELLED
    if status is not Status.COMPLETED:
        return None
    return SOME_FAILED if count(item, "failed_count") or count(item, "unknown_count") else OK


def word_of(item: Mapping[str, Any], now: datetime) -> RunWord:
    counts, started = counts_of(item), instant(item, "started_at")
    return RunWord(
        run_id=text(item, "run_id"),
        by=text(item, "started_by"),
        claimed_at=started,
        started_at=started,
        ended_at=None if draining(item, now) else ended_at(item),
        progress_at=instant(item, "progress_at"),
        rc=None if draining(item, now) else rc_of(item),
        counts=counts,
        note=note_of(item, now),
        waiting=item.get("paused") is True,
        planned=counts.total,
    )


def note_of(item: Mapping[str, Any], now: datetime) -> str:
    """What stands in the way, or is going on, in a few words; "" for nothing worth saying."""
    status, queued, total = status_of(item), count(item, "queued_count"), count(item, "total_contacts")
    if status is Status.CANCELLED:
        by = text(item, "cancelled_by")
        last = ", what is on its way still goes out" if draining(item, now) else ""
        return f"cancelled{f' by {by}' if by else ''}: {count(item, 'sent_count'):,} were sent{last}"
    if status is not None and status not in GOING:
        missing = count(item, "missing_count")
        return f"{missing:,} contacts were deleted after queueing" if missing else ""
    if item.get("paused") is True:
        by = text(item, "paused_by")
        why = text(item, "pause_reason")
        return f"paused{f' by {by}' if by else ''}{f': {why[:200]}' if why else ''}"
    if broken_off(item, now):
        return f"queueing broke off at {queued:,} of {total:,}: nobody queues the rest"
    if status in GOING and text(item, "run_id") and not text(item, "queued_at"):
        return f"queueing, {queued:,} of {total:,}"
    return ""
