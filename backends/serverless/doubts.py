"""What is on record of a run that may not have reached everybody, a person's decision on it, and the rest of it.

The deliveries are the journal: whoever has none was provably never begun. Queueing such a reference once more mails
nobody twice, since a worker begins a person by a conditional write.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.serverless.audience import read as read_audience
from backends.serverless.deliveries import left_behind, row_of, unknown
from backends.serverless.deliveries import read as read_deliveries
from backends.serverless.pipe import Pipe
from backends.serverless.queueing import Job, Queueing, lease_until
from backends.serverless.runwords import GOING, broken_off, counts_of, leased, settled, status_of
from backends.serverless.state import ATTEMPT, left, state_of
from backends.serverless.troubles import ConditionFailed, Unclear, afterwards
from backends.serverless.values import count, instant, text, typed
from backends.serverless.writes import Change, Must, change
from opsconsole.ports import Doubt, EveryUnknown, Fate, Fates, OutOfReach, Refused, Started, Trouble
from runner.campaign.address import BadAddress, check, recipient_key
from runner.worker.schema import State, Status, completion, ended

SHOWN = 1000
TOGETHER = 50  # decisions in one transaction; AWS takes a hundred writes
NOTHING = "Nothing was queued"
NO_MAILLOG = "the pipeline has none: look up the message ids at SES, or at the mail server"


@dataclass(frozen=True, slots=True)
class Found:
    """`rest` are those without a delivery, and those decided to get it again. `unknown` are deliveries by row.
    `more`: so many fit the audience beyond those that it was planned for."""

    rest: list[str]
    unknown: dict[int, dict[str, Any]]
    more: int = 0


def doubt(pipe: Pipe, slug: str, attempt: int) -> Doubt:
    """What is known of the run, person by person. Looks only; reads all contacts and deliveries."""
    item = _item(pipe, slug, attempt)
    return _doubt(pipe, slug, item, look(pipe, item))


def look(pipe: Pipe, item: Mapping[str, Any]) -> Found:
    run_id, now, visibility = text(item, "run_id"), pipe.now(), pipe.queue().visibility
    has: set[int] = set()  # people, however their addresses are written
    unsure: dict[int, dict[str, Any]] = {}
    for delivery in read_deliveries(pipe, text(item, "campaign_id")):
        if delivery.get("state") != State.RESEND:
            has.add(_person(text(delivery, "contact_email")))
        if left_behind(delivery, now, visibility):
            unsure[row_of(run_id, text(delivery, "contact_email"))] = delivery
    audience = read_audience(pipe, item, until=instant(item, "started_at"))
    rest = [email for email in audience.emails if _person(email) not in has]
    return Found(rest, dict(sorted(unsure.items())), beyond_plan(item, len(rest) + len(has)))


def _person(email: str) -> int:
    """The same for every spelling that the audience takes for one."""
    address = check(email)
    return recipient_key(email) if isinstance(address, BadAddress) else address.key


def beyond_plan(item: Mapping[str, Any], people: int) -> int:
    """So many more fit the audience now than were planned; 0 where that isn't known."""
    planned = count(item, "total_contacts")
    return max(people - planned, 0) if planned else 0


def say_more(more: int) -> str:
    """Why the rest can't be sent where `more` came after the start; "" for nobody."""
    if not more:
        return ""
    those = "contact fits its audience than was" if more == 1 else "contacts fit its audience than were"
    return f"{more:,} more {those} planned: they came after the start, and without created_at nobody can tell who"


def against(item: Mapping[str, Any], now: datetime, in_queues: int | None, stall_after: Any) -> str:
    """Why the rest can't be sent; "" when it can. Pure."""
    status = status_of(item)
    if not text(item, "run_id"):
        return "another system started it, and only that knows how to go on"
    if status is Status.CANCELLED:
        return "it was cancelled"
    if status not in (*GOING, Status.COMPLETED):
        return "it wasn't started"
    if item.get("paused") is True:
        return "it is paused: resume it"
    if leased(item, now):
        return "somebody is queueing it right now"
    moved = instant(item, "progress_at")
    if status in GOING and text(item, "queued_at") and in_queues and moved and now - moved <= stall_after:
        return f"about {in_queues:,} references are still in the queues, and workers come to them"
    return ""


