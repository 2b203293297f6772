"""The worker as a Lambda handler for SQS batches: `runner.worker.handler.handler`.

The event source mapping needs ReportBatchItemFailures; what isn't in the answer is deleted from the queue. It is
set by the environment, as settings.from_environment() reads it.
"""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from runner.worker.parts import Parts
from runner.worker.queue import Queue, from_record
from runner.worker.settings import from_environment

_RESERVE_SECONDS: Final = 45.0  # for a mail's answer, and for putting down what came of it
_NEVER: Final = 1e9


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """{"batchItemFailures": [{"itemIdentifier": …}]}. Raises Refused when the worker can't be set up."""
    parts, pool = _worker()
    records = event.get("Records", [])
    if not records:
        return {"batchItemFailures": []}
    queue = _queue(str(records[0].get("eventSourceARN", "")), parts)  # before anything is begun: it may be refused
    messages = [from_record(record) for record in records]
    may_begin = _in_time(context)
    jobs = parts.engine.prepare(messages)
    verdicts = list(pool.map(lambda job: parts.engine.work(job, may_begin), jobs))
    stays = parts.settle(queue, jobs, verdicts, delete=False)
    _say(parts.tally.line("sending", 0, datetime.now(UTC), monotonic()))
    return {"batchItemFailures": [{"itemIdentifier": m.ident} for m in messages if m.ident in stays]}


@functools.cache
def _worker() -> tuple[Parts, ThreadPoolExecutor]:
    """Made at the first call and kept, as Lambda keeps the process."""
    settings = from_environment(os.environ)
    return Parts(settings, _say, last=_RESERVE_SECONDS / 2), ThreadPoolExecutor(settings.threads)


def _in_time(context: Any) -> Callable[[], bool]:
    """Is there time to begin another mail before Lambda ends us? A short one is used to its half."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: True
    reserve = min(_RESERVE_SECONDS, remaining() / 2000)
    return lambda: remaining() / 1000 > reserve


@functools.lru_cache(8)
def _queue(arn: str, parts: Parts) -> Queue:
    url = parts.settings.queue_url
    if not url:
        owner, name = arn.split(":")[-2:]
        url = parts.clients.sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)["QueueUrl"]
    return parts.queue(url)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
