"""What is known of a campaign's run, from listmonk's row of it, its log and our own memory: one reading for the
board and for whoever controls it. Pure."""

import math
from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.campaigns import CANCELLED, DRAFT, FINISHED, RUNNING, SCHEDULED, Campaign, Running
from backends.listmonk.system import Tuning
from backends.listmonk.trail import Trail, in_flight, longest_drain
from opsconsole.observation import Counts, Going, RunWord, Says
from opsconsole.ports import Remembered, Verb

SCAN: Final = timedelta(seconds=5)  # it looks for work, and writes what it sent, this often
CLOCKS: Final = timedelta(seconds=60)  # by which its database's clock and ours may differ
SETTLES: Final = timedelta(seconds=30)  # after which a stopped campaign without a log has stopped, as far as known

CAN: Final = {
    Says.RUNNING: frozenset({Verb.PAUSE, Verb.CANCEL}),
    Says.PAUSED: frozenset({Verb.RESUME, Verb.CANCEL}),
}


def says_of(campaign: Campaign, trail: Trail, tuning: Tuning | None, now: datetime) -> Says:
    """NOTHING and SCHEDULED have no run. A scheduled one that began before is one that is going on."""
    match campaign.status:
        case "running":
            return Says.RUNNING
        case "paused":
            return Says.PAUSED
        case "finished":
            return Says.ENDED
        case "cancelled":
            return Says.RUNNING if stopping(campaign, trail, now) else Says.ENDED
        case "scheduled":
            return Says.RUNNING if campaign.started_at else Says.SCHEDULED
    return Says.NOTHING


def run_word(
    campaign: Campaign,
    trail: Trail,
    *,
    remembered: Remembered | None,
    tuning: Tuning | None,
    running: Running | None,
    moved_at: datetime | None,
    now: datetime,
) -> tuple[Says, RunWord | None]:
    """`moved_at`: when `sent` last changed, as far as that was seen. No run: None."""
    says = says_of(campaign, trail, tuning, now)
    if says in (Says.NOTHING, Says.SCHEDULED):
        return says, None
    ours = remembered if remembered and is_ours(campaign, remembered) else None
    counts = counts_of(campaign, trail, tuning, running)
    left = max((counts.total or 0) - counts.settled, 0)
    rate = running.rate / 60 if running and running.rate else None
    return says, RunWord(
        run_id=ours.run_id if ours else foreign_id(campaign),
        attempt=ours.attempt if ours else 1,
        by=ours.by if ours else "",
        claimed_at=ours.at if ours else None,
        started_at=campaign.started_at or (ours.at if ours else None),
        ended_at=campaign.updated_at if says is Says.ENDED else None,
        progress_at=moved_at or campaign.started_at,
        counts=counts,
        note=note_of(campaign, trail, tuning, now),
        rate=rate,
        eta_s=left / rate if rate and says is Says.RUNNING else None,
        planned=ours.planned if ours else None,
        going=Going(
            why=trail.reason(now) if says is not Says.ENDED else "",
            classes=trail.classes,
            rate_limit=f"{tuning.rate:g}" if tuning else "",
        ),
    )


def is_ours(campaign: Campaign, remembered: Remembered) -> bool:
    """Whether the start that this console has on record is the one that listmonk tells of."""
    began = campaign.started_at or campaign.updated_at
    return campaign.status not in (DRAFT,) and began is not None and began >= remembered.at - CLOCKS


def foreign_id(campaign: Campaign) -> str:
    """The id of a run that others started: a campaign runs only once."""
    return campaign.uuid.replace("-", "")[:16] or f"campaign-{campaign.id}"


def picked_up(campaign: Campaign) -> bool:
    """Whether it was at work on it ever: before that, `running` is but a wish."""
    return campaign.to_send > 0 or campaign.started_at is not None


def total_of(campaign: Campaign, running: Running | None = None) -> int | None:
    """listmonk's own audience, set anew whenever it picks the campaign up; late joiners may exceed it."""
    told = max(campaign.to_send, running.to_send if running else 0)
    return max(told, campaign.sent, running.sent if running else 0) if picked_up(campaign) or running else None


