"""What listmonk itself doesn't call wrong: a schedule nobody obeys, errors it only logs, bounces. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from backends.listmonk.campaigns import CANCELLED, COMING, OVER, PAUSED, RUNNING, SCHEDULED, Campaign
from backends.listmonk.looks import Seen
from backends.listmonk.still import what_refusal
from backends.listmonk.trail import Trail
from opsconsole.observation import Concern, Says
from opsconsole.schedule import say_span

SPIKE: Final = 0.05  # of those mailed, bounced
COMPLAINTS: Final = 0.001  # of those mailed, complained: providers act from here on
REFUSED: Final = 0.05  # of those tried, refused by the mail server
LEAST: Final = 10  # fewer are no spike
LEAST_COMPLAINTS: Final = 3
SATURATES: Final = (
    "listmonk records none of people it has blocklisted, nor more than its limit of each: there may be more"
)
LOOKED_BACK: Final = timedelta(days=2)  # what ended longer ago needs nobody at once


def concerns(
    campaign: Campaign, says: Says, trail: Trail, seen: Seen, start_grace: timedelta
) -> tuple[Concern, ...]:
    return (
        *_idle(campaign, seen, start_grace),
        *_cannot_go(campaign, seen),
        *_stuck(campaign, trail),
        *_paused_for_errors(campaign, trail),
        *_refused(campaign, trail, seen),
        *_bounced(campaign, seen),
        *_restarted(campaign, trail, seen),
    )


def _idle(campaign: Campaign, seen: Seen, start_grace: timedelta) -> Iterator[Concern]:
    """It looks for what is due every 5 s, whatever its age, and takes turns only batch by batch."""
    if campaign.status != SCHEDULED or campaign.send_at is None:
        return
    resumed = campaign.updated_at if campaign.started_at else None  # one that goes on is `scheduled` for a moment
    if seen.at - (resumed or campaign.send_at) <= start_grace:
        return
    late = seen.at - campaign.send_at
    hints = []
    if (off := seen.clock_offset) is not None and abs(off) >= 10:
        hints.append(f"its clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}")
    if not campaign.list_ids:
        hints.append("none of its lists is there any more")
    turns = [it.name[:60] for it in seen.campaigns.values() if it.status == RUNNING]
    if turns:
        hints.append(f"running now: {', '.join(turns[:3])}")
    yield Concern(
        code="scheduler-idle",
        text=(
            f"scheduled, and {say_span(late)} late: its scheduler isn't at work (stopped, passive, its database's "
            "clock) or nobody is on its lists"
        ),
        evidence=tuple(hints),
        alarm=True,
    )


def _cannot_go(campaign: Campaign, seen: Seen) -> Iterator[Concern]:
    messengers = seen.config.messengers if seen.config else ()
    if campaign.status in (*COMING, PAUSED) and messengers and campaign.messenger not in messengers:
        text = f"its messenger {campaign.messenger[:60]!a} isn't there: listmonk would cancel it at once"
        yield Concern(code="no-messenger", text=text, blocks=True, alarm=campaign.status == SCHEDULED)
    if campaign.status == CANCELLED and messengers and campaign.messenger not in messengers and not campaign.sent:
        text = f"its messenger {campaign.messenger[:60]!a} isn't there: listmonk cancels such campaigns by itself"
        yield Concern(code="no-messenger", text=text)
    if campaign.status in COMING and not campaign.list_ids:
        yield Concern(code="no-lists", text="it has no list any more: it would reach nobody", blocks=True)
    elif campaign.status in COMING and len(campaign.list_ids) < len(campaign.lists):
        gone = ", ".join(name[:60] for number, name in campaign.lists if number is None)
        yield Concern(code="lists-gone", text=f"lists of it were deleted ({gone}): it would reach nobody of these")


def _stuck(campaign: Campaign, trail: Trail) -> Iterator[Concern]:
    if campaign.status == RUNNING and trail.stuck:
        text = f"running by its status, and listmonk can't process it: {trail.stuck}"
        yield Concern(code="stuck", text=text, alarm=True)


def _paused_for_errors(campaign: Campaign, trail: Trail) -> Iterator[Concern]:
    if campaign.status == PAUSED and trail.exceeded:
        text = (
            "listmonk paused it itself for too many errors: resumed as it is, it may skip the rest of the batch "
            "it had fetched"
        )
        yield Concern(code="errors-exceeded", text=text, evidence=_errors(trail), alarm=True)


def _refused(campaign: Campaign, trail: Trail, seen: Seen) -> Iterator[Concern]:
    failed = len(trail.failed)
    tried = campaign.sent + failed
    if not failed:
        return
    many = failed >= LEAST and failed >= REFUSED * tried
    none_taken = not campaign.sent and failed >= LEAST_COMPLAINTS
    text = f"{failed:,} of {tried:,} tried weren't taken by the mail server; listmonk tries none of them again"
    recent = campaign.status not in OVER or _recent(campaign, seen)
    yield Concern(code="smtp-errors", text=text, evidence=_errors(trail), alarm=(many or none_taken) and recent)


def _bounced(campaign: Campaign, seen: Seen) -> Iterator[Concern]:
    classes = seen.bounces.get(campaign.id, {})
    if not campaign.sent or not campaign.bounces:
        return
    said = ", ".join(f"{number:,} {name}" for name, number in sorted(classes.items(), key=lambda it: -it[1]))
    evidence = tuple(filter(None, (said, SATURATES)))
    recent = campaign.status not in OVER or _recent(campaign, seen)
    complaints = classes.get("complaint", 0)
    if campaign.bounces >= LEAST and campaign.bounces >= SPIKE * campaign.sent:
        share = campaign.bounces / campaign.sent * 100
        text = f"{campaign.bounces:,} bounces of {campaign.sent:,} sent ({share:.1f} %): pause it and look why"
        yield Concern(code="bounce-spike", text=text, evidence=evidence, alarm=recent)
    if complaints >= LEAST_COMPLAINTS and complaints >= COMPLAINTS * campaign.sent:
        text = f"{complaints:,} complaints of {campaign.sent:,} sent ({complaints / campaign.sent * 100:.2f} %)"
        yield Concern(code="complaint-spike", text=text, evidence=(SATURATES,), alarm=recent)


def _restarted(campaign: Campaign, trail: Trail, seen: Seen) -> Iterator[Concern]:
    """It keeps in mind how far it fetched, not how far it sent."""
    if not trail.restarts or campaign.status in COMING:
        return
    batch = seen.tuning.batch_size if seen.tuning else 0
    most = f"up to {batch:,} and what was queued" if batch else "what it had fetched and not sent"
    times = "once" if len(trail.restarts) == 1 else f"{len(trail.restarts)} times"
    text = f"listmonk was restarted {times} while it ran: {most} may have been skipped in silence"
    yield Concern(code="restarted", text=text, alarm=campaign.status not in OVER)


def _errors(trail: Trail) -> tuple[str, ...]:
    lines = [f"{number:,} × {name}" for name, number in trail.classes[:5]]
    if trail.last_error:
        kind = what_refusal(trail.last_error)
        lines.append(f"the last{f' ({kind})' if kind else ''}: {trail.last_error[:160]}")
    return tuple(lines)


def _recent(campaign: Campaign, seen: Seen) -> bool:
    return campaign.updated_at is None or seen.at - campaign.updated_at < LOOKED_BACK
