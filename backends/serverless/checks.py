"""The pre-flight of a pipeline's campaign: pure judges over what was gathered."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from backends.serverless.content import say_audience
from backends.serverless.facts import PipelineFacts
from backends.serverless.runwords import settled, status_of
from backends.serverless.ses import HEALTHY
from backends.serverless.starting import who_won
from backends.serverless.values import count, text
from opsconsole.preflight.check import (
    Check,
    Finding,
    Situation,
    failed,
    many,
    outside,
    passed,
    shown,
    warned,
)
from opsconsole.preflight.run import SHARED
from opsconsole.schedule import say_span
from runner.worker.schema import Status, reference

REFERENCE_LIMIT = 256 * 1024  # bytes that SQS takes in one message
SHORTEST, LONGEST = 30, 3600  # seconds of a sane visibility timeout
FEWEST, MOST = 2, 20  # of maxReceiveCount
OFTEN = 0.01  # of the contacts left out, from which on somebody must look


def judge_campaign(facts: PipelineFacts, situation: Situation) -> Finding:
    item = facts.item
    lacking = [name for name in ("subject", "body", "from_email") if not text(item, name).strip()]
    if lacking:
        where = f"{facts.settings.campaigns_table}, {text(item, 'campaign_id')}"
        return failed(
            f"The campaign lacks {', '.join(lacking)}.", "Complete it where campaigns are written.", [where]
        )
    if item.get("audience_attribute") and item.get("audience_value") in (None, ""):
        return failed(
            "Its audience names an attribute and no value.", "Set audience_value, or take audience_attribute away."
        )
    return passed(
        f"{text(item, 'campaign_name') or situation.slug} is complete.", f"version {count(item, 'version')}"
    )


def judge_draft(facts: PipelineFacts, situation: Situation) -> Finding:
    item, status = facts.item, status_of(facts.item)
    if status is Status.DRAFT and not text(item, "run_id"):
        return passed("It is a draft: nobody has started it.")
    if status is None:
        return failed(
            f"Its status is {outside(str(item.get('status')))}, which nobody here knows.", "Make it a draft."
        )
    return failed(f"It was started: {outside(who_won(item))}.", "Look at its run; a campaign is sent once.")


def judge_nothing_queued(facts: PipelineFacts, situation: Situation) -> Finding:
    if "deliveries" in facts.unread:
        return failed("Whether anybody got it already isn't known.", outside(facts.unread["deliveries"]))
    queued, done = count(facts.item, "queued_count"), settled(facts.item)
    if facts.begun or queued or done:
        evidence = [f"{queued:,} queued, {done:,} came to an end"] + (
            ["there are deliveries of it"] if facts.begun else []
        )
        return failed(
            "Some of it was queued or sent already.", "Look who did; a second send would be one too many.", evidence
        )
    return passed("Nothing of it was queued, and nobody has a delivery of it.")


def judge_audience(facts: PipelineFacts, situation: Situation) -> Finding:
    found, people = facts.audience, len(facts.audience.emails)
    least = "" if found.whole else "at least "
    cost = f"{many(found.pages, 'page')} read, {found.meter.total:,.1f} read units"
    said = f"{least}{many(people, 'recipient')} of {many(found.contacts, 'contact')} ({say_audience(facts.item)})"
    left_out = [
        *(f"{many(n, 'contact')} left out: {why}" for why, n in found.refused.most_common(5)),
        *([f"{many(found.duplicates, 'contact')} there in two spellings, mailed once"] if found.duplicates else []),
        *([f"{many(found.suppressed, 'contact')} on SES's suppression list, left out"] if found.suppressed else []),
    ]
    if not people:
        return failed(
            f"Nobody would get it: {outside(said)}.",
            "Look at the audience's attribute and value.",
            [*left_out, cost],
        )
    approved = situation.approval.recipients if situation.approval else None
    if found.whole and approved is not None and approved != people:
        return failed(
            f"{people:,} would get it, approved were {approved:,}.",
            "Have this audience approved.",
            [*left_out, cost],
        )
    bad = sum(found.refused.values())
    if bad > found.contacts * OFTEN:
        return warned(f"{outside(said)}; {bad:,} can't be mailed.", "Mend or delete them.", [*left_out, cost])
    return passed(f"{outside(said)}.", *left_out, cost)


def judge_templates(facts: PipelineFacts, situation: Situation) -> Finding:
    sample, total = facts.sample, facts.audience.contacts
    if facts.unknown:
        lines = [
            outside(str(finding).replace("is no column", "is no field of any contact")) for finding in facts.unknown
        ]
        return failed(
            f"The templates ask for {many(len(facts.unknown), 'thing')} that no contact has.",
            "Correct the names, or add the fields to the contacts.",
            shown(lines),
        )
    if sample.broken:
        return failed(f"The templates don't work: {outside(sample.broken)}.", "Correct them.")
    if sample.faults:
        lines = [f"{fault.who}: {outside(fault.why)}" for fault in sample.faults]
        return failed(
            f"{many(len(lines), 'contact')} of the first {sample.rows:,} can't be rendered.",
            "Give them what is missing, or write the templates so that they can do without.",
            shown(lines),
        )
    some = {name: facts.has[name] for name in sample.variables if 0 < facts.has[name] < total}
    if some:
        lines = [f"{name}: {n:,} of {total:,} contacts have it" for name, n in sorted(some.items())]
        return warned(
            "Some contacts lack a field that the templates name.",
            "The dry run renders everybody and says who can't be mailed.",
            lines,
        )
    return passed(f"The templates work for {many(sample.rows, 'contact')}; the dry run tries everybody.")


def judge_sender(facts: PipelineFacts, situation: Situation) -> Finding:
    if facts.settings.channel != "ses":
        return passed("The workers send by SMTP: SES isn't asked.")
    if "sender" in facts.unread:
        return warned("Whether SES may send for this sender isn't known.", outside(facts.unread["sender"]))
    sender = outside(text(facts.item, "from_email"))
    if not facts.senders:
        return failed(f"{sender} isn't one address that SES could know.", "Set from_email to a verified address.")
    verified = [name for name, ok in facts.senders.items() if ok]
    if not verified:
        return failed(
            f"SES hasn't verified {sender} or its domain: it will refuse every message.",
            "Verify the identity in this region, or use a sender that is.",
            [outside(name) for name in facts.senders],
        )
    return passed(f"SES has verified {outside(verified[0])}.")


def judge_quota(facts: PipelineFacts, situation: Situation) -> Finding:
    if facts.settings.channel != "ses":
        return passed("The workers send by SMTP: SES's quota isn't used.")
    account, people = facts.account, len(facts.audience.emails)
    if account is None:
        return warned("SES's quota isn't known.", outside(facts.unread.get("ses", "Ask SES by hand.")))
    least = "" if facts.audience.whole else "at least "
    if account.left is None:
        return passed("SES has no quota for 24 hours.")
    lines = [f"{account.sent or 0:,.0f} of {account.per_day or 0:,.0f} used in 24 hours, {account.left:,.0f} left"]
    if account.per_second:
        lines.append(
            f"at {account.per_second:g} a second: {say_span(timedelta(seconds=people / account.per_second))}"
        )
    if people > account.left:
        return failed(
            f"{least}{people:,} recipients, and SES takes {account.left:,.0f} more in these 24 hours.",
            "Wait until quota comes free, ask AWS for more, or send to fewer.",
            lines,
        )
    used = ((account.sent or 0.0) + people) / account.per_day if account.per_day else 0.0
    if used >= facts.settings.quota_warn:
        return warned(f"Afterwards {used:.0%} of SES's quota will be used.", "See what else goes out today.", lines)
    return passed(f"SES's quota suffices: {account.left:,.0f} left.", *lines)


def judge_sending(facts: PipelineFacts, situation: Situation) -> Finding:
    account = facts.account
    if facts.settings.channel != "ses":
        return passed("The workers send by SMTP.")
    if account is None or account.enabled is None:
        why = facts.unread.get("ses") or (account.lacks if account else "")
        return warned("Whether SES sends for this account isn't known.", outside(why) or "Ask SES by hand.")
    if not account.enabled or account.enforcement == "SHUTDOWN":
        return failed(
            "Sending is switched off for this account at SES.", "Have AWS, or whoever did it, switch it on."
        )
    if account.production is False:
        return failed(
            "The account is in SES's sandbox: it mails verified addresses only.", "Ask AWS for production access."
        )
    if account.enforcement not in ("", HEALTHY):
        return warned(
            f"SES has the account under review ({outside(account.enforcement)}).", "Read what AWS wrote about it."
        )
    return passed("SES sends for this account, in production.")


def judge_suppression(facts: PipelineFacts, situation: Situation) -> Finding:
    if facts.audience.unread:
        return warned(
            "SES's suppression list can't be read: whoever is on it gets a reference, and no mail.",
            outside(facts.audience.unread),
        )
    return passed(f"{many(facts.audience.suppressed, 'contact')} left out by SES's suppression list.")


def judge_queue(facts: PipelineFacts, situation: Situation) -> Finding:
    queue, dead = facts.queue, facts.dead
    if queue is None:
        return failed("The queue can't be asked.", outside(facts.unread.get("queue", "Look at its name.")))
    times = queue.redrive.get("maxReceiveCount")
    lines = [
        f"{queue.name}: {queue.visible:,} waiting, {queue.in_flight:,} in flight, {queue.delayed:,} delayed",
        f"visibility timeout {queue.visibility} s, given up after {times or 'no number of'} tries",
    ]
    faults = []
    if dead is None:
        faults.append("it has no dead-letter queue that can be asked: what nobody can send comes back for ever")
    elif dead.left:
        lines.append(f"{dead.name}: {many(dead.left, 'dead letter')} from before")
        faults.append("there are dead letters from before")
    if not SHORTEST <= queue.visibility <= LONGEST:
        faults.append(f"a visibility timeout of {queue.visibility} s is none for a worker's batch")
    if dead is not None and not (str(times).isdigit() and FEWEST <= int(str(times)) <= MOST):
        faults.append(f"{times} tries are too few or too many before a message is given up")
    if queue.left:
        faults.append(f"about {queue.left:,} references of others are before these")
    if faults:
        return warned(f"{queue.name}: {'; '.join(faults)}.", "Mend the queue, or know what it means.", lines)
    return passed(f"{queue.name} is empty, and has a dead-letter queue.", *lines)


def judge_reference(facts: PipelineFacts, situation: Situation) -> Finding:
    campaign_id = text(facts.item, "campaign_id")
    sizes = [len(reference(campaign_id, email).encode()) for email in facts.audience.emails] or [0]
    largest, mean = max(sizes), sum(sizes) / len(sizes)
    if largest > REFERENCE_LIMIT:
        return failed(f"A reference has {largest:,} bytes, more than SQS takes.", "Shorten the campaign's id.")
    return passed(
        f"A message is a reference of {mean:.0f} bytes, {largest:,} at most, and nothing of the content.",
        f"{sum(sizes):,} bytes for {many(len(facts.audience.emails), 'recipient')}",
    )


def judge_workers(facts: PipelineFacts, situation: Situation) -> Finding:
    if facts.receives:
        return passed(f"Somebody takes from the queue: {facts.receives:,.0f} times in the last 15 minutes.")
    if facts.queue is not None and facts.queue.in_flight:
        return passed(f"Somebody takes from the queue: {facts.queue.in_flight:,} messages are in flight.")
    unread = facts.unread.get("receives")
    why = outside(unread) if unread else "CloudWatch counted nobody who asked the queue for messages."
    return warned(
        "No worker was seen lately.",
        "Start one: mail-blast-runner worker --queue URL, or look at the Lambda.",
        [why],
    )


def _check(
    check_id: str, title: str, topic: str, judge: Callable[[PipelineFacts, Situation], Finding]
) -> Check[PipelineFacts]:
    return Check(check_id, title, topic, lambda situation: situation.gathered(PipelineFacts), judge)


CHECKS: tuple[Check[Any], ...] = (
    _check("pipeline-campaign", "The campaign is complete", "campaign", judge_campaign),
    _check("pipeline-draft", "Nobody has started it", "campaign", judge_draft),
    _check("pipeline-not-queued", "Nothing of it was queued", "campaign", judge_nothing_queued),
    *SHARED,
    _check("pipeline-audience", "Who gets it", "audience", judge_audience),
    _check("pipeline-suppression", "Who asked for no mail", "audience", judge_suppression),
    _check("pipeline-templates", "The templates suit the contacts", "content", judge_templates),
    _check("pipeline-reference", "Size of a message in the queue", "queue", judge_reference),
    _check("pipeline-queue", "The queue and its dead letters", "queue", judge_queue),
    _check("pipeline-workers", "Workers are there", "queue", judge_workers),
    _check("pipeline-sender", "SES may send for the sender", "mail", judge_sender),
    _check("pipeline-sending", "SES sends for this account", "mail", judge_sending),
    _check("pipeline-quota", "SES's quota suffices", "mail", judge_quota),
)
"""In order; those that any carrier needs among them."""
