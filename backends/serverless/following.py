"""Follows a run by looking at its campaign and its queues, and writes what changed into the run's log.

Lines are our runner's own progress lines, so that screens and commands read them as a blast host's, and plain text
for what a person should know: a queue that stands still, dead letters, why messages failed.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from backends.serverless import reasons
from backends.serverless.aws import Meter
from backends.serverless.logs import Log, path
from backends.serverless.pipe import Pipe, Queue
from backends.serverless.queueing import Queueing
from backends.serverless.runwords import counts_of, note_of, rc_of, says_of
from backends.serverless.state import ATTEMPT, has_run, state_of
from backends.serverless.values import count, instant, text
from opsconsole.observation import Says
from opsconsole.ports import Followed, OutOfReach, Trouble

EVERY = 1.0  # seconds from one look at the item to the next
QUEUES_EVERY = 5.0
PAUSES = (1.0, 2.0, 5.0, 10.0)  # seconds after an answer that didn't come
LAST_LINES = 3  # looks at the end that another's last lines are waited for
REASON_PAGES, REASONS = 3, 5  # MB of deliveries that are read for them; how many are told


@dataclass(slots=True)
class Teller:
    """Makes lines of what is seen, and none of what was told before."""

    slug: str
    last: dict[str, Any] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    rates: list[tuple[float, int]] = field(default_factory=list)

    def progress(self, item: Mapping[str, Any], says: Says, at: float, now: str, why: str = "") -> str:
        """A progress line, or "" when nothing changed. `at` is monotonic, in seconds; `why` it waits or stopped."""
        counts = counts_of(item)
        self.rates = [*((t, n) for t, n in self.rates if at - t <= 30.0), (at, counts.settled)]
        (first, before), (last, done) = self.rates[0], self.rates[-1]
        rate = round(max(done - before, 0) / (last - first), 1) if last - first >= 1.0 else None
        word = {
            "state": _WORDS.get(says, str(says)),
            "total": counts.total,
            "processed": counts.settled,
            "accepted": counts.accepted,
            "failed": counts.failed,
            "unknown": counts.unknown,
            "queued": count(item, "queued_count"),
            "why": why,
        }
        if word == self.last:
            return ""
        self.last = word
        to_go = (counts.total or 0) - counts.settled
        timing = {"rate": rate, "eta_s": round(to_go / rate) if rate and to_go > 0 else None}
        return json.dumps(
            {"v": 1, "t": now, "mode": "send", **word, **{k: v for k, v in timing.items() if v is not None}}
        )

    def once(self, line: str) -> str:
        """The line, the first time."""
        if not line or line in self.said:
            return ""
        self.said.add(line)
        return line


_WORDS = {Says.RUNNING: "sending", Says.PAUSED: "paused", Says.ENDED: "done", Says.STARTED: "stalled"}


def closing(item: Mapping[str, Any]) -> str:
    """Our runner's closing line for a run that has ended."""
    counts = counts_of(item)
    began, end = instant(item, "started_at"), instant(item, "completed_at") or instant(item, "cancelled_at")
    return json.dumps(
        {
            "v": 1,
            "summary": True,
            "mode": "send",
            "run_id": text(item, "run_id"),
            "rc": rc_of(item),
            "counts": {
                "total": counts.total,
                "processed": counts.settled,
                "accepted": counts.accepted,
                "failed": counts.failed,
                "unknown": counts.unknown,
                "suppressed": counts.suppressed,
            },
            "missing": count(item, "missing_count"),
            "at": end.isoformat() if end else None,
            "duration_s": round((end - began).total_seconds(), 3) if began and end else None,
        }
    )


def say_queues(queue: Queue, dead: Queue | None) -> str:
    """`queue: 120 waiting, 30 in flight, 0 delayed; 2 dead letters`."""
    letters = f"; {dead.left:,} dead letters" if dead is not None else ""
    return f"queue: {queue.visible:,} waiting, {queue.in_flight:,} in flight, {queue.delayed:,} delayed{letters}"


def follow(
    pipe: Pipe,
    queueing: Queueing,
    slug: str,
    attempt: int,
    offset: int,
    on_output: Callable[[bytes], None],
    stop: Event,
) -> Followed:
    """Hand over the log from byte `offset` until the run has ended or `stop` is set.

    An answer that doesn't come is asked for again. Raises Trouble when there is no such run, or no such log.
    """
    item = pipe.campaign(slug)
    if attempt != ATTEMPT or not has_run(item):
        raise Trouble(f"There is no attempt {attempt} of {slug}", "There is nothing to follow")
    log = path(pipe, slug, text(item, "run_id"))
    if offset > log.size:
        raise Trouble(
            f"The log of {slug} is shorter than the {offset:,} bytes read before",
            "It was kept on another machine, or removed",
            "Follow it from its first byte",
        )
    watch, tries = _Watch(pipe, queueing, slug, log), 0
    with log.writing() as add:
        while True:
            try:
                item = pipe.item(text(item, "campaign_id")) or item
                ended = watch.look(item, add)
                tries = 0
            except OutOfReach:
                ended, tries = False, tries + 1
            offset = log.hand_over(offset, on_output)
            if ended:
                return Followed(offset=offset, end=state_of(pipe, slug, item, None))
            if stop.wait(PAUSES[min(tries, len(PAUSES)) - 1] if tries else EVERY):
                return Followed(offset=offset, end=None)


class _Watch:
    """One follower's looks. Without `add` another one writes, and only the end is looked for."""

    def __init__(self, pipe: Pipe, queueing: Queueing, slug: str, log: Log) -> None:
        self._pipe, self._queueing, self._slug, self._log = pipe, queueing, slug, log
        self._teller = Teller(slug)
        self._queues: tuple[float, Queue, Queue | None] | None = None
        self._failed = self._ends = 0

    def look(self, item: Mapping[str, Any], add: Callable[[str], None] | None) -> bool:
        """Write what is new; whether the run has ended."""
        now, at = self._pipe.now(), time.monotonic()
        queue, dead = self._depth(at)
        says = says_of(item, now, queue.left + (dead.left if dead else 0), self._pipe.policy.stall_after)
        ended = says is Says.ENDED
        closed = ended and b'"summary": true' in self._log.last_line()
        if add is None:
            self._ends += ended  # whoever writes says its last lines a moment later
            return closed or self._ends > LAST_LINES
        if closed:
            return True
        job = self._queueing.job(text(item, "run_id"))
        lines = [
            self._teller.progress(item, says, at, now.isoformat(), "" if ended else note_of(item, now)),
            self._teller.once(job.trouble if job else ""),
            self._teller.once(say_queues(queue, dead)),
            *(self._teller.once(line) for line in self._reasons(item)),
        ]
        if ended:
            lines += [note_of(item, now), closing(item)]
        for line in filter(None, lines):
            add(line)
        return ended

    def _depth(self, at: float) -> tuple[Queue, Queue | None]:
        if self._queues is None or at - self._queues[0] >= QUEUES_EVERY:
            queue = self._pipe.queue()
            self._queues = at, queue, self._pipe.dead_letter(queue)
        return self._queues[1], self._queues[2]

    def _reasons(self, item: Mapping[str, Any]) -> list[str]:
        """Why messages failed, by class, when more of them have."""
        failed = count(item, "failed_count")
        if failed == self._failed:
            return []
        self._failed = failed
        found = reasons.look(self._pipe, text(item, "campaign_id"), REASON_PAGES, Meter())
        return [f"failed, {n:,} times: {why}" for why, n in found.failed[:REASONS]]