def decide(pipe: Pipe, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
    """Write a person's decision of deliveries that nobody knows the end of; what is left then.

    Raises Refused with nothing written, Trouble when that isn't known, or when part of it is written.
    """
    item = _item(pipe, slug, attempt, run_id)
    found = look(pipe, item)
    chosen = _chosen(found, fates)
    done = 0
    for part in _parts(chosen):
        try:
            _write(pipe, item, part, by)
        except Trouble as error:
            if not done and isinstance(error, Refused | OutOfReach):
                raise
            raise Trouble(
                f"{done:,} of {len(chosen):,} decisions are written, then: {error}",
                "Nothing was sent",
                "Look again, and decide on those that are left",
            ) from error
        done += len(part)
    with afterwards(f"{done:,} decisions on {slug} are written"):
        _completed(pipe, text(item, "campaign_id"))
        return doubt(pipe, slug, attempt)


def send_rest(pipe: Pipe, queueing: Queueing, slug: str, attempt: int, run_id: str, by: str) -> Started:
    """Go on with this run: from the journal where queueing broke off, else to those without a delivery and those
    decided to get it again. Repeating is harmless. Every Trouble says that nothing was queued."""
    item = _item(pipe, slug, attempt, run_id)
    now = pipe.now()
    if leased(item, now) and status_of(item) in GOING:
        return Started(state=state_of(pipe, slug, item, None), fresh=False)
    in_queues = left(pipe)
    if why := against(item, now, in_queues, pipe.policy.stall_after):
        raise Refused(f"The rest of {slug} can't be sent: {why}", NOTHING)
    owner, campaign_id = secrets.token_hex(8), text(item, "campaign_id")
    if broken_off(item, now) and in_queues != 0:
        # Those before the journal's place are in the queue; with nothing in it, the deliveries say who is left.
        audience = read_audience(pipe, item, until=instant(item, "started_at"))
        waiting = audience.after(text(item, "queue_cursor"))
        more = beyond_plan(item, len(audience.emails))
        job = Job(campaign_id, run_id, owner, waiting, queued=count(item, "queued_count"))
    else:
        found = look(pipe, item)
        more, job = found.more, Job(campaign_id, run_id, owner, found.rest, rest=True)
        if not job.emails and ended(item):
            raise Refused(
                f"Nobody is left of {slug}", NOTHING, "Decide on the unknown ones first, if there are any"
            )
    if why := say_more(more):
        raise Refused(
            f"The rest of {slug} can't be sent: {why}",
            NOTHING,
            "Take them out of its audience, or give them created_at",
        )
    try:
        after = change(pipe, campaign_id, lease(item, job, by, pipe.now()))
    except ConditionFailed as error:
        raise Refused(
            f"Somebody else goes on with {slug}, or changed it: it is {(error.item or {}).get('status')} now",
            NOTHING,
            "Look at the run",
        ) from None
    except Unclear as error:
        after = pipe.item(campaign_id)
        if text(after, "queueing_by") != owner:
            raise OutOfReach(error.what, NOTHING, "Try again in a few minutes") from None
    queueing.begin(job)
    return Started(state=state_of(pipe, slug, after, None), fresh=True)


def lease(item: Mapping[str, Any], job: Job, by: str, now: datetime) -> Change:
    """Take the right to queue, if the run is as it was looked at and nobody else has it."""
    journal = ("version", "status", "queue_cursor", "queued_at")
    must = [
        Must("run_id", "is", job.run_id),
        Must("queueing_until", "before or absent", int(now.timestamp())),
        *(Must(name, "is" if name in item else "absent", item.get(name)) for name in journal),
    ]
    sets: dict[str, Any] = {
        "queueing_by": job.owner,
        "queueing_until": lease_until(now),
        "progress_at": now.isoformat(),
        "rest_by": by,
    }
    if job.rest:
        # Complete when these have come to their end as well, whatever was counted before.
        sets["queued_count"] = max(count(item, "queued_count"), settled(item) + len(job.emails))
    if status_of(item) is Status.COMPLETED:
        sets["status"] = Status.PROCESSING.value
    return Change(must=must, sets=sets, adds={"version": 1}, removes=("completed_at",))


def _item(pipe: Pipe, slug: str, attempt: int, run_id: str | None = None) -> dict[str, Any]:
    item = pipe.campaign(slug)
    if attempt != ATTEMPT or (run_id is not None and text(item, "run_id") != run_id):
        raise Refused(f"{slug} has no such run now: it has {text(item, 'run_id') or 'none'}", "Nothing was done")
    return item


def _doubt(pipe: Pipe, slug: str, item: Mapping[str, Any], found: Found) -> Doubt:
    run_id = text(item, "run_id")
    return Doubt(
        slug=slug,
        run_id=run_id,
        attempt=ATTEMPT,
        counts=counts_of(item),
        unsent=len(found.rest),
        unknown=tuple(unknown(run_id, delivery) for delivery in list(found.unknown.values())[:SHOWN]),
        unknown_total=len(found.unknown),
        maillog=NO_MAILLOG,
        has_maillog=False,
        against=against(item, pipe.now(), left(pipe), pipe.policy.stall_after) or say_more(found.more),
    )


def _chosen(found: Found, fates: Fates) -> list[tuple[dict[str, Any], Fate]]:
    if isinstance(fates, EveryUnknown):
        if fates.count != len(found.unknown):
            raise Refused(
                f"{len(found.unknown):,} recipients are unknown now, not {fates.count:,}", "Nothing was written"
            )
        return [(delivery, fates.fate) for delivery in found.unknown.values()]
    if not fates:
        raise Refused("Nobody was named", "Nothing was written")
    if missing := [row for row in fates if row not in found.unknown]:
        raise Refused(
            f"{len(missing):,} of the rows aren't unknown (any more): {missing[0]} is one",
            "Nothing was written",
            "Look again",
        )
    return [(found.unknown[row], fate) for row, fate in sorted(fates.items())]


def _parts(
    chosen: Sequence[tuple[dict[str, Any], Fate]],
) -> Iterator[Sequence[tuple[dict[str, Any], Fate]]]:
    for at in range(0, len(chosen), TOGETHER):
        yield chosen[at : at + TOGETHER]


def _write(pipe: Pipe, item: Mapping[str, Any], part: Sequence[tuple[dict[str, Any], Fate]], by: str) -> None:
    """The decisions and the counts, together or not at all."""
    sent = sum(fate is Fate.SENT for _, fate in part)
    counted = sum(delivery.get("state") == State.UNKNOWN for delivery, _ in part)
    campaign_id, now = text(item, "campaign_id"), pipe.now().isoformat()
    writes: list[dict[str, Any]] = [
        {
            "Update": {
                "TableName": pipe.settings.campaigns_table,
                "Key": typed({"campaign_id": campaign_id}),
                "UpdateExpression": "SET progress_at = :now ADD sent_count :s, unknown_count :u",
                "ConditionExpression": "run_id = :r",
                "ExpressionAttributeValues": typed(
                    {":s": sent, ":u": -counted, ":r": text(item, "run_id"), ":now": now}
                ),
            }
        }
    ]
    writes += [_decision(pipe, campaign_id, delivery, fate, by, now) for delivery, fate in part]
    pipe.aws.once("dynamodb", "transact_write_items", TransactItems=writes)


def _decision(
    pipe: Pipe, campaign_id: str, delivery: Mapping[str, Any], fate: Fate, by: str, now: str
) -> dict[str, Any]:
    request = Change(
        must=[
            Must("state", "is", delivery["state"]),
            Must("begin_id", "is" if "begin_id" in delivery else "absent", delivery.get("begin_id")),
        ],
        sets={
            "state": (State.SENT if fate is Fate.SENT else State.RESEND).value,
            "decided_by": by,
            "decided_at": now,
        },
    ).request()
    key = typed({"campaign_id": campaign_id, "contact_email": text(delivery, "contact_email")})
    return {"Update": {"TableName": pipe.settings.deliveries_table, "Key": key, **request}}


def _completed(pipe: Pipe, campaign_id: str) -> None:
    """Where this was the last thing that was open, nobody else will say that the run is complete."""
    item = pipe.item(campaign_id)
    if status_of(item) in GOING and ended(item):
        try:
            pipe.aws.once(
                "dynamodb",
                "update_item",
                TableName=pipe.settings.campaigns_table,
                **completion(item, pipe.now().isoformat()),
            )
        except (ConditionFailed, Unclear):
            return  # a worker was faster, or will be
