"""Pause, resume and cancel: marks on the campaign's item that every worker obeys before its next message.

Each is a conditional write, read again afterwards. What is on its way to the mail system at that moment is sent.
"""

import getpass
from collections.abc import Mapping
from typing import Any

from backends.serverless.pipe import Pipe
from backends.serverless.runwords import GOING, status_of
from backends.serverless.state import ATTEMPT, left, state_of
from backends.serverless.troubles import ConditionFailed, Unclear, afterwards
from backends.serverless.values import count, text
from backends.serverless.writes import Change, Must, change
from opsconsole.ports import Refused, RunState, Trouble, Verb
from runner.worker.schema import Status

UNCHANGED = "The run goes on as it was"


def signal(pipe: Pipe, slug: str, attempt: int, verb: Verb) -> RunState:
    """The state afterwards, read again. Raises Refused where there is no run to tell, Trouble where what came of it
    isn't known: telling it the same again is harmless."""
    item = pipe.campaign(slug)
    if attempt != ATTEMPT or status_of(item) not in GOING:
        raise _nobody(slug, attempt, verb, item)
    if not text(item, "run_id"):
        raise Refused(
            f"{slug} was started by another system, whose workers don't obey this console's marks",
            "Nobody was told",
            "Stop it where it was started",
        )
    campaign_id = text(item, "campaign_id")
    try:
        change(pipe, campaign_id, told(item, verb, _who(), pipe.now()))
    except ConditionFailed as error:
        raise _nobody(slug, attempt, verb, error.item or {}) from None
    except Unclear as error:
        with afterwards(f"{slug} was told to {verb}, and the answer was lost"):
            item = pipe.item(campaign_id)
        if not obeyed(item, verb):
            raise Trouble(
                f"The answer was lost: {error.what}", f"{slug} isn't told to {verb} so far", "Tell it again"
            ) from None
    with afterwards(f"{slug} was told to {verb}"):
        item = pipe.item(campaign_id)
    if not obeyed(item, verb):
        raise Trouble(
            f"{slug} was told to {verb}, and somebody told it otherwise at once",
            f"It is {str(item.get('status', 'gone'))[:40]} now{', paused' if item.get('paused') is True else ''}",
            "Look who else is at work on it",
        )
    return state_of(pipe, slug, item, left(pipe) if text(item, "queued_at") else None)


def told(item: Mapping[str, Any], verb: Verb, by: str, now: Any) -> Change:
    """The write of `verb`: it holds for this very run, while it goes."""
    must = [
        Must("campaign_id", "is", item["campaign_id"]),
        Must("run_id", "is", item["run_id"]),
        Must("status", "in", tuple(str(status) for status in sorted(GOING))),
    ]
    version = {"version": 1}
    if verb is Verb.PAUSE:
        return Change(must=must, sets={"paused": True, "paused_by": by}, adds=version, removes=("pause_reason",))
    if verb is Verb.RESUME:
        # A run that stood still on purpose isn't one that came to a standstill.
        sets = {"paused": False, "progress_at": now.isoformat()}
        return Change(must=must, sets=sets, adds=version, removes=("paused_by", "pause_reason"))
    sets = {
        "status": Status.CANCELLED.value,
        "cancelled_by": by,
        "cancelled_at": now.isoformat(),
        "paused": False,
        "queueing_until": 0,
    }
    return Change(must=must, sets=sets, adds=version)


def obeyed(item: Mapping[str, Any], verb: Verb) -> bool:
    if verb is Verb.CANCEL:
        return status_of(item) is Status.CANCELLED
    return status_of(item) in GOING and (item.get("paused") is True) == (verb is Verb.PAUSE)


def _nobody(slug: str, attempt: int, verb: Verb, item: Mapping[str, Any]) -> Refused:
    if attempt != ATTEMPT or not item:
        return Refused(f"There is no attempt {attempt} of {slug}", "Nobody was told")
    sent = f", {count(item, 'sent_count'):,} were sent" if count(item, "sent_count") else ""
    return Refused(f"{slug} is {str(item.get('status', 'a draft'))[:40]}{sent}: it can't {verb}", "Nobody was told")


def _who() -> str:
    """For those who look at the table: the console's own records say who it was and why."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "opsconsole"
