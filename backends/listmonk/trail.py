"""What the kept log tells of one campaign: picked up, drained, failed, stuck, asleep, cut off. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.campaigns import CANCELLED, COMING, FINISHED, OVER, Campaign
from backends.listmonk.kept import Entry
from backends.listmonk.loglines import Kind, cleaned, error_class, sleeping, told
from backends.listmonk.runfile import SLACK, Span
from backends.listmonk.system import Tuning

FRESH: Final = timedelta(minutes=10)  # an older error isn't why nothing moves now
DRAINS: Final = timedelta(hours=1)  # so long a cancelled one may go on with what it has in hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """`failed` are subscribers (by listmonk's id) that weren't mailed for an error and are in no later success that
    listmonk tells of; `unrendered` counts mails that couldn't be made. `alive`: something of it may be in flight or
    in a queue; None when the log doesn't reach back far enough to tell. `read` False: the log can't be read at all.
    `whole`: all that was logged of it since it began is known, so what isn't there never was. `shared`: another
    campaign of its name was at work meanwhile, and whose word of a drain it is can't be told.
    """

    read: bool = True
    whole: bool = True
    alive: bool | None = None
    picked_up: datetime | None = None
    drained: datetime | None = None
    failed: tuple[str, ...] = ()
    unrendered: int = 0
    classes: tuple[tuple[str, int], ...] = ()
    last_error: str = ""
    last_error_at: datetime | None = None
    stuck: str = ""
    exceeded: bool = False
    sleeps_until: datetime | None = None
    restarts: tuple[datetime, ...] = ()
    gaps: int = 0
    shared: bool = False

    def reason(self, now: datetime) -> str:
        """Why nothing moves, as far as the log knows; "" for no reason."""
        if self.stuck:
            return f"listmonk can't process it: {self.stuck}"
        if self.sleeps_until and self.sleeps_until > now:
            left = f"until {self.sleeps_until:%H:%M:%S} UTC"
            return f"the sliding window is used up: listmonk sends nothing at all {left}"
        if self.exceeded and self.alive:
            return "too many errors: listmonk is pausing it"
        if self.last_error_at and now - self.last_error_at <= FRESH:
            return f"{len(self.failed):,} failed, the last with {self.last_error}"
        return ""


BLIND: Final = Trail(read=False, whole=False)


def span_of(campaign: Campaign, since: datetime | None = None) -> Span | None:
    """Which of the log is this campaign's; None before it began. `since`: when its start was asked for here."""
    began = campaign.started_at or since
    if began is None:
        return None
    if since is not None:
        began = min(began, since)
    return Span(campaign.name, began, campaign.updated_at if campaign.status in OVER else None)


def trail(entries: Sequence[Entry], campaign: Campaign, since: datetime | None = None) -> Trail:
    """From all that is kept, oldest first."""
    span = span_of(campaign, since)
    if span is None:
        return Trail()
    return follow_trail(span.of(entries), campaign.name, reaches_back=_reaches_back(entries, campaign))


def follow_trail(entries: Sequence[Entry], name: str, *, reaches_back: bool) -> Trail:
    """From a campaign's own lines. `reaches_back`: what isn't among them was never logged."""
    alive: bool | None = False if reaches_back else None
    picked_up = drained = last_at = sleeps_until = None
    failed: dict[str, str] = {}
    unrendered, gaps = 0, 0
    stuck, exceeded, last_error = "", False, ""
    restarts = []
    for entry in entries:
        gaps += entry.gap
        if entry.restart:
            alive, sleeps_until, stuck = False, None, ""
            restarts.append(entry.at)
            continue
        word = told(entry.text, name) or sleeping(entry.text)
        match word.kind if word else None:
            case Kind.PICKED_UP:
                alive, picked_up, stuck, exceeded = True, entry.at, "", False
            case Kind.DRAINED | Kind.ERROR_PAUSED | Kind.FINISHED:
                alive, drained = False, entry.at
            case Kind.ERRORS_EXCEEDED:
                exceeded = True
            case Kind.SEND_ERROR if word:
                failed[word.subscriber] = error_class(word.why)
                last_error, last_at = word.why[:200], entry.at
            case Kind.RENDER_ERROR if word:
                unrendered += 1
                last_error, last_at = word.why[:200], entry.at
            case Kind.STUCK if word:
                stuck = word.why[:300]
            case Kind.SLEEPING if word and word.sleeps:
                sleeps_until = entry.at + word.sleeps
    return Trail(
        whole=reaches_back,
        alive=alive,
        picked_up=picked_up,
        drained=drained,
        failed=tuple(failed),
        unrendered=unrendered,
        classes=tuple(Counter(failed.values()).most_common()),
        last_error=last_error,
        last_error_at=last_at,
        stuck=stuck,
        exceeded=exceeded,
        sleeps_until=sleeps_until,
        restarts=tuple(restarts),
        gaps=gaps,
    )


def shared(found: Trail, campaign: Campaign, others: Iterable[Campaign]) -> Trail:
    """The trail where any of `others` may have written into it: then the log's word of a drain is nobody's."""
    if not found.read or not any(_at_work_meanwhile(campaign, other) for other in others):
        return found
    return replace(found, alive=None, shared=True)


def _at_work_meanwhile(campaign: Campaign, other: Campaign) -> bool:
    """Whether `other` is called the same in the log, and may have written there while `campaign` was at work."""
    if other.id == campaign.id or cleaned(other.name) != cleaned(campaign.name):
        return False
    if other.status in COMING and other.started_at is None:
        return False
    began, ended = campaign.started_at, campaign.updated_at
    if campaign.status == FINISHED and ended and other.started_at and other.started_at > ended + SLACK:
        return False
    if other.status not in OVER or began is None or other.updated_at is None:
        return True
    return other.updated_at + (DRAINS if other.status == CANCELLED else SLACK) >= began


def in_flight(tuning: Tuning | None) -> int | None:
    """How many mails of a campaign that was just stopped may still go out: those that workers have in hand.

    Those behind them in the queue are dropped.
    """
    return tuning.concurrency if tuning and tuning.concurrency else None


def longest_drain(tuning: Tuning | None) -> timedelta | None:
    """After so long a stopped campaign is drained, log or no log: it goes on through its batch, and the sliding
    window holds it there. None where the settings aren't known."""
    if tuning is None:
        return None
    if tuning.window is None or not tuning.window_rate:
        return timedelta(hours=1)
    return timedelta(hours=1) + tuning.window * (tuning.batch_size // tuning.window_rate + 2)


def _reaches_back(entries: Sequence[Entry], campaign: Campaign) -> bool:
    """Whether all that was logged of it since it began is kept: then no pick-up means that there was none."""
    began, oldest = campaign.started_at, next((entry.at for entry in entries), None)
    if began is None:
        return True
    if oldest is None or oldest > began:
        return False
    return not any(entry.gap and not entry.restart and entry.at >= began for entry in entries)
