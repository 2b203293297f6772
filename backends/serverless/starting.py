"""The start: one conditional write makes a draft a run; whoever comes second loses, and is told who won.

What was confirmed is held against the item and the contacts once more, and the write holds the very content that
was compared. A lost answer is looked for by its run id; a start that surely isn't there is made impossible.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from backends.serverless.audience import read
from backends.serverless.content import ATTRIBUTES, digests
from backends.serverless.pipe import Pipe
from backends.serverless.queueing import Job, Queueing, lease_until
from backends.serverless.runwords import status_of
from backends.serverless.state import give_up, state_of
from backends.serverless.troubles import ConditionFailed, Unclear
from backends.serverless.values import count, instant, text
from backends.serverless.writes import Change, Must, change
from opsconsole.plan import Actual, Plan, compare, say_stale
from opsconsole.ports import MaybeStarted, Refused, RunState, Started, Trouble
from runner.worker.schema import COUNTS, Status, content_seal

ASK_PAUSES = (0.2, 1.0, 2.0)
NOTHING = "Nothing was started"


def start(
    pipe: Pipe, queueing: Queueing, plan: Plan, by: str, sleep: Callable[[float], None] = time.sleep
) -> Started:
    """Claim the campaign for this plan and begin to queue it. Raises MaybeStarted where nobody could be asked; any
    other Trouble says that nothing was started."""
    item = pipe.campaign(plan.slug)
    if text(item, "run_id") == plan.run_id:
        return Started(state=state_of(pipe, plan.slug, item, None), fresh=False)
    _refuse_begun(plan.slug, item)
    actual = Actual(digests=digests(item), host=pipe.identity() if plan.host else None)
    if stale := compare(plan, actual, pipe.now()):
        raise Refused(say_stale(stale), NOTHING)
    audience = read(pipe, item)
    if stale := compare(plan, Actual(audience=len(audience.emails)), pipe.now()):
        raise Refused(say_stale(stale), NOTHING)
    if not audience.emails:
        raise Refused(f"Nobody would get {plan.slug}", NOTHING, "Look at its audience, and at the contacts")
    owner = secrets.token_hex(8)
    campaign_id = text(item, "campaign_id")
    try:
        after = change(pipe, campaign_id, claim(item, plan, owner, by, pipe.now(), len(audience.emails)))
    except ConditionFailed as error:
        return _lost(pipe, plan, error.item or {})
    except Unclear as error:
        after = _asked(pipe, plan, owner, error, sleep)
        if text(after, "queueing_by") != owner:
            return Started(state=state_of(pipe, plan.slug, after, None), fresh=False)
    queueing.begin(Job(campaign_id, plan.run_id, owner, audience.emails))
    return Started(state=state_of(pipe, plan.slug, after, None), fresh=True)


def claim(item: Mapping[str, Any], plan: Plan, owner: str, by: str, now: Any, audience: int) -> Change:
    """The one write of a start: it holds if the item is the very draft that was compared with the plan."""
    version = count(item, "version")
    must = [
        Must("campaign_id", "is", item["campaign_id"]),
        Must("status", "is or absent", Status.DRAFT.value),
        Must("run_id", "absent"),
        Must("version", "is" if "version" in item else "absent", item.get("version")),
        Must("void_runs", "lacks", plan.run_id),
    ]
    must += [Must(name, "is" if name in item else "absent", item.get(name)) for name in ATTRIBUTES]
    sets = {
        "status": Status.QUEUED.value,
        "run_id": plan.run_id,
        "version": version + 1,
        "content_seal": content_seal(item),
        "started_by": by,
        "started_at": now.isoformat(),
        "progress_at": now.isoformat(),
        "paused": False,
        "total_contacts": audience,
        "queued_count": 0,
        "queueing_by": owner,
        "queueing_until": lease_until(now),
        **dict.fromkeys(COUNTS.values(), 0),
    }
    return Change(must=must, sets=sets, removes=("queue_cursor", "queued_at", "completed_at"))


def _refuse_begun(slug: str, item: Mapping[str, Any]) -> None:
    if status_of(item) is not Status.DRAFT or text(item, "run_id"):
        raise Refused(f"{slug} can't be started: {who_won(item)}", NOTHING, "Look at the run that is there")


def who_won(item: Mapping[str, Any]) -> str:
    """`it is queued by ana since 2026-05-12 09:00:01 UTC, run 0123456789abcdef`."""
    by, run, at = text(item, "started_by"), text(item, "run_id"), instant(item, "started_at")
    when = f" since {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
    whose = f"by {by}" if by else "by another system"
    return f"it is {str(item.get('status', 'nothing'))[:40]} {whose}{when}{f', run {run}' if run else ''}"


def _lost(pipe: Pipe, plan: Plan, there: Mapping[str, Any]) -> Started:
    """Somebody was faster, or the draft isn't the one that was compared."""
    if text(there, "run_id") == plan.run_id:
        return Started(state=state_of(pipe, plan.slug, there, None), fresh=False)
    if not there:
        raise Refused(f"{plan.slug} was deleted", NOTHING)
    if plan.run_id in (there.get("void_runs") or ()):
        raise Refused(
            f"This plan of {plan.slug} was given up",
            NOTHING,
            "Make a new plan; the dry run counts as long as it does",
        )
    _refuse_begun(plan.slug, there)
    if stale := compare(plan, Actual(digests=digests(there)), pipe.now()):
        raise Refused(say_stale(stale), NOTHING)
    raise Refused(f"Somebody changed {plan.slug} at this moment", NOTHING, "Look at it again, then start it anew")


def _asked(pipe: Pipe, plan: Plan, owner: str, why: Unclear, sleep: Callable[[float], None]) -> dict[str, Any]:
    """The item, once this run is in it. Raises Refused when it surely never will be, else MaybeStarted."""
    for pause in ASK_PAUSES:
        sleep(pause)
        try:
            state: RunState | None = give_up(pipe, plan.slug, plan.run_id)
            if state is not None:
                return pipe.campaign(plan.slug)
        except Trouble:
            continue
        raise Refused(
            f"{why.what}. The campaign has no run {plan.run_id}, and this start can't come late any more",
            NOTHING,
            "Make a new plan and start that",
        )
    raise MaybeStarted(
        f"The answer to the start of {plan.slug} was lost, and {pipe.name} can't be asked: {why.what}",
        f"Run {plan.run_id} may be going",
        "Look at the run once the pipeline is in reach; don't start it by other means",
    )
