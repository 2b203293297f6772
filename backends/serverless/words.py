"""A campaign's item and a look at the pipeline, as the console's observation. Pure: `look.at` is the only clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from backends.serverless import backlog, content
from backends.serverless.concerns import concerns, missing, say_quota, say_reasons
from backends.serverless.looks import Look, Tuning, by_ses, outstanding, queued, should_move, sum_of
from backends.serverless.runwords import GOING, ended_at, leased, says_of, settled, status_of, word_of
from backends.serverless.slugs import doubled, slug_of
from backends.serverless.troubles import shown
from backends.serverless.values import count, instant, text
from opsconsole.campaign import Approval, Details
from opsconsole.digests import content_digest
from opsconsole.observation import Concern, Content, Evidence, Going, Mark, Observation, RunWord, Says
from opsconsole.schedule import Due, ScheduleError, load_zone, resolve_due
from runner.worker.schema import Status

COUNTS: Final = (
    "total_contacts",
    "queued_count",
    "sent_count",
    "failed_count",
    "missing_count",
    "suppressed_count",
    "unknown_count",
    "version",
)
MARKS: Final = {
    Says.RUNNING: Mark.MOVING,
    Says.PAUSED: Mark.WAITING,
    Says.ENDED: Mark.YES,
    Says.STARTED: Mark.BAD,
}


@dataclass(frozen=True, slots=True)
class Named:
    """A campaign's item under its name on the console."""

    slug: str
    item: Mapping[str, Any]

    @property
    def campaign_id(self) -> str:
        return text(self.item, "campaign_id")


def observation(source: str, named: Named, look: Look, tuning: Tuning, fresh_for: timedelta) -> Observation:
    """One campaign as the pipeline has it. Whatever the item holds, this raises nothing."""
    item, now = named.item, look.at
    told = details(item, tuning)
    zone = told.zone or tuning.zone
    says = says_of(item, now, look.left, tuning.stall_after)
    run = None if says in (Says.NOTHING, Says.CANCELLED) else run_word(item, look, tuning)
    return Observation(
        source=source,
        slug=named.slug,
        observed_at=now,
        fresh_for=fresh_for,
        says=says,
        keeps_traces=True,
        since=_since(item, says),
        run=run,
        details=told,
        approval=told.approval,
        content=content_of(item, look),
        evidence=evidence(item, says, look, tuning, zone),
        concerns=(*_named(named), *concerns(item, look, tuning, zone)),
        reference=named.campaign_id,
        note=shown(text(item, "cancelled_by")) and f"cancelled by {shown(text(item, 'cancelled_by'))}",
    )


def run_word(item: Mapping[str, Any], look: Look, tuning: Tuning) -> RunWord:
    """The run with what the looks tell besides: when it last moved, how fast, what stands in its way."""
    word, campaign_id = word_of(item, look.at), text(item, "campaign_id")
    if status_of(item) not in GOING:
        return word
    speed = backlog.rate(look.history, campaign_id)
    left = outstanding(item)
    found = look.reasons.get(campaign_id)
    classes = (found.classes or found.failed)[:8] if found else ()
    return replace(
        word,
        started_at=word.started_at or _begun_by_others(item),
        progress_at=progress_at(item, look),
        rate=speed,
        eta_s=left / speed if speed else None,
        note="; ".join(filter(None, (word.note, say_state(item, look, tuning)))),
        going=Going(rate_30s=speed, classes=classes),
    )


def say_state(item: Mapping[str, Any], look: Look, tuning: Tuning) -> str:
    """`1,200 in the queue, not falling for 12 min, the oldest there for 41 min; 37 in the dead-letter queue; 12
    contacts not found; 25 failed: …`: why it stands, or how it goes."""
    found = look.reasons.get(text(item, "campaign_id"))
    gone = missing(item, found)
    real = say_reasons(found, 3) if found else ""
    return "; ".join(
        filter(
            None,
            (
                look.say_backlog(tuning),
                look.say_dead(),
                f"{gone:,} contacts not found (expected)" if gone else "",
                f"failed: {real}" if real else "",
                _stopped(item, look, tuning),
            ),
        )
    )


def progress_at(item: Mapping[str, Any], look: Look) -> datetime | None:
    """When it last got on: by its own word or by what we saw.

    A pipeline that keeps no such time is judged by the looks: by the backlog where it is the only campaign under
    way, else from the first look on. While its references are being queued it gets on.
    """
    if leased(item, look.at):
        return look.at
    campaign_id = text(item, "campaign_id")
    known = [instant(item, "progress_at"), backlog.changed_at(look.history, campaign_id)]
    if moved := max(filter(None, known), default=None):
        return moved
    if instant(item, "started_at"):
        return instant(item, "queued_at")
    watched = backlog.watched_since(look.history, campaign_id)
    alone = look.under_way == {campaign_id}
    stuck = backlog.not_falling_since(look.history) if alone else None
    began, seen = _begun_by_others(item), min(filter(None, (stuck, watched)), default=None)
    return max(seen, began) if seen and began and began <= look.at else seen


def details(item: Mapping[str, Any], tuning: Tuning) -> Details:
    """What a campaign is, besides whether it went out. What can't be used is named in `problems`."""
    problems = [f"{name} is no whole number from 0 on: {item[name]!r:.40}" for name in COUNTS if _odd(item, name)]
    zone = _zone(text(item, "timezone"), problems) or tuning.zone
    total = count(item, "total_contacts")
    by = shown(text(item, "approved_by"))
    approval = Approval(by=by, at=instant(item, "approved_at")) if by else None
    return Details(
        name=text(item, "campaign_name"),
        subject=text(item, "subject"),
        sender=text(item, "from_email"),
        reply_to=text(item, "reply_to"),
        due=_due(text(item, "due_at"), zone, problems),
        zone=zone,
        expected_recipients=total or None,
        series=text(item, "series"),
        list_unsubscribe=text(item, "list_unsubscribe"),
        approval=approval,
        extra=MappingProxyType({"campaign_id": text(item, "campaign_id"), "audience": content.say_audience(item)}),
        problems=tuple(shown(problem) for problem in problems),
    )


