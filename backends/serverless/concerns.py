"""What the pipeline finds wrong with a campaign of its own: backlog, dead letters, counts, quota, SES. Pure.

Each says the numbers it rests on. What was to be expected, such as a contact deleted after queueing, is told and
isn't a warning.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from backends.serverless import backlog
from backends.serverless.looks import Look, Tuning, by_ses, outstanding, queued, should_move, sum_of
from backends.serverless.reasons import Reasons
from backends.serverless.runwords import GOING, settled, status_of
from backends.serverless.ses import HEALTHY
from backends.serverless.troubles import shown
from backends.serverless.values import count, instant, text
from opsconsole.observation import Concern
from opsconsole.schedule import say_instant, say_span
from runner.worker.schema import State, Status

CONTACT_GONE: Final = re.compile(r"(?i)\bcontact\b.*\bnot found\b")
CAMPAIGN_GONE: Final = re.compile(r"(?i)\bcampaign\b.*\bnot found\b")
COUNTS_SETTLE: Final = timedelta(minutes=2)  # SQS's numbers are about a minute late
SHOWN: Final = 5
MANY_GONE: Final = 10  # contacts, and one in so many: then it isn't what is to be expected


def concerns(item: Mapping[str, Any], look: Look, tuning: Tuning, zone: str) -> tuple[Concern, ...]:
    """All that is wrong with it now. `zone` is the one its times are told in."""
    return (
        *_status(item),
        *_paused_by_itself(item),
        *_backlog(item, look, tuning),
        *_dead(item, look),
        *_counts(item, look),
        *_reasons(item, look),
        *_ses(item, look, tuning),
        *_quota(item, look, tuning, zone),
    )


def expected(reason: str) -> bool:
    """Whether a failure is what must be expected of a queue: what it names was deleted meanwhile."""
    return bool(CONTACT_GONE.search(reason) or CAMPAIGN_GONE.search(reason))


def say_reasons(found: Reasons, most: int = SHOWN) -> str:
    """`MessageRejected: … 20, Throttling 5` of the real failures; "" for none."""
    real = [(reason, number) for reason, number in found.failed if not expected(reason)]
    words = [f"{reason} ({number:,})" for reason, number in real[:most]]
    return "; ".join(words) + ("; …" if len(real) > most else "")


def missing(item: Mapping[str, Any], found: Reasons | None) -> int:
    """Contacts not found: as the campaign counts them, else as its deliveries tell."""
    told = count(item, "missing_count")
    if told or found is None:
        return told
    failed = sum(number for reason, number in found.failed if CONTACT_GONE.search(reason))
    return found.count(State.MISSING) + failed


def _status(item: Mapping[str, Any]) -> Iterator[Concern]:
    if status_of(item) is None:
        word = shown(str(item.get("status")))[:40]
        text = f"its status is {word!r}, which isn't one of this pipeline's: what becomes of it can't be told"
        yield Concern(code="unknown-status", text=text, blocks=True)


def _paused_by_itself(item: Mapping[str, Any]) -> Iterator[Concern]:
    why = text(item, "pause_reason")
    if item.get("paused") is True and why and status_of(item) in GOING:
        by = shown(text(item, "paused_by")) or "a worker"
        yield Concern(code="paused-by-worker", text=f"{by} paused it by itself: {shown(why)}", alarm=True)


def _backlog(item: Mapping[str, Any], look: Look, tuning: Tuning) -> Iterator[Concern]:
    began = instant(item, "queued_at") or instant(item, "started_at")
    stuck_for = min(look.stuck_for, look.at - began) if began else look.stuck_for
    if not should_move(item, look.at) or look.queue is None or stuck_for < tuning.backlog_after:
        return
    moved = max(
        filter(None, (instant(item, "progress_at"), backlog.changed_at(look.history, text(item, "campaign_id")))),
        default=None,
    )
    if len(look.under_way) > 1 and moved and look.at - moved < tuning.backlog_after:
        return  # it gets on; what is added for another is no fault of it
    words = (
        f"{look.queue.left:,} references are in {look.queue.name}, and it got no shorter for "
        f"{say_span(stuck_for)}, though it should: {look.queue.visible:,} wait, "
        f"{look.queue.in_flight:,} are with workers"
    )
    if look.queue.delayed:
        words += f", {look.queue.delayed:,} are delayed"
    words += look.say_oldest("; ") or "; how old the oldest is isn't known"
    evidence = tuple(filter(None, (look.unread.get("metrics", ""),)))
    yield Concern(code="backlog-not-falling", text=words, evidence=evidence, alarm=True)


def _dead(item: Mapping[str, Any], look: Look) -> Iterator[Concern]:
    if look.dead is None or not look.dead.left or status_of(item) not in GOING:
        return
    tries = look.queue.redrive.get("maxReceiveCount") if look.queue else None
    after = f", each after {tries} tries" if tries else ""
    grown = backlog.dead_grown(look.history)
    more = f", {grown[0]:,} more than {say_span(grown[1])} ago" if grown else ""
    words = (
        f"{look.dead.left:,} references lie in the dead-letter queue {look.dead.name}{more}{after}: nobody works "
        "at them until they are moved back (redrive) or thrown away (purge)"
    )
    yield Concern(code="dlq-filling", text=words, alarm=grown is not None)


def _counts(item: Mapping[str, Any], look: Look) -> Iterator[Concern]:
    status, put, ended = status_of(item), queued(item), settled(item)
    total = count(item, "total_contacts")
    if status is Status.DRAFT or status is None:
        if ended:
            yield _differ(f"it hasn't begun by its status, but its counts are {sum_of(item)}", blocks=True)
        return
    if put and ended > put:
        yield _differ(f"{put:,} were queued, but {sum_of(item)}: {ended - put:,} were counted, or mailed, twice")
    elif status is Status.COMPLETED and ended < put:
        yield _differ(f"{put:,} were queued, but {sum_of(item)}: {put - ended:,} are in no count")
    elif status in GOING and (lost := _nowhere(item, look)):
        there = f"{look.queue.left if look.queue else 0:,} in the queue"
        there += f", {look.dead.left:,} in the dead-letter queue" if look.dead else ""
        yield _differ(f"{put:,} were queued, {sum_of(item)}, {there}: {lost:,} are in no count and in no queue")
    if total and put and total != put and (text(item, "queued_at") or status is Status.COMPLETED):
        yield _differ(f"total_contacts is {total:,}, but {put:,} were queued")


def _nowhere(item: Mapping[str, Any], look: Look) -> int:
    """References that are in no count and in no queue, where nothing moved for long enough to be sure of it."""
    moved = max(filter(None, (instant(item, "progress_at"), instant(item, "queued_at"))), default=None)
    if look.left is None or moved is None or look.at - moved < COUNTS_SETTLE or not should_move(item, look.at):
        return 0
    return max(outstanding(item) - look.left, 0)


def _differ(words: str, *, blocks: bool = False) -> Concern:
    return Concern(code="counts-dont-add-up", text=words, alarm=True, blocks=blocks)


def _reasons(item: Mapping[str, Any], look: Look) -> Iterator[Concern]:
    found = look.reasons.get(text(item, "campaign_id"))
    gone = missing(item, found)
    if gone:
        whose = "contact was" if gone == 1 else "contacts were"
        words = (
            f"{gone:,} {whose} not found: deleted after queueing, which is to be expected; nobody was mailed there"
        )
        put = queued(item)
        if many := gone > MANY_GONE and gone * MANY_GONE >= put:
            words = (
                f"{gone:,} of {put:,} contacts were not found, and nobody was mailed there: so many aren't deleted "
                "one by one; look whether the table of contacts is the right one, and whole"
            )
        yield Concern(code="contact-not-found", text=words, warns=many, alarm=many)
    if found is None:
        return
    lost = sum(number for reason, number in found.failed if CAMPAIGN_GONE.search(reason))
    if lost:
        words = f"{lost:,} references were taken when the campaign wasn't there: deleted, or written after queueing"
        yield Concern(code="campaign-not-found", text=words, warns=False)
    if real := say_reasons(found):
        failed = sum(number for reason, number in found.failed if not expected(reason))
        partly = "" if found.whole else " (of the deliveries that were read; there are more)"
        evidence = tuple(f"{number:,} × {reason}" for reason, number in found.failed if not expected(reason))[:20]
        words = f"{failed:,} failed{partly}: {real}"
        yield Concern(code="recipients-failed", text=words, evidence=evidence)


def _ses(item: Mapping[str, Any], look: Look, tuning: Tuning) -> Iterator[Concern]:
    account, status = look.account, status_of(item)
    if account is None or not by_ses(item, tuning) or status in (Status.COMPLETED, Status.CANCELLED):
        return
    going = status in GOING
    if account.enabled is False or account.enforcement == "SHUTDOWN":
        why = "AWS shut it down" if account.enforcement == "SHUTDOWN" else "it is switched off for the account"
        words = f"SES doesn't send in this region: {why}. Nothing goes out until that is changed at AWS"
        yield Concern(code="sending-paused", text=words, blocks=True, alarm=going)
    elif account.enforcement not in ("", HEALTHY):
        words = (
            f"SES has the account under review ({shown(account.enforcement)}): bounces or complaints are too many"
        )
        yield Concern(code="ses-under-review", text=words)
    if account.production is False:
        words = "SES is in its sandbox in this region: only verified addresses get mail, 200 in 24 h"
        yield Concern(code="ses-sandbox", text=words)


def _quota(item: Mapping[str, Any], look: Look, tuning: Tuning, zone: str) -> Iterator[Concern]:
    account = look.account
    if account is None or account.used is None or status_of(item) not in GOING or not by_ses(item, tuning):
        return
    needed, left = outstanding(item), account.left or 0.0
    if account.used < tuning.quota_warn and needed <= left:
        return
    yield Concern(code="quota-nearly-used", text=say_quota(look, needed, zone), alarm=needed > left)


def say_quota(look: Look, needed: int, zone: str) -> str:
    """`41,000 of SES's 50,000 in 24 h are used (82 %); at 13.5 a second it runs out today 12:40 UTC; …`."""
    account = look.account
    if account is None or account.used is None:
        return ""
    words = f"{account.sent:,.0f} of SES's {account.per_day:,.0f} in 24 h are used ({account.used * 100:.0f} %)"
    if account.used >= 1:
        words += "; nothing goes out until some of it is a day old"
    elif ends := account.runs_out(look.speed, look.at):
        words += f"; at {look.speed:,.1f} a second it runs out {say_instant(ends, zone, look.at)}"
    if needed > (account.left or 0.0):
        words += (
            f"; {needed:,} recipients are left, {needed - (account.left or 0.0):,.0f} more than it lets through"
        )
    return words
