"""From one look at listmonk to what it says about each campaign. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.campaigns import (
    CANCELLED,
    COMING,
    DRAFT,
    FINISHED,
    OVER,
    PAUSED,
    RUNNING,
    SCHEDULED,
    Campaign,
)
from backends.listmonk.concerns import concerns
from backends.listmonk.lines import evidence
from backends.listmonk.looks import Seen
from backends.listmonk.still import why_still
from backends.listmonk.trail import Trail
from opsconsole.campaign import Approval, Details
from opsconsole.observation import Observation, Report, RunWord, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.schedule import Due, resolve_due, say_span
from opsconsole.settings import Listmonk

KNOWN: Final = (DRAFT, SCHEDULED, RUNNING, PAUSED, CANCELLED, FINISHED)
STILL_AFTER: Final = timedelta(seconds=30)
"""After so long without a message it is said why; before, a batch may be on its way."""
LONG: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ran:
    """What is known of a campaign's run: see runwords.run_word."""

    says: Says
    word: RunWord | None
    trail: Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the words need to know of where this is: `zone` is that of the campaigns, `link` leads to a page there,
    `trigger_key` is the handle by which a campaign's schedule is switched off and on."""

    source: str
    settings: Listmonk
    policy: Policy
    fresh_for: timedelta
    start_grace: timedelta
    archived_after: timedelta
    zone: str
    link: Callable[[str], str]
    trigger_key: Callable[[Campaign], str]


def report(seen: Seen, ran: Mapping[str, Ran], place: Place, troubles: Iterable[str] = ()) -> Report:
    """All that a look says. `ran` holds those campaigns, by slug, that were started ever; `troubles` are further
    ones that concern no single campaign."""
    shown = {slug: it for slug, it in seen.campaigns.items() if not archived(it, seen.at, place)}
    itself = machine(seen)
    return Report(
        source=place.source,
        looked_at=seen.at,
        fresh_for=place.fresh_for,
        observations=tuple(
            _observation(slug, it, ran.get(slug), seen, place, itself) for slug, it in shown.items()
        ),
        keeps_traces=True,
        findings=(*findings(seen, place), *troubles),
        archived=frozenset(seen.campaigns.keys() - shown.keys()),
    )


def archived(campaign: Campaign, now: datetime, place: Place) -> bool:
    """Over for so long that it isn't told of any more."""
    last = campaign.updated_at or campaign.created_at
    return campaign.status in OVER and last is not None and now - last > place.archived_after


def machine(seen: Seen) -> str:
    """What tells this listmonk's database from another, and is the same in a copy of it: its oldest campaign's own
    random id; "" while it has no campaign."""
    oldest = min(seen.campaigns.values(), key=lambda it: it.id, default=None)
    return oldest.uuid.replace("-", "")[:16] if oldest else ""


def findings(seen: Seen, place: Place) -> tuple[str, ...]:
    """Troubles that concern no single campaign."""
    found = list(seen.unread)
    config, profile, importing, tuning = seen.config, seen.profile, seen.importing, seen.tuning
    if config is not None and config.needs_restart:
        found.append(
            "Settings were saved there that aren't in force: restart it once nothing runs and all is drained, as "
            "what it has fetched and not sent is skipped by a restart."
        )
    if importing is not None and importing.going:
        found.append(
            f"An import of subscribers is going ({importing.imported:,} of {importing.total:,}): audiences change."
        )
    if profile is not None and profile.username and profile.username != place.settings.user:
        found.append(
            f"The token is that of {profile.username[:60]}, and the config names {place.settings.user}: correct it."
        )
    if (off := seen.clock_offset) is not None and abs(off) >= place.policy.clock_warn:
        way = "ahead of" if off > 0 else "behind"
        found.append(
            f"Its clock is {say_span(timedelta(seconds=abs(off)))} {way} this one: what it has scheduled goes out "
            "by its own."
        )
    if tuning is not None and not any(block.enabled for block in tuning.smtp):
        found.append("None of its mail servers is enabled: it can't send.")
    return tuple(found)