def content_of(item: Mapping[str, Any], look: Look) -> Content:
    """`rows` is about how many would get it, where that can be told without reading all contacts."""
    digests = content.digests(item)
    missing_parts = tuple(name for name in ("subject", "body", "from_email") if not text(item, name))
    return Content(
        digest=content_digest(digests),
        digests=tuple(sorted(digests.items())),
        rows=count(item, "total_contacts") or (None if text(item, "audience_attribute") else look.contacts),
        rows_exact=False,
        missing=missing_parts,
    )


def evidence(item: Mapping[str, Any], says: Says, look: Look, tuning: Tuning, zone: str) -> tuple[Evidence, ...]:
    """E the item, and of what isn't over Q the queue, X the dead-letter queue, S SES, $ what the look cost."""
    status = shown(str(item.get("status", "no status")))[:20]
    about = f"{status}, {queued(item):,} queued: {sum_of(item)}" if says is not Says.NOTHING else status
    lines = [
        _line("E", "campaign item", MARKS.get(says, Mark.NO), about, ended_at(item) or instant(item, "progress_at"))
    ]
    if says in (Says.ENDED, Says.CANCELLED):
        return tuple(lines)
    stuck = should_move(item, look.at) and look.stuck_for >= tuning.backlog_after
    if look.queue is None:
        lines.append(_line("Q", "queue", Mark.UNSEEN, look.unread.get("queue", "not asked")))
    else:
        numbers = (
            f"{look.queue.visible:,} waiting, {look.queue.in_flight:,} in flight, {look.queue.delayed:,} delayed"
        )
        lines.append(_line("Q", "queue", Mark.BAD if stuck else Mark.YES, numbers + look.say_oldest(", ")))
    if look.dead is not None:
        dead = look.say_dead() or "empty"
        lines.append(_line("X", "dead letters", Mark.BAD if look.dead.left else Mark.YES, dead))
    elif "dead" in look.unread:
        lines.append(_line("X", "dead letters", Mark.UNSEEN, look.unread["dead"]))
    if by_ses(item, tuning):
        lines.append(_ses_line(look, tuning, zone))
    units = f"{look.units:,.1f} read units, {look.requests:,} requests a look"
    lines.append(_line("$", "cost", Mark.YES, units))
    return tuple(lines)


def _ses_line(look: Look, tuning: Tuning, zone: str) -> Evidence:
    account = look.account
    if account is None:
        return _line("S", "SES", Mark.UNSEEN, look.unread.get("ses", "not asked"))
    words = say_quota(look, 0, zone) or "no quota told"
    bad = account.enabled is False or (account.used or 0.0) >= tuning.quota_warn
    words += f"; {account.per_second:g} a second" if account.per_second else ""
    words += "; sending is switched off" if account.enabled is False else ""
    words += "; whether it may send isn't known" if account.lacks else ""
    if look.suppressed:
        number, whole = look.suppressed
        words += f"; {'' if whole else 'more than '}{number:,} addresses suppressed"
    return _line("S", "SES", Mark.BAD if bad else Mark.YES, words)


def _line(letter: str, label: str, mark: Mark, words: str, at: datetime | None = None) -> Evidence:
    return Evidence(letter=letter, label=label, mark=mark, text=words, at=at)


def _named(named: Named) -> tuple[Concern, ...]:
    if not doubled(named.slug, named.item):
        return ()
    words = (
        f"another campaign has the name {slug_of(named.item)} already, so this one ({shown(named.campaign_id)}) "
        "goes by another: give it a slug of its own"
    )
    return (Concern(code="same-slug", text=words, blocks=True),)


def _stopped(item: Mapping[str, Any], look: Look, tuning: Tuning) -> str:
    """What of SES keeps it from sending, in a few words."""
    account = look.account
    if account is None or not by_ses(item, tuning):
        return ""
    if account.enabled is False or account.enforcement == "SHUTDOWN":
        return "SES doesn't send for this account"
    return "SES's quota is used up" if (account.used or 0.0) >= 1 else ""


def _since(item: Mapping[str, Any], says: Says) -> datetime | None:
    if says in (Says.ENDED, Says.CANCELLED):
        return ended_at(item)
    return None if says is Says.NOTHING else instant(item, "started_at") or _begun_by_others(item)


def _begun_by_others(item: Mapping[str, Any]) -> datetime | None:
    """A pipeline that queues a campaign as it makes it has no other start; ours says `started_at`."""
    begun = status_of(item) in (*GOING, Status.COMPLETED) or settled(item) > 0
    return instant(item, "created_at") if begun and not text(item, "run_id") else None


def _odd(item: Mapping[str, Any], name: str) -> bool:
    value = item.get(name)
    return value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0)


def _zone(name: str, problems: list[str]) -> str:
    if not name:
        return ""
    try:
        load_zone(name)
    except ScheduleError as error:
        problems.append(f"timezone: {error}")
        return ""
    return name


def _due(words: str, zone: str, problems: list[str]) -> Due | None:
    if not words:
        return None
    try:
        return resolve_due(words, zone)
    except ScheduleError as error:
        problems.append(f"due_at: {error}")
        return None
