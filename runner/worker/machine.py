"""A worker on a machine: takes messages as fast as it can send, until it is told to stop.

One thread takes, the main one renders, a pool sends and ends, one keeps what is taken out of others' sight. SIGTERM
and SIGINT stop it: what is in flight is finished, the rest is given back at once; a second one ends it as a kill
does, and leaves what was in flight unknown.
"""

import os
import queue as inboxes
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from runner.errors import CANCELLED, CONFIG, OK
from runner.worker.engine import Job
from runner.worker.parts import Parts
from runner.worker.queue import MOST, Queue
from runner.worker.verdicts import Taken, Verdict

_TICK_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 10.0  # between two lines that say the same


class Until(Enum):
    """When to end by itself."""

    STOPPED = "stopped"
    EMPTY = "empty"  # nothing can be taken and nothing is in flight here; what is delayed isn't waited for
    ONCE = "once"  # one batch was taken and settled


class Machine:
    """`poll_seconds` is how long one look into an empty queue lasts, and so how long a stop may take."""

    def __init__(
        self,
        parts: Parts,
        queue: Queue,
        say: Callable[[str], object],
        complain: Callable[[str], object],
        *,
        until: Until = Until.STOPPED,
        poll_seconds: int = 5,
    ) -> None:
        self._parts, self._queue, self._say, self._complain = parts, queue, say, complain
        self._until, self._poll_seconds = until, poll_seconds
        self._inbox: inboxes.SimpleQueue[list[Taken]] = inboxes.SimpleQueue()
        self._pool = ThreadPoolExecutor(parts.settings.threads, "send")
        self._most = 2 * parts.settings.threads + MOST
        self._taken: dict[str, tuple[Taken, float]] = {}  # to be kept, by receipt; and when each was taken
        self._inflight = 0  # taken and not settled
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._over = threading.Event()  # nothing more is to be taken
        self._last = ("", 0, 0.0)

    def run(self) -> int:
        """The exit code: 0, or 78 when it ended by itself because nothing can be sent."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        seen_by_us = float(max(1, self._queue.visibility()))
        threads = [
            threading.Thread(target=self._take, name="take", daemon=True),
            threading.Thread(target=self._keep, args=(seen_by_us,), name="keep", daemon=True),
        ]
        for thread in threads:
            thread.start()
        while not (self._over.is_set() and self._inbox.empty() and not self._inflight):
            self._tell()
            try:
                messages = self._inbox.get(timeout=_TICK_SECONDS)
            except inboxes.Empty:
                continue
            self._begin(messages)
        self._pool.shutdown()
        why = self._parts.engine.hold.why if self._parts.engine.hold.left else ""
        rc = CONFIG if why and self._until is not Until.STOPPED and not self._stopping.is_set() else OK
        self._say(self._parts.tally.summary(rc, why if rc else ""))
        return rc

    def _stop(self, _number: int, _frame: object) -> None:
        if self._stopping.is_set():
            os._exit(CANCELLED)
        self._stopping.set()

    def _going(self) -> bool:
        return not self._stopping.is_set()

    # -- the thread that takes

    def _take(self) -> None:
        try:
            while self._going() and not self._enough():
                if not self._room():
                    continue
                try:
                    messages = self._queue.take(self._poll_seconds)
                except Exception as error:  # botocore's, of many kinds
                    self._complain(f"SQS: nothing can be taken: {type(error).__name__}")
                    self._parts.engine.hold.put(f"SQS: {type(error).__name__}")
                    continue
                with self._changed:
                    now = time.monotonic()
                    self._taken.update({message.receipt: (message, now) for message in messages})
                    self._inflight += len(messages)
                if messages:
                    self._inbox.put(messages)
                if self._until is Until.ONCE or (not messages and self._until is Until.EMPTY and self._empty()):
                    return
        finally:
            self._over.set()

    def _enough(self) -> bool:
        """It ends by itself, and nothing can be sent."""
        return self._until is not Until.STOPPED and self._parts.engine.hold.left > 0

    def _room(self) -> bool:
        """Wait a little for room for one more batch, or for a hold to end; is there?"""
        if self._parts.engine.hold.left:
            time.sleep(_TICK_SECONDS)
            return False
        with self._changed:
            return self._changed.wait_for(lambda: self._inflight + MOST <= self._most, _TICK_SECONDS)

    def _empty(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: not self._inflight)
        try:
            return self._queue.visible() == 0
        except Exception:
            return False

    # -- the main thread

    def _begin(self, messages: list[Taken]) -> None:
        if not self._going():
            self._queue.unseen((message, 0.0) for message in messages)
            for _ in messages:
                self._parts.tally.add("given_back")
            self._unkept(messages)
            self._settled(messages)
            return
        jobs = self._parts.engine.prepare(messages)
        batch = _Batch(jobs, self._settle)
        for number, job in enumerate(jobs):
            self._pool.submit(self._work, batch, number, job)

    def _work(self, batch: "_Batch", number: int, job: Job) -> None:
        batch.put(number, self._parts.engine.work(job, self._going))

    def _settle(self, jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> None:
        messages = [job.message for job in jobs]
        self._unkept(messages)
        try:
            self._parts.settle(self._queue, jobs, verdicts)
        finally:
            self._settled(messages)

    def _unkept(self, messages: Sequence[Taken]) -> None:
        """From here on their verdicts say when others see them."""
        with self._changed:
            for message in messages:
                self._taken.pop(message.receipt, None)

    def _settled(self, messages: Sequence[Taken]) -> None:
        with self._changed:
            self._inflight -= len(messages)
            self._changed.notify_all()

    def _tell(self) -> None:
        hold, clock = self._parts.engine.hold, time.monotonic()
        inflight = self._inflight
        state = "stopping" if not self._going() else "held" if hold.left else "sending" if inflight else "idle"
        before, count, at = self._last
        settled = self._parts.tally.settled
        at_once = state != before and state in ("held", "stopping")
        wanted = _LINE_SECONDS if (before, count) != (state, settled) else _QUIET_SECONDS
        if not at_once and clock - at < wanted:
            return
        self._last = (state, settled, clock)
        why = hold.why if state == "held" else ""
        self._say(self._parts.tally.line(state, inflight, datetime.now(UTC), clock, why))

    # -- the thread that keeps messages out of others' sight

    def _keep(self, seconds: float) -> None:
        while True:
            time.sleep(seconds / 3)
            with self._changed:
                now = time.monotonic()
                old = [message for message, at in self._taken.values() if now - at >= seconds / 4]
            if old:
                self._queue.unseen((message, seconds) for message in old)


class _Batch:
    """Messages that were taken together are settled together."""

    def __init__(self, jobs: Sequence[Job], settle: Callable[[Sequence[Job], Sequence[Verdict]], None]) -> None:
        self._jobs, self._settle = jobs, settle
        self._verdicts: dict[int, Verdict] = {}
        self._lock = threading.Lock()

    def put(self, number: int, verdict: Verdict) -> None:
        with self._lock:
            self._verdicts[number] = verdict
            done = len(self._verdicts) == len(self._jobs)
        if done:
            self._settle(self._jobs, [self._verdicts[n] for n in range(len(self._jobs))])
