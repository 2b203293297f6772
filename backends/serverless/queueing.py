"""Puts a started campaign's references into the queue, in the order of their keys, with a journal in its item.

A thread of this console's own does it, under a lease in the item that it renews with each step of the journal:
whoever hasn't got the lease doesn't queue. After a crash the rest goes on from the journal; at most one step is
queued twice then, which mails nobody twice, as a worker sends once for each person.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Any, Self

from backends.serverless.pipe import Pipe
from backends.serverless.runwords import GOING
from backends.serverless.troubles import ConditionFailed, Unclear
from backends.serverless.writes import Change, Must, change
from opsconsole.ports import OutOfReach, Refused, Trouble
from runner.worker.schema import completion, deduplication_id, ended, reference

BATCH = 10  # SQS takes no more in one call
STEP = 500  # references from one line of the journal to the next
THREADS = 4
LEASE = 120  # seconds; renewed with each step
TRIES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds before a batch is tried again
SHARDS = 2  # hex digits of the message group: 256 of them, so that one person waits for few others
TOLD_EVERY = 2.0


@dataclass(slots=True)
class Job:
    """What one thread queues. `emails` are in order; `queued` is how many were before. A `rest` keeps no journal:
    who is left is told by the deliveries, so that it begins anew after a crash."""

    campaign_id: str
    run_id: str
    owner: str
    emails: Sequence[str]
    queued: int = 0
    rest: bool = False
    done: int = 0
    trouble: str = ""
    over: bool = False
    told: bool = False

    @property
    def salt(self) -> str:
        """A FIFO queue forgets what it took after five minutes only: those of a rest have to be told apart."""
        return f"{self.run_id}|{self.owner}" if self.rest else self.run_id

    @property
    def total(self) -> int:
        return self.queued + len(self.emails)


def lease_until(now: datetime) -> int:
    return int(now.timestamp()) + LEASE


def entries(job: Job, emails: Sequence[str], fifo: bool) -> list[dict[str, str]]:
    """SendMessageBatch's entries for at most BATCH people: the same for the same people, each time."""
    made = []
    for email in emails:
        told = deduplication_id(job.salt, email)
        entry = {"Id": told[:32], "MessageBody": reference(job.campaign_id, email)}
        if fifo:
            entry |= {"MessageGroupId": told[:SHARDS], "MessageDeduplicationId": told}
        made.append(entry)
    return made