def _observation(
    slug: str, campaign: Campaign, ran: Ran | None, seen: Seen, place: Place, itself: str
) -> Observation:
    says, word = _word(campaign, ran, seen, place.zone)
    trail = ran.trail if ran else Trail()
    details = Details(
        name=campaign.name,
        subject=campaign.subject,
        sender=campaign.sender,
        due=_due(campaign, place.zone),
        zone=place.zone,
        expected_recipients=(max(campaign.to_send, campaign.sent) or None) if ran and ran.word else None,
        series=campaign.tagged(place.settings.series_tag),
        max_rate=_rate(campaign, seen),
    )
    return Observation(
        by_person=False,
        source=place.source,
        slug=slug,
        observed_at=seen.at,
        fresh_for=place.fresh_for,
        trouble="" if campaign.status in KNOWN else f"its status {campaign.status[:40]!a} is none that is known",
        says=says,
        keeps_traces=True,
        since=_since(campaign, says, word),
        run=word,
        details=details,
        approval=_approval(campaign, place),
        content=seen.contents.get(campaign.id),
        triggers=_triggers(campaign, place),
        evidence=evidence(campaign, says, word, trail, seen, place.zone),
        concerns=concerns(campaign, says, trail, seen, place.start_grace),
        clock_offset=seen.clock_offset,
        reference=f"campaign {campaign.id}",
        link=place.link(f"campaigns/{campaign.id}"),
        machine=itself,
        note=campaign.status,
    )


def _word(campaign: Campaign, ran: Ran | None, seen: Seen, zone: str) -> tuple[Says, RunWord | None]:
    """Its run, with the reason where nothing moves. One that was called off before anybody was mailed had none."""
    if ran is None or ran.word is None:
        return {SCHEDULED: Says.SCHEDULED, CANCELLED: Says.CANCELLED}.get(campaign.status, Says.NOTHING), None
    if campaign.status == CANCELLED and ran.says is Says.ENDED and not campaign.sent:
        return Says.CANCELLED, ran.word
    word = ran.word
    moved = word.progress_at or word.started_at
    if ran.says is not Says.RUNNING or campaign.status != RUNNING:
        return ran.says, word
    if moved is not None and seen.at - moved < STILL_AFTER:
        return ran.says, word
    why = why_still(campaign, ran.trail, seen, zone)
    return ran.says, replace(word, note=why or word.note)


def _since(campaign: Campaign, says: Says, word: RunWord | None) -> datetime | None:
    """listmonk tells neither when it ended nor when it was called off: its last change is the nearest."""
    if says in (Says.ENDED, Says.CANCELLED):
        return (word.ended_at if word else None) or campaign.updated_at
    if says is Says.SCHEDULED:
        return campaign.updated_at
    return (word.started_at or word.claimed_at) if word else None


def _due(campaign: Campaign, zone: str) -> Due | None:
    """When it is to go out. One that was sent at once, without a date, is due by nobody's word."""
    return resolve_due(campaign.send_at.isoformat(), zone or "UTC") if campaign.send_at else None


def _approval(campaign: Campaign, place: Place) -> Approval | None:
    """Somebody set its send date there; when isn't told, as any change of the campaign moves its one instant. It
    names no content, as whoever may edit it there may do so afterwards."""
    if not place.settings.trust_schedule or campaign.send_at is None:
        return None
    return Approval(
        by=f"its send date in {place.source}",
        reference=f"campaign {campaign.id}",
    )


def _triggers(campaign: Campaign, place: Place) -> tuple[Trigger, ...]:
    """Its schedule there, which starts it by itself; of a draft it was never switched on, or switched off."""
    if campaign.send_at is None or campaign.status not in COMING or campaign.started_at is not None:
        return ()
    off = campaign.status == DRAFT
    return (
        Trigger(
            where=f"{place.source}, campaign {campaign.id}",
            text=f"{campaign.status}, to go out {campaign.send_at:%Y-%m-%d %H:%M} UTC",
            next_fire=campaign.send_at,
            ignored_because="it is a draft: listmonk sends only what is scheduled" if off else "",
            key=place.trigger_key(campaign),
            off=off,
        ),
    )


def _rate(campaign: Campaign, seen: Seen) -> float | None:
    """Half of what its settings allow, for what takes long: each mail's own time comes on top of theirs."""
    people, tuning = max(campaign.to_send, campaign.sent), seen.tuning
    if tuning is None or not people:
        return None
    seconds = tuning.seconds_for(people)
    return people / seconds / 2 if seconds > LONG.total_seconds() else None