def counts_of(
    campaign: Campaign, trail: Trail, tuning: Tuning | None = None, running: Running | None = None
) -> Counts:
    """`accepted` by its mail server; `failed` with an error in the log. Of those missing once it has ended, so many
    are `unknown` as a restart may have left accepted and not counted; the rest were never handed over. Where the
    log isn't whole and listmonk says "finished", a restart that nobody saw is reckoned with."""
    total = total_of(campaign, running)
    accepted = max(campaign.sent, running.sent if running else 0)
    missing = max((total or 0) - accepted, 0)
    failed = min(len(trail.failed) + trail.unrendered, missing)
    unknown, restarts = 0, len(trail.restarts) or int(not trail.whole and campaign.status == FINISHED)
    if campaign.status in (FINISHED, CANCELLED) and restarts:
        per_restart = math.ceil(tuning.rate * SCAN.total_seconds()) + tuning.concurrency if tuning else missing
        unknown = min(missing - failed, per_restart * restarts)
    return Counts(total=total, accepted=accepted, failed=failed, unknown=unknown)


def drained(campaign: Campaign, trail: Trail, tuning: Tuning | None, now: datetime) -> bool | None:
    """Whether nothing of it is in flight any more; None where nobody can tell."""
    if campaign.status in (DRAFT,) or (campaign.status == SCHEDULED and not campaign.started_at):
        return True
    if campaign.status in (RUNNING, SCHEDULED):
        return False
    if trail.alive is not None:
        return not trail.alive
    longest, changed = longest_drain(tuning), campaign.updated_at
    if longest is not None and changed is not None and now - changed > longest:
        return True
    return None


def stopping(campaign: Campaign, trail: Trail, now: datetime) -> bool:
    """Whether a cancelled one may still send."""
    if campaign.status != CANCELLED or not picked_up(campaign):
        return False
    if trail.alive is not None:
        return trail.alive
    return campaign.updated_at is not None and now - campaign.updated_at < SETTLES


def say_in_flight(tuning: Tuning | None) -> str:
    """`at most 10 are still in flight`."""
    most = in_flight(tuning)
    return f"at most {most:,} are still in flight" if most is not None else "some may still be in flight"


def note_of(campaign: Campaign, trail: Trail, tuning: Tuning | None, now: datetime) -> str:
    """The why of its state; "" where there is nothing to say."""
    match campaign.status:
        case "running" if not picked_up(campaign):
            return "; ".join(filter(None, ("listmonk hasn't picked it up yet", trail.reason(now))))
        case "running":
            return trail.reason(now)
        case "scheduled":
            return "going on: listmonk picks it up at its next look"
        case "paused":
            return _paused(campaign, trail, tuning, now)
        case "cancelled" if stopping(campaign, trail, now):
            return f"cancelled; stopping: {say_in_flight(tuning)}"
        case "cancelled":
            return "cancelled"
    return ended_note(campaign, trail, tuning)


def ended_note(campaign: Campaign, trail: Trail, tuning: Tuning | None) -> str:
    """What is to be known of those who are missing when listmonk says "finished"."""
    counts = counts_of(campaign, trail, tuning)
    missing = (counts.total or 0) - counts.accepted
    words = []
    if missing > 0:
        words.append(f"listmonk calls it finished, and {missing:,} of {counts.total or 0:,} weren't accepted")
        if trail.failed:
            words.append(f"{len(trail.failed):,} failed with an error")
        if skipped := missing - counts.failed:
            why = "it was started again meanwhile, and skips what it had fetched" if trail.restarts else ""
            words.append(f"{skipped:,} were skipped{f' ({why})' if why else ''}")
        if counts.unknown:
            words.append(f"up to {counts.unknown:,} of them may have been accepted and not counted")
        if not trail.read:
            words.append("its log can't be read, so nobody can tell who")
        elif not trail.whole:
            words.append("its log isn't whole, so more may have failed than are listed")
    return "; ".join(words)


def _paused(campaign: Campaign, trail: Trail, tuning: Tuning | None, now: datetime) -> str:
    why = ""
    if trail.exceeded:
        many = f"up to {tuning.batch_size:,}" if tuning and tuning.batch_size else "some"
        why = f"by listmonk, for too many errors; a resume goes on behind what it fetched: {many} may be skipped"
    match drained(campaign, trail, tuning, now):
        case True:
            return "; ".join(filter(None, (why, "drained: nothing of it is in flight")))
        case False:
            return "; ".join(
                filter(None, (why, f"pausing: {say_in_flight(tuning)}, its log has no word of the end"))
            )
    return "; ".join(filter(None, (why, f"whether it is drained isn't known: {say_blind(trail)}")))


def say_blind(trail: Trail) -> str:
    """Why the log has no word of its drain."""
    if not trail.read:
        return "its log can't be read"
    if trail.shared:
        return (
            "another campaign of its name was at work meanwhile, and listmonk's log names campaigns by name alone"
        )
    return "its log doesn't reach back so far"