class Queueing:
    """All queueing of one console on one pipeline. Safe for several threads."""

    def __init__(self, pipe: Pipe, sleep: Callable[[float], None] = time.sleep) -> None:
        self._pipe, self._sleep = pipe, sleep
        self._jobs: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def begin(self, job: Job) -> None:
        """Queue it in a thread. Its lease must be held already."""
        self._jobs[job.run_id] = job
        # No daemon: a console that is left ends when everybody is queued.
        thread = threading.Thread(target=self.run, args=(job,), name=f"queueing-{job.campaign_id}")
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def job(self, run_id: str) -> Job | None:
        """This console's newest work for this run; None for none."""
        return self._jobs.get(run_id)

    def stop(self) -> None:
        """Stop at the end of the step that is under way, and give the lease back. The rest can be gone on with."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """Wait until everybody is queued, and say so when it takes a while. Ctrl-C stops it, as `stop` does."""
        told, last = time.monotonic() + TOLD_EVERY, ""
        try:
            while any(thread.is_alive() for thread in self._threads):
                for thread in self._threads:
                    thread.join(0.2)
                if time.monotonic() >= told and (said := self._say()) not in ("", last):
                    told, last = time.monotonic() + TOLD_EVERY, said
                    print(f"{said}; Ctrl-C stops it, and the rest can be queued later", file=sys.stderr)
        except KeyboardInterrupt:
            self.stop()
        for job in self._jobs.values():
            if job.trouble and not job.told:
                job.told = True
                print(f"{job.campaign_id}: {job.trouble}", file=sys.stderr)

    def run(self, job: Job) -> None:
        """Queue all of it in this thread. What went wrong is in `job.trouble` afterwards."""
        try:
            self._queue(job)
        except ConditionFailed as error:
            job.trouble = _lost(job, error.item or {})
        except Trouble as error:
            job.trouble = f"queueing broke off at {job.queued + job.done:,} of {job.total:,}: {error}"
            self._give_back(job)
        finally:
            job.over = True

    def _queue(self, job: Job) -> None:
        url = self._pipe.queue_url()
        with _Hands(lambda emails: self._batch(url, entries(job, emails, url.endswith(".fifo")))) as hands:
            for at in range(0, len(job.emails), STEP):
                if self._stop.is_set():
                    job.trouble = f"queueing was stopped at {job.queued + job.done:,} of {job.total:,}"
                    return self._give_back(job)
                step = job.emails[at : at + STEP]
                self._send(hands, step)
                job.done += len(step)
                self._journal(job, step[-1])
        return self._finish(job)

    def _send(self, hands: "_Hands", step: Sequence[str]) -> None:
        hands.do(list(_batches(step)))

    def _batch(self, url: str, waiting: list[dict[str, str]]) -> None:
        """Put these into the queue, those that failed once more. Twice in the queue is harmless."""
        said: Trouble | None = None
        for pause in (0.0, *TRIES):
            if pause:
                self._sleep(pause)
            try:
                answer = self._pipe.aws.ask("sqs", "send_message_batch", QueueUrl=url, Entries=waiting)
            except OutOfReach as error:
                said = error
                continue
            failed = {entry["Id"]: entry for entry in answer.get("Failed", ())}
            if not failed:
                return
            one = next(iter(failed.values()))
            if any(entry.get("SenderFault") for entry in failed.values()):
                raise Refused(f"SQS doesn't take a reference: {one.get('Code')}", "It isn't in the queue")
            said = OutOfReach(f"SQS didn't take {len(failed)} references of a batch: {one.get('Code')}")
            waiting = [entry for entry in waiting if entry["Id"] in failed]
        raise said or OutOfReach("SQS took nothing")

    def _journal(self, job: Job, cursor: str) -> None:
        now = self._pipe.now()
        sets: dict[str, Any] = {"queueing_until": lease_until(now)}
        if not job.rest:
            sets |= {"queue_cursor": cursor, "queued_count": job.queued + job.done, "progress_at": now.isoformat()}
        change(self._pipe, job.campaign_id, Change(must=_mine(job), sets=sets), again=True)

    def _finish(self, job: Job) -> None:
        now = self._pipe.now()
        moment = now.isoformat()
        sets: dict[str, Any] = {"queueing_until": 0, "progress_at": moment, "queued_at": moment}
        if not job.rest:
            sets["queued_count"] = job.total
        item = change(self._pipe, job.campaign_id, Change(must=_mine(job), sets=sets), again=True)
        self._complete(job, item)

    def _complete(self, job: Job, item: dict[str, Any]) -> None:
        """Where the workers were faster than the queueing, nobody else will say that it is complete."""
        for _ in range(10):
            if not ended(item):
                return
            with suppress(ConditionFailed, Unclear):
                table, now = self._pipe.settings.campaigns_table, self._pipe.now().isoformat()
                self._pipe.aws.once("dynamodb", "update_item", TableName=table, **completion(item, now))
                return
            item = self._pipe.item(job.campaign_id)
            if item.get("status") not in GOING:
                return

    def _give_back(self, job: Job) -> None:
        """Without it the lease runs out by itself."""
        with suppress(Trouble):
            change(
                self._pipe,
                job.campaign_id,
                Change(must=[Must("queueing_by", "is", job.owner)], sets={"queueing_until": 0}),
                again=True,
            )

    def _say(self) -> str:
        going = [job for job in self._jobs.values() if not job.over]
        return ", ".join(
            f"{job.campaign_id}: {job.queued + job.done:,} of {job.total:,} references queued" for job in going
        )


class _Hands:
    """A few threads that put batches into the queue. An executor wouldn't do: it takes nothing any more once the
    main thread has ended, and a console that was left goes on queueing."""

    def __init__(self, put: Callable[[Sequence[str]], None]) -> None:
        self._put = put
        self._todo: SimpleQueue[Sequence[str] | None] = SimpleQueue()
        self._done: SimpleQueue[Exception | None] = SimpleQueue()
        self._broken = threading.Event()
        self._threads = [threading.Thread(target=self._work, name="queueing-hand") for _ in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def do(self, batches: Sequence[Sequence[str]]) -> None:
        """Put all of these. Each is waited for, also when one fails, so that nothing is queued once the lease is
        given back. Raises the first trouble."""
        for batch in batches:
            self._todo.put(batch)
        troubles = [error for _ in batches if (error := self._done.get()) is not None]
        if troubles:
            raise troubles[0]

    def _work(self) -> None:
        while (batch := self._todo.get()) is not None:
            said: Exception | None = None
            try:
                if not self._broken.is_set():
                    self._put(batch)
            except Exception as error:  # told to whoever waits for it
                self._broken.set()
                said = error
            self._done.put(said)


def _mine(job: Job) -> list[Must]:
    return [
        Must("run_id", "is", job.run_id),
        Must("queueing_by", "is", job.owner),
        Must("status", "in", tuple(str(status) for status in sorted(GOING))),
    ]


def _lost(job: Job, item: Mapping[str, Any]) -> str:
    if item.get("status") not in GOING:
        return f"queueing ended at {job.queued + job.done:,} of {job.total:,}: it is {item.get('status')} now"
    return f"queueing ended at {job.queued + job.done:,} of {job.total:,}: another console does it now"


def _batches(emails: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(emails), BATCH):
        yield emails[at : at + BATCH]
