"""The state of a run by the campaign's item, and the word that a run which isn't there will never start."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from backends.serverless import logs
from backends.serverless.pipe import Pipe
from backends.serverless.runwords import GOING, says_of, settled, status_of, word_of
from backends.serverless.troubles import ConditionFailed, Unclear
from backends.serverless.values import text
from backends.serverless.writes import Change, Must, change
from opsconsole.observation import Says
from opsconsole.ports import Refused, RunState, Trouble, Verb
from runner.worker.schema import Status

ATTEMPT = 1  # a campaign of the pipeline is sent once: who is left afterwards is the rest of the same run


def run_state(pipe: Pipe, slug: str, attempt: int | None = None) -> RunState | None:
    """The campaign's run; None when it has none. Raises Trouble."""
    item = pipe.campaign(slug)
    if attempt not in (None, ATTEMPT) or not has_run(item):
        return None
    return state_of(pipe, slug, item, left(pipe) if text(item, "queued_at") else None)


def has_run(item: Mapping[str, Any]) -> bool:
    return bool(text(item, "run_id")) or status_of(item) in (*GOING, Status.COMPLETED) or settled(item) > 0


def state_of(pipe: Pipe, slug: str, item: Mapping[str, Any], in_queues: int | None) -> RunState:
    """`in_queues`: what all queues hold together; None when that isn't known, or doesn't matter."""
    now = pipe.now()
    says = says_of(item, now, in_queues, pipe.policy.stall_after)
    return RunState(
        slug=slug,
        run_id=text(item, "run_id"),
        attempt=ATTEMPT,
        says=says,
        word=word_of(item, now),
        out_size=logs.path(pipe, slug, text(item, "run_id")).size,
        can=verbs_of(item, says),
    )


def verbs_of(item: Mapping[str, Any], says: Says) -> frozenset[Verb]:
    if status_of(item) not in GOING or not text(item, "run_id"):  # the workers of others don't obey our marks
        return frozenset()
    return frozenset({Verb.RESUME if says is Says.PAUSED else Verb.PAUSE, Verb.CANCEL})


def left(pipe: Pipe) -> int | None:
    """What lies in the queue and the dead-letter queue, of all campaigns; None where a queue doesn't tell."""
    try:
        queue = pipe.queue()
        dead = pipe.dead_letter(queue)
    except Trouble:
        return None
    return queue.left + (dead.left if dead else 0)


def give_up(pipe: Pipe, slug: str, run_id: str) -> RunState | None:
    """The state of this run; None once it is certain that it never started: what is written here refuses a start of
    it that comes late. Raises Trouble where that isn't known."""
    item = pipe.campaign(slug)
    for _ in range(3):
        if text(item, "run_id") == run_id:
            return state_of(pipe, slug, item, None)
        if run_id in (item.get("void_runs") or ()):
            return None
        with suppress(ConditionFailed, Unclear):
            void(pipe, item["campaign_id"], run_id)
            return None
        item = pipe.item(item["campaign_id"])
    raise Trouble(
        f"{pipe.settings.campaigns_table} didn't tell whether run {run_id} of {slug} is there",
        "It may be starting",
        "Ask again in a moment",
    )


def void(pipe: Pipe, campaign_id: str, run_id: str) -> None:
    """Let no start of this run be taken any more. Raises ConditionFailed where it has started, or Unclear."""
    if not run_id:
        raise Refused("A run without an id can't be given up", "Nothing was done")
    must = [Must("campaign_id", "is", campaign_id), Must("run_id", "is not", run_id)]
    change(pipe, campaign_id, Change(must=must, sets={}, adds={"void_runs": frozenset({run_id})}))
